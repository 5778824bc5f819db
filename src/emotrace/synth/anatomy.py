"""Where things are in a face, how it is curved, and where each action unit moves its skin.

Face units: the origin lies between the eyes, u points to the picture's right, v down, z out of the
face towards the camera. An average head is 1.6 wide and reaches from v = -1.22 (top of the skull)
to 1.20 (chin): the eyes lie in the middle of a head, the nose ends half-way from brows to chin, the
mouth lies a third of the way from there to the chin (the canon of portrait drawing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from emotrace.synth.identity import Identity

CANVAS_LEFT: Final = -1.3
CANVAS_TOP: Final = -1.65
CANVAS_WIDTH: Final = 2.6
CANVAS_HEIGHT: Final = 3.5
"""The part of the face plane that a head's picture covers, in face units."""

PIVOT_V: Final = 0.55
"""The height of the point that a head turns about, in face units: the top of the neck."""

_GRID_STEP: Final = 0.065
"""Spacing of the grid that movements are computed on; a third of the narrowest of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """Where an identity's features lie at rest, in face units."""

    eye_u: float
    eye_half_width: float
    brow_v: float
    nose_v: float
    """The tip's height."""
    nose_half_width: float
    mouth_v: float
    mouth_half_width: float
    chin_v: float
    hairline_v: float


def find_anchors(identity: Identity) -> Anchors:
    """Return where the features of a face lie."""
    return Anchors(
        eye_u=0.355 * identity.eye_spacing * identity.face_width,
        eye_half_width=0.172 * identity.eye_size,
        brow_v=-0.265 - identity.brow_height,
        nose_v=0.475 * identity.nose_length,
        nose_half_width=0.165 * identity.nose_width,
        mouth_v=0.77 + 0.5 * (identity.chin_length - 1),
        mouth_half_width=0.305 * identity.mouth_width,
        chin_v=1.20 * identity.chin_length,
        hairline_v=-0.97 if identity.hair in ("bald", "receding") else -0.78,
    )


def smooth_curve(points: Sequence[tuple[float, float]], samples: int) -> NDArray[np.float64]:
    """Draw a smooth curve through points (a uniform Catmull-Rom spline).

    Args:
        points: At least two `(u, v)`.
        samples: How many points to return.

    Returns:
        `(samples, 2)`; the first and last points are those given.

    >>> smooth_curve([(0, 0), (1, 1), (2, 0)], 3).tolist()
    [[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]
    """
    known = np.asarray(points, np.float64)
    ends = np.vstack([2 * known[0] - known[1], known, 2 * known[-1] - known[-2]])
    place = np.linspace(0, len(known) - 1, samples)
    index = np.minimum(place.astype(int), len(known) - 2)
    t = (place - index)[:, None]
    before, start, end, after = (ends[index + shift] for shift in range(4))
    curve: NDArray[np.float64] = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return curve


def skull_outline(identity: Identity) -> NDArray[np.float64]:
    """Return the outline of the head without hair and ears, `(n, 2)`, clockwise from the top."""
    wide, jaw, chin = identity.face_width, identity.jaw_width, find_anchors(identity).chin_v
    half = [
        (0.0, -1.22),
        (0.40 * wide, -1.14),
        (0.68 * wide, -0.86),
        (0.79 * wide, -0.45),
        (0.80 * wide, 0.0),
        (0.77 * wide, 0.38),
        (0.66 * jaw * wide**0.5, 0.76 * chin / 1.2),
        (0.45 * jaw, chin - 0.17),
        (0.20 * jaw, chin - 0.025),
        (0.0, chin),
    ]
    right = smooth_curve(half, 60)
    left = right[-2:0:-1] * (-1, 1)
    return np.vstack([right, left])


def face_outline(identity: Identity) -> NDArray[np.float64]:
    """Return the outline of the face from hairline to chin, `(n, 2)`; ears are not in it."""
    outline = skull_outline(identity)
    top = find_anchors(identity).hairline_v
    return np.column_stack([outline[:, 0], np.maximum(outline[:, 1], top)])


