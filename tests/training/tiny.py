"""A run that takes seconds: a tiny network on a tiny data set of noise."""

from __future__ import annotations

import numpy as np

from emotrace.datasets.ferplus import FerPlusSplit
from emotrace.models.compact_options import CompactNetOptions
from emotrace.training.recipe import DefaultRecipe

TINY_NETWORK = CompactNetOptions(stem_width=4, widths=(8, 16), blocks=(1, 1))
TINY_RECIPE = DefaultRecipe(
    network=TINY_NETWORK,
    epochs=2,
    refine_epochs=0,
    polish_epochs=0,
    teachers=0,
    batch_size=16,
    mixed_precision=False,
    threads=1,
)


def make_split(votes: list[list[int]], fer2013_labels: list[int], seed: int = 0) -> FerPlusSplit:
    """Noise faces with the given votes (in our order, then unknown and not_face) and labels."""
    count = len(votes)
    return FerPlusSplit(
        name="train",
        files=tuple(f"{number}.png" for number in range(count)),
        images=np.random.default_rng(seed).integers(0, 256, (count, 48, 48), dtype=np.uint8),
        votes=np.array(votes, np.int64),
        fer2013_labels=np.array(fer2013_labels, np.int64),
    )
