"""Lines and furrows that action units press into the skin, and age leaves there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.synth.anatomy import find_anchors, side_weight, smooth_curve
from emotrace.synth.canvas import mirrored
from emotrace.synth.hair import hair_on_top

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from emotrace.synth.anatomy import Anchors
    from emotrace.synth.canvas import Canvas
    from emotrace.synth.identity import Identity

Line = tuple[tuple[float, float], ...]

_DARKEST: Final = 0.42
"""The share of light that a furrow takes at intensity 1; chosen by eye."""
_LIGHT_BESIDE: Final = 0.4
"""A furrow's lower edge catches the light that its bottom lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Furrow:
    """A group of lines that deepen together."""

    lines: tuple[Line, ...]
    """On the midline, or on the picture's right side: then the left has them too."""
    causes: Mapping[int, float]
    """How much each action unit deepens it."""
    age_share: float = 0.0
    """How deep it is in the oldest face at rest."""
    thickness: float = 0.012
    blur: float = 0.012
    """Both in face units."""


def find_furrows(identity: Identity) -> tuple[Furrow, ...]:
    """Return the furrows of a face. Where they lie, and what deepens them, follows FACS."""
    at = find_anchors(identity)
    return (*_upper_furrows(at), *_lower_furrows(at))


def _upper_furrows(at: Anchors) -> tuple[Furrow, ...]:
    eye_out = at.eye_u + at.eye_half_width
    forehead = tuple(at.brow_v - step for step in (0.15, 0.25, 0.35))
    return (
        Furrow(
            lines=tuple(
                ((-0.28, v + 0.02), (-0.1, v - 0.01), (0.1, v - 0.01), (0.28, v + 0.02))
                for v in forehead
            ),
            causes={1: 0.9, 2: 0.25},
            age_share=0.45,
        ),
        Furrow(
            lines=tuple(((0.26, v + 0.01), (0.42, v - 0.035), (0.60, v + 0.02)) for v in forehead),
            causes={2: 0.9, 1: 0.15},
            age_share=0.4,
        ),
        Furrow(
            lines=(
                ((0.045, at.brow_v - 0.11), (0.06, at.brow_v - 0.01), (0.045, at.brow_v + 0.09)),
            ),
            causes={4: 1.1, 9: 0.5},
            age_share=0.3,
            thickness=0.018,
        ),
        Furrow(
            lines=tuple(
                (
                    (eye_out + 0.03, v),
                    (eye_out + 0.10, v + 0.5 * (v - 0.0)),
                    (eye_out + 0.17, v * 2.2),
                )
                for v in (-0.05, 0.01, 0.07)
            ),
            causes={6: 1.0, 12: 0.15},
            age_share=0.4,
            thickness=0.010,
        ),
        Furrow(
            lines=(((at.eye_u - 0.16, 0.10), (at.eye_u, 0.165), (at.eye_u + 0.17, 0.11)),),
            causes={6: 0.7, 7: 0.6, 12: 0.15, 9: 0.25},
            age_share=0.5,
            thickness=0.02,
            blur=0.02,
        ),
        Furrow(
            lines=(
                ((0.03, 0.03), (0.09, -0.04)),
                ((0.03, 0.12), (0.11, 0.05)),
                ((0.05, 0.21), (0.14, 0.14)),
            ),
            causes={9: 1.0},
            thickness=0.014,
            blur=0.017,
        ),
    )


