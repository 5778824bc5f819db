"""Layers over time: from the features of each step, and what came before, to values of each step.

All of them look at the past only and keep what they need of it in a state of fixed size, all zeros
at the beginning, so that every further frame costs the same and a sequence in pieces gives what the
whole gives. One file each: `temporal_recurrent` (GRU, LSTM), `temporal_convolution`,
`temporal_transformer`, `temporal_attention` (attention over the states of a GRU).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from torch import nn

from emotrace.errors import UsageError
from emotrace.models.option_checks import expect_positive

if TYPE_CHECKING:
    from torch import Tensor

    from emotrace.models.architecture import State

Temporal = Literal["gru", "lstm", "tcn", "transformer", "gru-attention"]
"""Gated layers of either kind; causal convolutions; self-attention over the last steps; a GRU whose
past states are attended to."""


@dataclass(frozen=True, kw_only=True)
class TemporalOptions:
    """The layers over time."""

    temporal: Temporal = "gru"
    """Kind of the layers over time."""
    width: int = 128
    """Values of a step inside these layers."""
    layers: int = 1
    """Layers over each other; for `tcn` residual blocks, of which each looks twice as far back."""
    window: int = 32
    """Of `transformer` and `gru-attention`: steps that attention sees, the present one included."""
    attention_heads: int = 4
    """Of `transformer`; they share `width` out among them."""
    kernel: int = 3
    """Of `tcn`: steps that a convolution reads."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        expect_positive(self, "width", "layers", "window", "attention_heads", "kernel")
        if self.temporal not in get_args(Temporal):
            kinds = ", ".join(get_args(Temporal))
            raise UsageError(f"expected temporal out of {kinds}; got {self.temporal!r}")
        if self.temporal == "transformer" and self.width % self.attention_heads:
            raise UsageError(
                f"expected a width that {self.attention_heads} attention_heads divide; "
                f"got {self.width}"
            )


class TemporalLayers(nn.Module):
    """Layers over time with a state; see `emotrace.models.architecture.SequenceNetwork`."""

    output_width: int
    """Values that each step gives."""

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Go on from `state` over `(batch, time, features)`.

        Returns:
            `(batch, time, output_width)`, and the state after the last step.
        """
        raise NotImplementedError

    def initial_state(self, batch: int) -> State:
        """Return the zeros that stand for no past."""
        raise NotImplementedError


def make_temporal(features: int, options: TemporalOptions, dropout: float = 0.0) -> TemporalLayers:
    """Build the layers that the options name.

    Args:
        features: Values of a step that go in.
        options: The layers.
        dropout: Between layers; inside the blocks of `tcn` and `transformer`.
    """
    from emotrace.models.temporal_attention import AttentiveGru
    from emotrace.models.temporal_convolution import CausalConvolutions
    from emotrace.models.temporal_recurrent import GruLayers, LstmLayers
    from emotrace.models.temporal_transformer import CausalTransformer

    width, layers = options.width, options.layers
    if options.temporal == "gru":
        return GruLayers(features, width, layers, dropout=dropout)
    if options.temporal == "lstm":
        return LstmLayers(features, width, layers, dropout=dropout)
    if options.temporal == "tcn":
        return CausalConvolutions(features, width, layers, kernel=options.kernel, dropout=dropout)
    if options.temporal == "transformer":
        return CausalTransformer(
            features,
            width,
            layers,
            window=options.window,
            attention_heads=options.attention_heads,
            dropout=dropout,
        )
    return AttentiveGru(features, width, layers, window=options.window, dropout=dropout)
