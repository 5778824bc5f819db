"""The picture of a head at rest: lit skin, nose, ears, hair, brows and beard. No eyes, no mouth.

Painted once for each identity, light and scale; movement bends it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from emotrace.synth.anatomy import (
    CANVAS_LEFT,
    CANVAS_TOP,
    find_anchors,
    relief,
    skull_outline,
    smooth_curve,
)
from emotrace.synth.canvas import Canvas, ellipse_points, mirrored
from emotrace.synth.hair import beard_mask, brow_shape, hair_behind, hair_on_top

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.synth.identity import Identity, Rgb
    from emotrace.synth.light import Light

_OVERSAMPLING: Final = 2
"""Painted this much larger and averaged down: strands and nostrils get smooth edges."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadPicture:
    """A head at rest, as painted."""

    rgba: NDArray[np.float32]
    """`(height_px, width_px, 4)` in [0, 255]. Colour goes on beyond the edge, so none bleeds in."""
    shade: NDArray[np.float32]
    """`(height_px, width_px)`: the light that each place gets, 1 for the full albedo."""


class _Painting:
    """Colour and cover of the head while it is painted."""

    def __init__(self, canvas: Canvas, ground: NDArray[np.float64]) -> None:
        columns, rows = canvas.size_px
        self.canvas = canvas
        self.rgb = np.empty((rows, columns, 3), np.float32)
        self.rgb[:] = ground
        self.cover = np.zeros((rows, columns), np.float32)

    def lay(
        self, mask: NDArray[np.float32], colour: NDArray[np.float32] | Rgb, *, covers: bool = False
    ) -> None:
        """Paint a colour, or a picture of colours, where `mask` is; `covers` extends the head."""
        self.rgb += mask[..., None] * (np.asarray(colour, np.float32) - self.rgb)
        if covers:
            self.cover = np.maximum(self.cover, mask)

    def darken(self, mask: NDArray[np.float32], share: float) -> None:
        """Take a share of the light where `mask` is."""
        self.rgb *= 1 - share * mask[..., None]


def paint_head(identity: Identity, light: Light, px_per_unit: float) -> HeadPicture:
    """Paint a head at rest.

    Args:
        identity: Whose.
        light: What falls on it.
        px_per_unit: The scale of the picture.
    """
    canvas = Canvas(px_per_unit=px_per_unit * _OVERSAMPLING)
    random = np.random.default_rng([identity.texture_seed, 1])
    u, v = canvas.grid_uv()
    shade = light.shade(relief(u, v, identity), canvas.px_per_unit)
    hair_light = np.asarray(0.3 * light.level + 0.7 * shade, np.float32)
    painting = _Painting(canvas, 0.6 * light.level * np.asarray(identity.hair_rgb))
    strands = _strands(canvas, random, identity)
    _paint_behind(painting, identity, strands, hair_light)
    skin = _skin_colours(identity, canvas, random) * shade[..., None]
    _paint_ears(painting, identity, skin)
    painting.lay(canvas.mask(skull_outline(identity)), skin, covers=True)
    _paint_sockets(painting, identity)
    _paint_nose(painting, identity)
    _paint_beard(painting, identity, random, hair_light)
    _paint_brows(painting, identity, random, hair_light)
    _paint_hair(painting, identity, strands, hair_light)
    rgba = np.dstack([painting.rgb, painting.cover * 255])
    rgba[..., :3] *= np.asarray(light.tint_rgb, np.float32)
    size = Canvas(px_per_unit=px_per_unit).size_px
    return HeadPicture(
        rgba=np.asarray(cv2.resize(rgba, size, interpolation=cv2.INTER_AREA), np.float32),
        shade=np.asarray(cv2.resize(shade, size, interpolation=cv2.INTER_AREA), np.float32),
    )


def _strands(
    canvas: Canvas, random: np.random.Generator, identity: Identity
) -> NDArray[np.float32]:
    if identity.hair == "curly":
        curls = canvas.noise(random, across=0.09, along=0.09)
        return np.asarray(np.clip(0.6 * curls, -0.8, 0.8), np.float32)
    fine = canvas.noise(random, across=0.022, along=0.35)
    coarse = canvas.noise(random, across=0.12, along=0.8)
    return np.asarray(0.6 * fine + 0.4 * coarse, np.float32)


