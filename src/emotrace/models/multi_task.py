"""Several tasks at once: heads side by side on the same features.

Source: rangulov2020, section VI, names as future work to learn expression, action units and
valence-arousal together, after Kollias and Zafeiriou (2018, arXiv:1811.07771, and 2019,
arXiv:1910.04855). Any network that takes `TaskOptions` does so: `heads` lists its tasks. Which
labels a sample lacks is a matter of the loss.

Each task has a layer of its own, under its name, so that a network that learnt one task can hand on
its weights to one that learns that task and others (`emotrace.models.initialisation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import torch
from torch import Tensor, nn

from emotrace.errors import UsageError
from emotrace.models.architecture import Head, HeadKind
from emotrace.models.option_checks import expect_positive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Task = Literal["expression", "emotions", "action_units", "valence_arousal", "valence", "arousal"]
"""Classes of which one holds; the same classes where several may hold; action units, of which
several may hold; valence and arousal in this order; one of the two alone."""

ALL_TASKS: Final[tuple[Task, ...]] = ("expression", "action_units", "valence_arousal")
"""What rangulov2020 would learn at once."""


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """What a network predicts."""

    heads: tuple[Task, ...] = ("expression",)
    """Tasks, whose outputs lie side by side in this order."""
    classes: int = 8
    """Expressions to tell apart, where `expression` or `emotions` is among the heads."""
    action_units: int = 12
    """Where `action_units` is among the heads; Aff-Wild2 has 12 (arXiv:2407.03835)."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        expect_positive(self, "classes", "action_units")
        if not self.heads or len(set(self.heads)) < len(self.heads):
            raise UsageError(
                f"expected heads to name one or more tasks, each once; got {self.heads}"
            )
        make_heads(self)


def make_heads(options: TaskOptions) -> tuple[Head, ...]:
    """Return the heads of the tasks, in their order.

    Raises:
        UsageError: There is no such task.
    """
    sizes: dict[Task, tuple[HeadKind, int]] = {
        "expression": (HeadKind.CATEGORICAL, options.classes),
        "emotions": (HeadKind.MULTI_LABEL, options.classes),
        "action_units": (HeadKind.MULTI_LABEL, options.action_units),
        "valence_arousal": (HeadKind.CONTINUOUS, 2),
        "valence": (HeadKind.CONTINUOUS, 1),
        "arousal": (HeadKind.CONTINUOUS, 1),
    }
    found = []
    for name in options.heads:
        if name not in sizes:
            raise UsageError(f"expected heads out of {', '.join(sizes)}; got {name!r}")
        kind, size = sizes[name]
        found.append(Head(name=name, kind=kind, size=size))
    return tuple(found)


class TaskLayers(nn.ModuleDict):
    """A layer for each head, by its name; their values side by side."""

    def __init__(
        self,
        features: int,
        heads: Sequence[Head],
        layer: Callable[[int, int], nn.Module] = nn.Linear,
    ) -> None:
        super().__init__({head.name: layer(features, head.size) for head in heads})

    def forward(self, features: Tensor) -> Tensor:
        """Map `(..., features)` to `(..., outputs)`."""
        return torch.cat([layer(features) for layer in self.values()], dim=-1)


class PointwiseLinear(nn.Conv2d):
    """A linear layer on `(batch, features)`, computed as a 1 x 1 convolution.

    No runtime has a reason to compute a convolution differently in a batch of another size, so a
    face's result stays the same, bit for bit, in any batch (docs/decisions/0003).
    """

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__(features, outputs, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map `(batch, features)` to `(batch, outputs)`."""
        return super().forward(features[:, :, None, None]).flatten(1)
