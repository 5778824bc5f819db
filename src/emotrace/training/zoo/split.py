"""From a recipe's words to a verified split of clips or pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emotrace.datasets.items import Content, SplitItems, content_hash
from emotrace.datasets.protocols import (
    actor_folds,
    leave_one_subject_out,
    official_split,
    random_split,
    subject_holdout,
    subject_k_fold,
)
from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emotrace.datasets.ferplus import FerPlusSplit
    from emotrace.datasets.items import SideName
    from emotrace.datasets.splits import Split
    from emotrace.training.zoo.recipe import DataSettings


def choose_split(items: SplitItems, settings: DataSettings) -> Split:
    """Divide items as the recipe says, and prove that nothing is on two sides.

    Raises:
        UsageError: There is no such fold.
        DatasetError: The protocol does not fit the data, or it leaks and that is to be refused.
    """
    splits = _splits(items, settings)
    if settings.fold > len(splits):
        raise UsageError(
            f"expected fold from 1 to {len(splits)} of {splits[0].protocol!r}; got {settings.fold}"
        )
    split = splits[settings.fold - 1]
    if settings.leaks == "drop-pictures":
        split = split.without_shared_pictures()
    return split.verified(allow_leaks=settings.leaks == "allow")


def count_folds(items: SplitItems, settings: DataSettings) -> int:
    """Return how many splits the recipe's protocol makes of the items.

    Raises:
        UsageError: The protocol does not fit the items.
    """
    return len(_splits(items, settings))


def _splits(items: SplitItems, settings: DataSettings) -> list[Split]:
    protocol, seed = settings.protocol, settings.split_seed
    if protocol == "auto":
        parts = set(items.partitions or ())
        has_parts = "test" in parts if settings.test_share else bool(parts - {None})
        protocol = "official" if has_parts else "holdout"
    if protocol == "official":
        return [official_split(items)]
    if protocol == "k-fold":
        return subject_k_fold(items, folds=settings.folds, has_validation=True, seed=seed)
    if protocol == "actor-folds":
        return actor_folds(items, has_validation=True)
    if protocol == "leave-one-subject-out":
        share = 0.0 if settings.validate_on == "test" else settings.validation_share
        return leave_one_subject_out(items, validation_share=share, seed=seed)
    shares = settings.validation_share, settings.test_share
    if protocol == "random":
        learned = 1 - sum(shares)
        return [random_split(items, shares=(learned, *shares), seed=seed)]
    return [subject_holdout(items, validation_share=shares[0], test_share=shares[1], seed=seed)]


def ferplus_items(parts: Mapping[SideName, FerPlusSplit]) -> SplitItems:
    """Describe FER+'s pictures for a split: train's first, then validation's, then test's.

    Nobody knows who is in them; equal pictures are found.
    """
    names: list[str] = []
    partitions: list[SideName] = []
    hashes: list[int] = []
    for side, part in parts.items():
        names += [f"{side}/{at}:{file}" for at, file in enumerate(part.files)]
        partitions += [side] * len(part)
        hashes += [content_hash(image) for image in part.images]
    return SplitItems(
        item_ids=tuple(names),
        partitions=tuple(partitions),
        content=Content(item=np.arange(len(names)), hashes=np.array(hashes, np.uint64)),
    )
