from __future__ import annotations

import numpy as np
import pytest

from emotrace.faces.appearance import blend, describe, face_thumbnail, similarity
from emotrace.timeline import Detection
from tests.faces.scene import anna, ben, draw_scene


def test_the_same_person_elsewhere_is_alike_and_another_is_not() -> None:
    here, there, other = anna(), anna(start_xy=(200, 30)), ben()
    looks = [
        describe(draw_scene([person], 0), person.detection(0)) for person in (here, there, other)
    ]
    assert similarity(looks[0], looks[0]) == pytest.approx(1.0, abs=1e-5)
    assert similarity(looks[0], looks[1]) > 0.9
    assert similarity(looks[0], looks[2]) < 0.4


def test_a_close_up_has_no_chest_and_still_compares() -> None:
    person = anna()
    wide = describe(draw_scene([person], 0), person.detection(0))
    image = draw_scene([person], 0)[50:95]
    x, y, width, height = person.box(0)
    close = describe(image, Detection(box_xywh_px=(x, y - 50, width, height), score=1.0))
    assert wide.chest is not None
    assert close.chest is None
    assert similarity(wide, close) > 0.8


def test_a_face_outside_the_frame_is_like_nothing() -> None:
    image = draw_scene([], 0)
    gone = describe(image, Detection(box_xywh_px=(900.0, 900.0, 30.0, 30.0), score=1.0))
    person = anna()
    here = describe(draw_scene([person], 0), person.detection(0))
    assert similarity(gone, here) == 0.0


def test_a_thumbnail_ignores_brightness_and_contrast() -> None:
    person = anna()
    image = draw_scene([person], 0)
    darker = (image // 2 + 20).astype(np.uint8)
    one, other = (face_thumbnail(picture, person.detection(0)) for picture in (image, darker))
    assert float(one @ other) > 0.99
    assert not face_thumbnail(np.full_like(image, 90), person.detection(0)).any()


def test_blending_moves_a_look_towards_the_new_one() -> None:
    people = anna(), ben()
    first, second = (describe(draw_scene([person], 0), person.detection(0)) for person in people)
    mixed = blend(first, second, 0.5)
    assert similarity(first, second) < similarity(mixed, second) < 1
    np.testing.assert_allclose(blend(first, second, 0.0).head, first.head, atol=1e-6)
