"""A data set's faces, found, followed and cut out once, into a cache that training reads.

Runs in parallel over clips, keeps going when one cannot be read, and may be killed at any moment:
the same call again goes on where it stopped (see `emotrace.datasets.shards` for how).
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from emotrace.datasets.assembly import AssembledTables, LabelMatch, assemble_tables, write_losses
from emotrace.datasets.cropping import CropSettings
from emotrace.datasets.shards import (
    CACHE_FORMAT,
    CLIPS_FILE,
    FRAMES_FILE,
    LOSSES_FILE,
    MANIFEST_FILE,
    SHARD_FOLDER,
    read_shard_facts,
    write_arrow,
)
from emotrace.datasets.units import (
    WHOLE_PICTURES,
    Unit,
    UnitOutcome,
    make_unit_detector,
    plan_units,
    run_unit,
    run_unit_in_worker,
    start_worker,
)
from emotrace.errors import DatasetError, UsageError
from emotrace.faces import choose_detector
from emotrace.storage import atomic_path, ensure_folder
from emotrace.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from emotrace.datasets.records import ClipRecord

MissingFaces = Literal["break", "drop_clip"]
"""What a missed face costs: `break`, windows end there (rangulov2020); `drop_clip`, the whole clip
(salinas2018)."""

_AHEAD_PER_WORKER: Final = 2
"""Units handed to the pool before the first is back; more would only sit in the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSettings:
    """How a data set is prepared.

    Raises:
        UsageError: A value cannot work.
    """

    cropping: CropSettings = field(default_factory=CropSettings)
    workers: int = 0
    """Processes; 0: one for each core. The cache does not depend on it."""
    match_labels: LabelMatch = "frame"
    missing_faces: MissingFaces = "break"
    """What the cache does unless it is opened with another choice; nothing is thrown away."""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise UsageError(f"expected workers of 0 or more; got {self.workers}")

    @property
    def worker_count(self) -> int:
        """`workers`, or the number of cores that this process may use."""
        if self.workers:
            return self.workers
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareProgress:
    """How far preparing has come."""

    clips_done: int
    """Done before included."""
    clips_total: int
    clips_failed: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareReport:
    """What was made, and what was lost on the way. Counts are frames unless named otherwise."""

    out: Path
    clip_count: int
    """Clips in the cache."""
    clips_done_before: int
    """Clips that an earlier run had finished."""
    frame_count: int
    face_count: int
    """Frames with the subject's face ..."""
    tracked_count: int
    """... of which the detector missed so many and optical flow followed the face."""
    missed_count: int
    """Frames without the subject's face."""
    clips_with_gaps: int
    """Clips that miss the face in some frames: salinas2018 drops them."""
    clips_without_face: int
    longest_gap: int
    other_face_count: int
    """Sights of people other than the subject."""
    unmatched_label_count: int
    """Labels whose frame is not among the decoded ones."""
    failures: tuple[tuple[str, str], ...]
    """Clip and reason."""
    notices: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **asdict(self),
            "out": str(self.out),
            "failures": [{"clip_id": clip, "error": error} for clip, error in self.failures],
            "notices": list(self.notices),
        }


