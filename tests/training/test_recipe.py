"""A recipe says everything, refuses what cannot train, and comes back from its record."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.errors import TrainingError, UsageError
from emotrace.models.compact_options import CompactNetOptions
from emotrace.training.recipe import AugmentationSettings, DefaultRecipe
from emotrace.training.recipe_record import recipe_from_record
from tests.training.tiny import TINY_RECIPE


@pytest.mark.parametrize("name", ["epochs", "batch_size", "learning_rate"])
@pytest.mark.parametrize("value", [0, -1])
def test_what_must_be_above_zero_is_named(name: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"expected {name} above 0; got {value}"):
        DefaultRecipe(**{"refine_epochs": 0, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_share_outside_its_range_is_named(value: float) -> None:
    with pytest.raises(UsageError, match=rf"not_face_fraction in \[0, 1\); got {value}"):
        DefaultRecipe(not_face_fraction=value)


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_a_time_to_grow_outside_the_run_is_named(value: float) -> None:
    with pytest.raises(UsageError, match=rf"growing_share in \[0, 1\]; got {value}"):
        DefaultRecipe(growing_share=value)


def test_fewer_epochs_than_refine_all_of_them() -> None:
    recipe = DefaultRecipe(epochs=4)
    assert {recipe.augmentation_at(epoch) for epoch in range(4)} == {recipe.refine_augmentation}
    with pytest.raises(UsageError, match="refine_epochs of at least 0; got -1"):
        DefaultRecipe(refine_epochs=-1)


@pytest.mark.parametrize("value", [-16, 0, 8, 40, 64])
def test_a_first_size_that_the_network_cannot_halve_is_refused(value: int) -> None:
    with pytest.raises(UsageError, match=rf"a multiple of 16 up to 48; got {value}"):
        DefaultRecipe(first_size_px=value)


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


@pytest.mark.parametrize(
    "change",
    [
        {"momentun": 0.9},
        {"network": {"depth": 3}},
        {"cycles": 2, "restart_factor": 0.5},  # of version 0.1.0's first bundle
        {"augmentation": {"scale": [0.9, 1.1], "zoom": 2}},
    ],
)
def test_a_record_of_another_version_is_refused(change: dict[str, object]) -> None:
    record = {**dataclasses.asdict(TINY_RECIPE), **change}
    with pytest.raises(TrainingError, match="expected the recipe of this version of emotrace"):
        recipe_from_record(record)
    with pytest.raises(TrainingError, match="expected the recipe of this version of emotrace"):
        recipe_from_record({})


def test_the_last_epochs_see_milder_changes() -> None:
    recipe = DefaultRecipe(epochs=7, refine_epochs=3)
    seen = [recipe.augmentation_at(epoch) for epoch in range(recipe.epochs)]
    assert seen == [recipe.augmentation] * 4 + [recipe.refine_augmentation] * 3
    assert recipe.refine_augmentation.mixup_probability == 0


def test_polishing_comes_after_the_epochs_with_faces_of_the_full_size_through_a_codec() -> None:
    recipe = DefaultRecipe(epochs=3, refine_epochs=1, polish_epochs=2, growing_share=1.0)
    assert recipe.epochs_total == 5
    seen = [recipe.augmentation_at(epoch) for epoch in range(5)]
    through_codec = dataclasses.replace(
        recipe.augmentation, jpeg_probability=recipe.polish_augmentation.jpeg_probability
    )
    assert seen[2:] == [recipe.refine_augmentation, through_codec, recipe.polish_augmentation]
    assert recipe.polish_augmentation.jpeg_probability > 0
    assert [recipe.size_px_at(epoch) for epoch in (3, 4)] == [48, 48]
    with pytest.raises(UsageError, match="polish_epochs of at least 0; got -1"):
        DefaultRecipe(polish_epochs=-1)


def sizes(**changes: Any) -> list[int]:
    recipe = DefaultRecipe(**{"refine_epochs": 0, **changes})
    return [recipe.size_px_at(epoch) for epoch in range(recipe.epochs)]


def test_faces_grow_in_equal_steps_to_the_networks_own_size() -> None:
    assert sizes(epochs=6, first_size_px=32, growing_share=0.5) == [32] * 3 + [48] * 3
    assert sizes(epochs=8, first_size_px=16, growing_share=0.75) == [16] * 3 + [32] * 3 + [48] * 2
    larger = CompactNetOptions(input_size_px=80)
    found = sizes(epochs=5, first_size_px=32, growing_share=0.6, network=larger)
    assert found == [32, 48, 64, 80, 80]


@pytest.mark.parametrize("changes", [{"growing_share": 0.0}, {"first_size_px": 48}])
def test_faces_need_not_grow(changes: dict[str, Any]) -> None:
    assert sizes(epochs=3, **changes) == [48] * 3


@given(
    epochs=st.integers(1, 60),
    first=st.sampled_from([16, 32, 48]),
    share=st.floats(0, 1),
)
def test_faces_never_shrink_and_are_whole_in_time(epochs: int, first: int, share: float) -> None:
    found = sizes(epochs=epochs, first_size_px=first, growing_share=share)
    assert found == sorted(found)
    assert set(found) <= {16, 32, 48}
    assert all(size == 48 for size in found[math.ceil(share * epochs) :])
    assert all(size < 48 for size in found[: math.ceil(share * epochs)]) or first == 48


def test_a_recipe_needs_no_torch() -> None:
    """The command line shows every field in its help: that must not wait for torch."""
    code = (
        "import sys; import emotrace.training.recipe; sys.exit(1 if 'torch' in sys.modules else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
