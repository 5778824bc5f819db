"""Turning decoded pictures upright, as their container or EXIF block asks.

FFmpeg hands both kinds of rotation metadata over as one *display matrix* with each frame. It holds
any of the eight orientations of EXIF: four quarter turns, each with or without a mirror.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import cv2
import numpy as np
from av.filter import Graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_UNKNOWN_SIDE_DATA: Final = re.compile(r"^(\d+) is not a valid")
_CV2_TURNS: Final = {
    1: cv2.ROTATE_90_CLOCKWISE,
    2: cv2.ROTATE_180,
    3: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Orientation:
    """What makes a stored picture upright: first the mirror, then the turn."""

    is_mirrored: bool = False
    """Left and right are to be swapped."""
    quarter_turns_clockwise: int = 0
    """0 to 3."""
    residual_degrees: float = 0.0
    """What the matrix asks for beyond the nearest quarter turn; it is not applied."""

    @property
    def rotation_degrees(self) -> int:
        """The turn that is applied, clockwise: 0, 90, 180 or 270."""
        return 90 * self.quarter_turns_clockwise

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return `image`, `(height, width, channels)`, upright; itself where it is so already."""
        if self.is_mirrored:
            image = np.asarray(cv2.flip(image, 1), dtype=np.uint8)
        if self.quarter_turns_clockwise:
            turned = cv2.rotate(image, _CV2_TURNS[self.quarter_turns_clockwise])
            image = np.asarray(turned, dtype=np.uint8)
        return image


UPRIGHT: Final = Orientation()


def orientation_from_matrix(matrix: Sequence[int]) -> Orientation:
    """Read a display matrix: 9 numbers as in ISO 14496-12, of which only the 2x2 part matters.

    A stored point `(x, y)`, y down, is shown at `(a x + c y, b x + d y)` with `a, b` the first two
    numbers of the matrix and `c, d` its fourth and fifth.

    >>> orientation_from_matrix([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30]).rotation_degrees
    90
    """
    a, b, c, d = (int(matrix[position]) for position in (0, 1, 3, 4))
    is_mirrored = a * d - b * c < 0
    if is_mirrored:
        a, b = -a, -b
    if a == 0 and b == 0:
        return UPRIGHT
    degrees = math.degrees(math.atan2(b, a))
    quarter_turns = round(degrees / 90)
    return Orientation(
        is_mirrored=is_mirrored,
        quarter_turns_clockwise=quarter_turns % 4,
        residual_degrees=degrees - 90 * quarter_turns,
    )


def frame_orientation(frame: av.VideoFrame) -> Orientation:
    """Return how `frame` is to be turned; `UPRIGHT` if it carries no display matrix."""
    try:
        side_data = frame.side_data
    except ValueError as error:
        return _orientation_beside_unknown_side_data(frame, str(error))
    matrix = side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return UPRIGHT
    # PyAV's stubs list only some kinds of side data; all of them are buffers of bytes.
    numbers = np.frombuffer(bytes(matrix), dtype=np.int32)  # type: ignore[call-overload]
    return orientation_from_matrix(numbers.tolist())


def _orientation_beside_unknown_side_data(frame: av.VideoFrame, message: str) -> Orientation:
    """Read the matrix of a frame whose side data PyAV refuses to list.

    PyAV 18.1 with FFmpeg 8.1 raises `ValueError: 31 is not a valid Type` for any frame that carries
    an EXIF block, which is every TIFF and every photograph from a telephone. FFmpeg's own
    `sidedata` filter takes the unknown kinds away by number; what remains can be read.
    """
    for _ in range(8):  # one round for each unknown kind; more than two have not been seen
        unknown = _UNKNOWN_SIDE_DATA.match(message)
        if unknown is None:
            break
        frame = _without_side_data(frame, int(unknown.group(1)))
        try:
            frame.side_data  # noqa: B018  (reading it is the test)
        except ValueError as error:
            message = str(error)
        else:
            return frame_orientation(frame)
    # The angle can always be had; a mirror cannot.
    return Orientation(quarter_turns_clockwise=round(-frame.rotation / 90) % 4)


def _without_side_data(frame: av.VideoFrame, kind: int) -> av.VideoFrame:
    graph = Graph()
    # Flushed frames carry no time base; none is needed here.
    time_base = frame.time_base or Fraction(1, 1000)
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=time_base
    )
    delete = graph.add("sidedata", f"mode=delete:type={kind}")
    sink = graph.add("buffersink")
    source.link_to(delete)
    delete.link_to(sink)
    graph.configure()
    graph.push(frame)
    pulled = graph.pull()
    return pulled if isinstance(pulled, av.VideoFrame) else frame