def prepare_dataset(
    records: Sequence[ClipRecord],
    out: str | Path,
    *,
    settings: PrepareSettings | None = None,
    overwrite: bool = False,
    progress: Callable[[PrepareProgress], None] | None = None,
) -> PrepareReport:
    """Make (or finish) the crop cache of a data set.

    Clips that are done are not done again, unless their file changed; labels are always taken from
    `records`, so corrected ones need no new crops. One call at a time may write to a folder. A
    script that calls this with several workers needs `if __name__ == "__main__":`, as they import
    it.

    Args:
        records: The clips.
        out: The cache's folder.
        settings: How.
        overwrite: Replace a cache that was made with other settings.
        progress: Called after every unit of work.

    Raises:
        UsageError: Two clips share an id, or a setting cannot work.
        DatasetError: There are no clips, none can be read, or `out` holds a cache made with other
            settings.
        OutputError: The cache cannot be written.
        DownloadError, DetectorError: The detector cannot be had.
    """
    settings = settings or PrepareSettings()
    out = Path(out)
    if not records:
        raise DatasetError("expected clips to prepare; got none; check the data set's selections")
    _require_unique_ids(records)
    cropping, notices = _resolve_detector(settings.cropping)
    ensure_folder(out / SHARD_FOLDER)
    head = _manifest_head(cropping, settings)
    _check_same_settings(out, head, overwrite=overwrite)
    _write_manifest(out, {**head, "state": "incomplete"})
    _remove_partials(out)

    crop_bytes = int(np.prod(cropping.shape))
    units = plan_units(records, cropping)
    todo, done_before = [], 0
    for unit in units:
        facts = read_shard_facts(out, unit.key, crop_bytes)
        if facts is None or facts["failures"]:
            todo.append(unit)
        else:
            done_before += len(unit.records)
    meter = _Meter(progress, total=len(records), done=done_before)
    with contextlib.closing(_run_units(todo, out, cropping, settings.worker_count)) as outcomes:
        for outcome in outcomes:
            meter.count(outcome)

    shards = []
    for unit in units:
        facts = read_shard_facts(out, unit.key, crop_bytes)
        if facts is None:
            raise DatasetError(
                f"expected the shard {unit.key} in {out}; it is gone or damaged; "
                "run 'emotrace prepare' again"
            )
        shards.append((unit.key, facts))
    failures = tuple((clip, error) for _, facts in shards for clip, error in facts["failures"])
    if len(failures) == len(records):
        raise DatasetError(
            f"expected clips that can be read; none can; the first: {failures[0][1]}"
        )
    tables = assemble_tables(records, shards, out, match=settings.match_labels)
    report = _report(out, tables, failures, done_before, notices)
    write_arrow(out / CLIPS_FILE, tables.clips)
    write_arrow(out / FRAMES_FILE, tables.frames)
    write_losses(out / LOSSES_FILE, tables.clips, failures)
    manifest = {
        **head,
        "state": "complete",
        "datasets": sorted({record.dataset for record in records}),
        "shards": [key for key, _ in shards],
        "report": report.to_json(),
    }
    _write_manifest(out, manifest)
    _remove_stale(out, {key for key, _ in shards})
    return report


def _require_unique_ids(records: Sequence[ClipRecord]) -> None:
    name, count = Counter(record.clip_id for record in records).most_common(1)[0]
    if count > 1:
        raise UsageError(f"expected clips with unique ids; {name!r} occurs {count} times")


def _resolve_detector(cropping: CropSettings) -> tuple[CropSettings, tuple[str, ...]]:
    """Turn `auto` into the detector that it means here: a cache must not hold a mixture."""
    if cropping.detector == WHOLE_PICTURES:
        return cropping, ()
    choice = choose_detector(cropping.detector)
    notices = (choice.notice,) if choice.notice else ()
    return replace(cropping, detector=choice.detector.name), notices


def _manifest_head(cropping: CropSettings, settings: PrepareSettings) -> dict[str, Any]:
    return {
        "format": CACHE_FORMAT,
        "emotrace_version": __version__,
        "cropping": asdict(cropping),
        "match_labels": settings.match_labels,
        "missing_faces": settings.missing_faces,
    }


