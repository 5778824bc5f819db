"""Clips that cost nothing to draw: flat faces whose truth is known, odd cases included."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from emotrace.labels import EMOTIONS
from emotrace.synth.truth import Partition, SynthClip, SynthFace, SynthFrame

WIDTH, HEIGHT = 96, 64
UNITS = (1, 2, 4, 5, 6, 7, 9, 12, 14, 15, 17, 20, 23, 25, 26, 43)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a stand-in clip shows."""

    clip_id: str
    subject: str
    emotion: str | None
    frame_count: int = 9
    frame_rate: float = 25.0
    partition: Partition | None = "train"
    hidden: tuple[int, ...] = ()
    """Frames in which the first person is out of sight."""
    second: str | None = None
    """A second person, to the left of the first."""


def make_clip(plan: Plan) -> SynthClip:
    def render() -> Iterator[SynthFrame]:
        for index in range(plan.frame_count):
            image = np.full((HEIGHT, WIDTH, 3), (90, 110, 130), np.uint8)
            faces = []
            if index not in plan.hidden:
                faces.append(_face(plan, plan.subject, 1, index, left=52.0))
            if plan.second is not None:
                faces.append(_face(plan, plan.second, 2, index, left=8.0))
            for face in faces:
                x, y, w, h = (round(v) for v in face.box_xywh_px)
                image[y : y + h, x : x + w] = (200, 140 + 4 * index, 120 - 20 * face.face_id)
            yield SynthFrame(
                index=index,
                timestamp_seconds=index / plan.frame_rate,
                image_rgb=image,
                faces=tuple(faces),
            )

    return SynthClip(
        clip_id=plan.clip_id,
        subject=plan.subject,
        emotion=plan.emotion,
        dynamics="onset",
        frame_rate=plan.frame_rate,
        frame_count=plan.frame_count,
        width=WIDTH,
        height=HEIGHT,
        render=render,
        partition=plan.partition,
    )


def _face(plan: Plan, subject: str, face_id: int, index: int, *, left: float) -> SynthFace:
    # Rises to a peak two frames before the end, then falls: who ends at the peak must cut.
    peak = max(plan.frame_count - 3, 0)
    intensity = 1.0 - 0.15 * abs(index - peak) if abs(index - peak) < 6 else 0.05
    seed = sum(map(ord, plan.clip_id + subject)) % 17
    return SynthFace(
        face_id=face_id,
        subject=subject,
        box_xywh_px=(left, 12.0, 32.0, 40.0),
        visible_share=1.0,
        depth_rank=face_id - 1,
        action_units={
            unit: abs(math.sin(unit * 0.7 + seed + index * 0.2)) * intensity for unit in UNITS
        },
        emotion=plan.emotion or EMOTIONS[(index + seed) % len(EMOTIONS)],
        intensity=intensity,
        valence=math.sin(0.9 * index + seed),
        arousal=math.cos(0.7 * index + seed) * 0.9,
    )


def sample_clips() -> list[SynthClip]:
    """Every expression, one clip without a label, three parts, gaps, two people, another rate."""
    parts: tuple[Partition | None, ...] = ("train", "validation", "test", None)
    plans = [
        Plan(
            clip_id=f"clip_{subject}_{number}",
            subject=subject,
            emotion=emotion,
            partition=parts[(number + offset) % len(parts)],
            frame_count=6 + number,
            hidden=(2, 3) if number == 4 else (),
        )
        for offset, subject in enumerate(("ada", "ben", "cem"))
        for number, emotion in enumerate((*EMOTIONS, None))
    ]
    plans += [
        Plan(clip_id="again", subject="ada", emotion="happiness", frame_count=20),
        Plan(clip_id="pair", subject="ben", emotion="fear", second="cem", hidden=(0, 5)),
        Plan(clip_id="thirty", subject="dov", emotion="surprise", frame_rate=30.0),
    ]
    return [make_clip(plan) for plan in plans]
