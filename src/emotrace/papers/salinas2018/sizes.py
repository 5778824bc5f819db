"""Table I of salinas2018: the trainable parameters of its six networks, counted by building them.

Always at the paper's sizes, whatever the scale; on the meta device, which holds no weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from emotrace.models.zoo import find_architecture
from emotrace.papers.salinas2018.numbers import NETWORKS

if TYPE_CHECKING:
    from emotrace.papers.workshop import Workshop

FILTERS_OF_THE_TEXT: Final = (96, 384, 384, 256, 256)
"""Section IV-A; Table I counts others."""


def count_parameters(workshop: Workshop) -> dict[str, Any]:
    """Count each network's parameters: as Table I, and with the text's filters and no padding."""
    del workshop
    return {
        "as_table_1": {name: trainable(name) for name in NETWORKS},
        "with_filters_of_the_text": {
            name: trainable(name, filters=FILTERS_OF_THE_TEXT) for name in NETWORKS
        },
    }


def trainable(network: str, **options: Any) -> int:
    """Return the number of trainable parameters of a network with these options."""
    row = find_architecture(f"salinas2018-{network}")
    with torch.device("meta"):
        built = row.build(row.options(**options))
    return sum(value.numel() for value in built.parameters() if value.requires_grad)
