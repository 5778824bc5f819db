"""Scoring a bundle, against scores worked out apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from emotrace.bundle import load_bundle
from emotrace.datasets.ferplus import argmax_labels, load_ferplus, majority_labels
from emotrace.errors import BundleError, DatasetError
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS
from emotrace.training.evaluation import _without_contempt, evaluate_ferplus, predict_split
from tests.datasets.fake_ferplus import make_rows, write_fake_ferplus, write_rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 test faces, two of them training faces, one without a majority."""
    folder = tmp_path_factory.mktemp("data")
    train, test = make_rows("train", 24, 0), make_rows("test", 48, 2)
    for number in (3, 9):
        test[number]["image"] = train[number]["image"]
    for name in ("neutral", "happiness"):
        test[20][f"votes_{name}"] = 5
    return write_rows([*train, *test], folder)


def test_a_split_is_predicted_as_its_single_faces_are(data: Path) -> None:
    split, bundle = load_ferplus(data, "test"), load_bundle()
    found = predict_split(bundle, split)
    assert found.probabilities.shape == (48, 8)
    assert found.face_probabilities is not None
    for at in (0, 17, 47):
        crop = np.dstack([split.images[at]] * 3)
        np.testing.assert_array_equal(bundle.predict_crops([crop])[0], found.probabilities[at])


def test_what_went_to_contempt_is_shared_in_proportion() -> None:
    row = np.array([[0.1, 0.5, 0.0, 0.0, 0.3, 0.1, 0.0, 0.0]], np.float32)
    expected = [[0.2, 0, 0, 0, 0.6, 0.2, 0, 0]]
    np.testing.assert_allclose(_without_contempt(row), expected, rtol=1e-6)
    assert row[0, 1] == 0.5  # the caller's own is not written to


def test_scores_are_those_of_scikit_learn_on_the_same_predictions(data: Path) -> None:
    results = evaluate_ferplus("default", data)
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    split = load_ferplus(data, "test")
    seven = np.array([EMOTIONS.index(name) for name in FER2013_EMOTIONS])
    labels = {
        "majority": majority_labels(split.votes),
        "argmax": argmax_labels(split.votes),
        "fer2013": np.where(split.fer2013_labels >= 0, seven[split.fer2013_labels], -1),
    }
    assert list(results["priors"]) == ["training", "default", "uniform"]
    for prior, protocols in results["priors"].items():
        probabilities = predict_split(load_bundle(prior=prior), split).probabilities
        for protocol, truth in labels.items():
            kept = probabilities.copy()
            if protocol == "fer2013":
                kept[:, EMOTIONS.index("contempt")] = -1
            known = truth >= 0
            top, scores = kept.argmax(axis=1), protocols[protocol]
            assert scores["n"] == known.sum()
            for measure, expected in (
                ("accuracy", accuracy_score(truth[known], top[known])),
                (
                    "unweighted_average_recall",
                    recall_score(
                        truth[known],
                        top[known],
                        labels=sorted(set(truth[known].tolist())),
                        average="macro",
                    ),
                ),
                ("macro_f1", f1_score(truth[known], top[known], average="macro")),
            ):
                assert scores[measure] == pytest.approx(expected, abs=6e-5), (prior, protocol)
            low, high = scores["accuracy_interval_95"]
            assert low <= scores["accuracy"] <= high
            rows = [sum(row.values()) for row in scores["confusion_matrix"].values()]
            assert sum(rows) == scores["n"]


def test_the_protocols_differ_in_whom_they_count_and_duplicates_are_left_out(data: Path) -> None:
    protocols = evaluate_ferplus("default", data)["priors"]["default"]
    assert protocols["argmax"]["n"] == 48
    assert protocols["majority"]["n"] == 47
    # Every eighth fake row has no label of FER2013.
    assert protocols["fer2013"]["n"] == 42
    assert protocols["argmax"]["without_duplicates"]["n"] == 46
    assert "contempt" not in protocols["fer2013"]["recall"]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected ferplus\.parquet"):
        evaluate_ferplus("default", tmp_path)
    data = write_fake_ferplus(tmp_path, train=8, validation=8, test=8)
    with pytest.raises(BundleError, match="got 'nothing'"):
        evaluate_ferplus("nothing", data)
