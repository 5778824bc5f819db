"""What the networks of rangulov2020 share: the choice of head, and the recurrent layers.

Source: D. Rangulov and M. Fahim, "Emotion Recognition on large video dataset based on Convolutional
Feature Extractor and Recurrent Neural Network", called rangulov2020 here: sections IV-C1 (heads)
and IV-D (recurrent layers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from torch import nn

from emotrace.models.architecture import Head, HeadKind

if TYPE_CHECKING:
    from torch import Tensor

    from emotrace.models.architecture import State

PAPER: Final = "Rangulov and Fahim 2020"

HeadChoice = Literal["expression", "valence_arousal", "valence", "arousal"]
"""Logits of classes; both values; one of them, for the comparison in section V."""

Cell = Literal["simple", "gru"]
"""A layer that adds and squashes (tanh), or one with gates."""


def make_head(choice: HeadChoice, classes: int) -> Head:
    """Return the head of a choice; `classes` counts for `expression` only."""
    if choice == "expression":
        return Head(name=choice, kind=HeadKind.CATEGORICAL, size=classes)
    size = 2 if choice == "valence_arousal" else 1
    return Head(name=choice, kind=HeadKind.CONTINUOUS, size=size)


class RecurrentLayers(nn.Module):
    """Recurrent layers of their own widths, each over all steps of the one before.

    A simple layer has one bias, as in Keras, in which the paper was implemented: torch's second one
    adds to the first and is held at zero, not trained. A gated layer has torch's two, of which the
    second lies behind the reset gate; so has Keras's, and the paper's count of 204,102.
    """

    def __init__(self, features: int, cell: Cell, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.widths = widths
        kind = nn.RNN if cell == "simple" else nn.GRU
        self.layers = nn.ModuleList(
            kind(inputs, width, batch_first=True)
            for inputs, width in zip((features, *widths), widths, strict=False)
        )
        for name, parameter in self.named_parameters():
            if cell == "simple" and "bias_hh" in name:
                nn.init.zeros_(parameter)
                parameter.requires_grad_(False)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Go over `(batch, time, features)` from a state for each layer, `(batch, width)`.

        Returns:
            What the last layer gives after each step, `(batch, time, width)`, and the states.
        """
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            inputs, last = layer(inputs, before.unsqueeze(0))
            after.append(last.squeeze(0))
        return inputs, tuple(after)

    def initial_state(self, batch: int) -> State:
        """Return zeros for each layer, `(batch, width)`."""
        weight = next(self.parameters())
        return tuple(weight.new_zeros(batch, width) for width in self.widths)
