"""Scores of a trained network on held-out frames, with intervals over people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from emotrace.analysis.votes import vote_by_maximum_probability, vote_by_summed_probabilities
from emotrace.bundle_prior import softmax
from emotrace.metrics import (
    accuracy,
    confusion_matrix,
    f1_per_label,
    macro_f1,
    recall_per_class,
    score_regression,
    unweighted_average_recall,
)
from emotrace.metrics.bootstrap import draw_groups, percentile_interval
from emotrace.models.architecture import HeadKind
from emotrace.training.zoo.predictions import SetPredictions, group_names, predict_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from emotrace.datasets.items import SideName
    from emotrace.training.targets import HeadTargets
    from emotrace.training.zoo.predictions import Over
    from emotrace.training.zoo.run import TrainedNetwork

Unit = Literal["auto", "subject", "video"]


def evaluate_trained(
    trained: TrainedNetwork,
    *,
    side: SideName = "test",
    over: Over = "auto",
    unit: Unit = "auto",
    repeats: int = 1000,
) -> dict[str, Any]:
    """Score a trained network on one side of its data; see `score_predictions`.

    Raises:
        DatasetError: The data is not there, has changed, or has no such side.
    """
    predictions = predict_side(trained, side=side, over=over)
    return score_predictions(predictions, unit=unit, repeats=repeats)


def score_predictions(
    predictions: SetPredictions, *, unit: Unit = "auto", repeats: int = 1000
) -> dict[str, Any]:
    """Score predictions head by head.

    Intervals are of 95 %, from drawing whole subjects (or videos) again: frames of one video are
    not independent.

    Args:
        predictions: Of one side.
        unit: What is drawn; `auto`: subjects where all are known and there are two, else videos.
        repeats: Bootstrap draws.

    Returns:
        JSON-ready. Classes: n, accuracy, unweighted average recall and macro F1 with intervals,
        recall per class, confusion matrix, and where each video shows one class the same for
        videos by both votes of salinas2018. Values: RMSE, CCC and Pearson's correlation over the
        set, as the mean over videos and for each, intervals over videos and over subjects. Labels:
        F1 of each.

    Raises:
        UsageError: Subjects are asked for and not known.
    """
    chosen = choose_unit(predictions, unit)
    heads: dict[str, Any] = {}
    for target in predictions.heads:
        if target.head.kind is HeadKind.CATEGORICAL:
            heads[target.head.name] = _score_classes(predictions, target, chosen, repeats)
        elif target.head.kind is HeadKind.MULTI_LABEL:
            heads[target.head.name] = _score_labels(predictions, target)
        else:
            heads[target.head.name] = _score_values(predictions, target, chosen, repeats)
    return {
        "predicted_by": predictions.title,
        "side": predictions.side,
        "split": predictions.split,
        "frames": len(predictions.rows),
        "videos": len(set(predictions.videos.tolist())),
        "intervals_over": chosen,
        "groups": len(set(group_names(predictions, chosen).tolist())),
        "heads": heads,
    }


def choose_unit(predictions: SetPredictions, unit: Unit) -> Literal["subject", "video"]:
    """Return what is drawn again for intervals."""
    if unit != "auto":
        return unit
    subjects = set(predictions.subjects.tolist())
    return "subject" if "" not in subjects and len(subjects) > 1 else "video"


# --- classes -------------------------------------------------------------------------------------


def truth_and_top(
    predictions: SetPredictions, target: HeadTargets
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the true and the predicted class of the labelled rows (-1: none), and which rows."""
    shares, logits = predictions.targets[target.head.name], predictions.outputs[target.head.name]
    known = np.asarray(np.isfinite(shares).all(axis=1), np.bool_)
    is_predicted = np.isfinite(logits[known]).all(axis=1)
    top = np.where(is_predicted, np.nan_to_num(logits[known]).argmax(axis=1), -1)
    return shares[known].argmax(axis=1).astype(np.int64), top.astype(np.int64), known


def _score_classes(
    predictions: SetPredictions,
    target: HeadTargets,
    unit: Literal["subject", "video"],
    repeats: int,
) -> dict[str, Any]:
    truth, top, known = truth_and_top(predictions, target)
    groups = np.asarray(group_names(predictions, unit))[known]
    said = top >= 0
    scores = _class_scores(truth[said], top[said], groups[said], target.names, repeats)
    scores["unpredicted"] = int((~said).sum())
    videos = vote_of_videos(predictions, target, known)
    if videos is not None:
        of_video, votes, names = videos
        drawn = names if unit == "video" else _subject_of(predictions, names)
        scores["videos"] = {
            rule: _class_scores(of_video, found, drawn, target.names, repeats)
            for rule, found in votes.items()
        }
    return scores


def _class_scores(
    truth: NDArray[np.int64],
    top: NDArray[np.int64],
    groups: NDArray[np.str_],
    names: tuple[str, ...],
    repeats: int,
) -> dict[str, Any]:
    classes = len(names)
    intervals = _class_intervals(truth, top, groups, classes, repeats)
    recalls = recall_per_class(truth, top, classes) if len(truth) else np.full(classes, np.nan)
    return {
        "n": len(truth),
        "groups": len(set(groups.tolist())),
        "accuracy": plain(accuracy(truth, top)),
        "unweighted_average_recall": plain(unweighted_average_recall(truth, top, classes)),
        "macro_f1": plain(macro_f1(truth, top, classes)),
        "intervals_95": intervals,
        "recall": {name: plain(value) for name, value in zip(names, recalls, strict=True)},
        "confusion_matrix": {
            name: dict(zip(names, row, strict=True))
            for name, row in zip(names, confusion_matrix(truth, top, classes).tolist(), strict=True)
        },
    }


