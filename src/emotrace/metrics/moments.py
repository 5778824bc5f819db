"""Sums over truth and prediction, group by group, from which CCC, Pearson's and RMSE follow.

Sums of groups add up to those of any set of groups, so that the measures of thousands of bootstrap
draws need no second look at the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MEASURES: Final = ("ccc", "rmse", "pearson")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedMoments:
    """What the measures need of truth and prediction, for each group (or each draw of groups)."""

    count: NDArray[np.float64]
    """Rows; all arrays have the same shape."""
    truth_mean: NDArray[np.float64]
    predicted_mean: NDArray[np.float64]
    truth_squares: NDArray[np.float64]
    """Sum of squared deviations from `truth_mean`."""
    predicted_squares: NDArray[np.float64]
    products: NDArray[np.float64]
    """Sum of the products of both deviations."""
    squared_errors: NDArray[np.float64]
    """Sum of (prediction - truth) squared."""

    def measure(self, name: str) -> NDArray[np.float64]:
        """Return the measure of that name (see `MEASURES`) of each group."""
        if name == "ccc":
            return self.concordance()
        if name == "rmse":
            return self.rmse()
        if name == "pearson":
            return self.pearson()
        raise UsageError(f"expected a measure named {', '.join(MEASURES)}; got {name!r}")

    def concordance(self) -> NDArray[np.float64]:
        """Return the concordance correlation; see `concordance_correlation`."""
        rows = np.maximum(self.count, 1)
        apart = (self.truth_mean - self.predicted_mean) ** 2
        spread = (self.truth_squares + self.predicted_squares) / rows + apart
        agreement = 2 * self.products / rows
        # No spread at all and no distance: two equal constants.
        value = np.where(spread > 0, agreement / np.where(spread > 0, spread, 1.0), 1.0)
        return np.where(self.count >= 2, value, np.nan)

    def pearson(self) -> NDArray[np.float64]:
        """Return Pearson's correlation; see `pearson_correlation`."""
        spread = np.sqrt(self.truth_squares) * np.sqrt(self.predicted_squares)
        value = np.where(spread > 0, self.products / np.where(spread > 0, spread, 1.0), np.nan)
        return np.clip(np.where(self.count >= 2, value, np.nan), -1.0, 1.0)

    def rmse(self) -> NDArray[np.float64]:
        """Return the root mean squared error; NaN without rows."""
        value = np.sqrt(self.squared_errors / np.maximum(self.count, 1))
        return np.where(self.count > 0, value, np.nan)

    def pooled(self, drawn: NDArray[np.integer]) -> PairedMoments:
        """Return the moments of all rows of the drawn groups together.

        Args:
            drawn: `(draws, k)`: groups of each draw, repeated ones counting as often.

        Returns:
            Arrays of shape `(draws,)`.
        """
        count = self.count[drawn]
        total = count.sum(axis=1)
        shares = count / np.maximum(total, 1)[:, None]
        # Deviations from the first group's mean: exactly 0 where all groups are one constant.
        truth, predicted = self.truth_mean[drawn], self.predicted_mean[drawn]
        truth_off, predicted_off = truth - truth[:, :1], predicted - predicted[:, :1]
        truth_shift = (shares * truth_off).sum(axis=1)
        predicted_shift = (shares * predicted_off).sum(axis=1)
        truth_off -= truth_shift[:, None]
        predicted_off -= predicted_shift[:, None]
        return PairedMoments(
            count=total,
            truth_mean=truth[:, 0] + truth_shift,
            predicted_mean=predicted[:, 0] + predicted_shift,
            truth_squares=(self.truth_squares[drawn] + count * truth_off**2).sum(axis=1),
            predicted_squares=(self.predicted_squares[drawn] + count * predicted_off**2).sum(
                axis=1
            ),
            products=(self.products[drawn] + count * truth_off * predicted_off).sum(axis=1),
            squared_errors=self.squared_errors[drawn].sum(axis=1),
        )


def paired_moments(
    truth: ArrayLike, predicted: ArrayLike, groups: ArrayLike | None = None
) -> PairedMoments:
    """Sum up two series group by group, in the order of `np.unique(groups)`.

    Args:
        truth: `(n,)`.
        predicted: `(n,)`.
        groups: `(n,)`: video or subject of each row, numbers or names; one group unless given.

    Raises:
        UsageError: Lengths that differ, or a value that is not finite.
    """
    true, guess = checked_pair(truth, predicted)
    labels = np.zeros(len(true), np.int64) if groups is None else np.asarray(groups)
    if labels.shape != true.shape:
        raise UsageError(f"expected groups of shape {true.shape}, one a row; got {labels.shape}")
    _, first, group = np.unique(labels, return_index=True, return_inverse=True)
    many = len(first)
    count = np.bincount(group, minlength=many).astype(np.float64)

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = np.bincount(group, values, many).astype(np.float64)
        return sums

    # Means about each group's first value: a constant series has exactly no deviation from them.
    truth_mean = true[first] + summed(true - true[first][group]) / count
    predicted_mean = guess[first] + summed(guess - guess[first][group]) / count
    truth_off, predicted_off = true - truth_mean[group], guess - predicted_mean[group]
    return PairedMoments(
        count=count,
        truth_mean=truth_mean,
        predicted_mean=predicted_mean,
        truth_squares=summed(truth_off**2),
        predicted_squares=summed(predicted_off**2),
        products=summed(truth_off * predicted_off),
        squared_errors=summed((guess - true) ** 2),
    )


def checked_pair(
    truth: ArrayLike, predicted: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both `(n,)` series in 64 bits.

    Raises:
        UsageError: Lengths that differ, or a value that is not finite.
    """
    true, guess = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if true.ndim != 1 or true.shape != guess.shape:
        raise UsageError(
            f"expected truth and prediction of shape (n,); got {true.shape} and {guess.shape}"
        )
    for name, values in (("truth", true), ("predicted", guess)):
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise UsageError(
                f"expected finite values of {name}; got {values[bad[0]]} in row {bad[0]} and "
                f"{len(bad) - 1} more; leave out rows without a label, fill those without a "
                "prediction"
            )
    return true, guess
