"""Post-processing of the table that `emotrace analyze` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emotrace.analysis.post_processing.timing import fill_gaps
from emotrace.analysis.smoothing import SHORTEST_EXPRESSION_SECONDS
from emotrace.analysis.tracks import face_tracks, run_starts
from emotrace.errors import UsageError
from emotrace.timeline import FILLED_SCHEMA, PROCESSED_FIELDS, ValenceArousalSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emotrace.analysis.post_processing.chain import PostProcessing
    from emotrace.analysis.post_processing.files import AffectPostProcessing
    from emotrace.analysis.tracks import FaceTrack


def apply_to_timeline(
    table: pa.Table,
    post_processing: AffectPostProcessing,
    *,
    max_gap_seconds: float = SHORTEST_EXPRESSION_SECONDS,
    cut_timestamps_seconds: Sequence[float] = (),
) -> pa.Table:
    """Append post-processed valence and arousal to a timeline, face by face.

    Works at the true times of the frames (see `PostProcessing.apply_at_times`). A face that is away
    for longer than `max_gap_seconds`, or a shot cut, starts afresh; shorter absences are bridged by
    a straight line. Values are cut off at -1 and 1, the range of the columns.

    A value depends on frames up to `post_processing.look_ahead_seconds` later (and on the frame
    after a bridged absence), so this is for recordings; a live display would have to wait as long.

    Args:
        table: Rows of `TIMELINE_SCHEMA` in frame order, with or without appended columns.
        post_processing: What to do; a dimension without a chain is copied.
        max_gap_seconds: Longest absence that is bridged.
        cut_timestamps_seconds: Times of the first frames of new shots (`shot_cuts_seconds` in a
            summary).

    Returns:
        The table with `PROCESSED_FIELDS` appended; empty where there is no face.

    Raises:
        UsageError: Not a timeline in frame order, or it has these columns already.
    """
    there = [field.name for field in PROCESSED_FIELDS if field.name in table.column_names]
    if there:
        raise UsageError(
            f"expected a timeline without processed columns; got one with {', '.join(there)}; "
            "drop them first"
        )
    tracks = face_tracks(table)
    for field, dimension in zip(PROCESSED_FIELDS, ("valence", "arousal"), strict=True):
        raw = table[dimension].to_numpy().astype(np.float64)
        values = np.full(table.num_rows, np.nan)
        chain = getattr(post_processing, dimension)
        for track in tracks:
            own = raw[track.rows]
            if chain is not None:
                starts = run_starts(
                    track,
                    max_gap_seconds=max_gap_seconds,
                    cut_timestamps_seconds=cut_timestamps_seconds,
                )
                own = chain.apply_at_times(own, track.start_seconds, np.cumsum(starts))
            values[track.rows] = np.clip(own, -1.0, 1.0)
        column = pa.array(values.astype(np.float32), mask=np.isnan(values))
        table = table.append_column(field, column)
    return table


def note_post_processing(
    summary: dict[str, Any], table: pa.Table, post_processing: AffectPostProcessing
) -> None:
    """Write into a summary what was done to valence and arousal, and how far it looks ahead.

    Args:
        summary: From `emotrace.analysis.summary.summarize`; `post_processing` is added to it, and
            one sentence to its `notices`.
        table: With the columns `processed_*`.
        post_processing: That made them.
    """
    ahead = post_processing.look_ahead_seconds
    summary["post_processing"] = {
        "valence": _described(post_processing.valence),
        "arousal": _described(post_processing.arousal),
        "fitted_on": post_processing.fitted_on,
        "look_ahead_seconds": round(ahead, 6),
        "is_causal": ahead == 0,
    }
    looks = f"look up to {ahead:.2f} s ahead" if ahead else "depend on nothing later (causal)"
    summary["notices"].append(
        f"the columns 'processed_*' {looks}; 'valence' and 'arousal' are as predicted"
    )
    sources = pc.unique(table["valence_arousal_source"].drop_null()).to_pylist()
    if ValenceArousalSource.DERIVED.value in sources:
        summary["notices"].append(
            "valence and arousal are derived from the expressions here, and post-processing fits "
            "only the model on whose predictions it was fitted: do not trust 'processed_*'"
        )


def _described(chain: PostProcessing | None) -> dict[str, float | None] | None:
    if chain is None:
        return None
    return {
        "median_seconds": chain.median_seconds,
        "bias": chain.bias,
        "scale": chain.scale,
        "shift_seconds": chain.shift_seconds,
    }


def fill_timeline(table: pa.Table, *, cut_timestamps_seconds: Sequence[float] = ()) -> pa.Table:
    """Give every face valence and arousal in each frame from its first to its last one.

    Frames in which the face was not found get values on a straight line, in true time, between
    those around them (rangulov2020, section IV-B). Nothing is made up before a face's first frame
    nor after its last one, nor across a shot cut. Looks ahead to the end of each gap.

    Args:
        table: Rows of `TIMELINE_SCHEMA` in frame order, with or without appended columns.
        cut_timestamps_seconds: As `apply_to_timeline` takes them.

    Returns:
        Rows of `FILLED_SCHEMA`, and `PROCESSED_FIELDS` where the timeline has them, by frame and
        face; `is_filled` marks what was not predicted.

    Raises:
        UsageError: Not a timeline in frame order.
    """
    tracks = face_tracks(table)
    frames, first_row = np.unique(table["frame"].to_numpy(), return_index=True)
    times = table["timestamp"].to_numpy()[first_row].astype(np.float64)
    processed = [field for field in PROCESSED_FIELDS if field.name in table.column_names]
    schema = pa.schema([*FILLED_SCHEMA, *processed], metadata=FILLED_SCHEMA.metadata)
    names = ["valence", "arousal", *(field.name for field in processed)]
    values = np.stack([table[name].to_numpy().astype(np.float64) for name in names], axis=1)
    at_frame = np.searchsorted(frames, table["frame"].to_numpy())
    parts = [
        _filled_stretch(track.face_id, at_frame[rows], values[rows], times)
        for track in tracks
        for rows in _stretches(track, cut_timestamps_seconds)
    ]
    if not parts:
        return schema.empty_table()
    place, face, is_filled, filled = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    order = np.lexsort((face, place))
    columns = {
        "frame": frames[place[order]],
        "timestamp": times[place[order]],
        "face_id": face[order].astype(np.int32),
        "is_filled": is_filled[order],
    }
    for at, name in enumerate(names):
        own = filled[order, at].astype(np.float32)
        columns[name] = pa.array(own, mask=np.isnan(own))
    return pa.table([columns[field.name] for field in schema], schema=schema)


def _stretches(track: FaceTrack, cuts: Sequence[float]) -> list[np.ndarray]:
    """Return the rows of a face, shot by shot."""
    starts = run_starts(track, max_gap_seconds=np.inf, cut_timestamps_seconds=cuts)
    return np.split(track.rows, np.flatnonzero(starts)[1:])


def _filled_stretch(
    face_id: int, at_frame: np.ndarray, values: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return places of frames, the face, what was filled and all values, without a gap."""
    place = np.arange(at_frame[0], at_frame[-1] + 1)
    known = at_frame - at_frame[0]
    whole = np.full((len(place), values.shape[1]), np.nan)
    whole[known] = values
    is_filled = np.ones(len(place), np.bool_)
    is_filled[known] = False
    return place, np.full(len(place), face_id), is_filled, fill_gaps(whole, times[place])
