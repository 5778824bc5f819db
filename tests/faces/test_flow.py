from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.faces.flow import FlowSettings, carry_by_flow
from emotrace.timeline import Detection
from tests.faces.scene import texture

SETTINGS = FlowSettings()
BACKGROUND = texture(3, 240, 320, (120, 130, 140))


def moved_picture(dx: float, dy: float, growth: float) -> np.ndarray:
    """`BACKGROUND` grown about (150, 110), then moved."""
    matrix = np.array([[growth, 0, 150 * (1 - growth) + dx], [0, growth, 110 * (1 - growth) + dy]])
    return cv2.warpAffine(BACKGROUND, matrix, (320, 240), borderMode=cv2.BORDER_REFLECT)


@settings(max_examples=40, deadline=None)
@given(dx=st.floats(-12, 12), dy=st.floats(-12, 12), growth=st.floats(0.94, 1.06))
def test_a_known_motion_is_recovered(dx: float, dy: float, growth: float) -> None:
    face = Detection(box_xywh_px=(110, 70, 80, 80), score=0.7)
    carried = carry_by_flow(BACKGROUND, moved_picture(dx, dy, growth), face, SETTINGS)
    assert carried is not None
    x, y, width, height = carried.box_xywh_px
    # Within 2 % of the face's size.
    assert x + width / 2 == pytest.approx(150 + dx, abs=1.6)
    assert y + height / 2 == pytest.approx(110 + dy, abs=1.6)
    assert width == height == pytest.approx(80 * growth, rel=0.02)
    assert carried.score == 0.7


def test_a_picture_without_texture_cannot_be_followed() -> None:
    flat = np.full((240, 320, 3), 90, np.uint8)
    face = Detection(box_xywh_px=(110, 70, 80, 80), score=1.0)
    carried = carry_by_flow(BACKGROUND, flat, face, SETTINGS)
    assert carried is None


def test_an_unrelated_picture_is_not_followed() -> None:
    face = Detection(box_xywh_px=(110, 70, 80, 80), score=1.0)
    assert carry_by_flow(BACKGROUND, texture(99, 240, 320, (120, 130, 140)), face, SETTINGS) is None


@pytest.mark.parametrize("box", [(-500, 0, 50, 50), (0, 0, 2, 2), (316, 236, 3, 3)])
def test_a_face_outside_or_too_small_is_not_followed(box: tuple[float, ...]) -> None:
    face = Detection(box_xywh_px=box, score=1.0)  # type: ignore[arg-type]
    assert carry_by_flow(BACKGROUND, BACKGROUND[:, ::-1], face, SETTINGS) is None


def test_pictures_of_different_shapes_are_not_followed() -> None:
    face = Detection(box_xywh_px=(110, 70, 80, 80), score=1.0)
    assert carry_by_flow(BACKGROUND, BACKGROUND[:100], face, SETTINGS) is None
