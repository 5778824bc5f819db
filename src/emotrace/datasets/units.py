"""Units of work of `prepare`: which clips share a shard, whether it is done, and doing it."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import asdict, dataclass, replace
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from emotrace.datasets.cropping import crop_clip
from emotrace.datasets.records import ImageRef
from emotrace.datasets.shards import (
    CACHE_FORMAT,
    SHARD_SCHEMA,
    PixelWriter,
    shard_paths,
    write_shard_rows,
)
from emotrace.errors import EmotraceError
from emotrace.faces import choose_detector
from emotrace.storage import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    from emotrace.datasets.cropping import CropSettings
    from emotrace.datasets.records import ClipRecord
    from emotrace.faces import Detector

PICTURES_PER_SHARD: Final = 512
"""Sets of single pictures would else have as many files as pictures. At 96 x 96 px a shard is
14 MB then; what a killed run must do again takes a few seconds."""
WHOLE_PICTURES: Final = "none"
"""The detector's name where pictures are face crops already."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unit:
    """Clips whose crops share a shard."""

    key: str
    """Hash of all that the shard's content follows from; its file name."""
    records: tuple[ClipRecord, ...]
    """Without labels: those are joined at the end, so that corrected labels need no new crops."""


def plan_units(records: Sequence[ClipRecord], settings: CropSettings) -> list[Unit]:
    """Divide clips into units: each video alone, pictures together up to `PICTURES_PER_SHARD`."""
    fingerprints = _Fingerprints(settings)
    return [
        Unit(
            key=fingerprints.key(group),
            records=tuple(_without_labels(record) for record in group),
        )
        for group in _groups(records)
    ]


def _groups(records: Sequence[ClipRecord]) -> Iterator[list[ClipRecord]]:
    held: list[ClipRecord] = []
    pictures = 0
    for record in records:
        count = record.frame_count
        if count is None:
            yield [record]
            continue
        if held and pictures + count > PICTURES_PER_SHARD:
            yield held
            held, pictures = [], 0
        held.append(record)
        pictures += count
    if held:
        yield held


def _without_labels(record: ClipRecord) -> ClipRecord:
    labels = record.frame_labels
    if labels is None or labels.timestamp_seconds is None or record.frame_count is None:
        return replace(record, frame_labels=None)
    return record  # the pictures' times stand with the labels


class _Fingerprints:
    """Keys of units; each media file is looked at once."""

    def __init__(self, settings: CropSettings) -> None:
        self._head = [CACHE_FORMAT, asdict(settings)]
        self._facts: dict[Path, tuple[str, int, int]] = {}

    def key(self, records: Sequence[ClipRecord]) -> str:
        parts: list[Any] = [*self._head]
        for record in records:
            numbers = record.media_frame_index
            labels = _without_labels(record).frame_labels
            times = None if labels is None else labels.timestamp_seconds
            parts.append(
                [
                    record.clip_id,
                    [self._file(path) for path in record.media_paths()],
                    record.media.position if isinstance(record.media, ImageRef) else None,
                    None if numbers is None else numbers.tolist(),
                    record.frame_rate,
                    None if labels is None else labels.frame_index.tolist(),
                    None if times is None else times.tolist(),
                ]
            )
        text = json.dumps(parts, sort_keys=True).encode()
        return hashlib.blake2b(text, digest_size=16).hexdigest()

    def _file(self, path: Path) -> tuple[str, int, int]:
        """Name, size and time of change: a replaced file is another file, a moved set the same."""
        if path not in self._facts:
            try:
                found = path.stat()
                self._facts[path] = (path.name, found.st_size, found.st_mtime_ns)
            except OSError:  # cropping says what is wrong with it
                self._facts[path] = (path.name, -1, -1)
        return self._facts[path]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOutcome:
    """What became of a unit."""

    key: str
    clip_count: int
    failures: tuple[tuple[str, str], ...]
    """Clip and reason."""


def run_unit(
    unit: Unit,
    out: Path,
    settings: CropSettings,
    detector: Detector | None,
) -> UnitOutcome:
    """Crop the clips of a unit and write its shard, whole or not at all.

    A clip that cannot be read is a failure of its own; the others are kept.

    Raises:
        OutputError: The shard cannot be written.
    """
    pixels_path, rows_path = shard_paths(out, unit.key)
    columns: list[dict[str, np.ndarray[Any, Any]]] = []
    clips: list[dict[str, Any]] = []
    failures: list[tuple[str, str]] = []
    with atomic_path(pixels_path) as partial, PixelWriter(partial, settings.shape) as writer:
        for record in unit.records:
            start = writer.count
            try:
                found = crop_clip(record, writer, settings, detector)
            except EmotraceError as error:
                writer.keep(start, np.zeros(writer.count - start, np.bool_))
                failures.append((record.clip_id, str(error)))
                continue
            found.columns["clip"][:] = len(clips)
            columns.append(found.columns)
            clips.append(found.facts)
    merged = {
        name: np.concatenate([part[name] for part in columns])
        if columns
        else np.empty(0, SHARD_SCHEMA.field(name).type.to_pandas_dtype())
        for name in SHARD_SCHEMA.names
    }
    # The rows come last: where they are, the pixels are.
    write_shard_rows(rows_path, merged, {"clips": clips, "failures": failures})
    return UnitOutcome(key=unit.key, clip_count=len(unit.records), failures=tuple(failures))


def make_unit_detector(settings: CropSettings) -> Detector | None:
    """Make the detector that the settings name; None where pictures are face crops already.

    Raises:
        UsageError, DownloadError, DetectorError: As `emotrace.faces.choose_detector` says.
    """
    if settings.detector == WHOLE_PICTURES:
        return None
    return choose_detector(settings.detector).detector


class _Worker:
    """What a worker process keeps between units."""

    out: Path
    settings: CropSettings
    detector: Detector | None


def start_worker(out: Path, settings: CropSettings, alive: Connection) -> None:
    """Set a worker process up: one thread, its own detector, an end when the parent says so.

    Args:
        out: The cache's folder.
        settings: How to crop.
        alive: The reading end of a pipe whose other end only the parent holds: once that is closed
            (by the parent, or by the system when the parent was killed), the worker ends at once.
            Units are written whole or not at all, so no moment is a bad one.
    """
    import signal

    # Ctrl-C reaches every process of a terminal; the parent ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    cv2.setNumThreads(1)
    _Worker.out, _Worker.settings = out, settings
    _Worker.detector = make_unit_detector(settings)


def _end_with(alive: Connection) -> None:
    connection.wait([alive])
    os._exit(1)


def run_unit_in_worker(unit: Unit) -> UnitOutcome:
    """Run a unit in a worker process."""
    return run_unit(unit, _Worker.out, _Worker.settings, _Worker.detector)