def _hair_colours(
    identity: Identity, strands: NDArray[np.float32], shade: NDArray[np.float32]
) -> NDArray[np.float32]:
    contrast = {"buzz": 0.10, "curly": 0.16}.get(identity.hair, 0.20)
    tone = np.clip(1 + contrast * strands, 0.45, 1.4) * np.minimum(shade, 1.05)
    return np.asarray(tone[..., None] * np.asarray(identity.hair_rgb), np.float32)


def _skin_colours(
    identity: Identity, canvas: Canvas, random: np.random.Generator
) -> NDArray[np.float32]:
    u, v = canvas.grid_uv()
    at = find_anchors(identity)
    base = np.asarray(identity.skin_rgb, np.float32)

    def spot(cu: float, cv_: float, reach: float) -> NDArray[np.float32]:
        distance = ((np.abs(u) - cu) ** 2 + (v - cv_) ** 2) / reach**2
        return np.asarray(np.exp(-distance), np.float32)

    blush = 0.5 * spot(0.45, 0.32, 0.22) + 0.35 * spot(0.0, at.nose_v, 0.13)
    blush += 0.25 * spot(0.0, at.chin_v - 0.12, 0.15)
    skin = base * (1 + blush[..., None] * np.array([0.015, -0.075, -0.085], np.float32))
    mottle = 0.5 * canvas.noise(random, across=0.25, along=0.25)
    mottle += 0.4 * canvas.noise(random, across=0.035, along=0.035)
    skin *= 1 + (0.014 + 0.016 * identity.age) * mottle[..., None]
    if identity.freckles > 0.02:
        specks = canvas.noise(random, across=0.04, along=0.04)
        on_cheeks = spot(0.32, 0.22, 0.30) + spot(0.0, 0.15, 0.2)
        freckles = np.clip(specks - 1.1, 0, 1) * np.clip(on_cheeks, 0, 1) * identity.freckles
        skin *= 1 - 0.35 * freckles[..., None] * np.array([0.6, 1.0, 1.2], np.float32)
    return np.asarray(skin, np.float32)


def _paint_behind(
    painting: _Painting,
    identity: Identity,
    strands: NDArray[np.float32],
    shade: NDArray[np.float32],
) -> None:
    outline = hair_behind(identity)
    if outline is None:
        return
    canvas = painting.canvas
    is_curly = identity.hair == "curly"
    colours = (0.9 if is_curly else 0.62) * _hair_colours(
        identity, strands, np.full_like(shade, shade.mean())
    )
    mask = canvas.mask(outline, blur=0.008)
    if is_curly:
        mask = _ragged(mask, canvas, identity)
    # The neck stands before this hair, but is painted with the shoulders, under the head.
    neck_half = 0.46 * identity.jaw_width
    neck = np.array([(-neck_half, 0.6), (neck_half, 0.6), (neck_half, 2.0), (-neck_half, 2.0)])
    painting.lay(mask * (1 - canvas.mask(neck, blur=0.01)), colours, covers=True)


def _ragged(mask: NDArray[np.float32], canvas: Canvas, identity: Identity) -> NDArray[np.float32]:
    """Give hair an edge of curls."""
    random = np.random.default_rng([identity.texture_seed, 2])
    curls = np.clip(canvas.noise(random, across=0.1, along=0.1), -1, 1)
    edge = canvas.soften(mask, 0.035) * (1 + 0.25 * curls) * 2.4 - 0.7
    return np.asarray(np.clip(edge, 0, 1), np.float32)


def _paint_ears(painting: _Painting, identity: Identity, skin: NDArray[np.float32]) -> None:
    if identity.hair in ("long", "bob", "curly"):
        return
    canvas, wide = painting.canvas, identity.face_width
    for side in (-1, 1):
        ear = ellipse_points((side * 0.815 * wide, 0.12), (0.085, 0.20))
        tone = np.asarray(identity.skin_rgb, np.float32) * 0.80
        painting.lay(canvas.mask(ear), np.minimum(skin, tone), covers=True)
        hollow = ellipse_points((side * 0.83 * wide, 0.10), (0.04, 0.12))
        painting.darken(canvas.mask(hollow, blur=0.02), 0.30)


