"""3D Convolution of salinas2018: the first two blocks convolve over time too.

Source: section IV-C; Table I counts 26,050,694 trainable parameters with 5 frames and 6 classes.
The text gives the first kernel 5 frames and the second 3, which five unpadded frames cannot feed;
the count fits kernels of 3 and 3, which leave one frame (5 to 3 to 1) to the two-dimensional third
block. Where other options leave more than one, it sees them as channels. What else the text leaves
open is settled in `emotrace.models.salinas2018_parts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torch import nn

from emotrace.errors import UsageError
from emotrace.models.architecture import Architecture, InputKind, Network
from emotrace.models.keras_defaults import BATCH_NORM_EPSILON, initialise_as_keras
from emotrace.models.option_checks import expect_positive
from emotrace.models.salinas2018_parts import (
    PAPER,
    DenseOptions,
    classifier,
    expect_frames,
    third_block,
)

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Conv3dOptions(DenseOptions):
    """The shape of a `Conv3d`."""

    classes: int = 6
    """Expressions to tell apart."""
    frames: int = 5
    """Consecutive frames in a clip."""
    temporal_kernels: tuple[int, int] = (3, 3)
    """Frames that the first and the second convolution see at once."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "frames", "temporal_kernels")
        if self.frames_left < 1:
            raise UsageError(
                f"expected at least {sum(self.temporal_kernels) - 1} frames for temporal_kernels "
                f"{self.temporal_kernels}; got {self.frames}"
            )

    @property
    def frames_left(self) -> int:
        """Frames after both unpadded convolutions."""
        return self.frames - sum(self.temporal_kernels) + 2


class Conv3d(Network):
    """Two blocks over time and space, one over space, two dense layers."""

    def __init__(self, options: Conv3dOptions) -> None:
        super().__init__()
        self.options = options
        self.heads = (options.expression_head(),)
        first, second, *_ = options.filters
        first_frames, second_frames = options.temporal_kernels
        self.over_time = nn.Sequential(
            nn.Conv3d(options.input_channels, first, (first_frames, 11, 11), stride=(1, 3, 3)),
            nn.ReLU(),
            nn.BatchNorm3d(first, eps=BATCH_NORM_EPSILON, momentum=options.norm_momentum),
            nn.MaxPool3d((1, 2, 2)),
            nn.Conv3d(first, second, (second_frames, 5, 5)),
            nn.ReLU(),
            nn.BatchNorm3d(second, eps=BATCH_NORM_EPSILON, momentum=options.norm_momentum),
            nn.MaxPool3d((1, 2, 2)),
        )
        self.over_space = third_block(options.frames_left * second, options)
        self.classifier = classifier(options.values_after_convolutions, options)
        initialise_as_keras(self)

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(batch, frames, channels, size, size)` in [0, 1] to `(batch, classes)` logits.

        Raises:
            UsageError: The clips have another number of frames.
        """
        expect_frames(clips, self.options.frames)
        moved = self.over_time(clips.transpose(1, 2))
        logits: Tensor = self.classifier(self.over_space(moved.flatten(1, 2)))
        return logits


SALINAS2018_CONV3D: Final = Architecture(
    name="salinas2018-conv3d",
    paper=f"{PAPER}, section IV-C",
    summary="convolutions over five frames' time and space; a sequence's label is a vote",
    kind=InputKind.CLIP,
    options=Conv3dOptions,
    build=Conv3d,
    published_parameters=26_050_694,
)
