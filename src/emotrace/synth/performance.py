"""What one person does in a clip: expression, blinks, gaze and head movement, state by state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.synth.action_units import ACTION_UNITS, EXPRESSIONS
from emotrace.synth.affect import (
    EXPRESSION_POLES,
    LABEL_FROM_INTENSITY,
    Affect,
    AffectTrajectory,
)
from emotrace.synth.dynamics import Wander, expression_share
from emotrace.synth.features import Gaze
from emotrace.synth.head import FaceState

if TYPE_CHECKING:
    from emotrace.synth.dynamics import Dynamics

_BLINK_EVERY_SECONDS: Final = 3.4
"""About 17 blinks a minute at rest (A. R. Bentivoglio et al., "Analysis of blink rate patterns in
normal subjects", Movement Disorders 12, 1997)."""
_BLINK_SECONDS: Final = 0.24
_MIN_GAIN: Final = 0.85
"""A performance makes each unit of a combination a little weaker than the strongest, by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceSettings:
    """What a person is asked to do."""

    emotion: str | None
    """One of `EMOTIONS`; None lets valence and arousal wander and the face follow."""
    dynamics: Dynamics
    count: int
    """The number of states, as many as the clip has frames."""
    frame_rate: float
    peak: float
    """The intensity of the apex, in [0, 1]."""
    pulses: int
    """How many times a `pulse` comes."""
    turn_degrees: float
    """How far the head turns, to each side; it nods and tips half as far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A person in one state: how the face looks, and what that means."""

    face: FaceState
    affect: Affect
    yaw_degrees: float
    pitch_degrees: float
    roll_degrees: float
    sway: tuple[float, float]
    """How far the head is from its place, right and down, in [-1, 1]."""


class Performance:
    """Every state of one person in a clip; the same seed always gives the same."""

    def __init__(self, settings: PerformanceSettings, seed: tuple[int, ...]) -> None:
        random = np.random.default_rng([*seed, 2])
        self.settings = settings
        count, rate = settings.count, settings.frame_rate

        def wander(pace_hz: float) -> Wander:
            return Wander(random, count=count, frame_rate=rate, pace_hz=pace_hz)

        self._yaw, self._pitch, self._roll = wander(0.12), wander(0.12), wander(0.10)
        self._sway_right, self._sway_down = wander(0.15), wander(0.15)
        self._look_right, self._look_down = wander(0.3), wander(0.25)
        self._side = float(random.choice((-1.0, 1.0)))
        self._gains = {number: float(random.uniform(_MIN_GAIN, 1)) for number in ACTION_UNITS}
        self._first_blink = float(random.uniform(0, _BLINK_EVERY_SECONDS))
        self._trajectory = None
        self._combination = None
        if settings.emotion is None:
            self._trajectory = AffectTrajectory(random, count=count, frame_rate=rate)
        else:
            ways = EXPRESSIONS[settings.emotion]
            self._combination = ways[int(random.integers(len(ways)))]

    def at(self, state: int) -> Moment:
        """Return the person at a state."""
        affect = self._affect_at(state)
        units = {
            number: min(1.0, affect.units.get(number, 0.0) * gain)
            for number, gain in self._gains.items()
        }
        units[45] = self._blink_at(state)
        gaze = Gaze(right=0.35 * self._look_right.at(state), down=0.25 * self._look_down.at(state))
        turn = self.settings.turn_degrees
        return Moment(
            face=FaceState(units=units, lean=affect.lean, gaze=gaze),
            affect=affect,
            yaw_degrees=turn * self._yaw.at(state),
            pitch_degrees=0.5 * turn * self._pitch.at(state),
            roll_degrees=0.5 * turn * self._roll.at(state),
            sway=(self._sway_right.at(state), self._sway_down.at(state)),
        )

    def _affect_at(self, state: int) -> Affect:
        if self._trajectory is not None:
            return self._trajectory.at(state)
        settings, combination = self.settings, self._combination
        if combination is None or settings.emotion is None:  # one of the two was chosen above
            return Affect(units={}, lean=0, emotion="neutral", intensity=0, valence=0, arousal=0)
        share = expression_share(settings.dynamics, state, settings.count, pulses=settings.pulses)
        intensity = share * settings.peak if settings.emotion != "neutral" else 0.0
        valence, arousal = EXPRESSION_POLES[settings.emotion]
        return Affect(
            units={n: intensity * full for n, full in combination.intensities.items()},
            lean=self._side if combination.is_one_sided else 0.0,
            emotion=settings.emotion if intensity >= LABEL_FROM_INTENSITY else "neutral",
            intensity=intensity,
            valence=intensity * valence,
            arousal=intensity * arousal,
        )

    def _blink_at(self, state: int) -> float:
        if self.settings.count == 1:
            return 0.0  # a still picture is taken when the eyes are open
        since = (state / self.settings.frame_rate - self._first_blink) % _BLINK_EVERY_SECONDS
        return max(0.0, 1 - abs(2 * since / _BLINK_SECONDS - 1))
