"""From a recipe to data: what is there, how it is divided, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotrace.datasets.items import SplitItems
from emotrace.errors import DatasetError, TrainingError, UsageError
from emotrace.training.data_options import fit_options
from emotrace.training.sampling import SamplingSettings
from emotrace.training.stretches import ExampleWindows
from emotrace.training.targets import TargetSettings
from emotrace.training.zoo.data import ZooData, load_data
from emotrace.training.zoo.fit import fit_zoo
from emotrace.training.zoo.recipe import DataSettings, ZooRecipe
from emotrace.training.zoo.split import choose_split
from tests.datasets.fake_ferplus import write_fake_ferplus
from tests.training.tiny_zoo import CLIP, IMAGE, SEQUENCE, VECTORS, tiny_recipe, write_cache


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("tiny"), clips=18, subjects=6)


@pytest.fixture(scope="module")
def ferplus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_ferplus(tmp_path_factory.mktemp("ferplus"))


def load(recipe: ZooRecipe, row: Any = IMAGE) -> ZooData:
    return load_data(recipe, kind=row.kind, heads=row.build(recipe.options).heads)


def divided(cache: Path, **changes: Any) -> ZooData:
    return load(replace(tiny_recipe(IMAGE, cache), data=DataSettings(data=cache, **changes)))


def subjects_of(data: ZooData, side: str) -> set[str]:
    examples = data.train if side == "train" else data.sides[side]  # type: ignore[index]
    names = examples.names
    return {str(names.subjects[at]) for at in names.video[examples.first]}


def test_protocols_keep_people_apart(cache: Path) -> None:
    everybody = {f"s{number}" for number in range(6)}
    for changes, sizes in (
        ({}, (4, 2, 0)),
        ({"validation_share": 0.34, "test_share": 0.34}, (1, 2, 3)),
        ({"protocol": "k-fold", "folds": 3, "fold": 2}, (2, 2, 2)),
        ({"protocol": "leave-one-subject-out", "fold": 6}, (4, 1, 1)),
        ({"protocol": "leave-one-subject-out", "validate_on": "test"}, (5, 0, 1)),
    ):
        data = divided(cache, **changes)
        found = [subjects_of(data, "train")]
        found += [
            subjects_of(data, s) if s in data.sides else set() for s in ("validation", "test")
        ]
        assert tuple(len(names) for names in found) == sizes, changes
        assert set.union(*found) == everybody
        assert sum(len(names) for names in found) == 6


@pytest.mark.parametrize(
    ("parts", "test_share", "protocol"),
    [
        (("train", "train", "validation"), 0.0, "official partition"),
        (("train", "train", "validation"), 0.3, "by subject"),
        (("train", "test", "validation"), 0.3, "official partition"),
        (None, 0.3, "by subject"),
    ],
)
def test_official_parts_must_have_a_test_part_where_one_is_asked_for(
    parts: tuple[Any, ...] | None, test_share: float, protocol: str
) -> None:
    items = SplitItems(item_ids=("a", "b", "c"), subjects=("x", "y", "z"), partitions=parts)
    split = choose_split(items, DataSettings(data=Path(), test_share=test_share))
    assert protocol in split.protocol
    assert bool(len(split.test)) == bool(test_share)


def test_a_split_that_leaks_is_refused_until_it_is_allowed_aloud(cache: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected nothing on two sides .* subjects? in both"):
        divided(cache, protocol="random")
    data = divided(cache, protocol="random", leaks="allow")
    assert "LEAKS ALLOWED" in data.notices[0]
    with pytest.raises(UsageError, match=r"fold from 1 to 5 of '5 subject-grouped .*; got 6"):
        divided(cache, protocol="k-fold", fold=6)
    with pytest.raises(DatasetError, match="expected items with an official partition"):
        divided(cache, protocol="official")


# --- FER+ ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("labels", "classes"), [("emotion", 8), ("votes", 8), ("fer2013", 7)])
def test_ferplus_is_learned_by_any_of_its_labels(
    ferplus: Path, tmp_path: Path, labels: Any, classes: int
) -> None:
    recipe = replace(
        tiny_recipe(IMAGE, ferplus.parent, options={"classes": classes}, epochs=1),
        data=DataSettings(data=ferplus.parent),
        targets=TargetSettings(labels=labels),
    )
    data = load(recipe)
    batch = data.train[[0, 1, 2]]
    assert batch.inputs.shape == (3, 48, 48, 1)
    shares = batch.targets["expression"].numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    assert (set(np.unique(shares)) == {0.0, 1.0}) == (labels != "votes")
    assert data.train.name(0) == "train/0.png frame 0"
    assert set(data.sides) == {"validation", "test"}
    report = fit_zoo(recipe, tmp_path, architecture=IMAGE)
    assert report.best_epoch == 0
    assert "not proven: the subject of 112 of 112 items is not known" in report.notices[0]


def test_equal_pictures_on_two_sides_of_ferplus_can_be_left_out(tmp_path: Path) -> None:
    from tests.datasets.fake_ferplus import make_rows, write_rows

    rows = [*make_rows("train", 40, 0), *make_rows("validation", 16, 1), *make_rows("test", 16, 2)]
    rows[3]["image"] = rows[45]["image"]
    write_rows(rows, tmp_path)
    recipe = replace(
        tiny_recipe(IMAGE, tmp_path, options={"classes": 8}), data=DataSettings(data=tmp_path)
    )
    with pytest.raises(DatasetError, match="1 picture in both train and validation"):
        load(recipe)
    kept = load(replace(recipe, data=DataSettings(data=tmp_path, leaks="drop-pictures")))
    assert len(kept.train) == 39
    assert "1 items left out of train: their pictures are in validation" in kept.notices[0]


def test_ferplus_has_no_sequences(ferplus: Path) -> None:
    recipe = replace(tiny_recipe(CLIP, ferplus), data=DataSettings(data=ferplus))
    with pytest.raises(UsageError, match="single pictures for FER\\+, which has no sequences"):
        load(replace(recipe, options=replace(recipe.options, classes=8)), CLIP)
    by_condition = replace(recipe, targets=TargetSettings(labels="condition"))
    with pytest.raises(UsageError, match="labels 'emotion', 'votes' or 'fer2013' of FER"):
        load(by_condition)


# --- what is refused -----------------------------------------------------------------------------


def test_a_data_set_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"ferplus\.parquet at .*/none; there is nothing; make"):
        fit_zoo(tiny_recipe(IMAGE, tmp_path / "none"), tmp_path / "run", architecture=IMAGE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="found neither; make a cache with 'emotrace prepare'"):
        fit_zoo(tiny_recipe(IMAGE, tmp_path / "empty"), tmp_path / "run", architecture=IMAGE)
    (tmp_path / "file.txt").write_text("no data")
    with pytest.raises(DatasetError, match=r"expected the FER\+ table in .*file.txt"):
        fit_zoo(tiny_recipe(IMAGE, tmp_path / "file.txt"), tmp_path / "run", architecture=IMAGE)


def test_labels_outside_the_set_stop_a_run_before_it_starts(cache: Path, tmp_path: Path) -> None:
    settings = TargetSettings(class_names=("anger", "surprise"))
    recipe = tiny_recipe(IMAGE, cache, options={"classes": 2}, targets=settings)
    with pytest.raises(DatasetError, match="got happiness in 48 rows; give the network more"):
        fit_zoo(recipe, tmp_path, architecture=IMAGE)
    assert not (tmp_path / "run.json").exists()
    ignoring = replace(recipe, targets=replace(settings, ignore_other_labels=True), epochs=1)
    assert fit_zoo(ignoring, tmp_path, architecture=IMAGE).epochs_done == 1


def test_what_a_network_takes_must_be_what_there_is(cache: Path) -> None:
    with pytest.raises(UsageError, match=r"expected feature vectors for .* holds pictures"):
        load(tiny_recipe(VECTORS, cache), VECTORS)
    longer = tiny_recipe(CLIP, cache, windows=ExampleWindows(steps=6))
    with pytest.raises(UsageError, match=r"examples of 4 steps, as many frames .*; got 6"):
        load(longer, CLIP)
    oversampled = tiny_recipe(
        IMAGE, cache, sampling=SamplingSettings(sampling="oversample", oversampling_window=99)
    )
    repeats = load(oversampled).train.repeats
    assert repeats is not None
    assert set(repeats.tolist()) == {1}  # no window is so long
    with pytest.raises(TrainingError, match="got none"):
        load(tiny_recipe(SEQUENCE, cache, windows=ExampleWindows(steps=20)), SEQUENCE)


# --- options that the data decides ---------------------------------------------------------------


def test_the_number_of_classes_and_units_is_the_datas_unless_it_is_given(cache: Path) -> None:
    from emotrace.models.zoo import find_architecture

    row = find_architecture("compact-multitask")
    recipe = ZooRecipe(architecture=row.name, options=row.options(), data=DataSettings(data=cache))
    fitted, notices = fit_options(recipe, row, given=())
    assert (fitted.options.classes, fitted.options.action_units) == (3, 1)
    assert notices == [
        "the data has 1 action units: action_units is 1, not 12",
        "the data has 3 classes: classes is 3, not 8",
    ]
    kept, notices = fit_options(recipe, row, given={"classes", "action_units"})
    assert (kept, notices) == (recipe, [])
    values = replace(recipe, options=replace(recipe.options, heads=("valence",)))
    assert fit_options(values, row, given=())[1] == []
