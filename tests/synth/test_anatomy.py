from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.synth.action_units import ACTION_UNITS
from emotrace.synth.anatomy import (
    JAW_DROP,
    SkinMotion,
    face_outline,
    find_anchors,
    side_weight,
    skull_outline,
    smooth_curve,
)
from emotrace.synth.head import Pose, project, unproject
from emotrace.synth.identity import make_identity

POINTS = st.lists(
    st.tuples(st.floats(-2, 2, width=32), st.floats(-2, 2, width=32)), min_size=2, max_size=6
)


@given(points=POINTS)
def test_a_curve_goes_through_its_points(points: list[tuple[float, float]]) -> None:
    curve = smooth_curve(points, 10 * (len(points) - 1) + 1)
    np.testing.assert_allclose(curve[::10], points, atol=1e-9)


@pytest.mark.parametrize("subject", range(1, 9))
def test_outlines_are_symmetric_and_end_at_the_chin(subject: int) -> None:
    identity = make_identity(subject)
    at = find_anchors(identity)
    for outline in (skull_outline(identity), face_outline(identity)):
        assert outline[:, 1].max() == pytest.approx(at.chin_v)
        assert outline[:, 0].min() == pytest.approx(-outline[:, 0].max())
    assert face_outline(identity)[:, 1].min() == pytest.approx(at.hairline_v)


@given(
    yaw=st.floats(-25, 25),
    pitch=st.floats(-12, 12),
    roll=st.floats(-15, 15),
    u=st.floats(-0.75, 0.75),
    v=st.floats(-0.9, 1.15),
)
def test_seeing_undoes_turning(yaw: float, pitch: float, roll: float, u: float, v: float) -> None:
    pose = Pose(
        yaw_degrees=yaw, pitch_degrees=pitch, roll_degrees=roll, centre_px=(80, 70), px_per_unit=50
    )
    point = np.array([[u, v]])
    seen = project(point, pose)
    # Two places of a turned head may be seen at one spot (the nose hides a cheek): the spot agrees.
    again = project(unproject(seen, pose), pose)
    assert np.abs(again - seen).max() < 0.6


def test_turning_moves_the_nose_more_than_the_cheek() -> None:
    nose_and_cheek = np.array([[0.0, 0.42], [0.0, 1.0]])
    still = project(nose_and_cheek, Pose(px_per_unit=50))
    turned = project(nose_and_cheek, Pose(px_per_unit=50, yaw_degrees=15))
    moved = (turned - still)[:, 0]
    assert moved[0] > moved[1] + 2 > 2


@pytest.mark.parametrize("unit", sorted(set(ACTION_UNITS) - {25, 43, 45}))
def test_the_grid_and_the_exact_field_agree(unit: int) -> None:
    motion = SkinMotion(make_identity(1))
    field = motion.grid_field({unit: 0.7}, 0.0)
    exact = motion.field_at({unit: 0.7}, motion.grid_uv)
    np.testing.assert_allclose(field, exact, atol=1e-12)
    assert np.abs(field).max() > 0.01


def test_skin_moves_alike_on_both_sides_unless_it_leans() -> None:
    motion = SkinMotion(make_identity(2))
    right = np.array([[0.4, 0.7]])
    left = right * (-1, 1)
    for unit in (6, 12, 14, 20):
        a, b = motion.field_at({unit: 1}, right), motion.field_at({unit: 1}, left)
        np.testing.assert_allclose(a, b * (-1, 1), atol=1e-12)
    leaning_right = motion.field_at({12: 1.0}, right, lean=1.0)
    leaning_left = motion.field_at({12: 1.0}, right, lean=-1.0)
    assert np.abs(leaning_right).max() > 50 * np.abs(leaning_left).max()


def test_the_jaw_drops_the_chin_and_nothing_above_the_mouth() -> None:
    identity = make_identity(3)
    at = find_anchors(identity)
    moved = SkinMotion(identity).field_at({26: 1.0}, np.array([[0.0, at.chin_v], [0.0, 0.4]]))
    assert moved[0, 1] == pytest.approx(JAW_DROP)
    assert moved[1, 1] == 0


def test_side_weight_is_one_there_and_nought_here() -> None:
    ends = np.array([-0.5, 0.5])
    np.testing.assert_allclose(side_weight(ends, 1.0), [0, 1], atol=1e-3)
    np.testing.assert_allclose(side_weight(ends, -1.0), [1, 0], atol=1e-3)
    np.testing.assert_allclose(side_weight(ends, 0.0), [1, 1])
