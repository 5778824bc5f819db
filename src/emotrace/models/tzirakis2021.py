"""ResNet-50 and a two-layer LSTM, end to end.

Source: P. Tzirakis, D. Boros, E. Hajiyev and B. Schuller (2021), called tzirakis2021 here: section
3 and Table 1. A ResNet-50 on RGB faces of 150 x 150 (section 4.2), average pooled to 2,048 values;
two LSTM layers; a linear layer of 2 values, or of 8 emotions with a sigmoid (section 4.4), after
each frame. The weights start from Xavier's rule (section 5.3) unless ImageNet's are asked for.

Where the text is silent or this differs:

- The LSTM's width is not stated; 256 is what the authors' toolkit uses.
- The paper's order of the two values is arousal, valence; here it is valence, arousal, as
  everywhere.
- Table 1 prints all four stages in the row of the last; it is read as 512, 512, 2048, 3 times,
  which is ResNet-50's own.
- ImageNet's mean and deviation are a first layer inside the network; the text says "raw pixels".
- The text has no dropout; it is an option, of what the linear layer reads, and off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import nn

from emotrace.models.architecture import Architecture, InputKind
from emotrace.models.composition import PictureSequenceNetwork
from emotrace.models.multi_task import Task, TaskOptions
from emotrace.models.option_checks import expect_positive, expect_probability
from emotrace.models.temporal_recurrent import LstmLayers
from emotrace.models.timm_backbones import TimmExtractor


@dataclass(frozen=True, kw_only=True)
class Tzirakis2021Options(TaskOptions):
    """The shape of tzirakis2021's network."""

    heads: tuple[Task, ...] = ("valence_arousal",)
    """What it predicts: `valence_arousal` for the paper's regression, `emotions` for its eight
    emotions of which several may be seen."""
    backbone: str = "resnet50"
    """timm's name of the ResNet that makes features of a face."""
    pretrained: bool = False
    """Whether the ResNet starts from the weights that timm downloads (ImageNet)."""
    input_size_px: int = 150
    """Side of a face."""
    input_channels: int = 3
    """Of a face: 3 for colour, 1 for grey."""
    width: int = 256
    """Units of each LSTM layer."""
    layers: int = 2
    """LSTM layers."""
    dropout: float = 0.0
    """Of what the heads read, and between the LSTM layers; the paper has none."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "input_size_px", "input_channels", "width", "layers")
        expect_probability(self, "dropout")


def build_tzirakis2021(options: Tzirakis2021Options) -> PictureSequenceNetwork:
    """Build the network; weights that are not pretrained are drawn by Xavier's rule."""
    extractor = TimmExtractor(
        options.backbone,
        input_channels=options.input_channels,
        input_size_px=options.input_size_px,
        pretrained=options.pretrained,
        zero_init_last=False,
    )
    temporal = LstmLayers(
        extractor.feature_size, options.width, options.layers, dropout=options.dropout
    )
    network = PictureSequenceNetwork(extractor, temporal, options, dropout=options.dropout)
    for name, parameter in network.named_parameters():
        if options.pretrained and name.startswith("extractor."):
            continue
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)
        elif name.rpartition(".")[2].startswith("bias"):
            nn.init.zeros_(parameter)
    return network


TZIRAKIS2021: Final = Architecture(
    name="tzirakis2021",
    paper="Tzirakis, Boros, Hajiyev and Schuller 2021, section 3, Table 1",
    summary="ResNet-50 on each frame and a two-layer LSTM, end to end",
    kind=InputKind.IMAGE_SEQUENCE,
    options=Tzirakis2021Options,
    build=build_tzirakis2021,
)
