"""The recurrent networks of rangulov2020, over the 300 features of each frame.

Source: section IV-D and Table III: a simple layer of 100 units; a gated one (GRU) of 100; three
gated ones of 100, 100 and 50. The last has 204,102 trainable parameters: 120,600, 60,600 and
22,800, and 102 of the head. A window of frames t - 100 .. t predicts frame t + 1: that is a matter
of which labels they are trained on, not of the network, which gives outputs after each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torch import nn

from emotrace.models.architecture import (
    Architecture,
    InputKind,
    SequenceNetwork,
    SequenceOutput,
    State,
)
from emotrace.models.keras_defaults import initialise_as_keras
from emotrace.models.option_checks import expect_positive, expect_probability
from emotrace.models.rangulov2020_parts import (
    PAPER,
    Cell,
    HeadChoice,
    RecurrentLayers,
    make_head,
)

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class RecurrentOptions:
    """The shape of a `Recurrent`."""

    head: HeadChoice = "valence_arousal"
    """What it predicts."""
    classes: int = 8
    """Expressions to tell apart, where `head` is `expression`."""
    features: int = 300
    """Values of a frame."""
    cell: Cell = "gru"
    """Kind of the recurrent layers."""
    widths: tuple[int, ...] = (100,)
    """Units of each recurrent layer."""
    dropout: float = 0.0
    """Of what the last recurrent layer gives; the paper has none."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        expect_positive(self, "classes", "features", "widths")
        expect_probability(self, "dropout")


@dataclass(frozen=True, kw_only=True)
class SimpleRnnOptions(RecurrentOptions):
    """The shape of a `Recurrent` with one simple layer."""

    cell: Cell = "simple"
    """Kind of the recurrent layers."""


@dataclass(frozen=True, kw_only=True)
class Gru1Options(RecurrentOptions):
    """The shape of a `Recurrent` with one gated layer."""


@dataclass(frozen=True, kw_only=True)
class Gru3Options(RecurrentOptions):
    """The shape of a `Recurrent` with three gated layers."""

    widths: tuple[int, ...] = (100, 100, 50)
    """Units of each recurrent layer."""


class Recurrent(SequenceNetwork):
    """Recurrent layers and a linear head after each step."""

    def __init__(self, options: RecurrentOptions) -> None:
        super().__init__()
        self.options = options
        head = make_head(options.head, options.classes)
        self.heads = (head,)
        self.recurrent = RecurrentLayers(options.features, options.cell, options.widths)
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(options.widths[-1], head.size)
        initialise_as_keras(self)

    def forward(self, inputs: Tensor, state: State | None = None) -> SequenceOutput:
        """Map `(batch, time, features)` to outputs after each frame.

        The state is one tensor for each recurrent layer, `(batch, width)`.
        """
        before = self.initial_state(inputs.shape[0]) if state is None else state
        states, after = self.recurrent(inputs, before)
        return SequenceOutput(outputs=self.head(self.dropout(states)), state=after)

    def initial_state(self, batch: int) -> State:
        """Return zeros for each recurrent layer, `(batch, width)`."""
        return self.recurrent.initial_state(batch)


RANGULOV2020_RNN: Final = Architecture(
    name="rangulov2020-rnn",
    paper=f"{PAPER}, section IV-D, Table III",
    summary="one simple recurrent layer of 100 units over features",
    kind=InputKind.VECTOR_SEQUENCE,
    options=SimpleRnnOptions,
    build=Recurrent,
)
RANGULOV2020_GRU1: Final = Architecture(
    name="rangulov2020-gru1",
    paper=f"{PAPER}, section IV-D, Table III",
    summary="one GRU layer of 100 units over features",
    kind=InputKind.VECTOR_SEQUENCE,
    options=Gru1Options,
    build=Recurrent,
)
RANGULOV2020_GRU3: Final = Architecture(
    name="rangulov2020-gru3",
    paper=f"{PAPER}, section IV-D, Table III",
    summary="three GRU layers of 100, 100 and 50 units over features",
    kind=InputKind.VECTOR_SEQUENCE,
    options=Gru3Options,
    build=Recurrent,
    published_parameters=204_102,
)
