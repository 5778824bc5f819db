"""Made-up recordings: slow affect, and predictions that are noisy, biased, flat and early."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE_HZ = 25.0


class Recordings(NamedTuple):
    truth: NDArray[np.float64]
    predictions: NDArray[np.float64]
    groups: NDArray[np.int64]


def make_recordings(
    *,
    count: int = 4,
    frames: int = 600,
    lag: int = 20,
    bias: float = 0.1,
    gain: float = 0.4,
    noise: float = 0.1,
    seed: int = 0,
) -> Recordings:
    """The truth comes `lag` frames after what the prediction sees, as annotators do."""
    generator = np.random.default_rng(seed)
    slow = generator.normal(size=(count, frames + lag + 100))
    window = np.ones(50) / 50
    affect = np.stack([np.convolve(row, window, mode="valid") for row in slow])
    affect = 0.3 * affect[:, : frames + lag] / affect.std()
    truth, seen = affect[:, :frames], affect[:, lag:]
    predictions = gain * seen + bias + noise * generator.normal(size=truth.shape)
    return Recordings(truth.ravel(), predictions.ravel(), np.repeat(np.arange(count), frames))
