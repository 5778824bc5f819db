"""What each detector finds in the shared clips, and whether it is a face: for `not_face_on_clips`.

The truth comes from the clips' README and from YuNet, never from a model that is to be judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from emotrace.faces import (
    CropGeometry,
    FaceFollower,
    HaarDetector,
    HaarSettings,
    LbpDetector,
    YuNetDetector,
    YuNetSettings,
)
from emotrace.faces.association import box_iou
from emotrace.training.not_face_crops import cut_grey, square_box
from emotrace.training.permissive_detectors import DefaultHaarDetector
from emotrace.video import VideoReader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.faces import Detector
    from emotrace.faces.association import Box
    from emotrace.timeline import Detection

PLAIN_HAAR = HaarSettings(scale_factor=1.1, min_hits=3)
"""OpenCV's own default settings."""
FACELESS = {
    "no_face.mp4": (0.0, 1e9),
    "face_noface.mov": (2.400, 1e9),
    "noface_face.mov": (0.0, 3.945),
}
"""Seconds without a face, from the clips' README."""
NEAR_SECONDS = 0.3
LEAST_OVERLAP = 0.3
LEAST_SCORE = 0.6


class Recorder:
    """A detector that remembers what it found last."""

    def __init__(self, detector: Detector) -> None:
        self.detector, self.name, self.canonical = detector, detector.name, detector.canonical
        self.found: list[Detection] = []

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        """Find faces; see `Detector.detect`."""
        self.found = self.detector.detect(image_rgb)
        return self.found


@dataclass(kw_only=True)
class Sighting:
    """One box of one frame."""

    frame: int
    seconds: float
    square: Box
    crop: NDArray[np.uint8]
    face_id: int = 0
    """0 where the detector reports it; a track's where `analyze` shows it."""


@dataclass(kw_only=True)
class Seen:
    """What was found in a clip."""

    times: list[float]
    reference: list[list[Box]]
    """By frame: the canonical squares of YuNet's faces."""
    detected: dict[str, list[Sighting]] = field(default_factory=dict)
    shown: dict[str, list[Sighting]] = field(default_factory=dict)


def watch(path: Path, models: Path, geometry: CropGeometry) -> Seen:
    """Run all detectors over a clip, as `analyze --search-every 1` does."""
    yunet = models / "face_detection_yunet_2023mar.onnx"
    judge = YuNetDetector(
        yunet, YuNetSettings(detection_long_side_px=960, score_threshold=LEAST_SCORE)
    )
    recorders = [
        Recorder(detector)
        for detector in (
            HaarDetector(),
            DefaultHaarDetector(PLAIN_HAAR),
            LbpDetector(models / "lbpcascade_frontalface_improved.xml"),
            YuNetDetector(yunet),
        )
    ]
    followers = [FaceFollower(one, detect_every=1, search_every=1) for one in recorders]
    seen = Seen(times=[], reference=[])
    with VideoReader(path) as reader:
        for frame in reader:
            image, seconds = frame.image_rgb, frame.timestamp_seconds
            seen.times.append(seconds)
            seen.reference.append([square_box(d, judge.canonical) for d in judge.detect(image)])
            for recorder, follower in zip(recorders, followers, strict=True):
                faces, _ = follower.look(image, frame_index=frame.index, timestamp_seconds=seconds)
                for where, items in (
                    (seen.detected, [(0, item) for item in recorder.found]),
                    (seen.shown, [(face.face_id, face.detection) for face in faces]),
                ):
                    where.setdefault(recorder.name, []).extend(
                        Sighting(
                            frame=frame.index,
                            seconds=seconds,
                            square=square_box(item, recorder.canonical),
                            crop=cut_grey(image, item, recorder.canonical, geometry),
                            face_id=face_id,
                        )
                        for face_id, item in items
                    )
    return seen


def is_face(box: Sighting, seen: Seen, clip: str, detector: str) -> bool:
    """Say whether a box shows a face, by the rule in the head of this file."""
    start, end = FACELESS.get(clip, (0.0, 0.0))
    if start <= box.seconds < end:
        return False
    if detector == "yunet":
        return True
    near = np.flatnonzero(np.abs(np.array(seen.times) - box.seconds) <= NEAR_SECONDS)
    return any(
        box_iou(box.square, square) >= LEAST_OVERLAP
        for frame in near
        for square in seen.reference[frame]
    )
