"""A head that moves: bends the painted skin, draws the features, turns the whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from emotrace.synth.anatomy import (
    CANVAS_HEIGHT,
    CANVAS_LEFT,
    CANVAS_TOP,
    CANVAS_WIDTH,
    PIVOT_V,
    SkinMotion,
    face_outline,
    head_depth,
)
from emotrace.synth.canvas import Canvas
from emotrace.synth.features import FeaturePainter, Gaze
from emotrace.synth.skin import paint_head, paint_torso
from emotrace.synth.wrinkles import WrinkleLayers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from emotrace.synth.identity import Identity
    from emotrace.synth.light import Light

_SCALES: Final = (20.0, 28.0, 40.0, 56.0, 80.0, 112.0, 160.0)
"""Pixels per face unit that heads are painted at: enlarging by up to 1.4 is never needed."""
_POSE_GRID_PX: Final = 6
"""The pose is solved at every so many pixels and interpolated between: an error under 0.1 px."""
_SOLVER_STEPS: Final = 6
"""Each step of the fixed point shrinks the error by the slope of the head times tan(yaw), under
0.6: six steps leave under 5 % of a shift of a few pixels."""
_CACHED_HEADS: Final = 12
"""A head at 80 px per unit takes 3 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How a head is turned and where it is in the picture."""

    yaw_degrees: float = 0.0
    """Positive turns the face towards the picture's right."""
    pitch_degrees: float = 0.0
    """Positive turns it up."""
    roll_degrees: float = 0.0
    """Positive tips it clockwise."""
    centre_px: tuple[float, float] = (0.0, 0.0)
    """Where the point between the eyes is when the head is not turned."""
    px_per_unit: float = 50.0
    """The size: pixels per face unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceState:
    """Everything that changes in a face from frame to frame."""

    units: Mapping[int, float] = field(default_factory=dict)
    """Intensities of action units in [0, 1], by number."""
    lean: float = 0.0
    """Which side units 12 and 14 act on: 0 both, 1 the picture's right, -1 its left."""
    gaze: Gaze = field(default_factory=Gaze)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """Something drawn, to be laid over a picture."""

    left: int
    top: int
    """Where its first pixel lies in the picture; may be negative."""
    rgba: NDArray[np.uint8]
    """`(height, width, 4)`: colour, and cover in [0, 255]."""


