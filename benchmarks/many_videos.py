"""Several videos at a time against one after the other: `emotrace analyze --jobs`.

    python benchmarks/many_videos.py CLIP... --jobs 2 --repeats 3

Runs the command on all clips with `--jobs 1` and with each count of `--jobs`, in turn, each run
in an empty folder, and prints the seconds and their ratio within each round. Whole commands are
timed: starting the processes is part of it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_machine import save_results


def seconds_of(clips: list[Path], jobs: int) -> float:
    """Analyse the clips into an empty folder and return how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["analyze", *map(str, clips), "-o", folder, "--quiet", "--jobs", str(jobs)]
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "emotrace", *words], check=True)
        return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--jobs", nargs="+", type=int, default=[2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--save", type=Path, help="folder for the numbers")
    arguments = parser.parse_args()
    seconds_of(arguments.clips[:1], 1)  # what the first run after an install compiles
    seconds: dict[int, list[float]] = {jobs: [] for jobs in (1, *arguments.jobs)}
    for _ in range(arguments.repeats):
        for jobs, taken in seconds.items():
            taken.append(seconds_of(arguments.clips, jobs))
    ratios = {
        jobs: [one / other for one, other in zip(seconds[1], taken, strict=True)]
        for jobs, taken in seconds.items()
        if jobs != 1
    }
    print(f"{len(arguments.clips)} clips, {arguments.repeats} rounds")
    for jobs, taken in seconds.items():
        print(f"--jobs {jobs}: median {statistics.median(taken):.1f} s")
    for jobs, values in ratios.items():
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"--jobs {jobs} is {statistics.median(values):.2f} times as fast ({spread})")
    if arguments.save is not None:
        rounded = {
            str(jobs): [round(value, 2) for value in taken] for jobs, taken in seconds.items()
        }
        names = [path.name for path in arguments.clips]
        save_results(arguments.save, "many-videos", {"clips": names, "seconds": rounded})


if __name__ == "__main__":
    main()
