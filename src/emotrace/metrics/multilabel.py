"""Several labels at once, each there or not: facial action units, multi-label emotions.

In `truth`, 1 means there, 0 not there, -1 not annotated (as in Aff-Wild2): those entries are left
out, label by label. The usual single number is the mean over the labels that can be measured,
`np.nanmean`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def f1_per_label(
    truth: NDArray[np.integer], predicted: NDArray[np.integer] | NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return `(labels,)`: F1 of each label, 2 hits / (times there + times predicted).

    Args:
        truth: `(n, labels)`: 1, 0, or -1 for not annotated.
        predicted: `(n, labels)`: 1 or 0, or bool.

    Returns:
        In [0, 1]; NaN for a label that is neither there nor predicted in any annotated row.

    Raises:
        UsageError: Shapes or values that do not fit.

    >>> f1_per_label(np.array([[1, 0], [1, -1], [0, 0]]), np.array([[1, 0], [0, 1], [0, 0]]))
    array([0.66666667,        nan])
    """
    _check(truth, predicted)
    outside = ~np.isin(predicted, (0, 1))
    if outside.any():
        raise UsageError(
            "expected predicted to hold 0 and 1; "
            f"got {predicted[outside][0]}; put scores through a threshold first"
        )
    there, marked = truth == 1, (predicted == 1) & (truth >= 0)
    either = there.sum(axis=0) + marked.sum(axis=0)
    hits = (there & marked).sum(axis=0)
    return np.where(either > 0, 2 * hits / np.maximum(either, 1), np.nan)


def average_precision_per_label(
    truth: NDArray[np.integer], scores: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return `(labels,)`: average precision of each label, the step-wise area under its curve.

    Sum over thresholds of (recall - recall before) x precision, from the highest score down, equal
    scores at once; no interpolation (as scikit-learn's `average_precision_score`).

    Args:
        truth: `(n, labels)`: 1, 0, or -1 for not annotated.
        scores: `(n, labels)`: higher means more likely there; any scale.

    Returns:
        In [0, 1]; NaN for a label that is never there.

    Raises:
        UsageError: Shapes or values that do not fit.

    >>> average_precision_per_label(np.array([[1], [0], [1]]), np.array([[0.9], [0.8], [0.7]]))
    array([0.83333333])
    """
    _check(truth, scores)
    if not np.isfinite(scores).all():
        raise UsageError("expected finite scores; got NaN or infinity")
    return np.array(
        [
            _average_precision(column[column >= 0] == 1, score[column >= 0])
            for column, score in zip(truth.T, scores.T, strict=True)
        ],
        np.float64,
    ).reshape(truth.shape[1])


def _average_precision(is_there: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    positives = int(is_there.sum())
    if positives == 0:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    is_threshold = np.append(ranked[1:] != ranked[:-1], True)
    hits = np.cumsum(is_there[order])[is_threshold]
    marked = np.flatnonzero(is_threshold) + 1
    gained = np.diff(hits, prepend=0)
    return float(np.sum(gained * hits / marked) / positives)


def _check(truth: NDArray[np.integer], other: NDArray[np.generic]) -> None:
    if truth.ndim != 2 or truth.shape != other.shape:
        raise UsageError(
            f"expected truth and predictions of shape (n, labels); got {truth.shape} and "
            f"{other.shape}"
        )
    outside = ~np.isin(truth, (-1, 0, 1))
    if outside.any():
        raise UsageError(
            f"expected truth to hold 1, 0 and -1 (not annotated); got {truth[outside][0]}"
        )
