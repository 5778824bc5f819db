"""Reading videos with true times, writing them annotated, and telling shots apart."""

from __future__ import annotations

from emotrace.video.overlay import draw_frame_result
from emotrace.video.palette import emotion_color, face_color
from emotrace.video.reader import VideoReader
from emotrace.video.shots import ShotCutDetector, ShotCutSettings
from emotrace.video.writer import VideoWriter

__all__ = [
    "ShotCutDetector",
    "ShotCutSettings",
    "VideoReader",
    "VideoWriter",
    "draw_frame_result",
    "emotion_color",
    "face_color",
]
