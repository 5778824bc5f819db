"""The rows of a timeline table, face by face, with the time that each frame was on screen.

Every analysis in time starts here, so that all of them agree on how long a frame lasts (until the
next decoded frame, with or without a face) and on where a face was away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS
from emotrace.timeline import check_timeline_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from emotrace.timeline import InputFacts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceTrack:
    """The rows of one face, in time order. All arrays have one entry for each of its `n` frames."""

    face_id: int
    rows: NDArray[np.int64]
    """`(n,)`: positions in the table."""
    start_seconds: NDArray[np.float64]
    """`(n,)`: presentation time of each frame."""
    end_seconds: NDArray[np.float64]
    """`(n,)`: when the next decoded frame replaces it (exclusive)."""
    probabilities: NDArray[np.float64]
    """`(n, 8)`, in the order of `EMOTIONS`, as predicted (unsmoothed)."""

    @property
    def duration_seconds(self) -> NDArray[np.float64]:
        """`(n,)`: how long each frame was on screen."""
        durations: NDArray[np.float64] = self.end_seconds - self.start_seconds
        return durations

    @property
    def weights(self) -> NDArray[np.float64]:
        """`(n,)`, summing to 1: each frame's share of the face's time.

        Equal where no frame has a length (a still image).
        """
        durations = self.duration_seconds
        total = durations.sum()
        if total > 0:
            durations /= total
            return durations
        return np.full(len(durations), 1.0 / len(durations))


def timeline_end_seconds(table: pa.Table, facts: InputFacts) -> float:
    """Return when the last frame ends: the first frame's time plus the input's duration.

    No frame begins there, so the sum is rounded to the nanosecond: 0.72 + 0.08 is not quite 0.8.
    """
    if table.num_rows == 0:
        return 0.0
    return round(float(table["timestamp"][0].as_py()) + facts.duration_seconds, 9)


def frame_intervals(
    table: pa.Table, *, end_seconds: float | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return when each row's frame appears and when the next decoded frame replaces it.

    Args:
        table: Rows of `TIMELINE_SCHEMA` in frame order.
        end_seconds: When the last frame ends. Without it the last frame is taken to be as long as
            the median frame; a lone frame then has no length.

    Returns:
        Two arrays `(rows,)` in seconds.

    Raises:
        UsageError: Frames or their times are not in order; the message names the first such row.
    """
    check_timeline_table(table)
    frames = table["frame"].to_numpy()
    starts = np.asarray(table["timestamp"].to_numpy(), dtype=np.float64)
    if len(frames) == 0:
        return starts, starts.copy()
    is_new = np.concatenate([[True], frames[1:] != frames[:-1]])
    backwards = np.flatnonzero(
        (np.diff(frames) < 0) | (np.diff(starts) < 0) | (is_new[1:] & (np.diff(starts) <= 0))
    )
    if len(backwards):
        row = int(backwards[0]) + 1
        raise UsageError(
            "expected rows in the order of frames with rising times; got frame "
            f"{frames[row]} at {starts[row]} s after frame {frames[row - 1]} at "
            f"{starts[row - 1]} s (row {row}); sort the table by frame"
        )
    frame_starts = starts[is_new]
    steps = np.diff(frame_starts)
    if end_seconds is not None:
        last_end = max(float(end_seconds), float(frame_starts[-1]))
    else:
        last_end = float(frame_starts[-1]) + (float(np.median(steps)) if len(steps) else 0.0)
    frame_ends = np.append(frame_starts[1:], last_end)
    return starts, frame_ends[np.cumsum(is_new) - 1]


def face_tracks(table: pa.Table, *, end_seconds: float | None = None) -> list[FaceTrack]:
    """Split a timeline table by face, in the order of `face_id`.

    Args:
        table: Rows of `TIMELINE_SCHEMA` in frame order.
        end_seconds: When the last frame ends; see `frame_intervals`.

    Raises:
        UsageError: Rows out of order, a face twice in one frame, or a face without probabilities.
    """
    starts, ends = frame_intervals(table, end_seconds=end_seconds)
    face_column = table["face_id"]
    has_face = face_column.is_valid().to_numpy()
    rows = np.flatnonzero(has_face)
    if len(rows) == 0:
        return []
    ids = face_column.drop_null().to_numpy()
    # A stable sort keeps each face's rows in frame order.
    order = np.argsort(ids, kind="stable")
    rows, ids = rows[order], ids[order]
    probabilities = _probability_matrix(table)[rows]
    _check_faces(table, rows, ids, probabilities)
    bounds = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    stops = np.append(bounds[1:], len(ids))
    return [
        FaceTrack(
            face_id=int(ids[begin]),
            rows=rows[begin:stop],
            start_seconds=starts[rows[begin:stop]],
            end_seconds=ends[rows[begin:stop]],
            probabilities=probabilities[begin:stop],
        )
        for begin, stop in zip(bounds.tolist(), stops.tolist(), strict=True)
    ]


def run_starts(
    track: FaceTrack, *, max_gap_seconds: float, cut_timestamps_seconds: Sequence[float] = ()
) -> NDArray[np.bool_]:
    """Mark the frames at which a new uninterrupted stretch of a face begins.

    A stretch ends where the face is missing for longer than `max_gap_seconds` (time between the end
    of its last frame and the start of its next one) and at a shot cut.

    Args:
        track: The face.
        max_gap_seconds: Longest absence that is bridged; 0 bridges none.
        cut_timestamps_seconds: Times of the first frames of new shots, in any order.

    Returns:
        `(n,)` bool; the first entry is True.
    """
    is_start = np.ones(len(track.rows), dtype=np.bool_)
    is_start[1:] = track.start_seconds[1:] - track.end_seconds[:-1] > max_gap_seconds
    if len(cut_timestamps_seconds):
        cuts = np.sort(np.asarray(cut_timestamps_seconds, dtype=np.float64))
        shot = np.searchsorted(cuts, track.start_seconds, side="right")
        is_start[1:] |= shot[1:] != shot[:-1]
    return is_start


def _probability_matrix(table: pa.Table) -> NDArray[np.float64]:
    """`(rows, 8)` float64; NaN where the table has nothing."""
    columns = [table[name].to_numpy().astype(np.float64) for name in EMOTIONS]
    return np.stack(columns, axis=1)


def _check_faces(
    table: pa.Table,
    rows: NDArray[np.int64],
    ids: NDArray[np.int32],
    probabilities: NDArray[np.float64],
) -> None:
    bad = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if len(bad):
        frame = table["frame"][int(rows[bad[0]])].as_py()
        raise UsageError(
            f"expected {len(EMOTIONS)} probabilities for every face; "
            f"got an empty one for face {ids[bad[0]]} in frame {frame}"
        )
    frames = table["frame"].to_numpy()[rows]
    twice = np.flatnonzero((ids[1:] == ids[:-1]) & (frames[1:] == frames[:-1]))
    if len(twice):
        raise UsageError(
            f"expected a face at most once in a frame; got face {ids[twice[0]]} twice in frame "
            f"{frames[twice[0]]}"
        )
