"""Real detectors find the synthetic faces. The rates on more frames: benchmarks/synth_speed.py."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emotrace.faces import Detector, HaarDetector, YuNetDetector
from emotrace.labels import EMOTIONS
from emotrace.synth.clips import ClipSettings, make_clip

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.synth.truth import SynthFrame

FRAMES = 32
Box = tuple[float, float, float, float]


@cache
def random_frames() -> list[SynthFrame]:
    """Other people, expressions, strengths, poses, rooms and lights in every frame."""
    random = np.random.default_rng(11)
    frames: list[SynthFrame] = []
    for number in range(FRAMES):
        clip = make_clip(
            ClipSettings(
                clip_id=f"c{number}",
                subject=int(random.integers(1, 500)),
                emotion=EMOTIONS[number % len(EMOTIONS)],
                dynamics="hold",
                frame_count=1,
                intensity=float(random.uniform(0.2, 1)),
                turn_degrees=float(random.uniform(0, 20)),
                seed=number,
            )
        )
        frames.extend(clip.frames())
    return frames


def overlap(first: Box, second: Box) -> float:
    wide = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    high = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    common = max(0.0, wide) * max(0.0, high)
    return common / (first[2] * first[3] + second[2] * second[3] - common)


def rates(detector: Detector) -> tuple[float, int]:
    """The share of faces found, and how many boxes are no face."""
    found = false_alarms = 0
    for frame in random_frames():
        true = frame.faces[0].box_xywh_px
        overlaps = [overlap(one.box_xywh_px, true) for one in detector.detect(frame.image_rgb)]
        found += any(value >= 0.5 for value in overlaps)
        false_alarms += sum(value < 0.3 for value in overlaps)
    return found / FRAMES, false_alarms


def test_haar_finds_most_faces() -> None:
    rate, false_alarms = rates(HaarDetector())
    assert rate >= 0.85
    assert false_alarms <= 2


@pytest.mark.shared
def test_yunet_finds_all_faces(yunet_home: Path) -> None:
    rate, false_alarms = rates(YuNetDetector(yunet_home / "face_detection_yunet_2023mar.onnx"))
    assert rate == 1
    assert false_alarms == 0
