"""tzirakis2021's page: Tables 2 to 5, post-processing, and how soon each start is at its best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emotrace.papers.cells import fact, label_score, value_score
from emotrace.papers.charts import draw_bars, draw_curves, read_curve
from emotrace.papers.report import Missing, Picture, Report, Score, Section, Table, Theirs
from emotrace.papers.tzirakis2021.claims import (
    DEPARTURES,
    best_epochs,
    difference_cell,
    judge_claims,
    list_lessons,
    ratio_cell,
    reach_cell,
)
from emotrace.papers.tzirakis2021.data import data_section
from emotrace.papers.tzirakis2021.recipes import (
    AFFWILD2,
    OTHER_MODEL,
    OURS,
    PRETRAINED,
    REALEYES,
    RECOLA,
    SIZES,
    STARTS,
    run_keys,
)

if TYPE_CHECKING:
    from emotrace.papers.report import Cell
    from emotrace.papers.workshop import Results

_NAMES: Final[dict[str, str]] = {
    "random": "Random",
    "imagenet": "Pre-trained (ImageNet)",
    "affwild2": "AffWildNet; here the same network, trained on Aff-Wild2",
    "ours": "Proposed model",
}
_TABLE_5: Final[dict[str, dict[str, str]]] = {
    "random": {"arousal": ".319 (.342)", "valence": ".481 (.548)"},
    "imagenet": {"arousal": ".324 (.330)", "valence": ".492 (.554)"},
    "affwild2": {"arousal": ".273 (-)", "valence": ".526 (-)"},
    "ours": {"arousal": ".341 (.376)", "valence": ".538 (.596)"},
}
"""Test and, in parentheses, validation."""
_VALUES: Final = ("arousal", "valence")


def write_report(results: Results) -> Report:
    """Return the page; steps may be missing."""
    return Report(
        sections=(
            data_section(results),
            _pretraining_section(results),
            _recola_section(results),
            _convergence_section(results),
            _preparation_section(results),
        ),
        claims=judge_claims(results),
        departures=DEPARTURES,
        learned=list_lessons(results),
    )


# --- pre-training --------------------------------------------------------------------------------


def _pretraining_section(results: Results) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (
            "Proposed model: emotions, on RealEyes",
            _started(results),
            label_score(results, PRETRAINED, score="validation"),
            fact(results, PRETRAINED, "best_epoch"),
            fact(results, PRETRAINED, "parameters"),
        )
    ]
    rows += [
        (
            f"In AffWildNet's place: {value}, on Aff-Wild2",
            "fresh weights",
            value_score(results, OTHER_MODEL, value, score="validation"),
            fact(results, OTHER_MODEL, "best_epoch"),
            fact(results, OTHER_MODEL, "parameters"),
        )
        for value in _VALUES
    ]
    table = Table(
        title="The two networks whose ResNet is handed on",
        columns=(
            "network",
            "began with",
            "validation: mean F1 of emotions; CCC",
            "best epoch",
            "trainable parameters",
        ),
        rows=tuple(rows),
        note="The paper shows no score of pre-training. The best epoch is chosen on the very side "
        "that is scored here.",
    )
    return Section(title="Pre-training", items=(table,))


def _started(results: Results) -> Cell:
    step = results[PRETRAINED]
    if step.outcome != "done":
        return Missing(reason=step.reason)
    from_imagenet = step.facts["started_from"] != "fresh weights"
    return "ImageNet's weights" if from_imagenet else "fresh weights: ImageNet's are not there"


# --- Table 5 -------------------------------------------------------------------------------------


def _recola_section(results: Results) -> Section:
    pictures = _bars(results)
    return Section(
        title="RECOLA from four starts",
        text="The concordance correlation coefficient of the first run of each start.",
        items=(
            _table_5(results, processed=True),
            _table_5(results, processed=False),
            *pictures,
            _differences(results),
            _chains(results),
        ),
    )


def _table_5(results: Results, *, processed: bool) -> Table:
    end = "-processed" if processed else ""
    rows: list[tuple[Cell, ...]] = []
    for start, name in _NAMES.items():
        cells: list[Cell] = [name]
        for value in _VALUES:
            if processed:
                cells.append(Theirs(text=_TABLE_5[start][value]))
            cells += [
                value_score(results, _first(results, start), value, score=f"{side}{end}")
                for side in ("test", "validation")
            ]
        rows.append(tuple(cells))
    columns = ["start"]
    for value in _VALUES:
        paper = [f"{value}, paper: test (validation)"] if processed else []
        columns += [*paper, f"{value}, here: test", f"{value}, here: validation"]
    note = (
        "Intervals come from drawing whole recordings again. Validation chose the epoch and the "
        "post-processing: its own numbers are too good."
        if processed
        else "The paper does not print these."
    )
    how = "after post-processing" if processed else "without post-processing"
    return Table(
        title=f"Table 5: CCC on RECOLA, {how}", columns=tuple(columns), rows=tuple(rows), note=note
    )


def _first(results: Results, start: str) -> str:
    return run_keys(start, SIZES[results.order.scale])[0]


def _differences(results: Results) -> Table:
    return Table(
        title="The proposed model less each other start: CCC on the test side, post-processed",
        columns=("against", *_VALUES),
        rows=tuple(
            (_NAMES[start], *(difference_cell(results, start, value) for value in _VALUES))
            for start in STARTS
            if start != OURS
        ),
        note="Paired: both on the same frames; whole recordings are drawn again for the interval.",
    )


def _chains(results: Results) -> Table:
    steps = ("median filter", "centring", "scaling", "time shift")
    rows: list[tuple[Cell, ...]] = []
    for start, name in _NAMES.items():
        found = _processing(results, start)
        for value in _VALUES:
            cells = [_chain_cell(results, start, found, value, step) for step in steps]
            rows.append((name, value, *cells))
    return Table(
        title="Post-processing: what was tried, in this order, and what was kept",
        columns=(
            "start",
            "value",
            "median filter: window in s",
            "centring: bias",
            "scaling: ratio",
            "time shift in s",
        ),
        rows=tuple(rows),
        note="A step is kept where the validation CCC rises, and applied unchanged to the test "
        "side.",
    )


def _processing(results: Results, start: str) -> dict[str, Any]:
    step = results[_first(results, start)]
    scores = step.facts.get("scores", {}).get("test-processed", {})
    found: dict[str, Any] = scores.get("post_processing", {})
    return found


def _chain_cell(results: Results, start: str, found: dict[str, Any], value: str, name: str) -> Cell:
    key = _first(results, start)
    step = results[key]
    tried = {one["name"]: one for one in found.get(value, {}).get("steps", ())}.get(name)
    if step.outcome != "done" or tried is None:
        return Missing(reason=step.reason or "not fitted")
    scores = step.facts["scores"]["validation"]
    word = "kept" if tried["is_kept"] else "left out"
    return Score(
        value=tried["value"],
        n=int(scores["heads"]["valence_arousal"][value]["n"]),
        counted="frames",
        protocol=f"{scores['split']}; fitted on validation",
        run=f"runs/{key}",
        origin=step.origin,
        note=f"{word}: CCC {tried['ccc_before']:.3f}, with it {tried['ccc_with']:.3f}",
    )


def _bars(results: Results) -> tuple[Picture, ...]:
    bars: dict[str, tuple[float | None, float | None, float | None]] = {}
    for value in _VALUES:
        for start in STARTS:
            cell = value_score(results, _first(results, start), value, score="test-processed")
            if isinstance(cell, Score):
                bars[f"{value}, {start}"] = (cell.value, cell.low, cell.high)
    if not bars:
        return ()
    origin = results[RECOLA].origin
    figure = draw_bars(
        bars,
        title="CCC on RECOLA's test side",
        ylabel="CCC, post-processed",
        is_synthetic=origin == "synthetic",
    )
    caption = "With 95 % intervals from drawing recordings again."
    file = results.save_figure("table-5", figure)
    return (Picture(title="Table 5 as a figure", file=file, caption=caption, origin=origin),)


# --- convergence ---------------------------------------------------------------------------------


def _convergence_section(results: Results) -> Section:
    theirs = {"random": "almost 3", "imagenet": "more than 2"}
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            best_epochs(results, start),
            Theirs(text=theirs.get(start, "not given")),
            "1, by definition" if start == OURS else ratio_cell(results, start),
            reach_cell(results, start),
        )
        for start, name in _NAMES.items()
    ]
    table = Table(
        title="Epochs to the best validation CCC",
        columns=(
            "start",
            "here: mean over runs",
            "paper: times as many as the proposed model",
            "here: times as many as the proposed model",
            "here: epochs to the best that random weights ever reach",
        ),
        rows=tuple(rows),
        note="Intervals come from drawing whole runs again; of few runs they are rough. The last "
        "column asks all starts for the same: a start that gets stuck is early at its own best.",
    )
    return Section(title="How soon each start is at its best", items=(table, *_curves(results)))


def _curves(results: Results) -> tuple[Picture, ...]:
    keys = {start: _first(results, start) for start in STARTS}
    curves = {
        start: read_curve(results.folder / "runs" / key, "valence_arousal_ccc")
        for start, key in keys.items()
        if results.is_done(key)
    }
    if not any(len(curve) for curve in curves.values()):
        return ()
    origin = results[RECOLA].origin
    figure = draw_curves(
        curves,
        title="RECOLA, validation side",
        ylabel="mean CCC of valence and arousal",
        is_synthetic=origin == "synthetic",
    )
    caption = "The first run of each start, before post-processing."
    file = results.save_figure("convergence", figure)
    return (
        Picture(title="Validation after each epoch", file=file, caption=caption, origin=origin),
    )


# --- preparation ---------------------------------------------------------------------------------


def _preparation_section(results: Results) -> Section:
    names = {
        "clips": "clip_count",
        "clips with a face": "clips_usable",
        "clips that cannot be read": "failures",
        "frames": "frame_count",
        "frames without the face": "missed_count",
        "clips with gaps": "clips_with_gaps",
        "labels without a frame": "unmatched_label_count",
    }
    rows = tuple(
        (name, *(_fact_cell(results, key, found) for key in (REALEYES, RECOLA, AFFWILD2)))
        for name, found in names.items()
    )
    table = Table(
        title="Faces found",
        columns=("", "RealEyes", "RECOLA", "Aff-Wild2"),
        rows=rows,
        note="RECOLA: recordings without ratings (AVEC's test part) are left out before. A gap "
        "ends a sequence; frames in it are predicted by interpolation.",
    )
    return Section(title="What the networks saw", items=(table,))


def _fact_cell(results: Results, key: str, name: str) -> Cell:
    step = results[key]
    if step.outcome != "done":
        return Missing(reason=step.reason)
    value = step.facts[name]
    return Score(
        value=float(len(value) if isinstance(value, list | tuple) else value),
        n=int(step.facts["clip_count"]),
        counted="clips",
        protocol="everything that was prepared",
        run=key,
        origin=step.origin,
        unit="count",
    )
