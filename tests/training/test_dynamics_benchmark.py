"""The moving parts of the benchmark on time, on known answers."""

from __future__ import annotations

import dataclasses
import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emotrace.datasets.cache import open_cache
from emotrace.models.architecture import Head, HeadKind
from emotrace.training.targets import HeadTargets
from emotrace.training.zoo.predictions import SetPredictions
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def predictions(
    kind: HeadKind,
    outputs: Sequence[Sequence[float]],
    targets: Sequence[Sequence[float]],
    videos: Sequence[str],
    subjects: Sequence[str],
) -> SetPredictions:
    name = "expression" if kind is HeadKind.CATEGORICAL else "valence_arousal"
    size = len(targets[0])
    head = HeadTargets(head=Head(name=name, kind=kind, size=size), names=tuple("abcdefgh"[:size]))
    return SetPredictions(
        title="made up",
        side="test",
        heads=(head,),
        rows=np.arange(len(outputs)),
        videos=np.array(videos),
        subjects=np.array(subjects),
        outputs={name: np.array(outputs, np.float32)},
        targets={name: np.array(targets, np.float32)},
        split="none",
    )


# --- clips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [6, 7, 24])
def test_every_order_shows_every_state_once_and_no_two_alike(count: int) -> None:
    clips = load("dynamics_clips")
    shown = [clips.shown_states(order, count) for order in clips.ORDERS]
    assert all(sorted(states) == list(range(count)) for states in shown)
    assert len({tuple(states) for states in shown}) == len(clips.ORDERS)


def test_each_subject_shows_one_expression_in_every_order_on_one_side() -> None:
    clips = load("dynamics_clips")
    parts = clips.partition_subjects((3, 3, 6))
    plans = clips.plan_orders(parts)
    shown = []
    for subject, part in enumerate(parts, start=1):
        own = [plan for plan in plans if plan.subject == subject]
        assert sorted(plan.order for plan in own) == list(clips.ORDERS)
        assert {plan.partition for plan in own} == {part}
        shown.append({plan.emotion for plan in own})
    assert [len(emotions) for emotions in shown] == [1] * 12
    assert set.union(*shown[:3]) == set.union(*shown[3:6]) == set(clips.EXPRESSIONS_SHOWN)
    assert len({plan.take for plan in plans}) == len(plans)


def test_a_cache_shows_the_same_frames_in_every_order(tmp_path: Path) -> None:
    clips = load("dynamics_clips")
    pictures = clips.Pictures(size_px=16, frames=6)
    plans = clips.plan_orders(["train"])
    same_take = [dataclasses.replace(plan, take=3) for plan in plans]
    cache = open_cache(clips.make_cache(same_take, pictures, tmp_path / "same"))
    hashes = cache.frames.content_hash.reshape(4, 6)
    of_order = dict(zip(cache.clips["condition"], hashes.tolist(), strict=True))
    assert of_order["offset"] == of_order["onset"][::-1]
    assert all(sorted(row) == sorted(of_order["onset"]) for row in of_order.values())
    clips.require_same_frames(cache.folder)
    # The very same plan is not drawn again, another one is refused.
    clips.make_cache(same_take, pictures, tmp_path / "same")
    with pytest.raises(SystemExit, match="other clips"):
        clips.make_cache(plans, pictures, tmp_path / "same")


def test_orders_whose_frames_differ_are_refused(tmp_path: Path) -> None:
    clips = load("dynamics_clips")
    plans = clips.plan_orders(["train"])
    plans[0] = dataclasses.replace(plans[0], emotion="anger")
    folder = clips.make_cache(plans, clips.Pictures(size_px=16, frames=6), tmp_path)
    with pytest.raises(SystemExit, match="same frames"):
        clips.require_same_frames(folder)


# --- scores --------------------------------------------------------------------------------------


def test_a_video_is_judged_by_the_mean_of_its_frames_probabilities() -> None:
    scores = load("dynamics_scores")
    sure, unsure = [0.0, np.log(0.9 / 0.1)], [np.log(0.6 / 0.4), 0.0]
    unsaid = [np.nan, np.nan]
    frames = predictions(
        HeadKind.CATEGORICAL,
        [sure, unsure, unsaid, unsure, unsaid, unsaid],
        [[0, 1]] * 3 + [[0, 1], [1, 0], [1, 0]],
        ["v1"] * 3 + ["v2"] + ["v3"] * 2,
        ["s1"] * 3 + ["s2"] * 3,
    )
    videos = scores.as_videos(frames)
    assert videos.videos.tolist() == ["v1", "v2", "v3"]
    assert videos.subjects.tolist() == ["s1", "s2", "s2"]
    said = np.exp(videos.outputs["expression"])
    assert said[0] == pytest.approx([(0.1 + 0.6) / 2, (0.9 + 0.4) / 2])
    assert said[1] == pytest.approx([0.6, 0.4])
    # Right, wrong, and nothing said, which is wrong too.
    accuracy = scores.video_accuracy(videos)
    assert [accuracy(np.array([at])) for at in range(3)] == [1, 0, 0]


