"""Pictures without a face, made from faces and from nothing, to teach the face head what to refuse.

A detector's false alarms are face-sized patches of texture, folds, leaves, letters. Three families
stand in for them: faces torn up (their tiles shuffled: the parts without the whole), faces' spectra
with random phases (their texture without any part), and drawn clutter (random edges, discs, ramps).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def make_not_faces(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Make one picture without a face from each of `(batch, 1, size, size)` faces in [0, 1]."""
    families = (_shuffle_tiles, _scramble_phases, _draw_clutter)
    kind = torch.randint(len(families), (len(faces),), generator=generator).to(faces.device)
    made = faces.clone()
    for number, family in enumerate(families):
        chosen = kind == number
        if bool(chosen.any()):
            made[chosen] = family(faces[chosen], generator)
    return made.clamp(0, 1)


def _shuffle_tiles(faces: Tensor, generator: torch.Generator) -> Tensor:
    count, _, size, _ = faces.shape
    made = torch.empty_like(faces)
    for position in range(count):
        # 3 x 3 to 6 x 6 tiles: with 2 x 2 an eye or the mouth can stay whole.
        tiles = (3, 4, 6)[int(torch.randint(3, (1,), generator=generator))]
        side = size // tiles
        picture = faces[position, 0, : side * tiles, : side * tiles]
        cut = picture.reshape(tiles, side, tiles, side).permute(0, 2, 1, 3).reshape(-1, side, side)
        turns = torch.randint(4, (len(cut),), generator=generator).tolist()
        order = torch.randperm(len(cut), generator=generator).tolist()
        cut = torch.stack(
            [torch.rot90(cut[index], turn) for index, turn in zip(order, turns, strict=True)]
        )
        joined = cut.reshape(tiles, tiles, side, side).permute(0, 2, 1, 3)
        made[position, 0] = torch.nn.functional.interpolate(
            joined.reshape(1, 1, side * tiles, side * tiles), size=size, mode="nearest"
        )[0, 0]
    return made


def _scramble_phases(faces: Tensor, generator: torch.Generator) -> Tensor:
    magnitude = torch.fft.rfft2(faces.float()).abs()
    noise = torch.rand(faces.shape, generator=generator)
    phase = torch.angle(torch.fft.rfft2(noise)).to(faces.device)
    phase[..., 0, 0] = 0.0  # the mean stays, so the brightness does
    made = torch.fft.irfft2(torch.polar(magnitude, phase), s=faces.shape[-2:])
    result: Tensor = made.to(faces.dtype)
    return result


def _draw_clutter(faces: Tensor, generator: torch.Generator) -> Tensor:
    count, _, size, _ = faces.shape
    axis = torch.linspace(-1, 1, size)
    rows, columns = axis.view(-1, 1), axis.view(1, -1)
    made = torch.empty_like(faces)
    for position in range(count):
        draw = torch.rand(2, generator=generator)
        picture = torch.full((size, size), float(draw[0]))
        for _ in range(1 + int(draw[1] * 8)):
            kind, angle, x, y, radius, level = torch.rand(6, generator=generator).tolist()
            slope = math.cos(angle * 2 * math.pi) * columns + math.sin(angle * 2 * math.pi) * rows
            if kind < 0.4:
                picture = torch.where(slope > 2 * x - 1, level, picture)
            elif kind < 0.7:
                disc = (columns - 2 * x + 1) ** 2 + (rows - 2 * y + 1) ** 2 < radius**2
                picture = torch.where(disc, level, picture)
            else:
                stripes = torch.sin(slope * (4 + 30 * radius)) * (level - 0.5)
                picture = picture + stripes
        noise = torch.randn(size, size, generator=generator)
        made[position, 0] = picture + 0.03 * noise
    return made
