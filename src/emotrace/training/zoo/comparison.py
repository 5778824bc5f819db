"""Two trained networks on the same held-out frames: which is better, and is that chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from emotrace.metrics import (
    accuracy,
    compare_regressions,
    macro_f1,
    mcnemar_test,
    paired_bootstrap,
    unweighted_average_recall,
)
from emotrace.models.architecture import HeadKind
from emotrace.training.zoo.evaluation import choose_unit, plain, truth_and_top, vote_of_videos
from emotrace.training.zoo.predictions import SetPredictions, align, group_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from emotrace.metrics import PairedDifference
    from emotrace.training.targets import HeadTargets
    from emotrace.training.zoo.evaluation import Unit


def compare_predictions(
    first: SetPredictions,
    second: SetPredictions,
    *,
    unit: Unit = "auto",
    repeats: int = 1000,
) -> dict[str, Any]:
    """Compare two networks on the frames that both were asked about.

    Returns:
        JSON-ready: for classes the differences in accuracy, unweighted average recall and macro F1
        with intervals from drawing whole subjects (or videos), and McNemar's test over videos (one
        item each: frames are not independent) where each shows one class; for values the
        differences in RMSE, CCC and Pearson's correlation.

    Raises:
        UsageError: They share no frames or heads, or differ in their truth; or there is one group.
    """
    first, second = align(first, second)
    chosen = choose_unit(first, unit)
    heads: dict[str, Any] = {}
    theirs = {target.head.name: target for target in second.heads}
    for target in first.heads:
        name = target.head.name
        if name not in theirs:
            continue
        if target.head.kind is HeadKind.CATEGORICAL:
            heads[name] = _compare_classes(first, second, target, chosen, repeats)
        elif target.head.kind is HeadKind.CONTINUOUS:
            heads[name] = _compare_values(first, second, target, chosen, repeats)
    return {
        "first": first.title,
        "second": second.title,
        "frames": len(first.rows),
        "intervals_over": chosen,
        "heads": heads,
    }


def _compare_classes(
    first: SetPredictions,
    second: SetPredictions,
    target: HeadTargets,
    unit: Literal["subject", "video"],
    repeats: int,
) -> dict[str, Any]:
    truth, top_first, known = truth_and_top(first, target)
    _, top_second, _ = truth_and_top(second, target)
    both = (top_first >= 0) & (top_second >= 0)
    if not both.any():
        return {}
    groups = np.asarray(group_names(first, unit))[known][both]
    truth, one, other = truth[both], top_first[both], top_second[both]
    classes = len(target.names)
    measures: dict[str, Callable[[NDArray[np.int64], NDArray[np.int64]], float]] = {
        "accuracy": accuracy,
        "unweighted_average_recall": lambda t, p: unweighted_average_recall(t, p, classes),
        "macro_f1": lambda t, p: macro_f1(t, p, classes),
    }
    found: dict[str, Any] = {}
    for name, measure in measures.items():
        found[name] = _difference(
            paired_bootstrap(
                lambda rows, m=measure: m(truth[rows], one[rows]),  # type: ignore[misc]
                lambda rows, m=measure: m(truth[rows], other[rows]),  # type: ignore[misc]
                groups,
                repeats=repeats,
            )
        )
    found["mcnemar_over_videos"] = _mcnemar(first, second, target, known)
    return found


def _mcnemar(
    first: SetPredictions, second: SetPredictions, target: HeadTargets, known: NDArray[np.bool_]
) -> dict[str, Any] | None:
    truth, top, _ = truth_and_top(first, target)
    if len(set(first.videos[known].tolist())) == len(truth):
        other = truth_and_top(second, target)[1]
    else:
        votes = [vote_of_videos(predictions, target, known) for predictions in (first, second)]
        if votes[0] is None or votes[1] is None:
            return None
        truth, of_first, names = votes[0]
        if not np.array_equal(names, votes[1][2]):
            return None  # one of them could not predict a video at all
        top = of_first["summed_probabilities"]
        other = votes[1][1]["summed_probabilities"]
    result = mcnemar_test(truth, top, other)
    return {
        "n": result.count,
        "only_first_right": result.only_first_right,
        "only_second_right": result.only_second_right,
        "mid_p": plain(result.mid_p),
        "exact_p": plain(result.exact_p),
    }


def _compare_values(
    first: SetPredictions,
    second: SetPredictions,
    target: HeadTargets,
    unit: Literal["subject", "video"],
    repeats: int,
) -> dict[str, Any]:
    name = target.head.name
    groups = np.asarray(group_names(first, unit))
    found: dict[str, Any] = {}
    for at, column in enumerate(target.names):
        truth = first.targets[name][:, at]
        one, other = first.outputs[name][:, at], second.outputs[name][:, at]
        known = np.isfinite(truth) & np.isfinite(one) & np.isfinite(other)
        if not known.any():
            continue
        differences = compare_regressions(
            truth[known], one[known], other[known], groups[known], repeats=repeats
        )
        found[column] = {what: _difference(value) for what, value in differences.items()}
    return found


def _difference(found: PairedDifference) -> dict[str, Any]:
    return {
        "first": plain(found.first),
        "second": plain(found.second),
        "difference": plain(found.difference),
        "interval_95": [plain(found.low), plain(found.high)],
        "p": plain(found.p_value),
        "groups": found.group_count,
    }
