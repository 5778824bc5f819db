"""Whom networks know through others: the one that made their vectors, and the one they began as."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from emotrace.bundle import load_bundle
from emotrace.bundle_spec import SPEC_FILE, read_spec, spec_to_json
from emotrace.datasets.shards import CLIPS_FILE, read_arrow, write_arrow
from emotrace.errors import DatasetError
from emotrace.training.extractors import NetworkExtractor, load_extractor
from emotrace.training.feature_cache import FEATURES_FILE, extract_features
from emotrace.training.known_people import known_by_start
from emotrace.training.model_predictions import ScoringRequest, predict_models
from emotrace.training.run_folders import RUN_FILE
from emotrace.training.zoo.evaluation import evaluate_trained
from emotrace.training.zoo.fit import fit_zoo
from emotrace.training.zoo.recipe import DataSettings, StartSettings
from emotrace.training.zoo.run import load_trained
from tests.training.tiny_zoo import (
    IMAGE,
    SEQUENCE,
    VECTORS,
    TinyImage,
    TinyOptions,
    tiny_recipe,
    write_cache,
)

load_vectors = partial(load_trained, architecture=VECTORS)


def fold(data: Path, number: int, **changes: Any) -> DataSettings:
    """One of six folds: a person to measure on, one to choose by, four to learn from."""
    return DataSettings(data=data, protocol="k-fold", folds=6, fold=number, **changes)


def train(row: Any, data: DataSettings, run: Path, **changes: Any) -> Path:
    recipe = replace(tiny_recipe(row, data.data, epochs=1, **changes), data=data)
    fit_zoo(recipe, run, architecture=row)
    return run


def sides(run: Path) -> dict[str, set[str]]:
    """Who is on each side of a run's split: three clips each."""
    of_clips = read_json(run / RUN_FILE)["data"]["split"]["sides"]
    return {
        name: {f"s{int(clip.removeprefix('clip')) // 3}" for clip in clips}
        for name, clips in of_clips.items()
    }


def read_json(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def renamed(folder: Path, dataset: str) -> Path:
    path = folder / CLIPS_FILE
    table = read_arrow(path)
    at = table.column_names.index("dataset")
    column = pa.array([dataset] * table.num_rows, table.schema.field("dataset").type)
    write_arrow(path, table.set_column(at, table.schema.field("dataset"), column))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("tiny"), clips=18, subjects=6)


