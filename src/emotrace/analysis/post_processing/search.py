"""Find tzirakis2021's chain on validation data: which steps to keep, with which parameters.

Section 5.2: each step is tried in order, and kept when the validation CCC is better with it. The
parameters are then applied to the test part unchanged.

**The CCC after the search is not a result.** Some 500 chains were compared on the same data, and
the best of many looks better than it is. Report the CCC of other recordings, of other people.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from emotrace.analysis.post_processing.chain import (
    FittedStep,
    PostProcessing,
    StepName,
    checked_predictions,
)
from emotrace.analysis.post_processing.median import every_median
from emotrace.analysis.post_processing.timing import check_rate, rows_of_groups
from emotrace.errors import UsageError
from emotrace.metrics import paired_moments

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

LEAST_GAIN: Final = 1e-9
"""A CCC that is higher by less is not better: it is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSettings:
    """What the search tries; the defaults are tzirakis2021's.

    Raises:
        UsageError: A value that cannot work.
    """

    median_seconds: tuple[float, float] | None = (0.04, 20.0)
    """Shortest and longest window; every odd number of samples within is tried. None: no filter."""
    shift_seconds: tuple[float, float] | None = (0.04, 10.0)
    """Shortest and longest shift; every number of samples within is tried. None: no shift."""
    scale_about: Literal["mean", "zero"] = "mean"
    """What stays in place when predictions are scaled. The paper does not say. `mean`: their mean,
    so that scaling does not undo the centring. `zero`: plain multiplication, as in the scripts of
    the AVEC 2018 challenge, whose chain this is; it moves the mean wherever that is not 0."""
    criterion: Literal["whole_set", "mean_per_group"] = "whole_set"
    """The CCC to raise: over all recordings as one series, or the mean of each recording's. The
    paper does not say which; AVEC 2018 ranked by the mean."""

    def __post_init__(self) -> None:
        for name in ("median_seconds", "shift_seconds"):
            limits = getattr(self, name)
            if limits is not None and not (0 < limits[0] <= limits[1] < math.inf):
                raise UsageError(f"expected {name} as (shortest, longest) above 0; got {limits}")
        if self.scale_about not in ("mean", "zero"):
            raise UsageError(f"expected scale_about mean or zero; got {self.scale_about!r}")
        if self.criterion not in ("whole_set", "mean_per_group"):
            raise UsageError(
                f"expected criterion whole_set or mean_per_group; got {self.criterion!r}"
            )


def fit_chain(
    truth: ArrayLike,
    predictions: ArrayLike,
    groups: ArrayLike,
    rate_hz: float,
    *,
    settings: ChainSettings | None = None,
) -> PostProcessing:
    """Fit the chain for one dimension on validation recordings.

    Every window and every shift in the ranges is tried, none skipped.

    Args:
        truth: `(n,)`: annotated valence or arousal; NaN where a frame is not annotated (it is not
            scored, but its prediction takes part in the filter).
        predictions: `(n,)`, none missing (see `fill_gaps`).
        groups: `(n,)`: the recording of each row, numbers or names; rows of one in the order of
            time at equal steps (see `resample_evenly` where they are not).
        rate_hz: Samples a second; 25 for RECOLA.
        settings: What to try.

    Returns:
        The chain; `steps` says what each step brought.

    Raises:
        UsageError: Lengths that differ, a missing prediction, or fewer than two annotated rows.
    """
    search = _Search(truth, predictions, groups, rate_hz, settings or ChainSettings())
    chain = PostProcessing(rate_hz=float(rate_hz))
    best = search.score(search.predictions)
    steps = []
    for name, propose in search.proposals():
        proposal = propose(chain)
        value, ccc = None, best
        if proposal is not None:
            candidate, value = proposal
            ccc = search.score(candidate.apply(search.predictions, search.groups, rate_hz=rate_hz))
        is_kept = proposal is not None and ccc > best + LEAST_GAIN
        steps.append(
            FittedStep(name=name, is_kept=is_kept, value=value, ccc_before=best, ccc_with=ccc)
        )
        if proposal is not None and is_kept:
            chain, best = proposal[0], ccc
    return dataclasses.replace(chain, steps=tuple(steps))


_Proposal = tuple[PostProcessing, float] | None
"""The chain with one more step and the value found for it; None where it cannot be done."""


