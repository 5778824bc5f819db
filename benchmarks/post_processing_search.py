"""Measure how long the search for tzirakis2021's post-processing takes on a set of RECOLA's size.

    OMP_NUM_THREADS=1 python benchmarks/post_processing_search.py
    OMP_NUM_THREADS=1 python benchmarks/post_processing_search.py --repeats 5 --save results

46 made-up recordings of 5 minutes at 25 frames a second (7,500 frames each) for one dimension: a
slow truth, and predictions that are noisy, flat, biased and 2.8 s early. The search tries all 249
odd windows up to 20 s and all 250 shifts up to 10 s, as in the paper, and none of them twice.

Times are of this process on one core (`time.process_time`); other work on the machine does not
count but slows memory and shared cores down, so the load is noted. For comparison the median
filters alone, one size after the other, with scipy's (`--peer`, where scipy is installed), and the
numbers of centres that the filter works on at once (`--lanes`).

A table goes to stdout, then all numbers as one JSON line; `--save FOLDER` keeps them in a file with
the machine and the versions.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_machine import save_results
from emotrace.analysis.post_processing import fit_chain, median
from emotrace.metrics import concordance_correlation

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RATE_HZ = 25.0
LARGEST_SIZE = 499
LAG_FRAMES = 70


def make_recordings(
    count: int, frames: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return truth, predictions and the recording of each row."""
    generator = np.random.default_rng(seed)
    total = np.cumsum(generator.normal(size=(count, frames + LAG_FRAMES + 150)), axis=1)
    affect = total[:, 150:] - total[:, :-150]
    affect *= 0.2 / affect.std()
    truth, seen = affect[:, :frames], affect[:, LAG_FRAMES:]
    predictions = 0.4 * seen + 0.05 + 0.1 * generator.normal(size=truth.shape)
    return truth.ravel(), predictions.ravel(), np.repeat(np.arange(count), frames)


def measure_search(count: int, frames: int, repeats: int) -> dict[str, Any]:
    """Fit on one set of recordings, time it, and score the chain on another set."""
    truth, predictions, groups = make_recordings(count, frames, seed=0)
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        chain = fit_chain(truth, predictions, groups, RATE_HZ)
        seconds.append(time.process_time() - start)
    other, raw, _ = make_recordings(count, frames, seed=1)
    start = time.process_time()
    processed = chain.apply(raw, groups, rate_hz=RATE_HZ)
    apply_seconds = time.process_time() - start
    return {
        "recordings": count,
        "frames_each": frames,
        "search_seconds": summary(seconds),
        "apply_seconds": round(apply_seconds, 3),
        "steps": [
            {"name": step.name, "value": step.value, "ccc_with": round(step.ccc_with, 4)}
            for step in chain.steps
        ],
        "ccc_on_other_recordings": {
            "raw": round(concordance_correlation(other, raw), 4),
            "processed": round(concordance_correlation(other, processed), 4),
        },
    }


def measure_medians(
    recordings: list[NDArray[np.float64]], filter_all: Callable[[NDArray[np.float64]], None]
) -> float:
    """Return the seconds that all sizes of median filter take on the recordings."""
    start = time.process_time()
    for series in recordings:
        filter_all(series)
    return time.process_time() - start


def compare_filters(count: int, frames: int, lanes: list[int], peer: bool) -> dict[str, float]:
    """Time ours at several numbers of lanes, and scipy's, all on the same recordings."""
    _, predictions, _ = make_recordings(count, frames, seed=0)
    recordings = list(predictions.reshape(count, frames))

    def ours(series: NDArray[np.float64]) -> None:
        for _ in median.every_median(series, LARGEST_SIZE):
            pass

    found = {}
    usual = median._LANES  # noqa: SLF001 -- what is measured
    for number in lanes:
        median._LANES = number  # type: ignore[misc] # noqa: SLF001
        found[f"every_median, {number} lanes"] = round(measure_medians(recordings, ours), 3)
    median._LANES = usual  # type: ignore[misc] # noqa: SLF001
    if peer:
        from scipy.ndimage import median_filter

        def theirs(series: NDArray[np.float64]) -> None:
            for size in range(3, LARGEST_SIZE + 1, 2):
                median_filter(series, size, mode="reflect")

        found["scipy.ndimage.median_filter"] = round(measure_medians(recordings, theirs), 3)
    return found


def summary(values: list[float]) -> dict[str, Any]:
    """Return the median and all values."""
    return {
        "median": round(statistics.median(values), 2),
        "runs": [round(value, 2) for value in values],
    }


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=46)
    parser.add_argument("--frames", type=int, default=7500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lanes", type=int, nargs="*", default=[])
    parser.add_argument("--peer", action="store_true", help="scipy's filter too")
    parser.add_argument("--save", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    search = measure_search(arguments.recordings, arguments.frames, arguments.repeats)
    filters = compare_filters(
        arguments.recordings, arguments.frames, arguments.lanes, arguments.peer
    )
    report = {
        "load_average_at_start": round(load, 1),
        "search": search,
        "median_filters_alone_seconds": filters,
    }
    print(f"{search['search_seconds']['median']:8.2f} s  search, median of {arguments.repeats}")
    print(f"{search['apply_seconds']:8.2f} s  apply")
    for name, seconds in filters.items():
        print(f"{seconds:8.2f} s  {name}, all sizes")
    print(json.dumps(report))
    if arguments.save is not None:
        save_results(arguments.save, "post-processing-search", report)


if __name__ == "__main__":
    main()
