"""Results as tables of text, once for the terminal, the page, the card and the docs."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from emotrace.bundle_outputs import VOTES_PRIOR
from emotrace.labels import EMOTIONS
from emotrace.training.calibration import FER2013_PRIOR
from emotrace.training.measures import (
    COST_MEASURES,
    KL_TO_CAST_VOTES,
    KL_WITHOUT_SINGLE_VOTES,
    MEASURES,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Results = Mapping[str, Any]

PROTOCOLS: Final = {
    "majority": "FER+ majority",
    "argmax": "FER+ argmax",
    "fer2013": "FER2013",
}


@dataclass(frozen=True, kw_only=True)
class ResultTable:
    """A table with what it takes to read it."""

    title: str
    note: str = ""
    """What the columns mean."""
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_markdown(self) -> str:
        """Return the rows as a Markdown table, without title and note."""
        lines = [self.head, ("---", *("---:" for _ in self.head[1:])), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def to_html(self) -> str:
        """Return the rows as an HTML table, without title and note."""

        def row(cells: Sequence[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

        body = "\n".join(row(cells, "td") for cells in self.rows)
        return (
            f"<table>\n<thead>{row(self.head, 'th')}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        )


def all_tables(results: Results) -> list[ResultTable]:
    """Return every table that the results have numbers for, the most telling first."""
    tables = [
        measures_table(results),
        scores_table(results),
        recall_table(results),
        recall_table(results, without_duplicates=True),
        precision_table(results),
        confusion_table(results, "default"),
        confusion_table(results, "training"),
        flips_table(results),
    ]
    if "robustness" in results:
        tables.append(robustness_table(results))
    return tables


def plain_facts(results: Results) -> list[str]:
    """Return what stands below the tables: cost, speed, threshold, rejected faces."""
    facts = []
    speed, cost = results["speed"], results["cost"]
    if cost:
        facts.append(
            f"cost: {cost['parameters']:,} parameters, "
            f"{cost['multiply_adds'] / 1e6:.1f} million multiply-adds a face"
        )
    facts.append(
        f"speed: {speed['milliseconds_median']:.2f} ms a face (median of single faces, one "
        f"onnxruntime thread, {speed['processor']}; a tenth took under "
        f"{speed['milliseconds_tenth']:.2f} ms)"
    )
    facts.append(_divergence_fact(results["priors"]))
    if results["uncertain"] is not None:
        kept = results["uncertain"]["argmax"]
        right = "" if kept["accuracy"] is None else f", {kept['accuracy']:.1%} of them right"
        facts.append(
            f"uncertain below {kept['threshold']:.2f}: {kept['coverage']:.1%} of all faces are "
            f"kept{right} (default prior)"
        )
    if results["not_face"] is not None:
        found = results["not_face"]
        facts.append(
            f"no face below {found['threshold']:.3f}: {found['faces_rejected']:.2%} of "
            f"{found['n']:,} faces are rejected"
        )
    return facts


def _divergence_fact(priors: Mapping[str, Any]) -> str:
    trained = priors["training"]
    fact = (
        f"divergence from the votes (KL, nats, n = {trained['kl_divergence_n']:,}), single votes "
        f"dropped as noise, training prior: {trained[KL_WITHOUT_SINGLE_VOTES]:.3f}; "
        f"{trained['kl_divergence_to_votes_before_temperature']:.3f} before the temperature that "
        "makes the confidence the chance of being right"
    )
    if VOTES_PRIOR in priors:
        fact += (
            f"; votes for the eight as they were cast, prior {VOTES_PRIOR}: "
            f"{priors[VOTES_PRIOR][KL_TO_CAST_VOTES]:.3f}"
        )
    return fact


def measures_table(results: Results) -> ResultTable:
    """Return the measures that the bundle is judged by, with what was wanted."""
    rows = []
    for measure in MEASURES:
        value, interval = measure.of(results), measure.interval_of(results)
        rows.append(
            (
                measure.name,
                measure.prior_in(results) or "",
                measure.show(value),
                measure.show_interval(interval),
                measure.show(measure.of(results, without_duplicates=True)),
                *(measure.show_wanted(wanted) for wanted in (measure.must, measure.aim)),
            )
        )
    for cost in COST_MEASURES:
        shown = cost.show(results)
        if shown is not None:
            rows.append((cost.name, "", shown, "", "", f"{cost.must:g}", f"{cost.aim:g}"))
    return ResultTable(
        title="What it is judged by",
        note=(
            "In %, but for ECE (expected calibration error), KL (divergence) and costs. 95 %: "
            "bootstrap over images. New: without images that are pixel-identical to a training "
            "image. Must, aim: what was wanted before training."
        ),
        head=("measure", "prior", "value", "95 %", "new", "must", "aim"),
        rows=tuple(rows),
    )


def scores_table(results: Results) -> ResultTable:
    """Return accuracy, average recall, macro F1 and calibration error of each protocol."""
    rows = []
    for protocol, title in PROTOCOLS.items():
        for prior, of_prior in results["priors"].items():
            # What FER2013's label would be is no answer to what FER+'s annotators said.
            if prior == VOTES_PRIOR or (prior == FER2013_PRIOR and protocol != "fer2013"):
                continue
            score = of_prior[protocol]
            rows.append(
                (
                    title,
                    f"{score['n']:,}",
                    prior,
                    _percent(score["accuracy"]),
                    _interval(score["accuracy_interval_95"]),
                    _percent(score["unweighted_average_recall"]),
                    _percent(score["macro_f1"]),
                    f"{score['calibration_error']:.3f}",
                )
            )
    return ResultTable(
        title="Every protocol under every prior",
        note=(
            "In %, but ECE. n tells the two FER+ protocols apart, which must not be compared. "
            "UAR: unweighted average recall. ECE: expected calibration error, 15 bins."
        ),
        head=("labels", "n", "prior", "accuracy", "95 %", "UAR", "macro F1", "ECE"),
        rows=tuple(rows),
    )


def recall_table(results: Results, *, without_duplicates: bool = False) -> ResultTable:
    """Return the recall of each expression on FER+ (majority), and on FER2013's labels."""
    rows = []
    counts: dict[str, int] = {}
    for prior, of_prior in results["priors"].items():
        if prior == VOTES_PRIOR:
            continue
        protocol = "fer2013" if prior == FER2013_PRIOR else "majority"
        score = of_prior[protocol]
        score = score["without_duplicates"] if without_duplicates else score
        counts[protocol] = score["n"]
        recalls = score["recall"]
        shown = (_percent(recalls[name]) if name in recalls else "-" for name in EMOTIONS)
        rows.append((prior, *shown, _percent(score["unweighted_average_recall"])))
    theirs = counts.get("fer2013")
    return ResultTable(
        title="Recall of each expression"
        + (", images identical to a training image left out" if without_duplicates else ""),
        note=f"In %, FER+ majority, n = {counts['majority']:,}"
        + (f"; under {FER2013_PRIOR} on FER2013's labels, n = {theirs:,}." if theirs else "."),
        head=("prior", *EMOTIONS, "mean"),
        rows=tuple(rows),
    )


