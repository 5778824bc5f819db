"""The trunk of `CompactNet` with heads of one's choice, for stills and over time.

Source: ours; `emotrace.models.compact` says where its parts come from. `compact` is the network of
the default bundle but for its heads; `compact-gru` and `compact-gru-attention` put layers over time
on its 256 features, and any other kind (`temporal`) with an option; `compact-multitask` learns all
tasks at once. The trunk's layers are named as in a `CompactNet`, below `extractor`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from emotrace.errors import UsageError
from emotrace.models.architecture import Architecture, InputKind
from emotrace.models.compact import CompactNet
from emotrace.models.compact_options import CompactNetOptions
from emotrace.models.composition import Extractor, PictureNetwork, PictureSequenceNetwork
from emotrace.models.multi_task import ALL_TASKS, Task, TaskOptions
from emotrace.models.option_checks import expect_positive, expect_probability
from emotrace.models.temporal_heads import Temporal, TemporalOptions, make_temporal

if TYPE_CHECKING:
    from torch import Tensor

PAPER: Final = "ours, after He et al. 2016 (arXiv:1512.03385) and Hu et al. 2018 (arXiv:1709.01507)"
_DEFAULT: Final = CompactNetOptions()


@dataclass(frozen=True, kw_only=True)
class CompactOptions(TaskOptions):
    """The shape of a network on the compact trunk."""

    input_size_px: int = _DEFAULT.input_size_px
    """Side of a face; a multiple of 16 with 4 stages, of 8 with 3, and of half that with a
    `first_stride` of 1."""
    input_channels: int = _DEFAULT.input_channels
    """Of a face: 1 for grey, 3 for colour."""
    stem_width: int = _DEFAULT.stem_width
    """Channels of the first convolution."""
    widths: tuple[int, ...] = _DEFAULT.widths
    """Channels of each stage; a stage halves the picture's side in its first convolution. The last
    is the number of features."""
    first_stride: int = _DEFAULT.first_stride
    """What the first stage divides the picture's side by: 2, as the others do, or 1, which keeps
    the whole picture at four times the cost."""
    blocks: tuple[int, ...] = _DEFAULT.blocks
    """Residual blocks in each stage."""
    squeeze_ratio: int = _DEFAULT.squeeze_ratio
    """Channels to one of the gate that reweighs them."""
    standardised: bool = _DEFAULT.standardised
    """Each channel of each picture first gets a mean of 0 and a standard deviation of 1."""
    dropout: float = _DEFAULT.dropout
    """Of what the heads read, and between the layers over time."""
    drop_path: float = _DEFAULT.drop_path
    """Probability of skipping the last block; earlier blocks proportionally less."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(
            self,
            "input_size_px",
            "input_channels",
            "stem_width",
            "widths",
            "blocks",
            "squeeze_ratio",
        )
        expect_probability(self, "dropout", "drop_path")
        if len(self.widths) != len(self.blocks):
            raise UsageError(
                f"expected as many blocks as widths, {len(self.widths)}; got {self.blocks}"
            )
        self.trunk()  # which refuses a side that its stages cannot halve

    def trunk(self) -> CompactNetOptions:
        """Return the options of the `CompactNet` that the trunk is taken from."""
        return CompactNetOptions(
            input_size_px=self.input_size_px,
            input_channels=self.input_channels,
            stem_width=self.stem_width,
            widths=self.widths,
            first_stride=self.first_stride,
            blocks=self.blocks,
            squeeze_ratio=self.squeeze_ratio,
            standardised=self.standardised,
            dropout=self.dropout,
            drop_path=self.drop_path,
        )


@dataclass(frozen=True, kw_only=True)
class CompactMultitaskOptions(CompactOptions):
    """The shape of a network on the compact trunk that learns all tasks at once."""

    heads: tuple[Task, ...] = ALL_TASKS
    """Tasks, whose outputs lie side by side in this order."""


@dataclass(frozen=True, kw_only=True)
class CompactSequenceOptions(TemporalOptions, CompactOptions):
    """The shape of a network over time on the compact trunk."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        TemporalOptions.__post_init__(self)
        CompactOptions.__post_init__(self)


@dataclass(frozen=True, kw_only=True)
class CompactGruAttentionOptions(CompactSequenceOptions):
    """The shape of a network on the compact trunk with attention over a GRU's states."""

    temporal: Temporal = "gru-attention"
    """Kind of the layers over time."""


class CompactTrunk(Extractor):
    """Stem and trunk of a `CompactNet`, averaged over the picture."""

    def __init__(self, options: CompactNetOptions) -> None:
        super().__init__()
        whole = CompactNet(options)
        self.stem = whole.stem
        self.trunk = whole.trunk
        self.feature_size = options.widths[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, size, size)` in [0, 1] to `(batch, feature_size)`."""
        pooled: Tensor = self.trunk(self.stem(images)).mean(dim=(2, 3))
        return pooled


def build_compact(options: CompactOptions) -> PictureNetwork:
    """Build the trunk and a layer for each task."""
    return PictureNetwork(CompactTrunk(options.trunk()), options, dropout=options.dropout)


def build_compact_sequence(options: CompactSequenceOptions) -> PictureSequenceNetwork:
    """Build the trunk, layers over time and a layer for each task."""
    trunk = CompactTrunk(options.trunk())
    temporal = make_temporal(trunk.feature_size, options, options.dropout)
    return PictureSequenceNetwork(trunk, temporal, options, dropout=options.dropout)


COMPACT: Final = Architecture(
    name="compact",
    paper=PAPER,
    summary="the default bundle's residual network for grey 48 x 48 faces, heads of one's choice",
    kind=InputKind.IMAGE,
    options=CompactOptions,
    build=build_compact,
)
COMPACT_MULTITASK: Final = replace(
    COMPACT,
    name="compact-multitask",
    summary="the same with heads for expression, action units and valence-arousal at once",
    options=CompactMultitaskOptions,
)
COMPACT_GRU: Final = Architecture(
    name="compact-gru",
    paper=f"{PAPER}; GRU: Cho et al. 2014 (arXiv:1406.1078)",
    summary="the compact trunk on each frame, a GRU of 128 units over its features",
    kind=InputKind.IMAGE_SEQUENCE,
    options=CompactSequenceOptions,
    build=build_compact_sequence,
)
COMPACT_GRU_ATTENTION: Final = replace(
    COMPACT_GRU,
    name="compact-gru-attention",
    paper=f"{PAPER}; attention: Bahdanau et al. 2015 (arXiv:1409.0473), as rangulov2020 cites",
    summary="the same with additive attention over the GRU's last 32 states",
    options=CompactGruAttentionOptions,
)
