"""Carry a face from one frame to the next by optical flow, where no detection is at hand.

Points on a grid over the face are followed by pyramidal Lucas-Kanade and back again; those that do
not return to where they started are dropped, and the median motion of the rest moves the box (Z.
Kalal, K. Mikolajczyk, J. Matas, "Forward-Backward Error: Automatic Detection of Tracking
Failures", ICPR 2010). Only a small grey picture around the face is looked at, so that the cost does
not depend on the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from emotrace.timeline import Detection

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORKING_FACE_PX: Final = 40.0
"""Larger faces are shrunk to this size first: enough texture to follow, few pixels to look at."""
_MARGIN: Final = 0.6
"""How much of the surroundings is looked at, in face sizes: a face may move so far in a frame."""
_GRID: Final = 7
"""Points per side."""
_GRID_SHARE: Final = 0.8
"""The grid covers the middle of the box: its corners show the background, not the face."""
_WINDOW_PX: Final = 11
_PYRAMID_LEVELS: Final = 2
_MIN_PAIR_DISTANCE: Final = 0.25
"""Change of size is read off pairs of points at least this far apart, in face sizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSettings:
    """When the flow is trusted."""

    max_return_error: float = 0.04
    """A point must come back to within this distance of its start, in face sizes."""
    min_points_share: float = 0.35
    """So many of the points must come back."""
    max_size_change: float = 1.15
    """A face does not grow or shrink by more than this factor from one frame to the next."""


def carry_by_flow(
    previous_rgb: NDArray[np.uint8],
    image_rgb: NDArray[np.uint8],
    detection: Detection,
    settings: FlowSettings,
) -> Detection | None:
    """Move a face's box and landmarks from the previous frame to this one.

    Args:
        previous_rgb: `(height, width, 3)`, uint8: the frame in which `detection` lies.
        image_rgb: The next frame, of the same shape.
        detection: The face in the previous frame.
        settings: When the flow is trusted.

    Returns:
        The face in this frame, with its old score; None where the flow cannot be trusted.
    """
    if previous_rgb.shape != image_rgb.shape:
        return None
    x, y, width, height = detection.box_xywh_px
    size = math.sqrt(width * height)
    span = _region(detection, image_rgb.shape[0], image_rgb.shape[1])
    if span is None:
        return None
    before, scale = _grey_region(previous_rgb, span, size)
    after, _ = _grey_region(image_rgb, span, size)
    points = _grid_points(detection, span, scale)
    if len(points) == 0:
        return None
    moved = _follow(before, after, points, settings.max_return_error * size / scale)
    if moved is None or len(moved[0]) < settings.min_points_share * _GRID**2:
        return None
    start, end = moved
    growth = _growth(start, end, size / scale, settings.max_size_change)
    # The median motion is that of the points' middle: the box turns about it when it grows.
    middle = np.median(start, axis=0)
    shift = np.median(end - start - (growth - 1) * (start - middle), axis=0) * scale
    middle_px = middle * scale + np.array(span[:2])
    center = np.array([x + width / 2, y + height / 2])
    new_center = middle_px + growth * (center - middle_px) + shift
    landmarks = detection.landmarks_px
    if landmarks is not None:
        landmarks = (middle_px + growth * (landmarks - middle_px) + shift).astype(np.float32)
    return Detection(
        box_xywh_px=(
            float(new_center[0] - growth * width / 2),
            float(new_center[1] - growth * height / 2),
            float(growth * width),
            float(growth * height),
        ),
        score=detection.score,
        landmarks_px=landmarks,
    )


def _region(detection: Detection, frame_height: int, frame_width: int) -> tuple[int, ...] | None:
    """Return left, top, right, bottom of the face and its surroundings inside the frame."""
    x, y, width, height = detection.box_xywh_px
    margin = _MARGIN * math.sqrt(width * height)
    left, top = max(0, math.floor(x - margin)), max(0, math.floor(y - margin))
    right = min(frame_width, math.ceil(x + width + margin))
    bottom = min(frame_height, math.ceil(y + height + margin))
    # Lucas-Kanade needs a few windows' worth of picture.
    if right - left < _WINDOW_PX or bottom - top < _WINDOW_PX:
        return None
    return left, top, right, bottom


def _grey_region(
    image_rgb: NDArray[np.uint8], span: tuple[int, ...], size: float
) -> tuple[NDArray[np.uint8], float]:
    """Cut a region as a small grey picture; and how many frame pixels one of its pixels covers."""
    left, top, right, bottom = span
    shrink = max(1.0, size / _WORKING_FACE_PX)
    # Thin to two to four pixels a side per working pixel, then average: large faces cost no more.
    step = max(1, int(shrink / 2))
    region = cv2.cvtColor(
        np.ascontiguousarray(image_rgb[top:bottom:step, left:right:step]), cv2.COLOR_RGB2GRAY
    )
    if shrink > 1:
        target = (
            max(_WINDOW_PX, round((right - left) / shrink)),
            max(_WINDOW_PX, round((bottom - top) / shrink)),
        )
        region = cv2.resize(region, target, interpolation=cv2.INTER_AREA)
        shrink = (right - left) / target[0]
    return region.astype(np.uint8, copy=False), shrink


def _grid_points(detection: Detection, span: tuple[int, ...], scale: float) -> NDArray[np.float32]:
    """Return the grid's points that lie inside the region, in its pixels: `(n, 2)`."""
    x, y, width, height = detection.box_xywh_px
    share = np.linspace(0.5 - _GRID_SHARE / 2, 0.5 + _GRID_SHARE / 2, _GRID)
    grid_x, grid_y = np.meshgrid(x + share * width, y + share * height)
    points = np.stack([grid_x.ravel(), grid_y.ravel()], axis=1)
    inside = np.all((points > span[:2]) & (points < np.array(span[2:]) - 1), axis=1)
    return ((points[inside] - span[:2]) / scale).astype(np.float32)


def _follow(
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    points: NDArray[np.float32],
    max_return_error_px: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Follow points there and back; return the start and end of those that return, or None."""
    window = (_WINDOW_PX, _WINDOW_PX)
    # OpenCV wants an array for the result; its content is not read without USE_INITIAL_FLOW.
    end, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points, np.empty_like(points), winSize=window, maxLevel=_PYRAMID_LEVELS
    )
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(
        after, before, end, np.empty_like(points), winSize=window, maxLevel=_PYRAMID_LEVELS
    )
    error = np.linalg.norm(back - points, axis=1)
    good = (found.ravel() == 1) & (found_back.ravel() == 1) & (error < max_return_error_px)
    if not good.any():
        return None
    return points[good], np.asarray(end[good], np.float32)


def _growth(
    start: NDArray[np.float32], end: NDArray[np.float32], size: float, limit: float
) -> float:
    """Return the median ratio of the distances between points, held within `limit`."""
    pairs_start = np.linalg.norm(start[:, None] - start[None], axis=2)
    far = np.triu(pairs_start > _MIN_PAIR_DISTANCE * size)
    if not far.any():
        return 1.0
    pairs_end = np.linalg.norm(end[:, None] - end[None], axis=2)
    ratio = float(np.median(pairs_end[far] / pairs_start[far]))
    return min(max(ratio, 1 / limit), limit)
