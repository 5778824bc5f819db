"""Measure how fast synthetic faces are drawn, and how many of them real detectors find.

    python benchmarks/synth_speed.py
    python benchmarks/synth_speed.py --frames 400 --yunet face_detection_yunet_2023mar.onnx

Speed: clips of one face in pictures of 170 x 170 px, all expressions, other people in each; time is
that of this process on one core (`time.process_time`), so other work on the machine does not count,
only its effect on caches and clocks. `faces_per_second` has the heads painted already, as in a long
clip; `head_milliseconds` is what the first frame of a clip costs on top.

Detection: frames of other people each, with random strengths of all expressions, poses (up to 20
degrees to each side), rooms and normal light; a face counts as found where a detected box and the
true one overlap by half (IoU); a box that overlaps no true face by 0.3 is a false alarm. The
detectors run with emotrace's own settings.

A table goes to stdout, then all numbers as one JSON line; `--save FOLDER` keeps them in a file.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emotrace.faces import Detector
    from emotrace.synth import SynthFrame

Box = tuple[float, float, float, float]
FOUND_FROM_IOU = 0.5
FALSE_BELOW_IOU = 0.3


def measure_speed(clips: int, frames: int) -> dict[str, Any]:
    """Draw clips and return faces per second of processor time, one value for each clip."""
    from emotrace.labels import EMOTIONS
    from emotrace.synth import ClipSettings, make_clip

    rates, heads = [], []
    for number in range(clips):
        clip = make_clip(
            ClipSettings(
                clip_id=f"c{number}",
                subject=number + 1,
                emotion=EMOTIONS[number % len(EMOTIONS)],
                frame_count=frames,
            )
        )
        start = time.process_time()
        drawn = clip.frames()
        next(drawn)
        first = time.process_time()
        count = sum(1 for _ in drawn)
        end = time.process_time()
        rates.append(count / (end - first))
        heads.append(1000 * (first - start - (end - first) / count))
    return {
        "faces_per_second": {
            "median": statistics.median(rates),
            "least": min(rates),
            "runs": [round(rate, 1) for rate in rates],
        },
        "head_milliseconds": {"median": statistics.median(heads), "most": max(heads)},
    }


def random_frames(count: int, seed: int) -> list[SynthFrame]:
    """Draw pictures of other people each."""
    import numpy as np

    from emotrace.labels import EMOTIONS
    from emotrace.synth import ClipSettings, make_clip

    random = np.random.default_rng(seed)
    frames: list[SynthFrame] = []
    for number in range(count):
        clip = make_clip(
            ClipSettings(
                clip_id=f"f{number}",
                subject=number + 1,
                emotion=EMOTIONS[number % len(EMOTIONS)],
                dynamics="hold",
                frame_count=1,
                intensity=float(random.uniform(0.2, 1)),
                turn_degrees=float(random.uniform(0, 20)),
                seed=seed,
            )
        )
        frames.extend(clip.frames())
    return frames


def measure_detection(detector: Detector, frames: list[SynthFrame]) -> dict[str, Any]:
    """Return how many faces a detector finds, by the expression that they show."""
    found: dict[str, list[bool]] = {}
    overlaps, false_alarms = [], 0
    for frame in frames:
        face = frame.faces[0]
        ious = [
            overlap(one.box_xywh_px, face.box_xywh_px) for one in detector.detect(frame.image_rgb)
        ]
        best = max(ious, default=0.0)
        found.setdefault(face.emotion, []).append(best >= FOUND_FROM_IOU)
        overlaps += [best] if best >= FOUND_FROM_IOU else []
        false_alarms += sum(iou < FALSE_BELOW_IOU for iou in ious)
    hits = [hit for row in found.values() for hit in row]
    return {
        "detector": detector.name,
        "frames": len(hits),
        "rate": sum(hits) / len(hits),
        "false_alarms": false_alarms,
        "median_iou": statistics.median(overlaps) if overlaps else None,
        "rate_by_emotion": {name: sum(row) / len(row) for name, row in sorted(found.items())},
    }


def overlap(first: Box, second: Box) -> float:
    """Return the intersection over union of two boxes (left, top, width, height)."""
    wide = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    high = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    common = max(0.0, wide) * max(0.0, high)
    return common / (first[2] * first[3] + second[2] * second[3] - common)


def processor_name() -> str:
    """Return what the machine calls its processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main() -> int:
    """Run the measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--frames-per-clip", type=int, default=60)
    parser.add_argument("--frames", type=int, default=240, help="for detection")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--yunet", type=Path, help="the model file; without it Haar alone")
    parser.add_argument("--save", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    import cv2

    cv2.setNumThreads(1)
    from emotrace.faces import HaarDetector, YuNetDetector

    report: dict[str, Any] = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "speed": measure_speed(arguments.clips, arguments.frames_per_clip),
    }
    frames = random_frames(arguments.frames, arguments.seed)
    detectors: list[Detector] = [HaarDetector()]
    if arguments.yunet is not None:
        detectors.append(YuNetDetector(arguments.yunet))
    report["detection"] = [measure_detection(one, frames) for one in detectors]
    speed = report["speed"]
    print(f"{report['processor']}, one core")
    rate = speed["faces_per_second"]
    print(f"faces per second: median {rate['median']:.0f}, least {rate['least']:.0f}")
    print(f"painting a head: {speed['head_milliseconds']['median']:.0f} ms")
    for row in report["detection"]:
        print(
            f"{row['detector']}: found {row['rate']:.1%} of {row['frames']}, "
            f"{row['false_alarms']} false alarms, median IoU {row['median_iou']:.2f}"
        )
    line = json.dumps(report)
    print(line)
    if arguments.save is not None:
        arguments.save.mkdir(parents=True, exist_ok=True)
        (arguments.save / f"synth_speed_{report['date']}.json").write_text(line + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
