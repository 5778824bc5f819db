"""A recipe says everything, refuses what cannot train, and comes back from its record."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from emotrace.errors import TrainingError, UsageError
from emotrace.training.export import recipe_from_record
from emotrace.training.recipe import AugmentationSettings, DefaultRecipe
from tests.training.tiny import TINY_RECIPE


@pytest.mark.parametrize("name", ["epochs", "cycles", "batch_size", "learning_rate"])
@pytest.mark.parametrize("value", [0, -1])
def test_what_must_be_above_zero_is_named(name: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"expected {name} above 0; got {value}"):
        DefaultRecipe(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_share_outside_its_range_is_named(value: float) -> None:
    with pytest.raises(UsageError, match=rf"not_face_fraction in \[0, 1\); got {value}"):
        DefaultRecipe(not_face_fraction=value)


@pytest.mark.parametrize(
    "recipe",
    [
        DefaultRecipe(),
        TINY_RECIPE,
        DefaultRecipe(augmentation=AugmentationSettings(scale=(1.0, 1.5), mixup_alpha=1.0)),
    ],
)
def test_a_recipe_comes_back_from_json(recipe: DefaultRecipe) -> None:
    assert recipe_from_record(json.loads(json.dumps(dataclasses.asdict(recipe)))) == recipe


@pytest.mark.parametrize("change", [{"momentun": 0.9}, {"network": {"depth": 3}}])
def test_a_record_of_another_version_is_refused(change: dict[str, object]) -> None:
    record = {**dataclasses.asdict(TINY_RECIPE), **change}
    with pytest.raises(TrainingError, match="expected the recipe of this version of emotrace"):
        recipe_from_record(record)
    with pytest.raises(TrainingError, match="expected the recipe of this version of emotrace"):
        recipe_from_record({})


def test_epochs_are_those_of_all_cycles() -> None:
    assert DefaultRecipe(epochs=3, cycles=4, refine_epochs=5).epochs_total == 17


def test_the_last_epochs_see_milder_changes() -> None:
    recipe = DefaultRecipe(epochs=2, cycles=2, refine_epochs=3)
    seen = [recipe.augmentation_at(epoch) for epoch in range(recipe.epochs_total)]
    assert seen == [recipe.augmentation] * 4 + [recipe.refine_augmentation] * 3
    assert recipe.refine_augmentation.mixup_probability == 0


def test_a_recipe_needs_no_torch() -> None:
    """The command line shows every field in its help: that must not wait for torch."""
    code = (
        "import sys; import emotrace.training.recipe; sys.exit(1 if 'torch' in sys.modules else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