def _lower_furrows(at: Anchors) -> tuple[Furrow, ...]:
    wing, corner, mouth = at.nose_half_width, at.mouth_half_width, at.mouth_v
    return (
        Furrow(
            lines=(
                (
                    (wing + 0.02, at.nose_v - 0.06),
                    (wing + 0.12, at.nose_v + 0.07),
                    (corner + 0.07, mouth - 0.06),
                    (corner + 0.10, mouth + 0.08),
                ),
            ),
            causes={12: 0.85, 9: 0.9, 10: 0.9, 20: 0.3, 6: 0.15},
            age_share=0.55,
            thickness=0.022,
            blur=0.022,
        ),
        Furrow(
            lines=(
                (
                    (corner + 0.05, mouth - 0.09),
                    (corner + 0.085, mouth),
                    (corner + 0.05, mouth + 0.08),
                ),
            ),
            causes={14: 1.3, 12: 0.2},
            thickness=0.022,
            blur=0.016,
        ),
        Furrow(
            lines=(
                (
                    (corner + 0.0, mouth + 0.05),
                    (corner + 0.05, mouth + 0.13),
                    (corner + 0.04, mouth + 0.22),
                ),
            ),
            causes={15: 1.0, 20: 0.3, 17: 0.2},
            age_share=0.4,
            thickness=0.02,
            blur=0.018,
        ),
        Furrow(
            lines=(
                ((-0.17, mouth + 0.22), (0.0, mouth + 0.17), (0.17, mouth + 0.22)),
                ((-0.07, at.chin_v - 0.16), (-0.04, at.chin_v - 0.13)),
                ((0.05, at.chin_v - 0.18), (0.07, at.chin_v - 0.14)),
                ((-0.01, at.chin_v - 0.11), (0.03, at.chin_v - 0.10)),
                ((-0.11, at.chin_v - 0.11), (-0.08, at.chin_v - 0.09)),
                ((0.10, at.chin_v - 0.11), (0.12, at.chin_v - 0.08)),
            ),
            causes={17: 1.1},
            thickness=0.022,
            blur=0.016,
        ),
        Furrow(
            lines=tuple(((u, mouth - 0.15), (u * 1.05, mouth - 0.09)) for u in (0.05, 0.11, 0.17)),
            causes={23: 0.4},
            age_share=0.2,
            thickness=0.008,
            blur=0.014,
        ),
    )


class WrinkleLayers:
    """The furrows of a face as pictures to take from its skin."""

    def __init__(self, identity: Identity, canvas: Canvas, skin_rgb: NDArray[np.float32]) -> None:
        """Prepare the pictures.

        Args:
            identity: Whose furrows.
            canvas: The raster of `skin_rgb`.
            skin_rgb: `(height_px, width_px, 3)` in [0, 255]: the lit skin that they darken.
        """
        self._layers: list[tuple[Furrow, tuple[slice, slice], NDArray[np.float32]]] = []
        self._age = identity.age
        u, _ = canvas.grid_uv()
        self._u = u
        bare = np.ones(u.shape, np.float32)
        for shape in hair_on_top(identity):
            bare *= 1 - canvas.mask(shape, blur=0.02)
        for furrow in find_furrows(identity):
            field = _furrow_field(furrow, canvas) * bare
            rows = np.flatnonzero(np.abs(field).max(axis=1) > 0.01)
            columns = np.flatnonzero(np.abs(field).max(axis=0) > 0.01)
            if rows.size == 0:
                continue
            place = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            change = -_DARKEST * field[place][..., None] * skin_rgb[place]
            self._layers.append((furrow, place, change.astype(np.float32)))

    def press_into(
        self, image: NDArray[np.float32], intensities: Mapping[int, float], lean: float
    ) -> None:
        """Darken `image` in place, `(height_px, width_px, 3 or 4)`, by what the units do."""
        for furrow, place, change in self._layers:
            both = furrow.age_share * self._age**2
            sided = 0.0
            for number, gain in furrow.causes.items():
                amount = gain * intensities.get(number, 0.0)
                if lean and number in (12, 14):
                    sided += amount
                else:
                    both += amount
            both = min(both, 1.25)
            if both > 0.01:
                image[place][..., :3] += both * change
            if sided > 0.01:
                weight = side_weight(self._u[place], lean)[..., None]
                image[place][..., :3] += (sided * weight).astype(np.float32) * change


def _furrow_field(furrow: Furrow, canvas: Canvas) -> NDArray[np.float32]:
    columns, rows = canvas.size_px
    dark = np.zeros((rows, columns), np.float32)
    for points in _on_both_sides(furrow.lines):
        line = canvas.line_mask(points, thickness=furrow.thickness, blur=furrow.blur)
        dark = np.maximum(dark, line / max(float(line.max()), 1e-6))
    shift = max(1, round(1.6 * (furrow.thickness + furrow.blur) * canvas.px_per_unit))
    light = np.zeros_like(dark)
    light[shift:] = dark[:-shift]
    return dark - _LIGHT_BESIDE * light


def _on_both_sides(lines: Sequence[Line]) -> list[NDArray[np.float64]]:
    drawn = []
    for line in lines:
        points = smooth_curve(line, 16)
        drawn.append(points)
        if min(u for u, _ in line) > 0:
            drawn.append(mirrored(points))
    return drawn
