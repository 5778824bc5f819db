"""Pictures that strangers send: their size is read before they are decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import cv2
import numpy as np

from emotrace.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PICTURE_BYTES: Final = 20 * 2**20
"""Enough for a phone's largest JPEG."""
MOST_PIXELS: Final = 50_000_000
"""A phone's 48 megapixels. Decoded, they take 150 MB; thirty kilobytes of PNG can claim ten times
as many, so the size is asked first."""

_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of the segments that state the size (ITU T.81, table B.1)."""
_JPEG_BEFORE: Final = frozenset({0xC4, 0xCC, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)})
"""Markers of segments that may stand before these: tables, comments, applications' data. Nothing
else is stepped over: decoders differ in what they make of it, and the size must be theirs."""


def decode_picture(picture: bytes) -> NDArray[np.uint8]:
    """Decode a JPEG, PNG or WebP, turned upright.

    Returns:
        `(height, width, 3)`, uint8, RGB.

    Raises:
        InputError: It is none of these, damaged, or too large.
    """
    if not picture or len(picture) > MOST_PICTURE_BYTES:
        raise InputError(
            f"expected a picture of 1 to {MOST_PICTURE_BYTES} bytes; got {len(picture)} bytes"
        )
    size_px = stated_size_px(picture)
    if size_px is None:
        raise InputError("expected a picture (JPEG, PNG or WebP); got something else")
    if size_px[0] * size_px[1] > MOST_PIXELS:
        raise InputError(
            f"expected a picture of at most {MOST_PIXELS} pixels; got {size_px[0]} x {size_px[1]}"
        )
    try:
        image_rgb = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        image_rgb = None
    if image_rgb is None:
        raise InputError("expected a whole picture; got one that does not decode; send it again")
    return np.asarray(image_rgb, np.uint8)


def stated_size_px(picture: bytes) -> tuple[int, int] | None:
    """Return the width and height that a picture's header states, as stored.

    Returns:
        None where it is no JPEG, PNG or WebP, or too short to tell.
    """
    try:
        if picture.startswith(b"\x89PNG\r\n\x1a\n") and picture[12:16] == b"IHDR":
            return _number(picture, 16, 4, "big"), _number(picture, 20, 4, "big")
        if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
            return _webp_size_px(picture)
        if picture.startswith(b"\xff\xd8"):
            return _jpeg_size_px(picture)
    except IndexError:  # cut off within the header
        return None
    return None


def _number(data: bytes, start: int, length: int, order: Literal["big", "little"]) -> int:
    part = data[start : start + length]
    if len(part) < length:
        raise IndexError
    return int.from_bytes(part, order)


def _jpeg_size_px(picture: bytes) -> tuple[int, int] | None:
    at = 2
    while True:
        if picture[at] != 0xFF:
            return None
        while picture[at] == 0xFF:  # any number of fill bytes
            at += 1
        marker = picture[at]
        if marker in _JPEG_SIZES:
            # Behind the marker: length (2 bytes), precision (1), height (2), width (2).
            return _number(picture, at + 6, 2, "big"), _number(picture, at + 4, 2, "big")
        if marker not in _JPEG_BEFORE:
            return None
        at += 1 + _number(picture, at + 1, 2, "big")


def _webp_size_px(picture: bytes) -> tuple[int, int] | None:
    """Read the first chunk (RFC 9649, sections 2.5 to 2.7; RFC 6386, section 9.1)."""
    kind = picture[12:16]
    if kind == b"VP8X":
        return _number(picture, 24, 3, "little") + 1, _number(picture, 27, 3, "little") + 1
    if kind == b"VP8 ":
        width, height = _number(picture, 26, 2, "little"), _number(picture, 28, 2, "little")
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and picture[20] == 0x2F:
        bits = _number(picture, 21, 4, "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None
