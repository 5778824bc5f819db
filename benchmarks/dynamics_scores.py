"""Scores of the benchmark on time: over videos, over subjects, over seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.bundle_prior import softmax
from emotrace.metrics import bootstrap_over_groups, concordance_correlation, paired_bootstrap
from emotrace.training.zoo.evaluation import score_predictions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from emotrace.training.zoo.predictions import SetPredictions

    Measure = Callable[[NDArray[np.int64]], float]

REPEATS: Final = 1000


def as_videos(predictions: SetPredictions) -> SetPredictions:
    """Return one row for each video: the logarithm of its frames' mean probabilities.

    The vote by summed probabilities of salinas2018. Frames that the network cannot predict, before
    a first window is full, have no say. A video is then one item, for scores and for McNemar's
    test.
    """
    (target,) = predictions.heads
    name = target.head.name
    logits = predictions.outputs[name].astype(np.float64)
    said = np.isfinite(logits).all(axis=1)
    videos, first, video = np.unique(predictions.videos, return_index=True, return_inverse=True)
    sums = np.zeros((len(videos), logits.shape[1]))
    np.add.at(sums, video[said], softmax(logits[said]))
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.log(sums / sums.sum(axis=1, keepdims=True))
    return replace(
        predictions,
        rows=predictions.rows[first],
        videos=videos,
        subjects=predictions.subjects[first],
        outputs={name: means.astype(np.float32)},
        targets={name: predictions.targets[name][first]},
    )


def video_accuracy(videos: SetPredictions) -> Measure:
    """Return the share of drawn videos whose class is right; none said is wrong."""
    name = videos.heads[0].head.name
    logits = videos.outputs[name]
    top = np.where(np.isnan(logits).any(axis=1), -1, np.nan_to_num(logits).argmax(axis=1))
    right = (top == videos.targets[name].argmax(axis=1)).astype(np.float64)
    return lambda rows: float(right[rows].mean())


def mean_ccc(predictions: SetPredictions) -> Measure:
    """Return the mean of valence's and arousal's concordance correlation over drawn frames."""
    name = predictions.heads[0].head.name
    truth, said = predictions.targets[name], predictions.outputs[name]
    return lambda rows: float(
        np.mean(
            [
                concordance_correlation(truth[rows, at], said[rows, at])
                for at in range(truth.shape[1])
            ]
        )
    )


def summarise(
    measure: Callable[[SetPredictions], Measure],
    said: Mapping[int, SetPredictions],
    baseline: Mapping[int, SetPredictions] | None = None,
) -> dict[str, Any]:
    """Summarise a measure, or its difference from a baseline's, over seeds.

    Args:
        measure: Of one seed's predictions.
        said: Seed to predictions; all of the same rows.
        baseline: What is taken away, seed by seed.

    Returns:
        The value of each seed with its interval over subjects, their mean and standard deviation
        (of seeds, with n - 1; 0 of one), and the interval of the mean over subjects: in each draw
        all seeds see the same people.
    """
    groups = next(iter(said.values())).subjects
    everything = np.arange(len(groups))
    first = {seed: measure(one) for seed, one in said.items()}
    second = None if baseline is None else {seed: measure(baseline[seed]) for seed in said}
    values, intervals = {}, {}
    for seed in said:
        other = None if second is None else [second[seed]]
        values[seed] = first[seed](everything) - (other[0](everything) if other else 0.0)
        intervals[seed] = _interval([first[seed]], other, groups)
    every = list(values.values())
    return {
        "mean": round(float(np.mean(every)), 4),
        "sd": round(float(np.std(every, ddof=1)), 4) if len(every) > 1 else 0.0,
        "interval_95": _interval(
            list(first.values()), None if second is None else list(second.values()), groups
        ),
        "seeds": {str(seed): round(value, 4) for seed, value in values.items()},
        "intervals_95": {str(seed): ends for seed, ends in intervals.items()},
        "subjects": len(set(groups.tolist())),
    }


def _interval(
    first: Sequence[Measure], second: Sequence[Measure] | None, groups: NDArray[np.str_]
) -> list[float]:
    if second is None:
        low, high = bootstrap_over_groups(_average(first), groups, repeats=REPEATS)
    else:
        found = paired_bootstrap(_average(first), _average(second), groups, repeats=REPEATS)
        low, high = found.low, found.high
    return [round(low, 4), round(high, 4)]


def _average(measures: Sequence[Measure]) -> Measure:
    return lambda rows: float(np.mean([one(rows) for one in measures]))


def describe_orders(frames: SetPredictions) -> dict[str, Any]:
    """Return a seed's scores over videos and over frames."""
    name = frames.heads[0].head.name
    of_videos, of_frames = (
        score_predictions(one, unit="subject", repeats=REPEATS)["heads"][name]
        for one in (as_videos(frames), frames)
    )
    return {
        "videos": {
            key: of_videos[key]
            for key in ("n", "accuracy", "macro_f1", "intervals_95", "recall", "confusion_matrix")
        },
        "frames": {key: of_frames[key] for key in ("n", "unpredicted", "accuracy", "intervals_95")},
    }


def describe_affect(frames: SetPredictions) -> dict[str, Any]:
    """Return a seed's scores for valence and for arousal."""
    name = frames.heads[0].head.name
    scores = score_predictions(frames, unit="subject", repeats=REPEATS)["heads"][name]
    return {
        column: {key: value for key, value in found["over_subjects"].items() if key != "per_group"}
        for column, found in scores.items()
    }
