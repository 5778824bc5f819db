"""The crop against pictures whose every value is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.errors import UsageError
from emotrace.faces.choose import DETECTORS
from emotrace.faces.crop import (
    BoxMapping,
    CropGeometry,
    canonical_square,
    extract_crop,
    eye_line_degrees,
)
from emotrace.faces.haar import HAAR_BOX
from emotrace.faces.lbp import LBP_BOX
from emotrace.faces.yunet import YUNET_BOX
from emotrace.timeline import Detection
from tests.faces.scene import texture

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNIT = BoxMapping()


def face_at(
    center_x: float, center_y: float, side: float, *, roll_degrees: float | None = None
) -> Detection:
    landmarks = None
    if roll_degrees is not None:
        angle = math.radians(roll_degrees)
        center = np.array([center_x, center_y])
        half = 0.19 * side * np.array([math.cos(angle), math.sin(angle)])
        landmarks = np.zeros((5, 2), np.float32)
        landmarks[0], landmarks[1] = center - half, center + half
    return Detection(
        box_xywh_px=(center_x - side / 2, center_y - side / 2, side, side),
        score=1.0,
        landmarks_px=landmarks,
    )


def crop(
    image: NDArray[np.uint8],
    face: Detection,
    geometry: CropGeometry | None = None,
    mapping: BoxMapping = UNIT,
) -> NDArray[np.uint8]:
    return extract_crop(image, face, mapping=mapping, geometry=geometry or CropGeometry())


def ramp(
    height: int, width: int, slope_x: float, slope_y: float, start: float
) -> NDArray[np.uint8]:
    """A plane: value at the continuous place (x, y) is start + slope_x * x + slope_y * y."""
    y, x = np.mgrid[:height, :width] + 0.5
    plane = start + slope_x * x + slope_y * y
    assert plane.min() >= 0
    assert plane.max() <= 255
    return np.repeat(np.rint(plane).astype(np.uint8)[..., None], 3, axis=2)


def test_a_face_that_fills_its_picture_comes_back_unchanged() -> None:
    image = texture(1, 48, 48, (120, 110, 100))
    np.testing.assert_array_equal(crop(image, face_at(24, 24, 48)), image)


@pytest.mark.parametrize("factor", [2, 3, 4, 8, 16])
def test_shrinking_by_a_whole_factor_averages(factor: int) -> None:
    size = 48 * factor
    image = texture(2, size, size, (120, 110, 100))
    averages = image.reshape(48, factor, 48, factor, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(crop(image, face_at(size / 2, size / 2, size)), averages, atol=1.6)


@pytest.mark.parametrize("side", [130.0, 333.3, 801.7])
@pytest.mark.parametrize("align", ["none", "eyes"])
def test_fine_stripes_do_not_alias(side: float, align: Literal["none", "eyes"]) -> None:
    image = np.zeros((900, 1000, 3), np.uint8)
    image[:, ::2] = 255
    step = side / 48
    result = crop(image, face_at(500.3, 450.8, side, roll_degrees=7), CropGeometry(align=align))
    # Averaging over `step` pixels leaves at worst 1 / (pi step / 2) of stripes of period 2; picking
    # single pixels would leave all of them (standard deviation 127).
    assert result.std() < 127.5 / (math.pi * step / 2)
    assert abs(float(result.mean()) - 127.5) < 3


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(150, 250),
    y=st.floats(150, 250),
    side=st.floats(20, 180),
    size=st.integers(16, 112),
    scale=st.floats(0.6, 1.4),
    offset=st.floats(-0.1, 0.1),
    roll=st.floats(-40, 40),
)
def test_every_pixel_shows_the_place_that_the_geometry_says(
    x: float, y: float, side: float, size: int, scale: float, offset: float, roll: float
) -> None:
    slopes = np.array([0.3, 0.25])
    image = ramp(400, 400, 0.3, 0.25, 10)
    geometry = CropGeometry(
        size_px=size, scale=scale, offset_x=offset, offset_y=-offset, align="eyes"
    )
    result = crop(image, face_at(x, y, side, roll_degrees=roll), geometry)

    angle = math.radians(roll)
    right = np.array([math.cos(angle), math.sin(angle)])
    down = np.array([-math.sin(angle), math.cos(angle)])
    v, u = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    along_x = offset * side + u * scale * side
    along_y = -offset * side + v * scale * side
    places = np.array([x, y]) + along_x[..., None] * right + along_y[..., None] * down
    np.testing.assert_allclose(result[..., 0], 10 + places @ slopes, atol=1.3)


@settings(max_examples=60, deadline=None)
@given(x=st.floats(-20, 120), y=st.floats(-20, 100), side=st.floats(8, 60))
def test_beyond_the_frame_its_edge_is_repeated(x: float, y: float, side: float) -> None:
    image = texture(4, 80, 100, (110, 120, 130))
    padded = np.pad(image, ((200, 200), (200, 200), (0, 0)), mode="edge").astype(np.uint8)
    geometry = CropGeometry(size_px=64)
    inside = crop(padded, face_at(x + 200, y + 200, side), geometry)
    outside = crop(image, face_at(x, y, side), geometry)
    np.testing.assert_allclose(outside.astype(int), inside, atol=2)


@settings(max_examples=60, deadline=None)
@given(x=st.floats(-60, 160), y=st.floats(-60, 140), side=st.floats(60, 400))
def test_a_large_face_beyond_the_frame_repeats_it_too(x: float, y: float, side: float) -> None:
    # Rows of one value each: whatever is repeated or averaged sideways changes nothing.
    image = np.repeat(ramp(80, 1, 0, 2, 20), 100, axis=1)
    result = crop(image, face_at(x, y, side)).astype(int)
    assert np.ptp(result, axis=1).max() <= 1
    places = np.clip(y + side * ((np.arange(48) + 0.5) / 48 - 0.5), 0, 80)
    # Where the frame ends, what is repeated is the average of one sample.
    np.testing.assert_allclose(result[:, 0, 0], 20 + 2 * places, atol=1.5 + side / 48)


@settings(max_examples=20, deadline=None)
@given(x=st.floats(30, 70), side=st.floats(20, 90))
def test_strides_do_not_matter(x: float, side: float) -> None:
    image = texture(5, 80, 100, (110, 120, 130))
    views = [
        np.asfortranarray(image),
        image[:, ::-1][:, ::-1],
        np.repeat(image, 2, axis=1)[:, ::2],
        np.ascontiguousarray(image[..., ::-1])[..., ::-1],
    ]
    expected = crop(image, face_at(x, 40, side))
    assert expected.flags.c_contiguous
    for view in views:
        np.testing.assert_array_equal(crop(view, face_at(x, 40, side)), expected)


@pytest.mark.parametrize("mapping", [YUNET_BOX, HAAR_BOX, LBP_BOX])
def test_boxes_of_different_detectors_give_the_same_crop(mapping: BoxMapping) -> None:
    image = texture(6, 300, 300, (110, 120, 130))
    size = 100 / mapping.scale
    center = 150 - mapping.dx * size, 150 - mapping.dy * size
    mapped = canonical_square(face_at(*center, size), mapping)
    assert (mapped.center_x_px, mapped.center_y_px, mapped.side_px) == pytest.approx(
        (150, 150, 100)
    )
    expected = crop(image, face_at(150, 150, 100)).astype(int)
    assert np.abs(crop(image, face_at(*center, size), mapping=mapping) - expected).max() <= 1


def test_a_canonical_square_has_the_known_place() -> None:
    detection = Detection(box_xywh_px=(10, 20, 40, 90), score=1.0)
    square = canonical_square(detection, BoxMapping(scale=1.5, dx=0.1, dy=-0.2))
    assert (square.center_x_px, square.center_y_px, square.side_px) == pytest.approx((36, 53, 90))


def test_the_eye_line_is_measured_clockwise() -> None:
    for roll in (-30.0, 0.0, 12.5, 80.0):
        assert eye_line_degrees(face_at(50, 50, 40, roll_degrees=roll)) == pytest.approx(
            roll, abs=1e-3
        )
    assert eye_line_degrees(face_at(50, 50, 40)) is None


def test_a_head_is_turned_back_by_no_more_than_the_limit() -> None:
    image = texture(8, 200, 200, (120, 120, 120))
    limited = CropGeometry(align="eyes", max_roll_degrees=20)
    free = CropGeometry(align="eyes", max_roll_degrees=90)
    np.testing.assert_array_equal(
        crop(image, face_at(100, 100, 80, roll_degrees=60), limited),
        crop(image, face_at(100, 100, 80, roll_degrees=20), free),
    )


def test_without_usable_eyes_the_crop_stays_level() -> None:
    image = texture(8, 200, 200, (120, 120, 120))
    level = crop(image, face_at(100, 100, 80))
    turned = CropGeometry(align="eyes")
    np.testing.assert_array_equal(crop(image, face_at(100, 100, 80), turned), level)
    profile = face_at(100, 100, 80, roll_degrees=70)
    assert profile.landmarks_px is not None
    profile.landmarks_px[1] = profile.landmarks_px[0] + (1, 2)
    np.testing.assert_array_equal(crop(image, profile, turned), level)


@pytest.mark.parametrize(
    "image",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3), np.float32)],
)
def test_another_kind_of_picture_is_refused(image: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match=r"shape \(9, 9"):
        crop(image, face_at(4, 4, 4))


@pytest.mark.parametrize("box", [(1, 1, 0, 5), (1, 1, 5, -2), (1, 1, math.nan, 5)])
def test_a_box_without_area_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(UsageError, match="width and height"):
        crop(np.zeros((9, 9, 3), np.uint8), Detection(box_xywh_px=box, score=1.0))


@pytest.mark.parametrize(
    "changes",
    [{"size_px": 0}, {"scale": 0.0}, {"align": "nose"}, {"max_roll_degrees": 200.0}],
)
def test_a_geometry_that_cannot_work_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(changes))):
        CropGeometry(**changes)  # type: ignore[arg-type]


def test_a_mapping_without_size_is_refused() -> None:
    with pytest.raises(UsageError, match="scale"):
        BoxMapping(scale=0.0)


def test_every_detector_of_the_table_has_a_mapping_tested_here() -> None:
    assert set(DETECTORS) == {"yunet", "haar", "lbp"}
