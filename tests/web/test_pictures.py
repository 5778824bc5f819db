"""A picture's size is known before it is decoded."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emotrace.errors import InputError
from emotrace.web.pictures import decode_picture, stated_size_px


def encoded(size_px: tuple[int, int], kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    picture = Image.new("RGB", size_px, (200, 30, 30))
    picture.save(data, kind, **options)
    return data.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("png", {}),
        ("jpeg", {}),
        ("jpeg", {"progressive": True}),
        ("jpeg", {"exif": b"Exif\x00\x00" + b"\xff\xc0" * 40, "comment": b"\xff\xc2 x"}),
        ("webp", {}),
        ("webp", {"lossless": True}),
        ("webp", {"exif": b"Exif\x00\x00 x"}),
    ],
)
@pytest.mark.parametrize("size_px", [(1, 1), (37, 61), (640, 360), (3000, 7)])
def test_the_size_is_that_of_the_picture(
    kind: str, options: dict[str, object], size_px: tuple[int, int]
) -> None:
    data = encoded(size_px, kind, **options)
    assert stated_size_px(data) == size_px
    image = decode_picture(data)
    assert image.shape == (size_px[1], size_px[0], 3)
    # Red stays red.
    assert np.abs(image.reshape(-1, 3).mean(axis=0) - (200, 30, 30)).max() < 6


def test_a_small_file_of_a_huge_picture_is_not_decoded() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    side = 16_000
    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(b"\0" * ((side // 8 + 1) * side), 9)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    assert len(bomb) < 50_000
    with pytest.raises(InputError, match="at most 50000000 pixels; got 16000 x 16000"):
        decode_picture(bomb)


@given(st.sampled_from(["png", "jpeg", "webp"]), st.integers(0, 400))
def test_what_is_cut_off_is_refused_or_decoded(kind: str, length: int) -> None:
    data = encoded((64, 48), kind)[:length]
    try:
        image = decode_picture(data)
    except InputError:
        return
    assert image.shape == (48, 64, 3)


@given(st.binary(max_size=64), st.sampled_from([b"", b"\xff\xd8", b"RIFF0000WEBPVP8 ", b"RIFF"]))
def test_bytes_of_any_kind_are_refused(data: bytes, head: bytes) -> None:
    with pytest.raises(InputError):
        decode_picture(head + data)


@pytest.mark.parametrize("kind", ["gif", "tiff", "bmp"])
def test_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match="JPEG, PNG or WebP"):
        decode_picture(encoded((8, 8), kind))


def test_a_size_that_decoders_would_not_see_is_not_believed() -> None:
    large = encoded((8000, 8000), "jpeg")
    # Decoders skip FF 00 as garbage; taken for a segment it would lead to a size within a comment.
    small = b"\xff\xc0\x00\x11\x08\x00\x64\x00\x64\x03" + bytes(9)
    comment = b"\xff\xfe" + (len(small) + 2).to_bytes(2, "big") + small
    crafted = b"\xff\xd8\xff\x00\x00\x06" + comment + large[2:]
    with pytest.raises(InputError):
        decode_picture(crafted)
