"""The per-person neutral baseline: take a face's own resting expression out of its predictions.

Some people look sad, stern or pleased while nothing moves in their faces, and a model that judges
each picture by itself says so in every frame. Psychologists therefore record a baseline, some
seconds at rest, and report what departs from it; controlling for it is recommended practice in the
scoring of expressions (Olderbak, Hildebrandt, Pinkpank, Sommer and Wilhelm 2013, "Psychometric
challenges and proposed solutions when scoring facial emotion expression codes", Behavior Research
Methods 46, 992-1006).

**What is done.** Over the resting frames of one face, r is the mean of the log probabilities,
weighted by time. An expression k that comes too near to neutral at rest is held down in *every*
frame of that face:

    shift_k = min(most, max(0, r_k - r_neutral + log lead)) * T / (T + T0),   T seconds of rest
    log p'_k = log p_k - shift_k, then scaled to sum to 1

so that at rest neutral leads each other expression by the factor `lead`. The factor with T draws
what rests on little evidence towards no change. Nothing is ever raised at the cost of neutral: a
face whose rest is read as neutral already stays as it is. This is ours; normalising action units by
a person's median (Baltrusaitis, Mahmoud and Robinson 2015, "Cross-dataset learning and
person-specific normalisation for automatic action unit detection", FERA) is the same idea for
intensities.

**What it cannot know.** A person who is sad throughout and one whose rest looks sad give the same
pictures. State the seconds of rest (`reference_seconds`) wherever you know them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from emotrace.analysis.smoothing import SHORTEST_EXPRESSION_SECONDS, smooth_runs
from emotrace.analysis.tracks import FaceTrack, face_tracks, run_starts
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS
from emotrace.timeline import ADJUSTED_FIELDS, SMOOTHED_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

NEUTRAL: Final = EMOTIONS.index("neutral")
LEAST_PROBABILITY: Final = 1e-4
"""Smaller probabilities count as this: their logarithms would rule every mean."""
_MOST_STRETCHES: Final = 10
"""A summary lists this many of the longest stretches of rest, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSettings:
    """How each face's resting expression is estimated and taken out.

    Raises:
        UsageError: A value that cannot work.
    """

    reference_seconds: tuple[float, float] | None = None
    """From and to: seconds of the video in which the faces are known to be at rest. None takes, of
    each face, the share of its time in which it looks most neutral."""
    rest_share: float = 0.25
    """That share."""
    min_face_seconds: float = 10.0
    """Without known seconds of rest, a face that is seen for less is not adjusted: in so little
    time it may not have been at rest at all."""
    lead: float = 2.0
    """At rest, neutral is made this many times as probable as any other expression."""
    max_shift: float = 3.0
    """No expression is held down by more than this, in units of log probability."""
    shrink_seconds: float = 1.0
    """With so many seconds of rest, half of the shift is made; with more, more of it."""

    def __post_init__(self) -> None:
        if self.reference_seconds is not None:
            start, end = self.reference_seconds
            if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end):
                raise UsageError(
                    f"expected seconds of rest from 0 on, START before END; got {start:g} {end:g}"
                )
        if not 0 < self.rest_share <= 1:
            raise UsageError(f"expected rest_share above 0, at most 1; got {self.rest_share!r}")
        if not (math.isfinite(self.lead) and self.lead > 0):
            raise UsageError(f"expected lead above 0; got {self.lead!r}")
        for name in ("min_face_seconds", "max_shift", "shrink_seconds"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"expected {name} of at least 0; got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceBaseline:
    """The resting expression of one face."""

    face_id: int
    stretches_seconds: tuple[tuple[float, float], ...]
    """From which stretches it was estimated: from, to; empty where it was not."""
    rest_seconds: float
    """How long they are together."""
    resting_probabilities: NDArray[np.float64] | None
    """`(8,)`: the geometric mean at rest, summing to 1; None where there is no estimate."""
    shift: NDArray[np.float64]
    """`(8,)`, 0 or more: what is taken from each log probability; neutral's is 0."""
    reason: str | None = None
    """Why there is no estimate; None where there is one."""


def estimate_baselines(
    table: pa.Table,
    settings: BaselineSettings,
    *,
    cut_timestamps_seconds: Sequence[float] = (),
) -> dict[int, FaceBaseline]:
    """Estimate the resting expression of each face of a timeline.

    Args:
        table: Rows of `TIMELINE_SCHEMA` in frame order; its raw probabilities are read.
        settings: How.
        cut_timestamps_seconds: Times of the first frames of new shots.

    Returns:
        One baseline for each `face_id`, those without an estimate too (their shift is 0).

    Raises:
        UsageError: The table is not a timeline in frame order.
    """
    return {
        track.face_id: _estimate(track, settings, cut_timestamps_seconds)
        for track in face_tracks(table)
    }


def subtract_baseline(
    probabilities: NDArray[np.floating], shift: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Hold expressions down by `shift`.

    Args:
        probabilities: `(n, k)`, rows summing to 1.
        shift: `(k,)`, in units of log probability.

    Returns:
        `(n, k)` float64, rows summing to 1; the rows themselves where the shift is 0.

    >>> import numpy as np
    >>> row = subtract_baseline(np.array([[0.6, 0.3, 0.1]]), np.log([4.0, 1.0, 1.0]))
    >>> row.round(3).tolist()
    [[0.273, 0.545, 0.182]]
    """
    values = np.asarray(probabilities, np.float64)
    if not np.any(shift):
        return values.copy()
    held: NDArray[np.float64] = values * np.exp(-np.asarray(shift, np.float64))
    held /= held.sum(axis=1, keepdims=True)
    return held


def add_adjusted_columns(table: pa.Table, baselines: Mapping[int, FaceBaseline]) -> pa.Table:
    """Return the table with the columns `adjusted_*` at its end.

    They hold the most probable expression after the face's baseline is taken out, its probability
    and all eight; of a face without a baseline, what the raw columns hold; nothing in rows without
    a face. All raw columns stay as they are. Older columns of these names are replaced, and
    smoothed ones dropped: they spoke of other probabilities.

    Args:
        table: Rows of `TIMELINE_SCHEMA` in frame order.
        baselines: By `face_id`; from `estimate_baselines`, of this video or of another recording
            of the same people.

    Raises:
        UsageError: The table is not a timeline in frame order.
    """
    values = np.zeros((table.num_rows, len(EMOTIONS)))
    is_missing = np.ones(table.num_rows, np.bool_)
    for track in face_tracks(table):
        baseline = baselines.get(track.face_id)
        adjusted = track.probabilities
        if baseline is not None:
            adjusted = subtract_baseline(adjusted, baseline.shift)
        values[track.rows] = adjusted
        is_missing[track.rows] = False
    names = pa.DictionaryArray.from_arrays(
        pa.array(values.argmax(axis=1).astype(np.int8), mask=is_missing), list(EMOTIONS)
    )
    columns = [names.cast(pa.string())]
    columns += [
        pa.array(column.astype(np.float32), mask=is_missing)
        for column in (values.max(axis=1), *values.T)
    ]
    replaced = {field.name for field in (*ADJUSTED_FIELDS, *SMOOTHED_FIELDS)}
    kept = table.drop_columns([name for name in table.column_names if name in replaced])
    for field, column in zip(ADJUSTED_FIELDS, columns, strict=True):
        kept = kept.append_column(field, column)
    return kept


def adjusted_tracks(table: pa.Table, *, end_seconds: float | None = None) -> list[FaceTrack]:
    """Do what `face_tracks` does, with the adjusted probabilities where the table has them.

    Raises:
        UsageError: As `face_tracks`.
    """
    tracks = face_tracks(table, end_seconds=end_seconds)
    names = [field.name for field in ADJUSTED_FIELDS[2:]]
    if not all(name in table.column_names for name in names):
        return tracks
    values = np.stack([table[name].to_numpy().astype(np.float64) for name in names], axis=1)
    return [dataclasses.replace(track, probabilities=values[track.rows]) for track in tracks]


def note_baselines(
    summary: dict[str, Any], table: pa.Table, baselines: Mapping[int, FaceBaseline]
) -> None:
    """Write into a summary what was estimated from when, and what it changes.

    Each of `faces` gets `baseline`, `notices` gets one sentence.

    Args:
        summary: From `emotrace.analysis.summary.summarize`; changed.
        table: With the columns `adjusted_*`.
        baselines: That made them.
    """
    tracks = {track.face_id: track for track in adjusted_tracks(table)}
    for face in summary["faces"]:
        face_id = face["face_id"]
        face["baseline"] = _describe(baselines[face_id], tracks[face_id])
    adjusted = sum(bool(np.any(one.shift)) for one in baselines.values())
    unknown = sum(one.reason is not None for one in baselines.values())
    notice = (
        "segments and the columns 'adjusted_*' and 'smoothed_*' are relative to each face's "
        f"resting expression; this changes {adjusted} of {len(baselines)} faces"
    )
    if unknown:
        notice += f" ({unknown} without an estimate; 'baseline' in summary.json says why)"
    summary["notices"].append(notice)


def _describe(baseline: FaceBaseline, track: FaceTrack) -> dict[str, Any]:
    resting = baseline.resting_probabilities
    longest = sorted(baseline.stretches_seconds, key=lambda one: one[0] - one[1])
    shares = np.bincount(
        track.probabilities.argmax(axis=1), weights=track.weights, minlength=len(EMOTIONS)
    )
    return {
        "is_adjusted": bool(np.any(baseline.shift)),
        "reason": baseline.reason,
        "rest_seconds": baseline.rest_seconds,
        "stretches": len(baseline.stretches_seconds),
        "longest_stretches_seconds": [list(one) for one in sorted(longest[:_MOST_STRETCHES])],
        "resting_probabilities": None if resting is None else _named(resting),
        "taken_from_log_probabilities": _named(baseline.shift),
        "adjusted_emotion_time_shares": _named(shares),
    }


def _named(values: NDArray[Any]) -> dict[str, float]:
    return dict(zip(EMOTIONS, values.tolist(), strict=True))


def _estimate(
    track: FaceTrack, settings: BaselineSettings, cut_timestamps_seconds: Sequence[float]
) -> FaceBaseline:
    logs = np.log(np.maximum(track.probabilities, LEAST_PROBABILITY))
    is_rest, reason = _resting_frames(track, logs, settings, cut_timestamps_seconds)
    if reason is not None:
        return FaceBaseline(
            face_id=track.face_id,
            stretches_seconds=(),
            rest_seconds=0.0,
            resting_probabilities=None,
            shift=np.zeros(len(EMOTIONS)),
            reason=reason,
        )
    durations = track.duration_seconds[is_rest]
    seconds = float(durations.sum())
    resting = np.average(logs[is_rest], axis=0, weights=durations)
    shift = np.clip(
        resting - resting[NEUTRAL] + math.log(settings.lead), 0.0, settings.max_shift
    ) * (seconds / (seconds + settings.shrink_seconds))
    shift[NEUTRAL] = 0.0
    spread = np.exp(resting)
    return FaceBaseline(
        face_id=track.face_id,
        stretches_seconds=_stretches(track, is_rest),
        rest_seconds=seconds,
        resting_probabilities=spread / spread.sum(),
        shift=shift,
    )


def _resting_frames(
    track: FaceTrack,
    logs: NDArray[np.float64],
    settings: BaselineSettings,
    cut_timestamps_seconds: Sequence[float],
) -> tuple[NDArray[np.bool_], str | None]:
    """Return `(n,)` bool, and why there are none where there are none."""
    durations = track.duration_seconds
    if settings.reference_seconds is not None:
        start, end = settings.reference_seconds
        inside = (track.start_seconds >= start) & (track.start_seconds < end)
        is_seen = bool(durations[inside].sum() > 0)
        return inside, None if is_seen else f"not seen from {start:g} to {end:g} s"
    total = float(durations.sum())
    if total < settings.min_face_seconds or total <= 0:
        return np.zeros(len(durations), np.bool_), (
            f"seen for {total:.1f} s, less than {settings.min_face_seconds:g} s"
        )
    # Smoothed, so that rest means a stretch and not the luckiest single frames.
    runs = run_starts(
        track,
        max_gap_seconds=SHORTEST_EXPRESSION_SECONDS,
        cut_timestamps_seconds=cut_timestamps_seconds,
    )
    neutral = smooth_runs(
        track.start_seconds, logs[:, [NEUTRAL]], SHORTEST_EXPRESSION_SECONDS, runs
    )[:, 0]
    order = np.argsort(-neutral, kind="stable")
    taken = np.cumsum(durations[order]) - durations[order] < settings.rest_share * total
    is_rest = np.zeros(len(durations), np.bool_)
    is_rest[order[taken]] = True
    return is_rest, None


def _stretches(track: FaceTrack, is_rest: NDArray[np.bool_]) -> tuple[tuple[float, float], ...]:
    """Join frames of rest that follow one another."""
    at = np.flatnonzero(is_rest)
    breaks = np.flatnonzero(np.diff(at) > 1)
    firsts = at[np.concatenate([[0], breaks + 1])]
    lasts = at[np.concatenate([breaks, [len(at) - 1]])]
    return tuple(
        (float(track.start_seconds[first]), float(track.end_seconds[last]))
        for first, last in zip(firsts, lasts, strict=True)
    )
