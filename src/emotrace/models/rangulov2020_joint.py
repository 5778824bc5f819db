"""rangulov2020's frame network and recurrent layers as one network over pictures.

Source: section IV and Fig. 5. The paper trains the two apart, the second on features of the first;
as one network they can be trained jointly, exported and run on a video. The parts keep their names:
`trunk` is that of `emotrace.models.rangulov2020_cnn.Cnn`, `recurrent` and `head` are those of
`emotrace.models.rangulov2020_recurrent.Recurrent`, so that the weights of both load by name.
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
from emotrace.models.option_checks import expect_positive
from emotrace.models.rangulov2020_cnn import CnnOptions, build_trunk
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
class JointOptions(CnnOptions):
    """The shape of a `Joint`."""

    head: HeadChoice = "valence_arousal"
    """What it predicts."""
    dropout: float = 0.5
    """Of each frame's features; 0 where the trunk was trained before and stays as it is."""
    cell: Cell = "gru"
    """Kind of the recurrent layers."""
    widths: tuple[int, ...] = (100,)
    """Units of each recurrent layer."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "widths")


@dataclass(frozen=True, kw_only=True)
class JointSimpleRnnOptions(JointOptions):
    """The shape of a `Joint` with one simple recurrent layer."""

    cell: Cell = "simple"
    """Kind of the recurrent layers."""


@dataclass(frozen=True, kw_only=True)
class JointGru1Options(JointOptions):
    """The shape of a `Joint` with one gated layer."""


@dataclass(frozen=True, kw_only=True)
class JointGru3Options(JointOptions):
    """The shape of a `Joint` with three gated layers."""

    widths: tuple[int, ...] = (100, 100, 50)
    """Units of each recurrent layer."""


class Joint(SequenceNetwork):
    """Features of each frame, recurrent layers over them, a linear head after each step."""

    def __init__(self, options: JointOptions) -> None:
        super().__init__()
        self.options = options
        head = make_head(options.head, options.classes)
        self.heads = (head,)
        self.trunk = build_trunk(options)
        self.dropout = nn.Dropout(options.dropout)
        self.recurrent = RecurrentLayers(options.dense_width, options.cell, options.widths)
        self.head = nn.Linear(options.widths[-1], head.size)
        initialise_as_keras(self)

    def forward(self, inputs: Tensor, state: State | None = None) -> SequenceOutput:
        """Map `(batch, time, channels, size, size)` in [0, 1] to outputs after each frame.

        The state is one tensor for each recurrent layer, `(batch, width)`.
        """
        before = self.initial_state(inputs.shape[0]) if state is None else state
        features = self.trunk(inputs.flatten(0, 1)).unflatten(0, (-1, inputs.shape[1]))
        states, after = self.recurrent(self.dropout(features), before)
        return SequenceOutput(outputs=self.head(states), state=after)

    def initial_state(self, batch: int) -> State:
        """Return zeros for each recurrent layer, `(batch, width)`."""
        return self.recurrent.initial_state(batch)


RANGULOV2020_CNN_RNN: Final = Architecture(
    name="rangulov2020-cnn-rnn",
    paper=f"{PAPER}, section IV, Table III",
    summary="the frame network and one simple recurrent layer as one",
    kind=InputKind.IMAGE_SEQUENCE,
    options=JointSimpleRnnOptions,
    build=Joint,
)
RANGULOV2020_CNN_GRU1: Final = Architecture(
    name="rangulov2020-cnn-gru1",
    paper=f"{PAPER}, section IV, Table III",
    summary="the frame network and one GRU layer as one",
    kind=InputKind.IMAGE_SEQUENCE,
    options=JointGru1Options,
    build=Joint,
)
RANGULOV2020_CNN_GRU3: Final = Architecture(
    name="rangulov2020-cnn-gru3",
    paper=f"{PAPER}, section IV, Table III",
    summary="the frame network and three GRU layers as one",
    kind=InputKind.IMAGE_SEQUENCE,
    options=JointGru3Options,
    build=Joint,
)
