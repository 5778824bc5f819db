"""The last steps as each step sees them, for attention over a window of the past.

For `time` new steps and the `window - 1` steps before them, step `t` sees the `window` steps that
end with itself. All windows together take `time * window` places, not `time ** 2`, and the same
distance back always lies at the same place of the window, whatever the step.
"""

from __future__ import annotations

import torch
from torch import Tensor


def windows_of(past: Tensor, steps: Tensor, window: int) -> Tensor:
    """Give each step its window.

    Args:
        past: `(batch, window - 1, ...)`: the steps before, oldest first.
        steps: `(batch, time, ...)`.
        window: Steps that a step sees, itself included.

    Returns:
        `(batch, time, window, ...)`; the last place of a window is the step itself.

    >>> past, steps = torch.tensor([[0, 1]]), torch.tensor([[2, 3]])
    >>> windows_of(past, steps, 3).tolist()
    [[[0, 1, 2], [1, 2, 3]]]
    """
    known = torch.cat([past, steps], dim=1)
    first = torch.arange(steps.shape[1], device=steps.device)
    return known[:, first[:, None] + torch.arange(window, device=steps.device)]


def keep_past(past: Tensor, steps: Tensor) -> Tensor:
    """Return the newest of `(batch, window - 1, ...)` past and `(batch, time, ...)` new steps.

    >>> keep_past(torch.tensor([[0, 1]]), torch.tensor([[2]])).tolist()
    [[1, 2]]
    """
    return torch.cat([past, steps], dim=1)[:, steps.shape[1] :]


def attend(scores: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """Average the values of each window by the scores of those of its steps that there are.

    Args:
        scores: `(..., window)`.
        known: The same shape or one that spreads to it: 1 where there is a step, 0 before the
            beginning; the last place, the step itself, must be 1.
        values: `(..., window, width)`.

    Returns:
        `(..., width)`.
    """
    weights = torch.softmax(scores.masked_fill(known == 0, -torch.inf), dim=-1)
    return (weights.unsqueeze(-2) @ values).squeeze(-2)
