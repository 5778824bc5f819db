"""A small transformer over the last steps, which can be run one step at a time.

Source: Vaswani et al. (2017, arXiv:1706.03762) with the norm before each branch (Xiong et al. 2020,
arXiv:2002.04745) and, in place of positions, a learnt bias for each distance back (Raffel et al.
2020, arXiv:1910.10683, section 2.1, without their buckets). A step sees the `window` steps that end
with itself, in each layer; the keys and values of earlier steps are kept, as in Dai et al. (2019,
arXiv:1901.02860), instead of computed anew. As only distances count, where a sequence is cut makes
no difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from emotrace.models.temporal_heads import TemporalLayers
from emotrace.models.temporal_window import attend, keep_past, windows_of

if TYPE_CHECKING:
    from emotrace.models.architecture import State


class _Block(nn.Module):
    """Self-attention over the window and two linear layers, each beside a shortcut."""

    def __init__(self, width: int, attention_heads: int, window: int, dropout: float) -> None:
        super().__init__()
        self.window = window
        self.attention_heads = attention_heads
        self.before_attention = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        # A bias of the keys adds the same to all scores of a step and falls out of the softmax.
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.distance = nn.Parameter(torch.zeros(attention_heads, window))
        self.leave = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.inner = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(self, steps: Tensor, past: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Go over `(batch, time, width)`.

        Args:
            steps: The new ones.
            past: `(batch, window - 1, 2 * width)`: keys and values of the steps before.
            known: `(batch, time, window)`: which steps of each window there are.

        Returns:
            The steps, and `past` after them.
        """
        normed = self.before_attention(steps)
        memory = torch.cat([self.key(normed), self.value(normed)], dim=-1)
        # Each (batch, time, attention heads, window, width of one head).
        keys, values = (
            self._share_out(part) for part in windows_of(past, memory, self.window).chunk(2, dim=-1)
        )
        query = self._share_out(self.query(normed).unsqueeze(2)).transpose(-1, -2)
        scores = (keys @ query).squeeze(-1) * keys.shape[-1] ** -0.5
        mixed = attend(scores + self.distance, known.unsqueeze(2), values).flatten(2)
        steps = steps + self.dropout(self.leave(mixed))
        return steps + self.dropout(self.inner(steps)), keep_past(past, memory)

    def _share_out(self, values: Tensor) -> Tensor:
        """Bring `(batch, time, n, width)` to `(batch, time, attention heads, n, head's width)`."""
        return values.reshape(*values.shape[:3], self.attention_heads, -1).transpose(2, 3)


class CausalTransformer(TemporalLayers):
    """Transformer blocks over the last steps.

    The state is the keys and values of the last steps in each layer,
    `(batch, layers, window - 1, 2 * width)`, and which steps there are, `(batch, window - 1)`.
    """

    def __init__(
        self,
        features: int,
        width: int,
        layers: int,
        *,
        window: int = 32,
        attention_heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.output_width = width
        self.window = window
        self.enter = nn.Linear(features, width)
        self.blocks = nn.ModuleList(
            _Block(width, attention_heads, window, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Go over `(batch, time, features)`; gives `(batch, time, width)` and the state."""
        past, past_known = state
        steps = self.enter(features)
        new = torch.ones_like(steps[:, :, 0])
        known = windows_of(past_known, new, self.window)
        after = []
        for position, block in enumerate(self.blocks):
            steps, kept = block(steps, past[:, position], known)
            after.append(kept)
        return self.norm(steps), (torch.stack(after, dim=1), keep_past(past_known, new))

    def initial_state(self, batch: int) -> State:
        """Return zeros: no past."""
        weight = self.enter.weight
        places = self.window - 1
        return (
            weight.new_zeros(batch, len(self.blocks), places, 2 * self.output_width),
            weight.new_zeros(batch, places),
        )
