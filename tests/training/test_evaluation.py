"""Scoring a bundle, against scores worked out apart."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, recall_score

from emotrace.bundle import load_bundle
from emotrace.bundle_spec import SPEC_FILE, read_spec, spec_to_json
from emotrace.datasets.ferplus import argmax_labels, load_ferplus, majority_labels
from emotrace.errors import BundleError, DatasetError
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS
from emotrace.training.evaluation import _without_contempt, evaluate_ferplus, predict_split
from emotrace.training.scoring import measure_speed
from tests.datasets.fake_ferplus import write_fake_ferplus


def test_a_split_is_predicted_as_its_single_faces_are(faces: Path) -> None:
    split, bundle = load_ferplus(faces, "test"), load_bundle()
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


def test_scores_are_those_of_scikit_learn_on_the_same_predictions(faces: Path) -> None:
    results = evaluate_ferplus("default", faces)
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    split = load_ferplus(faces, "test")
    seven = np.array([EMOTIONS.index(name) for name in FER2013_EMOTIONS])
    labels = {
        "majority": majority_labels(split.votes),
        "argmax": argmax_labels(split.votes),
        "fer2013": np.where(split.fer2013_labels >= 0, seven[split.fer2013_labels], -1),
    }
    assert list(results["priors"])[:3] == ["training", "default", "uniform"]
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


def test_the_protocols_differ_in_whom_they_count_and_duplicates_are_left_out(faces: Path) -> None:
    protocols = evaluate_ferplus("default", faces)["priors"]["default"]
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


def test_a_bundle_without_the_optional_fields_is_scored_all_the_same(
    full_bundle: Path, faces: Path, tmp_path: Path
) -> None:
    """As bundles of before they could be stated."""
    folder = tmp_path / "older"
    shutil.copytree(full_bundle, folder)
    older = dataclasses.replace(
        read_spec(folder), temperatures={}, face_threshold=None, uncertain_threshold=None
    )
    later = ("votes", "fer2013")
    priors = {name: shares for name, shares in older.priors.items() if name not in later}
    older = dataclasses.replace(older, priors=priors, results={})
    (folder / SPEC_FILE).write_text(json.dumps(spec_to_json(older)))
    results = evaluate_ferplus(folder, faces)
    assert list(results["priors"]) == ["training", "default", "uniform"]
    assert (results["uncertain"], results["not_face"], results["cost"]) == (None, None, {})
    assert "robustness" not in results


def test_intervals_hold_the_measures(
    full_results: dict[str, Any],
) -> None:
    for protocols in full_results["priors"].values():
        for protocol in ("majority", "argmax", "fer2013"):
            for scores in (protocols[protocol], protocols[protocol]["without_duplicates"]):
                low, high = scores["accuracy_interval_95"]
                assert 0 <= low <= scores["accuracy"] <= high <= 1
                low, high = scores["unweighted_average_recall_interval_95"]
                assert 0 <= low <= scores["unweighted_average_recall"] <= high + 0.01 <= 1.01


def test_flips_average_a_picture_and_its_mirror_image(
    full_bundle: Path, faces: Path, full_results: dict[str, Any]
) -> None:
    split, bundle = load_ferplus(faces, "test"), load_bundle(full_bundle)
    crops = [np.dstack([image] * 3) for image in split.images]
    mirrored = [np.ascontiguousarray(crop[:, ::-1]) for crop in crops]
    both = (bundle.predict_crops(crops) + bundle.predict_crops(mirrored)) / 2
    truth = argmax_labels(split.votes)
    found = full_results["with_flips"]["default"]["argmax"]
    assert found["accuracy"] == pytest.approx((both.argmax(axis=1) == truth).mean(), abs=6e-5)
    assert found["n"] == 48


def test_the_threshold_is_scored_for_every_expression(
    full_bundle: Path, faces: Path, full_results: dict[str, Any]
) -> None:
    split, bundle = load_ferplus(faces, "test"), load_bundle(full_bundle)
    probabilities = predict_split(bundle, split).probabilities
    kept, truth = probabilities.max(axis=1) >= 0.4, argmax_labels(split.votes)
    found = full_results["uncertain"]
    assert found["argmax"]["coverage"] == pytest.approx(kept.mean())
    assert found["majority"]["n"] == 47
    for at, name in enumerate(EMOTIONS):
        expected = kept[truth == at].mean()
        assert found["kept_by_expression"][name] == pytest.approx(expected, abs=6e-5)


def test_rejected_faces_are_counted(
    full_bundle: Path, faces: Path, full_results: dict[str, Any]
) -> None:
    said = predict_split(load_bundle(full_bundle), load_ferplus(faces, "test"))
    assert said.face_probabilities is not None
    share = float((said.face_probabilities < 0.2).mean())
    assert full_results["not_face"] == {
        "threshold": 0.2, "n": 48, "faces_rejected": pytest.approx(share, abs=6e-5)
    }  # fmt: skip


def divergence(votes: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over faces of the sum of p log(p / q), by torch."""
    shares = torch.from_numpy(votes / votes.sum(axis=1, keepdims=True))
    logs = torch.from_numpy(probabilities.astype(float)).log()
    return float(torch.nn.functional.kl_div(logs, shares, reduction="batchmean"))


def test_the_divergence_is_torchs_with_and_without_single_votes_and_temperature(
    full_bundle: Path, faces: Path, full_results: dict[str, Any], tmp_path: Path
) -> None:
    split = load_ferplus(faces, "test")
    emotions = split.votes[:, :8]
    single = np.where(emotions > 1, emotions, 0)
    found = predict_split(load_bundle(full_bundle, prior="training"), split).probabilities
    scores = full_results["priors"]["training"]
    assert scores["kl_divergence_n"] == 48
    for name, votes in (("votes", single), ("cast_votes", emotions)):
        expected = divergence(votes, found)
        assert scores[f"kl_divergence_to_{name}"] == pytest.approx(expected, abs=1e-4)
    folder = tmp_path / "plain"
    shutil.copytree(full_bundle, folder)
    plain = dataclasses.replace(read_spec(folder), temperatures={})
    (folder / SPEC_FILE).write_text(json.dumps(spec_to_json(plain)))
    before = predict_split(load_bundle(folder, prior="training"), split).probabilities
    expected = divergence(single, before)
    found_before = scores["kl_divergence_to_votes_before_temperature"]
    assert found_before == pytest.approx(expected, abs=1e-4)
    assert found_before != scores["kl_divergence_to_votes"]


def test_the_model_is_timed() -> None:
    found = measure_speed(load_bundle(), runs=20)
    assert 0 < found["milliseconds_tenth"] <= found["milliseconds_median"] < 1000


def test_scoring_loads_no_torch() -> None:
    code = "import sys, emotrace.training.evaluation; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
