"""The one crop geometry: how a face box becomes the square picture that a model sees.

Training and inference cut faces through this module only. Every detector frames a face in its own
way, so each one states a `BoxMapping` from its box to the *canonical square*: the square that
FER2013 would have cut around the same face. `CropGeometry` then says what a model wants of it:
how much more or less than that square, at what size, levelled or not. Changing the detector does
not shift the crop, and the 48 x 48 pictures of FER2013 are crops already (`scale=1`, no offset).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import cv2
import numpy as np

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.timeline import Detection

MIN_EYE_DISTANCE_SHARE: Final = 0.15
"""Eyes nearer than this share of the square's side give no usable angle.

FER2013's faces measure 0.36 (median; one in twenty below 0.24); near profile both eye points fall
together and the line through them points anywhere.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxMapping:
    """How one detector's box maps to the canonical square.

    The unit is the box's size, `sqrt(width * height)`. Measured by `benchmarks/calibrate_crop.py`.
    """

    scale: float = 1.0
    """Side of the canonical square, in box sizes."""
    dx: float = 0.0
    """From the box's centre to the square's centre, rightwards, in box sizes."""
    dy: float = 0.0
    """From the box's centre to the square's centre, downwards, in box sizes."""

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise UsageError(f"expected a box mapping with scale > 0; got scale={self.scale}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceSquare:
    """A square around a face, in pixels of the upright frame; its sides are level."""

    center_x_px: float
    center_y_px: float
    side_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CropGeometry:
    """Which part of the picture around a face a model sees, and at what size.

    Raises:
        UsageError: A value cannot work.
    """

    size_px: int = 48
    """Width and height of the crop. FER2013's own size is 48."""
    scale: float = 1.0
    """Side of the crop in canonical squares: 1 frames a face as FER2013 does, 1.3 shows more."""
    offset_x: float = 0.0
    """From the canonical centre to the crop's centre, rightwards, in canonical squares."""
    offset_y: float = 0.0
    """From the canonical centre to the crop's centre, downwards, in canonical squares."""
    align: Literal["none", "eyes"] = "none"
    """`eyes` turns the crop until the line through the eyes is level, where landmarks are known.

    FER2013's faces were not levelled: their eye line is 4.7 degrees off in the median, above 10
    for 22 % of them (1431 images, YuNet's landmarks). A model trained on them reads tilted faces
    better all the same when they are levelled (docs/decisions/0006).
    """
    max_roll_degrees: float = 45.0
    """A head tilted further than this is turned back by this much only."""

    def __post_init__(self) -> None:
        if self.size_px < 1:
            raise UsageError(f"expected a crop of size_px >= 1; got {self.size_px}")
        if not self.scale > 0:
            raise UsageError(f"expected a crop with scale > 0; got {self.scale}")
        if self.align not in ("none", "eyes"):
            raise UsageError(f"expected align to be 'none' or 'eyes'; got {self.align!r}")
        if not 0 <= self.max_roll_degrees <= 180:
            raise UsageError(
                f"expected max_roll_degrees between 0 and 180; got {self.max_roll_degrees}"
            )


def canonical_square(detection: Detection, mapping: BoxMapping) -> FaceSquare:
    """Return the square that FER2013 would have cut around a detected face.

    Raises:
        UsageError: The box has no area.
    """
    x, y, width, height = detection.box_xywh_px
    if not (width > 0 and height > 0):
        raise UsageError(
            f"expected a face box with width and height > 0 px; got {detection.box_xywh_px}"
        )
    size = math.sqrt(width * height)
    return FaceSquare(
        center_x_px=x + width / 2 + mapping.dx * size,
        center_y_px=y + height / 2 + mapping.dy * size,
        side_px=mapping.scale * size,
    )


def eye_line_degrees(detection: Detection, *, min_eye_distance_px: float = 1.0) -> float | None:
    """Return the head's roll: the angle of the line through the eyes, clockwise positive.

    0 means level. None where the detection has no landmarks or the eyes are too close to tell.
    """
    if detection.landmarks_px is None:
        return None
    right_eye, left_eye = detection.landmarks_px[0], detection.landmarks_px[1]
    dx, dy = float(left_eye[0] - right_eye[0]), float(left_eye[1] - right_eye[1])
    if math.hypot(dx, dy) < min_eye_distance_px:
        return None
    return math.degrees(math.atan2(dy, dx))


def extract_crop(
    image_rgb: NDArray[np.uint8],
    detection: Detection,
    *,
    mapping: BoxMapping,
    geometry: CropGeometry,
) -> NDArray[np.uint8]:
    """Cut one face out of a frame.

    Shrinking averages over the pixels that fall together (no aliasing, whatever the face's size);
    where the crop reaches beyond the frame, the frame's edge is repeated. Positions are followed to
    a fraction of a pixel, so a face that moves slowly does not make its crop jump.

    Args:
        image_rgb: `(height, width, 3)`, uint8, any strides.
        detection: The face.
        mapping: That of the detector which found the face (`Detector.canonical`).
        geometry: What the model wants.

    Returns:
        `(size_px, size_px, 3)`, uint8, contiguous, RGB.

    Raises:
        UsageError: The picture has another shape or type, or the box has no area.
    """
    if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8:
        raise UsageError(
            "expected a picture of shape (height, width, 3) and type uint8; "
            f"got shape {image_rgb.shape}, type {image_rgb.dtype}"
        )
    square = canonical_square(detection, mapping)
    roll_degrees = _roll_to_undo(detection, square, geometry)
    return _cut_square(
        image_rgb, _crop_corners(detection, square, geometry, roll_degrees), geometry
    )


def _roll_to_undo(detection: Detection, square: FaceSquare, geometry: CropGeometry) -> float:
    if geometry.align == "none":
        return 0.0
    roll = eye_line_degrees(detection, min_eye_distance_px=MIN_EYE_DISTANCE_SHARE * square.side_px)
    if roll is None:
        return 0.0
    return max(-geometry.max_roll_degrees, min(geometry.max_roll_degrees, roll))


def _crop_corners(
    detection: Detection, square: FaceSquare, geometry: CropGeometry, roll_degrees: float
) -> NDArray[np.float64]:
    """Return where the crop's pixel (0, 0) corner, right and down unit steps lie: `(3, 2)`, px.

    Rows: the top left corner, then the frame-space vectors of one crop pixel right and down.
    Coordinates are continuous: pixel i covers [i, i + 1).
    """
    angle = math.radians(roll_degrees)
    right = np.array([math.cos(angle), math.sin(angle)])
    down = np.array([-math.sin(angle), math.cos(angle)])
    x, y, width, height = detection.box_xywh_px
    box_center = np.array([x + width / 2, y + height / 2])
    # The way from the box's centre to the crop's is a property of the head: it turns with it.
    way = np.array(
        [
            square.center_x_px - box_center[0] + geometry.offset_x * square.side_px,
            square.center_y_px - box_center[1] + geometry.offset_y * square.side_px,
        ]
    )
    center = box_center + way[0] * right + way[1] * down
    side = square.side_px * geometry.scale
    step = side / geometry.size_px
    corner = center - (right + down) * (side / 2)
    return np.stack([corner, right * step, down * step])


def _cut_square(
    image_rgb: NDArray[np.uint8], corners: NDArray[np.float64], geometry: CropGeometry
) -> NDArray[np.uint8]:
    """Sample the crop at `corners` (see `_crop_corners`): reduce, shift and turn, average."""
    corner, step_right, step_down = corners
    size = geometry.size_px
    points = corner + np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ np.stack(
        [step_right, step_down]
    )
    shrinks = float(np.hypot(*step_right)) > 1
    # When shrinking, the turn and shift happen at twice the crop's size: bilinear sampling blurs
    # by an amount that depends on the fraction of a pixel; averaging 2 x 2 afterwards hides it.
    samples = 2 if shrinks else 1
    step = float(np.hypot(*step_right)) / samples
    region, origin, shrink = _reduced_region(image_rgb, points, step)
    # Centre of sample (u, v) -> pixel index in `region`, whose pixel i is centred at i + 0.5.
    linear = np.stack([step_right, step_down], axis=1) / samples
    shift = (corner + linear @ np.array([0.5, 0.5]) - origin) / shrink - 0.5
    crop = cv2.warpAffine(
        region,
        np.column_stack([linear / shrink[:, None], shift]),
        (size * samples, size * samples),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if shrinks:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return crop.astype(np.uint8, copy=False)


def _reduced_region(
    image_rgb: NDArray[np.uint8], points: NDArray[np.float64], step: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Cut the part of the frame around `points`, averaged down to about one pixel per sample.

    Args:
        image_rgb: `(height, width, 3)`, uint8.
        points: `(4, 2)`: the crop's corners, px.
        step: Frame pixels per sample; nothing is averaged where it is below 1.

    Returns:
        The region, the frame position of its top left corner, and the frame pixels that one of its
        pixels covers (`(2,)` each: rightwards, downwards).
    """
    height, width = image_rgb.shape[:2]
    # Averaging by a whole factor first is several times as fast as by 16.3 at once (800 px faces).
    # It drops up to factor - 1 pixels at the frame's far edges: less than half a sample.
    factor = 2 ** int(math.log2(step / 2)) if step >= 4 else 1
    # Bilinear sampling reaches one (reduced) pixel further than the square itself.
    margin = math.ceil(step) + factor
    left, right = _clipped_span(points[:, 0], margin, width, factor)
    top, bottom = _clipped_span(points[:, 1], margin, height, factor)
    region = np.ascontiguousarray(image_rgb[top:bottom, left:right])
    origin = np.array([left, top], np.float64)
    if step <= 1:
        return region, origin, np.ones(2)
    span = np.array([right - left, bottom - top], np.float64)
    if factor > 1:
        whole = np.maximum(span // factor, 1).astype(int)
        region = _averaged(region, whole)
    reduced = np.maximum(np.rint(span / step), 1).astype(int)
    region = _averaged(region, reduced)
    return region, origin, span / reduced


def _averaged(image: NDArray[np.uint8], size_xy: NDArray[np.int_]) -> NDArray[np.uint8]:
    small = cv2.resize(image, size_xy.tolist(), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


def _clipped_span(
    values: NDArray[np.float64], margin: int, limit: int, factor: int
) -> tuple[int, int]:
    """Return the whole pixels that `values` span, with a margin, inside [0, limit); at least one.

    The span's length is a multiple of `factor` where the frame is that large.
    """
    first = min(max(math.floor(float(values.min())) - margin, 0), max(limit - factor, 0))
    last = max(min(math.ceil(float(values.max())) + margin, limit), first + 1)
    length = last - first
    if length < factor:
        return first, min(first + factor, limit)
    return first, last - length % factor
