"""The numbers behind a report's charts: thinned out, capped and small enough to sit in a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.analysis.affect import VALENCE_AROUSAL_NORMS
from emotrace.analysis.smoothing import SHORTEST_EXPRESSION_SECONDS
from emotrace.analysis.tracks import FaceTrack, face_tracks, run_starts
from emotrace.labels import EMOTIONS
from emotrace.video.palette import emotion_color

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from emotrace.timeline import Segment

# Plotly's script alone is 4.8 MB. These bounds keep the charts' data below about 0.6 MB (50 bytes a
# point, 60 a segment), so that a report stays small enough to be mailed.
MAX_FACES: Final = 24
MAX_POINTS: Final = 6000
MAX_SEGMENTS: Final = 2500
MAX_UNCERTAIN: Final = 5000
"""Stretches of uncertain predictions; each is a third of a segment's size."""

_EMPTY: Final = 1
_HELD: Final = 2

DISPLAY_ORDER: Final = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "fear",
    "anger",
    "disgust",
    "contempt",
)
"""Bottom to top in the charts: neutral as the ground, unpleasant expressions together on top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartData:
    """What the page's script draws, and what had to be left out to keep it small."""

    page: dict[str, Any]
    """Valid JSON. Probabilities, valence and arousal in thousandths, times in seconds."""
    face_ids: tuple[int, ...]
    """The faces with charts: those present longest, in the order of their ids."""
    omissions: tuple[str, ...] = field(default_factory=tuple)
    """In plain words."""


