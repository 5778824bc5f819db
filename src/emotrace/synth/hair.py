"""Hair, brows and beards, painted into the picture of a head at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emotrace.synth.anatomy import find_anchors, smooth_curve
from emotrace.synth.canvas import ellipse_points, mirrored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.synth.canvas import Canvas
    from emotrace.synth.identity import Identity


def hair_behind(identity: Identity) -> NDArray[np.float64] | None:
    """Return the outline of the hair that hangs behind face and neck, `(n, 2)`; None if short."""
    wide, volume = identity.face_width, identity.hair_volume
    out = 0.80 * wide + 0.13 * volume
    if identity.hair == "long":
        half = [(0.0, -1.2), (out, -0.5), (out + 0.04, 0.4), (out - 0.02, 1.2), (out - 0.2, 1.75)]
    elif identity.hair == "bob":
        half = [(0.0, -1.2), (out, -0.5), (out + 0.08, 0.3), (out + 0.05, 0.8), (out - 0.3, 1.0)]
    elif identity.hair == "curly":
        half = [(0.0, -1.2), (out + 0.12, -0.6), (out + 0.16, 0.0), (out, 0.5), (0.5, 0.6)]
    else:
        return None
    right = smooth_curve(half, 40)
    return np.vstack([right, mirrored(right[::-1])])


def hair_on_top(identity: Identity) -> list[NDArray[np.float64]]:
    """Return the outlines of the hair that lies on the head, each `(n, 2)`; empty if bald."""
    if identity.hair == "bald":
        return []
    wide, volume = identity.face_width, identity.hair_volume
    rise = {"buzz": 0.02, "receding": 0.03, "bun": 0.05, "bob": 0.09, "long": 0.08}.get(
        identity.hair, 0.13
    )
    rise = 0.27 if identity.hair == "curly" else rise
    up, side = rise * volume, 0.35 * rise * volume
    side += 0.11 * volume if identity.hair in ("long", "bob") else 0.0
    end_v = {"long": 0.62, "bob": 0.72, "curly": 0.3}.get(identity.hair, -0.02)
    outer = smooth_curve(
        [
            (0.0, -1.22 - up),
            (0.44 * wide, -1.14 - up),
            (0.70 * wide + side, -0.84 - 0.6 * up),
            (0.81 * wide + side, -0.42),
            (0.82 * wide + side, min(-0.05, end_v)),
            (0.80 * wide + 0.6 * side, end_v),
        ],
        50,
    )
    inner = smooth_curve(_hairline(identity, end_v), 40)
    right = np.vstack([outer, inner])
    shapes = [np.vstack([right, mirrored(right[::-1])])]
    if identity.hair == "side part":
        fringe = smooth_curve(
            [(-0.42, -1.0), (-0.2, -0.72), (0.25, -0.56), (0.62, -0.50), (0.74 * wide, -0.5)], 30
        )
        shapes.append(np.vstack([fringe, [(0.6, -1.1), (0.0, -1.2)]]))
    if identity.hair == "bun":
        shapes.append(ellipse_points((0.0, -1.32), (0.26, 0.2)))
    return shapes


def _hairline(identity: Identity, end_v: float) -> list[tuple[float, float]]:
    wide, top = identity.face_width, find_anchors(identity).hairline_v
    if identity.hair == "receding":
        return [
            (0.78 * wide, -0.05),
            (0.74 * wide, -0.45),
            (0.58 * wide, -0.90),
            (0.30, -1.06),
            (0.0, -0.99),
        ]
    if identity.hair in ("long", "bob"):
        return [
            (0.74 * wide, end_v),
            (0.71 * wide, 0.0),
            (0.66 * wide, -0.42),
            (0.35, top - 0.02),
            (0.0, top - 0.1),
        ]
    return [
        (0.765 * wide, end_v),
        (0.745 * wide, -0.32),
        (0.63 * wide, -0.62),
        (0.40, top + 0.01),
        (0.0, top),
    ]


def brow_shape(identity: Identity) -> NDArray[np.float64]:
    """Return the outline of the brow on the picture's right, `(n, 2)`."""
    at = find_anchors(identity)
    arch = 0.045 * identity.brow_arch
    middle = smooth_curve(
        [
            (at.eye_u - 0.215, at.brow_v + 0.008),
            (at.eye_u - 0.08, at.brow_v - 0.55 * arch),
            (at.eye_u + 0.08, at.brow_v - arch),
            (at.eye_u + 0.235, at.brow_v + 0.035),
        ],
        24,
    )
    along = np.linspace(0, 1, 24)
    half = 0.034 * identity.brow_thickness * np.clip(1.15 - along, 0.2, 1) ** 0.7
    half *= np.clip(along / 0.12, 0.55, 1)
    above, below = (
        middle - np.column_stack([0 * half, half]),
        middle + np.column_stack([0 * half, half]),
    )
    return np.vstack([above, below[::-1]])


def beard_mask(identity: Identity, canvas: Canvas) -> NDArray[np.float32]:
    """Return how thick the beard is, `(height_px, width_px)` in [0, 1]."""
    columns, rows = canvas.size_px
    at = find_anchors(identity)
    mouth, chin, corner = at.mouth_v, at.chin_v, at.mouth_half_width
    moustache = smooth_curve(
        [(0.0, mouth - 0.13), (0.16, mouth - 0.15), (corner + 0.06, mouth + 0.02)], 20
    )
    lower = smooth_curve(
        [(corner + 0.02, mouth + 0.06), (0.15, mouth - 0.05), (0, mouth - 0.05)], 20
    )
    moustache = np.vstack([moustache, lower])
    shapes: list[NDArray[np.float64]] = []
    if identity.beard in ("moustache", "goatee", "full", "stubble"):
        shapes.append(np.vstack([moustache, mirrored(moustache[::-1])]))
    if identity.beard == "goatee":
        half = smooth_curve(
            [
                (0, mouth + 0.16),
                (0.2, mouth + 0.14),
                (corner, mouth),
                (0.33, chin - 0.1),
                (0, chin + 0.1),
            ],
            40,
        )
        shapes.append(np.vstack([half, mirrored(half[::-1])]))
    if identity.beard in ("full", "stubble"):
        wide = 0.80 * identity.face_width
        half = smooth_curve(
            [
                (0.0, mouth + 0.15),
                (0.18, mouth + 0.13),
                (corner + 0.02, mouth + 0.02),
                (0.50, mouth - 0.12),
                (0.68, 0.40),
                (wide - 0.02, 0.0),
                (wide + 0.02, 0.4),
                (0.68 * identity.jaw_width, 0.8),
                (0.42, chin + 0.02),
                (0.0, chin + 0.07),
            ],
            60,
        )
        shapes.append(np.vstack([half, mirrored(half[::-1])]))
    total = np.zeros((rows, columns), np.float32)
    for shape in shapes:
        total = np.maximum(total, canvas.mask(shape, blur=0.025))
    return total * {"stubble": 0.32}.get(identity.beard, 0.88)
