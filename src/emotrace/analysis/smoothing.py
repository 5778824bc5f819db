"""Smoothing of probabilities in time: centred for recordings, causal for live use.

Both work on true presentation times, so that a variable frame rate or a missed detection changes
nothing but the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORTEST_EXPRESSION_SECONDS: Final = 0.5
"""The usual lower bound of an ordinary facial expression's length; shorter ones are called micro-
expressions (Matsumoto and Hwang, 2011, "Evidence for training the ability to read microexpressions
of emotion", Motivation and Emotion 35, 181-191: 0.5 to 4 s). The default of the spans of time that
the face may be away."""

WINDOW_SECONDS: Final = 0.2
"""Of the centred window: what comes nearest to keeping expressions of half a second.

`benchmarks/smoothing_on_clips.py`, drawn faces, the default bundle: of 168 expressions of 0.5 s raw
labels miss 7.1 %, 0.2 s 14.3 %, 0.3 s 17.9 %, 0.5 s 25.6 %, 1 s 49.4 %; docs/smoothing.md has all
of it."""

TIME_CONSTANT_SECONDS: Final = 0.05
"""Of the causal one, likewise: 0.05 s misses 10.7 % of them, 0.12 s 17.3 %, 0.25 s 28 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothingSettings:
    """How probabilities are averaged in time.

    Raises:
        UsageError: A value that cannot work.
    """

    window_seconds: float = WINDOW_SECONDS
    """Full width of the centred window."""
    max_gap_seconds: float = SHORTEST_EXPRESSION_SECONDS
    """Frames on two sides of a longer absence of the face are never averaged."""

    def __post_init__(self) -> None:
        _check_positive("window_seconds", self.window_seconds)
        if not self.max_gap_seconds >= 0:
            raise UsageError(
                f"expected max_gap_seconds of at least 0; got {self.max_gap_seconds!r}"
            )


def smooth_centered(
    timestamps_seconds: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    window_seconds: float,
    *,
    max_gap_seconds: float = math.inf,
) -> NDArray[np.float64]:
    """Average one face's probabilities over a window centred on each frame, weighted by time.

    Each sample stands for the time that is nearer to it than to its neighbours (ends of a run
    extend as far outwards as inwards); the result is the mean of that step function over
    `[t - window / 2, t + window / 2]`, cut off where the run ends. It has no delay inside a run,
    does not depend on how densely a stretch was sampled, and keeps rows that sum to 1.

    Args:
        timestamps_seconds: `(n,)`, strictly rising.
        probabilities: `(n, k)` of one face.
        window_seconds: Full width of the window.
        max_gap_seconds: Neighbours further apart than this belong to different runs, which do not
            influence each other.

    Returns:
        `(n, k)` float64.

    Raises:
        UsageError: Shapes that do not fit, times that do not rise, or a window that is not
            positive.

    >>> import numpy as np
    >>> smooth_centered(np.arange(5.0), np.array([[0.0], [0], [1], [0], [0]]), 2.0).ravel().tolist()
    [0.0, 0.25, 0.5, 0.25, 0.0]
    """
    times = np.asarray(timestamps_seconds, dtype=np.float64)
    values = np.asarray(probabilities, dtype=np.float64)
    if times.ndim != 1 or values.ndim != 2 or len(times) != len(values):
        raise UsageError(
            "expected timestamps of shape (n,) and probabilities of shape (n, k); "
            f"got {times.shape} and {values.shape}"
        )
    _check_positive("window_seconds", window_seconds)
    is_start = np.ones(len(times), dtype=np.bool_)
    is_start[1:] = np.diff(times) > max_gap_seconds
    return smooth_runs(times, values, window_seconds, is_start)


def smooth_runs(
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    window_seconds: float,
    is_run_start: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Do what `smooth_centered` does, for runs that the caller has marked.

    Args:
        times: `(n,)` in seconds, strictly rising.
        values: `(n, k)`.
        window_seconds: Full width of the window.
        is_run_start: `(n,)`, True at the first sample of each run.

    Returns:
        `(n, k)` float64.

    Raises:
        UsageError: Times that do not rise.
    """
    count = len(times)
    if count == 0:
        return values.copy()
    steps = np.diff(times)
    if np.any(~(steps > 0)):
        position = int(np.flatnonzero(~(steps > 0))[0])
        raise UsageError(
            "expected times of one face that rise strictly; "
            f"got {times[position + 1]} s after {times[position]} s"
        )
    left, right = _cells(times, steps, is_run_start)
    is_last = np.append(is_run_start[1:], True)
    run = np.cumsum(is_run_start) - 1
    begin = np.maximum(times - window_seconds / 2, left[is_run_start][run])
    end = np.minimum(times + window_seconds / 2, right[is_last][run])
    # The integral of the step function up to any time: whole cells before it plus a part of its
    # own.
    whole = np.zeros((count + 1, values.shape[1]))
    np.cumsum(values * (right - left)[:, None], axis=0, out=whole[1:])

    def integral(at: NDArray[np.float64]) -> NDArray[np.float64]:
        cell = np.clip(np.searchsorted(left, at, side="right") - 1, 0, count - 1)
        return whole[cell] + values[cell] * (at - left[cell])[:, None]

    width = (end - begin)[:, None]
    area = integral(end) - integral(begin)
    smoothed = np.where(width > 0, area / np.where(width > 0, width, 1.0), values)
    # Differences of long sums may leave [0, 1] by a rounding error; a mean cannot.
    return np.clip(smoothed, values.min(axis=0), values.max(axis=0))


def _cells(
    times: NDArray[np.float64], steps: NDArray[np.float64], is_run_start: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`(n,)` each: where the time that a sample stands for begins and ends."""
    joined = ~is_run_start[1:]
    half_before = np.zeros(len(times))
    half_after = np.zeros(len(times))
    half_before[1:][joined] = steps[joined] / 2
    half_after[:-1][joined] = steps[joined] / 2
    is_last = np.append(is_run_start[1:], True)
    left = times - np.where(is_run_start, half_after, half_before)
    right = times + np.where(is_last, half_before, half_after)
    return left, right


class CausalSmoother:
    """Exponential smoothing that knows only the past, for live use; one state per face.

    After `dt` seconds the old state keeps the weight `exp(-dt / time_constant_seconds)`: the result
    does not depend on the frame rate. It lags behind: a slow change arrives `delay_seconds` late (a
    little less at low frame rates), a sudden one has come through to 63 % after as long.

    A face that was away for longer than `max_gap_seconds` starts afresh, and its state is dropped,
    so that memory does not grow with the number of faces seen.

    Raises:
        UsageError: A value that cannot work.

    >>> import numpy as np
    >>> smoother = CausalSmoother(time_constant_seconds=0.25)
    >>> first = smoother.update(1, 0.0, np.array([0.0, 1.0]))
    >>> smoother.update(1, 0.25, np.array([1.0, 0.0])).round(2).tolist()
    [0.63, 0.37]
    """

    def __init__(
        self,
        *,
        time_constant_seconds: float = TIME_CONSTANT_SECONDS,
        max_gap_seconds: float = SHORTEST_EXPRESSION_SECONDS,
    ) -> None:
        _check_positive("time_constant_seconds", time_constant_seconds)
        if not max_gap_seconds >= 0:
            raise UsageError(f"expected max_gap_seconds of at least 0; got {max_gap_seconds!r}")
        self._time_constant_seconds = time_constant_seconds
        self._max_gap_seconds = max_gap_seconds
        self._states: dict[int, tuple[float, NDArray[np.float64]]] = {}

    @property
    def delay_seconds(self) -> float:
        """How late a slow change arrives, at most: the time constant."""
        return self._time_constant_seconds

    def update(
        self, face_id: int, timestamp_seconds: float, probabilities: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Take in one frame of one face and return its smoothed probabilities, `(k,)`.

        Raises:
            UsageError: The time is not later than the face's last one.
        """
        self._forget_before(timestamp_seconds - self._max_gap_seconds)
        values = np.asarray(probabilities, dtype=np.float64)
        known = self._states.get(face_id)
        if known is None:
            smoothed = values.copy()
        else:
            elapsed = timestamp_seconds - known[0]
            if not elapsed > 0:
                raise UsageError(
                    f"expected a time after {known[0]} s for face {face_id}; "
                    f"got {timestamp_seconds} s"
                )
            keep = math.exp(-elapsed / self._time_constant_seconds)
            smoothed = keep * known[1] + (1.0 - keep) * values
        self._states[face_id] = (timestamp_seconds, smoothed)
        return smoothed.copy()

    def _forget_before(self, oldest_seconds: float) -> None:
        stale = [face for face, (seen, _) in self._states.items() if seen < oldest_seconds]
        for face in stale:
            del self._states[face]


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"expected {name} above 0; got {value!r}")
