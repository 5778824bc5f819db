"""Valence and arousal: where expressions lie, and what a face shows that follows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from emotrace.labels import EMOTIONS
from emotrace.synth.action_units import EXPRESSIONS
from emotrace.synth.dynamics import Wander

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

EXPRESSION_POLES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "anger": (-0.51, 0.59),
        "contempt": (-0.2875, 0.07),
        "disgust": (-0.60, 0.35),
        "fear": (-0.64, 0.60),
        "happiness": (0.81, 0.51),
        "neutral": (0.0, 0.0),
        "sadness": (-0.63, -0.27),
        "surprise": (0.40, 0.67),
    }
)
"""`(valence, arousal)` of each expression at its strongest, in [-1, 1].

The same published norms as `emotrace.analysis.affect.VALENCE_AROUSAL_NORMS` (Russell and Mehrabian
1977; Bradley and Lang 1999 for contempt), where the sources are discussed; a test holds the two
together. They stand here again because this package lies below the analysis.
"""

LABEL_FROM_INTENSITY: Final = 0.3
"""A face that shows less than this of an expression is labelled neutral: grade B in FACS."""

_REACH: Final = 0.24
"""How far an expression reaches in the plane around its pole (standard deviation): neighbours such
as anger and disgust blend, opposite ones do not."""
_TASTE: Final = 1.5
"""Anger, fear and disgust lie close together: each person's taste (deviation of a log weight)
decides which of them the same valence and arousal bring out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Affect:
    """What a face expresses at one moment."""

    units: Mapping[int, float]
    """Intensities of action units in [0, 1], by number."""
    lean: float
    """Which side units 12 and 14 act on; see `emotrace.synth.anatomy.side_weight`."""
    emotion: str
    intensity: float
    valence: float
    arousal: float


class AffectTrajectory:
    """Valence and arousal that wander freely, and the face that follows them."""

    def __init__(self, random: np.random.Generator, *, count: int, frame_rate: float) -> None:
        """Choose a trajectory.

        Args:
            random: What chooses.
            count: The number of states; the trajectory closes to a loop over them.
            frame_rate: States per second.
        """
        self._valence = Wander(random, count=count, frame_rate=frame_rate, pace_hz=0.12)
        self._arousal = Wander(random, count=count, frame_rate=frame_rate, pace_hz=0.10)
        self._taste = {name: float(random.normal(0, _TASTE)) for name in EMOTIONS}
        self._taste["neutral"] = 0.0
        self._chosen = {
            name: EXPRESSIONS[name][int(random.integers(len(EXPRESSIONS[name])))]
            for name in EMOTIONS
        }
        self._side = float(random.choice((-1.0, 1.0)))

    def at(self, state: int) -> Affect:
        """Return what the face expresses at a state."""
        # The sine spreads the values towards the ends: the sum of waves stays near the middle.
        valence = math.sin(0.5 * math.pi * self._valence.at(state))
        arousal = math.sin(0.5 * math.pi * self._arousal.at(state))
        weights = blend_weights(valence, arousal, self._taste)
        units: dict[int, float] = {}
        one_sided = both_sided = 0.0
        for name, weight in weights.items():
            combination = self._chosen[name]
            for number, intensity in combination.intensities.items():
                units[number] = units.get(number, 0.0) + weight * intensity
                if number in (12, 14):
                    one_sided += weight * intensity * combination.is_one_sided
                    both_sided += weight * intensity * (not combination.is_one_sided)
        total = one_sided + both_sided
        emotion = max(weights, key=weights.__getitem__)
        intensity = 1 - weights["neutral"]
        return Affect(
            units={number: min(1.0, value) for number, value in units.items()},
            lean=self._side * one_sided / total if total > 0 else 0.0,
            emotion=emotion if intensity >= LABEL_FROM_INTENSITY else "neutral",
            intensity=intensity,
            valence=valence,
            arousal=arousal,
        )


def blend_weights(valence: float, arousal: float, taste: Mapping[str, float]) -> dict[str, float]:
    """Return the share of each expression in a face, summing to 1.

    Args:
        valence: In [-1, 1].
        arousal: In [-1, 1].
        taste: A log weight for each expression, 0 for none.

    >>> none = dict.fromkeys(EMOTIONS, 0.0)
    >>> weights = blend_weights(0.81, 0.51, none)
    >>> max(weights, key=weights.get)
    'happiness'
    """
    logs = {
        name: taste[name] - ((valence - pole[0]) ** 2 + (arousal - pole[1]) ** 2) / (2 * _REACH**2)
        for name, pole in EXPRESSION_POLES.items()
    }
    top = max(logs.values())
    powers = {name: math.exp(value - top) for name, value in logs.items()}
    total = sum(powers.values())
    return {name: power / total for name, power in powers.items()}
