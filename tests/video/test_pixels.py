from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from emotrace.video.pixels import RgbConverter
from emotrace.video.reader import VideoReader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

COLORS = [(0, 0, 0), (255, 255, 255), (224, 172, 105), (141, 85, 36), (20, 200, 90), (10, 20, 240)]
MATRICES = {"601": (6, 0.299, 0.114), "709": (1, 0.2126, 0.0722), "2020": (9, 0.2627, 0.0593)}


def yuv_of(
    color: tuple[int, int, int], kr: float, kb: float, *, full: bool, bits: int
) -> list[int]:
    """ITU-T H.273, section 8.3, in floats."""
    r, g, b = (value / 255 for value in color)
    y = kr * r + (1 - kr - kb) * g + kb * b
    u, v = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    scale, top = 2 ** (bits - 8), 2**bits - 1
    if full:
        numbers = [y * top, u * top + 128 * scale, v * top + 128 * scale]
    else:
        numbers = [(219 * y + 16) * scale, (224 * u + 128) * scale, (224 * v + 128) * scale]
    return [min(top, round(number)) for number in numbers]


def flat_frame(
    pixel_format: str, numbers: list[int], width: int = 64, height: int = 32
) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pixel_format)
    dtype = np.dtype("<u2") if "10" in pixel_format else np.dtype(np.uint8)
    for plane, number in zip(frame.planes, numbers, strict=True):
        plane.update(np.full(plane.buffer_size // dtype.itemsize, number, dtype).tobytes())
    return frame


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full", [False, True])
def test_colours_survive_matrix_and_range(pixel_format: str, matrix: str, full: bool) -> None:
    number, kr, kb = MATRICES[matrix]
    bits = 10 if "10" in pixel_format else 8
    for color in COLORS:
        frame = flat_frame(pixel_format, yuv_of(color, kr, kb, full=full, bits=bits))
        frame.colorspace, frame.color_range = number, 2 if full else 1
        image = RgbConverter().convert(frame)
        # 3 for swscale's direct converter, 1 for rounding to 8-bit YUV.
        assert np.abs(image.astype(int) - color).max() <= 4
        frame.colorspace = number
        exact = RgbConverter(is_exact=True).convert(frame)
        assert np.abs(exact.astype(int) - color).max() <= 2


@pytest.mark.parametrize(("size", "matrix"), [((640, 360), "601"), ((1280, 720), "709")])
def test_an_unstated_matrix_goes_by_the_size(size: tuple[int, int], matrix: str) -> None:
    _, kr, kb = MATRICES[matrix]
    frame = flat_frame("yuv420p", yuv_of((20, 200, 90), kr, kb, full=False, bits=8), *size)
    image = RgbConverter().convert(frame)
    assert np.abs(image.astype(int) - (20, 200, 90)).max() <= 4


def test_a_matrix_that_ffmpeg_does_not_know_is_told() -> None:
    frame = flat_frame("yuv420p", [120, 128, 128])
    frame.colorspace = 8  # YCgCo
    converter = RgbConverter()
    assert converter.convert(frame).shape == (32, 64, 3)
    assert "colour matrix number 8" in converter.notes[0]


def test_hdr_is_told_once() -> None:
    converter = RgbConverter()
    for _ in range(2):
        frame = flat_frame("yuv420p10le", [500, 512, 512])
        frame.color_trc = 16
        converter.convert(frame)
    assert len(converter.notes) == 1
    assert "HDR" in converter.notes[0]


def read_one(path: Path) -> NDArray[np.uint8]:
    with VideoReader(path) as reader:
        (frame,) = reader
    return frame.image_rgb


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[:2, :, 3] = [[0, 51, 102, 153, 204, 255]] * 2
    path = tmp_path / "alpha.png"
    Image.fromarray(rgba).save(path)
    white = Image.new("RGBA", (6, 4), "white")
    expected = np.asarray(Image.alpha_composite(white, Image.fromarray(rgba)).convert("RGB"))
    assert np.abs(read_one(path).astype(int) - expected).max() <= 1


def test_transparent_palette_is_laid_over_white(tmp_path: Path) -> None:
    picture = Image.fromarray(np.zeros((4, 6), np.uint8), mode="P")
    picture.putpalette([10, 20, 30] * 256)
    picture.putpixel((1, 1), 7)
    path = tmp_path / "palette.png"
    picture.save(path, transparency=0)
    image = read_one(path)
    assert image[0, 0].tolist() == [255, 255, 255]
    assert image[1, 1].tolist() == [10, 20, 30]


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_levels_are_kept(tmp_path: Path, depth: int) -> None:
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    stored = levels.astype(np.uint8) if depth == 8 else levels * 257
    path = tmp_path / "grey.png"
    Image.fromarray(stored).save(path)
    image = read_one(path)
    assert np.abs(image.astype(int) - levels[..., None]).max() <= (0 if depth == 8 else 1)


@pytest.mark.parametrize("ending", ["bmp", "tiff", "png"])
def test_lossless_pictures_come_out_as_they_went_in(tmp_path: Path, ending: str) -> None:
    # 61 px: a width whose rows FFmpeg pads.
    stored = np.random.default_rng(0).integers(0, 256, (37, 61, 3), dtype=np.uint8)
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(stored).save(path)
    image = read_one(path)
    assert np.array_equal(image, stored)
    assert image.flags.c_contiguous
