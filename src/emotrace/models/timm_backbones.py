"""Any image network of timm as a maker of features, alone or under layers over time.

Source: R. Wightman, PyTorch Image Models (timm); the default is MobileNetV3-Small (Howard et al.
2019, arXiv:1905.02244), the cheapest of those tried here that exports whole. Ours: the mean and
deviation that timm's weights want are the first layer, so that pictures are in [0, 1] here as
everywhere; the classifier is left out.

Grey pictures: timm sums the colour weights of the first convolution, and mean and deviation are
averaged over the colours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from emotrace.errors import DownloadError, UsageError
from emotrace.models.architecture import Architecture, InputKind
from emotrace.models.composition import Extractor, PictureNetwork, PictureSequenceNetwork
from emotrace.models.multi_task import TaskOptions
from emotrace.models.option_checks import expect_positive, expect_probability
from emotrace.models.temporal_heads import Temporal, TemporalOptions, make_temporal

if TYPE_CHECKING:
    from torch import Tensor

PAPER: Final = "ours, on timm; default backbone: Howard et al. 2019 (arXiv:1905.02244)"


class Standardise(nn.Module):
    """Take the mean off pictures in [0, 1] and divide by the deviation, by channel."""

    def __init__(self, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        super().__init__()
        # Not saved: they belong to the architecture, and timm's own weight files lack them.
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)
        self.mean: Tensor
        self.deviation: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, height, width)` to the same shape."""
        return (images - self.mean) / self.deviation


