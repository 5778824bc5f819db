"""Slow Fusion of salinas2018: frames are joined in three levels.

Source: section IV-B3, after Karpathy et al. (2014); Table I counts 26,355,878 trainable parameters
with 10 frames and 6 classes: four towers of 4 frames at stride 2 share the first block, two towers
over pairs of these share the second, one third block sees both. What the text leaves open is
settled in `emotrace.models.salinas2018_parts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from emotrace.errors import UsageError
from emotrace.models.architecture import Architecture, InputKind, Network
from emotrace.models.keras_defaults import initialise_as_keras
from emotrace.models.option_checks import expect_positive
from emotrace.models.salinas2018_parts import (
    PAPER,
    DenseOptions,
    classifier,
    expect_frames,
    first_block,
    second_block,
    third_block,
)

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class SlowFusionOptions(DenseOptions):
    """The shape of a `SlowFusion`."""

    classes: int = 6
    """Expressions to tell apart."""
    frames: int = 10
    """Consecutive frames in a clip; the towers of the first level must cover them and be even."""
    tower_frames: int = 4
    """Consecutive frames that a tower of the first level sees."""
    tower_stride: int = 2
    """Frames from the start of one tower to the start of the next."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "frames", "tower_frames", "tower_stride")
        left = (self.frames - self.tower_frames) % self.tower_stride
        if left or self.towers < 1 or self.towers % 2:
            raise UsageError(
                f"expected {self.frames} frames to be covered by an even number of towers of "
                f"{self.tower_frames} frames, {self.tower_stride} apart; got {self.towers} towers "
                f"and {left} frames over; the paper has frames 10, tower_frames 4, tower_stride 2"
            )

    @property
    def towers(self) -> int:
        """Towers of the first level; the second has half of them."""
        return (self.frames - self.tower_frames) // self.tower_stride + 1


class SlowFusion(Network):
    """Towers over overlapping windows, then towers over pairs of them, then one block."""

    def __init__(self, options: SlowFusionOptions) -> None:
        super().__init__()
        self.options = options
        self.heads = (options.expression_head(),)
        first, second, *_ = options.filters
        self.first_level = first_block(options.tower_frames * options.input_channels, options)
        self.second_level = second_block(2 * first, options)
        self.third_level = third_block(options.towers // 2 * second, options)
        self.classifier = classifier(options.values_after_convolutions, options)
        initialise_as_keras(self)

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(batch, frames, channels, size, size)` in [0, 1] to `(batch, classes)` logits.

        Raises:
            UsageError: The clips have another number of frames.
        """
        options = self.options
        expect_frames(clips, options.frames)
        starts = [tower * options.tower_stride for tower in range(options.towers)]
        windows = [clips[:, start : start + options.tower_frames] for start in starts]
        stacked = torch.stack([window.flatten(1, 2) for window in windows], dim=1)
        of_towers = self.first_level(stacked.flatten(0, 1))
        pairs = of_towers.unflatten(0, (-1, 2)).flatten(1, 2)
        of_pairs = self.second_level(pairs)
        joined = of_pairs.unflatten(0, (-1, options.towers // 2)).flatten(1, 2)
        logits: Tensor = self.classifier(self.third_level(joined))
        return logits


SALINAS2018_SLOW_FUSION: Final = Architecture(
    name="salinas2018-slow-fusion",
    paper=f"{PAPER}, section IV-B3",
    summary="frames joined in three levels of towers with shared weights",
    kind=InputKind.CLIP,
    options=SlowFusionOptions,
    build=SlowFusion,
    published_parameters=26_355_878,
)