def chart_data(
    table: pa.Table, segments: Sequence[Segment], summary: Mapping[str, Any]
) -> ChartData:
    """Collect what the page draws.

    Raises:
        UsageError: The table is not a timeline in frame order.
    """
    start, end = _span(table, summary)
    tracks = face_tracks(table, end_seconds=end)
    shown = sorted(tracks, key=lambda track: (-track.duration_seconds.sum(), track.face_id))
    shown = sorted(shown[:MAX_FACES], key=lambda track: track.face_id)
    omissions = []
    if len(shown) < len(tracks):
        omissions.append(
            f"Charts are shown for the {len(shown)} faces that were present longest, "
            f"of {len(tracks)}."
        )
    cuts = summary.get("shot_cuts_seconds", ())
    threshold = summary["bundle"].get("uncertain_threshold")
    faces = []
    is_thinned = False
    for track in shown:
        points, was_thinned = _points(table, track, MAX_POINTS // len(shown), cuts)
        is_thinned |= was_thinned
        own = [segment for segment in segments if segment.face_id == track.face_id]
        kept = longest_segments(own, MAX_SEGMENTS // len(shown))
        if len(kept) < len(own):
            omissions.append(
                f"The charts of face {track.face_id} show its {len(kept)} longest segments, "
                f"of {len(own)}."
            )
        doubtful = [] if threshold is None else uncertain_stretches(track, threshold)
        marked = _longest(doubtful, MAX_UNCERTAIN // len(shown))
        if len(marked) < len(doubtful):
            omissions.append(
                f"Of face {track.face_id} the {len(marked)} longest stretches of uncertain "
                f"predictions are hatched, of {len(doubtful)}."
            )
        faces.append(
            {
                "id": track.face_id,
                **points,
                "segments": [_segment_row(segment) for segment in kept],
                "uncertain": marked,
                "shares": _shares(summary, track),
            }
        )
    if is_thinned:
        omissions.append(
            "Curves are means over neighbouring frames, for drawing only; "
            "the tables hold every frame."
        )
    page = {
        "start": round(start, 3),
        "end": round(end, 3),
        "hasUncertain": threshold is not None,
        "emotions": list(DISPLAY_ORDER),
        "colors": {name: emotion_color(name) for name in DISPLAY_ORDER},
        "norms": {name: list(VALENCE_AROUSAL_NORMS[name]) for name in DISPLAY_ORDER},
        "faces": faces,
    }
    face_ids = tuple(track.face_id for track in shown)
    return ChartData(page=page, face_ids=face_ids, omissions=tuple(omissions))


def longest_segments(segments: Sequence[Segment], count: int) -> list[Segment]:
    """Return the `count` longest segments, in the order of time."""
    by_length = sorted(segments, key=lambda s: s.start_seconds - s.end_seconds)
    return sorted(by_length[:count], key=lambda s: (s.face_id, s.start_seconds))


def uncertain_stretches(track: FaceTrack, threshold: float) -> list[list[float]]:
    """Return from when to when a face's predictions have a confidence below the threshold.

    Returns:
        `[start, end]` in seconds, in the order of time; an absence of the face ends a stretch.
    """
    is_uncertain = track.probabilities.max(axis=1) < threshold
    goes_on = np.zeros(len(is_uncertain), np.bool_)
    goes_on[1:] = is_uncertain[:-1] & (track.start_seconds[1:] <= track.end_seconds[:-1])
    first = np.flatnonzero(is_uncertain & ~goes_on)
    is_followed = np.append(goes_on[1:] & is_uncertain[1:], False)
    last = np.flatnonzero(is_uncertain & ~is_followed)
    spans = np.stack([track.start_seconds[first], track.end_seconds[last]], axis=1)
    stretches: list[list[float]] = np.round(spans, 3).tolist()
    return stretches


def _longest(stretches: Sequence[list[float]], count: int) -> list[list[float]]:
    return sorted(sorted(stretches, key=lambda one: one[0] - one[1])[:count])


def _span(table: pa.Table, summary: Mapping[str, Any]) -> tuple[float, float]:
    if table.num_rows == 0:
        return 0.0, 0.0
    start = float(table["timestamp"][0].as_py())
    last = float(table["timestamp"][-1].as_py())
    return start, max(last, start + float(summary["input"]["duration_seconds"]))


def _shares(summary: Mapping[str, Any], track: FaceTrack) -> dict[str, float]:
    """Shares of time; of a still image, which has no time, the probabilities themselves."""
    if summary["input"]["is_still_image"]:
        values = track.weights @ track.probabilities
    else:
        top = track.probabilities.argmax(axis=1)
        is_top = top[:, None] == np.arange(len(EMOTIONS))
        values = track.weights @ is_top.astype(np.float64)
    return {name: round(float(values[EMOTIONS.index(name)]), 4) for name in DISPLAY_ORDER}


def _segment_row(segment: Segment) -> list[float]:
    return [
        round(segment.start_seconds, 3),
        round(segment.end_seconds, 3),
        DISPLAY_ORDER.index(segment.emotion),
        round(segment.mean_confidence, 3),
        round(segment.peak_timestamp_seconds, 3),
    ]


def _points(
    table: pa.Table, track: FaceTrack, max_points: int, cuts: Sequence[float]
) -> tuple[dict[str, Any], bool]:
    """One face's curves, and whether they had to be thinned out.

    Returns:
        `t` (seconds), `p` (8 lists in display order), `v`, `a` (thousandths or None) and `edge`: 0
        for a measured point, 1 for an empty one where an absence begins or ends, 2 for one that
        repeats the last measured one where its frame ends.
    """
    count = len(track.rows)
    # Absences shorter than an expression are drawn over; where a face flickers in and out so often
    # that the edges alone would fill the page, longer ones are too.
    gap = SHORTEST_EXPRESSION_SECONDS
    is_run_start = run_starts(track, max_gap_seconds=gap, cut_timestamps_seconds=cuts)
    while is_run_start.sum() > max(8, max_points // 3):
        gap *= 2
        is_run_start = run_starts(track, max_gap_seconds=gap)
    stride = -(-count // max_points)
    run = np.cumsum(is_run_start) - 1
    position = np.arange(count) - np.flatnonzero(is_run_start)[run]
    bins = np.flatnonzero(position % stride == 0)
    sizes = np.diff(np.append(bins, count))
    affect = np.stack([table[name].take(track.rows).to_numpy() for name in ("valence", "arousal")])
    order = [EMOTIONS.index(name) for name in DISPLAY_ORDER]
    measured = np.zeros(count)
    columns = np.vstack([track.start_seconds, track.probabilities[:, order].T, affect, measured])
    means = np.add.reduceat(columns, bins, axis=1) / sizes
    curves = _with_edges(means, is_run_start[bins], track, is_run_start)
    thousandths = [_thousandths(row) for row in curves[1:-1]]
    points = {
        "t": np.round(curves[0], 3).tolist(),
        "p": thousandths[:8],
        "v": thousandths[8],
        "a": thousandths[9],
        "edge": curves[-1].astype(int).tolist(),
    }
    return points, stride > 1


def _with_edges(
    means: NDArray[np.float64],
    is_first_of_run: NDArray[np.bool_],
    track: FaceTrack,
    is_run_start: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Hold each run's last frame for as long as it was shown, and put an empty point at each edge.

    The last row of `means` and of what is returned says of each point what it is.
    """
    starts = track.start_seconds[is_run_start]
    ends = track.end_seconds[np.append(is_run_start[1:], True)]
    first = np.flatnonzero(is_first_of_run)
    after = np.append(first[1:], means.shape[1])
    held = means[:, after - 1]
    closing, opening = np.full_like(held, np.nan), np.full_like(held, np.nan)
    held[0], closing[0], opening[0] = ends, ends, starts
    held[-1], closing[-1], opening[-1] = _HELD, _EMPTY, _EMPTY
    added = np.hstack([held, closing, opening])
    at = np.concatenate([after, after, first])
    # np.insert keeps the given order at equal positions: by time, one run closes before the next
    # opens, also where both happen at once (lexsort is stable).
    by_position_and_time = np.lexsort((added[0], at))
    return np.insert(means, at[by_position_and_time], added[:, by_position_and_time], axis=1)


def _thousandths(values: NDArray[np.float64]) -> list[int | None]:
    return [None if np.isnan(value) else round(value * 1000) for value in values.tolist()]
