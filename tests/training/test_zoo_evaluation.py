"""Scores of trained networks and comparisons of two, against the metrics themselves."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score

from emotrace.errors import DatasetError, TrainingError, UsageError
from emotrace.labels import EMOTIONS
from emotrace.metrics import concordance_correlation
from emotrace.models.architecture import Head, HeadKind
from emotrace.training.bundle_predictions import predict_bundle
from emotrace.training.feature_cache import extract_features
from emotrace.training.run_export import export_zoo_run
from emotrace.training.stretches import ExampleWindows
from emotrace.training.targets import HeadTargets
from emotrace.training.zoo.comparison import compare_predictions
from emotrace.training.zoo.data import load_data
from emotrace.training.zoo.evaluation import evaluate_trained, score_predictions
from emotrace.training.zoo.fit import fit_zoo
from emotrace.training.zoo.predictions import SetPredictions, predict_side
from emotrace.training.zoo.recipe import DataSettings
from emotrace.training.zoo.run import TrainedNetwork, load_trained
from tests.training.test_zoo_features import make_extractor
from tests.training.tiny_zoo import CLIP, IMAGE, SEQUENCE, VECTORS, tiny_recipe, write_cache

NAN = float("nan")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("tiny"), clips=18, subjects=6, frames=10, gap_at=7)


def train(cache: Path, run: Path, row: Any, **changes: Any) -> TrainedNetwork:
    recipe = replace(
        tiny_recipe(row, cache, epochs=1, **changes),
        data=DataSettings(data=cache, validation_share=0.2, test_share=0.34),
    )
    fit_zoo(recipe, run, architecture=row)
    return load_trained(run, architecture=row)


@pytest.fixture(scope="module")
def sequence(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    options = {"values": 2, "units": 1}
    return train(cache, tmp_path_factory.mktemp("runs") / "s", SEQUENCE, options=options)


# --- what is predicted ---------------------------------------------------------------------------


def test_sequences_run_over_whole_stretches_with_their_state(
    cache: Path, sequence: TrainedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotrace.training.zoo.predictions._PIECE_STEPS", 3)
    found = predict_side(sequence, side="test", batch_size=4)
    record = sequence.record
    data = load_data(record.recipe, kind=SEQUENCE.kind, heads=sequence.network.heads)
    whole = data.whole("test")
    assert sorted(set(whole.steps.tolist())) == [2, 7]  # frames 0-6 and 8-9 of each clip
    assert len(found.rows) == int(whole.steps.sum()) == 9 * 9
    for at in range(len(whole)):
        rows = whole.first[at] + np.arange(whole.steps[at])
        pictures = torch.from_numpy(whole.source.read(rows)).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            expected = sequence.network(pictures[None]).outputs[0]
        here = np.searchsorted(found.rows, rows)
        assert set(found.videos[here].tolist()) == {whole.name(at).split()[0]}
        np.testing.assert_allclose(
            found.outputs["expression"][here], expected[:, :3].numpy(), atol=1e-6
        )


def test_steps_that_lie_apart_are_predicted_as_they_were_taught(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotrace.training.zoo.predictions._PIECE_STEPS", 2)
    windows = ExampleWindows(steps=2, spacing=2)
    trained = train(cache, tmp_path, SEQUENCE, windows=windows)
    found = predict_side(trained, side="test", batch_size=4)
    assert np.isfinite(found.outputs["expression"]).all()
    assert len(found.rows) == 9 * 9
    data = load_data(trained.record.recipe, kind=SEQUENCE.kind, heads=trained.network.heads)
    names, source = data.train.names, data.train.source
    for video in set(found.videos.tolist()):
        own = found.rows[found.videos == video]
        for start, end in ((0, 7), (8, 10)):  # a frame is missing in between
            stretch = own[(names.frame[own] >= start) & (names.frame[own] < end)]
            for rows in (stretch[::2], stretch[1::2]):
                pictures = torch.from_numpy(source.read(rows)).permute(0, 3, 1, 2).float() / 255
                with torch.no_grad():
                    expected = trained.network(pictures[None]).outputs[0]
                said = found.outputs["expression"][np.searchsorted(found.rows, rows)]
                np.testing.assert_allclose(said, expected.numpy(), atol=1e-6)


def test_networks_of_windows_predict_what_windows_reach_and_values_fill_the_rest(
    cache: Path, tmp_path: Path
) -> None:
    windows = ExampleWindows(steps=3, target_offset=1, step_targets="last")
    trained = train(cache, tmp_path, SEQUENCE, windows=windows, options={"classes": 3, "values": 2})
    found = predict_side(trained, side="test")
    data = load_data(trained.record.recipe, kind=SEQUENCE.kind, heads=trained.network.heads)
    frames = data.sides["test"].names.frame[found.rows]
    is_predicted = np.isfinite(found.outputs["expression"]).all(axis=1)
    # Of frames 0-6 and 8-9, windows of three predict 3 to 6.
    assert set(frames[is_predicted].tolist()) == {3, 4, 5, 6}
    values = found.outputs["valence_arousal"]
    assert np.isfinite(values).all()
    for video in set(found.videos.tolist()):
        own = values[found.videos == video]
        assert (own[:3] == own[3]).all()  # held at the ends
        assert (own[-2:] == own[6]).all()
    scores = score_predictions(found, repeats=50)
    expression = scores["heads"]["expression"]
    assert (expression["n"], expression["unpredicted"]) == (9 * 4, 9 * 5)
    assert scores["heads"]["valence_arousal"]["valence"]["n"] == 9 * 9
    # Over stretches the same network predicts every frame but the first of each.
    stretched = predict_side(trained, side="test", over="stretches")
    known = np.isfinite(stretched.outputs["expression"]).all(axis=1)
    assert set(frames[known].tolist()) == {1, 2, 3, 4, 5, 6, 9}


@pytest.mark.parametrize("row", [IMAGE, CLIP], ids=lambda row: row.name)
def test_pictures_and_clips_are_predicted_where_they_end(
    cache: Path, tmp_path: Path, row: Any
) -> None:
    trained = train(cache, tmp_path, row)
    found = predict_side(trained, side="validation", batch_size=5)
    data = load_data(trained.record.recipe, kind=row.kind, heads=trained.network.heads)
    frames = data.sides["validation"].names.frame[found.rows]
    known = np.isfinite(found.outputs["expression"]).all(axis=1)
    expected = set(range(10)) - {7} if row is IMAGE else {3, 4, 5, 6}
    assert set(frames[known].tolist()) == expected
    assert set(found.subjects.tolist()) == {"s2"} or len(set(found.subjects.tolist())) == 1


def test_a_side_that_is_not_there_is_refused(cache: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe(IMAGE, cache, epochs=1)
    fit_zoo(recipe, tmp_path, architecture=IMAGE)
    with pytest.raises(DatasetError, match=r"expected a test side of the split .*; there is 66:34"):
        predict_side(load_trained(tmp_path, architecture=IMAGE), side="test")


def test_data_that_is_no_longer_what_was_learned_from_is_refused(
    cache: Path, tmp_path: Path
) -> None:
    own = tmp_path / "cache"
    shutil.copytree(cache, own)
    vectors = tmp_path / "vectors"
    extract_features(make_extractor(0), own, vectors)
    pictures = train(own, tmp_path / "pictures", IMAGE)
    run = tmp_path / "run"
    on_vectors = train(vectors, run, VECTORS)
    predict_side(on_vectors, side="test")
    extract_features(make_extractor(1), own, vectors, overwrite=True)
    with pytest.raises(UsageError, match=r"those in .* are another's, or of other weights"):
        predict_side(on_vectors, side="test")
    with pytest.raises(TrainingError, match="has changed since; choose another run folder"):
        fit_zoo(on_vectors.record.recipe, run, architecture=VECTORS, resume=True)
    manifest = json.loads((own / "cache.json").read_text())
    (own / "cache.json").write_text(json.dumps({**manifest, "note": "labels corrected"}))
    with pytest.raises(DatasetError, match="it has changed since"):
        evaluate_trained(pictures, side="test", repeats=10)
    bundle = export_zoo_run(tmp_path / "pictures", tmp_path / "bundle", architecture=IMAGE)
    assert "test" not in json.loads((bundle / "spec.json").read_text())["results"]


# --- how it is scored ----------------------------------------------------------------------------

CLASSES = HeadTargets(
    head=Head(name="expression", kind=HeadKind.CATEGORICAL, size=3), names=("a", "b", "c")
)
VALUES = HeadTargets(
    head=Head(name="valence_arousal", kind=HeadKind.CONTINUOUS, size=2),
    names=("valence", "arousal"),
)
UNITS = HeadTargets(
    head=Head(name="action_units", kind=HeadKind.MULTI_LABEL, size=2), names=("au_01", "au_02")
)


def made(seed: int, *, noise: float = 1.0, videos: int = 10, frames: int = 12) -> SetPredictions:
    """Predictions of which the truth follows from nothing but the number of rows."""
    count = videos * frames
    truth = np.random.default_rng(99)
    classes = np.repeat(truth.integers(3, size=videos), frames)
    values = truth.normal(0, 0.4, (count, 2)).astype(np.float32)
    units = truth.integers(0, 2, (count, 2)).astype(np.float32)
    units[::5, 1] = NAN
    rng = np.random.default_rng(seed)
    return SetPredictions(
        title=f"made {seed}",
        side="test",
        heads=(CLASSES, VALUES, UNITS),
        rows=np.arange(count),
        videos=np.repeat([f"v{at:02d}" for at in range(videos)], frames),
        subjects=np.repeat([f"s{at // 2}" for at in range(videos)], frames),
        outputs={
            "expression": (np.eye(3)[classes] + rng.normal(0, noise, (count, 3))).astype(
                np.float32
            ),
            "valence_arousal": (values + rng.normal(0, noise / 4, (count, 2))).astype(np.float32),
            "action_units": (np.nan_to_num(units) - 0.5 + rng.normal(0, noise, (count, 2))).astype(
                np.float32
            ),
        },
        targets={
            "expression": np.eye(3, dtype=np.float32)[classes],
            "valence_arousal": values,
            "action_units": units,
        },
        split="made",
    )


def test_scores_are_those_of_the_metrics_with_intervals_around_them() -> None:
    found = made(0)
    scores = score_predictions(found, repeats=200)
    assert (scores["frames"], scores["videos"], scores["intervals_over"]) == (120, 10, "subject")
    expression = scores["heads"]["expression"]
    truth = found.targets["expression"].argmax(axis=1)
    top = found.outputs["expression"].argmax(axis=1)
    assert expression["accuracy"] == pytest.approx(np.mean(truth == top), abs=1e-6)
    assert expression["unweighted_average_recall"] == pytest.approx(
        balanced_accuracy_score(truth, top), abs=1e-6
    )
    assert expression["macro_f1"] == pytest.approx(f1_score(truth, top, average="macro"), abs=1e-6)
    assert expression["groups"] == 5
    assert sum(sum(row.values()) for row in expression["confusion_matrix"].values()) == 120
    for name in ("accuracy", "unweighted_average_recall", "macro_f1"):
        low, high = expression["intervals_95"][name]
        assert low < expression[name] < high
    # By vote of its frames a video is more often right than a frame is.
    by_sum = expression["videos"]["summed_probabilities"]
    assert by_sum["n"] == 10
    assert by_sum["accuracy"] > expression["accuracy"]
    valence = scores["heads"]["valence_arousal"]["valence"]
    expected = concordance_correlation(
        found.targets["valence_arousal"][:, 0], found.outputs["valence_arousal"][:, 0]
    )
    assert valence["ccc"]["whole_set"] == pytest.approx(expected, abs=1e-6)
    assert len(valence["per_group"]) == 10
    assert valence["over_subjects"]["groups"] == 5
    units = scores["heads"]["action_units"]
    known = np.isfinite(found.targets["action_units"][:, 1])
    expected = f1_score(
        found.targets["action_units"][known, 1], found.outputs["action_units"][known, 1] > 0
    )
    assert units["f1"]["au_02"] == pytest.approx(expected, abs=1e-6)


def test_intervals_over_videos_are_narrower_than_over_their_subjects() -> None:
    """Subjects that are easy or hard as a whole: their videos are not independent."""
    found = made(0, noise=0.01, videos=12)
    outputs = found.outputs["expression"].copy()
    hard = np.isin(found.subjects, ["s1", "s4"])
    outputs[hard] = np.roll(outputs[hard], 1, axis=1)
    changed = replace(found, outputs={**found.outputs, "expression": outputs})
    width = {}
    for unit in ("video", "subject"):
        scores = score_predictions(changed, unit=unit, repeats=400)
        low, high = scores["heads"]["expression"]["intervals_95"]["accuracy"]
        width[unit] = high - low
    assert width["subject"] > 1.2 * width["video"]


def test_where_nobody_is_known_videos_are_drawn() -> None:
    unknown = replace(made(0), subjects=np.full(120, ""))
    assert score_predictions(unknown, repeats=20)["intervals_over"] == "video"
    with pytest.raises(UsageError, match="expected to know the subject of every video"):
        score_predictions(unknown, unit="subject", repeats=20)


def test_two_predictions_are_compared_on_the_same_frames() -> None:
    good, bad = made(0, noise=0.5), made(1, noise=3.0)
    found = compare_predictions(good, bad, repeats=200)
    accuracy = found["heads"]["expression"]["accuracy"]
    truth = good.targets["expression"].argmax(axis=1)
    for name, predictions in (("first", good), ("second", bad)):
        top = predictions.outputs["expression"].argmax(axis=1)
        assert accuracy[name] == pytest.approx(np.mean(top == truth), abs=1e-6)
    low, high = accuracy["interval_95"]
    assert 0 < low < accuracy["difference"] < high
    assert accuracy["p"] < 0.05
    mcnemar = found["heads"]["expression"]["mcnemar_over_videos"]
    assert mcnemar["n"] == 10
    assert found["heads"]["valence_arousal"]["arousal"]["ccc"]["difference"] > 0
    same = compare_predictions(good, good, repeats=50)
    assert same["heads"]["expression"]["accuracy"]["difference"] == 0
    assert same["heads"]["expression"]["mcnemar_over_videos"]["mid_p"] == 1


def test_predictions_of_other_data_are_not_compared() -> None:
    first = made(0)
    other = made(1)
    truth = other.targets["expression"].copy()
    truth[3] = np.roll(truth[3], 1)
    relabelled = replace(other, targets={**other.targets, "expression": truth})
    for second in (relabelled, replace(other, rows=other.rows + 1000), replace(other, heads=())):
        with pytest.raises(UsageError, match="predictions of the same frames with the same labels"):
            compare_predictions(first, second)
    # Frames that only one of them was asked about are left out.
    part = replace(
        other,
        rows=other.rows[24:],
        videos=other.videos[24:],
        subjects=other.subjects[24:],
        outputs={name: values[24:] for name, values in other.outputs.items()},
        targets={name: values[24:] for name, values in other.targets.items()},
    )
    assert compare_predictions(first, part, repeats=20)["frames"] == 96


def test_a_run_is_evaluated_and_compared_with_another(
    cache: Path, sequence: TrainedNetwork, tmp_path: Path
) -> None:
    scores = evaluate_trained(sequence, side="test", repeats=20)
    assert scores["predicted_by"] == "tiny-sequence, best.ckpt"
    assert scores["split"].startswith("46:20:34 by subject")
    assert set(scores["heads"]) == {"expression", "valence_arousal", "action_units"}
    stills = train(cache, tmp_path, IMAGE)
    found = compare_predictions(
        predict_side(sequence, side="test"), predict_side(stills, side="test"), repeats=20
    )
    assert (found["frames"], list(found["heads"])) == (81, ["expression"])


# --- bundles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [IMAGE, SEQUENCE], ids=lambda row: row.name)
def test_a_bundle_says_of_a_cache_what_its_network_says(
    cache: Path, tmp_path: Path, row: Any
) -> None:
    """Through ONNX, frame by frame with a memory for each face, and its spec."""
    trained = train(cache, tmp_path / "run", row, options={"values": 2})
    bundle = export_zoo_run(tmp_path / "run", tmp_path / "bundle", architecture=row, measure=False)
    settings = trained.record.recipe.data
    shipped = predict_bundle(bundle, settings, side="test")
    direct = predict_side(trained, side="test")
    np.testing.assert_array_equal(shipped.rows, direct.rows)
    for name, values in direct.targets.items():
        np.testing.assert_array_equal(shipped.targets[name], values)
    logits = torch.from_numpy(direct.outputs["expression"])
    expected = torch.log_softmax(logits, dim=1).numpy()
    # A gap of a frame is short enough for a memory to go on, where training began afresh.
    same = np.isin(frames_of(trained, direct), np.arange(7)) if row is SEQUENCE else slice(None)
    np.testing.assert_allclose(shipped.outputs["expression"][same], expected[same], atol=1e-4)
    clipped = np.clip(direct.outputs["valence_arousal"], -1, 1)
    np.testing.assert_allclose(shipped.outputs["valence_arousal"][same], clipped[same], atol=1e-4)
    found = compare_predictions(shipped, direct, repeats=20)
    assert found["heads"]["expression"]["mcnemar_over_videos"]["n"] == 9
    spec = json.loads((bundle / "spec.json").read_text())
    assert spec["priors"]["training"] == {
        name: pytest.approx(1 / 3, abs=1e-4) for name in ("anger", "happiness", "surprise")
    }


def frames_of(trained: TrainedNetwork, found: SetPredictions) -> np.ndarray:
    data = load_data(trained.record.recipe, kind=SEQUENCE.kind, heads=trained.network.heads)
    return np.asarray(data.sides["test"].names.frame[found.rows])


def test_bundles_are_refused_where_they_do_not_fit(cache: Path) -> None:
    with pytest.raises(DatasetError, match="expected a test side of the split"):
        predict_bundle("default", DataSettings(data=cache))
    settings = DataSettings(data=cache, validation_share=0.34)
    found = predict_bundle("default", settings, side="validation")
    assert found.heads[0].names == EMOTIONS
    scores = score_predictions(found, repeats=20)
    assert scores["heads"]["expression"]["n"] == 9 * 9
