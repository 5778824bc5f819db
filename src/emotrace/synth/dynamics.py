"""How an expression runs in time, and which classes differ in nothing else.

A clip is a row of `count` states of a face, and an order to show them in. Two classes that show the
very same states in another order have the same pictures, each as often: no single frame tells them
apart, time does.

- `offset` is `onset` shown backwards.
- `fast` shows the states of `slow` with a stride: `slow` is one cycle of an expression, `fast` the
  same states in the time of one cycle, `fast_stride` cycles of it. The states form a loop and the
  stride has no factor in common with their number, so each is met exactly once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import numpy as np

Dynamics = Literal["onset", "offset", "pulse", "slow", "fast", "hold"]

DYNAMICS: Final[tuple[Dynamics, ...]] = ("onset", "offset", "pulse", "slow", "fast", "hold")
"""`onset`: neutral to apex; `offset`: apex to neutral; `pulse`: onset, apex, offset; `slow` and
`fast`: one cycle, or several in the same time; `hold`: the apex throughout."""

_MIN_STRIDE: Final = 3
"""`fast` is at least three times as fast as `slow`: nobody mistakes one for the other."""


def fast_stride(count: int) -> int:
    """Return how many states `fast` goes on at each frame: 3, or the next that meets them all.

    >>> fast_stride(50), fast_stride(75), fast_stride(2)
    (3, 4, 1)
    """
    if count <= _MIN_STRIDE:
        return 1
    return next(stride for stride in range(_MIN_STRIDE, count) if math.gcd(stride, count) == 1)


def shown_state(dynamics: Dynamics, index: int, count: int) -> int:
    """Return the number of the state that frame `index` of `count` shows.

    >>> [shown_state("offset", index, 4) for index in range(4)]
    [3, 2, 1, 0]
    >>> [shown_state("fast", index, 7) for index in range(7)]
    [0, 3, 6, 2, 5, 1, 4]
    """
    if dynamics == "offset":
        return count - 1 - index
    if dynamics == "fast":
        return index * fast_stride(count) % count
    return index


def expression_share(dynamics: Dynamics, state: int, count: int, *, pulses: int = 1) -> float:
    """Return how much of the expression a state shows, in [0, 1].

    Rising is faster than falling, by our choice: so even a full cycle has a direction in time.

    Args:
        dynamics: The class.
        state: From 0 to `count` - 1.
        count: The number of states.
        pulses: How many times a `pulse` comes in them.

    >>> [expression_share("onset", state, 5) for state in (0, 4)]
    [0.0, 1.0]
    """
    if dynamics == "hold":
        return 1.0
    if dynamics in ("onset", "offset"):
        place = state / max(1, count - 1)
        return _smooth_step((place - 0.10) / 0.70)
    place = state * (pulses if dynamics == "pulse" else 1) / count % 1.0
    return min(_smooth_step((place - 0.06) / 0.22), _smooth_step((0.92 - place) / 0.32))


def _smooth_step(share: float) -> float:
    clipped = min(max(share, 0.0), 1.0)
    return clipped * clipped * (3 - 2 * clipped)


class Wander:
    """A smooth, random, endless movement between -1 and 1 that closes to a loop.

    Closing matters: `fast` runs through its states several times round.
    """

    def __init__(
        self, random: np.random.Generator, *, count: int, frame_rate: float, pace_hz: float
    ) -> None:
        """Choose a movement.

        Args:
            random: What chooses.
            count: After so many states it is back where it began.
            frame_rate: States per second.
            pace_hz: About how often it turns back.
        """
        seconds = count / frame_rate
        self._count = count
        paces = pace_hz * random.uniform((0.3, 0.7, 1.4), (0.6, 1.2, 2.2))
        self._waves = [
            (weight, round(pace * seconds), float(random.uniform(0, 2 * math.pi)))
            for weight, pace in zip((0.5, 0.32, 0.18), paces, strict=True)
        ]

    def at(self, state: int) -> float:
        """Return the place in [-1, 1] at a state."""
        turn = 2 * math.pi * state / self._count
        return sum(
            weight * math.sin(cycles * turn + phase) for weight, cycles, phase in self._waves
        )
