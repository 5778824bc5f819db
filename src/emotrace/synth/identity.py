"""Who is drawn: the shape, colours and attributes of a face, chosen from a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

HairStyle = Literal["bald", "buzz", "short", "side part", "receding", "bob", "long", "curly", "bun"]
BeardStyle = Literal["none", "stubble", "moustache", "goatee", "full"]
GlassesStyle = Literal["none", "round", "square", "thin"]
Rgb = tuple[float, float, float]
"""Red, green, blue in [0, 255]."""

HAIR_STYLES: Final[tuple[HairStyle, ...]] = (
    "bald",
    "buzz",
    "short",
    "side part",
    "receding",
    "bob",
    "long",
    "curly",
    "bun",
)
BEARD_STYLES: Final[tuple[BeardStyle, ...]] = ("none", "stubble", "moustache", "goatee", "full")
GLASSES_STYLES: Final[tuple[GlassesStyle, ...]] = ("none", "round", "square", "thin")

_SKIN_RGB: Final = (
    (246, 218, 198),
    (236, 200, 174),
    (222, 180, 148),
    (202, 156, 122),
    (174, 126, 92),
    (142, 98, 70),
    (110, 74, 54),
    (84, 56, 42),
)
"""From light to dark, chosen by eye; a face takes a tone between two neighbours."""
_HAIR_RGB: Final = (
    (28, 24, 24),
    (46, 34, 28),
    (78, 54, 38),
    (118, 84, 54),
    (176, 136, 86),
    (214, 182, 128),
    (132, 72, 46),
    (150, 146, 142),
    (214, 212, 208),
)
_EYE_RGB: Final = ((62, 42, 30), (84, 58, 36), (96, 106, 62), (82, 116, 142), (112, 132, 146))
_CLOTHES_RGB: Final = (
    (52, 62, 84),
    (122, 46, 52),
    (60, 96, 74),
    (186, 186, 190),
    (40, 40, 44),
    (170, 140, 92),
    (92, 84, 138),
    (70, 122, 150),
)
_GREY_HAIR: Final = 7
"""From this place on, `_HAIR_RGB` is for the old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What stays the same in a face. Lengths are factors of the average face, 1 for the average."""

    name: str
    texture_seed: int
    """Of hair strands, freckles and the like."""
    face_width: float
    jaw_width: float
    chin_length: float
    eye_spacing: float
    eye_size: float
    eye_tilt: float
    """How far the outer corner lies above the inner one, in face units."""
    brow_height: float
    """How far the brows lie above the average, in face units."""
    brow_thickness: float
    brow_arch: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_thickness: float
    skin_rgb: Rgb
    hair_rgb: Rgb
    eye_rgb: Rgb
    clothes_rgb: Rgb
    hair: HairStyle
    hair_volume: float
    beard: BeardStyle
    glasses: GlassesStyle
    age: float
    """In [0, 1]: how deep the lines are that a face at rest has."""
    freckles: float
    """In [0, 1]."""
    expressiveness: float
    """In [0, 1]: the share of a movement that this face makes."""


def make_identity(subject: int, *, population: int = 0) -> Identity:
    """Choose a face: the same number of the same population is always the same face.

    Args:
        subject: The person's number in the population, from 1.
        population: Another population has other people under the same numbers.

    >>> make_identity(3) == make_identity(3), make_identity(3).name
    (True, 'S003')
    """
    random = np.random.default_rng([population, subject, 1])
    # Decides which proportions, hair and beards are usual; nothing else follows from it.
    is_male = bool(random.random() < 0.5)
    age = float(random.beta(1.3, 1.6))
    tone = random.uniform(0, len(_SKIN_RGB) - 1)
    skin = _between(_SKIN_RGB, tone)
    dark_hair_only = tone > 3.5
    greys = age > 0.72 and random.random() < 0.75
    hair_index = (
        random.integers(_GREY_HAIR, len(_HAIR_RGB))
        if greys
        else random.integers(0, 3 if dark_hair_only else _GREY_HAIR)
    )
    eye_index = 0 if tone > 4.5 else random.integers(0, 2 if dark_hair_only else len(_EYE_RGB))
    weights = (
        (0.10, 0.18, 0.24, 0.20, 0.14, 0.0, 0.05, 0.09, 0.0)
        if is_male
        else (0.0, 0.03, 0.10, 0.10, 0.0, 0.25, 0.26, 0.12, 0.14)
    )
    hair = HAIR_STYLES[random.choice(len(HAIR_STYLES), p=weights)]
    beard = BEARD_STYLES[random.choice(5, p=(0.42, 0.18, 0.12, 0.12, 0.16))]
    glasses = GLASSES_STYLES[random.choice(4, p=(0.74, 0.10, 0.10, 0.06))]

    def around(middle: float, spread: float) -> float:
        low, high = middle - 2 * spread, middle + 2 * spread
        return float(np.clip(random.normal(middle, spread), low, high))

    return Identity(
        name=f"S{subject:03d}",
        texture_seed=int(random.integers(2**31)),
        face_width=around(1.03 if is_male else 0.98, 0.05),
        jaw_width=around(1.05 if is_male else 0.94, 0.06),
        chin_length=around(1.0, 0.05),
        eye_spacing=around(1.0, 0.035),
        eye_size=around(0.98 if is_male else 1.08, 0.07),
        eye_tilt=around(0.012, 0.012),
        brow_height=around(0.0 if is_male else 0.02, 0.018),
        brow_thickness=around(1.25 if is_male else 0.85, 0.18),
        brow_arch=around(0.8 if is_male else 1.25, 0.25),
        nose_width=around(1.05, 0.12),
        nose_length=around(1.0, 0.05),
        mouth_width=around(1.0, 0.07),
        lip_thickness=around(0.9 if is_male else 1.15, 0.16),
        skin_rgb=skin,
        hair_rgb=_jittered(_HAIR_RGB[hair_index], random),
        eye_rgb=_jittered(_EYE_RGB[eye_index], random),
        clothes_rgb=_jittered(_CLOTHES_RGB[random.integers(len(_CLOTHES_RGB))], random),
        hair=hair,
        hair_volume=float(random.uniform(0.75, 1.3)),
        beard=beard if is_male else "none",
        glasses=glasses,
        age=age,
        freckles=float(random.random() ** 4) if tone < 3 else 0.0,
        expressiveness=float(random.uniform(0.85, 1.0)),
    )


def _between(colours: tuple[tuple[int, int, int], ...], place: float) -> Rgb:
    low = min(int(place), len(colours) - 2)
    share = place - low
    red, green, blue = (
        (1 - share) * a + share * b for a, b in zip(colours[low], colours[low + 1], strict=True)
    )
    return (red, green, blue)


def _jittered(colour: tuple[int, int, int], random: np.random.Generator) -> Rgb:
    red, green, blue = (float(np.clip(part + random.normal(0, 6), 0, 255)) for part in colour)
    return (red, green, blue)
