"""Single Frame of salinas2018: an AlexNet-like network that looks at one picture.

Source: section IV-A; Table I counts 24,760,392 trainable parameters with 8 classes. What the text
leaves open is settled in `emotrace.models.salinas2018_parts`. A sequence's label is a vote over its
frames, by the most frequent class or by the largest sum of probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emotrace.models.architecture import Architecture, InputKind, Network
from emotrace.models.keras_defaults import initialise_as_keras
from emotrace.models.salinas2018_parts import (
    PAPER,
    DenseOptions,
    classifier,
    single_picture_blocks,
)

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class SingleFrameOptions(DenseOptions):
    """The shape of a `SingleFrame`."""


class SingleFrame(Network):
    """Three convolutional blocks and two dense layers."""

    def __init__(self, options: SingleFrameOptions) -> None:
        super().__init__()
        self.options = options
        self.heads = (options.expression_head(),)
        self.blocks = single_picture_blocks(options.input_channels, options)
        self.classifier = classifier(options.values_after_convolutions, options)
        initialise_as_keras(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, size, size)` in [0, 1] to `(batch, classes)` logits."""
        logits: Tensor = self.classifier(self.blocks(images))
        return logits


SALINAS2018_SINGLE_FRAME: Final = Architecture(
    name="salinas2018-single-frame",
    paper=f"{PAPER}, section IV-A",
    summary="AlexNet-like network for one picture; a sequence's label is a vote",
    kind=InputKind.IMAGE,
    options=SingleFrameOptions,
    build=SingleFrame,
    published_parameters=24_760_392,
)
