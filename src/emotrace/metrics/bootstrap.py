"""Bootstrap intervals of any measure, and of the difference between two predictions.

Percentile intervals (Efron and Tibshirani, 1993, "An introduction to the bootstrap", chapter 13).
What is drawn again must be independent: frames of one video are not, nor are videos of one person,
so that drawing frames gives intervals that are far too narrow. Draw whole videos, or better whole
subjects, with `bootstrap_over_groups`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

    Measure = Callable[[NDArray[np.int64]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """How two predictions of the same items differ in one measure."""

    first: float
    second: float
    low: float
    """Lower end of the interval of `difference`."""
    high: float
    p_value: float
    """Two-sided: the smallest 1 - level whose interval leaves 0 out (see `paired_bootstrap`)."""
    group_count: int
    """Independent units that were drawn again: the n to report."""

    @property
    def difference(self) -> float:
        """`first` less `second`."""
        return self.first - self.second


def bootstrap_interval(
    measure: Measure, count: int, *, repeats: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return a percentile bootstrap interval of a measure over `count` independent units.

    Args:
        measure: Takes `(count,)` drawn indices (with repetition), returns the measure on them.
        count: Number of units: images, videos or subjects.
        repeats: Bootstrap draws.
        level: Of the interval.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    values = [measure(generator.integers(0, count, count)) for _ in range(repeats)]
    return percentile_interval(np.array(values), level)


def bootstrap_over_groups(
    measure: Measure,
    groups: ArrayLike,
    *,
    repeats: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Return a percentile bootstrap interval of a measure, drawing whole groups of rows.

    As many groups as there are get drawn with repetition, each with all its rows (the cluster
    bootstrap: Davison and Hinkley, 1997, "Bootstrap methods and their application", section 3.8).

    Args:
        measure: Takes the rows of the drawn groups, `(rows,)` indices, returns the measure on them.
        groups: `(n,)`: the video or subject of each row; numbers or names.
        repeats: Bootstrap draws.
        level: Of the interval.
        seed: Of the draws.

    Returns:
        Lower and upper end; NaN where the measure of some draw is NaN.

    Raises:
        UsageError: There are fewer than two groups.

    >>> values = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    >>> bootstrap_over_groups(lambda rows: float(values[rows].mean()), ["a"] * 3 + ["b"] * 3)
    (0.0, 1.0)
    """
    drawn = _draw_rows(_GroupedRows(groups), repeats, seed)
    return percentile_interval(np.array([measure(rows) for rows in drawn]), level)


def paired_bootstrap(
    first: Measure,
    second: Measure,
    groups: ArrayLike,
    *,
    repeats: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Return the difference between two predictions in one measure, with its interval.

    Both are measured on the same drawn groups, so that what makes an item hard for both cancels
    out: the interval is that of the difference, which two separate intervals do not give.

    The p-value turns the interval round: twice the smaller share of draws on one side of 0, 0
    counted on both sides and one draw added to each, so that it is never 0 and the smallest one is
    2 / (repeats + 1).

    Args:
        first: Takes `(rows,)` indices, returns the measure of the first prediction on them.
        second: The same of the second prediction.
        groups: `(n,)`: the video or subject of each row; `np.arange(n)` where rows are independent.
        repeats: Bootstrap draws.
        level: Of the interval.
        seed: Of the draws.

    Raises:
        UsageError: There are fewer than two groups.

    >>> right, wrong = np.ones(8), np.zeros(8)
    >>> found = paired_bootstrap(
    ...     lambda rows: right[rows].mean(), lambda rows: wrong[rows].mean(), np.arange(8)
    ... )
    >>> found.difference, found.low, found.high
    (1.0, 1.0, 1.0)
    """
    grouped = _GroupedRows(groups)
    values = np.array(
        [(first(rows), second(rows)) for rows in _draw_rows(grouped, repeats, seed)]
    ).reshape(repeats, 2)
    everything = np.arange(grouped.row_count)
    return summarize_differences(
        values[:, 0] - values[:, 1],
        first=float(first(everything)),
        second=float(second(everything)),
        group_count=len(grouped.sizes),
        level=level,
    )


def summarize_differences(
    drawn: NDArray[np.float64], *, first: float, second: float, group_count: int, level: float
) -> PairedDifference:
    """Turn `(repeats,)` drawn differences into their interval and p-value."""
    low, high = percentile_interval(drawn, level)
    fewer = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    p_value = min(1.0, 2.0 * (fewer + 1) / (len(drawn) + 1))
    return PairedDifference(
        first=first,
        second=second,
        low=low,
        high=high,
        p_value=float("nan") if np.isnan(drawn).any() else p_value,
        group_count=group_count,
    )


def percentile_interval(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Return the quantiles that enclose `level` of `(repeats,)` values; NaN where one is NaN.

    Raises:
        UsageError: There are no values, or the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise UsageError(f"expected level between 0 and 1; got {level}")
    if not len(values):
        raise UsageError("expected repeats of at least 1; got 0")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def draw_groups(group_count: int, repeats: int, seed: int) -> NDArray[np.int64]:
    """Return `(repeats, group_count)`: the groups of each draw.

    Raises:
        UsageError: There are fewer than two groups.
    """
    if group_count < 2:
        raise UsageError(
            "expected at least 2 groups to draw from (videos or subjects); "
            f"got {group_count}; an interval cannot be had from one"
        )
    return np.random.default_rng(seed).integers(0, group_count, (repeats, group_count))


class _GroupedRows:
    """Which rows belong to which group, laid out so that a draw costs no search."""

    def __init__(self, groups: ArrayLike) -> None:
        _, group = np.unique(np.asarray(groups), return_inverse=True)
        self.row_count = len(group)
        self.order = np.argsort(group, kind="stable")
        self.sizes = np.bincount(group)
        self.starts = np.cumsum(self.sizes) - self.sizes

    def rows_of(self, drawn: NDArray[np.int64]) -> NDArray[np.int64]:
        sizes = self.sizes[drawn]
        ends = np.cumsum(sizes)
        # Counts up within each drawn group, from where the group starts in `order`.
        places = np.arange(ends[-1]) + np.repeat(self.starts[drawn] - (ends - sizes), sizes)
        rows: NDArray[np.int64] = self.order[places]
        return rows


def _draw_rows(grouped: _GroupedRows, repeats: int, seed: int) -> Iterator[NDArray[np.int64]]:
    for drawn in draw_groups(len(grouped.sizes), repeats, seed):
        yield grouped.rows_of(drawn)
