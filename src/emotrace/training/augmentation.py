"""Random changes to batches of grey faces, on tensors, each face its own.

Everything draws from the generator that is handed in, so that a run repeats from its seed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from torch import Tensor

if TYPE_CHECKING:
    from emotrace.training.recipe import AugmentationSettings


def augment(images: Tensor, settings: AugmentationSettings, generator: torch.Generator) -> Tensor:
    """Change each face of `(batch, 1, size, size)` float32 in [0, 1]; returns the same shape."""
    images = random_affine(images, settings, generator)
    images = _lower_resolution(images, settings, generator)
    images = _blur(images, settings, generator)
    images = _relight(images, settings, generator)
    images = _add_noise(images, settings, generator)
    images = _compress(images, settings, generator)
    return _erase(images, settings, generator)


def _uniform(
    count: int, low: float, high: float, generator: torch.Generator, device: torch.device
) -> Tensor:
    values = torch.rand(count, generator=generator, device=generator.device).to(device)
    return low + (high - low) * values


def _chosen(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    return _uniform(len(images), 0, 1, generator, images.device) < probability


def random_affine(
    images: Tensor, settings: AugmentationSettings, generator: torch.Generator
) -> Tensor:
    """Scale, turn, shear, shift and flip each face; edges are replicated."""
    count, device = len(images), images.device
    low, high = (math.log(value) for value in settings.scale)
    scale = torch.exp(_uniform(count, low, high, generator, device))
    turn = math.radians(settings.rotation_degrees)
    angle = _uniform(count, -turn, turn, generator, device)
    slant = math.radians(settings.shear_degrees)
    shear = torch.tan(_uniform(count, -slant, slant, generator, device))
    flip = 1.0 - 2.0 * _chosen(images, settings.flip_probability, generator).float()
    # affine_grid's unit is half a side, hence the 2.
    reach = 2 * settings.shift_fraction
    shift_x = _uniform(count, -reach, reach, generator, device)
    shift_y = _uniform(count, -reach, reach, generator, device)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    theta = torch.stack(
        [
            torch.stack([cosine * flip, -sine + shear * cosine, shift_x], dim=1),
            torch.stack([sine * flip, cosine + shear * sine, shift_y], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _lower_resolution(
    images: Tensor, settings: AugmentationSettings, generator: torch.Generator
) -> Tensor:
    chosen = _chosen(images, settings.low_resolution_probability, generator)
    if not bool(chosen.any()):
        return images
    size = images.shape[-1]
    # One size for all chosen faces of the batch: cheap, and batches are many.
    draw = float(_uniform(1, settings.lowest_resolution_px, size, generator, images.device))
    small = F.interpolate(images[chosen], size=round(draw), mode="area")
    images = images.clone()
    images[chosen] = F.interpolate(small, size=size, mode="bilinear", align_corners=False)
    return images


def _blur(images: Tensor, settings: AugmentationSettings, generator: torch.Generator) -> Tensor:
    chosen = _chosen(images, settings.blur_probability, generator)
    sigma = float(_uniform(1, 0.4, 1.4, generator, images.device))
    offsets = torch.arange(-3, 4, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    # All faces are blurred and some kept: a convolution of a new batch size each time would make
    # the library prepare itself anew each time.
    padded = F.pad(images, (3, 3, 3, 3), mode="replicate")
    blurred = F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, 7)), kernel.view(1, 1, 7, 1))
    return torch.where(chosen.view(-1, 1, 1, 1), blurred, images)


def _relight(images: Tensor, settings: AugmentationSettings, generator: torch.Generator) -> Tensor:
    count, device, size = len(images), images.device, images.shape[-1]
    shape = (count, 1, 1, 1)
    low, high = (math.log(value) for value in settings.gamma)
    gamma = torch.exp(_uniform(count, low, high, generator, device)).view(shape)
    contrast = _uniform(count, *settings.contrast, generator, device).view(shape)
    reach = settings.brightness
    brightness = _uniform(count, -reach, reach, generator, device).view(shape)
    images = images.clamp(1e-4, 1).pow(gamma)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (images - mean) * contrast + mean + brightness
    # Light from one side: a ramp across the face at any angle, multiplied in.
    angle = _uniform(count, 0, 2 * math.pi, generator, device).view(shape)
    strength = _uniform(count, 0.3, 0.9, generator, device).view(shape)
    lit = _chosen(images, settings.side_light_probability, generator).view(shape)
    axis = torch.linspace(-1, 1, size, device=device)
    ramp = torch.cos(angle) * axis.view(1, 1, 1, -1) + torch.sin(angle) * axis.view(1, 1, -1, 1)
    images = torch.where(lit, images * (1 + strength * ramp), images)
    return images.clamp(0, 1)


def _add_noise(
    images: Tensor, settings: AugmentationSettings, generator: torch.Generator
) -> Tensor:
    chosen = _chosen(images, settings.noise_probability, generator).view(-1, 1, 1, 1)
    noise = torch.randn(images.shape, generator=generator, device=generator.device)
    return (images + chosen * 0.03 * noise.to(images.device)).clamp(0, 1)


def _compress(images: Tensor, settings: AugmentationSettings, generator: torch.Generator) -> Tensor:
    """Send some faces through a real JPEG encoder."""
    if not settings.jpeg_probability:
        return images
    chosen = _chosen(images, settings.jpeg_probability, generator).nonzero().flatten().tolist()
    low, high = settings.jpeg_quality
    qualities = torch.randint(low, high + 1, (len(images),), generator=generator).tolist()
    images = images.clone()
    for position in chosen:
        grey = (images[position, 0] * 255).round().to("cpu", torch.uint8).numpy()
        _, encoded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, qualities[position]])
        decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.float32) / 255
        images[position, 0] = torch.from_numpy(decoded).to(images.device)
    return images


def _erase(images: Tensor, settings: AugmentationSettings, generator: torch.Generator) -> Tensor:
    """Replace one box of a face by a flat grey (random erasing, arXiv:1708.04896)."""
    count, device, size = len(images), images.device, images.shape[-1]
    chosen = _chosen(images, settings.erase_probability, generator)
    height = _uniform(count, *settings.erase_fraction, generator, device) * size
    width = _uniform(count, *settings.erase_fraction, generator, device) * size
    top = _uniform(count, 0, 1, generator, device) * (size - height)
    left = _uniform(count, 0, 1, generator, device) * (size - width)
    grey = _uniform(count, 0, 1, generator, device).view(-1, 1, 1, 1)
    axis = torch.arange(size, device=device).view(1, -1)
    rows = (axis >= top.view(-1, 1)) & (axis < (top + height).view(-1, 1))
    columns = (axis >= left.view(-1, 1)) & (axis < (left + width).view(-1, 1))
    box = rows.unsqueeze(2) & columns.unsqueeze(1) & chosen.view(-1, 1, 1)
    return torch.where(box.unsqueeze(1), grey, images)


def draw_mixup(settings: AugmentationSettings, generator: torch.Generator) -> float:
    """Draw how much of each face stays itself in a mixed batch: 1 where it is not mixed."""
    draw = torch.rand(3, generator=generator, device=generator.device).tolist()
    if draw[0] >= settings.mixup_probability:
        return 1.0
    # Beta(a, a) for a <= 1 by Johnk's method: X^(1/a) / (X^(1/a) + Y^(1/a)) with rejection.
    power = 1.0 / settings.mixup_alpha
    x, y = draw[1] ** power, draw[2] ** power
    while x + y > 1.0 or x + y == 0.0:
        u, v = torch.rand(2, generator=generator, device=generator.device).tolist()
        x, y = u**power, v**power
    return float(max(x, y) / (x + y))
