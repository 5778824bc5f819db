"""The page of abdullah2020: Fig. 3, Fig. 4, and RAVDESS by both ways to divide it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.papers.abdullah2020.cells import (
    HELD_OUT,
    LEAKS,
    answer_cell,
    difference_cells,
    of_pictures,
)
from emotrace.papers.abdullah2020.claims import DEPARTURES, judge_claims, list_lessons
from emotrace.papers.abdullah2020.keys import (
    ANSWERS_ACTORS,
    ANSWERS_RANDOM,
    FACES,
    LEAK,
    LSTM_ACTORS,
    LSTM_RANDOM,
    SINGLE_ACTORS,
    SINGLE_RANDOM,
    STILLS,
    TIME_ACTORS,
    TIME_RANDOM,
    XCEPTION,
)
from emotrace.papers.cells import ClassMeasure, class_score, confusion_of, fact
from emotrace.papers.charts import draw_confusion_grid, draw_curves, read_curve
from emotrace.papers.doing import FOLD_FOLDER
from emotrace.papers.report import (
    Missing,
    Picture,
    Report,
    Section,
    Table,
    Theirs,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.papers.report import Cell
    from emotrace.papers.workshop import Results

_ACCURACY: Final = "expression_accuracy"
_NOT_GIVEN: Final = Theirs(text="not given")


def write_report(results: Results) -> Report:
    """Return the page from what the steps gave."""
    return Report(
        sections=(_fer2013(results), _ravdess(results), _time(results), _found(results)),
        claims=judge_claims(results),
        departures=DEPARTURES,
        learned=list_lessons(results),
    )


# --- FER2013 -------------------------------------------------------------------------------------


def _fer2013(results: Results) -> Section:
    validation = of_pictures(class_score(results, XCEPTION, score="validation"))
    test = of_pictures(class_score(results, XCEPTION))
    table = Table(
        title="Fig. 3 in numbers: Xception on FER2013",
        columns=("", "paper", "here"),
        rows=(
            ("validation accuracy (public test), best epoch", Theirs(text="80 %"), validation),
            ("test accuracy (private test), measured once", _NOT_GIVEN, test),
            ("epochs", Theirs(text="330"), fact(results, XCEPTION, "epochs_done")),
            ("best epoch, by validation", _NOT_GIVEN, fact(results, XCEPTION, "best_epoch")),
            ("trainable parameters", _NOT_GIVEN, fact(results, XCEPTION, "parameters")),
        ),
        note="The epoch is chosen on the public test, which flatters the first row; nothing is "
        "chosen on the private test. Single networks in the literature reach 70 to 73 % on it. The "
        "paper does not say which pictures its 80 % were measured on.",
    )
    pictures = _curve_pictures(
        results,
        name="fig3",
        title="Fig. 3: Xception on FER2013",
        curves={_PUBLIC_TEST: _curves_of(results, XCEPTION)},
        key=XCEPTION,
    )
    return Section(title="FER2013: the frame network", items=(table, *pictures))


# --- RAVDESS -------------------------------------------------------------------------------------

_MEASURES: Final[tuple[tuple[str, ClassMeasure], ...]] = (
    ("accuracy", "accuracy"),
    ("unweighted average recall", "unweighted_average_recall"),
)


def _ravdess(results: Results) -> Section:
    claims = {("validation", "accuracy"): "65 %", ("test", "accuracy"): "61 %"}
    rows = [
        (
            f"{side} {words}",
            Theirs(text=claims[side, name]) if (side, name) in claims else _NOT_GIVEN,
            answer_cell(results, "random", side, name),
            answer_cell(results, "actors", side, name),
        )
        for side in ("validation", "test")
        for words, name in _MEASURES
    ]
    table = Table(
        title="RAVDESS: the LSTM's answer for each video",
        columns=(
            "",
            "paper: random 80:10:10",
            "here: random 80:10:10, actors on both sides",
            "here: actors held out, folds pooled",
        ),
        rows=tuple(rows),
        note="A video's answer is what the LSTM says at its last frame. The random split puts "
        "every actor on both sides: its numbers are about these actors, and not about people. The "
        "folds are the five usual ones; the next fold is the validation side. For people of your "
        "own, in a manifest, they are five folds by subject.",
    )
    flattery = Table(
        title="How much the random split flatters: random minus held out, on the same videos",
        columns=("", "first: random", "second: held out", "difference"),
        rows=tuple(
            (
                words,
                *difference_cells(
                    results,
                    LEAK,
                    name,
                    runs=(LSTM_RANDOM[0], LSTM_ACTORS),
                    notes=(LEAKS, HELD_OUT),
                ),
            )
            for words, name in _MEASURES
        ),
        note="Each video of a random split's test side is also on the test side of one fold of "
        "actors: both networks answer for it. With several random splits their test sides are "
        "put together. The folds learn from fewer videos (three fifths of the actors), which is "
        "part of the difference.",
    )
    curves = {
        "random split": _curves_of(results, LSTM_RANDOM[0]),
        "actors held out": _fold_curves(results, LSTM_ACTORS),
    }
    pictures = [
        *_curve_pictures(
            results,
            name="fig4",
            title="Fig. 4: LSTM on RAVDESS",
            curves=curves,
            key=LSTM_RANDOM[0],
        ),
        *_confusions(results),
    ]
    return Section(title="RAVDESS: the whole system", items=(table, flattery, *pictures))


# --- time ----------------------------------------------------------------------------------------


def _time(results: Results) -> Section:
    rows = [
        (f"{split}, {words}", *difference_cells(results, key, name, runs=runs, notes=(note, note)))
        for split, note, key, runs in (
            ("random 80:10:10", LEAKS, TIME_RANDOM, (LSTM_RANDOM[0], SINGLE_RANDOM)),
            ("actors held out", HELD_OUT, TIME_ACTORS, (LSTM_ACTORS, SINGLE_ACTORS)),
        )
        for words, name in _MEASURES
    ]
    table = Table(
        title="A sequence against single frames, on the same features and videos",
        columns=("", "first: LSTM over the video", "second: frames alone", "difference"),
        rows=tuple(rows),
        note="Frames alone: the same network taught with one frame at a time, so that it has "
        "nothing to remember; a video's answer is the sum of its frames' probabilities. The LSTM's "
        "is what it says at the end: in clips that end at rest, as drawn ones do, it has to "
        "remember.",
    )
    return Section(
        title="Does time help?",
        text="The paper's reason for an LSTM is that single frames are not enough; it has no "
        "number for that. Here is one.",
        items=(table,),
    )


# --- figures -------------------------------------------------------------------------------------

_Curves = dict[str, "NDArray[np.float64]"]
_PUBLIC_TEST: Final = "public test"
_LEARNED: Final = {_PUBLIC_TEST: "FER2013"}
"""What the training side is called, where it goes by another name than the validation side."""


def _curves_of(results: Results, key: str) -> _Curves:
    """Return a run's curves by what they measure; empty ones where it was not done."""
    folder = results.folder / "runs" / key
    return {
        "accuracy": read_curve(folder, _ACCURACY),
        "loss": read_curve(folder, "loss"),
        "training loss": read_curve(folder, "loss", side="train"),
    }


