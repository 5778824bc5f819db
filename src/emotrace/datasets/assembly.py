"""From shards and records to the tables of a cache: labels are joined, losses counted."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from emotrace.datasets.records import NO_EMOTION
from emotrace.datasets.shards import (
    CLIP_SCHEMA,
    SHARD_SCHEMA,
    TRACKED,
    VOTE_COUNT,
    action_unit_column,
    frame_schema,
    read_arrow,
    shard_paths,
)
from emotrace.storage import atomic_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.datasets.records import ClipRecord, FrameLabels

LabelMatch = Literal["frame", "time"]
"""How a label finds its frame: by the frame's number, or by the nearest time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AssembledTables:
    """The tables of a cache."""

    clips: pa.Table
    frames: pa.Table


def assemble_tables(
    records: Sequence[ClipRecord],
    shards: Sequence[tuple[str, Mapping[str, Any]]],
    out: Path,
    *,
    match: LabelMatch,
) -> AssembledTables:
    """Join shards into the tables of a cache, in the order of the records.

    Args:
        records: All clips; those that failed have no rows.
        shards: Key and facts of each.
        out: The cache's folder.
        match: How labels find their frames.

    Raises:
        DatasetError: A shard is damaged.
    """
    by_id = {record.clip_id: record for record in records}
    units, intensities, has_votes = _label_columns(records)
    schema = frame_schema(units, intensities, has_votes=has_votes)
    clip_rows: list[dict[str, Any]] = []
    parts: list[pa.Table] = []
    first_row = 0
    for position, (key, facts) in enumerate(shards):
        table = read_arrow(shard_paths(out, key)[1])
        columns = {name: table[name].to_numpy() for name in SHARD_SCHEMA.names}
        labels = _blank_labels(schema, table.num_rows)
        bounds = np.searchsorted(columns["clip"], np.arange(len(facts["clips"]) + 1)).tolist()
        first_clip = len(clip_rows)
        for found, begin, end in zip(facts["clips"], bounds[:-1], bounds[1:], strict=True):
            record = by_id[found["clip_id"]]
            mine = {name: column[begin:end] for name, column in columns.items()}
            own = {name: column[begin:end] for name, column in labels.items()}
            clip_rows.append(
                {
                    **_clip_row(record, found, mine),
                    "first_row": first_row + begin,
                    "unmatched_label_count": _join_labels(record.frame_labels, mine, own, match),
                }
            )
        columns["clip"] = columns["clip"] + np.int32(first_clip)
        columns["shard"] = np.full(table.num_rows, position, np.int32)
        parts.append(_table(schema, {**columns, **labels}))
        first_row += table.num_rows
    return AssembledTables(
        clips=pa.Table.from_pylist(clip_rows, schema=CLIP_SCHEMA),
        frames=pa.concat_tables(parts) if parts else schema.empty_table(),
    )


def write_losses(path: Path, clips: pa.Table, failures: Sequence[tuple[str, str]]) -> None:
    """Write a CSV with a row for each clip that lost something; none has only the heading.

    Raises:
        OutputError: The system refuses the write.
    """
    names = (
        "clip_id",
        "frame_count",
        "missed_count",
        "tracked_count",
        "gap_count",
        "longest_gap",
        "other_face_count",
        "unmatched_label_count",
    )
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, "error"])
        for row in clips.select(names).to_pylist():
            if any(row[name] for name in names[2:]):
                writer.writerow([*(row[name] for name in names), ""])
        writer.writerows([clip, *[""] * (len(names) - 1), error] for clip, error in failures)


def _label_columns(records: Sequence[ClipRecord]) -> tuple[set[int], set[int], bool]:
    """Return the action units, those with intensities, and whether there are votes."""
    units: set[int] = set()
    intensities: set[int] = set()
    has_votes = False
    for record in records:
        labels = record.frame_labels
        if labels is not None:
            units.update(labels.action_units)
            intensities.update(labels.action_unit_intensities)
            has_votes = has_votes or labels.votes is not None
    return units, intensities, has_votes


