"""Measures of continuous predictions, valence and arousal above all: CCC, Pearson's, RMSE.

Three numbers go by the name of "the CCC" of a data set, and they differ:

- over the *whole set*: all frames of all videos as one series (`concordance_correlation`);
- the *mean over videos*: each video on its own, then the mean (`score_regression`). Differences
  between videos do not help here, so it is usually lower;
- the mean over *shuffled batches*, which rangulov2020's authors computed
  (`concordance_over_shuffled_batches`): depends on the size of the batch and on the shuffle, and is
  offered only to be set beside theirs.

All of it works on sums over each group (`PairedMoments`), so that thousands of bootstrap draws over
whole videos cost no more than a few passes over the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.errors import UsageError
from emotrace.metrics.bootstrap import (
    PairedDifference,
    draw_groups,
    percentile_interval,
    summarize_differences,
)
from emotrace.metrics.moments import MEASURES, PairedMoments, checked_pair, paired_moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_DRAWS_AT_ONCE: Final = 256
"""Bootstrap draws in one array: bounds memory at 256 times the number of groups."""


def concordance_correlation(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the concordance correlation coefficient, how near the points lie to the line y = x.

    Lin (1989), "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45,
    255-268; rangulov2020, equation 2: 2 s_xy / (s_x^2 + s_y^2 + (mean_x - mean_y)^2), with
    variances and covariance divided by n as Lin does (dividing by n - 1 gives another number for
    short series).

    Where a series does not move: 0 if one is constant, or both are and differ (this is what the
    formula gives); 1 if both are the same constant (0 / 0 there; every point lies on the line).

    Args:
        truth: `(n,)`.
        predicted: `(n,)`.

    Returns:
        In [-1, 1]: 1 for equal series; NaN for fewer than two rows.

    Raises:
        UsageError: Lengths that differ, or a value that is not finite.

    >>> concordance_correlation([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    >>> round(concordance_correlation([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]), 3)  # only a bias of 1
    0.571
    """
    return _single(paired_moments(truth, predicted).concordance())


