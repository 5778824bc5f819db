"""GRU and LSTM layers with their state batch first.

Source: Cho et al. (2014, arXiv:1406.1078) and Hochreiter and Schmidhuber (1997, Neural Computation
9), as torch has them: two biases for each gate, and a reset gate behind the recurrent product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from emotrace.models.temporal_heads import TemporalLayers

if TYPE_CHECKING:
    from torch import Tensor

    from emotrace.models.architecture import State


class GruLayers(TemporalLayers):
    """GRU layers of one width; the state is one tensor, `(batch, layers, width)`."""

    def __init__(self, features: int, width: int, layers: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.output_width = width
        self.gru = nn.GRU(
            features, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Go over `(batch, time, features)`; gives `(batch, time, width)` and the state."""
        (before,) = state
        steps, after = self.gru(features, before.transpose(0, 1).contiguous())
        return steps, (after.transpose(0, 1),)

    def initial_state(self, batch: int) -> State:
        """Return zeros, `(batch, layers, width)`."""
        weight = next(self.parameters())
        return (weight.new_zeros(batch, self.gru.num_layers, self.output_width),)


class LstmLayers(TemporalLayers):
    """LSTM layers of one width; the state is two tensors, `(batch, layers, width)` each.

    The first is what the layers gave last, the second is their cells.
    """

    def __init__(self, features: int, width: int, layers: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.output_width = width
        self.lstm = nn.LSTM(
            features, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Go over `(batch, time, features)`; gives `(batch, time, width)` and the state."""
        given, cells = (part.transpose(0, 1).contiguous() for part in state)
        steps, after = self.lstm(features, (given, cells))
        return steps, tuple(part.transpose(0, 1) for part in after)

    def initial_state(self, batch: int) -> State:
        """Return zeros twice, `(batch, layers, width)`."""
        weight = next(self.parameters())
        zeros = weight.new_zeros(batch, self.lstm.num_layers, self.output_width)
        return zeros, zeros.clone()