def _table(schema: pa.Schema, columns: Mapping[str, NDArray[Any]]) -> pa.Table:
    arrays = []
    for field in schema:
        values = columns[field.name]
        if pa.types.is_fixed_size_list(field.type):
            flat = pa.array(values.reshape(-1), pa.int16())
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.table(arrays, schema=schema)


def _clip_row(
    record: ClipRecord, found: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    frames, place = np.unique(columns["frame"], return_inverse=True)
    has_subject = np.zeros(len(frames), np.bool_)
    has_subject[place[columns["is_subject"]]] = True
    # Where a stretch of missed frames begins and ends.
    edges = np.diff(np.concatenate([[0], (~has_subject).astype(np.int8), [0]]))
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    is_tracked = columns["is_subject"] & (columns["face_source"] == TRACKED)
    return {
        "clip_id": record.clip_id,
        "dataset": record.dataset,
        "subject": record.subject,
        "session": record.session,
        "condition": record.condition,
        "partition": record.partition,
        "emotion": record.emotion,
        "frame_rate": record.frame_rate,
        "row_count": len(columns["frame"]),
        "frame_count": int(found["frame_count"]),
        "missed_count": int(np.sum(~has_subject)),
        "tracked_count": int(is_tracked.sum()),
        "gap_count": len(lengths),
        "longest_gap": int(lengths.max(initial=0)),
        "other_face_count": int(found["other_face_count"]),
        "notes": list(found["notes"]),
    }


def _blank_labels(schema: pa.Schema, count: int) -> dict[str, NDArray[Any]]:
    """Return label columns in which no row has a label."""
    blank: dict[str, NDArray[Any]] = {"emotion": np.full(count, NO_EMOTION, np.int8)}
    names = [name for name in schema.names if name.startswith("au_")] + ["valence", "arousal"]
    blank |= {name: np.full(count, np.nan, np.float32) for name in names}
    if "votes" in schema.names:
        blank["votes"] = np.full((count, VOTE_COUNT), -1, np.int16)
    return blank


def _join_labels(
    labels: FrameLabels | None,
    columns: Mapping[str, NDArray[Any]],
    joined: Mapping[str, NDArray[Any]],
    match: LabelMatch,
) -> int:
    """Write a clip's labels into its rows' label columns; return how many found no frame.

    Frames without a face get theirs too; faces of other people get none.
    """
    if labels is None or not len(labels):
        return 0
    if match == "time" and labels.timestamp_seconds is not None:
        label_of = _nearest_label(labels, columns["timestamp"])
    else:
        label_of = _same_frame(labels, columns["frame"])
    is_somebody_else = (columns["crop"] >= 0) & ~columns["is_subject"]
    rows = np.flatnonzero((label_of >= 0) & ~is_somebody_else)
    source = label_of[rows]
    values: dict[str, NDArray[Any]] = {
        "emotion": labels.emotion,
        "valence": labels.valence,
        "arousal": labels.arousal,
        **{action_unit_column(unit): column for unit, column in labels.action_units.items()},
        **{
            action_unit_column(unit, intensity=True): column
            for unit, column in labels.action_unit_intensities.items()
        },
    }
    if labels.votes is not None:
        values["votes"] = labels.votes
    for name, column in values.items():
        joined[name][rows] = column[source]
    return len(labels) - len(np.unique(label_of[label_of >= 0]))


def _same_frame(labels: FrameLabels, frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `(rows,)`: the label with the row's frame number, or -1."""
    place = np.minimum(np.searchsorted(labels.frame_index, frames), len(labels) - 1)
    return np.where(labels.frame_index[place] == frames, place, -1).astype(np.int64)


def _nearest_label(labels: FrameLabels, times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return `(rows,)`: the label nearest in time, at most half a label's step away, or -1."""
    known = np.asarray(labels.timestamp_seconds, np.float64)
    step = float(np.median(np.diff(known))) if len(known) > 1 else np.inf
    after = np.clip(np.searchsorted(known, times), 1, max(len(known) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(known) - 1)
    nearest = np.where(times - known[before] <= known[after] - times, before, after)
    # A little more than half: times are rounded to the container's clock.
    is_near = np.abs(times - known[nearest]) <= 0.501 * step
    return np.where(is_near, nearest, -1).astype(np.int64)
