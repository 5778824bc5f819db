from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emotrace.labels import EMOTIONS
from emotrace.synth.action_units import ACTION_UNITS, EXPRESSIONS
from emotrace.synth.anatomy import CANVAS_LEFT, CANVAS_TOP
from emotrace.synth.features import Gaze, eye_shape, mouth_shape
from emotrace.synth.head import FaceState, Head, Pose, choose_scale
from emotrace.synth.identity import make_identity
from emotrace.synth.light import Light

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALE = 56.0
SUBJECTS = (4, 9, 12)


@cache
def head_of(subject: int) -> Head:
    # Without glasses: they are drawn over the eyes that these tests look at.
    return Head(replace(make_identity(subject), glasses="none"), Light(), SCALE)


@cache
def frontal(
    subject: int, units: tuple[tuple[int, float], ...], lean: float = 0.0
) -> NDArray[np.float32]:
    state = FaceState(units=dict(units), lean=lean)
    return head_of(subject).draw_frontal(state).astype(np.float32)


def change(subject: int, unit: int, intensity: float) -> NDArray[np.float32]:
    """How much each pixel of the head differs from the head at rest."""
    difference = np.abs(frontal(subject, ((unit, intensity),)) - frontal(subject, ()))
    return np.asarray(difference[..., :3].sum(axis=2), np.float32)