def _class_intervals(
    truth: NDArray[np.int64],
    top: NDArray[np.int64],
    groups: NDArray[np.str_],
    classes: int,
    repeats: int,
) -> dict[str, list[float | None]] | None:
    """Draw groups again by the sums of their confusion matrices: no row is looked at twice."""
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return None
    cells = (group * classes + truth) * classes + top
    counts = np.bincount(cells, minlength=len(names) * classes**2)
    matrices = counts.reshape(len(names), classes, classes)
    found: dict[str, list[float]] = {name: [] for name in _OF_MATRIX}
    for chosen in draw_groups(len(names), repeats, 0):
        matrix = matrices[chosen].sum(axis=0)
        for name, measure in _OF_MATRIX.items():
            found[name].append(measure(matrix))
    return {
        name: [plain(end) for end in percentile_interval(np.array(values), 0.95)]
        for name, values in found.items()
    }


def _accuracy_of(matrix: NDArray[np.int64]) -> float:
    return float(np.trace(matrix) / max(matrix.sum(), 1))


def _recall_of(matrix: NDArray[np.int64]) -> float:
    there = matrix.sum(axis=1)
    return float((np.diag(matrix)[there > 0] / there[there > 0]).mean())


def _f1_of(matrix: NDArray[np.int64]) -> float:
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    return float((2 * np.diag(matrix)[both > 0] / both[both > 0]).mean())


_OF_MATRIX: Final[dict[str, Callable[[NDArray[np.int64]], float]]] = {
    "accuracy": _accuracy_of,
    "unweighted_average_recall": _recall_of,
    "macro_f1": _f1_of,
}


def vote_of_videos(
    predictions: SetPredictions, target: HeadTargets, known: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]], NDArray[np.str_]] | None:
    """Return each video's class, its votes and its name; None unless each shows just one."""
    truth, top, _ = truth_and_top(predictions, target)
    logits = predictions.outputs[target.head.name][known].astype(np.float64)
    names, video = np.unique(predictions.videos[known], return_inverse=True)
    if len(names) == len(truth):
        return None  # pictures: a video is a frame
    of_video: list[int] = []
    votes: dict[str, list[int]] = {rule: [] for rule in VOTES}
    kept: list[str] = []
    for number, name in enumerate(names.tolist()):
        rows = np.flatnonzero(video == number)
        if len(set(truth[rows].tolist())) > 1:
            return None
        rows = rows[top[rows] >= 0]
        if not len(rows):
            continue
        probabilities = softmax(logits[rows])
        for rule, vote in VOTES.items():
            votes[rule].append(vote(probabilities))
        of_video.append(int(truth[rows[0]]))
        kept.append(name)
    found = {rule: np.array(values, np.int64) for rule, values in votes.items()}
    return np.array(of_video, np.int64), found, np.asarray(kept, np.str_)


VOTES: Final[dict[str, Callable[[NDArray[np.float64]], int]]] = {
    "maximum_probability": vote_by_maximum_probability,
    "summed_probabilities": vote_by_summed_probabilities,
}
"""salinas2018's two ways to give a whole clip one class."""


def _subject_of(predictions: SetPredictions, videos: NDArray[np.str_]) -> NDArray[np.str_]:
    subject = dict(zip(predictions.videos.tolist(), predictions.subjects.tolist(), strict=True))
    return np.asarray([subject[name] for name in videos.tolist()], np.str_)


# --- labels and values ---------------------------------------------------------------------------


def _score_labels(predictions: SetPredictions, target: HeadTargets) -> dict[str, Any]:
    truth = predictions.targets[target.head.name]
    logits = predictions.outputs[target.head.name]
    is_predicted = np.isfinite(logits).all(axis=1)
    known = np.where(np.isnan(truth), -1, truth > 0.5).astype(np.int64)[is_predicted]
    scores = f1_per_label(known, logits[is_predicted] > 0)
    finite = scores[np.isfinite(scores)]
    return {
        "n": int((known >= 0).any(axis=1).sum()),
        "unpredicted": int((~is_predicted).sum()),
        "mean_f1": plain(float(finite.mean()) if len(finite) else float("nan")),
        "f1": {name: plain(value) for name, value in zip(target.names, scores, strict=True)},
    }


def _score_values(
    predictions: SetPredictions,
    target: HeadTargets,
    unit: Literal["subject", "video"],
    repeats: int,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for at, name in enumerate(target.names):
        truth = predictions.targets[target.head.name][:, at]
        said = predictions.outputs[target.head.name][:, at]
        known = np.isfinite(truth) & np.isfinite(said)
        if not known.any():
            found[name] = {"n": 0}
            continue
        by_video = score_regression(
            truth[known], said[known], predictions.videos[known], repeats=repeats
        ).to_json()
        scores: dict[str, Any] = {**by_video, "unpredicted": int((~np.isfinite(said)).sum())}
        if unit == "subject":
            by_subject = score_regression(
                truth[known], said[known], predictions.subjects[known], repeats=repeats
            ).to_json()
            scores["over_subjects"] = by_subject
        found[name] = scores
    return found


def plain(value: float) -> float | None:
    """Round a number for JSON; None for what is not defined."""
    return round(float(value), 6) if np.isfinite(value) else None
