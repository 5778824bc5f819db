"""From what a step gave to the cells of a table: nothing of ours goes into one without its n."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from emotrace.papers.report import Cell, Missing, Score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emotrace.papers.workshop import Results, StepResult

ClassMeasure = Literal["accuracy", "unweighted_average_recall", "macro_f1"]
ValueMeasure = Literal["ccc", "rmse", "pearson"]
Vote = Literal["maximum_probability", "summed_probabilities"]


def class_score(
    results: Results,
    key: str,
    *,
    score: str = "test",
    head: str = "expression",
    measure: ClassMeasure = "accuracy",
    vote: Vote | None = None,
    counted: str = "frames",
) -> Cell:
    """Return how well classes were told apart: over frames, or over videos by a vote.

    Args:
        results: Of the plan.
        key: Of a training or a cross-validation.
        score: Which of its scores.
        head: Of the network.
        measure: What is measured.
        vote: salinas2018's rule that gives a video one class; None measures frames.
        counted: What the frames are (pictures, faces); with a vote it is always `videos`.
    """
    step = results[key]
    if step.outcome != "done":
        return Missing(reason=step.reason)
    scores = step.facts["scores"][score]
    found = scores["heads"].get(head)
    if found is None:
        return Missing(reason=f"the network has no head {head}")
    if vote is not None:
        if "videos" not in found:
            return Missing(reason="a video shows more than one class")
        found, counted = found["videos"][vote], "videos"
    low, high = _ends((found["intervals_95"] or {}).get(measure))
    return Score(
        value=found[measure],
        low=low,
        high=high,
        n=int(found["n"]),
        counted=counted,
        interval_over=f"{scores['intervals_over']}s" if low is not None else "",
        protocol=_protocol(scores),
        run=_run(step),
        origin=step.origin,
        unit="percent",
        note=f"{found['unpredicted']} not predicted" if found.get("unpredicted") else "",
    )


def value_score(
    results: Results,
    key: str,
    value: str,
    *,
    score: str = "test",
    head: str = "valence_arousal",
    measure: ValueMeasure = "ccc",
    per_video: bool = False,
) -> Cell:
    """Return how well valence or arousal was followed.

    Args:
        results: Of the plan.
        key: Of a training or a cross-validation.
        value: `valence` or `arousal`.
        score: Which of its scores.
        head: Of the network.
        measure: What is measured.
        per_video: The mean of each video's instead of one over the whole set.
    """
    step = results[key]
    if step.outcome != "done":
        return Missing(reason=step.reason)
    scores = step.facts["scores"][score]
    found = scores["heads"].get(head, {}).get(value)
    if not found or not found.get("n"):
        return Missing(reason=f"the network does not predict {value}, or nothing has a label of it")
    number, low, high = regression_numbers(found, measure, per_video=per_video)
    return Score(
        value=number,
        low=low,
        high=high,
        n=int(found["n"]),
        counted="frames",
        interval_over="videos" if low is not None else "",
        protocol=_protocol(scores),
        run=_run(step),
        origin=step.origin,
    )


def label_score(results: Results, key: str, *, score: str = "test", head: str = "emotions") -> Cell:
    """Return the mean F1 of labels of which several may hold; it has no interval."""
    step = results[key]
    if step.outcome != "done":
        return Missing(reason=step.reason)
    scores = step.facts["scores"][score]
    found = scores["heads"].get(head)
    if found is None or not found["n"]:
        return Missing(reason=f"the network has no head {head}, or nothing has a label of it")
    return Score(
        value=found["mean_f1"],
        n=int(found["n"]),
        counted="frames",
        protocol=_protocol(scores),
        run=_run(step),
        origin=step.origin,
        unit="percent",
    )


def regression_numbers(
    found: Mapping[str, Any], measure: ValueMeasure, *, per_video: bool
) -> tuple[float | None, float | None, float | None]:
    """Return a measure and the ends of its interval from the JSON of `score_regression`."""
    scores, name = found[measure], "group_mean" if per_video else "whole_set"
    low, high = _ends(scores[f"{name}_interval"])
    return scores[name], low, high


def fact(
    results: Results,
    key: str,
    name: str,
    *,
    counted: str = "runs",
    n: int = 1,
    unit: Literal["percent", "number", "seconds", "count", "ratio"] = "count",
    protocol: str = "",
) -> Cell:
    """Return a plain fact of a step (epochs, seconds) as a cell that knows its origin."""
    step = results[key]
    if step.outcome != "done":
        return Missing(reason=step.reason)
    value = step.facts.get(name)
    if value is None:
        return Missing(reason="not measured: the run was interrupted, or there was nothing to find")
    return Score(
        value=float(value),
        n=n,
        counted=counted,
        protocol=protocol,
        run=_run(step),
        origin=step.origin,
        unit=unit,
    )


def confusion_of(
    results: Results,
    key: str,
    *,
    score: str = "test",
    head: str = "expression",
    vote: Vote | None = None,
) -> dict[str, dict[str, int]] | None:
    """Return a confusion matrix, rows true, or None where there is none."""
    step = results[key]
    if step.outcome != "done":
        return None
    found = step.facts["scores"][score]["heads"].get(head)
    if found is None or (vote is not None and "videos" not in found):
        return None
    matrix: dict[str, dict[str, int]] = (found if vote is None else found["videos"][vote])[
        "confusion_matrix"
    ]
    return matrix


def _protocol(scores: Mapping[str, Any]) -> str:
    return f"{scores['split']}; measured on {scores['side']}"


def _run(step: StepResult) -> str:
    return f"runs/{step.key}"


def _ends(interval: Any) -> tuple[float | None, float | None]:
    return (None, None) if not interval else (interval[0], interval[1])