def _paint_sockets(painting: _Painting, identity: Identity) -> None:
    canvas, at = painting.canvas, find_anchors(identity)
    for side in (-1, 1):
        socket = ellipse_points((side * at.eye_u, -0.035), (at.eye_half_width + 0.07, 0.115))
        painting.darken(canvas.mask(socket, blur=0.055), 0.19)
        bag = ellipse_points((side * (at.eye_u - 0.02), 0.13), (at.eye_half_width, 0.04))
        painting.darken(canvas.mask(bag, blur=0.03), 0.06 + 0.12 * identity.age)
    # The light that the jaw keeps from the rim of the face.
    inside = canvas.mask(0.93 * skull_outline(identity) + (0, 0.02), blur=0.07)
    painting.darken(1 - inside, 0.30)


def _paint_nose(painting: _Painting, identity: Identity) -> None:
    canvas, at = painting.canvas, find_anchors(identity)
    wing, tip = at.nose_half_width, at.nose_v
    for side in (-1, 1):
        nostril = ellipse_points((side * 0.47 * wing, tip + 0.075), (0.34 * wing, 0.021))
        painting.darken(canvas.mask(nostril, blur=0.008), 0.68)
        crease = smooth_curve(
            [
                (side * wing * 0.80, tip - 0.075),
                (side * wing * 1.06, tip + 0.0),
                (side * wing * 0.92, tip + 0.07),
                (side * wing * 0.6, tip + 0.09),
            ],
            20,
        )
        painting.darken(canvas.line_mask(crease, thickness=0.018, blur=0.012), 0.42)
        flank = smooth_curve([(side * 0.095, -0.12), (side * 0.085, 0.1), (side * 0.12, 0.34)], 20)
        painting.darken(canvas.line_mask(flank, thickness=0.05, blur=0.035), 0.20)
    under = ellipse_points((0.0, tip + 0.115), (wing * 0.95, 0.035))
    painting.darken(canvas.mask(under, blur=0.03), 0.26)
    bridge = smooth_curve([(0.0, -0.05), (0.0, 0.2), (0.0, tip - 0.04)], 20)
    gleam = canvas.line_mask(bridge, thickness=0.04, blur=0.03)
    painting.rgb *= 1 + 0.12 * gleam[..., None]
    philtrum = smooth_curve([(0.0, tip + 0.14), (0.0, at.mouth_v - 0.09)], 10)
    painting.darken(canvas.line_mask(philtrum, thickness=0.035, blur=0.018), 0.08)
    under_lip = ellipse_points((0.0, at.mouth_v + 0.17), (0.14, 0.022))
    painting.darken(canvas.mask(under_lip, blur=0.03), 0.22)


def _paint_beard(
    painting: _Painting,
    identity: Identity,
    random: np.random.Generator,
    shade: NDArray[np.float32],
) -> None:
    if identity.beard == "none":
        return
    canvas = painting.canvas
    bristles = canvas.noise(random, across=0.018, along=0.05)
    mask = np.clip(beard_mask(identity, canvas) * (1 + 0.22 * bristles), 0, 1)
    tone = np.clip(1 + 0.22 * bristles, 0.5, 1.7) * shade * 0.9
    colours = tone[..., None] * np.asarray(identity.hair_rgb, np.float32)
    painting.lay(mask.astype(np.float32), colours.astype(np.float32))
    painting.cover = np.maximum(painting.cover, mask * (mask > 0.4)).astype(np.float32)


def _paint_brows(
    painting: _Painting,
    identity: Identity,
    random: np.random.Generator,
    shade: NDArray[np.float32],
) -> None:
    canvas = painting.canvas
    shape = brow_shape(identity)
    bristles = canvas.noise(random, across=0.02, along=0.03)
    mask = np.maximum(canvas.mask(shape, blur=0.011), canvas.mask(mirrored(shape), blur=0.011))
    mask = np.clip(mask * (0.86 + 0.14 * bristles), 0, 0.95).astype(np.float32)
    colour = 0.72 * np.asarray(identity.hair_rgb, np.float32)
    painting.lay(mask, colour * shade[..., None])