def test_the_mean_ccc_is_that_of_valence_and_arousal() -> None:
    scores = load("dynamics_scores")
    truth = [[0, 0], [1, 1], [2, 2], [3, 3]]
    said = [[0, 3], [1, 2], [2, 1], [3, 0]]
    found = predictions(HeadKind.CONTINUOUS, said, truth, ["v"] * 4, ["s1", "s1", "s2", "s2"])
    assert scores.mean_ccc(found)(np.arange(4)) == pytest.approx((1 - 1) / 2)


def video_votes(right: Sequence[bool]) -> SetPredictions:
    """Videos of class 0, two of each subject."""
    return predictions(
        HeadKind.CATEGORICAL,
        [[0.0, -1.0] if is_right else [-1.0, 0.0] for is_right in right],
        [[1, 0]] * len(right),
        [f"v{number}" for number in range(len(right))],
        [f"s{number // 2}" for number in range(len(right))],
    )


def test_a_summary_holds_each_seed_their_mean_and_an_interval_over_subjects() -> None:
    scores = load("dynamics_scores")
    half = {0: video_votes([True, False] * 3), 1: video_votes([True] * 6)}
    found = scores.summarise(scores.video_accuracy, half)
    assert found["seeds"] == {"0": 0.5, "1": 1.0}
    assert found["mean"] == 0.75
    assert found["sd"] == pytest.approx(0.3536)
    assert found["subjects"] == 3
    # Each subject has one right and one wrong: whoever is drawn, it is half.
    assert found["intervals_95"] == {"0": [0.5, 0.5], "1": [1.0, 1.0]}
    assert found["interval_95"] == [0.75, 0.75]


def test_a_difference_is_paired_by_subject() -> None:
    scores = load("dynamics_scores")
    better = {0: video_votes([True, True, True, False])}
    worse = {0: video_votes([True, False, False, False])}
    found = scores.summarise(scores.video_accuracy, better, worse)
    # One video more for each of the subjects, however different these are.
    assert (found["mean"], found["interval_95"]) == (0.5, [0.5, 0.5])


# --- all of it -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_benchmark_trains_and_scores_both_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, contenders = load("dynamics_on_synthetic"), load("dynamics_contenders")
    wanted = {"frame-cnn", "expression-cnn", "vectors-one-step", "vectors-gru", "compact-gru"}
    tasks = [
        dataclasses.replace(
            task,
            contenders=tuple(
                dataclasses.replace(one, batch_size=2)
                for one in task.contenders
                if one.name in wanted
            ),
        )
        for task in contenders.TASKS
    ]
    monkeypatch.setattr(script, "TASKS", tasks)
    full = contenders.SCALES["full"]
    few = {"clips": (2, 1, 2), "stills": (3, 1, 0)}
    scale = contenders.Scale(
        orders=dataclasses.replace(full.orders, **few),
        affect=dataclasses.replace(full.affect, **few),
        epoch_share=0.01,
    )
    found: dict[str, Any] = script.measure(
        scale, (0,), tmp_path, side="test", tasks=("orders", "affect")
    )
    orders, affect = found["orders"]["networks"], found["affect"]["networks"]
    assert set(orders) == wanted - {"expression-cnn"}
    for network in orders.values():
        assert network["each_seed"]["0"]["videos"]["n"] == 2 * 4
        assert 0 <= network["mean"] <= 1
    compared = orders["compact-gru"]["less_baseline"]["each_seed"]["0"]["heads"]["expression"]
    assert compared["mcnemar_over_videos"]["n"] == 2 * 4
    assert affect["vectors-gru"]["less_baseline"]["subjects"] == 2
    assert affect["vectors-gru"]["less_control"]["subjects"] == 2
    assert "less_control" not in affect["vectors-one-step"]
    assert {"valence", "arousal"} <= set(affect["frame-cnn"]["each_seed"]["0"])
