"""Measures of one label out of several: accuracy, recall, F1, calibration, soft labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def accuracy(truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> float:
    """Return the share of equal entries of two `(n,)` arrays; NaN for n = 0.

    >>> accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0]))
    0.75
    """
    return float(np.mean(truth == predicted)) if len(truth) else float("nan")


def confusion_matrix(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Count `(classes, classes)`: rows are the truth, columns the prediction.

    Raises:
        UsageError: A label lies outside [0, classes): it would be counted as another one.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    for name, labels in (("truth", truth), ("predicted", predicted)):
        if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
            raise UsageError(
                f"expected labels of {name} from 0 to {classes - 1}; "
                f"got {labels.min()} to {labels.max()}; leave out rows without a label"
            )
    # In 64 bits: votes and labels are often kept in 8, which the product would overflow.
    pairs = truth.astype(np.int64) * classes + predicted
    cells = np.bincount(pairs, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def recall_per_class(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], classes: int
) -> NDArray[np.float64]:
    """Return `(classes,)`: the share of each true class that was found; NaN where there is none."""
    matrix = confusion_matrix(truth, predicted, classes)
    total = matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, np.diag(matrix) / np.maximum(total, 1), np.nan)


def unweighted_average_recall(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], classes: int
) -> float:
    """Return the mean recall over the classes that occur in `truth` (UAR, balanced accuracy).

    NaN for n = 0.

    >>> unweighted_average_recall(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    0.8333333333333333
    """
    recalls = recall_per_class(truth, predicted, classes)
    return float(np.nanmean(recalls)) if len(truth) else float("nan")


def macro_f1(truth: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> float:
    """Return the mean F1 over the classes in `truth` or in `predicted`; NaN for n = 0."""
    if not len(truth):
        return float("nan")
    matrix = confusion_matrix(truth, predicted, classes)
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    present = both > 0
    return float(np.mean(2 * np.diag(matrix)[present] / both[present]))


def expected_calibration_error(
    truth: NDArray[np.integer], probabilities: NDArray[np.floating], bins: int = 15
) -> float:
    """Return how far confidence and accuracy lie apart (Guo et al. 2017, arXiv:1706.04599, eq. 3).

    Args:
        truth: `(n,)`.
        probabilities: `(n, classes)`; the top one is the confidence.
        bins: Of equal width over [0, 1].

    Returns:
        In [0, 1]; NaN for n = 0.
    """
    if not len(truth):
        return float("nan")
    confidence = probabilities.max(axis=1).astype(np.float64)
    hits = probabilities.argmax(axis=1) == truth
    at = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    count = np.bincount(at, minlength=bins)
    gap = np.abs(np.bincount(at, hits, bins) - np.bincount(at, confidence, bins))
    return float(gap[count > 0].sum() / len(truth))


def kl_divergence(shares: NDArray[np.floating], probabilities: NDArray[np.floating]) -> float:
    """Return the mean Kullback-Leibler divergence of predictions from soft labels, in nats.

    Args:
        shares: `(n, classes)`, rows summing to 1.
        probabilities: `(n, classes)`, rows summing to 1; below 1e-12 they count as 1e-12.

    Returns:
        0 or more; NaN for n = 0.
    """
    if not len(shares):
        return float("nan")
    shares = np.asarray(shares, np.float64)
    probabilities = np.asarray(probabilities, np.float64)
    logs = np.log(np.maximum(shares, 1e-12)) - np.log(np.maximum(probabilities, 1e-12))
    return float(np.mean(np.sum(shares * logs, axis=1)))
