"""A gated recurrent unit with one bias, which torch's own GRU is not.

Source: Cho et al. (2014, arXiv:1406.1078v3, equations 5 to 8), the form of Keras 2
(`reset_after=False`) and of ONNX's GRU operator with `linear_before_reset = 0`. The reset gate
scales the state *before* the recurrent product, and each gate has one bias. torch's GRU scales
after the product and has a second bias there: other parameters, another function.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class OneBiasGru(nn.Module):
    """One layer over any number of steps; gates in the order update, reset, candidate."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.weight_ih = nn.Parameter(torch.empty(3 * width, features))
        self.weight_hh = nn.Parameter(torch.empty(3 * width, width))
        self.bias = nn.Parameter(torch.empty(3 * width))
        nn.init.xavier_uniform_(self.weight_ih)
        nn.init.orthogonal_(self.weight_hh)
        nn.init.zeros_(self.bias)

    def forward(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Go over `(batch, time, features)` from a `(batch, width)` state.

        Returns:
            The states after each step, `(batch, time, width)`, and the last of them.
        """
        projected = functional.linear(inputs, self.weight_ih, self.bias)
        of_gates, of_candidate = self.weight_hh[: 2 * self.width], self.weight_hh[2 * self.width :]
        states = []
        for step in projected.unbind(1):
            step_gates, step_candidate = step[:, : 2 * self.width], step[:, 2 * self.width :]
            gates = torch.sigmoid(step_gates + functional.linear(state, of_gates))
            update, reset = gates.chunk(2, dim=-1)
            candidate = torch.tanh(step_candidate + functional.linear(reset * state, of_candidate))
            state = update * state + (1 - update) * candidate
            states.append(state)
        return torch.stack(states, dim=1), state
