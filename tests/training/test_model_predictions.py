"""On what runs and bundles are scored: their own split, other data, never people they know."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from emotrace.datasets.items import SideName
from emotrace.datasets.shards import CLIPS_FILE, read_arrow, write_arrow
from emotrace.errors import BundleError, DatasetError, TrainingError, UsageError
from emotrace.training.model_evaluation import evaluate_model
from emotrace.training.model_predictions import ScoringRequest, predict_models
from emotrace.training.run_export import export_zoo_run
from emotrace.training.run_folders import is_run
from emotrace.training.targets import TargetSettings
from emotrace.training.zoo.fit import fit_zoo
from emotrace.training.zoo.predictions import SetPredictions, predict_side
from emotrace.training.zoo.recipe import DataSettings
from emotrace.training.zoo.run import load_trained
from emotrace.training.zoo.sources import open_data
from tests.training.tiny_zoo import IMAGE, tiny_recipe, write_cache

load_run = partial(load_trained, architecture=IMAGE)
SIDES_SCORED: tuple[SideName, ...] = ("validation", "test")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("tiny"), clips=18, subjects=6)


@pytest.fixture(scope="module")
def run(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "one"
    recipe = replace(
        tiny_recipe(IMAGE, cache, epochs=1, options={"values": 2}),
        data=DataSettings(data=cache, protocol="holdout", validation_share=0.2, test_share=0.34),
    )
    fit_zoo(recipe, folder, architecture=IMAGE)
    return folder


@pytest.fixture(scope="module")
def bundle(run: Path) -> Path:
    folder = run.parent / "bundle"
    export_zoo_run(run, folder, architecture=IMAGE, measure=False)
    return folder


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another data set by name, with subjects of the same names."""
    folder = write_cache(tmp_path_factory.mktemp("others"), clips=6, subjects=2)
    return renamed(folder, "others")


def renamed(folder: Path, dataset: str) -> Path:
    path = folder / CLIPS_FILE
    table = read_arrow(path)
    at = table.column_names.index("dataset")
    column = pa.array([dataset] * table.num_rows, table.schema.field("dataset").type)
    write_arrow(path, table.set_column(at, table.schema.field("dataset"), column))
    return folder


def test_a_run_is_scored_on_its_own_side_wherever_its_data_lies(run: Path, cache: Path) -> None:
    direct = predict_side(load_run(run), side="test")
    for data in (None, DataSettings(data=cache)):
        (said,) = predict_models([run], ScoringRequest(data=data), load_run=load_run)
        np.testing.assert_array_equal(said.predictions.rows, direct.rows)
        np.testing.assert_array_equal(
            said.predictions.outputs["expression"], direct.outputs["expression"]
        )
        assert (said.epochs, said.datasets, said.notices) == (1, ("tiny",), ())
        assert said.parameters == 95
    record = json.loads((run / "run.json").read_text())
    assert len(record["data"]["train_subjects"]) == 2


def test_its_own_data_is_not_divided_anew(run: Path, cache: Path) -> None:
    for request in (
        ScoringRequest(data=DataSettings(data=cache), side="whole"),
        ScoringRequest(data=DataSettings(data=cache, protocol="k-fold"), is_split_chosen=True),
    ):
        with pytest.raises(UsageError, match=r"its own split holds: holdout, fold 1"):
            predict_models([run], request, load_run=load_run)


def test_data_that_a_run_never_saw_is_scored_whole_or_by_a_protocol(
    run: Path, strangers: Path
) -> None:
    data = DataSettings(data=strangers)
    with pytest.raises(UsageError, match=r"is other data .*--whole.*--protocol"):
        predict_models([run], ScoringRequest(data=data), load_run=load_run)
    (said,) = predict_models([run], ScoringRequest(data=data, side="whole"), load_run=load_run)
    assert len(said.predictions.rows) == 6 * 8
    assert (said.predictions.side, said.datasets) == ("whole", ("others",))
    assert said.predictions.split.startswith("everything: 6 test items")
    held = DataSettings(data=strangers, protocol="holdout", validation_share=0.5)
    request = ScoringRequest(data=held, is_split_chosen=True, side="validation")
    (said,) = predict_models([run], request, load_run=load_run)
    assert len(said.predictions.rows) == 3 * 8


def test_people_whom_a_run_learned_from_are_refused(run: Path, tmp_path: Path) -> None:
    """The same data set in another cache: the same names are the same people."""
    again = write_cache(tmp_path, clips=18, subjects=6, frames=6)
    request = ScoringRequest(data=DataSettings(data=again), side="whole")
    with pytest.raises(DatasetError, match="got 2 people in common with its training side"):
        predict_models([run], request, load_run=load_run)
    # A run of an older version does not name people: they are found by the names of their clips.
    old = tmp_path / "old"
    shutil.copytree(run, old)
    record = json.loads((old / "run.json").read_text())
    del record["data"]["train_subjects"]
    (old / "run.json").write_text(json.dumps(record))
    with pytest.raises(DatasetError, match="got 2 people in common"):
        predict_models([old], request, load_run=load_run)