def region_mask(unit: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    left, top, right, bottom = ACTION_UNITS[unit].region
    mask = np.zeros(shape[:2], np.bool_)
    rows = slice(round((top - CANVAS_TOP) * SCALE), round((bottom - CANVAS_TOP) * SCALE))
    columns = slice(round((left - CANVAS_LEFT) * SCALE), round((right - CANVAS_LEFT) * SCALE))
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize("unit", ACTION_UNITS)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_each_unit_changes_its_region_and_little_else(subject: int, unit: int) -> None:
    changed = change(subject, unit, 1.0)
    inside = region_mask(unit, changed.shape)
    assert changed[inside].sum() > 0.95 * changed.sum()
    # Visible: at least 40 pixels differ by more than 10 levels in each channel.
    assert np.count_nonzero(changed[inside] > 30) > 40


@pytest.mark.parametrize("unit", ACTION_UNITS)
def test_more_intensity_changes_more(unit: int) -> None:
    sums = [float(change(9, unit, step).sum()) for step in (0.25, 0.5, 1.0)]
    assert 0 < sums[0] < sums[1] < sums[2]


def test_the_upper_and_the_lower_face_are_moved_by_different_units() -> None:
    """Brows and lids do not move the mouth, the mouth does not move the brows."""
    rows = slice(round((0.62 - CANVAS_TOP) * SCALE), round((0.95 - CANVAS_TOP) * SCALE))
    brows = slice(round((-0.5 - CANVAS_TOP) * SCALE), round((-0.15 - CANVAS_TOP) * SCALE))
    for unit in (1, 2, 4, 5, 7, 43):
        assert change(12, unit, 1.0)[rows].max() < 6
    for unit in (14, 15, 17, 20, 23, 25, 26):
        assert change(12, unit, 1.0)[brows].max() < 6


@pytest.mark.parametrize("emotion", [name for name in EMOTIONS if name != "neutral"])
def test_expressions_differ_from_rest_and_from_one_another(emotion: str) -> None:
    def picture(name: str) -> NDArray[np.float32]:
        units = tuple(sorted(EXPRESSIONS[name][0].intensities.items()))
        return frontal(12, units, 1.0 if EXPRESSIONS[name][0].is_one_sided else 0.0)

    others = [picture(name) for name in EMOTIONS if name != emotion]
    distances = [float(np.abs(picture(emotion) - other)[..., :3].mean()) for other in others]
    # Contempt moves one corner of the mouth: it changes the least.
    assert min(distances) > 0.2


def test_drawing_leaves_no_trace() -> None:
    head = head_of(4)
    before = head.draw_frontal(FaceState())
    head.draw_frontal(FaceState(units=dict.fromkeys(ACTION_UNITS, 1.0)))
    np.testing.assert_array_equal(head.draw_frontal(FaceState()), before)


def test_lids_and_lips_do_what_the_manual_says() -> None:
    identity = make_identity(5)
    rest, lips = eye_shape(identity, {}, 1), mouth_shape(identity, {}, 0.0)
    assert eye_shape(identity, {5: 1.0}, 1).openness > 1.2 * rest.openness
    assert eye_shape(identity, {7: 1.0}, 1).openness < 0.8 * rest.openness
    assert eye_shape(identity, {43: 1.0}, 1).openness == pytest.approx(0, abs=0.004)
    assert lips.opening == pytest.approx(0, abs=1e-9)
    assert mouth_shape(identity, {25: 1.0}, 0.0).opening > 0.06
    assert mouth_shape(identity, {26: 1.0}, 0.0).opening > 0.18

    def corner(units: dict[int, float], lean: float = 0.0, side: int = -1) -> tuple[float, float]:
        u, v = mouth_shape(identity, units, lean).upper_inner[side]
        return float(u), float(v)

    assert corner({12: 1.0})[1] < corner({})[1] - 0.08
    assert corner({12: 1.0})[0] > corner({})[0]
    assert corner({15: 1.0})[1] > corner({})[1] + 0.08
    assert corner({20: 1.0})[0] > 1.2 * corner({})[0]
    assert corner({23: 1.0})[0] < corner({})[0]
    one_sided = mouth_shape(identity, {14: 1.0, 12: 0.5}, 1.0).upper_inner
    assert one_sided[-1, 1] < one_sided[0, 1] - 0.04


@pytest.mark.parametrize("side", [-1, 1])
def test_eyes_look_where_they_are_told(side: int) -> None:
    head = head_of(9)
    ahead = head.draw_frontal(FaceState()).astype(int)
    looking = head.draw_frontal(FaceState(gaze=Gaze(right=0.35 * side))).astype(int)
    dark_before, dark_after = (
        np.argwhere(picture[..., :3].sum(axis=2) < 130)[:, 1]
        for picture in (_eye(ahead), _eye(looking))
    )
    assert side * (dark_after.mean() - dark_before.mean()) > 0.3


def _eye(picture: NDArray[np.int_]) -> NDArray[np.int_]:
    rows = slice(round((-0.05 - CANVAS_TOP) * SCALE), round((0.04 - CANVAS_TOP) * SCALE))
    columns = slice(round((0.22 - CANVAS_LEFT) * SCALE), round((0.48 - CANVAS_LEFT) * SCALE))
    return picture[rows, columns]


def test_a_lamp_from_the_right_lights_the_right_cheek() -> None:
    identity = make_identity(9)
    picture = Head(identity, Light(azimuth_degrees=60), SCALE).draw_frontal(FaceState())
    row = round((0.3 - CANVAS_TOP) * SCALE)
    left, right = (round((u - CANVAS_LEFT) * SCALE) for u in (-0.5, 0.5))
    assert picture[row, right, :3].sum() > 1.2 * picture[row, left, :3].sum()


@pytest.mark.parametrize(
    "pose",
    [
        Pose(centre_px=(60.3, 70.8), px_per_unit=50),
        Pose(centre_px=(60, 70), px_per_unit=31.7, yaw_degrees=18),
        Pose(centre_px=(60, 70), px_per_unit=50, yaw_degrees=-20, pitch_degrees=9),
        Pose(centre_px=(-20, 400), px_per_unit=44, pitch_degrees=-10, roll_degrees=12),
    ],
)
@pytest.mark.parametrize("units", [{}, {26: 1.0, 25: 1.0}, {12: 1.0, 6: 1.0}])
def test_the_outline_encloses_what_the_picture_shows(pose: Pose, units: dict[int, float]) -> None:
    """The outline is projected forwards, pictures are fetched backwards: two ways to one answer."""
    head = head_of(12)
    state = FaceState(units=units)
    mask = np.zeros_like(head.draw_frontal(FaceState()))
    outline_rest = np.asarray(head._outline)
    head._canvas.fill(mask, outline_rest, (255, 255, 255, 255))
    moving = {number: value * head.identity.expressiveness for number, value in units.items()}
    layer = head._draw_head(head._bend(mask, moving, 0.0), pose)
    rows, columns = np.nonzero(layer.rgba[..., 3] > 127)
    seen = np.array(
        [
            columns.min() + layer.left - 0.5,
            rows.min() + layer.top - 0.5,
            columns.max() + layer.left + 0.5,
            rows.max() + layer.top + 0.5,
        ]
    )
    outline = head.outline_px(state, pose)
    said = np.concatenate([outline.min(axis=0), outline.max(axis=0)])
    assert np.abs(seen - said).max() < 1.5


def test_a_head_is_painted_at_least_as_large_as_it_is_drawn() -> None:
    assert choose_scale(50) == 56
    assert choose_scale(56) == 56
    assert choose_scale(10_000) == 160
