"""Random changes to pictures and clips on tensors, one change for all frames of a clip.

Drawing is apart from changing: `draw_changes` draws for a whole global batch, and each of several
processes applies its own slice. The ranges of the papers are presets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from torch import Tensor

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

LUMA: Final = (0.299, 0.587, 0.114)
"""Grey of red, green and blue (ITU-R BT.601), as OpenCV and so a bundle's crops have it."""


@dataclass(frozen=True, kw_only=True)
class ClipAugmentation:
    """Random changes, drawn once for each picture or clip. The defaults change nothing."""

    scale: tuple[float, float] = (1.0, 1.0)
    """Faces become so many times larger."""
    shift_fraction: float = 0.0
    """Of the picture's side, each way, across and down."""
    shear_degrees: float = 0.0
    rotation_degrees: float = 0.0
    """Each way."""
    flip_probability: float = 0.0
    """Left and right changed round."""
    crop_fraction: float = 1.0
    """Side of a randomly placed square that is cut out and made full size (tzirakis2021: resize
    to 170, crop 150)."""
    brightness: tuple[float, float] = (1.0, 1.0)
    """Pictures are multiplied by it."""
    contrast: tuple[float, float] = (1.0, 1.0)
    """Distances from the clip's mean are multiplied by it."""
    saturation: tuple[float, float] = (1.0, 1.0)
    """Distances of colours from their grey are multiplied by it; grey pictures stay."""
    noise: float = 0.0
    """Standard deviation of noise at most; its own in every frame."""
    erase_probability: float = 0.0
    """Of one box being replaced by flat grey (arXiv:1708.04896)."""
    erase_fraction: tuple[float, float] = (0.15, 0.4)
    """Side of that box as a share of the picture's."""

    def __post_init__(self) -> None:
        for name in ("scale", "brightness", "contrast", "saturation", "erase_fraction"):
            low, high = getattr(self, name)
            if not 0 <= low <= high or (name == "scale" and not low):
                raise UsageError(f"expected {name} to be a range above 0; got {low} to {high}")
        for name in ("flip_probability", "erase_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"expected {name} in [0, 1]; got {getattr(self, name)}")
        if not 0 < self.crop_fraction <= 1:
            raise UsageError(f"expected crop_fraction in (0, 1]; got {self.crop_fraction}")

    @property
    def does_nothing(self) -> bool:
        """It leaves every picture as it is."""
        plain = ClipAugmentation(erase_fraction=self.erase_fraction)
        return self == plain


AUGMENTATIONS: Final[Mapping[str, ClipAugmentation]] = {
    "none": ClipAugmentation(),
    # Section IV-A1 names the changes; the ranges are those of the authors' code, shear but for its
    # size, which is ours.
    "rangulov2020": ClipAugmentation(
        scale=(0.9, 1.25),
        shift_fraction=0.1,
        shear_degrees=5.0,
        rotation_degrees=15.0,
        flip_probability=0.5,
        brightness=(0.5, 1.5),
    ),
    # Section 4.3 gives the sizes; how far brightness and saturation go is ours.
    "tzirakis2021": ClipAugmentation(
        crop_fraction=150 / 170,
        brightness=(0.8, 1.2),
        saturation=(0.8, 1.2),
    ),
    "modern": ClipAugmentation(
        scale=(0.85, 1.2),
        shift_fraction=0.08,
        shear_degrees=5.0,
        rotation_degrees=15.0,
        flip_probability=0.5,
        brightness=(0.7, 1.3),
        contrast=(0.7, 1.3),
        saturation=(0.7, 1.3),
        noise=0.03,
        erase_probability=0.25,
    ),
}
"""By name: what the papers do, and a stronger mixture of today's habits."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is done to each of n pictures or clips; every field `(n,)`."""

    scale: Tensor
    shift_x: Tensor
    """In halves of a side."""
    shift_y: Tensor
    shear: Tensor
    """Tangent of the angle."""
    angle: Tensor
    """Radians."""
    flip: Tensor
    """1, or -1 for flipped."""
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    noise: Tensor
    noise_seed: Tensor
    """Whole numbers: of the generator of each one's noise."""
    erase: Tensor
    """1 where a box is erased."""
    box_height: Tensor
    """Of the erased box, as a share of the side."""
    box_width: Tensor
    box_top: Tensor
    """Place of the erased box among those where it fits, in [0, 1]."""
    box_left: Tensor
    box_grey: Tensor

    def slice(self, start: int, stop: int) -> Changes:
        """Return those of the pictures from `start` up to `stop`."""
        return Changes(**{item.name: getattr(self, item.name)[start:stop] for item in fields(self)})

    def to(self, device: torch.device) -> Changes:
        """Move them to a device."""
        return Changes(**{item.name: getattr(self, item.name).to(device) for item in fields(self)})


def draw_changes(settings: ClipAugmentation, count: int, generator: torch.Generator) -> Changes:
    """Draw what is done to each of `count` pictures or clips."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    def symmetric(reach: float) -> Tensor:
        return uniform(-reach, reach)

    low, high = (math.log(value) for value in settings.scale)
    crop = settings.crop_fraction
    # The centre of a square of side c within one of side 1 moves by (1 - c) / 2 each way; the unit
    # of the grid is half a side.
    reach = 2 * settings.shift_fraction + (1 - crop)
    return Changes(
        scale=torch.exp(uniform(low, high)) / crop,
        shift_x=symmetric(reach),
        shift_y=symmetric(reach),
        shear=torch.tan(symmetric(math.radians(settings.shear_degrees))),
        angle=symmetric(math.radians(settings.rotation_degrees)),
        flip=1.0 - 2.0 * (uniform(0, 1) < settings.flip_probability).float(),
        brightness=uniform(*settings.brightness),
        contrast=uniform(*settings.contrast),
        saturation=uniform(*settings.saturation),
        noise=uniform(0, settings.noise),
        noise_seed=torch.randint(2**62, (count,), generator=generator),
        erase=(uniform(0, 1) < settings.erase_probability).float(),
        box_height=uniform(*settings.erase_fraction),
        box_width=uniform(*settings.erase_fraction),
        box_top=uniform(0, 1),
        box_left=uniform(0, 1),
        box_grey=uniform(0, 1),
    )


def apply_changes(clips: Tensor, changes: Changes, settings: ClipAugmentation) -> Tensor:
    """Change `(n, frames, channels, size, size)` float32 pictures in [0, 1]; same shape.

    Every frame of a clip is moved and lit alike; only noise is each frame's own. Edges are
    replicated.
    """
    if settings.does_nothing:
        return clips
    clips = _relight(_move(clips, changes), changes)
    if settings.noise:
        clips = clips + _noise(clips, changes)
    if settings.erase_probability:
        clips = _erase(clips, changes)
    return clips.clamp(0, 1)


def _move(clips: Tensor, changes: Changes) -> Tensor:
    cosine = torch.cos(changes.angle) / changes.scale
    sine = torch.sin(changes.angle) / changes.scale
    theta = torch.stack(
        [
            torch.stack(
                [cosine * changes.flip, -sine + changes.shear * cosine, changes.shift_x], dim=1
            ),
            torch.stack(
                [sine * changes.flip, cosine + changes.shear * sine, changes.shift_y], dim=1
            ),
        ],
        dim=1,
    )
    flat = clips.flatten(1, 2)  # frames as channels: all of a clip are moved by one grid
    grid = F.affine_grid(theta, list(flat.shape), align_corners=False)
    moved = F.grid_sample(flat, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return moved.view_as(clips)


def _relight(clips: Tensor, changes: Changes) -> Tensor:
    shape = (-1, 1, 1, 1, 1)
    clips = clips * changes.brightness.view(shape)
    mean = clips.mean(dim=(1, 2, 3, 4), keepdim=True)
    clips = mean + (clips - mean) * changes.contrast.view(shape)
    if clips.shape[2] != len(LUMA):
        return clips
    luma = torch.tensor(LUMA, device=clips.device, dtype=clips.dtype).view(1, 1, -1, 1, 1)
    grey = (clips * luma).sum(dim=2, keepdim=True)
    return grey + (clips - grey) * changes.saturation.view(shape)


def _noise(clips: Tensor, changes: Changes) -> Tensor:
    made = []
    for seed in changes.noise_seed.tolist():
        generator = torch.Generator().manual_seed(seed)
        made.append(torch.randn(clips.shape[1:], generator=generator))
    noise = torch.stack(made).to(clips.device)
    return noise * changes.noise.view(-1, 1, 1, 1, 1)


def _erase(clips: Tensor, changes: Changes) -> Tensor:
    axis = (torch.arange(clips.shape[-1], device=clips.device) + 0.5) / clips.shape[-1]

    def inside(place: Tensor, size: Tensor) -> Tensor:
        start = (place * (1 - size)).view(-1, 1)
        return (axis >= start) & (axis < start + size.view(-1, 1))

    rows = inside(changes.box_top, changes.box_height)
    columns = inside(changes.box_left, changes.box_width)
    box = rows.unsqueeze(2) & columns.unsqueeze(1) & (changes.erase > 0).view(-1, 1, 1)
    return torch.where(box[:, None, None], changes.box_grey.view(-1, 1, 1, 1, 1), clips)