def _check_same_settings(out: Path, head: dict[str, Any], *, overwrite: bool) -> None:
    path = out / MANIFEST_FILE
    if overwrite or not path.exists():
        return
    try:
        there = json.loads(path.read_text("utf-8"))
        found = {"format": there["format"], **there["cropping"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"expected the description of a crop cache in {path}; got: {error}; choose another "
            "folder or replace it with --overwrite"
        ) from error
    wanted = {"format": head["format"], **head["cropping"]}
    differing = [
        f"{name} {found.get(name)!r} instead of {value!r}"
        for name, value in json.loads(json.dumps(wanted)).items()
        if found.get(name) != value
    ]
    if differing:
        raise DatasetError(
            f"expected a cache with the same settings in {out}; it was made with "
            f"{', '.join(differing)}; choose another folder or replace it with --overwrite"
        )


def _write_manifest(out: Path, manifest: dict[str, Any]) -> None:
    with atomic_path(out / MANIFEST_FILE) as partial:
        partial.write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")


def _run_units(
    units: Sequence[Unit], out: Path, cropping: CropSettings, workers: int
) -> Generator[UnitOutcome, None, None]:
    workers = min(workers, len(units))
    if workers <= 1:
        detector = make_unit_detector(cropping) if units else None
        for unit in units:
            yield run_unit(unit, out, cropping, detector)
        return
    # Spawned, not forked: forking a process with threads (OpenCV, FFmpeg) may lock up.
    context = multiprocessing.get_context("spawn")
    alive, end = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=start_worker, initargs=(out, cropping, alive)
    )
    waiting = iter(units)
    running: set[Future[UnitOutcome]] = set()
    try:
        while True:
            for unit in waiting:
                running.add(pool.submit(run_unit_in_worker, unit))
                if len(running) >= workers * _AHEAD_PER_WORKER:
                    break
            if not running:
                break
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                yield future.result()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise DatasetError(
            "expected the worker processes to live; one ended at once (out of memory?); what is "
            "done is kept: run the same command again, with fewer --workers"
        ) from error
    finally:
        end.close()  # ends workers that are still at work: waiting for them could take minutes
        pool.shutdown(wait=False, cancel_futures=True)
        alive.close()


class _Meter:
    """Counts clips and tells the progress hook."""

    def __init__(
        self, hook: Callable[[PrepareProgress], None] | None, *, total: int, done: int
    ) -> None:
        self._hook, self._total, self._before = hook, total, done
        self._done, self._failed = done, 0
        self._started = time.perf_counter()
        self._tell()

    def count(self, outcome: UnitOutcome) -> None:
        self._done += outcome.clip_count
        self._failed += len(outcome.failures)
        self._tell()

    def _tell(self) -> None:
        if self._hook is None:
            return
        now = self._done - self._before
        seconds = time.perf_counter() - self._started
        self._hook(
            PrepareProgress(
                clips_done=self._done,
                clips_total=self._total,
                clips_failed=self._failed,
                seconds_left=(self._total - self._done) * seconds / now if now else None,
            )
        )


def _report(
    out: Path,
    tables: AssembledTables,
    failures: tuple[tuple[str, str], ...],
    done_before: int,
    notices: tuple[str, ...],
) -> PrepareReport:
    clips = {
        name: tables.clips[name].to_numpy()
        for name in tables.clips.column_names
        if name.endswith("_count") or name == "longest_gap"
    }
    frames, missed = clips["frame_count"], clips["missed_count"]
    return PrepareReport(
        out=out,
        clip_count=len(frames),
        clips_done_before=done_before,
        frame_count=int(frames.sum()),
        face_count=int((frames - missed).sum()),
        tracked_count=int(clips["tracked_count"].sum()),
        missed_count=int(missed.sum()),
        clips_with_gaps=int(np.sum((missed > 0) & (missed < frames))),
        clips_without_face=int(np.sum(missed == frames)),
        longest_gap=int(clips["longest_gap"].max(initial=0)),
        other_face_count=int(clips["other_face_count"].sum()),
        unmatched_label_count=int(clips["unmatched_label_count"].sum()),
        failures=failures,
        notices=notices,
    )


def _remove_partials(out: Path) -> None:
    """Remove what a killed run left half written."""
    for path in [*out.glob(".*.partial.*"), *(out / SHARD_FOLDER).glob(".*.partial.*")]:
        with contextlib.suppress(OSError):
            path.unlink()


def _remove_stale(out: Path, keys: set[str]) -> None:
    """Remove shards that no clip of the cache uses any more."""
    for path in (out / SHARD_FOLDER).iterdir():
        if path.suffix in (".npy", ".arrow") and path.stem not in keys:
            with contextlib.suppress(OSError):
                path.unlink()