def test_people_whom_a_run_was_chosen_by_are_refused_unless_asked_for_by_name(
    run: Path, tmp_path: Path
) -> None:
    again = write_cache(tmp_path / "again", clips=18, subjects=6, frames=6)
    facts = json.loads((run / "run.json").read_text())["data"]
    (chosen_by,) = facts["validation_subjects"]
    old = tmp_path / "old"  # of a version that did not name them
    shutil.copytree(run, old)
    record = json.loads((old / "run.json").read_text())
    del record["data"]["validation_subjects"]
    (old / "run.json").write_text(json.dumps(record))

    def ask(model: Path, side: SideName, person: str) -> SetPredictions:
        """Of six folds, that with one person on a side."""
        folds = [DataSettings(data=again, protocol="k-fold", folds=6, fold=f) for f in range(1, 7)]
        for data in folds:
            items = open_data(replace(tiny_recipe(IMAGE, again), data=data)).split
            if {(items.items.subjects or ())[at] for at in items.sides[side]} == {person}:
                break
        request = ScoringRequest(data=data, is_split_chosen=True, side=side)  # type: ignore[arg-type]
        return predict_models([model], request, load_run=load_run)[0].predictions

    for model in (run, old):
        with pytest.raises(
            DatasetError,
            match=f"was not chosen by; got 1 people in common with its validation side "
            rf"\({chosen_by}\).*leaves them out, or.*--split validation",
        ):
            ask(model, "test", chosen_by)
        said = ask(model, "validation", chosen_by)
        assert set(said.subjects.tolist()) == {chosen_by}
        learned = facts["train_subjects"][0]
        for side in SIDES_SCORED:
            with pytest.raises(DatasetError, match="1 people in common with its training side"):
                ask(model, side, learned)
    everybody = {f"s{number}" for number in range(6)}
    for person in everybody - {chosen_by, *facts["train_subjects"]}:
        assert set(ask(run, "test", person).subjects.tolist()) == {person}


def test_a_side_that_a_run_was_chosen_by_is_said_to_be(
    run: Path, cache: Path, tmp_path: Path
) -> None:
    (said,) = predict_models([run], ScoringRequest(side="validation"), load_run=load_run)
    assert "was chosen by the side that it is scored on: too" in said.notices[0]
    data = DataSettings(data=cache, protocol="leave-one-subject-out", validate_on="test")
    recipe = replace(tiny_recipe(IMAGE, cache, epochs=1), data=data)
    fit_zoo(recipe, tmp_path, architecture=IMAGE)
    (said,) = predict_models([tmp_path], ScoringRequest(), load_run=load_run)
    assert "was chosen by the side that it is scored on: too" in said.notices[0]
    again = write_cache(tmp_path / "again", clips=18, subjects=6, frames=6)
    request = ScoringRequest(data=replace(data, data=again), is_split_chosen=True)
    with pytest.raises(DatasetError, match="1 people in common with its test side"):
        predict_models([tmp_path], request, load_run=load_run)


def test_data_that_has_changed_or_gone_is_said(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    record = json.loads((moved / "run.json").read_text())
    record["data"]["sha256"] = "0" * 64
    (moved / "run.json").write_text(json.dumps(record))
    with pytest.raises(DatasetError, match="it has changed since"):
        predict_models([moved], ScoringRequest(), load_run=load_run)
    record["recipe"]["data"]["data"] = str(tmp_path / "gone")
    (moved / "run.json").write_text(json.dumps(record))
    with pytest.raises(DatasetError, match="there is nothing"):
        predict_models([moved], ScoringRequest(), load_run=load_run)


def test_a_bundle_follows_the_split_of_a_run_beside_it(run: Path, bundle: Path) -> None:
    found = predict_models([bundle, run], ScoringRequest(), load_run=load_run)
    np.testing.assert_array_equal(found[0].predictions.rows, found[1].predictions.rows)
    assert "does not say whom it learned from" in found[0].notices[0]
    with pytest.raises(UsageError, match=r"expected data to score the bundle .*--data"):
        predict_models([bundle], ScoringRequest(), load_run=load_run)


def test_labels_that_a_model_does_not_know_are_refused_or_left_out(
    run: Path, bundle: Path, tmp_path: Path
) -> None:
    emotions = ("anger", "happiness", "sadness")
    data = renamed(write_cache(tmp_path, clips=6, subjects=2, emotions=emotions), "others")
    request = ScoringRequest(data=DataSettings(data=data), side="whole")
    ignoring = replace(request, targets=TargetSettings(ignore_other_labels=True))
    for model in (run, bundle):
        with pytest.raises(DatasetError, match=r"got sadness in 16 rows.*labels ignored"):
            predict_models([model], request, load_run=load_run)
        (said,) = predict_models([model], ignoring, load_run=load_run)
        labelled = np.isfinite(said.predictions.targets["expression"]).all(axis=1)
        assert labelled.sum() == 4 * 8


def test_what_is_neither_run_nor_bundle_is_said(run: Path, tmp_path: Path) -> None:
    assert is_run(run)
    assert not is_run("default")
    with pytest.raises(BundleError, match=r"run \(run.json\) or of a bundle \(spec.json\)"):
        is_run(tmp_path)
    with pytest.raises(BundleError, match="expected a bundle's name or folder; got 'nothing'"):
        predict_models(["nothing"], ScoringRequest(), load_run=load_run)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(TrainingError, match="expected the run of a network of the zoo"):
        predict_models([tmp_path], ScoringRequest(), load_run=load_run)


def test_an_evaluation_has_scores_differences_and_what_a_chain_changes(
    run: Path, bundle: Path
) -> None:
    found = evaluate_model(
        run, ScoringRequest(), against=bundle, post_process=True, repeats=20, load_run=load_run
    )
    assert found["scores"]["heads"]["expression"]["n"] == 9 * 8
    against = found["against"]["differences"][0]["heads"]
    # The bundle is this very network; values are cut off at -1 and 1.
    assert against["expression"]["accuracy"]["difference"] == 0
    processed = found["post_processing"]
    assert processed["scores"]["split"] == found["scores"]["split"]
    assert processed["chain"]["fitted_on"].endswith("validation side, 3 videos")
    assert set(processed["against_raw"]["heads"]) == {"valence_arousal"}
    with pytest.raises(UsageError, match="fitted on the validation side"):
        evaluate_model(run, ScoringRequest(side="validation"), post_process=True, load_run=load_run)
