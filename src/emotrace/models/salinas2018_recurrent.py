"""Recurrent network of salinas2018: the convolutional part on each frame, then a small GRU.

Source: section IV-D; Table I counts 3,763,390 trainable parameters with 6 classes: 3,747,904 of the
convolutional part, 15,450 of a GRU of 5 units with one bias, which reads the 1,024 values of a
frame without any dense layer between, 36 of the classifier. The paper reads the logits after the
last of five frames; here they are given after each. What the text leaves open is settled in
`emotrace.models.salinas2018_parts`.
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
from emotrace.models.one_bias_gru import OneBiasGru
from emotrace.models.option_checks import expect_positive
from emotrace.models.salinas2018_parts import (
    PAPER,
    ConvolutionalOptions,
    single_picture_blocks,
)

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class RecurrentOptions(ConvolutionalOptions):
    """The shape of a `Recurrent`."""

    classes: int = 6
    """Expressions to tell apart."""
    recurrent_width: int = 5
    """Units of the GRU."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        super().__post_init__()
        expect_positive(self, "recurrent_width")


class Recurrent(SequenceNetwork):
    """A GRU over what the convolutional part makes of each frame."""

    def __init__(self, options: RecurrentOptions) -> None:
        super().__init__()
        self.options = options
        self.heads = (options.expression_head(),)
        self.blocks = single_picture_blocks(options.input_channels, options)
        self.dropout = nn.Dropout(options.dropout)
        self.gru = OneBiasGru(options.values_after_convolutions, options.recurrent_width)
        self.classifier = nn.Linear(options.recurrent_width, options.classes)
        initialise_as_keras(self)

    def forward(self, inputs: Tensor, state: State | None = None) -> SequenceOutput:
        """Map `(batch, time, channels, size, size)` in [0, 1] to logits after each frame.

        The state is one tensor, `(batch, recurrent_width)`.
        """
        (before,) = self.initial_state(inputs.shape[0]) if state is None else state
        values = self.blocks(inputs.flatten(0, 1)).unflatten(0, (-1, inputs.shape[1]))
        states, after = self.gru(self.dropout(values), before)
        return SequenceOutput(outputs=self.classifier(states), state=(after,))

    def initial_state(self, batch: int) -> State:
        """Return zeros, `(batch, recurrent_width)`."""
        return (self.classifier.weight.new_zeros(batch, self.options.recurrent_width),)


SALINAS2018_RECURRENT: Final = Architecture(
    name="salinas2018-recurrent",
    paper=f"{PAPER}, section IV-D",
    summary="a GRU of 5 units over the convolutional values of each frame",
    kind=InputKind.IMAGE_SEQUENCE,
    options=RecurrentOptions,
    build=Recurrent,
    published_parameters=3_763_390,
)