def _fold_curves(results: Results, key: str) -> _Curves:
    """Return the mean of the folds' curves."""
    step = results[key]
    folds = step.facts["folds"] if step.outcome == "done" else ()
    each = [_curves_of(results, f"{key}/{FOLD_FOLDER.format(fold['fold'])}") for fold in folds]
    return {name: np.mean([curves[name] for curves in each], axis=0) for name in (each or ({},))[0]}


def _curve_pictures(
    results: Results, *, name: str, title: str, curves: dict[str, _Curves], key: str
) -> list[Picture]:
    """Draw accuracy and loss over epochs, of each way to divide the data."""
    step = results[key]
    if step.outcome != "done":
        return []
    drawn = step.origin == "synthetic"
    pictures = []
    for measure, words in (("accuracy", "validation accuracy"), ("loss", "loss")):
        lines: _Curves = {}
        for split, found in curves.items():
            lines[split] = found.get(measure, np.empty(0))
            if measure == "loss":
                # Drawn with dashes because of its name's end.
                lines[f"{_LEARNED.get(split, split)} (training)"] = found.get(
                    "training loss", np.empty(0)
                )
        figure = draw_curves(
            lines,
            title=f"{title}, {words}",
            ylabel=words,
            is_synthetic=drawn,
        )
        pictures.append(
            Picture(
                title=f"{title}, {words}",
                file=results.save_figure(f"{name}-{measure}", figure),
                caption=_caption(results, curves),
                origin=step.origin,
            )
        )
    return pictures


def _caption(results: Results, curves: dict[str, _Curves]) -> str:
    if _PUBLIC_TEST in curves:
        return "After every epoch, on the public test; the paper plots 330 epochs."
    text = "After every epoch, each frame's answer counted; the paper plots 240 epochs."
    if len(curves.get("actors held out", {})):
        folds = len(results[LSTM_ACTORS].facts["folds"])
        text += f" Actors held out: the mean of {folds} folds."
    return text


def _confusions(results: Results) -> list[Picture]:
    """Draw the confusions of both ways to divide the videos beside one another."""
    keys = {"random split, actors leak": ANSWERS_RANDOM, "actors held out": ANSWERS_ACTORS}
    found = {words: confusion_of(results, key) for words, key in keys.items()}
    matrices = {words: matrix for words, matrix in found.items() if matrix is not None}
    if not matrices:
        return []
    origin = results[keys[next(iter(matrices))]].origin
    title = "RAVDESS, test videos"
    figure = draw_confusion_grid(matrices, title=title, is_synthetic=origin == "synthetic")
    return [
        Picture(
            title=title,
            file=results.save_figure("confusion", figure),
            caption="Rows: shown; columns: answered. Neutral is RAVDESS' calm.",
            origin=origin,
        )
    ]


# --- what was found in the data ------------------------------------------------------------------


def _found(results: Results) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for key, name in ((STILLS, "FER2013"), (FACES, "RAVDESS")):
        step = results[key]
        if step.outcome != "done":
            rows.append((name, *(Missing(reason=step.reason),) * 6))
            continue
        facts = step.facts
        rows.append(
            (
                f"{name} ({facts['reader']})",
                int(facts["clip_count"]),
                int(facts["clips_usable"]),
                len(facts["failures"]),
                int(facts["frame_count"]),
                int(facts["missed_count"]),
                _by_emotion(facts["clips_by_emotion"]),
            )
        )
    table = Table(
        title="Clips and frames",
        columns=(
            "data set (reader)",
            "clips",
            "with a face",
            "unreadable",
            "frames",
            "without a face",
            "clips of each label",
        ),
        rows=tuple(rows),
        note=_notices(results),
    )
    return Section(title="The data as it was found", items=(table,))


def _by_emotion(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _notices(results: Results) -> str:
    """Return what preparing and training had to say about frames and clips that were lost."""
    found: list[str] = []
    for key in (STILLS, FACES, XCEPTION, LSTM_RANDOM[0]):
        step = results[key]
        if step.outcome == "done":
            found += [f"{key}: {notice}" for notice in step.facts.get("notices", ())]
    return ". ".join(found)
