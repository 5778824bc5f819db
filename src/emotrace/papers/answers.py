"""One answer for each video, and how much better one network's answers are than another's.

A network over a sequence answers at its last frame, when it has seen the whole video; a network
that sees frames alone answers by the sum of their probabilities (salinas2018).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from emotrace.bundle_prior import softmax
from emotrace.errors import TrainingError
from emotrace.metrics import accuracy, paired_bootstrap, unweighted_average_recall
from emotrace.models.architecture import HeadKind
from emotrace.papers.doing import FOLD_FOLDER
from emotrace.papers.pooling import pool_predictions
from emotrace.training.zoo.evaluation import choose_unit, plain, truth_and_top
from emotrace.training.zoo.predictions import align, cut_predictions, group_names, predict_side
from emotrace.training.zoo.run import load_trained

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from emotrace.datasets.items import SideName
    from emotrace.metrics import PairedDifference
    from emotrace.papers.workshop import Workshop
    from emotrace.training.targets import HeadTargets
    from emotrace.training.zoo.predictions import Over, SetPredictions

Answer = Literal["last_frame", "summed_probabilities"]

_REPEATS: Final = 1000
_BATCH: Final = 256


def predict_run(
    workshop: Workshop, key: str, *, side: SideName, over: Over = "auto"
) -> SetPredictions:
    """Return what the run of a training says of one side of its data."""
    return predict_side(workshop.trained(key), side=side, over=over, batch_size=_BATCH)


def predict_folds(
    workshop: Workshop, key: str, *, side: SideName, over: Over = "auto"
) -> SetPredictions:
    """Return what the runs of a cross-validation say of that side of each fold, as one set."""
    return pool_predictions(
        [
            predict_side(
                load_trained(workshop.run(key) / FOLD_FOLDER.format(fold["fold"])),
                side=side,
                over=over,
                batch_size=_BATCH,
            )
            for fold in workshop.facts(key)["folds"]
        ]
    )


def answer_videos(predictions: SetPredictions, *, by: Answer) -> SetPredictions:
    """Keep one row of each video, with the network's answer for all of it.

    Args:
        predictions: Of a network with a head of classes; rows of a video in their order.
        by: `last_frame` keeps what is said at the last frame that has an answer; for
            `summed_probabilities` that row says the logarithm of the mean probabilities instead.

    Raises:
        TrainingError: The network tells no classes apart.
    """
    head = _class_head(predictions).head.name
    logits = predictions.outputs[head]
    is_answered = np.asarray(np.isfinite(logits).all(axis=1), np.bool_)
    _, video = np.unique(predictions.videos, return_inverse=True)
    order = np.argsort(video, kind="stable")
    kept: list[int] = []
    answers: list[NDArray[np.float32]] = []
    for rows in np.split(order, np.cumsum(np.bincount(video))[:-1]):
        answered = rows[is_answered[rows]]
        last = int(answered[-1] if len(answered) else rows[-1])
        kept.append(last)
        sums = by == "summed_probabilities" and len(answered)
        answers.append(_log_mean(logits[answered]) if sums else logits[last])
    by_row = np.argsort(predictions.rows[kept], kind="stable")
    cut = cut_predictions(predictions, np.array(kept, np.int64)[by_row])
    return replace(cut, outputs={**cut.outputs, head: np.stack(answers)[by_row]})


def compare_answers(pairs: Sequence[tuple[SetPredictions, SetPredictions]]) -> dict[str, Any]:
    """Compare two networks' answers on the videos that both were asked about.

    Args:
        pairs: First and second; several where one of them was trained on several divisions of the
            data. A video may come in more than one pair.

    Returns:
        JSON-ready: the number of answers, how the data was divided, and the differences first -
        second in accuracy and unweighted average recall, with 95 % intervals from drawing whole
        subjects (videos where it is not known who is seen) again.

    Raises:
        UsageError: They share no videos, or there is one subject only.
        TrainingError: Neither answers any video that the other does.
    """
    truths: list[NDArray[np.int64]] = []
    tops: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    groups: list[NDArray[np.str_]] = []
    units = {choose_unit(first, "auto") for first, _ in pairs}
    unit: Literal["subject", "video"] = "subject" if units == {"subject"} else "video"
    classes = 0
    for pair in pairs:
        first, second = align(*pair)
        target = _class_head(first)
        classes = len(target.names)
        truth, one, known = truth_and_top(first, target)
        other = truth_and_top(second, target)[1]
        both = (one >= 0) & (other >= 0)
        truths.append(truth[both])
        tops.append((one[both], other[both]))
        groups.append(np.asarray(group_names(first, unit))[known][both])
    truth = np.concatenate(truths)
    if not len(truth):
        raise TrainingError("expected videos that both networks answer; there is none")
    top_first, top_second = (np.concatenate([top[at] for top in tops]) for at in (0, 1))
    named = np.concatenate(groups)
    measures: dict[str, Callable[[NDArray[np.int64], NDArray[np.int64]], float]] = {
        "accuracy": accuracy,
        "unweighted_average_recall": lambda t, p: unweighted_average_recall(t, p, classes),
    }
    return {
        "n": len(truth),
        "pairs": len(pairs),
        "groups": len(set(named.tolist())),
        "intervals_over": unit,
        "first_split": pairs[0][0].split,
        "second_split": pairs[0][1].split,
        **{
            name: _as_json(_difference(measure, truth, top_first, top_second, named))
            for name, measure in measures.items()
        },
    }


def _difference(
    measure: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
    truth: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    groups: NDArray[np.str_],
) -> PairedDifference:
    return paired_bootstrap(
        lambda rows: measure(truth[rows], first[rows]),
        lambda rows: measure(truth[rows], second[rows]),
        groups,
        repeats=_REPEATS,
    )


def _as_json(found: PairedDifference) -> dict[str, Any]:
    return {
        "first": plain(found.first),
        "second": plain(found.second),
        "difference": plain(found.difference),
        "interval_95": [plain(found.low), plain(found.high)],
    }


def _class_head(predictions: SetPredictions) -> HeadTargets:
    for target in predictions.heads:
        if target.head.kind is HeadKind.CATEGORICAL:
            return target
    raise TrainingError(f"expected a network that tells classes apart; got {predictions.title}")


def _log_mean(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    probabilities = softmax(logits.astype(np.float64))
    mean: NDArray[np.float32] = np.log(np.maximum(probabilities.mean(axis=0), 1e-12)).astype(
        np.float32
    )
    return mean
