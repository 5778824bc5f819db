"""What is fitted on validation after training: temperatures, mixture weights, the default prior.

Plain numpy on logits that are computed once. The test split is never looked at here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.bundle import mix_expressions
from emotrace.metrics import accuracy, kl_divergence, unweighted_average_recall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from emotrace.bundle_spec import BundleSpec, ExpressionOutput

PRIOR_POWERS: Final = tuple(round(0.1 * step, 1) for step in range(11))
MIXTURE_WEIGHTS: Final = (1.0, 0.75, 0.5)
"""Shares of the FER+ output that are tried; the FER2013 output has the rest."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """The validation split as the network sees it."""

    logits: Mapping[str, NDArray[np.float32]]
    """Balanced logits by output name, `(n, labels of that output)`."""
    vote_shares: NDArray[np.float32]
    """`(n, 8)`."""
    majority: NDArray[np.int64]
    """`(n,)`, -1 where the protocol gives no label."""
    fer2013: NDArray[np.int64]
    """`(n,)`, index into the FER2013 output's labels or -1."""


def fit_temperature(
    logits: NDArray[np.floating],
    shares: NDArray[np.floating],
    log_prior: NDArray[np.floating],
) -> float:
    """Find the temperature that makes softmax(logits / t + log_prior) fit soft labels best.

    Temperature scaling (Guo et al. 2017, arXiv:1706.04599) under the given prior, by golden-section
    search on the cross-entropy over t in [0.3, 3] (it has one minimum in log t).

    Args:
        logits: `(n, classes)`, balanced.
        shares: `(n, classes)`, rows summing to 1.
        log_prior: `(classes,)`.
    """

    def loss(log_t: float) -> float:
        scores = logits / np.exp(log_t) + log_prior
        scores = scores - scores.max(axis=1, keepdims=True)
        log_probabilities = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return float(-np.mean(np.sum(shares * log_probabilities, axis=1)))

    low, high = np.log(0.3), np.log(3.0)
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if loss(a) < loss(b):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))


def choose_weight(spec: BundleSpec, data: Validation, prior: NDArray[np.floating]) -> float:
    """Choose the FER+ output's share under the training prior: least divergence from the votes.

    The question under that prior is what FER+'s annotators would say, so their votes decide.
    """
    known = data.vote_shares.sum(axis=1) > 0

    def divergence(weight: float) -> float:
        mixed = mix_expressions(
            with_weights(spec, {"training": weight}),
            {name: values[known] for name, values in data.logits.items()},
            np.log(prior),
            "training",
        )
        return kl_divergence(data.vote_shares[known], mixed)

    return min(MIXTURE_WEIGHTS, key=divergence)


def choose_prior_power(
    spec: BundleSpec, data: Validation, training_prior: NDArray[np.floating]
) -> tuple[float, list[dict[str, float]]]:
    """Choose the power of the training prior that makes the default one.

    The default setting must serve faces of another origin, where the expressions that are rare in
    the training data are not, without giving up those of its own: the power with the largest mean
    of accuracy and unweighted average recall on validation (majority protocol) is taken.

    Returns:
        The power, and a row per power tried: `power`, `accuracy`, `recall`.
    """
    known = data.majority >= 0
    truth = data.majority[known]
    rows: list[dict[str, float]] = []
    for power in PRIOR_POWERS:
        mixed = mix_expressions(
            spec,
            {name: values[known] for name, values in data.logits.items()},
            np.log(temper_prior(training_prior, power)),
            "default",
        )
        top = mixed.argmax(axis=1)
        rows.append(
            {
                "power": power,
                "accuracy": accuracy(truth, top),
                "recall": unweighted_average_recall(truth, top, len(spec.labels)),
            }
        )
    best = max(rows, key=lambda row: row["accuracy"] + row["recall"])
    return best["power"], rows


def temper_prior(prior: NDArray[np.floating], power: float) -> NDArray[np.float64]:
    """Raise a prior to a power and scale it to sum to 1: 1 keeps it, 0 makes it uniform.

    >>> temper_prior(np.array([0.8, 0.2]), 0.5).round(3).tolist()
    [0.667, 0.333]
    """
    raised = np.asarray(prior, np.float64) ** power
    tempered: NDArray[np.float64] = raised / raised.sum()
    return tempered


def with_weights(spec: BundleSpec, ferplus_weights: Mapping[str, float]) -> BundleSpec:
    """Return the spec with the FER+ output's mixture weights set; the other output has the rest."""
    first, second = spec.expression_outputs

    def changed(output: ExpressionOutput, weights: Mapping[str, float]) -> ExpressionOutput:
        return replace(output, weights={**output.weights, **weights})

    rest = {name: 1 - weight for name, weight in ferplus_weights.items()}
    return replace(
        spec, expression_outputs=(changed(first, ferplus_weights), changed(second, rest))
    )
