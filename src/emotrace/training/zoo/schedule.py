"""How the learning rate goes: a function of the step, and a rule for plateaus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from emotrace.training.zoo.measures import Monitor
    from emotrace.training.zoo.recipe import OptimiserSettings

ONE_CYCLE_WARMUP = 0.3
"""Share of the steps in which a one-cycle schedule rises, as in torch's OneCycleLR."""
ONE_CYCLE_START = 1 / 25
"""Of the peak: where it starts; it ends at nothing."""


def rate_factor(settings: OptimiserSettings, step: int, steps_total: int) -> float:
    """Return what the learning rate is multiplied by at a step of the optimiser, from 0."""
    share = settings.warmup_share
    is_cycle = settings.schedule == "one-cycle"
    if is_cycle and not share:
        share = ONE_CYCLE_WARMUP
    warmup = round(share * steps_total)
    if step < warmup:
        if is_cycle:
            rise = 0.5 * (1 - math.cos(math.pi * step / warmup))
            return ONE_CYCLE_START + (1 - ONE_CYCLE_START) * rise
        return (step + 1) / warmup
    if settings.schedule in ("constant", "plateau"):
        return 1.0
    done = (step - warmup) / max(1, steps_total - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class PlateauRule:
    """Lowers the rate when validation has not improved for a while.

    Not torch's ReduceLROnPlateau: Lightning steps that after the hooks in which checkpoints are
    written, so that a resumed run would miss a step.
    """

    def __init__(self, settings: OptimiserSettings, monitor: Monitor) -> None:
        self._settings, self._monitor = settings, monitor
        self.factor = 1.0
        """What the rate is multiplied by."""
        self._best: float | None = None
        self._waited = 0

    def observe(self, value: float) -> None:
        """Take note of an epoch's measure; of no other schedule's."""
        if self._settings.schedule != "plateau":
            return
        if self._monitor.is_better(value, self._best):
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited >= self._settings.plateau_patience:
            self.factor *= self._settings.plateau_factor
            self._waited = 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"factor": self.factor, "best": self._best, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.factor, self._best = state["factor"], state["best"]
        self._waited = state["waited"]


def make_optimiser(
    settings: OptimiserSettings, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """Build the optimiser over the parameters that are trained."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {
            "params": [parameter for parameter in trained if parameter.ndim > 1],
            "weight_decay": settings.weight_decay,
        },
        {
            "params": [parameter for parameter in trained if parameter.ndim <= 1],
            "weight_decay": 0.0,
        },
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, lr=settings.learning_rate)
