"""Changes of faces: each does what it says, repeats, and its cost is worked out in pairs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from emotrace.bundle import load_bundle
from emotrace.datasets.ferplus import load_ferplus, majority_labels
from emotrace.training.robustness import (
    CONDITIONS,
    Condition,
    _brightened,
    _compare,
    _framed,
    _lit_from_a_side,
    _Scored,
    apply_condition,
    measure_robustness,
)

BY_NAME = {condition.name: condition for condition in CONDITIONS}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (6, 48, 48), dtype=np.uint8)
    return np.stack([cv2.GaussianBlur(image, (0, 0), 3) for image in noise])


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_every_condition_changes_every_face_and_repeats(
    condition: Condition, images: np.ndarray
) -> None:
    before = images.copy()
    changed = apply_condition(condition, images)
    np.testing.assert_array_equal(images, before)
    assert changed.shape == images.shape
    assert changed.dtype == np.uint8
    assert all((a != b).any() for a, b in zip(changed, images, strict=True))
    np.testing.assert_array_equal(apply_condition(condition, images), changed)


def test_names_are_distinct_and_the_asked_for_ones_are_there() -> None:
    assert len(BY_NAME) == len(CONDITIONS)
    limits = {c.name: c.wanted_points for c in CONDITIONS if c.wanted_points is not None}
    assert limits.pop("24 px") == 4
    assert set(limits) == {
        "box jitter", "box scale", "roll", "JPEG 30", "blur", "gamma", "side light"
    }  # fmt: skip
    assert set(limits.values()) == {2}


def test_a_shifted_box_sees_what_lies_there_and_repeats_the_edge(images: np.ndarray) -> None:
    image = images[0]
    moved = _framed(image, shift=(6 / 48, -3 / 48))
    np.testing.assert_array_equal(moved[3:, :-6], image[:-3, 6:])
    np.testing.assert_array_equal(moved[3:, -6:], np.repeat(image[:-3, -1:], 6, axis=1))
    np.testing.assert_array_equal(moved[:3, :-6], np.repeat(image[:1, 6:], 3, axis=0))


def test_a_larger_box_makes_the_face_smaller_about_its_middle() -> None:
    image = np.zeros((48, 48), np.uint8)
    image[12:36, 12:36] = 255
    for scale, side in ((0.8, 30), (1.25, 19.2)):
        framed = _framed(image, scale=scale).astype(float) / 255
        assert framed.sum() == pytest.approx(side**2, rel=0.03)
        np.testing.assert_allclose(framed, framed[::-1, ::-1], atol=2 / 255)


def test_a_turn_is_a_turn_about_the_middle() -> None:
    image = np.zeros((48, 48), np.uint8)
    image[:, 22:26] = 255
    quarter = _framed(image, roll_degrees=90)
    np.testing.assert_array_equal(quarter, image.T)
    there = _framed(image, roll_degrees=20)
    rows, columns = np.nonzero(there > 127)
    slope = np.polyfit(rows, columns, 1)[0]
    assert abs(slope) == pytest.approx(np.tan(np.radians(20)), abs=0.03)


def test_gamma_keeps_black_and_white() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(_brightened(ramp, 1.0), ramp)
    assert _brightened(ramp, 0.5).flat[64] == round(255 * (64 / 255) ** 0.5)
    for gamma in (0.5, 2.0):
        found = _brightened(ramp, gamma)
        assert [int(found.flat[0]), int(found.flat[255])] == [0, 255]


def test_light_from_a_side_darkens_the_other() -> None:
    grey = np.full((48, 48), 100, np.uint8)
    lit = [_lit_from_a_side(grey, np.random.default_rng(seed)) for seed in range(8)]
    assert {(int(x[0, 0]), int(x[0, -1])) for x in lit} == {(40, 160), (160, 40)}


def test_losses_are_differences_face_by_face() -> None:
    truth = np.array([0] * 8 + [1] * 2)
    before = _Scored(training=truth.copy(), default=truth.copy(), rejected=None)
    worse = truth.copy()
    worse[8] = 0
    after = _Scored(training=worse, default=worse, rejected=0.5)
    found = _compare(truth, before, after, 2)
    assert (found["accuracy"], found["accuracy_lost"]) == (90, 10)
    assert (found["recall"], found["recall_lost"]) == (75, 25)
    low, high = found["accuracy_lost_interval_95"]
    assert 0 <= low <= 10 <= high <= 40
    assert found["rejected"] == 0.5
    same = _compare(truth, after, after, 2)
    assert same["accuracy_lost_interval_95"] == same["recall_lost_interval_95"] == [0, 0]


def test_a_bundle_is_scored_as_it_predicts(full_bundle: Path, faces: Path) -> None:
    split = load_ferplus(faces, "test")
    truth = majority_labels(split.votes)
    known = truth >= 0
    training = load_bundle(full_bundle, prior="training")
    default = load_bundle(full_bundle)
    steps: list[None] = []
    found = measure_robustness(
        training, default, split.images[known], truth[known], advance=lambda: steps.append(None)
    )
    assert found["n"] == known.sum() == 47
    assert len(steps) == len(CONDITIONS) + 1
    assert [row["name"] for row in found["conditions"]] == list(BY_NAME)
    blurred = apply_condition(BY_NAME["blur"], split.images[known])
    said = training.predict([np.dstack([image] * 3) for image in blurred])
    accuracy = 100 * float((said.probabilities.argmax(axis=1) == truth[known]).mean())
    row = next(row for row in found["conditions"] if row["name"] == "blur")
    assert row["accuracy"] == pytest.approx(accuracy, abs=0.01)
    assert row["accuracy_lost"] == pytest.approx(
        found["unchanged"]["accuracy"] - row["accuracy"], abs=0.011
    )
    assert said.face_probabilities is not None
    rejected = float((said.face_probabilities < 0.2).mean())
    assert row["rejected"] == pytest.approx(rejected, abs=1e-4)