class TimmExtractor(Extractor):
    """A network of timm without its classifier.

    Args:
        name: timm's name of it, weights' tag included where wanted (`resnet18.a1_in1k`).
        input_channels: 1 or 3.
        input_size_px: Side of the pictures; counts for networks that are built for one size.
        pretrained: Start from the weights that timm downloads (trained on ImageNet).
        **settings: What else timm's constructor of this network takes.

    Raises:
        UsageError: timm has no such network, cannot build it so, or has no weights for it.
        DownloadError: The weights cannot be fetched.
    """

    def __init__(
        self,
        name: str,
        *,
        input_channels: int,
        input_size_px: int,
        pretrained: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.name = name
        self.input_channels = input_channels
        self.input_size_px = input_size_px
        self.settings = settings
        self.backbone = self.create(pretrained=pretrained)
        colours = self.backbone.pretrained_cfg
        self.standardise = Standardise(
            _for_channels(colours["mean"], input_channels),
            _for_channels(colours["std"], input_channels),
        )
        self.feature_size = int(self.backbone.head_hidden_size)

    def create(self, *, pretrained: bool) -> Any:
        """Build timm's network afresh."""
        return create_backbone(
            self.name,
            input_channels=self.input_channels,
            input_size_px=self.input_size_px,
            pretrained=pretrained,
            **self.settings,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, height, width)` in [0, 1] to `(batch, feature_size)`."""
        features: Tensor = self.backbone(self.standardise(images))
        return features


def create_backbone(
    name: str, *, input_channels: int, input_size_px: int, pretrained: bool, **settings: Any
) -> Any:
    """Build a network of timm without its classifier; `TimmExtractor` says the arguments.

    Raises:
        UsageError: timm has no such network, cannot build it so, or has no weights for it.
        DownloadError: The weights cannot be fetched.
    """
    import timm

    try:
        known = timm.get_pretrained_cfg(name)
        if known is not None and known.fixed_input_size:
            settings["img_size"] = input_size_px
        return timm.create_model(
            name, pretrained=pretrained, num_classes=0, in_chans=input_channels, **settings
        )
    except OSError as error:  # what urllib and huggingface_hub raise of networks is one
        raise DownloadError(
            f"expected to fetch timm's weights of {name!r}; got {_one_line(error)}; go online, put "
            f"the file into timm's cache, or give pretrained=False and load weights from a file"
        ) from error
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"expected a network that timm can build with {input_channels} channels at "
            f"{input_size_px} px{', pretrained' if pretrained else ''}; got {name!r}: "
            f"{_one_line(error)}"
        ) from error


def _for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) == channels:
        return tuple(values)
    return (sum(values) / len(values),) * channels


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


@dataclass(frozen=True, kw_only=True)
class TimmOptions(TaskOptions):
    """The shape of a network on a backbone of timm."""

    backbone: str = "mobilenetv3_small_100"
    """timm's name of the network that makes features of a picture."""
    pretrained: bool = False
    """Whether to start from the weights that timm downloads."""
    input_size_px: int = 112
    """Side of a face."""
    input_channels: int = 3
    """Of a face: 1 for grey, 3 for colour."""
    dropout: float = 0.2
    """Of what the heads read, and between the layers over time."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "input_size_px", "input_channels")
        expect_probability(self, "dropout")

    def extractor(self) -> TimmExtractor:
        """Build the backbone."""
        return TimmExtractor(
            self.backbone,
            input_channels=self.input_channels,
            input_size_px=self.input_size_px,
            pretrained=self.pretrained,
        )


@dataclass(frozen=True, kw_only=True)
class TimmSequenceOptions(TemporalOptions, TimmOptions):
    """The shape of a network over time on a backbone of timm."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        TemporalOptions.__post_init__(self)
        TimmOptions.__post_init__(self)


@dataclass(frozen=True, kw_only=True)
class TimmLstmOptions(TimmSequenceOptions):
    """The shape of an LSTM on a backbone of timm."""

    temporal: Temporal = "lstm"
    """Kind of the layers over time."""


@dataclass(frozen=True, kw_only=True)
class TimmTcnOptions(TimmSequenceOptions):
    """The shape of causal convolutions on a backbone of timm."""

    temporal: Temporal = "tcn"
    """Kind of the layers over time."""
    layers: int = 4
    """Residual blocks, of which each looks twice as far back."""


@dataclass(frozen=True, kw_only=True)
class TimmTransformerOptions(TimmSequenceOptions):
    """The shape of a transformer on a backbone of timm."""

    temporal: Temporal = "transformer"
    """Kind of the layers over time."""
    layers: int = 2
    """Blocks over each other."""


def build_timm(options: TimmOptions) -> PictureNetwork:
    """Build the backbone and a layer for each task."""
    return PictureNetwork(options.extractor(), options, dropout=options.dropout)


def build_timm_sequence(options: TimmSequenceOptions) -> PictureSequenceNetwork:
    """Build the backbone, layers over time and a layer for each task."""
    extractor = options.extractor()
    temporal = make_temporal(extractor.feature_size, options, options.dropout)
    return PictureSequenceNetwork(extractor, temporal, options, dropout=options.dropout)


TIMM_IMAGE: Final = Architecture(
    name="timm-image",
    paper=PAPER,
    summary="any backbone of timm on single faces (MobileNetV3-Small unless told)",
    kind=InputKind.IMAGE,
    options=TimmOptions,
    build=build_timm,
)
TIMM_GRU: Final = Architecture(
    name="timm-gru",
    paper=PAPER,
    summary="any backbone of timm on each frame, a GRU of 128 units over its features",
    kind=InputKind.IMAGE_SEQUENCE,
    options=TimmSequenceOptions,
    build=build_timm_sequence,
)
TIMM_LSTM: Final = replace(
    TIMM_GRU,
    name="timm-lstm",
    summary="any backbone of timm on each frame, an LSTM of 128 units over its features",
    options=TimmLstmOptions,
)
TIMM_TCN: Final = replace(
    TIMM_GRU,
    name="timm-tcn",
    summary="any backbone of timm on each frame, causal convolutions over its last 61 features",
    options=TimmTcnOptions,
)
TIMM_TRANSFORMER: Final = replace(
    TIMM_GRU,
    name="timm-transformer",
    summary="any backbone of timm on each frame, two transformer blocks over the last 32 steps",
    options=TimmTransformerOptions,
)
