"""Options of a network that the data decides: how many classes, how long its vectors are."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import torch

from emotrace.training.targets import HeadTargets, occurring_classes
from emotrace.training.zoo.sources import open_data

if TYPE_CHECKING:
    from collections.abc import Collection

    from emotrace.models.architecture import Architecture
    from emotrace.training.zoo.recipe import ZooRecipe
    from emotrace.training.zoo.sources import OpenData


def fit_options(
    recipe: ZooRecipe, row: Architecture, *, given: Collection[str]
) -> tuple[ZooRecipe, list[str]]:
    """Set the options `classes`, `action_units` and `features` as the data has them.

    Args:
        recipe: With the architecture's options.
        row: The architecture.
        given: Names of options that the user chose: those stay.

    Returns:
        The recipe, and what was set, in plain words.

    Raises:
        DatasetError: The data is not there.
    """
    free = {item.name for item in fields(row.options)} - set(given)
    wanted = free & {"classes", "action_units", "features"}
    if not wanted:
        return recipe, []
    data = open_data(recipe)
    changes: dict[str, int] = {}
    notices: list[str] = []
    for name in sorted(wanted):
        count = _count(name, data, recipe, row)
        before = getattr(recipe.options, name)
        if count and count != before:
            changes[name] = count
            what = "values in a vector" if name == "features" else name.replace("_", " ")
            notices.append(f"the data has {count} {what}: {name} is {count}, not {before}")
    return replace(recipe, options=replace(recipe.options, **changes)), notices


def _count(name: str, data: OpenData, recipe: ZooRecipe, row: Architecture) -> int:
    """Return what the data has of one; 0 where it says nothing."""
    if name == "features":
        shape = data.source.row_shape
        return shape[0] if len(shape) == 1 else 0
    # Only the shape of the network: no weights are made.
    with torch.device("meta"):
        heads = [HeadTargets(head=head, names=()) for head in row.build(recipe.options).heads]
    if name == "action_units":
        units = [unit for unit in data.labels.columns if unit[-1].isdigit()]
        return len(recipe.targets.unit_names or units) if any(h.is_of_units for h in heads) else 0
    classes = len(recipe.targets.class_names or occurring_classes(data.labels))
    # A head of one class cannot learn: the data is then refused for what it lacks.
    return classes if classes > 1 and any(h.is_of_classes for h in heads) else 0
