"""Folds put together, and tzirakis2021's chain fitted on one side and applied to another."""

from __future__ import annotations

import numpy as np
import pytest

from emotrace.errors import TrainingError
from emotrace.metrics import concordance_correlation
from emotrace.models.architecture import Head, HeadKind
from emotrace.papers.pooling import (
    decide_videos,
    kept_steps,
    last_of_videos,
    pool_predictions,
    post_process,
)
from emotrace.training.targets import HeadTargets
from emotrace.training.zoo.predictions import SetPredictions

HEAD = Head(name="valence_arousal", kind=HeadKind.CONTINUOUS, size=2)


def predictions(rows: list[int], *, seed: int = 0, bias: float = 0.0) -> SetPredictions:
    """A slow wave in each video; predicted at half its size, with a bias."""
    time = np.array(rows, np.float64)
    truth = np.stack([np.sin(time / 15 + seed), np.cos(time / 20 + seed)], axis=1)
    return SetPredictions(
        title="toy",
        side="test",
        heads=(HeadTargets(head=HEAD, names=("valence", "arousal")),),
        rows=np.array(rows, np.int64),
        videos=np.array([f"v{seed}"] * len(rows)),
        subjects=np.array([f"s{seed}"] * len(rows)),
        outputs={HEAD.name: (0.5 * truth + bias).astype(np.float32)},
        targets={HEAD.name: truth.astype(np.float32)},
        split="toy split",
    )


def test_folds_come_back_in_the_order_of_the_rows() -> None:
    first, second = predictions([4, 5, 9]), predictions([0, 1, 7], seed=1)
    pooled = pool_predictions([first, second])
    assert pooled.rows.tolist() == [0, 1, 4, 5, 7, 9]
    assert pooled.subjects.tolist() == ["s1", "s1", "s0", "s0", "s1", "s0"]
    np.testing.assert_array_equal(pooled.outputs[HEAD.name][2], first.outputs[HEAD.name][0])
    np.testing.assert_array_equal(pooled.targets[HEAD.name][4], second.targets[HEAD.name][2])


def test_a_row_in_two_folds_is_refused() -> None:
    with pytest.raises(TrainingError, match="one is in two"):
        pool_predictions([predictions([1, 2]), predictions([2, 3])])
    with pytest.raises(TrainingError, match="at least one fold"):
        pool_predictions([])


def test_a_bias_of_validation_is_taken_out_of_test() -> None:
    frames = list(range(300))
    validation = predictions(frames, seed=1, bias=0.4)
    test = predictions(frames, seed=2, bias=0.4)
    found, chains = post_process(test, by=validation, frame_seconds=0.04)
    for at, name in enumerate(("valence", "arousal")):
        truth = test.targets[HEAD.name][:, at]
        before = concordance_correlation(truth, test.outputs[HEAD.name][:, at])
        after = concordance_correlation(truth, found.outputs[HEAD.name][:, at])
        assert after > before + 0.2, name
        assert "scaling" in kept_steps(chains[name])
    # The test side's own truth has no part in it.
    other = post_process(
        SetPredictions(**{**vars(test), "targets": validation.targets}),
        by=validation,
        frame_seconds=0.04,
    )[0]
    np.testing.assert_array_equal(other.outputs[HEAD.name], found.outputs[HEAD.name])


def classes(videos: list[str], logits: list[list[float]], truth: list[int]) -> SetPredictions:
    """What a network says of frames, two classes; NaN for what it could not predict."""
    head = Head(name="expression", kind=HeadKind.CATEGORICAL, size=2)
    return SetPredictions(
        title="toy",
        side="test",
        heads=(HeadTargets(head=head, names=("anger", "fear")),),
        rows=np.arange(len(videos)),
        videos=np.array(videos),
        subjects=np.array([f"of {name}" for name in videos]),
        outputs={head.name: np.array(logits, np.float32)},
        targets={head.name: np.eye(2, dtype=np.float32)[truth]},
        split="toy split",
    )


def test_a_video_is_decided_by_both_votes() -> None:
    nothing = [np.nan, np.nan]
    found = decide_videos(
        classes(
            ["a", "a", "a", "b", "c"],
            [[1, 0], [1, 0], [0, 9], nothing, [0, 1]],
            [0, 0, 0, 0, 1],
        )
    )
    assert found["videos"] == ["a", "c"]  # nothing is said of b
    assert found["subjects"] == ["of a", "of c"]
    assert found["truth"] == ["anger", "fear"]
    assert found["maximum_probability"] == ["anger", "fear"]
    assert found["summed_probabilities"] == ["fear", "fear"]
    assert decide_videos(predictions([0, 1]))["videos"] == []


def test_a_video_with_two_classes_is_not_decided() -> None:
    found = decide_videos(classes(["a", "a"], [[1, 0], [1, 0]], [0, 1]))
    assert found["videos"] == []


def test_the_end_of_each_video_can_be_measured_alone() -> None:
    logits = [[0.0, 1.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]
    last = last_of_videos(classes(["a", "a", "b", "b"], logits, [0] * 4))
    assert last.rows.tolist() == [1, 3]
    assert last.outputs["expression"].tolist() == [[1, 0], [3, 0]]
