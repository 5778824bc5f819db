"""Late Fusion of salinas2018: a tower per frame, joined at the first dense layer.

Source: section IV-B2, after Karpathy et al. (2014); Table I counts 28,954,696 trainable parameters
with 2 towers and 8 classes. The two frames are the last one and the fifteenth from the end (section
VI-B3); which frames a clip holds is for whoever cuts it. What the text leaves open is settled in
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
class LateFusionOptions(DenseOptions):
    """The shape of a `LateFusion`."""

    frames: int = 2
    """Frames in a clip, a tower for each; the paper's two lie a window of 15 frames apart."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "frames")


class LateFusion(Network):
    """Towers that share their weights; the dense layers compare what they saw."""

    def __init__(self, options: LateFusionOptions) -> None:
        super().__init__()
        self.options = options
        self.heads = (options.expression_head(),)
        self.tower = single_picture_blocks(options.input_channels, options)
        self.classifier = classifier(options.frames * options.values_after_convolutions, options)
        initialise_as_keras(self)

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(batch, frames, channels, size, size)` in [0, 1] to `(batch, classes)` logits.

        Raises:
            UsageError: The clips have another number of frames.
        """
        expect_frames(clips, self.options.frames)
        seen = self.tower(clips.flatten(0, 1)).unflatten(0, (-1, self.options.frames))
        logits: Tensor = self.classifier(seen.flatten(1))
        return logits


SALINAS2018_LATE_FUSION: Final = Architecture(
    name="salinas2018-late-fusion",
    paper=f"{PAPER}, section IV-B2",
    summary="two frames 15 apart through shared towers, compared by the dense layers",
    kind=InputKind.CLIP,
    options=LateFusionOptions,
    build=LateFusion,
    published_parameters=28_954_696,
)
