"""Recipes: refused when they cannot work, and back from JSON as they were."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest

from emotrace.errors import TrainingError, UsageError
from emotrace.models.zoo import ARCHITECTURES
from emotrace.training.clip_augmentation import AUGMENTATIONS
from emotrace.training.plain_values import from_plain, to_plain
from emotrace.training.sampling import SamplingSettings
from emotrace.training.stretches import ExampleWindows
from emotrace.training.targets import TargetSettings
from emotrace.training.zoo.measures import Monitor
from emotrace.training.zoo.recipe import (
    DataSettings,
    LossSettings,
    MachineSettings,
    OptimiserSettings,
    StartSettings,
    StoppingSettings,
    ZooRecipe,
    recipe_from_json,
)
from emotrace.training.zoo.schedule import PlateauRule, rate_factor
from tests.training.tiny_zoo import SEQUENCE, TinyOptions, tiny_recipe


def test_a_recipe_comes_back_from_json_as_it_was() -> None:
    recipe = tiny_recipe(
        SEQUENCE,
        Path("caches/x"),
        options={"values": 2},
        augmentation=AUGMENTATIONS["tzirakis2021"],
        start=StartSettings(initialise_from=Path("runs/y"), frozen=("trunk",)),
        losses=LossSettings(head_weights=(1.0, 0.5)),
        targets=TargetSettings(class_names=("anger", "fear", "sadness")),
    )
    text = json.dumps(recipe.to_json())
    assert recipe_from_json(json.loads(text), TinyOptions) == recipe


@pytest.mark.parametrize("row", ARCHITECTURES, ids=lambda row: row.name)
def test_the_options_of_every_architecture_come_back(row: Any) -> None:
    options = row.options()
    assert from_plain(row.options, json.loads(json.dumps(to_plain(options)))) == options


def test_a_record_of_another_version_is_refused() -> None:
    record = tiny_recipe(SEQUENCE, Path("x")).to_json()
    for change, message in (
        ({"epochs": "many"}, r"expected int in recipe\.epochs; got 'many'"),
        ({"speed": 3}, "expected fields of ZooRecipe in recipe; got 'speed'"),
        ({"data": None}, r"expected the fields of DataSettings in recipe\.data; got None"),
    ):
        with pytest.raises(TrainingError, match=message):
            recipe_from_json({**record, **change}, TinyOptions)
    with pytest.raises(TrainingError, match=r"TinyOptions in recipe\.options; got 'depth'"):
        recipe_from_json({**record, "options": {"depth": 3}}, TinyOptions)
    with pytest.raises(TrainingError, match="settings of plain values; got object"):
        to_plain({"a": object()})


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    pair: tuple[int, float]
    colour: Colour
    mode: Literal["a", "b"] = "a"
    path: Path | None = None
    many: tuple[Colour, ...] = ()


@pytest.mark.parametrize(
    "value",
    [
        Inner((1, 2.0), Colour.RED),
        Inner((1, 2.5), Colour.RED, "b", Path("x/y"), (Colour.RED, Colour.RED)),
    ],
)
def test_plain_values_keep_their_types(value: Inner) -> None:
    made = from_plain(Inner, json.loads(json.dumps(to_plain(value))))
    assert made == value
    assert [type(item) for item in made.pair] == [int, float]


def test_values_that_cannot_train_are_refused() -> None:
    for make, message in (
        (lambda: DataSettings(data=Path("x"), protocol="halves"), "protocol out of auto, offi"),  # type: ignore[arg-type]
        (lambda: DataSettings(data=Path("x"), fold=0), "fold from 1; got 0"),
        (lambda: DataSettings(data=Path("x"), test_share=1.0), r"test_share in \[0, 1\)"),
        (lambda: OptimiserSettings(learning_rate=0.0), "learning_rate above 0; got 0"),
        (lambda: OptimiserSettings(momentum=1.0), r"momentum in \[0, 1\); got 1"),
        (lambda: OptimiserSettings(weight_decay=float("nan")), "weight_decay of 0 or more"),
        (lambda: OptimiserSettings(plateau_factor=1.0), "plateau_factor in"),
        (lambda: LossSettings(label_smoothing=1.0), r"label_smoothing in \[0, 1\)"),
        (lambda: LossSettings(head_weights=(-1.0,)), "head_weights of 0 or more"),
        (lambda: StoppingSettings(patience=-1), "patience of 0 or more epochs; got -1"),
        (lambda: MachineSettings(devices=0), "devices of 1 or more; got 0"),
        (lambda: MachineSettings(workers=-1), "workers of 0 or more; got -1"),
        (lambda: ExampleWindows(steps=-1), "steps of 0 or more; got -1"),
        (lambda: ExampleWindows(stride=0), "stride of at least 1; got 0"),
        (lambda: SamplingSettings(sampling="all"), "sampling out of shuffle, classes"),  # type: ignore[arg-type]
        (lambda: SamplingSettings(balance_power=2.0), r"balance_power in \[0, 1\]; got 2"),
        (lambda: SamplingSettings(oversampling_repeats=0), "oversampling_repeats of 1 or"),
        (lambda: TargetSettings(class_names=("a", "a")), "each of class_names once; got a, a"),
        (lambda: tiny_recipe(SEQUENCE, Path("x"), epochs=0), "epochs of 1 or more; got 0"),
        (lambda: tiny_recipe(SEQUENCE, Path("x"), seed=-1), "seed of 0 or more; got -1"),
    ):
        with pytest.raises(UsageError, match=message):
            make()


# --- schedules -----------------------------------------------------------------------------------


def rates(settings: OptimiserSettings, steps: int = 100) -> list[float]:
    return [rate_factor(settings, step, steps) for step in range(steps)]


def test_schedules_go_as_they_say() -> None:
    assert set(rates(OptimiserSettings(schedule="constant"))) == {1.0}
    cosine = rates(OptimiserSettings(schedule="cosine"))
    assert cosine[0] == 1.0
    assert cosine[50] == pytest.approx(0.5)
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[-1] < 0.001
    warmed = rates(OptimiserSettings(schedule="cosine", warmup_share=0.2))
    assert warmed[:20] == pytest.approx([step / 20 for step in range(1, 21)])
    assert warmed[20] == 1.0
    cycle = rates(OptimiserSettings(schedule="one-cycle"))
    assert cycle[0] == pytest.approx(1 / 25)
    assert cycle.index(max(cycle)) == 30
    assert max(cycle) == 1.0
    assert cycle[-1] < 0.001


def test_a_plateau_lowers_the_rate_and_goes_on_from_its_state() -> None:
    settings = OptimiserSettings(schedule="plateau", plateau_patience=2, plateau_factor=0.5)
    monitor = Monitor(name="loss", mode="min")
    rule = PlateauRule(settings, monitor)
    factors = []
    for value in (3.0, 2.0, 2.0, 2.5, 2.1, 1.0, 1.0, float("nan")):
        rule.observe(value)
        factors.append(rule.factor)
        again = PlateauRule(settings, monitor)
        again.load_state_dict(rule.state_dict())
        rule = again
    assert factors == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one-cycle"])
def test_other_schedules_know_no_plateau(schedule: Any) -> None:
    settings = OptimiserSettings(schedule=schedule, plateau_patience=1)
    rule = PlateauRule(settings, Monitor(name="loss", mode="min"))
    for _ in range(4):
        rule.observe(1.0)
    assert rule.factor == 1


def test_every_row_of_the_zoo_makes_a_recipe() -> None:
    for row in ARCHITECTURES:
        recipe = ZooRecipe(
            architecture=row.name, options=row.options(), data=DataSettings(data=Path("x"))
        )
        assert recipe_from_json(recipe.to_json(), row.options) == recipe
        assert replace(recipe, seed=1) != recipe
