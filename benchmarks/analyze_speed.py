"""Measure how fast clips are analysed and how much memory that takes, each run in a fresh process.

    python benchmarks/analyze_speed.py clip.mp4 --detectors yunet haar --repeats 5
    python benchmarks/analyze_speed.py clip.mp4 --peer bench_fer.sh --save benchmarks/results

What is timed is `emotrace.stream_video` from end to end: decoding, detection, tracking, cropping
and prediction of every frame. A fresh process analyses the clip twice:

- the first pass gives `whole_process_seconds` (from the process's first line: imports, loading
  the models, the whole clip), `first_result_seconds` and `peak_rss_mib`;
- the second pass, everything imported, gives `frames_per_second_warm`. It includes opening the
  file and the models anew.

Absolute figures drift with whatever else a machine does. With `--peer` a script that measures
another tool is run in turn with ours, and the ratio of the two is taken run by run. The script gets
the clip (and `--peer-venv`) as arguments and prints one JSON object with `frames`, `faces`,
`frames_per_second_warm`, `whole_process_seconds` and `peak_rss_mib`, measured in the same way.

A table goes to stdout, then all numbers as one JSON line; `--save FOLDER` keeps them in a file.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# The parent imports nothing heavy: on Linux a child's peak memory starts from its parent's.
Run = dict[str, float]
MEASURES = (
    "frames_per_second_warm",
    "frames_per_second_whole",
    "whole_process_seconds",
    "first_result_seconds",
    "peak_rss_mib",
)
VERSIONED = ("emotrace", "av", "numpy", "onnxruntime", "opencv-python-headless")


def measure_in_this_process(
    clip: str, detector: str, detect_every: int, search_every: int, threads: int
) -> Run:
    """Analyse a clip twice and return what was measured. To be called in a fresh process."""
    start = time.perf_counter()
    from emotrace import AnalysisSettings, stream_video

    settings = AnalysisSettings(
        detect_every=detect_every, search_every=search_every, threads=threads
    )
    frames = faces = 0
    first_result = start
    for result in stream_video(clip, detector=detector, settings=settings):
        if frames == 0:
            first_result = time.perf_counter()
        frames += 1
        faces += len(result.faces)
    end = time.perf_counter()
    # Bytes on macOS, KiB elsewhere.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak_rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

    warm_start = time.perf_counter()
    warm_frames = sum(1 for _ in stream_video(clip, detector=detector, settings=settings))
    warm_seconds = time.perf_counter() - warm_start
    return {
        "frames": frames,
        "faces": faces,
        "whole_process_seconds": end - start,
        "first_result_seconds": first_result - start,
        "frames_per_second_whole": frames / (end - start),
        "frames_per_second_warm": warm_frames / warm_seconds,
        "peak_rss_mib": peak_rss_mib,
    }


def run_ours(clip: Path, detector: str, options: argparse.Namespace) -> Run:
    """Measure one clip and detector in a fresh process."""
    command = [sys.executable, __file__, str(clip), "--detectors", detector, "--this-process"]
    command += ["--detect-every", str(options.detect_every), "--threads", str(options.threads)]
    command += ["--search-every", str(options.search_every)]
    return _last_json_line(command)


def run_peer(clip: Path, options: argparse.Namespace) -> Run:
    """Let the peer's script measure one clip."""
    command = ["bash", str(options.peer), str(clip)]
    if options.peer_venv:
        command.append(str(options.peer_venv))
    run = _last_json_line(command)
    run["frames_per_second_whole"] = run["frames"] / run["whole_process_seconds"]
    return run


