"""Several annotators, one label: votes for categories, the weighted estimator for numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from emotrace.datasets.records import NO_EMOTION
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

VoteRule = Literal["majority", "winner-takes-all"]
RatingRule = Literal["evaluator-weighted", "mean"]


def majority_vote(votes: NDArray[np.integer]) -> NDArray[np.int8]:
    """Label each frame with what more than half of its annotators chose; -1 where none is.

    Args:
        votes: `(n, k)`: how many annotators chose each category, the emotions first and in the
            order of `EMOTIONS`; further columns (unknown, not a face) count as votes and can win,
            which gives -1.

    Returns:
        `(n,)`: index into `EMOTIONS` or -1.

    >>> majority_vote(np.array([[4, 0, 0, 0, 3, 0, 0, 0], [3, 0, 0, 0, 3, 0, 0, 0]]))
    array([ 0, -1], dtype=int8)
    """
    top = votes.argmax(axis=1)
    wins = 2 * votes.max(axis=1) > votes.sum(axis=1)
    labels: NDArray[np.int8] = np.where(wins & (top < len(EMOTIONS)), top, NO_EMOTION).astype(
        np.int8
    )
    return labels


def winner_takes_all(votes: NDArray[np.integer]) -> NDArray[np.int8]:
    """Label each frame with what most of its annotators chose (tzirakis2021, section 4).

    A tie has no winner and gives -1: the text does not say how it was broken, and any order of the
    names would favour one expression. So does a frame that nobody labelled.

    Args:
        votes: As for `majority_vote`.

    Returns:
        `(n,)`: index into `EMOTIONS` or -1.

    >>> winner_takes_all(np.array([[3, 0, 0, 2, 2, 0, 0, 0], [2, 2, 0, 0, 0, 0, 0, 0]]))
    array([ 0, -1], dtype=int8)
    """
    top = votes.argmax(axis=1)
    wins = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    labels: NDArray[np.int8] = np.where(wins & (top < len(EMOTIONS)), top, NO_EMOTION).astype(
        np.int8
    )
    return labels


def label_votes(votes: NDArray[np.integer], rule: VoteRule) -> NDArray[np.int8]:
    """Label `(n, k)` votes by the rule of that name.

    Raises:
        UsageError: There is no such rule.
    """
    if rule == "majority":
        return majority_vote(votes)
    if rule == "winner-takes-all":
        return winner_takes_all(votes)
    raise UsageError(f"expected votes by majority or winner-takes-all; got {rule!r}")


def evaluator_weights(ratings: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how far each annotator is trusted: correlation with the mean of all.

    Grimm and Kroschel (2005), equation 7: Pearson's correlation, over all frames, of one
    annotator's values with the mean of all annotators, that one included. Where the paper is
    silent: frames that an annotator did not rate do not count for them; one who never moves, or
    who runs against the mean (a negative weight would turn the values round), gets 0.

    Args:
        ratings: `(annotators, n)`; NaN where there is none.

    Returns:
        `(annotators,)` in [0, 1].
    """
    values = np.asarray(ratings, np.float64)
    there = ~np.isnan(values)
    mean = _weighted_mean(values, np.ones(len(values)))
    count = np.maximum(there.sum(axis=1), 1)
    reference = np.where(there, mean, np.nan)
    own = values - (np.nansum(values, axis=1) / count)[:, None]
    others = reference - (np.nansum(reference, axis=1) / count)[:, None]
    product = np.nansum(own * others, axis=1)
    scale = np.sqrt(np.nansum(own**2, axis=1) * np.nansum(others**2, axis=1))
    # Rounding leaves some 1e-16 of movement in a constant column.
    moves = scale > 1e-12 * np.maximum(np.nansum(values**2, axis=1), 1e-300)
    weights: NDArray[np.float64] = np.where(
        moves, np.clip(product / np.where(moves, scale, 1.0), 0.0, 1.0), 0.0
    )
    return weights


def evaluator_weighted_estimate(ratings: NDArray[np.floating]) -> NDArray[np.float64]:
    """Combine annotators by the evaluator weighted estimator.

    Grimm and Kroschel (2005), "Evaluation of natural emotions using self assessment manikins",
    ASRU, equation 6: the mean of the annotators' values weighted by `evaluator_weights`. Where a
    frame lacks an annotator, the weights of the others count. Where nobody has any weight there
    (two annotators against each other), the plain mean is taken.

    Args:
        ratings: `(annotators, n)`; NaN where there is none.

    Returns:
        `(n,)`; NaN where nobody rated.
    """
    values = np.asarray(ratings, np.float64)
    weighted = _weighted_mean(values, evaluator_weights(values))
    return np.where(np.isnan(weighted), _weighted_mean(values, np.ones(len(values))), weighted)


def combine_ratings(ratings: NDArray[np.floating], rule: RatingRule) -> NDArray[np.float64]:
    """Combine `(annotators, n)` ratings to `(n,)` by the rule of that name.

    Raises:
        UsageError: There is no such rule.
    """
    values = np.asarray(ratings, np.float64)
    if rule == "evaluator-weighted":
        return evaluator_weighted_estimate(values)
    if rule == "mean":
        return _weighted_mean(values, np.ones(len(values)))
    raise UsageError(f"expected ratings by evaluator-weighted or mean; got {rule!r}")


def _weighted_mean(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    there = ~np.isnan(values)
    total = weights @ there
    summed = weights @ np.where(there, values, 0.0)
    mean: NDArray[np.float64] = np.where(
        total > 0, summed / np.where(total > 0, total, 1.0), np.nan
    )
    return mean
