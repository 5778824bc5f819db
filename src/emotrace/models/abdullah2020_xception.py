"""Xception on stills, whose last dense layer gives the features of a video's frames.

Source: M. Abdullah, M. Ahmad and D. Han (2020), called abdullah2020 here: sections III-A and III-B,
with Xception after Chollet (2017, arXiv:1610.02357). It is trained on FER2013's grey faces; then
the classifier is cut off and the values of "an intermediate fully connected layer" are stacked by
video and saved: `features` gives them.

Where the text is silent or this differs:

- The dense layer's width is not stated: 512, rectified, ours; 0 leaves it out, and the features are
  the 2,048 pooled values.
- The picture is FER2013's, grey and 48 x 48 ("to match the shape and channel specification as of
  FER2013"); colour and other sizes are options. At 299 x 299 with colour it is Chollet's network.
- Dropout is applied here, between the dense layer and the classifier, and not by timm's
  `legacy_xception`, releases of which computed it and threw the result away.
- The paper starts from VGG-Face's weights, which are not to be had for this network from timm:
  `pretrained` starts from ImageNet's; a file of one's own loads with
  `emotrace.models.initialisation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from emotrace.errors import UsageError
from emotrace.models.architecture import Architecture, InputKind
from emotrace.models.composition import Extractor, PictureNetwork
from emotrace.models.multi_task import PointwiseLinear, TaskOptions
from emotrace.models.option_checks import expect_positive, expect_probability
from emotrace.models.timm_backbones import TimmExtractor

if TYPE_CHECKING:
    from torch import Tensor

PAPER: Final = "Abdullah, Ahmad and Han 2020"
DENSE_WIDTH: Final = 512
"""Features of a frame; ours, the paper does not say."""


@dataclass(frozen=True, kw_only=True)
class XceptionOptions(TaskOptions):
    """The shape of abdullah2020's network for stills."""

    classes: int = 7
    """Expressions to tell apart, where `expression` or `emotions` is among the heads."""
    pretrained: bool = False
    """Whether to start from the weights that timm downloads (ImageNet)."""
    input_size_px: int = 48
    """Side of a face."""
    input_channels: int = 1
    """Of a face: 1 for grey, 3 for colour."""
    dense_width: int = DENSE_WIDTH
    """Values of the last dense layer, which are the features; 0 for the pooled values instead."""
    dropout: float = 0.5
    """Of the features, before the classifier."""
    width_multiplier: float = 1.0
    """Of the channels of every layer: 1 is Xception; less makes a small one to try things out."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "input_channels")
        expect_probability(self, "dropout")
        if not 0 < self.width_multiplier <= 1:
            raise UsageError(
                f"expected width_multiplier above 0 and up to 1; got {self.width_multiplier}"
            )
        if self.pretrained and self.width_multiplier != 1:
            raise UsageError(
                "expected width_multiplier of 1 with pretrained, whose weights fit nothing else; "
                f"got {self.width_multiplier}"
            )
        if self.dense_width < 0:
            raise UsageError(f"expected dense_width of 0 or more; got {self.dense_width}")
        if self.input_size_px < _SMALLEST_PX:
            raise UsageError(
                f"expected input_size_px of {_SMALLEST_PX} or more; got {self.input_size_px}"
            )


_SMALLEST_PX: Final = 7
"""The first two convolutions are unpadded, the first at stride 2: less leaves no picture."""


_LEAST_CHANNELS: Final = 8
"""Of a narrowed layer; others are multiples of it."""


class XceptionFeatures(Extractor):
    """Xception without its classifier, and a dense layer."""

    def __init__(self, options: XceptionOptions) -> None:
        super().__init__()
        self.pooled = TimmExtractor(
            "legacy_xception",
            input_channels=options.input_channels,
            input_size_px=options.input_size_px,
            pretrained=options.pretrained,
        )
        if options.width_multiplier != 1:
            _narrow(self.pooled.backbone, options.width_multiplier, options.input_channels)
            self.pooled.feature_size = _narrowed(self.pooled.feature_size, options.width_multiplier)
        self.feature_size = options.dense_width or self.pooled.feature_size
        self.dense = (
            PointwiseLinear(self.pooled.feature_size, options.dense_width)
            if options.dense_width
            else None
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, size, size)` in [0, 1] to `(batch, feature_size)`."""
        pooled: Tensor = self.pooled(images)
        return pooled if self.dense is None else torch.relu(self.dense(pooled))


def _narrow(backbone: nn.Module, multiplier: float, input_channels: int) -> None:
    """Give every convolution and norm of a fresh network fewer channels, in place.

    As Howard et al. (2017, arXiv:1704.04861) make MobileNet narrower; weights begin as timm's do.
    """
    for name, layer in list(backbone.named_modules()):
        if isinstance(layer, nn.Conv2d):
            is_first = layer.in_channels == input_channels
            inputs = input_channels if is_first else _narrowed(layer.in_channels, multiplier)
            narrow = nn.Conv2d(
                inputs,
                _narrowed(layer.out_channels, multiplier),
                kernel_size=(layer.kernel_size[0], layer.kernel_size[1]),
                stride=(layer.stride[0], layer.stride[1]),
                padding=layer.padding if isinstance(layer.padding, str) else layer.padding[0],
                groups=inputs if layer.groups > 1 else 1,
                bias=False,
            )
            nn.init.kaiming_normal_(narrow.weight, mode="fan_out", nonlinearity="relu")
            backbone.set_submodule(name, narrow)
        elif isinstance(layer, nn.BatchNorm2d):
            norm = nn.BatchNorm2d(_narrowed(layer.num_features, multiplier))
            backbone.set_submodule(name, norm)


def _narrowed(channels: int, multiplier: float) -> int:
    return max(_LEAST_CHANNELS, round(channels * multiplier / _LEAST_CHANNELS) * _LEAST_CHANNELS)


def build_xception(options: XceptionOptions) -> PictureNetwork:
    """Build Xception, the dense layer, dropout and the classifier."""
    return PictureNetwork(XceptionFeatures(options), options, dropout=options.dropout)


ABDULLAH2020_XCEPTION: Final = Architecture(
    name="abdullah2020-xception",
    paper=f"{PAPER}, section III-A; Chollet 2017 (arXiv:1610.02357)",
    summary="Xception on grey stills; its last dense layer gives a frame's features",
    kind=InputKind.IMAGE,
    options=XceptionOptions,
    build=build_xception,
)
