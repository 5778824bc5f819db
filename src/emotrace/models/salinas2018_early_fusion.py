"""Early Fusion of salinas2018: all frames of a window enter the first convolution as channels.

Source: section IV-B1, after Karpathy et al. (2014); Table I counts 25,074,024 trainable parameters
with 10 frames and 8 classes. What the text leaves open is settled in
`emotrace.models.salinas2018_parts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emotrace.models.architecture import Architecture, InputKind, Network
from emotrace.models.keras_defaults import initialise_as_keras
from emotrace.models.option_checks import expect_positive
from emotrace.models.salinas2018_parts import (
    PAPER,
    DenseOptions,
    classifier,
    expect_frames,
    single_picture_blocks,
)

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class EarlyFusionOptions(DenseOptions):
    """The shape of an `EarlyFusion`."""

    frames: int = 10
    """Consecutive frames in a clip."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "frames")


class EarlyFusion(Network):
    """The single-frame network over the stacked channels of all frames."""

    def __init__(self, options: EarlyFusionOptions) -> None:
        super().__init__()
        self.options = options
        self.heads = (options.expression_head(),)
        self.blocks = single_picture_blocks(options.frames * options.input_channels, options)
        self.classifier = classifier(options.values_after_convolutions, options)
        initialise_as_keras(self)

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(batch, frames, channels, size, size)` in [0, 1] to `(batch, classes)` logits.

        Raises:
            UsageError: The clips have another number of frames.
        """
        expect_frames(clips, self.options.frames)
        logits: Tensor = self.classifier(self.blocks(clips.flatten(1, 2)))
        return logits


SALINAS2018_EARLY_FUSION: Final = Architecture(
    name="salinas2018-early-fusion",
    paper=f"{PAPER}, section IV-B1",
    summary="the frames of a window stacked as channels of one picture",
    kind=InputKind.CLIP,
    options=EarlyFusionOptions,
    build=EarlyFusion,
    published_parameters=25_074_024,
)
