"""Colours that mean the same thing in annotated videos and in reports."""

from __future__ import annotations

from typing import Final

from emotrace.labels import EMOTIONS, label_index

_EMOTION_COLORS: Final = {
    "anger": "#D55E00",
    "contempt": "#8C510A",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happiness": "#E69F00",
    "neutral": "#B0B0B0",
    "sadness": "#0072B2",
    "surprise": "#56B4E9",
}
"""Okabe and Ito's colours for everybody (2008), with brown and grey in place of black and yellow,
which vanish on dark and on white grounds. Simulated for the three kinds of dichromacy (Machado et
al. 2009), no two come closer than a CIEDE2000 difference of 9, 4 times what is just noticed."""

FACE_COLORS: Final[tuple[str, ...]] = (
    "#56B4E9",
    "#E69F00",
    "#00C08B",
    "#F0E442",
    "#E07BB5",
    "#FF7A2F",
    "#B9A5FF",
    "#FFFFFF",
)
"""For people, in the order of their `face_id`: bright enough to be seen as thin lines on any video.
Okabe and Ito's hues, lightened; beyond eight people they repeat, and the label tells who is who."""


def emotion_color(name: str) -> str:
    """Return the colour of an expression as `#RRGGBB`.

    Raises:
        ValueError: `name` is not one of `EMOTIONS`.

    >>> emotion_color("happiness")
    '#E69F00'
    """
    return _EMOTION_COLORS[EMOTIONS[label_index(name)]]


def face_color(face_id: int) -> str:
    """Return the colour of a person as `#RRGGBB`.

    >>> face_color(1) == face_color(9)
    True
    """
    return FACE_COLORS[(face_id - 1) % len(FACE_COLORS)]


def rgb_from_hex(color: str) -> tuple[int, int, int]:
    """Split `#RRGGBB` into its three numbers of 0 to 255.

    >>> rgb_from_hex("#FF7A2F")
    (255, 122, 47)
    """
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
