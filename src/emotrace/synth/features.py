"""Eyes, mouth and glasses: what opens and closes, drawn anew in every frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from emotrace.synth.anatomy import Anchors, find_anchors, side_weight, smooth_curve
from emotrace.synth.canvas import Canvas, ellipse_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from emotrace.synth.identity import Identity
    from emotrace.synth.light import Light

_SAMPLES: Final = 21
_ALONG: Final = np.linspace(-1.0, 1.0, _SAMPLES)
_LID_ARCH: Final = 1 - np.abs(_ALONG) ** 2.2
_UPPER_LIP: Final = (1 - np.abs(_ALONG) ** 1.6) * (
    1
    - 0.22 * np.exp(-((_ALONG / 0.13) ** 2))
    + 0.10 * np.exp(-(((np.abs(_ALONG) - 0.3) / 0.2) ** 2))
)
_LOWER_LIP: Final = (1 - np.abs(_ALONG) ** 2.4) ** 0.9
_SHADE_SAMPLES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaze:
    """Where the eyes look, in shares of an eye's half width."""

    right: float = 0.0
    """Towards the picture's right."""
    down: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EyeShape:
    """The opening of one eye."""

    upper_lid: NDArray[np.float64]
    """`(n, 2)`, from the picture's left to its right, in face units."""
    lower_lid: NDArray[np.float64]
    openness: float
    """Its height in the middle, in face units."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MouthShape:
    """The lips, as four curves from the picture's left to its right; `(n, 2)`, face units."""

    upper_edge: NDArray[np.float64]
    upper_inner: NDArray[np.float64]
    lower_inner: NDArray[np.float64]
    lower_edge: NDArray[np.float64]
    upper_teeth: float
    """How far the upper teeth reach below the upper lip's edge, in face units."""

    @property
    def opening(self) -> float:
        """The largest distance between the lips, in face units."""
        return float(np.max(self.lower_inner[:, 1] - self.upper_inner[:, 1]))


def eye_shape(identity: Identity, units: Mapping[int, float], side: int) -> EyeShape:
    """Return the opening of an eye.

    Args:
        identity: Whose.
        units: Intensities of the action units.
        side: 1 for the eye on the picture's right, -1 for the other.
    """
    at = find_anchors(identity)

    def unit(number: int) -> float:
        return units.get(number, 0.0)

    size = identity.eye_size
    wider = 0.80 * unit(5) - 0.16 * unit(4) - 0.20 * unit(7) - 0.12 * unit(6) - 0.18 * unit(9)
    upper = 0.069 * size * max(0.25, 1 + wider)
    lower = (
        0.050
        * size
        * max(0.05, 1 + 0.10 * unit(5) - 0.62 * unit(7) - 0.50 * unit(6) - 0.25 * unit(9))
    )
    closed = max(unit(43), unit(45))
    # A closing lid travels down to where the lower lid waits, a little above its place.
    meeting = -0.75 * lower
    upper = (1 - closed) * upper + closed * meeting
    lower = (1 - closed) * lower - closed * meeting
    tilt = side * identity.eye_tilt * _ALONG
    sad = 0.018 * unit(1) * side * _ALONG
    u = side * at.eye_u + at.eye_half_width * _ALONG
    # The upper lid is highest towards the nose, the lower one lowest outwards.
    upper_v = -upper * _LID_ARCH * (1 - 0.18 * side * _ALONG)
    lower_v = lower * _LID_ARCH * (1 + 0.22 * side * _ALONG)
    return EyeShape(
        upper_lid=np.column_stack([u, upper_v - tilt + sad]),
        lower_lid=np.column_stack([u, np.maximum(lower_v, upper_v) - tilt + 0.5 * sad]),
        openness=max(0.0, upper + lower),
    )


