"""What every face detector offers, and how a frame is sized for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.faces.crop import BoxMapping
    from emotrace.timeline import Detection


class Detector(Protocol):
    """Finds faces in one picture.

    The same picture always gives the same detections. A detector may keep buffers between calls:
    make one per thread.
    """

    @property
    def name(self) -> str:
        """The name under which `make_detector` makes it."""
        ...

    @property
    def canonical(self) -> BoxMapping:
        """How this detector's box maps to the canonical face square (see `emotrace.faces.crop`)."""
        ...

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces of a picture.

        Args:
            image_rgb: `(height, width, 3)`, uint8, upright.

        Returns:
            Boxes in pixels of `image_rgb`, best first (by score, then size, then place); empty
            where there is no face.

        Raises:
            UsageError: The picture has another shape or type.
        """
        ...


def check_image(image_rgb: NDArray[np.uint8]) -> None:
    """Check that a picture is `(height, width, 3)`, uint8, and not empty.

    Raises:
        UsageError: It is not; the message says what it is.
    """
    if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8:
        raise UsageError(
            "expected a picture of shape (height, width, 3) and type uint8; "
            f"got shape {image_rgb.shape}, type {image_rgb.dtype}"
        )
    if image_rgb.size == 0:
        raise UsageError(f"expected a picture with pixels in it; got shape {image_rgb.shape}")


def resize_to_long_side(
    image: NDArray[np.uint8], long_side_px: int, *, max_enlargement: float
) -> tuple[NDArray[np.uint8], float, float]:
    """Scale a picture so that its longer side is `long_side_px`, but enlarge it only so far.

    Args:
        image: `(height, width)` or `(height, width, channels)`, uint8.
        long_side_px: The wanted length of the longer side.
        max_enlargement: A small picture is enlarged by at most this factor.

    Returns:
        The picture (averaged when shrinking, interpolated when enlarging), and how many pixels of
        `image` one pixel of it covers: rightwards, downwards.
    """
    height, width = image.shape[:2]
    scale = min(long_side_px / max(height, width), max_enlargement)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return np.ascontiguousarray(image), 1.0, 1.0
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(np.ascontiguousarray(image), size, interpolation=interpolation)
    return resized.astype(np.uint8, copy=False), width / size[0], height / size[1]


def best_first(detections: list[Detection]) -> list[Detection]:
    """Sort detections by falling score; equal ones by falling area, then left to right."""

    def key(detection: Detection) -> tuple[float, ...]:
        x, y, width, height = detection.box_xywh_px
        return (-detection.score, -width * height, x, y)

    return sorted(detections, key=key)
