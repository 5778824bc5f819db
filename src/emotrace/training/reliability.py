"""Confidence that means something: reliability, what a threshold keeps, and which one to take.

Pure functions on numpy arrays; the confidence is the largest probability of a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RELIABILITY_BINS: Final = 15
"""As in `emotrace.metrics.expected_calibration_error`."""
UNCERTAIN_COST: Final = 0.5
"""Of a prediction that is called uncertain, in wrong ones: two of those are as bad as one wrong
label. At that price what is dropped is what is more often wrong than right."""
SURE_ACCURACY: Final = 0.9
"""Wanted by those who keep only sure predictions: about as often as FER+'s annotators themselves
agree with the emotion that most of them chose."""


def reliability_bins(
    truth: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    bins: int = RELIABILITY_BINS,
) -> list[dict[str, float]]:
    """Sort predictions by confidence into bins of equal width and compare it with the truth.

    Args:
        truth: `(n,)`.
        probabilities: `(n, classes)`.
        bins: Over [0, 1]; those without a prediction are left out.

    Returns:
        A row per bin: `low` and `high` edge, `n`, mean `confidence`, `accuracy`. The mean of
        |confidence - accuracy| over the rows, weighted by n, is the expected calibration error.

    >>> rows = reliability_bins(np.array([0, 1]), np.array([[0.9, 0.1], [0.7, 0.3]]), bins=2)
    >>> [(row["n"], round(row["confidence"], 3), row["accuracy"]) for row in rows]
    [(2, 0.8, 0.5)]
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    hits = probabilities.argmax(axis=1) == truth
    at = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return [
        {
            "low": number / bins,
            "high": (number + 1) / bins,
            "n": int(chosen.sum()),
            "confidence": float(confidence[chosen].mean()),
            "accuracy": float(hits[chosen].mean()),
        }
        for number in range(bins)
        if (chosen := at == number).any()
    ]


def coverage_curve(
    truth: NDArray[np.integer], probabilities: NDArray[np.floating], steps: int = 100
) -> list[dict[str, float]]:
    """Say for each threshold on the confidence how much is kept and how much of that is right.

    Returns:
        A row per threshold from 0 to 1 that keeps anything: `threshold`, `coverage`, `accuracy`.
    """
    rows = []
    for step in range(steps + 1):
        kept = keep_above(truth, probabilities, step / steps)
        if kept["coverage"] > 0:
            rows.append({name: kept[name] for name in ("threshold", "coverage", "accuracy")})
    return rows


def keep_above(
    truth: NDArray[np.integer], probabilities: NDArray[np.floating], threshold: float | None
) -> dict[str, Any]:
    """Say what a threshold on the confidence keeps.

    Args:
        truth: `(n,)`.
        probabilities: `(n, classes)`.
        threshold: Predictions below it are dropped; None drops none.

    Returns:
        Ready for JSON: `threshold`, `n`, `coverage` (share kept), `accuracy` of what is kept, and
        `accuracy_of_dropped`; an accuracy of nothing is None.
    """
    kept = probabilities.max(axis=1) >= (0.0 if threshold is None else threshold)
    hits = probabilities.argmax(axis=1) == truth
    return {
        "threshold": threshold,
        "n": len(truth),
        "coverage": float(kept.mean()) if len(kept) else 0.0,
        "accuracy": _share(hits[kept]),
        "accuracy_of_dropped": _share(hits[~kept]),
    }


def choose_uncertain_threshold(
    truth: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    cost: float = UNCERTAIN_COST,
) -> float:
    """Choose the threshold below which a prediction is better called uncertain.

    Chow's rule (1970, "On optimum recognition error and reject tradeoff", IEEE Transactions on
    Information Theory 16): the least sum of wrong predictions that are kept and `cost` times those
    that are dropped. It drops what is more likely wrong than `1 - cost`. Tried in steps of 0.01 on
    the data itself, so that it holds where the confidence is a little off; of equal ones the lowest
    is taken.
    """
    confidence, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth

    def loss(threshold: float) -> float:
        kept = confidence >= threshold
        return float(np.sum(kept & ~hits) + cost * np.sum(~kept))

    return min((step / 100 for step in range(101)), key=loss)


def threshold_for(
    truth: NDArray[np.integer], probabilities: NDArray[np.floating], wanted: float
) -> float | None:
    """Find the lowest confidence from which on a wanted share of the predictions is right.

    Thresholds are tried in steps of 0.01 from the highest down to the first that keeps too many
    wrong ones. (Steps that keep under 2 % of the predictions count as right enough: a handful says
    nothing.)

    Returns:
        The threshold, or None where no confidence gives so many right ones.
    """
    found: float | None = None
    for step in range(100, -1, -1):
        kept = keep_above(truth, probabilities, step / 100)
        if kept["coverage"] < 0.02:
            continue
        if kept["accuracy"] < wanted:
            break
        found = step / 100
    return found


def _share(hits: NDArray[np.bool_]) -> float | None:
    return float(hits.mean()) if len(hits) else None