def _paint_hair(
    painting: _Painting,
    identity: Identity,
    strands: NDArray[np.float32],
    shade: NDArray[np.float32],
) -> None:
    canvas = painting.canvas
    shapes = hair_on_top(identity)
    if not shapes:
        return
    _, v = canvas.grid_uv()
    # Hair is lit like a dome of its own: it stands off the skull.
    dome = shade * np.clip(1.05 - 0.28 * (v + 0.9), 0.4, 1.2).astype(np.float32)
    colours = _hair_colours(identity, strands, dome)
    for shape in shapes:
        mask = canvas.mask(shape, blur=0.035 if identity.hair in ("buzz", "receding") else 0.012)
        shadow = canvas.soften(mask, 0.05)
        painting.darken(np.clip(shadow - mask, 0, 1), 0.45)
        if identity.hair == "curly":
            mask = _ragged(mask, canvas, identity)
        opacity = 0.72 if identity.hair == "buzz" else 1.0
        painting.lay((opacity * mask).astype(np.float32), colours)
        painting.cover = np.maximum(painting.cover, mask).astype(np.float32)


def paint_torso(
    identity: Identity, light: Light, px_per_unit: float
) -> tuple[NDArray[np.uint8], Canvas]:
    """Paint neck and shoulders.

    Returns:
        `(height_px, width_px, 4)`, RGB and cover, and the raster that it is on; it reaches far
        enough down for the whole of a picture whose face fills a tenth of its height.
    """
    canvas = Canvas(px_per_unit=px_per_unit, left=-2.3, top=0.3, width=4.6, height=4.2)
    level = light.level
    painting = _Painting(canvas, 0.8 * level * np.asarray(identity.clothes_rgb))
    skin = np.asarray(identity.skin_rgb, np.float32) * (0.68 * level)
    if identity.hair == "long":
        half = smooth_curve([(0.0, 0.3), (0.86, 0.5), (0.98, 1.3), (0.7, 1.8), (0.0, 1.7)], 30)
        behind = np.vstack([half, mirrored(half[::-1])])
        hair = np.asarray(identity.hair_rgb, np.float32) * (0.5 * level)
        painting.lay(canvas.mask(behind), hair, covers=True)
    neck_half = 0.44 * identity.jaw_width
    half = smooth_curve(
        [(neck_half, 0.3), (neck_half, 1.0), (neck_half + 0.03, 1.4), (0.75, 1.75), (0.8, 2.2)], 30
    )
    painting.lay(canvas.mask(np.vstack([half, mirrored(half[::-1])])), skin, covers=True)
    chin_shadow = ellipse_points((0.0, 1.15), (0.6, 0.25))
    painting.darken(canvas.mask(chin_shadow, blur=0.08), 0.35)
    wide = 1.75 if identity.jaw_width > 1 else 1.5
    half = smooth_curve(
        [(0.50, 1.52), (0.95, 1.68), (wide, 1.95), (wide + 0.3, 2.9), (wide + 0.4, 4.6)], 40
    )
    collar = smooth_curve([(-0.50, 1.52), (-0.3, 1.78), (0.0, 1.86), (0.3, 1.78), (0.50, 1.52)], 20)
    shoulders = np.vstack([half, mirrored(half[::-1]), collar[1:-1]])
    u, v = canvas.grid_uv()
    folds = (level * (0.92 - 0.10 * u**2 - 0.05 * (v - 1.6))).astype(np.float32)
    cloth = np.clip(folds, 0.2, 1.2)[..., None] * np.asarray(identity.clothes_rgb, np.float32)
    painting.lay(canvas.mask(shoulders), cloth, covers=True)
    rgba = np.dstack([painting.rgb * np.asarray(light.tint_rgb, np.float32), painting.cover * 255])
    return np.clip(np.rint(rgba), 0, 255).astype(np.uint8), canvas


def origin_px(px_per_unit: float) -> tuple[float, float]:
    """Return where the origin of face units lies in a `HeadPicture`, in pixels."""
    return (-CANVAS_LEFT * px_per_unit - 0.5, -CANVAS_TOP * px_per_unit - 0.5)
