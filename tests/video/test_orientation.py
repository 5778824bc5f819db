from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageOps

from emotrace.video.orientation import UPRIGHT, Orientation, orientation_from_matrix
from emotrace.video.reader import VideoReader

if TYPE_CHECKING:
    from pathlib import Path

ONE = 1 << 16


def matrix(a: int, b: int, c: int, d: int) -> list[int]:
    return [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30]


@pytest.mark.parametrize(
    "numbers",
    [
        *[(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)],
        *[(-1, 0, 0, 1), (0, 1, 1, 0), (1, 0, 0, -1), (0, -1, -1, 0)],
    ],
)
def test_every_pixel_goes_where_the_matrix_sends_it(numbers: tuple[int, int, int, int]) -> None:
    a, b, c, d = numbers
    stored = np.arange(3 * 5, dtype=np.uint8).reshape(3, 5, 1)
    shown = orientation_from_matrix(matrix(*numbers)).apply(stored).reshape((3, 5) if a else (5, 3))
    points = {
        (a * x + c * y, b * x + d * y): int(stored[y, x, 0]) for y in range(3) for x in range(5)
    }
    left, top = min(x for x, _ in points), min(y for _, y in points)
    for (x, y), value in points.items():
        assert shown[y - top, x - left] == value


def test_a_degenerate_matrix_changes_nothing() -> None:
    assert orientation_from_matrix([0] * 9) == UPRIGHT


def test_a_tilt_is_rounded_to_a_quarter_turn_and_told() -> None:
    angle = np.radians(100)
    cos, sin = round(np.cos(angle) * ONE), round(np.sin(angle) * ONE)
    orientation = orientation_from_matrix([cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30])
    assert orientation.rotation_degrees == 90
    assert orientation.residual_degrees == pytest.approx(10, abs=0.01)


def test_upright_pictures_are_not_copied() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    assert Orientation().apply(image) is image


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_exif_orientation_as_pillow_applies_it(tmp_path: Path, ending: str, tag: int) -> None:
    stored = np.zeros((40, 56, 3), np.uint8)
    stored[:16, :24] = (230, 20, 20)
    stored[24:, 32:] = (20, 20, 230)
    exif = Image.Exif()
    exif[0x0112] = tag
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(stored).save(path, exif=exif, quality=98, subsampling=0, lossless=True)
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    with VideoReader(path) as reader:
        (frame,) = reader
        facts = reader.facts()
    assert frame.image_rgb.shape == expected.shape
    # JPEG decoders may differ in the last bits of the inverse cosine transform.
    assert np.abs(frame.image_rgb.astype(int) - expected).max() <= (4 if ending == "jpg" else 0)
    assert (facts.width, facts.height) == (expected.shape[1], expected.shape[0])
    assert any("mirrored" in note for note in facts.notes) == (tag in {2, 4, 5, 7})
