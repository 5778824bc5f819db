"""Temperature scaling: the numbers that make logits fit labels best, by cross-entropy.

Plain numpy, for labels that are shares as well as for single ones; `emotrace.training.calibration`
says what is fitted to what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.bundle_prior import softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST_SHARE: Final = 1e-9
"""Of a class among the predictions: not 0, whose logarithm makes NaN."""
_MOST_TURNS: Final = 40
_BIAS_STEPS: Final = 5
_AT_REST: Final = 1e-5


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


def fit_temperature_and_bias(
    logits: NDArray[np.floating],
    shares: NDArray[np.floating],
    log_prior: NDArray[np.floating],
) -> tuple[float, NDArray[np.float64]]:
    """Find t and b that make softmax(logits / t + b + log_prior) fit soft labels best.

    Bias-corrected temperature scaling (Alexandari et al. 2020, arXiv:1901.06852). For a given t the
    cross-entropy is least where each class is predicted as often as it occurs, so b is moved by the
    logarithm of what is missing; in turns with `fit_temperature`, until both rest. Half a face is
    added to each class: without it, one that does not occur would be ruled out.

    Args:
        logits: `(n, classes)`, balanced.
        shares: `(n, classes)`, rows summing to 1.
        log_prior: `(classes,)`.

    Returns:
        The temperature, and the bias `(classes,)` with a mean of 0.
    """
    wanted = shares.sum(axis=0, dtype=np.float64) + 0.5
    wanted /= wanted.sum()
    logits = logits.astype(np.float64)
    temperature, bias = 1.0, np.zeros(logits.shape[1])

    def move_bias() -> float:
        step = np.zeros_like(bias)
        for _ in range(_BIAS_STEPS):
            predicted = softmax(logits / temperature + bias + log_prior).mean(axis=0)
            step = np.log(wanted / np.maximum(predicted, _LEAST_SHARE))
            step -= step.mean()
            bias[:] += step
        return float(np.abs(step).max())

    for _ in range(_MOST_TURNS):
        before, last_step = temperature, move_bias()
        temperature = fit_temperature(logits, shares, log_prior + bias)
        if abs(temperature - before) < _AT_REST and last_step < _AT_REST:
            break
    move_bias()  # with the temperature that is returned
    return temperature, bias