def pearson_correlation(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return Pearson's correlation of two `(n,)` series: blind to bias and scale, unlike the CCC.

    Returns:
        In [-1, 1]; NaN where a series is constant or has fewer than two rows.

    Raises:
        UsageError: Lengths that differ, or a value that is not finite.

    >>> round(pearson_correlation([1.0, 2.0, 3.0], [20.0, 30.0, 40.0]), 3)
    1.0
    """
    return _single(paired_moments(truth, predicted).pearson())


def root_mean_squared_error(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the root of the mean squared difference of two `(n,)` series; NaN for n = 0.

    Raises:
        UsageError: Lengths that differ, or a value that is not finite.

    >>> root_mean_squared_error([0.0, 0.0], [3.0, 4.0])
    3.5355339059327378
    """
    return _single(paired_moments(truth, predicted).rmse())


def concordance_over_shuffled_batches(
    truth: ArrayLike, predicted: ArrayLike, *, batch_size: int, seed: int = 0
) -> float:
    """Return the mean CCC of batches of shuffled rows, the number that rangulov2020 reports.

    Its authors averaged the CCC over shuffled batches (of 64 for the CNN, 128 for the recurrent
    nets). That is neither the CCC over the set nor that of videos: it changes with `batch_size` and
    `seed`, and is biased towards 0 in small batches. Report it only beside theirs.

    Args:
        truth: `(n,)`.
        predicted: `(n,)`.
        batch_size: Rows in a batch; the last one may be smaller (left out if a single row).
        seed: Of the shuffle.

    Raises:
        UsageError: Lengths that differ, a value that is not finite, or batches below two rows.
    """
    if batch_size < 2:
        raise UsageError(f"expected batch_size of at least 2; got {batch_size}")
    true, guess = checked_pair(truth, predicted)
    place = np.random.default_rng(seed).permutation(len(true))
    batches = paired_moments(true, guess, place // batch_size).concordance()
    return float(np.nanmean(batches)) if np.isfinite(batches).any() else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureScores:
    """One measure over the whole set and as the mean over groups, with intervals over groups."""

    whole_set: float
    """All rows as one series."""
    whole_set_interval: tuple[float, float] | None
    """None with fewer than two groups: there is nothing to draw from."""
    group_mean: float
    """Mean over the groups in which the measure is defined."""
    group_mean_interval: tuple[float, float] | None
    groups_measured: int
    """Groups in which it is defined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionScores:
    """How well a series is predicted; `docs/metrics.md` says what to report."""

    row_count: int
    group_count: int
    level: float
    """Of the intervals."""
    measures: dict[str, MeasureScores]
    """By the names in `MEASURES`."""
    per_group: dict[str, dict[str, float]]
    """For each group `n` and each measure."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, rounded to six decimals; None for what is not defined."""
        return {
            "n": self.row_count,
            "groups": self.group_count,
            "level": self.level,
            **{
                name: {
                    "whole_set": _plain(scores.whole_set),
                    "whole_set_interval": _plain_interval(scores.whole_set_interval),
                    "group_mean": _plain(scores.group_mean),
                    "group_mean_interval": _plain_interval(scores.group_mean_interval),
                    "groups_measured": scores.groups_measured,
                }
                for name, scores in self.measures.items()
            },
            "per_group": {
                group: {name: _plain(value) for name, value in values.items()}
                for group, values in self.per_group.items()
            },
        }


def score_regression(
    truth: ArrayLike,
    predicted: ArrayLike,
    groups: ArrayLike,
    *,
    repeats: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> RegressionScores:
    """Measure a prediction over the whole set and group by group, with bootstrap intervals.

    The intervals draw whole groups again (see `bootstrap_over_groups`). One of them is NaN where
    the measure of some draw is not defined.

    Args:
        truth: `(n,)`: valence or arousal.
        predicted: `(n,)`.
        groups: `(n,)`: the video or subject of each row, numbers or names.
        repeats: Bootstrap draws.
        level: Of the intervals.
        seed: Of the draws.

    Raises:
        UsageError: No row, lengths that differ, or a value that is not finite.

    >>> scores = score_regression([0.0, 1.0, 4.0, 5.0], [0.0, 1.0, 4.5, 4.5], ["a", "a", "b", "b"])
    >>> round(scores.measures["ccc"].whole_set, 3), scores.per_group["b"]["ccc"]
    (0.985, 0.0)
    """
    moments = paired_moments(truth, predicted, groups)
    names = np.unique(np.asarray(groups))
    if not len(names):
        raise UsageError("expected at least one row to measure; got none")
    whole = moments.pooled(np.arange(len(names))[None])
    drawn = _drawn_measures(moments, repeats, seed) if len(names) > 1 else None

    def drawn_interval(name: str, row: int) -> tuple[float, float] | None:
        return None if drawn is None else percentile_interval(drawn[name][row], level)

    measures = {}
    for name in MEASURES:
        values = moments.measure(name)
        measures[name] = MeasureScores(
            whole_set=_single(whole.measure(name)),
            whole_set_interval=drawn_interval(name, 0),
            group_mean=_nan_mean(values),
            group_mean_interval=drawn_interval(name, 1),
            groups_measured=int(np.isfinite(values).sum()),
        )
    columns = {"n": moments.count, **{name: moments.measure(name) for name in MEASURES}}
    return RegressionScores(
        row_count=int(moments.count.sum()),
        group_count=len(names),
        level=level,
        measures=measures,
        per_group={
            str(group): {name: float(column[at]) for name, column in columns.items()}
            for at, group in enumerate(names.tolist())
        },
    )


def compare_regressions(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    groups: ArrayLike,
    *,
    repeats: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, PairedDifference]:
    """Return the difference of two predictions over the whole set, in each of `MEASURES`.

    What `paired_bootstrap` gives over the same groups, in a fraction of the time.

    Args:
        truth: `(n,)`.
        first: `(n,)`.
        second: `(n,)`.
        groups: `(n,)`: the video or subject of each row.
        repeats: Bootstrap draws.
        level: Of the intervals.
        seed: Of the draws.

    Raises:
        UsageError: Lengths that differ, a value that is not finite, or fewer than two groups.
    """
    both = [paired_moments(truth, predicted, groups) for predicted in (first, second)]
    everything = np.arange(len(both[0].count))[None]
    whole = [moments.pooled(everything) for moments in both]
    drawn = [_drawn_measures(moments, repeats, seed) for moments in both]
    return {
        name: summarize_differences(
            drawn[0][name][0] - drawn[1][name][0],
            first=_single(whole[0].measure(name)),
            second=_single(whole[1].measure(name)),
            group_count=len(both[0].count),
            level=level,
        )
        for name in MEASURES
    }


def _drawn_measures(
    moments: PairedMoments, repeats: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """For each measure `(2, repeats)`: over all rows of the drawn groups, and their mean."""
    groups = draw_groups(len(moments.count), repeats, seed)
    own = {name: moments.measure(name) for name in MEASURES}
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in MEASURES}
    for start in range(0, repeats, _DRAWS_AT_ONCE):
        drawn = groups[start : start + _DRAWS_AT_ONCE]
        pooled = moments.pooled(drawn)
        for name in MEASURES:
            each = own[name][drawn]
            known = np.isfinite(each)
            total = np.where(known, each, 0.0).sum(axis=1)
            counted = known.sum(axis=1)
            mean = np.where(counted > 0, total / np.maximum(counted, 1), np.nan)
            parts[name].append(np.stack([pooled.measure(name), mean]))
    return {name: np.concatenate(found, axis=1) for name, found in parts.items()}


def _single(values: NDArray[np.float64]) -> float:
    return float(values[0]) if len(values) else float("nan")


def _nan_mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _plain(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _plain_interval(interval: tuple[float, float] | None) -> list[float | None] | None:
    return None if interval is None else [_plain(end) for end in interval]