@pytest.fixture(scope="module")
def stills(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(IMAGE, fold(cache, 1), tmp_path_factory.mktemp("runs") / "stills")


@pytest.fixture(scope="module")
def vectors(cache: Path, stills: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("vectors") / "own"
    extract_features(load_extractor(stills, architecture=IMAGE), cache, out)
    return out


def test_vectors_say_whom_their_maker_learned_from_and_was_chosen_by(
    stills: Path, vectors: Path
) -> None:
    (one,) = read_json(vectors / FEATURES_FILE)["known"]["met"]
    facts = read_json(stills / RUN_FILE)["data"]
    assert (one["datasets"], one["fingerprint"]) == (["tiny"], facts["sha256"])
    assert one["learned"]["people"] == facts["train_subjects"]
    assert one["learned"]["clips"] == facts["split"]["sides"]["train"]
    assert one["chosen"]["people"] == facts["validation_subjects"]
    assert "stills" in one["network"]


def test_the_makers_own_split_is_what_its_vectors_are_learned_by(
    vectors: Path, tmp_path: Path
) -> None:
    run = train(VECTORS, fold(vectors, 1), tmp_path / "run")
    record = read_json(run / RUN_FILE)
    assert record["data"]["known_through"] == read_json(vectors / FEATURES_FILE)["known"]
    assert not any("LEAKS" in one or "NOT PROVEN" in one for one in record["notices"])
    (said,) = predict_models([run], ScoringRequest(), load_run=load_vectors)
    assert said.notices == ()


def test_people_whom_the_maker_of_vectors_knows_are_refused_on_other_sides(
    stills: Path, vectors: Path, tmp_path: Path
) -> None:
    (chosen,) = sides(stills)["validation"]
    refused = []
    for number in range(2, 7):
        with pytest.raises(DatasetError) as caught:
            train(VECTORS, fold(vectors, number), tmp_path / f"fold{number}")
        said = str(caught.value)
        assert "that tiny-image of the run stills learned from" in said
        assert "fold 1 of 6), learn from another data set, or allow leaks" in said
        if f"test side ({chosen}) that tiny-image of the run stills was chosen by" in said:
            refused.append(number)
        assert not (tmp_path / f"fold{number}" / RUN_FILE).exists()
    assert len(refused) == 1


def test_who_was_chosen_by_may_be_chosen_by_again(vectors: Path, tmp_path: Path) -> None:
    settings = fold(vectors, 2, validate_on="test", leaks="allow")
    run = train(VECTORS, settings, tmp_path / "run")
    assert "test side" not in "".join(read_json(run / RUN_FILE)["data"]["split"]["remarks"])


def test_leaks_that_are_allowed_are_said_in_every_result(vectors: Path, tmp_path: Path) -> None:
    run = train(VECTORS, fold(vectors, 2, leaks="allow"), tmp_path / "run")
    record = read_json(run / RUN_FILE)
    (notice,) = [one for one in record["notices"] if "LEAKS ALLOWED" in one]
    assert "1 people of the test side (s" in notice
    assert "LEAKS ALLOWED" in record["data"]["split"]["remarks"][0]
    assert "LEAKS ALLOWED" in evaluate_trained(load_vectors(run), repeats=10)["split"]
    (said,) = predict_models([run], ScoringRequest(), load_run=load_vectors)
    assert said.notices == (f"{run}: ITS SPLIT LEAKS, so that its scores are too good",)


def test_a_run_that_leaked_before_anybody_looked_is_not_scored(
    cache: Path, stills: Path, tmp_path: Path
) -> None:
    out = tmp_path / "vectors"
    extractor = load_extractor(stills, architecture=IMAGE)
    extract_features(extractor, cache, out)
    record = read_json(out / FEATURES_FILE)
    old = {name: value for name, value in record.items() if name != "known"}
    (out / FEATURES_FILE).write_text(json.dumps(old))
    run = train(VECTORS, fold(out, 2), tmp_path / "run")
    (notice,) = [one for one in read_json(run / RUN_FILE)["notices"] if "NOT PROVEN" in one]
    assert "the same 'emotrace train features' again" in notice
    before = read_json(run / RUN_FILE)
    del before["data"]["known_through"]  # as an earlier version wrote it
    (run / RUN_FILE).write_text(json.dumps(before))
    assert "NOT PROVEN" in evaluate_trained(load_vectors(run), repeats=10)["split"]
    again = extract_features(extractor, cache, out)
    assert again.rows_before == again.rows  # nothing is computed again
    with pytest.raises(DatasetError, match="1 people of the test side"):
        evaluate_trained(load_vectors(run), repeats=10)
    with pytest.raises(DatasetError, match="1 people of the test side"):
        predict_models([run], ScoringRequest(), load_run=load_vectors)


def test_the_same_names_in_other_data_prove_it_only_of_published_data_sets(
    cache: Path, stills: Path, tmp_path: Path
) -> None:
    """Each drawn population, and anybody's own table, may count people from the first anew."""
    extractor = load_extractor(stills, architecture=IMAGE)
    again = write_cache(tmp_path / "again", clips=18, subjects=6, frames=6)
    extract_features(extractor, again, tmp_path / "vectors")
    run = train(VECTORS, fold(tmp_path / "vectors", 2), tmp_path / "run")
    (notice,) = [one for one in read_json(run / RUN_FILE)["notices"] if "NOT PROVEN" in one]
    assert "to be mere namesakes: 1 people of the test side (s" in notice
    # As of people that a run knows itself, namesakes in further data are not scored.
    other = write_cache(tmp_path / "third", clips=18, subjects=6, frames=7)
    extract_features(extractor, other, tmp_path / "theirs")
    (measured,) = sides(run)["test"]
    request = ScoringRequest(data=fold(tmp_path / "theirs", 2), is_split_chosen=True)
    with pytest.raises(
        DatasetError,
        match=rf"tiny-image of the run stills, which the run {run} builds on, was not chosen by; "
        rf"got 1 people in common with its validation side \({measured}\)",
    ):
        predict_models([run], request, load_run=load_vectors)

    published = renamed(write_cache(tmp_path / "p1", clips=18, subjects=6), "ravdess")
    cnn = train(IMAGE, fold(published, 1), tmp_path / "cnn")
    others = renamed(write_cache(tmp_path / "p2", clips=18, subjects=6, frames=6), "ravdess")
    extract_features(load_extractor(cnn, architecture=IMAGE), others, tmp_path / "v2")
    with pytest.raises(DatasetError, match="1 people of the test side"):
        train(VECTORS, fold(tmp_path / "v2", 2), tmp_path / "refused")
    train(VECTORS, fold(tmp_path / "v2", 1), tmp_path / "fine")
    # The people of another data set are others, whatever their names.
    shutil.rmtree(tmp_path / "v2")
    extract_features(extractor, others, tmp_path / "v2")
    run = train(VECTORS, fold(tmp_path / "v2", 2), tmp_path / "stranger")
    assert "NOT PROVEN" not in "".join(read_json(run / RUN_FILE)["notices"])


def test_what_a_network_began_as_is_known_too(cache: Path, stills: Path, tmp_path: Path) -> None:
    start = StartSettings(initialise_from=stills)
    part = replace(start, initialise_part="network.trunk", initialise_into="trunk")
    for settings in (part, replace(part, initialise_from=stills / "checkpoints/best.ckpt")):
        with pytest.raises(DatasetError, match="1 people of the test side"):
            train(SEQUENCE, fold(cache, 2), tmp_path / "joint", start=settings)
    train(SEQUENCE, fold(cache, 1), tmp_path / "fine", start=part)
    # Through two: of other data, but begun as a network that learned from this.
    elsewhere = renamed(write_cache(tmp_path / "far", clips=18, subjects=6, frames=6), "others")
    middle = train(IMAGE, fold(elsewhere, 2), tmp_path / "middle", start=start)
    extract_features(load_extractor(middle, architecture=IMAGE), cache, tmp_path / "vectors")
    with pytest.raises(DatasetError, match="1 people of the test side"):
        train(VECTORS, fold(tmp_path / "vectors", 2), tmp_path / "gru")
    train(VECTORS, fold(tmp_path / "vectors", 1), tmp_path / "gru")


def test_what_is_not_recorded_is_said_to_be_unproven(
    cache: Path, stills: Path, tmp_path: Path
) -> None:
    silent = tmp_path / "silent"
    shutil.copytree(load_bundle().folder, silent)
    spec = read_spec(silent)
    silenced = {key: value for key, value in spec.results.items() if key != "training"}
    (silent / SPEC_FILE).write_text(json.dumps(spec_to_json(replace(spec, results=silenced))))
    options = {"features": 16}
    # The default bundle says that it learned from FER+: nobody of another data set is known to it.
    for bundle, is_in_doubt in (("default", False), (silent, True)):
        vectors, folder = tmp_path / f"outputs-{is_in_doubt}", tmp_path / f"of-{is_in_doubt}"
        extract_features(load_extractor(bundle), cache, vectors)
        run = train(VECTORS, fold(vectors, 2), folder, options=options)
        notices = "".join(read_json(run / RUN_FILE)["notices"])
        assert ("NOT PROVEN" in notices) == is_in_doubt
        assert ("the bundle" in notices) == is_in_doubt
    # Weights in a file of their own have left their run behind.
    loose = tmp_path / "loose.ckpt"
    shutil.copyfile(stills / "checkpoints/best.ckpt", loose)
    run = train(IMAGE, fold(cache, 2), tmp_path / "m", start=StartSettings(initialise_from=loose))
    assert "loose.ckpt" in "".join(
        one for one in read_json(run / RUN_FILE)["notices"] if "NOT PROVEN" in one
    )
    extract_features(load_extractor(run, architecture=IMAGE), cache, tmp_path / "v")
    (said,) = read_json(tmp_path / "v" / FEATURES_FILE)["known"]["unknown"]
    assert "loose.ckpt" in said
    made = NetworkExtractor(TinyImage(TinyOptions()), TinyOptions(), name="made here")
    extract_features(made, cache, tmp_path / "own")
    run = train(VECTORS, fold(tmp_path / "own", 2), tmp_path / "n")
    assert "made here" in "".join(read_json(run / RUN_FILE)["notices"])


def test_a_bundle_of_ferplus_knows_nobody_elsewhere(tmp_path: Path) -> None:
    known = known_by_start(Path("default"))
    assert known.unknown == ()
    assert [one.datasets for one in known.met] == [("ferplus",)]
    assert "do not say" in known_by_start(tmp_path / "weights.pt").unknown[0]