def _last_json_line(command: list[str]) -> Run:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"expected a measurement; {command[0]} ended with {done.returncode}")
    run: Run = json.loads(done.stdout.strip().splitlines()[-1])
    return run


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run every clip with every detector, in turn with the peer, and summarize."""
    rows = []
    for clip in options.clips:
        ours: dict[str, list[Run]] = {name: [] for name in options.detectors}
        peer: list[Run] = []
        # Tools and detectors take turns, so that a busy minute does not fall on one of them.
        for repeat in range(options.repeats):
            for name, runs in ours.items():
                print(f"{clip.name}, {name}, run {repeat + 1}", file=sys.stderr)
                runs.append(run_ours(clip, name, options))
            if options.peer:
                print(f"{clip.name}, peer, run {repeat + 1}", file=sys.stderr)
                peer.append(run_peer(clip, options))
        rows += [summarize(clip, name, runs, peer) for name, runs in ours.items()]
        if peer:
            rows.append(summarize(clip, str(peer[0].get("peer", "peer")), peer, []))
    return rows


def summarize(clip: Path, name: str, runs: list[Run], peer: list[Run]) -> dict[str, Any]:
    """Return the median of each measure over the runs, every run, and the ratios to the peer."""
    row: dict[str, Any] = {"clip": clip.name, "detector": name, "frames": runs[0]["frames"]}
    row["faces"] = runs[0]["faces"]
    for key in MEASURES:
        values = [round(run[key], 3) for run in runs if key in run]
        if values:
            row[key] = {"median": statistics.median(values), "runs": values}
    if peer:
        row["ratio_to_peer"] = {
            key: _ratio([run[key] for run in runs], [run[key] for run in peer])
            for key in ("frames_per_second_warm", "whole_process_seconds", "peak_rss_mib")
        }
    return row


def _ratio(ours: list[float], peers: list[float]) -> dict[str, Any]:
    ratios = [round(a / b, 3) for a, b in zip(ours, peers, strict=True)]
    return {"median": statistics.median(ratios), "runs": ratios}


def describe_machine() -> dict[str, Any]:
    """Say what it was measured on."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average_at_start": round(os.getloadavg()[0], 2),
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the medians, one line for each clip and tool."""
    head = f"{'clip':<34}{'with':<14}{'fps warm':>9}{'fps whole':>10}{'first s':>9}{'MiB':>8}"
    print(head)
    for row in rows:
        cells = [
            f"{row[key]['median']:.1f}" if key in row else "-"
            for key in (
                "frames_per_second_warm",
                "frames_per_second_whole",
                "first_result_seconds",
                "peak_rss_mib",
            )
        ]
        line = f"{row['clip'][:33]:<34}{row['detector'][:13]:<14}"
        print(line + f"{cells[0]:>9}{cells[1]:>10}{cells[2]:>9}{cells[3]:>8}")
        if "ratio_to_peer" in row:
            parts = [f"{key} x {value['median']}" for key, value in row["ratio_to_peer"].items()]
            print("    to the peer: " + ", ".join(parts))


def save(report: dict[str, Any], folder: Path) -> Path:
    """Write the report into a file named by date and time."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report['date'][:16].replace(':', '')}-analyze-speed.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, nargs="+", help="videos to measure")
    parser.add_argument("--detectors", nargs="+", default=["auto"], help="auto, yunet, haar, lbp")
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes for each")
    parser.add_argument("--detect-every", type=int, default=1, help="frames between detections")
    parser.add_argument(
        "--search-every", type=int, default=5, help="frames between searches of the whole picture"
    )
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    parser.add_argument("--peer", type=Path, help="script that measures another tool")
    parser.add_argument("--peer-venv", type=Path, help="passed on to the peer's script")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="keep the numbers there")
    parser.add_argument("--this-process", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for path in [*options.clips, *filter(None, [options.peer])]:
        if not path.is_file():
            parser.error(f"expected a file; got {path}")
    if options.repeats < 1:
        parser.error(f"expected --repeats of at least 1; got {options.repeats}")
    return options


def main() -> None:
    """Measure, print, and save where asked to."""
    options = read_options()
    if options.this_process:
        run = measure_in_this_process(
            str(options.clips[0]),
            options.detectors[0],
            options.detect_every,
            options.search_every,
            options.threads,
        )
        print(json.dumps(run))
        return
    report: dict[str, Any] = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "settings": {
            "detect_every": options.detect_every,
            "search_every": options.search_every,
            "threads": options.threads,
        },
    }
    report["results"] = measure(options)
    print_table(report["results"])
    print(json.dumps(report))
    if options.save:
        print(f"saved: {save(report, options.save)}", file=sys.stderr)


if __name__ == "__main__":
    main()