def mouth_shape(identity: Identity, units: Mapping[int, float], lean: float) -> MouthShape:
    """Return the lips.

    Args:
        identity: Whose.
        units: Intensities of the action units.
        lean: Which side units 12 and 14 act on, see `side_weight`.
    """
    at = find_anchors(identity)

    def unit(number: int) -> float:
        return units.get(number, 0.0)

    half, middle = at.mouth_half_width, at.mouth_v
    sided = side_weight(_ALONG, lean) if lean else np.ones(_SAMPLES)
    pull, dimple = unit(12) * sided, unit(14) * sided
    stretch = 1 + 0.24 * pull + 0.16 * dimple + 0.32 * unit(20) - 0.16 * unit(23)
    stretch = stretch - 0.20 * unit(26) * (1 - unit(20)) * (1 - 0.8 * pull) - 0.04 * unit(17)
    u = half * _ALONG * stretch
    outwards = np.abs(_ALONG)
    raised = -0.155 * pull * outwards**1.7 + 0.03 * pull - 0.008 * outwards**2
    line = middle + raised + 0.125 * unit(15) * outwards**2.0 - 0.050 * dimple * outwards**3
    line = line + 0.035 * unit(20) * outwards**2 - 0.075 * unit(17) * (1 - outwards**2)
    line = line - (0.045 * unit(9) + 0.03 * unit(10)) * (1 - 0.7 * outwards**2)
    parted = (1 - outwards**2.3) * (0.085 * unit(25) + 0.02 * unit(25) * unit(12))
    fallen = 0.15 * unit(26) * (1 - outwards**2.6)
    lift = 0.30 * parted + 0.035 * unit(26) * _LID_ARCH + 0.055 * unit(10) * (1 - outwards**2)
    lift = lift * (0.25 + 0.75 * min(1.0, unit(25) + unit(26)))
    upper_inner = line - lift
    drop = 0.70 * parted + fallen
    # The whole lower jaw carries the corners down with it, half as far.
    sink = 0.11 * unit(26)
    lower_inner = line + drop + sink
    upper_inner = upper_inner + sink * outwards**2.5
    lower_inner = np.maximum(lower_inner, upper_inner)
    thin = (1 - 0.50 * unit(23)) * (1 - 0.22 * unit(20))
    upper_height = 0.058 * identity.lip_thickness * thin * (1 - 0.25 * pull - 0.2 * unit(10))
    lower_height = 0.082 * identity.lip_thickness * thin * (1 - 0.15 * pull + 0.22 * unit(17))
    tight = 1 - 0.55 * dimple * outwards**2
    return MouthShape(
        upper_edge=np.column_stack([u, upper_inner - upper_height * _UPPER_LIP * tight]),
        upper_inner=np.column_stack([u, upper_inner]),
        lower_inner=np.column_stack([u, lower_inner]),
        lower_edge=np.column_stack([u, lower_inner + lower_height * _LOWER_LIP * tight]),
        # A mouth that falls open without a smile or a snarl shows little of its upper teeth.
        upper_teeth=0.035 + 0.042 * min(1.0, unit(12) + unit(20) + unit(10)),
    )


