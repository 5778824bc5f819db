"""Stretches of one face with one predicted expression, and the smoothed columns behind them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from emotrace.analysis.baseline import adjusted_tracks
from emotrace.analysis.smoothing import (
    SHORTEST_EXPRESSION_SECONDS,
    SmoothingSettings,
    smooth_runs,
)
from emotrace.analysis.tracks import FaceTrack, run_starts
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS
from emotrace.timeline import SMOOTHED_FIELDS, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSettings:
    """How a timeline is cut into segments.

    Raises:
        UsageError: A value that cannot work.
    """

    smoothing: SmoothingSettings | None = field(default_factory=SmoothingSettings)
    """Smoothing before the most probable expression is taken; None takes frames as they are."""
    min_duration_seconds: float = SHORTEST_EXPRESSION_SECONDS
    """Shorter stretches are given to a neighbour; 0 keeps them all."""
    max_gap_seconds: float = SHORTEST_EXPRESSION_SECONDS
    """A face that is missing for longer ends its segment; 0 lets any missing frame do so."""

    def __post_init__(self) -> None:
        for name in ("min_duration_seconds", "max_gap_seconds"):
            value = getattr(self, name)
            if not value >= 0:
                raise UsageError(f"expected {name} of at least 0; got {value!r}")


def find_segments(
    table: pa.Table,
    *,
    smoothing: SmoothingSettings | None,
    min_duration_seconds: float = SHORTEST_EXPRESSION_SECONDS,
    max_gap_seconds: float = SHORTEST_EXPRESSION_SECONDS,
    cut_timestamps_seconds: Sequence[float] = (),
    end_seconds: float | None = None,
) -> list[Segment]:
    """Find each face's stretches with one most probable expression.

    Stretches shorter than `min_duration_seconds` go to a neighbour, the shortest first (the
    earliest among equals): to both sides where these agree, else to the side whose expression is
    the more probable within the stretch, else to the earlier one. A face's only stretch between two
    absences stays, however short.

    Every frame of a face lies in exactly one of its segments; segments of one face do not overlap.
    A segment ends where the next decoded frame replaces its last one. It may span an absence of up
    to `max_gap_seconds`, but no shot cut.

    Args:
        table: Rows of `TIMELINE_SCHEMA` in frame order; where it has the columns `adjusted_*` (see
            `emotrace.analysis.baseline`), these take the place of the raw probabilities.
        smoothing: Smoothing before the most probable expression is taken; None for none.
        min_duration_seconds: Shorter stretches are given away; 0 keeps them all.
        max_gap_seconds: A longer absence of the face ends a segment.
        cut_timestamps_seconds: Times of the first frames of new shots.
        end_seconds: When the last frame ends; without it, it is as long as the median frame.

    Returns:
        Segments by face, then by time. `mean_confidence` is the time-weighted mean of the segment's
        expression's *unsmoothed* probability; `peak_timestamp_seconds` is the frame with the
        largest one (the first of equals).

    Raises:
        UsageError: The table is not a timeline in frame order, or a setting cannot work.
    """
    settings = SegmentSettings(
        smoothing=smoothing,
        min_duration_seconds=min_duration_seconds,
        max_gap_seconds=max_gap_seconds,
    )
    segments: list[Segment] = []
    for track in adjusted_tracks(table, end_seconds=end_seconds):
        smoothed = _smooth_track(track, smoothing, cut_timestamps_seconds)
        is_run_start = run_starts(
            track,
            max_gap_seconds=max_gap_seconds,
            cut_timestamps_seconds=cut_timestamps_seconds,
        )
        segments += _segment_track(track, smoothed, is_run_start, settings.min_duration_seconds)
    return segments


def add_smoothed_columns(
    table: pa.Table,
    settings: SmoothingSettings,
    *,
    cut_timestamps_seconds: Sequence[float] = (),
) -> pa.Table:
    """Return the table with `smoothed_emotion` and `smoothed_confidence` at its end.

    They are the most probable expression after smoothing and its smoothed probability; empty in
    rows without a face. All other columns stay as they are. Columns of these names are replaced.

    Args:
        table: Rows of `TIMELINE_SCHEMA` in frame order; its `adjusted_*` columns are smoothed where
            it has them, else the raw ones.
        settings: The smoothing.
        cut_timestamps_seconds: Times of the first frames of new shots; nothing is averaged across.

    Raises:
        UsageError: The table is not a timeline in frame order.
    """
    top = np.zeros(table.num_rows, dtype=np.int8)
    confidence = np.zeros(table.num_rows, dtype=np.float32)
    is_missing = np.ones(table.num_rows, dtype=np.bool_)
    for track in adjusted_tracks(table):
        smoothed = _smooth_track(track, settings, cut_timestamps_seconds)
        top[track.rows] = smoothed.argmax(axis=1)
        confidence[track.rows] = smoothed.max(axis=1)
        is_missing[track.rows] = False
    names = pa.DictionaryArray.from_arrays(pa.array(top, mask=is_missing), list(EMOTIONS))
    emotion_field, confidence_field = SMOOTHED_FIELDS
    kept = table.drop_columns([f.name for f in SMOOTHED_FIELDS if f.name in table.column_names])
    return kept.append_column(emotion_field, names.cast(emotion_field.type)).append_column(
        confidence_field, pa.array(confidence, mask=is_missing)
    )


def _smooth_track(
    track: FaceTrack, settings: SmoothingSettings | None, cut_timestamps_seconds: Sequence[float]
) -> NDArray[np.float64]:
    if settings is None:
        return track.probabilities
    is_run_start = run_starts(
        track,
        max_gap_seconds=settings.max_gap_seconds,
        cut_timestamps_seconds=cut_timestamps_seconds,
    )
    return smooth_runs(
        track.start_seconds, track.probabilities, settings.window_seconds, is_run_start
    )


def _segment_track(
    track: FaceTrack,
    smoothed: NDArray[np.float64],
    is_run_start: NDArray[np.bool_],
    min_duration_seconds: float,
) -> list[Segment]:
    labels = smoothed.argmax(axis=1)
    is_start = is_run_start.copy()
    is_start[1:] |= labels[1:] != labels[:-1]
    pieces = _Pieces(track, smoothed, np.flatnonzero(is_start), labels, is_run_start)
    pieces.absorb_short(min_duration_seconds)
    return [
        _make_segment(track, first, stop, label) for first, stop, label in pieces.first_stop_label()
    ]


def _make_segment(track: FaceTrack, first: int, stop: int, label: int) -> Segment:
    raw = track.probabilities[first:stop, label]
    durations = track.duration_seconds[first:stop]
    weights = durations if durations.sum() > 0 else None
    return Segment(
        face_id=track.face_id,
        start_seconds=float(track.start_seconds[first]),
        end_seconds=float(track.end_seconds[stop - 1]),
        emotion=EMOTIONS[label],
        mean_confidence=float(np.average(raw, weights=weights)),
        peak_timestamp_seconds=float(track.start_seconds[first + int(raw.argmax())]),
    )


class _Pieces:
    """A chain of stretches of one face, in which short ones can be given to their neighbours.

    A linked list and a heap, because a noisy hour has a hundred thousand stretches and absorbing
    one changes its neighbours only.
    """

    def __init__(
        self,
        track: FaceTrack,
        smoothed: NDArray[np.float64],
        first: NDArray[np.int64],
        labels: NDArray[np.int64],
        is_run_start: NDArray[np.bool_],
    ) -> None:
        self._track = track
        count = len(first)
        self._first: list[int] = first.tolist()
        self._stop: list[int] = [*self._first[1:], len(labels)]
        self._label: list[int] = labels[first].tolist()
        run: list[int] = np.cumsum(is_run_start)[first].tolist()
        self._before = [i - 1 if i > 0 and run[i - 1] == run[i] else -1 for i in range(count)]
        self._after = [
            i + 1 if i + 1 < count and run[i + 1] == run[i] else -1 for i in range(count)
        ]
        self._is_alive = [True] * count
        # Sums of probabilities up to each frame, to compare neighbours without a loop over frames.
        self._sums = np.zeros((len(labels) + 1, smoothed.shape[1]))
        np.cumsum(smoothed, axis=0, out=self._sums[1:])

    def absorb_short(self, min_duration_seconds: float) -> None:
        starts: list[float] = self._track.start_seconds.tolist()
        ends: list[float] = self._track.end_seconds.tolist()

        def duration(piece: int) -> float:
            return ends[self._stop[piece] - 1] - starts[self._first[piece]]

        queue = [
            (duration(piece), self._first[piece], piece)
            for piece in range(len(self._first))
            if duration(piece) < min_duration_seconds
        ]
        heapq.heapify(queue)
        while queue:
            queued_duration, queued_first, piece = heapq.heappop(queue)
            is_stale = (
                not self._is_alive[piece]
                or queued_first != self._first[piece]
                or queued_duration != duration(piece)
            )
            if is_stale or (self._before[piece] < 0 and self._after[piece] < 0):
                continue
            grown = self._give_away(piece)
            if duration(grown) < min_duration_seconds:
                heapq.heappush(queue, (duration(grown), self._first[grown], grown))

    def first_stop_label(self) -> list[tuple[int, int, int]]:
        """The stretches left, in time order: first frame, one after the last, expression."""
        return [
            (self._first[piece], self._stop[piece], self._label[piece])
            for piece in range(len(self._first))
            if self._is_alive[piece]
        ]

    def _give_away(self, piece: int) -> int:
        """Give a stretch to a neighbour; return the stretch that has grown."""
        before, after = self._before[piece], self._after[piece]
        if before >= 0 and after >= 0:
            if self._label[before] == self._label[after]:
                self._join(before, piece)
                self._join(before, after)
                return before
            first, stop = self._first[piece], self._stop[piece]
            sums = self._sums[stop] - self._sums[first]
            takes_after = sums[self._label[after]] > sums[self._label[before]]
        else:
            takes_after = before < 0
        if not takes_after:
            self._join(before, piece)
            return before
        self._label[piece] = self._label[after]
        self._join(piece, after)
        return piece

    def _join(self, left: int, right: int) -> None:
        """Make the right one of two adjacent stretches part of the left one."""
        self._stop[left] = self._stop[right]
        self._after[left] = self._after[right]
        if self._after[right] >= 0:
            self._before[self._after[right]] = left
        self._is_alive[right] = False
