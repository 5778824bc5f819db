"""The frame network of rangulov2020: three convolutions, quadrant pooling, 300 values.

Source: section IV-C1, after P. Khorrami's thesis (2017). The text gives filters, kernels, pooling,
the 300 units, dropout and heads. Where it is silent:

- Padding: convolutions keep the picture's size and the 300 units are rectified, as in Khorrami's
  published network (arXiv:1510.02969), on which the text says it is based; the authors' own code
  has the second and third convolution unpadded and no rectifier there.
- Bias: the convolutions have one, as is Keras's default; the authors' code has none.
- Quadrant pooling: the mean of each quadrant, as in the authors' code; Coates et al. (2011), whom
  the text cites for it, take the sum, which is the mean but for a constant.

All are options; `AUTHORS_CODE` is the authors' code. Batch norm is on the input only, which makes
its mean and deviation a matter of training data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from torch import nn

from emotrace.errors import UsageError
from emotrace.models.architecture import Architecture, InputKind, Network
from emotrace.models.keras_defaults import (
    BATCH_NORM_EPSILON,
    BATCH_NORM_MOMENTUM,
    initialise_as_keras,
)
from emotrace.models.option_checks import expect_positive, expect_probability
from emotrace.models.rangulov2020_parts import PAPER, HeadChoice, make_head

if TYPE_CHECKING:
    from torch import Tensor

_KERNEL: Final = 5


@dataclass(frozen=True, kw_only=True)
class CnnOptions:
    """The shape of a `Cnn`."""

    head: HeadChoice = "expression"
    """What it predicts."""
    classes: int = 8
    """Expressions to tell apart, where `head` is `expression`."""
    input_size_px: int = 96
    """Side of a face."""
    input_channels: int = 1
    """Of a face: 1 for grey, 3 for colour."""
    filters: tuple[int, int, int] = (64, 128, 256)
    """Of the three convolutions."""
    dense_width: int = 300
    """Values that a picture becomes: the features that the recurrent networks read."""
    dropout: float = 0.5
    """Of these values."""
    padding: Literal["all", "first"] = "all"
    """Convolutions that keep the picture's size; the authors' code pads the first only."""
    conv_bias: bool = True
    """Whether the convolutions have a bias; in the authors' code they have none."""
    quadrant_pooling: Literal["average", "max"] = "average"
    """What of each quadrant of a filter's picture is kept."""
    dense_activation: Literal["relu", "none"] = "relu"
    """What follows the dense layer; in the authors' code nothing."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        expect_positive(self, "classes", "input_channels", "filters", "dense_width")
        expect_probability(self, "dropout")
        if self.quadrant_side < 1:
            smallest = 8 if self.padding == "all" else 32
            raise UsageError(
                f"expected input_size_px of {smallest} or more with padding {self.padding!r}; "
                f"got {self.input_size_px}"
            )

    @property
    def quadrant_side(self) -> int:
        """Side of a quadrant of the third convolution's pictures; 0 or less where none is left."""
        lost = 0 if self.padding == "all" else _KERNEL - 1
        second = (self.input_size_px // 2 - lost) // 2
        return (second - lost) // 2


AUTHORS_CODE: Final = CnnOptions(
    padding="first", conv_bias=False, quadrant_pooling="average", dense_activation="none"
)
"""The options that the authors' published code has."""


def build_trunk(options: CnnOptions) -> nn.Sequential:
    """Return the layers from the picture to its features, without their dropout."""
    layers: list[nn.Module] = [
        nn.BatchNorm2d(options.input_channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)
    ]
    channels = options.input_channels
    for at, filters in enumerate(options.filters):
        padding = _KERNEL // 2 if at == 0 or options.padding == "all" else 0
        layers += [
            nn.Conv2d(channels, filters, _KERNEL, padding=padding, bias=options.conv_bias),
            nn.ReLU(),
        ]
        if at < len(options.filters) - 1:
            layers.append(nn.MaxPool2d(2))
        channels = filters
    # Where the side is odd, its last row and column are left out, as in the authors' code.
    pool = nn.AvgPool2d if options.quadrant_pooling == "average" else nn.MaxPool2d
    layers += [pool(options.quadrant_side), nn.Flatten()]
    layers.append(nn.Linear(4 * channels, options.dense_width))
    if options.dense_activation == "relu":
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class Cnn(Network):
    """Features of a picture, and a head on them.

    `trunk` and `head` are named as in `emotrace.models.rangulov2020_joint`, whose networks take
    this one's trunk by name.
    """

    def __init__(self, options: CnnOptions) -> None:
        super().__init__()
        self.options = options
        head = make_head(options.head, options.classes)
        self.heads = (head,)
        self.trunk = build_trunk(options)
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(options.dense_width, head.size)
        initialise_as_keras(self)

    def features(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, size, size)` in [0, 1] to `(batch, dense_width)` features."""
        features: Tensor = self.trunk(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, size, size)` in [0, 1] to `(batch, outputs)`."""
        outputs: Tensor = self.head(self.dropout(self.features(images)))
        return outputs


RANGULOV2020_CNN: Final = Architecture(
    name="rangulov2020-cnn",
    paper=f"{PAPER}, section IV-C1",
    summary="three convolutions and quadrant pooling: 300 features of a grey face, one head",
    kind=InputKind.IMAGE,
    options=CnnOptions,
    build=Cnn,
)
