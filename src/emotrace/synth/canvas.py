"""Drawing in face units: anti-aliased shapes on a picture of the face plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from emotrace.synth.anatomy import CANVAS_HEIGHT, CANVAS_LEFT, CANVAS_TOP, CANVAS_WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SHIFT: Final = 5
"""OpenCV takes points as fixed-point numbers: 1/32 px is finer than anti-aliasing can show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """A raster over a part of the face plane; turns face units into pixels and draws there."""

    px_per_unit: float
    left: float = CANVAS_LEFT
    top: float = CANVAS_TOP
    width: float = CANVAS_WIDTH
    height: float = CANVAS_HEIGHT

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return (round(self.width * self.px_per_unit), round(self.height * self.px_per_unit))

    def to_px(self, points_uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn `(..., 2)` face units into pixels; whole numbers are centres of pixels."""
        origin = np.array([self.left, self.top])
        px: NDArray[np.float64] = (points_uv - origin) * self.px_per_unit - 0.5
        return px

    def grid_uv(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return u and v of every pixel's centre, each `(height_px, width_px)`."""
        columns, rows = self.size_px
        u = self.left + (np.arange(columns) + 0.5) / self.px_per_unit
        v = self.top + (np.arange(rows) + 0.5) / self.px_per_unit
        grid = np.meshgrid(u, v)
        return grid[0], grid[1]

    def fill(
        self,
        image: NDArray[np.uint8],
        points_uv: NDArray[np.float64],
        colour: Sequence[float] | float,
    ) -> None:
        """Fill a closed shape, anti-aliased; `image` has one channel or those of `colour`."""
        cv2.fillPoly(image, [self._fixed(points_uv)], _scalar(colour), cv2.LINE_AA, _SHIFT)

    def stroke(
        self,
        image: NDArray[np.uint8],
        points_uv: NDArray[np.float64],
        colour: Sequence[float] | float,
        *,
        thickness: float,
        is_closed: bool = False,
    ) -> None:
        """Draw a line of a thickness in face units, at least one pixel wide."""
        cv2.polylines(
            image,
            [self._fixed(points_uv)],
            is_closed,
            _scalar(colour),
            max(1, round(thickness * self.px_per_unit)),
            cv2.LINE_AA,
            _SHIFT,
        )

    def mask(self, points_uv: NDArray[np.float64], *, blur: float = 0.0) -> NDArray[np.float32]:
        """Return how far each pixel lies in a closed shape, `(height_px, width_px)` in [0, 1].

        Args:
            points_uv: `(n, 2)`.
            blur: Softens the edge; standard deviation in face units.
        """
        columns, rows = self.size_px
        image = np.zeros((rows, columns), np.uint8)
        self.fill(image, points_uv, 255)
        return self.soften(np.float32(1 / 255) * image, blur)

    def line_mask(
        self, points_uv: NDArray[np.float64], *, thickness: float, blur: float
    ) -> NDArray[np.float32]:
        """Return a soft line, `(height_px, width_px)` in [0, 1]; lengths in face units."""
        columns, rows = self.size_px
        image = np.zeros((rows, columns), np.uint8)
        self.stroke(image, points_uv, 255, thickness=thickness)
        return self.soften(np.float32(1 / 255) * image, blur)

    def soften(self, field: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
        """Blur a field by a standard deviation in face units."""
        sigma = blur * self.px_per_unit
        if sigma < 0.3:  # narrower than half a pixel: nothing would change
            return field
        return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma), np.float32)

    def noise(
        self, random: np.random.Generator, *, across: float, along: float
    ) -> NDArray[np.float32]:
        """Return smooth noise of mean 0 and deviation 1, `(height_px, width_px)`.

        Args:
            random: Where it comes from.
            across: Correlation length along u, in face units.
            along: Correlation length along v, in face units.
        """
        columns, rows = self.size_px
        # Drawn on a raster of its own, so that every scale of the same face has the same noise.
        fine = random.standard_normal(
            (max(2, round(2 * self.height / along)), max(2, round(2 * self.width / across)))
        ).astype(np.float32)
        field = cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_CUBIC)
        return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), np.float32)

    def _fixed(self, points_uv: NDArray[np.float64]) -> NDArray[np.int32]:
        fixed: NDArray[np.int32] = np.rint(self.to_px(points_uv) * (1 << _SHIFT)).astype(np.int32)
        return fixed


def _scalar(colour: Sequence[float] | float) -> tuple[float, ...]:
    if isinstance(colour, int | float):
        return (float(colour),)
    return tuple(float(part) for part in colour)


def ellipse_points(
    centre: tuple[float, float], radii: tuple[float, float], samples: int = 32
) -> NDArray[np.float64]:
    """Return an ellipse as a closed shape, `(samples, 2)`."""
    angle = np.linspace(0, 2 * np.pi, samples, endpoint=False)
    return np.column_stack(
        [centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)]
    )


def mirrored(points_uv: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same points on the other side of the face."""
    return points_uv * (-1.0, 1.0)
