"""Drawn faces that follow a script: at rest, then an expression from a known time to a known time.

What `emotrace synth` draws runs in fixed courses (a pulse, an onset); to measure delays and missed
expressions one wants the same face at rest for a while, then an expression of half a second. Other
benchmarks import this; it measures nothing by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emotrace.synth import CameraSettings, SynthClip, make_identity
from emotrace.synth.camera import Camera, choose_light, paint_room, room_brightness
from emotrace.synth.performance import Moment, Performance, PerformanceSettings
from emotrace.synth.scene import Actor, Place, Scene, Shot

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_RAMP_SECONDS = 0.4
SIDE_PX = 170
FACE_SHARE = 0.62
RATE = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One expression; it begins and ends where it is half as strong as at its height."""

    emotion: str
    start_seconds: float
    duration_seconds: float
    peak: float

    @property
    def end_seconds(self) -> float:
        """Where it is half gone."""
        return self.start_seconds + self.duration_seconds

    def strength(self, seconds: float) -> float:
        """How much of the expression is shown at a time, in [0, peak]."""
        ramp = min(LONGEST_RAMP_SECONDS, self.duration_seconds)
        rising = (seconds - self.start_seconds) / ramp + 0.5
        falling = (self.end_seconds - seconds) / ramp + 0.5
        return self.peak * min(_smooth_step(rising), _smooth_step(falling))


def _smooth_step(share: float) -> float:
    clipped = min(max(share, 0.0), 1.0)
    return clipped * clipped * (3 - 2 * clipped)


class ScriptedPerformance:
    """A person who does what the script says; moves, looks and blinks as others of this seed do."""

    def __init__(self, acts: Sequence[Act], *, count: int, seed: tuple[int, ...]) -> None:
        self._acts, self._count, self._seed = acts, count, seed

    def at(self, state: int) -> Moment:
        """Return the person at a state."""
        seconds = state / RATE
        strongest = max(self._acts, key=lambda act: act.strength(seconds))
        # The same seed chooses the same movements, whatever the strength.
        settings = PerformanceSettings(
            emotion=strongest.emotion,
            dynamics="hold",
            count=self._count,
            frame_rate=RATE,
            peak=strongest.strength(seconds),
            pulses=1,
            turn_degrees=10.0,
        )
        return Performance(settings, self._seed).at(state)


def make_scripted_clip(
    clip_id: str, subject: int, acts: Sequence[Act], *, seconds: float, noise: float = 6.0
) -> SynthClip:
    """A clip of one face that follows a script; `noise` is the camera's, of 255."""
    count = round(seconds * RATE)
    seed = (0, 0, subject)

    def build() -> Scene:
        random = np.random.default_rng([*seed, 3])
        light = choose_light("normal", random)
        actor = Actor(
            face_id=1,
            identity=make_identity(subject),
            performance=ScriptedPerformance(acts, count=count, seed=seed),
            place=Place(start=(0.5, 0.5), end=(0.5, 0.5), face_height_px=FACE_SHARE * SIDE_PX),
            depth_rank=0,
        )
        room = paint_room(random, SIDE_PX, SIDE_PX, room_brightness("normal"))
        return Scene(
            shots=(Shot(first_state=0, count=count, room=room, light=light, actors=(actor,)),),
            camera=Camera(CameraSettings(noise=noise), random, SIDE_PX, SIDE_PX),
            dynamics="hold",
            count=count,
            frame_rate=RATE,
        )

    return SynthClip(
        clip_id=clip_id,
        subject=make_identity(subject).name,
        emotion=acts[0].emotion,
        dynamics="hold",
        frame_rate=RATE,
        frame_count=count,
        width=SIDE_PX,
        height=SIDE_PX,
        render=lambda: build().frames(),
    )
