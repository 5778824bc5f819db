"""What is there of a data set, what is missing or damaged, and how many of each class."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emotrace.datasets.catalogue import call_reader, find_dataset
from emotrace.datasets.findings import Findings
from emotrace.datasets.media import iterate_frames
from emotrace.datasets.records import NO_EMOTION, PARTITIONS
from emotrace.errors import DatasetError
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from emotrace.datasets.catalogue import DatasetEntry
    from emotrace.datasets.records import ClipRecord, FrameLabels

NONE = "(none)"
"""The key under which clips without a value are counted."""


@dataclass(frozen=True, kw_only=True)
class DatasetCheck:
    """The outcome of checking a data set."""

    name: str
    root: Path
    clip_count: int
    picture_count: int
    """Pictures of clips that are pictures; frames of videos count when they were decoded."""
    subject_count: int
    partitions: Mapping[str, int]
    """Clips of each official part."""
    conditions: Mapping[str, int]
    """Clips of each condition."""
    clip_emotions: Mapping[str, int]
    """Clips of each label, in the order of `EMOTIONS`, then those without."""
    frame_emotions: Mapping[str, int]
    """Labelled frames of each expression; empty where clips alone are labelled."""
    labelled_frames: int
    valence_arousal_frames: int
    action_units: Mapping[int, int]
    """Frames in which each action unit is active."""
    missing: Sequence[str]
    """What the published set has and this folder has not, one line each."""
    problems: Sequence[str]
    """What is damaged, one line each."""
    notes: Sequence[str]
    is_decoded: bool
    """Whether every picture was decoded."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing and nothing damaged."""
        return not self.missing and not self.problems


def check_dataset(
    name: str,
    root: Path,
    *,
    decode: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> DatasetCheck:
    """Read all labels, going on where some are damaged; decode all pictures on request.

    Args:
        name: One of `emotrace.datasets.catalogue.DATASETS`.
        root: The folder that holds it.
        decode: Whether to decode every picture too, which takes as long as it takes.
        progress: Called with how many clips are decoded, and of how many.
        options: What the data set's reader takes.

    Raises:
        UsageError: There is no such data set or option.
        DatasetError: The folder is not this data set at all; the message says what was looked for.
    """
    entry = find_dataset(name)
    findings = Findings(keep_going=True)
    records = call_reader(entry, root, findings=findings, **options)
    if not records and not findings.problems:
        findings.problems.append(f"expected clips in {root} ({entry.layout}); got none")
    decoded = 0
    if decode:
        for done, record in enumerate(records, start=1):
            with findings.per_clip():
                decoded += _decode(record)
            if progress is not None:
                progress(done, len(records))
    labels = [record.frame_labels for record in records if record.frame_labels is not None]
    return DatasetCheck(
        name=name,
        root=root,
        clip_count=len(records),
        picture_count=decoded if decode else sum(record.frame_count or 0 for record in records),
        subject_count=len({record.subject for record in records} - {None}),
        partitions={
            part: counts[part]
            for counts in [_count([record.partition for record in records])]
            for part in (*PARTITIONS, NONE)
            if part in counts
        },
        conditions=_count([record.condition for record in records]),
        clip_emotions=_in_order(Counter(record.emotion or NONE for record in records)),
        frame_emotions=_frame_emotions(labels),
        labelled_frames=sum(len(item) for item in labels),
        valence_arousal_frames=sum(
            int((~np.isnan(item.valence) & ~np.isnan(item.arousal)).sum()) for item in labels
        ),
        action_units=_active_units(labels),
        missing=tuple(_missing(entry, records, has_options=bool(options))),
        problems=tuple(findings.problems),
        notes=tuple(findings.notes),
        is_decoded=decode,
    )


def _decode(record: ClipRecord) -> int:
    count = sum(1 for _ in iterate_frames(record))
    if not count:
        raise DatasetError(f"expected pictures in clip {record.clip_id}; got none")
    return count


def _count(values: list[Any]) -> dict[str, int]:
    counts = Counter(NONE if value is None else str(value) for value in values)
    return {} if set(counts) <= {NONE} else dict(sorted(counts.items()))


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in (*EMOTIONS, NONE) if counts.get(name)}


def _frame_emotions(labels: list[FrameLabels]) -> dict[str, int]:
    totals = np.zeros(len(EMOTIONS) + 1, np.int64)
    for item in labels:
        totals += np.bincount(item.emotion - NO_EMOTION, minlength=len(EMOTIONS) + 1)
    if not totals[1:].any():
        return {}
    counts = dict(zip((NONE, *EMOTIONS), totals.tolist(), strict=True))
    return _in_order(counts)


def _active_units(labels: list[FrameLabels]) -> dict[int, int]:
    totals: Counter[int] = Counter()
    for item in labels:
        for unit, values in item.action_units.items():
            totals[unit] += int((values > 0).sum())
    return {unit: count for unit, count in sorted(totals.items()) if count}


def _missing(entry: DatasetEntry, records: list[ClipRecord], *, has_options: bool) -> list[str]:
    """Compare with the published counts, which hold for the default options."""
    if has_options:
        return []
    subjects = len({record.subject for record in records} - {None})
    emotions = sum(record.emotion is not None for record in records)
    return [
        f"{expected:,} {what} are published; {found:,} are here"
        for what, expected, found in (
            ("clips", entry.expected_clips, len(records)),
            ("subjects", entry.expected_subjects, subjects),
            ("labelled clips", entry.expected_emotions, emotions),
        )
        if expected is not None and found != expected
    ]
