"""The part of rangulov2020's page about CK+ and JAFFE: Tables I and II, Figs. 6 and 7."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from emotrace.papers.cells import class_score, confusion_of
from emotrace.papers.charts import draw_confusion
from emotrace.papers.rangulov2020 import measures
from emotrace.papers.rangulov2020.recipes import CLASSES
from emotrace.papers.report import Missing, Picture, Score, Section, Table, Theirs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emotrace.papers.report import Cell
    from emotrace.papers.workshop import Results

_LEARNED_BY_CLASS: Final = (295, 129, 51, 153, 60, 186, 84, 219)
_JAFFE_BY_CLASS: Final = ("30", "30", "-", "29", "32", "31", "31", "30")
"""Table II, in the order of `CLASSES`."""


def still_section(results: Results) -> Section:
    """Return Tables I and II, Figs. 6 and 7, and what the data lacks; steps may be missing."""
    table = Table(
        title="Table I: accuracy over pictures",
        columns=("data set", "paper", "here", "unweighted recall here"),
        rows=(
            ("CK+, held-out people", Theirs(text="95%"), *_still_cells(results, "test")),
            ("JAFFE, all of it", Theirs(text="50%"), *_still_cells(results, "jaffe")),
        ),
        note=(
            "Learned from CK+ alone. The unweighted recall is the mean over the classes that are "
            "shown, which counts rare ones as much as frequent ones."
        ),
    )
    return Section(
        title="CK+ and JAFFE (section VI-A)",
        text="\n\n".join(_partial_data(results)),
        items=(table, _table_two(results), *_confusions(results)),
    )


def _still_cells(results: Results, score: str) -> tuple[Cell, Cell]:
    key = measures.STILLS if score == "test" else "stills/jaffe"
    cells = []
    for measure in ("accuracy", "unweighted_average_recall"):
        cell = class_score(results, key, score=score, measure=measure, counted="pictures")
        # JAFFE's step has no run of its own: the network is that of CK+.
        cells.append(
            replace(cell, run=f"runs/{measures.STILLS}") if isinstance(cell, Score) else cell
        )
    return cells[0], cells[1]


def _partial_data(results: Results) -> list[str]:
    """Say what the data lacks."""
    said = []
    for key, name, one in (("counts/ckplus", "CK+", "sequences"), ("counts/jaffe", "JAFFE", "")):
        step = results[key]
        if step.outcome != "done":
            said.append(f"{name} was not counted: {step.reason}.")
            continue
        facts = step.facts
        said.append(_said_of(name, one or "pictures", facts))
        absent = [emotion for emotion, count in facts["by_class"].items() if not count]
        if name == "CK+" and absent:
            said.append(
                f"No picture shows {', '.join(absent)}: the network has an output for it and "
                "learns nothing of it, and what shows it elsewhere is taken for something else."
            )
    return said


def _said_of(name: str, clips: str, facts: Mapping[str, Any]) -> str:
    parts = [
        (
            f"{name}: {facts['clips']:,} of {facts['clips_read']:,} {clips} are used, of "
            f"{facts['subjects']} people, with {facts['pictures']:,} pictures; in "
            f"{facts['pictures_without_face']:,} of them no face was found, which leaves "
            f"{facts['pictures'] - facts['pictures_without_face']:,}"
        )
    ]
    left_out = facts["clips_read"] - facts["clips"]
    if left_out:
        parts.append(f"{left_out:,} {clips} are left out because they have no label")
    if clips == "sequences" and facts["clips_without_neutral_picture"]:
        parts.append(
            f"{facts['clips_without_neutral_picture']:,} {clips} have no neutral picture (those of "
            "three pictures or fewer are taken for peaks alone)"
        )
    if clips == "sequences" and facts["clips_of_fewer_than_four_pictures"]:
        parts.append(
            f"{facts['clips_of_fewer_than_four_pictures']:,} {clips} have fewer than the four "
            "pictures of the paper"
        )
    return "; ".join(parts) + "."


def _table_two(results: Results) -> Table:
    sides, jaffe = results["counts/sides"], results["counts/jaffe"]
    errors = results["stills/jaffe"]
    rows: list[tuple[Cell, ...]] = []
    for at, name in enumerate(CLASSES):
        rows.append(
            (
                name,
                Theirs(text=str(_LEARNED_BY_CLASS[at])),
                _count_cell(
                    results, "counts/sides", sides.facts.get("by_class", {}), "train", name
                ),
                Theirs(text=_JAFFE_BY_CLASS[at]),
                _count_cell(results, "counts/jaffe", jaffe.facts, "by_class", name),
                _count_cell(
                    results, "stills/jaffe", errors.facts.get("errors", {}), "said_wrongly", name
                ),
            )
        )
    return Table(
        title="Table II: pictures of each class, and what JAFFE's are wrongly taken for",
        columns=(
            "class",
            "CK+ learned from: paper",
            "here",
            "JAFFE: paper",
            "here",
            "JAFFE wrongly taken for it",
        ),
        rows=tuple(rows),
        note="The last column is not in the paper: it is the sum of Fig. 7's errors by column.",
    )


def _count_cell(
    results: Results, key: str, facts: Mapping[str, Any], group: str, name: str
) -> Cell:
    step = results[key]
    if step.outcome != "done":
        return Missing(reason=step.reason)
    counts = facts[group]
    return Score(
        value=float(counts[name]),
        n=sum(counts.values()),
        counted="in all",
        protocol=str(step.facts.get("split", "all pictures with a face")),
        run=key,
        origin=step.origin,
        unit="count",
    )


def _confusions(results: Results) -> tuple[Picture, ...]:
    pictures = []
    for key, score, title, number in (
        (measures.STILLS, "test", "CK+, held-out people", 6),
        ("stills/jaffe", "jaffe", "JAFFE, learned from CK+", 7),
    ):
        matrix = confusion_of(results, key, score=score)
        if matrix is None:
            continue
        origin = results[key].origin
        figure = draw_confusion(matrix, title=title, is_synthetic=origin == "synthetic")
        pictures.append(
            Picture(
                title=f"Fig. {number}: {title}",
                file=results.save_figure(f"confusion-{score}", figure),
                caption="Pictures by true class (rows); the colour is the share of the row.",
                origin=origin,
            )
        )
    return tuple(pictures)
