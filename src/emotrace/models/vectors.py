"""Layers over time on vectors: the recurrent part alone, trained on features made before.

Source: ours; each kind's file (`temporal_recurrent`, `temporal_convolution`,
`temporal_transformer`, `temporal_attention`) names its paper. The parts are named as in the
networks over pictures, so that what was trained here loads into one of those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from emotrace.models.architecture import Architecture, InputKind
from emotrace.models.composition import VectorSequenceNetwork
from emotrace.models.multi_task import TaskOptions
from emotrace.models.option_checks import expect_positive, expect_probability
from emotrace.models.temporal_heads import Temporal, TemporalOptions, make_temporal


@dataclass(frozen=True, kw_only=True)
class VectorOptions(TemporalOptions, TaskOptions):
    """The shape of a network over vectors."""

    features: int = 256
    """Values of a step; the compact trunk gives 256."""
    dropout: float = 0.2
    """Of what the heads read, and between the layers over time."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        TemporalOptions.__post_init__(self)
        TaskOptions.__post_init__(self)
        expect_positive(self, "features")
        expect_probability(self, "dropout")


@dataclass(frozen=True, kw_only=True)
class VectorLstmOptions(VectorOptions):
    """The shape of an LSTM over vectors."""

    temporal: Temporal = "lstm"
    """Kind of the layers over time."""


@dataclass(frozen=True, kw_only=True)
class VectorTcnOptions(VectorOptions):
    """The shape of causal convolutions over vectors; four blocks look over 61 steps."""

    temporal: Temporal = "tcn"
    """Kind of the layers over time."""
    layers: int = 4
    """Residual blocks, of which each looks twice as far back."""


@dataclass(frozen=True, kw_only=True)
class VectorTransformerOptions(VectorOptions):
    """The shape of a transformer over vectors."""

    temporal: Temporal = "transformer"
    """Kind of the layers over time."""
    layers: int = 2
    """Blocks over each other."""


@dataclass(frozen=True, kw_only=True)
class VectorGruAttentionOptions(VectorOptions):
    """The shape of a GRU over vectors with attention over its states."""

    temporal: Temporal = "gru-attention"
    """Kind of the layers over time."""


def build_vectors(options: VectorOptions) -> VectorSequenceNetwork:
    """Build layers over time and a layer for each task."""
    temporal = make_temporal(options.features, options, options.dropout)
    return VectorSequenceNetwork(temporal, options, dropout=options.dropout)


VECTORS_GRU: Final = Architecture(
    name="vectors-gru",
    paper="ours; Cho et al. 2014 (arXiv:1406.1078)",
    summary="a GRU of 128 units over features",
    kind=InputKind.VECTOR_SEQUENCE,
    options=VectorOptions,
    build=build_vectors,
)
VECTORS_LSTM: Final = Architecture(
    name="vectors-lstm",
    paper="ours; Hochreiter and Schmidhuber 1997",
    summary="an LSTM of 128 units over features",
    kind=InputKind.VECTOR_SEQUENCE,
    options=VectorLstmOptions,
    build=build_vectors,
)
VECTORS_TCN: Final = Architecture(
    name="vectors-tcn",
    paper="ours; Bai et al. 2018 (arXiv:1803.01271)",
    summary="causal convolutions over features, looking over the last 61",
    kind=InputKind.VECTOR_SEQUENCE,
    options=VectorTcnOptions,
    build=build_vectors,
)
VECTORS_TRANSFORMER: Final = Architecture(
    name="vectors-transformer",
    paper="ours; Vaswani et al. 2017 (arXiv:1706.03762), Raffel et al. 2020 (arXiv:1910.10683)",
    summary="two transformer blocks over features, each looking over the last 32 steps",
    kind=InputKind.VECTOR_SEQUENCE,
    options=VectorTransformerOptions,
    build=build_vectors,
)
VECTORS_GRU_ATTENTION: Final = Architecture(
    name="vectors-gru-attention",
    paper="ours; Bahdanau et al. 2015 (arXiv:1409.0473), as rangulov2020 cites",
    summary="a GRU of 128 units over features, additive attention over its last 32 states",
    kind=InputKind.VECTOR_SEQUENCE,
    options=VectorGruAttentionOptions,
    build=build_vectors,
)
