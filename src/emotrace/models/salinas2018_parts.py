"""What the six networks of salinas2018 share: the convolutional blocks and the classifier.

Source: X. Salinas Ventalló, "Spatio-Temporal Emotion Recognition", section IV and Table I, called
salinas2018 here. Where this departs from its text:

- The text gives 96-384-384-256-256 filters and says nothing of padding. Its Table I fits, to the
  last unit and for all six networks, only 96-256-384-384-256 filters in *unpadded* convolutions
  with bias. The default is what the table counts; `filters` takes the text's numbers.
- Table I counts 8 classes in the first three networks and 6 in the others, although the data has 6
  (section V-B). Each network's default is what its count needs.
- Each convolution's rectifier is part of the layer (section II), so that it comes before the batch
  norm. There is no dropout in the text: 0 by default.
- Towers that share their weights are one network over a larger batch, so that in training a batch
  norm sees the frames of all towers together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torch import nn

from emotrace.errors import UsageError
from emotrace.models.architecture import Head, HeadKind
from emotrace.models.keras_defaults import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM
from emotrace.models.option_checks import expect_positive, expect_probability

if TYPE_CHECKING:
    from torch import Tensor

PAPER: Final = "Salinas Ventalló 2018"


@dataclass(frozen=True, kw_only=True)
class ConvolutionalOptions:
    """The shape of the convolutional part, and what goes in and out."""

    classes: int = 8
    """Expressions to tell apart."""
    input_size_px: int = 170
    """Side of a face; 128 at least, or the unpadded convolutions leave nothing."""
    input_channels: int = 3
    """Of a face: 3 for colour, 1 for grey."""
    filters: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    """Of the five convolutions."""
    dropout: float = 0.0
    """After each dense layer, or before the recurrent one; the paper has none."""
    norm_momentum: float = BATCH_NORM_MOMENTUM
    """How far the batch norms' running averages move in a step. Keras's 0.01 takes some 1,000
    steps to settle; shorter trainings need more."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        expect_positive(self, "classes", "input_channels", "filters")
        expect_probability(self, "dropout", "norm_momentum")
        if side_after_convolutions(self.input_size_px) < 1:
            raise UsageError(
                f"expected input_size_px of {smallest_input_px()} or more, for the unpadded "
                f"convolutions to leave something; got {self.input_size_px}"
            )

    @property
    def values_after_convolutions(self) -> int:
        """Values that the convolutional part makes of one picture; 1,024 by default."""
        return self.filters[4] * side_after_convolutions(self.input_size_px) ** 2

    def expression_head(self) -> Head:
        """Return the one head that all six networks have."""
        return Head(name="expression", kind=HeadKind.CATEGORICAL, size=self.classes)


@dataclass(frozen=True, kw_only=True)
class DenseOptions(ConvolutionalOptions):
    """The shape of a network that ends in two dense layers."""

    dense_width: int = 4096
    """Units in each of the two dense layers."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "dense_width")


def side_after_convolutions(size_px: int) -> int:
    """Return the side of what the three blocks leave of a picture; 0 or less where nothing.

    >>> side_after_convolutions(170), side_after_convolutions(127)
    (2, 0)
    """
    first = ((size_px - 11) // 3 + 1) // 2
    second = (first - 4) // 2
    return (second - 6) // 2


def smallest_input_px() -> int:
    """Return the smallest side of a picture of which something is left.

    >>> smallest_input_px()
    128
    """
    return next(size for size in range(1, 1000) if side_after_convolutions(size) > 0)


def first_block(channels: int, options: ConvolutionalOptions) -> nn.Sequential:
    """Return a convolution of 11 x 11 in steps of 3, batch norm, pooling."""
    filters = options.filters[0]
    return nn.Sequential(
        nn.Conv2d(channels, filters, 11, stride=3),
        nn.ReLU(),
        nn.BatchNorm2d(filters, eps=BATCH_NORM_EPSILON, momentum=options.norm_momentum),
        nn.MaxPool2d(2),
    )


def second_block(channels: int, options: ConvolutionalOptions) -> nn.Sequential:
    """Return a convolution of 5 x 5, batch norm, pooling."""
    filters = options.filters[1]
    return nn.Sequential(
        nn.Conv2d(channels, filters, 5),
        nn.ReLU(),
        nn.BatchNorm2d(filters, eps=BATCH_NORM_EPSILON, momentum=options.norm_momentum),
        nn.MaxPool2d(2),
    )


def third_block(channels: int, options: ConvolutionalOptions) -> nn.Sequential:
    """Return three convolutions of 3 x 3 and pooling; all values of a picture in one row."""
    layers: list[nn.Module] = []
    for filters in options.filters[2:]:
        layers += [nn.Conv2d(channels, filters, 3), nn.ReLU()]
        channels = filters
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten())


def single_picture_blocks(channels: int, options: ConvolutionalOptions) -> nn.Sequential:
    """Return the three blocks in a row: `(batch, channels, side, side)` to `(batch, values)`."""
    first, second, *_ = options.filters
    return nn.Sequential(
        first_block(channels, options), second_block(first, options), third_block(second, options)
    )


def classifier(values: int, options: DenseOptions) -> nn.Sequential:
    """Return the fourth block: two dense layers and one logit per class."""
    return nn.Sequential(
        nn.Linear(values, options.dense_width),
        nn.ReLU(),
        nn.Dropout(options.dropout),
        nn.Linear(options.dense_width, options.dense_width),
        nn.ReLU(),
        nn.Dropout(options.dropout),
        nn.Linear(options.dense_width, options.classes),
    )


def expect_frames(clips: Tensor, frames: int) -> None:
    """Refuse clips of another length than the network was built for.

    Raises:
        UsageError: They are not `(batch, frames, channels, height, width)`.
    """
    if clips.dim() != 5 or clips.shape[1] != frames:
        raise UsageError(
            f"expected clips of {frames} frames: (batch, {frames}, channels, height, width); "
            f"got {tuple(clips.shape)}"
        )
