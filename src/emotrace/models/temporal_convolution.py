"""Causal convolutions over time, in residual blocks that look ever further back.

Source: Bai, Kolter and Koltun (2018, arXiv:1803.01271, section 3 and Fig. 1): blocks of two dilated
causal convolutions with ReLU and dropout beside a shortcut, the dilation doubling from block to
block. What differs: no weight normalisation, and a linear layer brings the features to the blocks'
width first, so that every shortcut is the identity.

A step sees `1 + 2 * (kernel - 1) * (2 ** layers - 1)` steps, itself included. The state is what
each convolution still needs of its past inputs, all in one tensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from emotrace.models.temporal_heads import TemporalLayers

if TYPE_CHECKING:
    from emotrace.models.architecture import State


class _Block(nn.Module):
    """Two causal convolutions beside a shortcut; takes and gives back the past of both."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.past = (kernel - 1) * dilation
        self.first = nn.Conv1d(width, width, kernel, dilation=dilation)
        self.second = nn.Conv1d(width, width, kernel, dilation=dilation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, past: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        values, after = steps, []
        for convolution, before in zip((self.first, self.second), past, strict=True):
            known = torch.cat([before, values], dim=2)
            after.append(known[:, :, known.shape[2] - self.past :])
            values = self.dropout(torch.relu(convolution(known)))
        return torch.relu(steps + values), after


class CausalConvolutions(TemporalLayers):
    """Residual blocks over time; the state is `(batch, width, past steps of all convolutions)`."""

    def __init__(
        self, features: int, width: int, layers: int, *, kernel: int = 3, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.output_width = width
        self.enter = nn.Linear(features, width)
        self.blocks = nn.ModuleList(
            _Block(width, kernel, 2**position, dropout) for position in range(layers)
        )
        self.pasts: list[int] = [
            (kernel - 1) * 2**position for position in range(layers) for _ in range(2)
        ]

    @property
    def receptive_field(self) -> int:
        """Steps that a step is made from, itself included."""
        steps: int = 1 + sum(self.pasts)
        return steps

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Go over `(batch, time, features)`; gives `(batch, time, width)` and the state."""
        (before,) = state
        pasts = torch.split(before, self.pasts, dim=2)
        values = self.enter(features).transpose(1, 2)
        after: list[Tensor] = []
        for position, block in enumerate(self.blocks):
            values, kept = block(values, pasts[2 * position : 2 * position + 2])
            after += kept
        return values.transpose(1, 2), (torch.cat(after, dim=2),)

    def initial_state(self, batch: int) -> State:
        """Return zeros, `(batch, width, past steps)`: what zero padding on the left would be."""
        return (self.enter.weight.new_zeros(batch, self.output_width, sum(self.pasts)),)
