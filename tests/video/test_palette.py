from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from emotrace.labels import EMOTIONS
from emotrace.video.palette import FACE_COLORS, emotion_color, face_color, rgb_from_hex

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGHTS = {
    # Machado, Oliveira and Fernandes (2009), table 1, severity 1.0, on linear RGB.
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def seen_lab(color: str, sight: str) -> NDArray[np.float64]:
    rgb = np.array(rgb_from_hex(color)) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(SIGHTS[sight] @ linear, 0, 1)
    coded = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab: NDArray[np.float64] = rgb2lab(coded.reshape(1, 1, 3)).reshape(3)
    return lab


@pytest.mark.parametrize("sight", SIGHTS)
def test_expressions_can_be_told_apart_by_colour(sight: str) -> None:
    for one, other in itertools.combinations(EMOTIONS, 2):
        colors = seen_lab(emotion_color(one), sight), seen_lab(emotion_color(other), sight)
        difference = deltaE_ciede2000(*colors)  # type: ignore[no-untyped-call]
        assert difference > 9, (one, other)


def test_people_get_distinct_colours_in_turn() -> None:
    assert len({face_color(number) for number in range(1, 9)}) == len(FACE_COLORS) == 8
    assert face_color(9) == face_color(1)


def test_face_lines_stand_out_from_the_dark_edge() -> None:
    for color in FACE_COLORS:
        assert seen_lab(color, "normal")[0] > 60  # lightness; the edge has 7


def test_unknown_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="joy"):
        emotion_color("joy")
