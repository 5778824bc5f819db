"""The action units that the renderer knows, and the expressions that they make up.

The units and their numbers: P. Ekman, W. V. Friesen, "Facial Action Coding System", Consulting
Psychologists Press, 1978; P. Ekman, W. V. Friesen, J. C. Hager, "Facial Action Coding System: the
manual", 2002. The combinations: the prototypes and major variants in the *Investigator's Guide* to
the 2002 manual, and the EMFACS-7 list (happiness 6+12; sadness 1+4+15; surprise 1+2+5B+26; fear
1+2+4+5+7+20+26; anger 4+5+7+23; disgust 9+15+16; contempt R12A+R14A). D. Matsumoto, P. Ekman,
"Facial expression analysis", Scholarpedia 3(5):4237, 2008, introduces them. All were checked
against independent reprints of the tables, not against the manual itself. Of a unit that the
renderer does not know (11, 16, 22, 24, 27, 54, 64) the nearest variant without it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_A, _B, _C, _D, _E = 0.15, 0.3, 0.55, 0.8, 1.0
"""FACS grades intensity from A (trace) to E (maximum), unevenly: C and D are wide, A and B narrow.

The manual names the order and the widths, not numbers; these are ours, on the scale from 0 to 1.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionUnit:
    """One movement of the face."""

    name: str
    """What FACS calls it."""
    region: tuple[float, float, float, float]
    """Left, top, right, bottom of where it acts, in face units (see `emotrace.synth.anatomy`)."""


ACTION_UNITS: Final[Mapping[int, ActionUnit]] = MappingProxyType(
    {
        1: ActionUnit(name="inner brow raiser", region=(-0.70, -0.95, 0.70, 0.14)),
        2: ActionUnit(name="outer brow raiser", region=(-0.85, -0.85, 0.85, 0.00)),
        4: ActionUnit(name="brow lowerer", region=(-0.85, -0.60, 0.85, 0.12)),
        5: ActionUnit(name="upper lid raiser", region=(-0.65, -0.30, 0.65, 0.12)),
        6: ActionUnit(name="cheek raiser", region=(-0.95, -0.45, 0.95, 0.75)),
        7: ActionUnit(name="lid tightener", region=(-0.70, -0.20, 0.70, 0.35)),
        9: ActionUnit(name="nose wrinkler", region=(-0.70, -0.50, 0.70, 1.00)),
        10: ActionUnit(name="upper lip raiser", region=(-0.60, 0.25, 0.60, 1.00)),
        12: ActionUnit(name="lip corner puller", region=(-0.90, 0.05, 0.90, 1.10)),
        14: ActionUnit(name="dimpler", region=(-0.75, 0.45, 0.75, 1.10)),
        15: ActionUnit(name="lip corner depressor", region=(-0.75, 0.55, 0.75, 1.25)),
        17: ActionUnit(name="chin raiser", region=(-0.60, 0.55, 0.60, 1.40)),
        20: ActionUnit(name="lip stretcher", region=(-0.90, 0.40, 0.90, 1.20)),
        23: ActionUnit(name="lip tightener", region=(-0.65, 0.50, 0.65, 1.10)),
        25: ActionUnit(name="lips part", region=(-0.50, 0.55, 0.50, 1.10)),
        26: ActionUnit(name="jaw drop", region=(-0.95, 0.45, 0.95, 1.60)),
        43: ActionUnit(name="eyes closed", region=(-0.65, -0.25, 0.65, 0.20)),
        45: ActionUnit(name="blink", region=(-0.65, -0.25, 0.65, 0.20)),
    }
)
"""By FACS number. Lips, lids and brows move; 45 is 43 for the time of a blink."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """Action units that together make an expression at its strongest."""

    intensities: Mapping[int, float]
    """In [0, 1], by number."""
    is_one_sided: bool = False
    """Units 12 and 14 act on one side of the face only."""


EXPRESSIONS: Final[Mapping[str, tuple[Combination, ...]]] = MappingProxyType(
    {
        "anger": (
            Combination(intensities={4: _E, 5: _C, 7: _D, 23: _E}),
            Combination(intensities={4: _E, 5: _C, 7: _D, 17: _C, 23: _E}),
            Combination(intensities={4: _E, 5: _D, 7: _D, 10: _B, 23: _D, 25: _C, 26: _A}),
        ),
        "contempt": (
            Combination(intensities={12: _C, 14: _E}, is_one_sided=True),
            Combination(intensities={14: _E}, is_one_sided=True),
        ),
        "disgust": (
            Combination(intensities={9: _E, 15: _C, 17: _B}),
            Combination(intensities={9: _E, 17: _D}),
            Combination(intensities={9: _D, 10: _E, 25: _C}),
        ),
        "fear": (
            Combination(intensities={1: _E, 2: _D, 4: _C, 5: _E, 20: _E, 25: _D}),
            Combination(intensities={1: _E, 2: _D, 4: _C, 5: _E, 7: _A, 20: _E, 25: _C, 26: _B}),
        ),
        "happiness": (
            Combination(intensities={6: _D, 12: _E, 25: _D}),
            Combination(intensities={6: _E, 12: _D}),
            Combination(intensities={6: _D, 12: _E, 25: _D, 26: _B}),
        ),
        "neutral": (Combination(intensities={}),),
        "sadness": (
            Combination(intensities={1: _E, 4: _C, 15: _E}),
            Combination(intensities={1: _E, 4: _C, 15: _D, 17: _D}),
        ),
        "surprise": (
            Combination(intensities={1: _E, 2: _E, 5: _D, 25: _C, 26: _E}),
            Combination(intensities={1: _E, 2: _E, 5: _D, 25: _C, 26: _D}),
        ),
    }
)
"""The ways to show each of `EMOTIONS`; a performance picks one of them."""
