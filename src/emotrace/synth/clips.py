"""Making clips from a few settings: one face, or people who cross and hide one another."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, get_args

import numpy as np

from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS
from emotrace.synth.camera import (
    LIGHT_NAMES,
    Camera,
    CameraSettings,
    LightName,
    choose_light,
    paint_room,
    room_brightness,
)
from emotrace.synth.dynamics import DYNAMICS, Dynamics
from emotrace.synth.identity import make_identity
from emotrace.synth.performance import Performance, PerformanceSettings
from emotrace.synth.scene import Actor, Place, Scene, Shot
from emotrace.synth.truth import Partition, SynthClip

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_SIDE_PX: Final = 16
"""Below this nothing of a face can be drawn."""
MAX_PEOPLE: Final = 8
_SCENE_FACE_SHARE: Final = 0.40
"""The nearest face of a scene fills this share of the picture's height where there is room."""
_FARTHER: Final = 0.88
"""Each person behind another looks smaller by this factor."""
_SCENE_PULSE_SECONDS: Final = 4.0
"""In a scene an expression comes and goes about as often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """A clip of one face."""

    clip_id: str
    subject: int
    """Who: a number from 1. The same number of the same population is the same face."""
    emotion: str | None = "happiness"
    """One of `EMOTIONS`; None lets valence and arousal wander and the face follow them."""
    dynamics: Dynamics = "pulse"
    """How the expression runs in time; without an emotion it is only the order of the states."""
    pulses: int = 1
    """How many times a `pulse` comes in the clip."""
    frame_count: int = 50
    frame_rate: float = 25.0
    width: int = 170
    height: int = 170
    """Of the pictures, in pixels."""
    face_share: float = 0.62
    """The share of the picture's shorter side that the face fills from hairline to chin."""
    intensity: float = 1.0
    """Of the apex, in [0, 1]."""
    turn_degrees: float = 10.0
    """How far the head turns to each side; it nods and tips half as far. At most 25."""
    light: LightName = "normal"
    camera: CameraSettings = field(default_factory=CameraSettings)
    seed: int = 0
    """Of the take: variant, pose, light, room, noise."""
    population: int = 0
    partition: Partition | None = None

    def __post_init__(self) -> None:
        _check_subjects(self.clip_id, (self.subject,), (self.emotion,))
        _check_pictures(self.clip_id, self.frame_count, self.frame_rate, self.width, self.height)
        _check_one_of(self.clip_id, "dynamics", self.dynamics, DYNAMICS)
        _check_one_of(self.clip_id, "light", self.light, LIGHT_NAMES)
        _check_one_of(self.clip_id, "partition", self.partition, (None, *get_args(Partition)))
        _check_within(self.clip_id, "intensity", self.intensity, 0, 1)
        _check_within(self.clip_id, "face_share", self.face_share, 0.05, 1.5)
        _check_within(self.clip_id, "turn_degrees", self.turn_degrees, 0, 25)
        _check_within(self.clip_id, "pulses", self.pulses, 1, self.frame_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSettings:
    """A clip of several people."""

    clip_id: str
    subjects: tuple[int, ...]
    """Who; the first is the nearest to the camera, and has `face_id` 1."""
    emotions: tuple[str | None, ...]
    """What each shows, again and again; None for valence and arousal that wander."""
    frame_count: int = 150
    frame_rate: float = 25.0
    width: int = 640
    height: int = 360
    cuts: int = 0
    """How many cuts there are; behind each the people stand elsewhere, in another room."""
    is_crossing: bool = True
    """The people walk through the picture and hide one another; otherwise each keeps a place."""
    turn_degrees: float = 10.0
    light: LightName = "normal"
    camera: CameraSettings = field(default_factory=CameraSettings)
    seed: int = 0
    population: int = 0
    partition: Partition | None = None

    def __post_init__(self) -> None:
        _check_subjects(self.clip_id, self.subjects, self.emotions)
        _check_pictures(self.clip_id, self.frame_count, self.frame_rate, self.width, self.height)
        _check_one_of(self.clip_id, "light", self.light, LIGHT_NAMES)
        _check_one_of(self.clip_id, "partition", self.partition, (None, *get_args(Partition)))
        _check_within(self.clip_id, "turn_degrees", self.turn_degrees, 0, 25)
        _check_within(self.clip_id, "cuts", self.cuts, 0, self.frame_count - 1)


def make_clip(settings: ClipSettings) -> SynthClip:
    """Make a clip of one face; nothing is drawn before its frames are asked for."""

    def build() -> Scene:
        seed = (settings.population, settings.seed, settings.subject)
        random = np.random.default_rng([*seed, 3])
        performance = Performance(
            PerformanceSettings(
                emotion=settings.emotion,
                dynamics=settings.dynamics,
                count=settings.frame_count,
                frame_rate=settings.frame_rate,
                peak=settings.intensity,
                pulses=settings.pulses,
                turn_degrees=settings.turn_degrees,
            ),
            seed,
        )
        light = choose_light(settings.light, random)
        room = paint_room(random, settings.width, settings.height, room_brightness(settings.light))
        here = (0.5, 0.5)
        actor = Actor(
            face_id=1,
            identity=make_identity(settings.subject, population=settings.population),
            performance=performance,
            place=Place(
                start=here,
                end=here,
                face_height_px=settings.face_share * min(settings.width, settings.height),
            ),
            depth_rank=0,
        )
        shot = Shot(
            first_state=0, count=settings.frame_count, room=room, light=light, actors=(actor,)
        )
        return Scene(
            shots=(shot,),
            camera=Camera(settings.camera, random, settings.width, settings.height),
            dynamics=settings.dynamics,
            count=settings.frame_count,
            frame_rate=settings.frame_rate,
        )

    return SynthClip(
        clip_id=settings.clip_id,
        subject=make_identity(settings.subject, population=settings.population).name,
        emotion=settings.emotion,
        dynamics=settings.dynamics,
        frame_rate=settings.frame_rate,
        frame_count=settings.frame_count,
        width=settings.width,
        height=settings.height,
        render=lambda: build().frames(),
        partition=settings.partition,
    )


def make_scene(settings: SceneSettings) -> SynthClip:
    """Make a clip of several people; nothing is drawn before its frames are asked for."""
    first = make_identity(settings.subjects[0], population=settings.population)
    return SynthClip(
        clip_id=settings.clip_id,
        subject=first.name,
        emotion=settings.emotions[0],
        dynamics="pulse",
        frame_rate=settings.frame_rate,
        frame_count=settings.frame_count,
        width=settings.width,
        height=settings.height,
        render=lambda: _build_scene(settings).frames(),
        partition=settings.partition,
    )


def _build_scene(settings: SceneSettings) -> Scene:
    random = np.random.default_rng([settings.population, settings.seed, 4])
    pulses = max(1, round(settings.frame_count / settings.frame_rate / _SCENE_PULSE_SECONDS))
    performances = [
        Performance(
            PerformanceSettings(
                emotion=emotion,
                dynamics="pulse",
                count=settings.frame_count,
                frame_rate=settings.frame_rate,
                peak=1.0,
                pulses=pulses,
                turn_degrees=settings.turn_degrees,
            ),
            (settings.population, settings.seed, subject),
        )
        for subject, emotion in zip(settings.subjects, settings.emotions, strict=True)
    ]
    identities = [make_identity(one, population=settings.population) for one in settings.subjects]
    edges = np.linspace(0, settings.frame_count, settings.cuts + 2).round().astype(int)
    shots = []
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        places = choose_places(settings, number)
        actors = tuple(
            Actor(
                face_id=rank + 1,
                identity=identity,
                performance=performance,
                place=place,
                depth_rank=rank,
            )
            for rank, (identity, performance, place) in enumerate(
                zip(identities, performances, places, strict=True)
            )
        )
        shots.append(
            Shot(
                first_state=int(start),
                count=int(end - start),
                room=paint_room(
                    random, settings.width, settings.height, room_brightness(settings.light)
                ),
                light=choose_light(settings.light, random),
                actors=actors,
            )
        )
    return Scene(
        shots=tuple(shots),
        camera=Camera(settings.camera, random, settings.width, settings.height),
        dynamics="pulse",
        count=settings.frame_count,
        frame_rate=settings.frame_rate,
    )


def choose_places(settings: SceneSettings, shot: int) -> list[Place]:
    """Choose where each person stands or walks in a shot, the nearest first."""
    people = len(settings.subjects)
    random = np.random.default_rng([settings.population, settings.seed, 5, shot])
    slots = (np.arange(people) + 0.5) / people
    slots = 0.5 + (slots - 0.5) * min(1.0, 0.86 * people / max(people - 1, 1))
    order = random.permutation(people)
    starts = slots[order]
    # Everybody moves up by one place, and whoever stood last passes all the others, one by one.
    ends = slots[(order + 1) % people] if settings.is_crossing else starts
    room = settings.width / people / 0.9
    nearest = min(_SCENE_FACE_SHARE * settings.height, room)
    return [
        Place(
            start=(float(starts[rank]), 0.50 + 0.02 * rank),
            end=(float(ends[rank]), 0.50 + 0.02 * rank),
            face_height_px=nearest * _FARTHER**rank,
        )
        for rank in range(people)
    ]


def _check_subjects(clip_id: str, subjects: Sequence[int], emotions: Sequence[str | None]) -> None:
    if not 1 <= len(subjects) <= MAX_PEOPLE or len(set(subjects)) < len(subjects):
        raise UsageError(
            f"expected clip {clip_id!r} to have 1 to {MAX_PEOPLE} different subjects; "
            f"got {tuple(subjects)}"
        )
    if min(subjects) < 1:
        raise UsageError(
            f"expected the subjects of clip {clip_id!r} to be numbers from 1; got {min(subjects)}"
        )
    if len(emotions) != len(subjects):
        raise UsageError(
            f"expected clip {clip_id!r} to have an emotion for each of {len(subjects)} subjects; "
            f"got {len(emotions)}"
        )
    for emotion in emotions:
        _check_one_of(clip_id, "emotion", emotion, (None, *EMOTIONS))


def _check_pictures(
    clip_id: str, frame_count: int, frame_rate: float, width: int, height: int
) -> None:
    if frame_count < 1 or not 0 < frame_rate < float("inf") or min(width, height) < MIN_SIDE_PX:
        raise UsageError(
            f"expected clip {clip_id!r} to have at least 1 frame, a frame rate above 0 and sides "
            f"of at least {MIN_SIDE_PX} px; got {frame_count} frames, {frame_rate:g} a second, "
            f"{width} x {height} px"
        )


def _check_one_of(clip_id: str, name: str, value: str | None, known: Sequence[str | None]) -> None:
    if value not in known:
        raise UsageError(
            f"expected {name} of clip {clip_id!r} to be one of "
            f"{', '.join(map(str, known))}; got {value!r}"
        )


def _check_within(clip_id: str, name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(
            f"expected {name} of clip {clip_id!r} between {low:g} and {high:g}; got {value:g}"
        )