class Head:
    """The head, neck and shoulders of one identity in one light, ready to be drawn in any state."""

    def __init__(self, identity: Identity, light: Light, px_per_unit: float) -> None:
        self.identity = identity
        self._canvas = Canvas(px_per_unit=px_per_unit)
        picture = paint_head(identity, light, px_per_unit)
        self._rest = picture.rgba
        self._motion = SkinMotion(identity)
        self._wrinkles = WrinkleLayers(identity, self._canvas, picture.rgba[..., :3])
        self._features = FeaturePainter(identity, self._canvas, picture.shade, light)
        self._torso, self._torso_canvas = paint_torso(identity, light, px_per_unit)
        self._outline = face_outline(identity)

    def draw_frontal(self, state: FaceState) -> NDArray[np.uint8]:
        """Draw the head as seen from the front, `(height_px, width_px, 4)` on its own raster."""
        units = {
            number: value * self.identity.expressiveness
            for number, value in state.units.items()
            if value > 0
        }
        # A shut eye is shut, however little a face moves otherwise.
        units.update({number: state.units[number] for number in (43, 45) if number in units})
        skin = self._rest.copy()
        self._wrinkles.press_into(skin, units, state.lean)
        bent = self._bend(_to_bytes(skin), units, state.lean)
        image = np.ascontiguousarray(bent[..., :3])
        self._features.paint(image, units, state.lean, state.gaze)
        bent[..., :3] = image
        return bent

    def _bend(
        self, skin: NDArray[np.uint8], units: Mapping[int, float], lean: float
    ) -> NDArray[np.uint8]:
        field_uv = self._motion.grid_field(units, lean)
        scale = self._canvas.px_per_unit
        columns, rows = self._canvas.size_px
        if not field_uv.any():
            return skin
        # Each pixel is fetched from where its skin was: p - F(p - F(p)).
        grid_rows, grid_columns = field_uv.shape[:2]
        across = (grid_columns - 1) / CANVAS_WIDTH
        down = (grid_rows - 1) / CANVAS_HEIGHT
        field32 = field_uv.astype(np.float32)
        column, row = np.meshgrid(
            np.arange(grid_columns, dtype=np.float32), np.arange(grid_rows, dtype=np.float32)
        )
        fetched = cv2.remap(
            field32,
            column - across * field32[..., 0],
            row - down * field32[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        shift = _spread(fetched * scale, columns, rows)
        source_x = np.arange(columns, dtype=np.float32)[None, :] - shift[..., 0]
        source_y = np.arange(rows, dtype=np.float32)[:, None] - shift[..., 1]
        bent = cv2.remap(
            skin,
            source_x,
            source_y,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(bent, np.uint8)

    def draw(self, state: FaceState, pose: Pose) -> list[Layer]:
        """Draw the person: shoulders and neck, then the head before them."""
        return [self._draw_torso(pose), self._draw_head(self.draw_frontal(state), pose)]

    def outline_px(self, state: FaceState, pose: Pose) -> NDArray[np.float64]:
        """Return the outline of the face from hairline to chin in the picture, `(n, 2)`."""
        moved = self._outline + self._motion.field_at(
            {n: v * self.identity.expressiveness for n, v in state.units.items()},
            self._outline,
            state.lean,
        )
        return project(moved, pose)

    def _draw_head(self, frontal: NDArray[np.uint8], pose: Pose) -> Layer:
        corners = np.array(
            [
                (CANVAS_LEFT, CANVAS_TOP),
                (CANVAS_LEFT + CANVAS_WIDTH, CANVAS_TOP),
                (CANVAS_LEFT, CANVAS_TOP + CANVAS_HEIGHT),
                (CANVAS_LEFT + CANVAS_WIDTH, CANVAS_TOP + CANVAS_HEIGHT),
            ]
        )
        ends = project(corners, pose)
        left, top = np.floor(ends.min(axis=0)).astype(int)
        right, bottom = np.ceil(ends.max(axis=0)).astype(int) + 1
        step = _POSE_GRID_PX
        columns, rows = (-(-int(size) // step) * step for size in (right - left, bottom - top))
        x, y = np.meshgrid(
            left + np.arange(0, columns + 1, step, dtype=np.float64),
            top + np.arange(0, rows + 1, step, dtype=np.float64),
        )
        source = self._canvas.to_px(unproject(np.stack([x, y], axis=-1), pose)).astype(np.float32)
        full = _spread(source, columns, rows, cell=step)
        rgba = cv2.remap(
            frontal, full[..., 0], full[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        return Layer(left=int(left), top=int(top), rgba=np.asarray(rgba, np.uint8))

    def _draw_torso(self, pose: Pose) -> Layer:
        canvas = self._torso_canvas
        ratio = pose.px_per_unit / canvas.px_per_unit
        x, y = pose.centre_px
        exact_left = x + canvas.left * pose.px_per_unit
        exact_top = y + canvas.top * pose.px_per_unit
        left, top = int(np.floor(exact_left)), int(np.floor(exact_top))
        matrix = np.array(
            [
                [ratio, 0, exact_left - left + 0.5 * ratio - 0.5],
                [0, ratio, exact_top - top + 0.5 * ratio - 0.5],
            ]
        )
        columns, rows = (int(np.ceil(size * ratio)) + 1 for size in canvas.size_px)
        rgba = cv2.warpAffine(self._torso, matrix, (columns, rows), flags=cv2.INTER_LINEAR)
        return Layer(left=left, top=top, rgba=np.asarray(rgba, np.uint8))


def _rotation(pose: Pose) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what turns (u, v) and what turns z into the picture's x and y: `(2, 2)`, `(2,)`."""
    yaw, pitch, roll = np.radians([pose.yaw_degrees, pose.pitch_degrees, pose.roll_degrees])
    about_v = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_u = np.array(
        [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    )
    about_z = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    turn = about_z @ about_u @ about_v
    return np.asarray(turn[:2, :2]), np.asarray(turn[:2, 2])


def project(points_uv: NDArray[np.float64], pose: Pose) -> NDArray[np.float64]:
    """Return where points of the head lie in the picture, `(n, 2)` pixels."""
    plane, depth = _rotation(pose)
    pivot = np.array([0.0, PIVOT_V])
    z = head_depth(points_uv[..., 0], points_uv[..., 1])
    turned = (points_uv - pivot) @ plane.T + z[..., None] * depth
    px: NDArray[np.float64] = (turned + pivot) * pose.px_per_unit + np.array(pose.centre_px)
    return px


def unproject(points_px: NDArray[np.float64], pose: Pose) -> NDArray[np.float64]:
    """Return which points of the head are seen at points of the picture, `(..., 2)` face units."""
    plane, depth = _rotation(pose)
    back = np.linalg.inv(plane)
    pivot = np.array([0.0, PIVOT_V])
    seen = (points_px - np.array(pose.centre_px)) / pose.px_per_unit - pivot
    points: NDArray[np.float64] = seen @ back.T + pivot
    for _ in range(_SOLVER_STEPS if depth.any() else 0):
        z = head_depth(points[..., 0], points[..., 1])
        points = (seen - z[..., None] * depth) @ back.T + pivot
    return points


def _spread(
    grid: NDArray[np.float32], columns: int, rows: int, *, cell: int | None = None
) -> NDArray[np.float32]:
    """Interpolate a grid of values to every pixel, `(rows, columns, channels)`.

    Without `cell` the grid's ends lie on the raster's corners; with it, on every `cell`-th pixel.
    """
    grid_rows, grid_columns = grid.shape[:2]
    if cell is None:
        step_x, step_y = columns / (grid_columns - 1), rows / (grid_rows - 1)
        offset = 0.5
    else:
        step_x = step_y = float(cell)
        offset = 0.0
    matrix = np.array([[1 / step_x, 0, offset / step_x], [0, 1 / step_y, offset / step_y]])
    return np.asarray(
        cv2.warpAffine(
            grid,
            matrix,
            (columns, rows),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def _to_bytes(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(cv2.convertScaleAbs(np.maximum(picture, 0)), np.uint8)


def choose_scale(px_per_unit: float) -> float:
    """Return the scale that a head is painted at, to be drawn at `px_per_unit`."""
    return next((scale for scale in _SCALES if scale >= px_per_unit), _SCALES[-1])


@lru_cache(maxsize=_CACHED_HEADS)
def prepare_head(identity: Identity, light: Light, scale: float) -> Head:
    """Return the head of an identity in a light, painted at a scale; the last few are kept."""
    return Head(identity, light, scale)
