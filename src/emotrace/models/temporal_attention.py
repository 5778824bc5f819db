"""A GRU with attention over its own past states.

Source: rangulov2020, section III-A, points at Kollias and Zafeiriou (2018, arXiv:1811.07770), who
put an attention layer on top of the recurrent one against its short memory. The attention is
additive, after Bahdanau, Cho and Bengio (2015, arXiv:1409.0473, section 3.1): the score of a past
state `h_j` for the present one `h_t` is `v . tanh(W h_t + U h_j)`. What differs: only the last
`window` states are seen, the present one included, so that it runs on a live video; each step gives
its state and what it attended to, side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from emotrace.models.temporal_heads import TemporalLayers
from emotrace.models.temporal_recurrent import GruLayers
from emotrace.models.temporal_window import attend, keep_past, windows_of

if TYPE_CHECKING:
    from emotrace.models.architecture import State


class AttentiveGru(TemporalLayers):
    """GRU layers, and attention over what the last of them gave before.

    The state is the GRU's, then its last states `(batch, window - 1, width)`, then which of them
    there are `(batch, window - 1)`, 1 or 0.
    """

    def __init__(
        self, features: int, width: int, layers: int, *, window: int = 32, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.window = window
        self.output_width = 2 * width
        self.recurrent = GruLayers(features, width, layers, dropout=dropout)
        self.of_present = nn.Linear(width, width)
        # A second bias would add to the first, and one on the scores falls out of the softmax.
        self.of_past = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Go over `(batch, time, features)`; gives `(batch, time, 2 * width)` and the state."""
        recurrent, past, past_known = state
        steps, (recurrent,) = self.recurrent(features, (recurrent,))
        known = torch.ones_like(steps[:, :, 0])
        # Projected before they are repeated in windows: once a step and not once a place.
        keys = windows_of(self.of_past(past), self.of_past(steps), self.window)
        scores = self.score(torch.tanh(self.of_present(steps).unsqueeze(2) + keys)).squeeze(-1)
        values = windows_of(past, steps, self.window)
        context = attend(scores, windows_of(past_known, known, self.window), values)
        after = (recurrent, keep_past(past, steps), keep_past(past_known, known))
        return torch.cat([steps, context], dim=-1), after

    def initial_state(self, batch: int) -> State:
        """Return zeros: no past."""
        width = self.recurrent.output_width
        zeros = self.score.weight.new_zeros(batch, self.window - 1, width)
        return (*self.recurrent.initial_state(batch), zeros, zeros.new_zeros(zeros.shape[:2]))
