"""Tables of `score_predictions` and of `compare_models`, for the terminal and for Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emotrace.training.result_tables import ResultTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CLASS_MEASURES: Final = {
    "accuracy": "accuracy",
    "unweighted_average_recall": "UAR",
    "macro_f1": "macro F1",
}
VALUE_MEASURES: Final = {"ccc": "CCC", "rmse": "RMSE", "pearson": "Pearson"}
VOTES: Final = {
    "maximum_probability": "videos by vote",
    "summed_probabilities": "videos by sum",
}
_MOST_CLASSES: Final = 8
"""Columns of a confusion matrix that fit into 80 characters by their first five letters."""
_NOTHING: Final = 0.0005
"""A difference whose whole interval is below this would be shown as 0.000."""
_FEW_GROUPS: Final = 20
"""With fewer, percentile intervals are rough (docs/metrics.md)."""
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


# --- one model -----------------------------------------------------------------------------------


def score_tables(scores: Mapping[str, Any]) -> list[ResultTable]:
    """Return the scores of one model, measure by measure, and what it takes for what.

    Args:
        scores: As `score_predictions` makes them.
    """
    unit = scores["intervals_over"]
    rows = [row for name, head in scores["heads"].items() for row in _score_rows(name, head)]
    table = ResultTable(
        title=f"Scores on {scores['frames']:,} frames of {scores['videos']:,} videos",
        note=(
            f"95 %: from drawing whole {unit}s again, of {scores['groups']:,}"
            f"{rough(scores['groups'])}. By video: the mean of each video's own. UAR: unweighted "
            "average recall. CCC: concordance correlation."
        ),
        head=("predicted", "n", "measure", "value", "95 %", "by video"),
        rows=tuple(rows),
    )
    return [table, *_confusion_tables(scores)]


def chain_table(processing: Mapping[str, Any]) -> ResultTable:
    """Return what each step of a fitted chain is, and what the chain changes where it is measured.

    Args:
        processing: As `score_affect_chain` makes it.
    """
    against = processing["against_raw"]
    changes = {} if against is None else against["heads"]
    rows = []
    for dimension in ("valence", "arousal"):
        chain = processing["chain"][dimension]
        if chain is None:
            continue
        for step in chain["steps"]:
            kept = "kept" if step["is_kept"] else "left out"
            after = number(step["ccc_with"])
            rows.append(
                (
                    dimension,
                    step["name"],
                    number(step["value"]),
                    kept,
                    number(step["ccc_before"]),
                    after,
                )
            )
        for head in changes.values():
            for measure, title in VALUE_MEASURES.items():
                found = head.get(dimension, {}).get(measure)
                if found:
                    rows.append(
                        (
                            dimension,
                            f"{title}, measured",
                            "",
                            f"p {number(found['p'])}",
                            number(found["second"]),
                            number(found["first"]),
                        )
                    )
    ahead = processing["look_ahead_seconds"]
    return ResultTable(
        title="Post-processing of valence and arousal",
        note=(
            "Steps: CCC of the validation side before and with each (seconds, bias or ratio). "
            "Measured: of the side that is scored, raw and processed, the chain frozen. "
            + (f"It looks {ahead:.2f} s ahead." if ahead else "It looks at nothing later.")
        ),
        head=("", "step", "value", "", "before", "after"),
        rows=tuple(rows),
    )


def _score_rows(name: str, head: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    if "accuracy" in head:
        yield from _class_rows(name, head)
        for rule, of_videos in head.get("videos", {}).items():
            yield from _class_rows(f"{name}, {VOTES[rule]}", of_videos)
    elif "mean_f1" in head:
        yield (name, f"{head['n']:,}", "mean F1", number(head["mean_f1"]), "", "")
        for unit, value in head["f1"].items():
            yield (f"  {unit}", "", "F1", number(value), "", "")
    else:
        for column, scores in head.items():
            yield from _value_rows(column, scores)


def _class_rows(name: str, scores: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    intervals = scores["intervals_95"] or {}
    for measure, title in CLASS_MEASURES.items():
        interval_text = interval(intervals.get(measure))
        yield (name, f"{scores['n']:,}", title, number(scores[measure]), interval_text, "")


def _value_rows(column: str, scores: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    if not scores["n"]:
        return
    drawn = scores.get("over_subjects", scores)
    for measure, title in VALUE_MEASURES.items():
        yield (
            column,
            f"{scores['n']:,}",
            title,
            number(scores[measure]["whole_set"]),
            interval(drawn[measure]["whole_set_interval"]),
            number(scores[measure]["group_mean"]),
        )


def _confusion_tables(scores: Mapping[str, Any]) -> Iterator[ResultTable]:
    for name, head in scores["heads"].items():
        matrix = head.get("confusion_matrix")
        if not matrix or not head["n"] or len(matrix) > _MOST_CLASSES:
            continue
        unpredicted = head.get("unpredicted", 0)
        yield ResultTable(
            title=f"What is taken for what: {name}",
            note="Rows: the labels. Columns: predicted. Frames."
            + (f" {unpredicted:,} frames could not be predicted." if unpredicted else ""),
            head=("", *matrix, "recall"),
            rows=tuple(
                (label, *(str(row[other]) for other in matrix), number(head["recall"][label]))
                for label, row in matrix.items()
                if any(row.values())
            ),
        )


# --- several models ------------------------------------------------------------------------------


def comparison_tables(found: Mapping[str, Any]) -> list[ResultTable]:
    """Return models side by side, and their differences.

    Args:
        found: As `compare_models` makes it.
    """
    models = found["models"]
    letters = dict(zip((model["name"] for model in models), _letters(len(models)), strict=True))
    legend = ResultTable(
        title=f"Models, compared on {found['frames']:,} frames of {found['videos']:,} videos",
        head=("", "model", "predicted by", "epochs", "parameters"),
        rows=tuple(
            (
                letters[model["name"]],
                model["name"],
                model["predicted_by"],
                "" if model["epochs"] is None else str(model["epochs"]),
                "" if model["parameters"] is None else f"{model['parameters']:,}",
            )
            for model in models
        ),
    )
    of_groups = f"of {found['groups']:,}{rough(found['groups'])}"
    drawn = f"In brackets: 95 %, from drawing whole {found['intervals_over']}s again, {of_groups}."
    tables = [legend, *_side_by_side(models, letters, drawn)]
    rows = tuple(
        row for difference in found["differences"] for row in _difference_rows(difference, letters)
    )
    if rows:
        tables.append(
            ResultTable(
                title="Differences",
                note=(
                    f"On the same frames; 95 % and p from drawing whole {found['intervals_over']}s "
                    f"again, the same for both, {of_groups}. No p: the difference is below "
                    f"{_NOTHING}. McNemar: videos (or pictures) that only one of the two gets "
                    "right, mid-p."
                ),
                head=("", "predicted", "measure", "difference", "95 %", "p"),
                rows=rows,
            )
        )
    return tables


def _letters(count: int) -> list[str]:
    return [_ALPHABET[at] if at < len(_ALPHABET) else f"A{at}" for at in range(count)]


def _side_by_side(
    models: Sequence[Mapping[str, Any]], letters: Mapping[str, str], note: str
) -> Iterator[ResultTable]:
    """Yield a table for each thing that is predicted: a row a model."""
    cells: dict[str, dict[str, dict[str, str]]] = {}
    for model in models:
        for name, head in model["scores"]["heads"].items():
            for what, count, measure, value, ends, _ in _score_rows(name, head):
                if count:
                    of_model = cells.setdefault(what, {}).setdefault(letters[model["name"]], {})
                    of_model["n"] = count
                    of_model[measure] = f"{value} ({ends})" if ends else value
    for what, of_models in cells.items():
        measures = list(next(iter(of_models.values())))
        yield ResultTable(
            title=what,
            note=note,
            head=("", *measures),
            rows=tuple(
                (letter, *(of_model.get(measure, "") for measure in measures))
                for letter, of_model in of_models.items()
            ),
        )


def _difference_rows(
    difference: Mapping[str, Any], letters: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    one, other = letters[difference["first"]], letters[difference["second"]]
    pair = f"{one} - {other}"
    for name, head in difference["heads"].items():
        if "accuracy" in head:
            for measure, title in CLASS_MEASURES.items():
                yield _difference_row(pair, name, title, head[measure])
        else:
            for column, found in head.items():
                if column != "mcnemar_over_videos":
                    for measure, title in VALUE_MEASURES.items():
                        yield _difference_row(pair, column, title, found[measure])
        mcnemar = head.get("mcnemar_over_videos")
        if mcnemar:
            only = f"{one} {mcnemar['only_first_right']}, {other} {mcnemar['only_second_right']}"
            counted = f"n = {mcnemar['n']}"
            yield (pair, name, "McNemar", f"only {only}", counted, number(mcnemar["mid_p"]))


def _difference_row(pair: str, name: str, title: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    difference, ends = found["difference"], found["interval_95"]
    shown = "-" if difference is None else f"{difference:+.3f}"
    is_nothing = all(end is not None and abs(end) < _NOTHING for end in ends)
    p_value = "" if is_nothing else number(found["p"])
    return (pair, name, title, shown, interval(ends), p_value)


def rough(groups: int) -> str:
    """Return a warning where there are too few to draw from for more than a rough interval."""
    return " only: rough" if groups < _FEW_GROUPS else ""


def number(value: float | None) -> str:
    """Return a number as it is shown; a dash where it is not defined."""
    return "-" if value is None else f"{value:.3f}"


def interval(ends: Sequence[float | None] | None) -> str:
    """Return an interval as it is shown; nothing where there is none."""
    if ends is None or ends[0] is None or ends[1] is None:
        return ""
    return f"{ends[0]:.2f} to {ends[1]:.2f}"
