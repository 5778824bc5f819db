"""One answer for each video, and the difference between two networks' answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emotrace.errors import TrainingError, UsageError
from emotrace.models.architecture import Head, HeadKind
from emotrace.papers.answers import answer_videos, compare_answers
from emotrace.training.targets import HeadTargets
from emotrace.training.zoo.evaluation import score_predictions
from emotrace.training.zoo.predictions import SetPredictions, cut_predictions

HEAD = Head(name="expression", kind=HeadKind.CATEGORICAL, size=2)


def predictions(
    videos: list[str], logits: list[list[float]], truth: list[int], subjects: list[str]
) -> SetPredictions:
    return SetPredictions(
        title="toy",
        side="test",
        heads=(HeadTargets(head=HEAD, names=("anger", "fear")),),
        rows=np.arange(len(videos)),
        videos=np.array(videos),
        subjects=np.array(subjects),
        outputs={HEAD.name: np.array(logits, np.float32)},
        targets={HEAD.name: np.eye(2, dtype=np.float32)[truth]},
        split="toy split",
    )


def test_a_sequence_answers_at_its_last_frame() -> None:
    found = predictions(
        ["b", "b", "b", "a", "a"],
        [[9, 0], [9, 0], [0, 1], [0, 9], [1, 0]],
        [0, 0, 0, 1, 1],
        ["s"] * 5,
    )
    last = answer_videos(found, by="last_frame")
    assert last.rows.tolist() == [2, 4]
    assert last.videos.tolist() == ["b", "a"]
    assert last.outputs[HEAD.name].tolist() == [[0, 1], [1, 0]]
    # The frames before say the other thing, and more surely.
    summed = answer_videos(found, by="summed_probabilities")
    assert summed.rows.tolist() == [2, 4]
    assert summed.outputs[HEAD.name].argmax(axis=1).tolist() == [0, 1]
    probabilities = np.exp(summed.outputs[HEAD.name])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    expected = np.mean([1 / (1 + np.exp(9)), 1 / (1 + np.exp(9)), 1 / (1 + np.exp(-1))])
    assert probabilities[0, 1] == pytest.approx(expected, rel=1e-4)


def test_frames_without_an_answer_are_passed_over_and_videos_without_one_counted() -> None:
    nan = float("nan")
    found = predictions(
        ["a", "a", "b"], [[1, 0], [nan, nan], [nan, nan]], [0, 0, 1], ["s", "s", "t"]
    )
    for rule in ("last_frame", "summed_probabilities"):
        answers = answer_videos(found, by=rule)
        assert answers.rows.tolist() == [0, 2]
        scores = score_predictions(answers)["heads"][HEAD.name]
        assert (scores["n"], scores["unpredicted"], scores["accuracy"]) == (1, 1, 1.0)


def test_the_difference_is_that_of_the_videos_both_answer() -> None:
    videos = [f"v{at}" for at in range(8)]
    subjects = [f"s{at // 2}" for at in range(8)]
    truth = [0, 1] * 4
    right = [[1.0, 0.0] if label == 0 else [0.0, 1.0] for label in truth]
    first = predictions(videos, right, truth, subjects)
    second = predictions(videos, [[1.0, 0.0]] * 8, truth, subjects)
    cut = cut_predictions(first, np.arange(2, 8))
    facts = compare_answers([(cut, second)])
    assert facts["n"] == 6
    assert facts["groups"] == 3
    assert facts["intervals_over"] == "subject"
    # Everybody has one of each class: every draw of people gives the same difference.
    assert facts["accuracy"]["first"] == 1.0
    assert facts["accuracy"]["difference"] == 0.5
    assert facts["accuracy"]["interval_95"] == [0.5, 0.5]
    turned = compare_answers([(second, cut), (second, first)])
    assert turned["n"] == 14
    assert turned["pairs"] == 2
    assert turned["accuracy"]["difference"] == -0.5


def test_what_cannot_be_compared_is_refused() -> None:
    one = predictions(["a", "b"], [[1, 0], [0, 1]], [0, 1], ["s", "t"])
    with pytest.raises(UsageError, match="share none"):
        compare_answers([(one, replace(one, rows=one.rows + 5))])
    values = HeadTargets(
        head=Head(name="expression", kind=HeadKind.CONTINUOUS, size=2), names=("valence", "arousal")
    )
    with pytest.raises(TrainingError, match="tells classes apart"):
        answer_videos(replace(one, heads=(values,)), by="last_frame")
