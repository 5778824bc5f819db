"""What salinas2018's networks learn from: sequences chosen, left out, lost to a missed face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emotrace.papers.report import Missing, Score, Section, Table, Theirs
from emotrace.papers.salinas2018.numbers import (
    ALL_FACES,
    BLOCKS,
    CLASSES,
    PUBLISHED_SEQUENCES,
    faces_key,
)

if TYPE_CHECKING:
    from emotrace.papers.report import Cell
    from emotrace.papers.workshop import Results


_LOST_THERE: Final = {"ckplus": "0", "oulu-casia": "0", "all": "253"}
"""Frames; all of them in weak or dark light."""


def data_section(results: Results) -> Section:
    """Return the counts of sequences, expressions, frames and missed faces."""
    keys = {name: faces_key(name) for name in BLOCKS} | {"all": ALL_FACES}
    rows: list[tuple[Cell, ...]] = [
        (
            "sequences without a missed face",
            *_pairs(results, keys, "clips_without_tracking", PUBLISHED_SEQUENCES),
        )
    ]
    for emotion in _emotions(results, tuple(keys.values())):
        counts: list[Cell] = []
        for key in keys.values():
            counts += [Theirs(text=""), _emotion_count(results, key, emotion)]
        rows.append((f"chosen: {emotion}", *counts))
    rows.append(("frames", *_pairs(results, keys, "frame_count", {"all": "36,575"})))
    lost: list[Cell] = []
    seconds: list[Cell] = []
    for name, key in keys.items():
        lost += [Theirs(text=_LOST_THERE.get(name, "")), _lost(results, key)]
        theirs = Theirs(text="0.093 s" if name == "all" else "")
        seconds += [theirs, _seconds(results, key)]
    rows.append(("frames without a found face", *lost))
    rows.append(("seconds per frame to find faces", *seconds))
    table = Table(
        title="Fig. 12 and section V-C: what is learned from",
        columns=(
            "",
            "CK+, paper",
            "CK+, here",
            "Oulu-CASIA strong, paper",
            "Oulu-CASIA strong, here",
            "both, all lights, paper",
            "both, all lights, here",
        ),
        rows=tuple(rows),
        note="The paper shows the expressions in a figure, without numbers. "
        + _selection_note(results, tuple(keys.values())),
    )
    return Section(title="Data", items=(table,))


def _pairs(
    results: Results, keys: dict[str, str], name: str, theirs: dict[str, str]
) -> tuple[Cell, ...]:
    return tuple(
        cell
        for dataset, key in keys.items()
        for cell in (
            Theirs(text=theirs.get(dataset, "")),
            _count(results, key, results[key].facts.get(name)),
        )
    )


def _lost(results: Results, key: str) -> Cell:
    facts = results[key].facts
    return _count(results, key, facts.get("missed_count", 0) + facts.get("tracked_count", 0))


def _emotions(results: Results, keys: tuple[str, ...]) -> tuple[str, ...]:
    found = {emotion for key in keys for emotion in results[key].facts.get("clips_by_emotion", {})}
    return (*CLASSES, *sorted(found - set(CLASSES)))


def _emotion_count(results: Results, key: str, emotion: str) -> Cell:
    return _count(results, key, results[key].facts.get("clips_by_emotion", {}).get(emotion, 0))


def _count(results: Results, key: str, value: int | None) -> Cell:
    step = results[key]
    if step.outcome != "done" or value is None:
        return Missing(reason=step.reason or "not counted")
    return Score(
        value=float(value),
        n=int(step.facts["clip_count"]),
        counted="sequences",
        protocol="counted over what the selections left",
        run=key,
        origin=step.origin,
        unit="count",
    )


def _seconds(results: Results, key: str) -> Cell:
    step = results[key]
    if step.outcome != "done" or not step.facts["seconds_preparing"]:
        return Missing(reason=step.reason or "not measured: it was interrupted")
    return Score(
        value=step.facts["seconds_preparing"] / step.facts["frame_count"],
        n=int(step.facts["frame_count"]),
        counted="frames",
        protocol="reading, finding, cutting out and keeping faces; wall time",
        run=key,
        origin=step.origin,
    )


def _selection_note(results: Results, keys: tuple[str, ...]) -> str:
    """Say how many sequences each selection left, and what could not be selected or read."""
    said = []
    for key in keys:
        facts = results[key].facts
        names = facts.get("dataset", "").split(" and ")
        for name, left in zip(names, facts.get("clips_left", []), strict=False):
            chain = ", ".join(f"{what} {count:,}" for what, count in left)
            said.append(f"{name}: {chain}.")
        said += [f"Otherwise than asked: {notice}." for notice in facts.get("other_selections", [])]
        failures = facts.get("failures", [])
        if failures:
            said.append(f"{len(failures)} could not be read; the first: {failures[0]['error']}.")
        others = set(facts.get("clips_by_emotion", {})) - set(CLASSES)
        if others:
            said.append(
                f"Without a class among the six ({', '.join(sorted(others))}): not learned, not "
                "measured on."
            )
    return " ".join(dict.fromkeys(said))
