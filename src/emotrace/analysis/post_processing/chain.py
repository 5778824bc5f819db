"""tzirakis2021's chain with its parameters frozen: median filter, centring, scaling, time shift.

Section 5.2, in this order:

(a) median filter over a window of 0.04 to 20 s;
(b) centring: add the bias, mean of the truth less mean of the predictions;
(c) scaling by the ratio of standard deviations, truth over predictions;
(d) time shift forward by 0.04 to 10 s: what was predicted at t stands at t + shift, as annotators
    react late; the beginning holds the first value.

`emotrace.analysis.post_processing.search` finds the parameters on validation data; they are then
applied unchanged. The text does not say about which value (c) scales: see `ChainSettings`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from emotrace.analysis.post_processing.median import median_filter
from emotrace.analysis.post_processing.timing import (
    check_rate,
    check_rising,
    checked_times,
    even_grid,
    even_step,
    rows_of_groups,
)
from emotrace.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

StepName = Literal["median filter", "centring", "scaling", "time shift"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedStep:
    """What the search found for one step of the chain."""

    name: StepName
    is_kept: bool
    """It raised the validation CCC."""
    value: float | None
    """The best value tried: seconds, bias or ratio; None where the step cannot be done."""
    ccc_before: float
    """Validation CCC with the steps kept so far."""
    ccc_with: float
    """Validation CCC with this one too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostProcessing:
    """The chain for one series, valence or arousal; a step that is None is not done.

    Raises:
        UsageError: A value that cannot work.

    >>> chain = PostProcessing(rate_hz=25.0, bias=0.5, scale=2.0, scale_about=0.5)
    >>> chain.apply([0.0, 0.1], rate_hz=25.0).tolist()
    [0.5, 0.7]
    """

    rate_hz: float
    """Samples a second of the data it was fitted on."""
    median_seconds: float | None = None
    """Full width of the median filter's window."""
    bias: float | None = None
    """Added to every value."""
    scale: float | None = None
    """Distances from `scale_about` are multiplied by it."""
    scale_about: float = 0.0
    shift_seconds: float | None = None
    """How far forward (later) in time values are moved."""
    steps: tuple[FittedStep, ...] = ()
    """How the search came to it; empty where the values were set by hand."""

    def __post_init__(self) -> None:
        check_rate(self.rate_hz)
        for name in ("median_seconds", "scale", "shift_seconds"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"expected {name} above 0, or None; got {value!r}")
        for name in ("bias", "scale_about"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise UsageError(f"expected a finite {name}; got {value!r}")

    @property
    def look_ahead_seconds(self) -> float:
        """How much later than t the predictions are that the value at t depends on; 0 is causal.

        Half the filter's window (it is centred) less the time shift (it delays). On times that are
        not even, up to one step more.
        """
        if self.median_seconds is None:
            return 0.0
        half = (window_samples(self.median_seconds, self.rate_hz) - 1) / 2 / self.rate_hz
        return max(0.0, half - (self.shift_seconds or 0.0))

    @property
    def is_causal(self) -> bool:
        """Whether no value depends on a later prediction, so that it could run live."""
        return self.look_ahead_seconds == 0.0

    def apply(
        self, values: ArrayLike, groups: ArrayLike | None = None, *, rate_hz: float
    ) -> NDArray[np.float64]:
        """Return the processed values of series that are sampled at even steps.

        The filter's window and the shift are kept in seconds, at whatever rate.

        Args:
            values: `(n,)` predictions, no gap among them (see `fill_gaps`).
            groups: `(n,)`: video (and face) of each row, rows of one in the order of time; one
                unless given. Nothing passes from one group to another.
            rate_hz: Samples a second.

        Returns:
            `(n,)`; not cut off at -1 and 1.

        Raises:
            UsageError: Values that are not finite, lengths that differ, or a rate that is not
                positive.
        """
        check_rate(rate_hz)
        given = checked_predictions(values)
        processed = np.empty(len(given))
        for rows in rows_of_groups(groups, len(given)):
            processed[rows] = self._process(given[rows], rate_hz)
        return processed

    def apply_at_times(
        self, values: ArrayLike, timestamps_seconds: ArrayLike, groups: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return the processed values of series at their true times.

        Where a group's times are even (see `EVEN_WITHIN`), this is `apply` at their rate. Where
        they are not (a variable frame rate, lost frames), the group is read off an even grid with
        its median step by linear interpolation, processed there, and read back at its true times.
        A gap is bridged by a straight line: cut a series into groups at gaps that are too long for
        that.

        Args:
            values: `(n,)` predictions.
            timestamps_seconds: `(n,)`, rising within each group.
            groups: As for `apply`.

        Raises:
            UsageError: Values that are not finite, lengths that differ, or times that do not rise.
        """
        given = checked_predictions(values)
        times = checked_times(timestamps_seconds, len(given))
        processed = np.empty(len(given))
        for rows in rows_of_groups(groups, len(given)):
            check_rising(times[rows])
            processed[rows] = self._process_at_times(given[rows], times[rows])
        return processed

    def _process_at_times(
        self, values: NDArray[np.float64], times: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if len(times) < 2:
            return self._process(values, self.rate_hz)
        step = even_step(times)
        if step is not None:
            return self._process(values, 1.0 / step)
        usual = float(np.median(np.diff(times)))
        grid = even_grid(times, usual)
        processed = self._process(np.interp(grid, times, values), 1.0 / usual)
        return np.interp(times, grid, processed)

    def _process(self, series: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
        if self.median_seconds is not None:
            series = median_filter(series, window_samples(self.median_seconds, rate_hz))
        if self.bias is not None:
            series = series + self.bias
        if self.scale is not None:
            series = self.scale_about + (series - self.scale_about) * self.scale
        if self.shift_seconds is not None:
            series = shift_forward(series, round(self.shift_seconds * rate_hz))
        return series


def window_samples(seconds: float, rate_hz: float) -> int:
    """Return the odd number of samples nearest to a window's width; at least 1.

    >>> [window_samples(seconds, 25.0) for seconds in (0.04, 0.12, 0.13, 19.96)]
    [1, 3, 3, 499]
    """
    return max(1, 2 * round((seconds * rate_hz - 1) / 2) + 1)


def shift_forward(series: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """Return `(n,)`: each value so many samples later; the beginning holds the first value.

    >>> shift_forward(np.array([1.0, 2.0, 3.0]), 1).tolist()
    [1.0, 1.0, 2.0]
    """
    places = np.maximum(np.arange(len(series)) - samples, 0)
    return series[places]


def checked_predictions(values: ArrayLike) -> NDArray[np.float64]:
    """Return `(n,)` predictions in 64 bits.

    Raises:
        UsageError: Another shape, or a value that is not finite.
    """
    given = np.asarray(values, np.float64)
    if given.ndim != 1:
        raise UsageError(f"expected predictions of shape (n,); got {given.shape}")
    bad = np.flatnonzero(~np.isfinite(given))
    if len(bad):
        raise UsageError(
            f"expected a prediction in every row; got {given[bad[0]]} in row {bad[0]} and "
            f"{len(bad) - 1} more; fill them with fill_gaps"
        )
    return given
