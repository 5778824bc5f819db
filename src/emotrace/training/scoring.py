"""Run a bundle's model on faces that are crops already, and time it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.bundle import Bundle

_BATCH: Final = 256
_TIMED_RUNS: Final = 300


def score_images(bundle: Bundle, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Run a bundle's model on `(n, 48, 48)` grey faces; returns its outputs, of any prior."""
    parts = []
    for at in range(0, len(images), _BATCH):
        crops = [np.dstack([image] * 3) for image in images[at : at + _BATCH]]
        parts.append(bundle.score_pixels(bundle.prepare(crops)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def measure_speed(bundle: Bundle, runs: int = _TIMED_RUNS) -> dict[str, float]:
    """Time the model on one face at a time, with the threads that the bundle was loaded with.

    Returns:
        `milliseconds_median` and `milliseconds_tenth` (one run in ten is faster), of `runs` runs
        after a tenth as many that do not count. What else the machine does meanwhile counts.
    """
    spec = bundle.spec
    face = np.random.default_rng(0).random(
        (1, spec.input_channels, spec.input_size_px, spec.input_size_px), np.float32
    )
    times = []
    for _ in range(runs + runs // 10):
        start = time.perf_counter()
        bundle.score_pixels(face)
        times.append(1000 * (time.perf_counter() - start))
    kept = np.array(times[runs // 10 :])
    return {
        "milliseconds_median": round(float(np.median(kept)), 3),
        "milliseconds_tenth": round(float(np.quantile(kept, 0.1)), 3),
    }