class FeaturePainter:
    """Draws the eyes, the mouth and the glasses of one identity onto the picture of its head."""

    def __init__(
        self, identity: Identity, canvas: Canvas, shade: NDArray[np.float32], light: Light
    ) -> None:
        self._identity = identity
        self._canvas = canvas
        self._at: Anchors = find_anchors(identity)
        self._tint = np.asarray(light.tint_rgb, np.float64)
        self._shade = shade
        skin = np.asarray(identity.skin_rgb, np.float64)
        redder = skin * (0.86, 0.60, 0.60) + (22, 8, 10)
        self._lip = 0.45 * redder + 0.55 * np.minimum(skin * (0.88, 0.66, 0.64), redder)
        self._lash = 0.25 * np.minimum(np.asarray(identity.hair_rgb, np.float64), 90)
        self._lid_line = skin * 0.50

    def paint(
        self, image: NDArray[np.uint8], units: Mapping[int, float], lean: float, gaze: Gaze
    ) -> None:
        """Draw onto `image`, `(height_px, width_px, 3)`."""
        for side in (-1, 1):
            self._paint_eye(image, eye_shape(self._identity, units, side), side, gaze, units)
        self._paint_mouth(image, mouth_shape(self._identity, units, lean))
        if self._identity.glasses != "none":
            self._paint_glasses(image)

    def _level(self, u: float, v: float) -> float:
        x, y = self._canvas.to_px(np.array([u, v]))
        return float(self._shade[int(y), int(x)])

    def _lit(self, colour: NDArray[np.float64], level: float) -> tuple[float, float, float]:
        red, green, blue = np.clip(colour * level * self._tint, 0, 255)
        return (float(red), float(green), float(blue))

    def _paint_eye(
        self,
        image: NDArray[np.uint8],
        eye: EyeShape,
        side: int,
        gaze: Gaze,
        units: Mapping[int, float],
    ) -> None:
        canvas, at = self._canvas, self._at
        level = min(1.05, 1.12 * self._level(side * at.eye_u, 0.10))
        opening = np.vstack([eye.upper_lid, eye.lower_lid[::-1]])
        if eye.openness > 0.008:
            self._paint_eyeball(image, eye, opening, side, gaze, level)
        crease_rise = 0.028 - 0.012 * units.get(5, 0.0)
        # The fold above the lid follows the lid half-way, and vanishes where the lid is shut.
        rest_v = -0.069 * self._identity.eye_size * _LID_ARCH - crease_rise
        crease = np.column_stack(
            [eye.upper_lid[:, 0], 0.5 * (eye.upper_lid[:, 1] + rest_v) - 0.5 * crease_rise]
        )
        crease[:, 1] = np.minimum(crease[:, 1], eye.upper_lid[:, 1] - 0.012)
        lid_level = 0.95 * level
        canvas.stroke(
            image, crease[2:-2], self._lit(self._lid_line * 1.25, lid_level), thickness=0.010
        )
        canvas.stroke(
            image, eye.lower_lid[2:-2], self._lit(self._lid_line * 1.2, lid_level), thickness=0.008
        )
        canvas.stroke(image, eye.upper_lid, self._lit(self._lash, level), thickness=0.021)

    def _paint_eyeball(
        self,
        image: NDArray[np.uint8],
        eye: EyeShape,
        opening: NDArray[np.float64],
        side: int,
        gaze: Gaze,
        level: float,
    ) -> None:
        box = _pixel_box(self._canvas.to_px(opening), image.shape, margin=2)
        patch = image[box].copy()
        local = _local_canvas(self._canvas, box)
        patch[:] = self._lit(np.array([236.0, 231.0, 226.0]), level)
        centre = (
            side * self._at.eye_u + 0.45 * self._at.eye_half_width * gaze.right,
            -0.012 + 0.3 * self._at.eye_half_width * gaze.down,
        )
        radius = 0.074 * self._identity.eye_size
        iris = np.asarray(self._identity.eye_rgb, np.float64)
        local.fill(
            patch, ellipse_points(centre, (radius, radius), 24), self._lit(0.45 * iris, level)
        )
        inner = 0.82 * radius
        local.fill(patch, ellipse_points(centre, (inner, inner), 24), self._lit(1.1 * iris, level))
        pupil = 0.42 * radius
        local.fill(patch, ellipse_points(centre, (pupil, pupil), 16), (14, 12, 12))
        gleam = (centre[0] + 0.35 * radius, centre[1] - 0.38 * radius)
        local.fill(patch, ellipse_points(gleam, (0.2 * radius, 0.2 * radius), 10), (250, 250, 250))
        shadow = eye.upper_lid + np.array([0.0, 0.012])
        local.stroke(
            patch, shadow, self._lit(np.array([120.0, 105.0, 98.0]), level), thickness=0.014
        )
        mask = np.zeros(patch.shape[:2], np.uint8)
        local.fill(mask, opening, 255)
        _blend(image, box, patch, mask)

    def _paint_mouth(self, image: NDArray[np.uint8], mouth: MouthShape) -> None:
        canvas, at = self._canvas, self._at
        level = self._level(0.0, at.mouth_v)
        outline = np.vstack([mouth.upper_edge, mouth.lower_edge[::-1]])
        canvas.fill(image, outline, self._lit(self._lip, 0.98 * level))
        upper = np.vstack([mouth.upper_edge, mouth.upper_inner[::-1]])
        canvas.fill(image, upper, self._lit(0.84 * self._lip, 0.98 * level))
        gleam = 0.5 * (mouth.lower_inner + mouth.lower_edge)[6:-6]
        canvas.stroke(image, gleam, self._lit(1.12 * self._lip + 10, level), thickness=0.016)
        if mouth.opening > 0.012:
            self._paint_inside(image, mouth, level)
        else:
            canvas.stroke(
                image, mouth.upper_inner, self._lit(0.36 * self._lip, level), thickness=0.014
            )
        for end in (0, -1):
            corner = mouth.upper_inner[end] + 0.5 * (
                mouth.upper_inner[end] - mouth.upper_inner[end - 1 if end else 1]
            )
            line = np.vstack([mouth.upper_inner[end], corner])
            canvas.stroke(image, line, self._lit(self._lid_line, level), thickness=0.012)

    def _paint_inside(self, image: NDArray[np.uint8], mouth: MouthShape, level: float) -> None:
        opening = np.vstack([mouth.upper_inner, mouth.lower_inner[::-1]])
        box = _pixel_box(self._canvas.to_px(opening), image.shape, margin=2)
        patch = image[box].copy()
        local = _local_canvas(self._canvas, box)
        patch[:] = self._lit(np.array([52.0, 20.0, 22.0]), level)
        centre_v = float(mouth.lower_inner[_SAMPLES // 2, 1])
        if mouth.opening > 0.10:
            tongue = ellipse_points((0.0, centre_v + 0.01), (0.17, 0.45 * mouth.opening))
            local.fill(patch, tongue, self._lit(np.array([150.0, 74.0, 76.0]), 0.8 * level))
        ivory = self._lit(np.array([238.0, 232.0, 220.0]), 0.98 * level)
        edge = mouth.upper_inner.copy()
        edge[:, 1] += mouth.upper_teeth * (1 - 0.35 * np.abs(_ALONG))
        local.fill(patch, np.vstack([mouth.upper_inner - np.array([0, 0.02]), edge[::-1]]), ivory)
        groove = self._lit(np.array([200.0, 190.0, 176.0]), level)
        for index in range(4, _SAMPLES - 3, 2):
            local.stroke(
                patch,
                np.vstack([mouth.upper_inner[index], edge[index] - np.array([0, 0.008])]),
                groove,
                thickness=0.004,
            )
        low = mouth.lower_inner.copy()
        low[:, 1] -= 0.035
        dim = self._lit(np.array([206.0, 198.0, 186.0]), 0.85 * level)
        if mouth.opening < 0.16:
            local.fill(patch, np.vstack([low, mouth.lower_inner[::-1] + np.array([0, 0.02])]), dim)
        mask = np.zeros(patch.shape[:2], np.uint8)
        local.fill(mask, opening, 255)
        _blend(image, box, patch, mask)
        canvas = self._canvas
        dark = self._lit(0.42 * self._lip, level)
        canvas.stroke(image, mouth.upper_inner, dark, thickness=0.008)

    def _paint_glasses(self, image: NDArray[np.uint8]) -> None:
        canvas, at = self._canvas, self._at
        style = self._identity.glasses
        thickness = 0.014 if style == "thin" else 0.032
        frame = self._lit(
            np.array([58.0, 54.0, 56.0] if style != "thin" else [150.0, 140.0, 120.0]), 0.9
        )
        for side in (-1, 1):
            centre = (side * (at.eye_u + 0.005), 0.03)
            if style == "round":
                rim = ellipse_points(centre, (0.235, 0.215))
            else:
                rim = _rounded_box(centre, (0.255, 0.175))
            canvas.stroke(image, rim, frame, thickness=thickness, is_closed=True)
            arm = np.array(
                [
                    [side * (at.eye_u + 0.25), -0.02],
                    [side * 0.80 * self._identity.face_width, -0.04],
                ]
            )
            canvas.stroke(image, arm, frame, thickness=thickness)
        bridge = smooth_curve([(-at.eye_u + 0.23, 0.0), (0.0, -0.035), (at.eye_u - 0.23, 0.0)], 10)
        canvas.stroke(image, bridge, frame, thickness=thickness)


def _rounded_box(centre: tuple[float, float], half: tuple[float, float]) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    u = centre[0] + half[0] * np.sign(c) * np.abs(c) ** 0.45
    v = centre[1] + half[1] * np.sign(s) * np.abs(s) ** 0.45
    return np.column_stack([u, v])


def _pixel_box(
    points_px: NDArray[np.float64], shape: tuple[int, ...], *, margin: int
) -> tuple[slice, slice]:
    left, top = np.floor(points_px.min(axis=0)).astype(int) - margin
    right, bottom = np.ceil(points_px.max(axis=0)).astype(int) + margin + 1
    return (slice(max(0, top), min(shape[0], bottom)), slice(max(0, left), min(shape[1], right)))


def _local_canvas(canvas: Canvas, box: tuple[slice, slice]) -> Canvas:
    rows, columns = box
    scale = canvas.px_per_unit
    return Canvas(
        px_per_unit=scale,
        left=canvas.left + columns.start / scale,
        top=canvas.top + rows.start / scale,
        width=(columns.stop - columns.start) / scale,
        height=(rows.stop - rows.start) / scale,
    )


def _blend(
    image: NDArray[np.uint8],
    box: tuple[slice, slice],
    patch: NDArray[np.uint8],
    mask: NDArray[np.uint8],
) -> None:
    share = np.float32(1 / 255) * cv2.merge([mask, mask, mask])
    under = image[box]
    mixed = under + share * (patch.astype(np.float32) - under)
    image[box] = (mixed + 0.5).astype(np.uint8)