def head_depth(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far points of the head lie in front of its axis, in face units.

    The coarse shape that makes parallax: a dome, the nose, flat hair behind. Light falls on the
    finer `relief`.
    """
    dome = 0.72 - 0.80 * u**2 - 0.26 * (v - 0.1) ** 2
    nose = 0.17 * np.exp(-((u / 0.13) ** 2) - ((v - 0.40) / 0.20) ** 2)
    # Behind the ears a head turns away from the camera faster than any dome: hair stays at -0.1.
    return np.maximum(dome, -0.1) + nose


def relief(
    u: NDArray[np.float64], v: NDArray[np.float64], identity: Identity
) -> NDArray[np.float64]:
    """Return the height of the face's surface for light to fall on, in face units."""
    at = find_anchors(identity)

    def hill(cu: float, cv: float, su: float, sv: float, height: float) -> NDArray[np.float64]:
        down = ((v - cv) / sv) ** 2
        if cu == 0:
            return height * np.exp(-((u / su) ** 2) - down)
        return height * np.exp(-(((np.abs(u) - cu) / su) ** 2) - down)

    width = identity.nose_width
    bridge_share = np.clip((v + 0.15) / (at.nose_v + 0.15), 0, 1)
    bridge = (0.05 + 0.13 * bridge_share) * np.exp(
        -((u / ((0.07 + 0.05 * bridge_share) * width)) ** 2)
    )
    bridge *= 1 / (1 + np.exp(-(v + 0.12) / 0.05)) / (1 + np.exp((v - at.nose_v - 0.05) / 0.03))
    dome = -0.62 * (u / identity.face_width) ** 4 - 0.35 * u**2 - 0.14 * (v - 0.05) ** 2
    return (
        dome
        + bridge
        + hill(0, at.nose_v, 0.10 * width, 0.08, 0.06)
        + hill(at.nose_half_width * 0.75, at.nose_v + 0.02, 0.06, 0.06, 0.045)
        + hill(at.eye_u, at.brow_v + 0.02, 0.26, 0.09, 0.055)
        + hill(at.eye_u, -0.01, 0.17, 0.11, -0.075)
        + hill(0.10, -0.03, 0.06, 0.09, -0.04)
        + hill(0.47, 0.30, 0.20, 0.16, 0.05)
        + hill(0, at.mouth_v, 0.28, 0.14, 0.06)
        + hill(0, at.mouth_v + 0.17, 0.17, 0.05, -0.03)
        + hill(0, at.chin_v - 0.14, 0.16, 0.11, 0.06)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A bell-shaped movement of skin; away from the midline it acts on both sides alike."""

    centre: tuple[float, float]
    reach: tuple[float, float]
    """Where it has fallen to 1/e, in face units."""
    move: tuple[float, float]
    """Of the centre at intensity 1, in face units; outwards and down."""


def skin_pulls(identity: Identity) -> Mapping[int, tuple[Pull, ...]]:
    """Return where each action unit moves the skin (and the brows, which lie on it).

    The directions follow the muscles that FACS names; the distances were set by eye.
    """
    at = find_anchors(identity)
    inner, outer = at.eye_u - 0.19, at.eye_u + 0.19
    corner = at.mouth_half_width
    return {
        1: (
            Pull(centre=(inner, at.brow_v), reach=(0.17, 0.17), move=(0.0, -0.135)),
            Pull(centre=(0.0, at.brow_v - 0.25), reach=(0.25, 0.12), move=(0.0, -0.05)),
        ),
        2: (Pull(centre=(outer, at.brow_v), reach=(0.22, 0.18), move=(0.0, -0.13)),),
        4: (
            Pull(centre=(inner, at.brow_v), reach=(0.18, 0.15), move=(-0.05, 0.12)),
            Pull(centre=(outer - 0.05, at.brow_v), reach=(0.18, 0.12), move=(-0.02, 0.05)),
        ),
        5: (Pull(centre=(at.eye_u, -0.13), reach=(0.16, 0.06), move=(0.0, -0.03)),),
        6: (
            Pull(centre=(0.45, 0.30), reach=(0.22, 0.16), move=(0.0, -0.08)),
            Pull(centre=(0.64, 0.02), reach=(0.12, 0.16), move=(-0.04, 0.0)),
            Pull(centre=(outer, at.brow_v), reach=(0.15, 0.1), move=(0.0, 0.025)),
        ),
        7: (Pull(centre=(at.eye_u, 0.13), reach=(0.16, 0.06), move=(0.0, -0.025)),),
        9: (
            Pull(centre=(0.13, at.nose_v), reach=(0.12, 0.13), move=(0.02, -0.085)),
            Pull(centre=(0.0, 0.2), reach=(0.12, 0.2), move=(0.0, -0.03)),
            Pull(centre=(inner, at.brow_v), reach=(0.18, 0.13), move=(-0.03, 0.07)),
            Pull(centre=(0.30, 0.35), reach=(0.16, 0.16), move=(0.0, -0.05)),
        ),
        10: (Pull(centre=(0.17, at.nose_v + 0.08), reach=(0.13, 0.10), move=(0.01, -0.055)),),
        12: (
            Pull(centre=(corner + 0.12, at.mouth_v - 0.08), reach=(0.18, 0.18), move=(0.06, -0.09)),
            Pull(centre=(0.44, 0.33), reach=(0.20, 0.14), move=(0.01, -0.05)),
        ),
        14: (Pull(centre=(corner + 0.07, at.mouth_v), reach=(0.12, 0.14), move=(0.05, -0.01)),),
        15: (Pull(centre=(corner, at.mouth_v + 0.1), reach=(0.14, 0.14), move=(0.01, 0.07)),),
        17: (Pull(centre=(0.0, at.chin_v - 0.17), reach=(0.20, 0.13), move=(0.0, -0.07)),),
        20: (
            Pull(centre=(corner + 0.1, at.mouth_v + 0.03), reach=(0.18, 0.18), move=(0.10, 0.02)),
        ),
        23: (Pull(centre=(corner, at.mouth_v), reach=(0.14, 0.12), move=(-0.03, 0.0)),),
    }


JAW_DROP: Final = 0.22
"""How far the chin falls at intensity 1 of unit 26, in face units."""
_ONE_SIDED: Final = frozenset({12, 14})
"""The units that act on one side only in contempt."""


class SkinMotion:
    """How an identity's skin moves: a field over the canvas for each action unit.

    Attributes:
        grid_uv: `(rows, columns, 2)`: the points that the fields are given at.
    """

    def __init__(self, identity: Identity) -> None:
        columns = int(np.ceil(CANVAS_WIDTH / _GRID_STEP)) + 1
        rows = int(np.ceil(CANVAS_HEIGHT / _GRID_STEP)) + 1
        u, v = np.meshgrid(
            np.linspace(CANVAS_LEFT, CANVAS_LEFT + CANVAS_WIDTH, columns),
            np.linspace(CANVAS_TOP, CANVAS_TOP + CANVAS_HEIGHT, rows),
        )
        self.grid_uv: NDArray[np.float64] = np.stack([u, v], axis=-1)
        self._anchors = find_anchors(identity)
        self._pulls = skin_pulls(identity)

        self._fields = {
            number: self.field_at({number: 1.0}, self.grid_uv) for number in (*self._pulls, 26)
        }

    def grid_field(self, intensities: Mapping[int, float], lean: float) -> NDArray[np.float64]:
        """Return the movement at `grid_uv`, `(rows, columns, 2)`, in face units."""
        total = np.zeros_like(self.grid_uv)
        for number, intensity in intensities.items():
            field = self._fields.get(number)
            if field is None or intensity == 0:
                continue
            if number in _ONE_SIDED and lean:
                total += side_weight(self.grid_uv[..., :1], lean) * (intensity * field)
            else:
                total += intensity * field
        return total

    def field_at(
        self, intensities: Mapping[int, float], points_uv: NDArray[np.float64], lean: float = 0.0
    ) -> NDArray[np.float64]:
        """Return the movement of points, `(..., 2)`, in face units; exact, for a few points."""
        u, v = points_uv[..., 0], points_uv[..., 1]
        moved_u, moved_v = np.zeros_like(u), np.zeros_like(v)
        for number, intensity in intensities.items():
            sided = side_weight(u, lean) if number in _ONE_SIDED and lean else 1.0
            for pull in self._pulls.get(number, ()):
                (cu, cv), (su, sv) = pull.centre, pull.reach
                down = np.exp(-(((v - cv) / sv) ** 2))
                for side in (1.0,) if cu == 0 else (1.0, -1.0):
                    bell = np.exp(-(((u - side * cu) / su) ** 2)) * down * intensity * sided
                    moved_u += side * pull.move[0] * bell
                    moved_v += pull.move[1] * bell
            if number == 26:
                start = self._anchors.mouth_v - 0.08
                share = np.clip((v - start) / (self._anchors.chin_v - 0.10 - start), 0, 1)
                moved_v += intensity * JAW_DROP * share**2 * (3 - 2 * share)
        return np.stack([moved_u, moved_v], axis=-1)


def side_weight(u: NDArray[np.float64], lean: float) -> NDArray[np.float64]:
    """Return how much of a one-sided movement points get: 1 on the side of `lean`, 0 opposite.

    Args:
        u: Points, any shape.
        lean: 0 for both sides alike, 1 for the picture's right side only, -1 for its left.
    """
    onto_side = 1 / (1 + np.exp(-np.sign(lean) * u / 0.06))
    weight: NDArray[np.float64] = (1 - abs(lean)) + abs(lean) * onto_side
    return weight
