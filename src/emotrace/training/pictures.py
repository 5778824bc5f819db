"""From stored crops to what a network takes: bytes to [0, 1], colour or grey, its size."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from torch import Tensor

from emotrace.errors import UsageError
from emotrace.training.clip_augmentation import LUMA


def prepare_pictures(pictures: Tensor, *, channels: int, size_px: int) -> Tensor:
    """Turn stored crops into a network's input.

    Grey is ITU-R BT.601's, as in a bundle. Sizes are changed bilinearly with anti-aliasing, where a
    bundle averages areas with OpenCV: not the same pixels, so caches are best prepared in the
    network's own size.

    Args:
        pictures: `(batch, time, height, width, 1 or 3)`, uint8.
        channels: 1 grey, 3 colour; a grey crop is repeated.
        size_px: Side.

    Returns:
        `(batch, time, channels, size, size)`, float32 in [0, 1].

    Raises:
        UsageError: The network wants neither grey nor colour.
    """
    if channels not in (1, 3):
        raise UsageError(f"expected a network for 1 or 3 channels; got {channels}")
    values = pictures.permute(0, 1, 4, 2, 3).to(torch.float32) / 255
    have = values.shape[2]
    if have != channels:
        if channels == 1:
            weights = torch.tensor(LUMA, device=values.device).view(1, 1, -1, 1, 1)
            values = (values * weights).sum(dim=2, keepdim=True)
        else:
            values = values.expand(-1, -1, channels, -1, -1)
    if values.shape[-2:] == (size_px, size_px):
        return values.contiguous()
    flat = values.flatten(0, 1)
    sized = F.interpolate(
        flat, size=(size_px, size_px), mode="bilinear", align_corners=False, antialias=True
    )
    return sized.view(*values.shape[:3], size_px, size_px)
