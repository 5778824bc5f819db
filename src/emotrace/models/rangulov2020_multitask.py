"""rangulov2020's networks with heads for several tasks at once, its future work.

Source: rangulov2020, section VI: "multitask learning of different human affective behavior
characteristics in-the-wild at the same time", named there as basic expressions, action units and
valence-arousal. The paper trained no such network; here it is the paper's own frame network
(`emotrace.models.rangulov2020_cnn`), and the same under its GRU of 100-100-50, with a layer for
each task. The parts keep the names that they have there, so that weights of the single-task
networks load by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from torch import nn

from emotrace.models.architecture import (
    Architecture,
    InputKind,
    Network,
    SequenceNetwork,
    SequenceOutput,
    State,
)
from emotrace.models.keras_defaults import initialise_as_keras
from emotrace.models.multi_task import ALL_TASKS, Task, TaskLayers, TaskOptions, make_heads
from emotrace.models.option_checks import expect_positive
from emotrace.models.rangulov2020_cnn import CnnOptions, build_trunk
from emotrace.models.rangulov2020_parts import PAPER, RecurrentLayers

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class CnnMultitaskOptions(TaskOptions):
    """The shape of a `CnnMultitask`; where the paper has variants, its text's."""

    heads: tuple[Task, ...] = ALL_TASKS
    """Tasks, whose outputs lie side by side in this order."""
    input_size_px: int = 96
    """Side of a face."""
    input_channels: int = 1
    """Of a face: 1 for grey, 3 for colour."""
    filters: tuple[int, int, int] = (64, 128, 256)
    """Of the three convolutions."""
    dense_width: int = 300
    """Values that a picture becomes."""
    dropout: float = 0.5
    """Of these values."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        self.trunk()

    def trunk(self) -> CnnOptions:
        """Return the options of the frame network that the trunk is that of."""
        return CnnOptions(
            input_size_px=self.input_size_px,
            input_channels=self.input_channels,
            filters=self.filters,
            dense_width=self.dense_width,
            dropout=self.dropout,
        )


@dataclass(frozen=True, kw_only=True)
class JointMultitaskOptions(CnnMultitaskOptions):
    """The shape of a `JointMultitask`."""

    widths: tuple[int, ...] = (100, 100, 50)
    """Units of each recurrent layer."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "widths")


class CnnMultitask(Network):
    """Features of a picture, and a layer for each task on them."""

    def __init__(self, options: CnnMultitaskOptions) -> None:
        super().__init__()
        self.heads = make_heads(options)
        self.trunk = build_trunk(options.trunk())
        self.dropout = nn.Dropout(options.dropout)
        self.head = TaskLayers(options.dense_width, self.heads)
        initialise_as_keras(self)

    def features(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, size, size)` in [0, 1] to `(batch, dense_width)` features."""
        features: Tensor = self.trunk(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Map `(batch, channels, size, size)` in [0, 1] to `(batch, outputs)`."""
        outputs: Tensor = self.head(self.dropout(self.features(images)))
        return outputs


class JointMultitask(SequenceNetwork):
    """Features of each frame, GRU layers over them, a layer for each task after each step."""

    def __init__(self, options: JointMultitaskOptions) -> None:
        super().__init__()
        self.heads = make_heads(options)
        self.trunk = build_trunk(options.trunk())
        self.dropout = nn.Dropout(options.dropout)
        self.recurrent = RecurrentLayers(options.dense_width, "gru", options.widths)
        self.head = TaskLayers(options.widths[-1], self.heads)
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


RANGULOV2020_MULTITASK: Final = Architecture(
    name="rangulov2020-multitask",
    paper=f"{PAPER}, section VI (future work)",
    summary="the frame network with heads for expression, action units and valence-arousal",
    kind=InputKind.IMAGE,
    options=CnnMultitaskOptions,
    build=CnnMultitask,
)
RANGULOV2020_MULTITASK_GRU3: Final = Architecture(
    name="rangulov2020-multitask-gru3",
    paper=f"{PAPER}, section VI (future work)",
    summary="the same under three GRU layers, on each frame of a video",
    kind=InputKind.IMAGE_SEQUENCE,
    options=JointMultitaskOptions,
    build=JointMultitask,
)