def precision_table(results: Results) -> ResultTable:
    """Return how many of the faces that are called an expression are of it, on FER+ (majority)."""
    rows = []
    for prior, of_prior in results["priors"].items():
        if prior in {FER2013_PRIOR, VOTES_PRIOR}:
            continue
        matrix = of_prior["majority"]["confusion_matrix"]
        called = {name: sum(row[name] for row in matrix.values()) for name in EMOTIONS}
        right = {name: matrix[name][name] if name in matrix else 0 for name in EMOTIONS}
        shown = (_percent(right[e] / called[e]) if called[e] else "-" for e in EMOTIONS)
        rows.append((prior, *shown))
    return ResultTable(
        title="Precision of each expression",
        note=(
            "Of the faces that are called so, how many most annotators called so, in %, FER+ "
            f"majority, n = {results['priors']['training']['majority']['n']:,}. It holds for the "
            "shares of this test split; where an expression is rarer, fewer are right."
        ),
        head=("prior", *EMOTIONS),
        rows=tuple(rows),
    )


def confusion_table(results: Results, prior: str) -> ResultTable:
    """Return the confusion matrix on FER+ (majority)."""
    score = results["priors"][prior]["majority"]
    rows = tuple(
        (name, *(str(row[other]) for other in EMOTIONS), _percent(score["recall"][name]))
        for name, row in score["confusion_matrix"].items()
    )
    return ResultTable(
        title=f"What is taken for what, {prior} prior",
        note="Rows: what most annotators said (FER+ majority). Columns: predicted. Faces.",
        head=("", *EMOTIONS, "recall %"),
        rows=rows,
    )


def flips_table(results: Results) -> ResultTable:
    """Return what averaging each picture with its mirror image would give."""
    rows = []
    for protocol, title in PROTOCOLS.items():
        for prior, of_prior in results["with_flips"].items():
            if prior in {"uniform", VOTES_PRIOR}:
                continue
            if (prior == FER2013_PRIOR) != (protocol == "fer2013"):
                continue
            score, plain = of_prior[protocol], results["priors"][prior][protocol]
            gain = 100 * (score["accuracy"] - plain["accuracy"])
            rows.append(
                (
                    title,
                    prior,
                    _percent(score["accuracy"]),
                    f"{gain:+.1f}",
                    _percent(score["unweighted_average_recall"]),
                    f"{score['calibration_error']:.3f}",
                )
            )
    return ResultTable(
        title="With flips at test time",
        note="Mean of each picture and its mirror image, in %: twice the work. Not shipped.",
        head=("labels", "prior", "accuracy", "gained", "UAR", "ECE"),
        rows=tuple(rows),
    )


def robustness_table(results: Results) -> ResultTable:
    """Return what badly framed, lit or compressed faces cost."""
    found = results["robustness"]
    rejects = found["unchanged"]["rejected"] is not None

    def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
        lost = row["recall_lost"], row["recall_lost_interval_95"]
        wanted = row["wanted_points"]
        return (
            row["name"],
            f"{row['accuracy_lost']:.1f}",
            _range(row["accuracy_lost_interval_95"]),
            "" if wanted is None else f"{wanted:g}",
            f"{lost[0]:.1f}",
            _range(lost[1]),
            *([_percent(row["rejected"])] if rejects else []),
        )

    return ResultTable(
        title="Faces that are badly framed, lit or compressed",
        note=(
            f"FER+ majority, n = {found['n']:,}: points lost of accuracy (training prior, "
            f"{found['unchanged']['accuracy']:.1f} % as they are) and of average recall (default "
            f"prior, {found['unchanged']['recall']:.1f} %), with 95 % intervals, face by face. "
            "At most: what was wanted. The lower rows are the ends of the ranges above."
            + (" Rejected: faces taken for none, %." if rejects else "")
        ),
        head=(
            "faces",
            "accuracy",
            "95 %",
            "at most",
            "recall",
            "95 %",
            *(["rejected"] if rejects else []),
        ),
        rows=tuple(cells(row) for row in found["conditions"]),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _interval(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:.1f}-{100 * interval[1]:.1f}"


def _range(points: Sequence[float]) -> str:
    return f"{points[0]:.1f} to {points[1]:.1f}"
