"""abdullah2020's own kinds of cells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from emotrace.papers.abdullah2020.keys import (
    ANSWERS_ACTORS,
    ANSWERS_RANDOM,
    LSTM_ACTORS,
    LSTM_RANDOM,
)
from emotrace.papers.cells import class_score
from emotrace.papers.report import Missing, Score

if TYPE_CHECKING:
    from emotrace.papers.cells import ClassMeasure
    from emotrace.papers.report import Cell
    from emotrace.papers.workshop import Results

LEAKS: Final = "actors leak"
HELD_OUT: Final = "no actor leaks"


def of_pictures(cell: Cell) -> Cell:
    """Name what was drawn again: FER2013 does not say who is who, each picture stands alone."""
    if isinstance(cell, Score) and cell.interval_over == "videos":
        return replace(cell, counted="pictures", interval_over="pictures")
    return cell


def answer_cell(results: Results, split: str, side: str, measure: ClassMeasure) -> Cell:
    """Return a score of videos, with the run that answered."""
    key, run = {
        "random": (ANSWERS_RANDOM, LSTM_RANDOM[0]),
        "actors": (ANSWERS_ACTORS, LSTM_ACTORS),
    }[split]
    cell = class_score(results, key, score=side, measure=measure, counted="videos")
    if not isinstance(cell, Score):
        return cell
    return replace(
        cell,
        run=f"runs/{run}",
        note="; ".join(
            part for part in (LEAKS if split == "random" else HELD_OUT, cell.note) if part
        ),
    )


def difference_cells(
    results: Results, key: str, measure: str, *, runs: tuple[str, str], notes: tuple[str, str]
) -> tuple[Cell, ...]:
    """Return both values and their difference.

    Args:
        results: Of the plan.
        key: Of the comparison.
        measure: Which of its differences.
        runs: Which runs the first and the second values come from.
        notes: What has to be said of each.
    """
    step = results[key]
    if step.outcome != "done":
        return (Missing(reason=step.reason),) * 3
    facts = step.facts
    found = facts[measure]
    low, high = found["interval_95"]
    first, second = (
        Score(
            value=found[which],
            n=int(facts["n"]),
            counted="answers",
            protocol=facts[f"{which}_split"],
            run=f"runs/{run}",
            origin=step.origin,
            unit="percent",
            note=note,
        )
        for which, run, note in zip(("first", "second"), runs, notes, strict=True)
    )
    difference = replace(
        first,
        value=found["difference"],
        low=low,
        high=high,
        interval_over=f"{facts['intervals_over']}s",
        protocol=f"first: {facts['first_split']}; second: {facts['second_split']}",
        run=key,
        note=f"points; over {facts['groups']} {facts['intervals_over']}s",
    )
    return (first, second, difference)