class _Search:
    """The validation data, and the best value of each step on it."""

    def __init__(
        self,
        truth: ArrayLike,
        predictions: ArrayLike,
        groups: ArrayLike,
        rate_hz: float,
        settings: ChainSettings,
    ) -> None:
        check_rate(rate_hz)
        self.predictions = checked_predictions(predictions)
        self.truth = np.asarray(truth, np.float64)
        self.groups = np.asarray(groups)
        self.rate_hz, self.settings = rate_hz, settings
        if not (self.truth.shape == self.predictions.shape == self.groups.shape):
            raise UsageError(
                "expected truth, predictions and groups of shape (n,); got "
                f"{self.truth.shape}, {self.predictions.shape} and {self.groups.shape}"
            )
        self.known = ~np.isnan(self.truth)
        self.series = rows_of_groups(self.groups, len(self.truth))
        most = max((np.count_nonzero(self.known[rows]) for rows in self.series), default=0)
        if most < 2:
            raise UsageError(
                "expected a recording with at least 2 annotated rows to fit on; "
                f"got {most} at the most"
            )

    def score(self, values: NDArray[np.float64]) -> float:
        """Return the criterion of processed predictions."""
        known = self.known
        groups = None if self.settings.criterion == "whole_set" else self.groups[known]
        found = paired_moments(self.truth[known], values[known], groups).concordance()
        return float(np.nanmean(found))

    def proposals(self) -> tuple[tuple[StepName, Callable[[PostProcessing], _Proposal]], ...]:
        """Return the steps in the paper's order, and what finds the best value of each."""
        return (
            ("median filter", self._propose_median),
            ("centring", self._propose_centring),
            ("scaling", self._propose_scaling),
            ("time shift", self._propose_shift),
        )

    def _propose_median(self, chain: PostProcessing) -> _Proposal:
        shortest, longest = _samples_within(self.settings.median_seconds, self.rate_hz)
        smallest, largest = max(3, shortest + (shortest + 1) % 2), longest - (longest + 1) % 2
        if largest < smallest:
            return None
        sums = _CandidateSums(self, self.predictions, largest // 2 + 1)
        for at, rows in enumerate(self.series):
            for place, medians in every_median(self.predictions[rows], largest):
                sums.add(at, rows[place], medians)
        scores = sums.scores()[smallest // 2 :]
        seconds = (smallest + 2 * int(np.argmax(scores))) / self.rate_hz
        return dataclasses.replace(chain, median_seconds=seconds), seconds

    def _propose_centring(self, chain: PostProcessing) -> _Proposal:
        known = self.known
        bias = float(self.truth[known].mean() - self._processed(chain)[known].mean())
        return dataclasses.replace(chain, bias=bias), bias

    def _propose_scaling(self, chain: PostProcessing) -> _Proposal:
        values = self._processed(chain)[self.known]
        spread, wanted = float(values.std()), float(self.truth[self.known].std())
        ratio = wanted / spread if spread > 0 else math.inf
        if not 0 < ratio < math.inf:
            return None
        about = float(values.mean()) if self.settings.scale_about == "mean" else 0.0
        return dataclasses.replace(chain, scale=ratio, scale_about=about), ratio

    def _propose_shift(self, chain: PostProcessing) -> _Proposal:
        shortest, longest = _samples_within(self.settings.shift_seconds, self.rate_hz)
        shortest = max(1, shortest)
        if longest < shortest:
            return None
        values = self._processed(chain)
        sums = _CandidateSums(self, values, longest + 1)
        for at, rows in enumerate(self.series):
            series = values[rows]
            held = np.concatenate([np.full(longest, series[0]), series])
            # Row k is the series k samples later.
            later = np.lib.stride_tricks.sliding_window_view(held, len(series))[::-1]
            sums.add(at, rows, later)
        scores = sums.scores()[shortest:]
        seconds = (shortest + int(np.argmax(scores))) / self.rate_hz
        return dataclasses.replace(chain, shift_seconds=seconds), seconds

    def _processed(self, chain: PostProcessing) -> NDArray[np.float64]:
        return chain.apply(self.predictions, self.groups, rate_hz=self.rate_hz)


class _CandidateSums:
    """The CCC of many candidates at once, from sums over each recording.

    Sums are taken about the means over all recordings, so that nothing is lost in differences.
    """

    def __init__(self, search: _Search, values: NDArray[np.float64], candidates: int) -> None:
        known = search.known
        self.criterion = search.settings.criterion
        self.weights = known.astype(np.float64)
        self.truth = np.where(known, search.truth - search.truth[known].mean(), 0.0)
        self.offset = float(values[known].mean())
        self.bias = self.offset - float(search.truth[known].mean())
        shape = (len(search.series), candidates)
        self.sums, self.squares, self.products = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        own = [(self.weights[rows], self.truth[rows]) for rows in search.series]
        self.count = np.array([weights.sum() for weights, _ in own])
        self.truth_sums = np.array([truth.sum() for _, truth in own])
        self.truth_squares = np.array([truth @ truth for _, truth in own])

    def add(self, recording: int, rows: NDArray[np.int64], candidates: NDArray[np.float64]) -> None:
        """Add rows of one recording: `(candidates, rows)` processed values."""
        values = candidates - self.offset
        self.sums[recording] += values @ self.weights[rows]
        self.products[recording] += values @ self.truth[rows]
        np.multiply(values, values, out=values)
        self.squares[recording] += values @ self.weights[rows]

    def scores(self) -> NDArray[np.float64]:
        """Return `(candidates,)`: the criterion."""
        parts = (
            self.count[:, None],
            self.truth_sums[:, None],
            self.truth_squares[:, None],
            self.sums,
            self.squares,
            self.products,
        )
        if self.criterion == "whole_set":
            parts = tuple(part.sum(axis=0, keepdims=True) for part in parts)
        is_measured = parts[0][:, 0] >= 2
        count, *rest = (part[is_measured] for part in parts)
        truth, truth_squares, mean, squares, products = (part / count for part in rest)
        spread = (squares - mean**2) + (truth_squares - truth**2) + (mean - truth + self.bias) ** 2
        agreement = 2 * (products - mean * truth)
        ccc = np.where(spread > 0, agreement / np.where(spread > 0, spread, 1.0), 1.0)
        scores: NDArray[np.float64] = ccc.mean(axis=0)
        return scores


def _samples_within(limits: tuple[float, float] | None, rate_hz: float) -> tuple[int, int]:
    """Return the smallest and largest number of samples within limits in seconds."""
    if limits is None:
        return 1, 0
    # 0.04 s at 25 Hz is one sample, whatever rounding makes of it.
    return math.ceil(limits[0] * rate_hz - 1e-9), math.floor(limits[1] * rate_hz + 1e-9)
