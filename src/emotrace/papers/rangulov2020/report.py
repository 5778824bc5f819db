"""rangulov2020's page: Tables I to III, Fig. 3, the confusion matrices, and what each part adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emotrace.papers.cells import fact, value_score
from emotrace.papers.charts import draw_curves, read_curve
from emotrace.papers.rangulov2020 import measures
from emotrace.papers.rangulov2020.claims import (
    DEPARTURES,
    affect_claims,
    difference_score,
    learned,
    still_claims,
)
from emotrace.papers.rangulov2020.recipes import NUMBERS
from emotrace.papers.rangulov2020.stills import still_section
from emotrace.papers.report import (
    FEWEST_GROUPS,
    Missing,
    Picture,
    Report,
    Score,
    Section,
    Table,
    Theirs,
)

if TYPE_CHECKING:
    from emotrace.papers.report import Cell
    from emotrace.papers.workshop import Results

_ROWS: Final[dict[str, tuple[str, tuple[str, str, str, str, str]]]] = {
    measures.WHOLE: ("CNN over whole Aff-Wild2", ("0.47", "0.3", "0.2", "0.23", "2")),
    measures.SUBSET: ("CNN over subset 3", ("0.43", "0.3", "0.22", "0.22", "1")),
    measures.SIMPLE: ("CNN + simple RNN, 1 layer", ("0.49", "0.37", "0.21", "0.22", "4")),
    measures.GRU1: ("CNN + GRU, 1 layer", ("0.51", "0.32", "0.2", "0.35", "8")),
    measures.GRU3: ("CNN + GRU, 3 layers", ("0.45", "0.29", "0.23", "0.39", "17")),
}
"""Table III: RMSE of valence and arousal, CCC of both, best epoch."""
_SUBSETS: Final[dict[str, Cell]] = {
    "subset 1": "not in our copy of the text",
    "subset 2": "not in our copy of the text",
    "subset 3": Theirs(text="1,030,963"),
    "whole set": Theirs(text="1,620,421"),
}
_OUTPUTS: Final[dict[str, tuple[str, str]]] = {
    measures.WHOLE: ("both", "1 - mean CCC"),
    measures.WHOLE_MSE: ("both", "squared error"),
    measures.VALENCE: ("valence", "1 - CCC"),
    measures.AROUSAL: ("arousal", "1 - CCC"),
}
_PAIRS: Final[dict[str, tuple[str, str]]] = {
    "both-against-one": ("measures/frames", "one CNN for both values, against one for each"),
    "ccc-against-mse": ("measures/frames", "CCC as the loss, against squared error"),
    "subset-against-whole": ("measures/frames", "learned from subset 3, against the whole set"),
    "simple-against-cnn": ("measures/recurrent", "CNN + simple RNN, against the CNN alone"),
    "gru-1-against-cnn": ("measures/recurrent", "CNN + GRU of 1 layer, against the CNN alone"),
    "gru-3-against-cnn": ("measures/recurrent", "CNN + GRU of 3 layers, against the CNN alone"),
    "gru-1-against-simple": ("measures/recurrent", "GRU of 1 layer, against the simple RNN"),
    "gru-3-against-gru-1": ("measures/recurrent", "GRU of 3 layers, against 1 layer"),
}


def write_report(results: Results) -> Report:
    """Return the page; steps may be missing."""
    return Report(
        sections=(still_section(results), _subsets(results), _affect(results), _parts(results)),
        claims=(*still_claims(results), *affect_claims(results)),
        departures=DEPARTURES,
        learned=learned(results, {name: text for name, (_, text) in _PAIRS.items()}),
        more={"differences": _all_differences(results)},
    )


# --- Aff-Wild2 -----------------------------------------------------------------------------------


def _subsets(results: Results) -> Section:
    step = results["subsets"]
    rows: list[tuple[Cell, ...]] = []
    for name, theirs in _SUBSETS.items():
        cell: Cell = Missing(reason=step.reason)
        if step.outcome == "done":
            every = step.facts["frames"]
            kept = step.facts["kept"].get(name, every)
            cell = Score(
                value=float(kept),
                n=every,
                counted="labelled frames of the training side",
                protocol="drawn once, with the seed of the training",
                run="subsets",
                origin=step.origin,
                unit="count",
                note=f"{100 * kept / every:.1f} % of them",
            )
        rows.append((name, theirs, cell))
    items: list[Table | Picture] = [
        Table(
            title="Fig. 3: frames of the whole set and its subsets",
            columns=("set", "paper", "here"),
            rows=tuple(rows),
            note="The paper's subset 3 has 36 % fewer frames than the whole set.",
        )
    ]
    text = ""
    if step.outcome == "done":
        facts = step.facts
        text = (
            f"{facts['frames_both_zero']:,} of {facts['frames']:,} frames have valence and arousal "
            "0 and go first. A frame of a bin of k frames is then dropped with the probability "
            f"k / k_max. The largest of the 1,600 bins has {facts['largest_bin']:,} frames "
            f"(subset 1), the mean one {facts['mean_bin']:g} (subset 2); subset 3 takes the middle."
        )
        if facts["mean_bin"] <= 1:
            text += (
                " With a frame or less in the mean bin, every bin that has any is dense by that "
                "measure, and subset 2 is empty."
            )
        items.append(
            Picture(
                title="Fig. 3: valence and arousal",
                file=facts["figure"],
                caption="Frames in 40 x 40 bins; the colours are logarithmic and shared.",
                origin=step.origin,
            )
        )
    return Section(title="Balancing Aff-Wild2 (section IV-B)", text=text, items=tuple(items))


def _affect(results: Results) -> Section:
    rows = tuple(
        (
            label,
            Theirs(text=theirs[2]),
            _value(results, key, "valence"),
            Theirs(text=theirs[3]),
            _value(results, key, "arousal"),
            Theirs(text=theirs[4]),
            _best_epoch(results, key),
        )
        for key, (label, theirs) in _ROWS.items()
    )
    quoted = Missing(reason="another team's number, which the paper quotes: nothing to train")
    baseline = ("Baseline", Theirs(text="0.14"), quoted, Theirs(text="0.24"), quoted, "-", "-")
    concordance = Table(
        title="Table III: CCC over the whole validation set, and best epoch",
        columns=(
            "method",
            "valence: paper",
            "here",
            "arousal: paper",
            "here",
            "epoch: paper",
            "here",
        ),
        rows=(baseline, *rows),
        note=(
            "Theirs is the mean CCC of shuffled batches, ours the CCC of all frames as one series: "
            "the table after the next has both of ours."
        ),
    )
    errors = Table(
        title="Table III: RMSE over the validation set",
        columns=("method", "valence: paper", "here", "arousal: paper", "here"),
        rows=tuple(
            (
                label,
                Theirs(text=theirs[0]),
                _value(results, key, "valence", measure="rmse"),
                Theirs(text=theirs[1]),
                _value(results, key, "arousal", measure="rmse"),
            )
            for key, (label, theirs) in _ROWS.items()
        ),
    )
    return Section(
        title="Aff-Wild2 (section VI-B)",
        items=(concordance, errors, _ways_to_average(results), *_curves(results)),
    )


def _value(results: Results, key: str, value: str, **more: Any) -> Cell:
    head = value if key in (measures.VALENCE, measures.AROUSAL) else "valence_arousal"
    return value_score(results, key, value, score="validation", head=head, **more)


def _best_epoch(results: Results, key: str) -> Cell:
    return fact(
        results,
        key,
        "best_epoch",
        counted="run",
        protocol=f"of up to {results[key].facts.get('epochs_planned', 0)} epochs, by validation",
    )


def _ways_to_average(results: Results) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for key, (label, _) in _ROWS.items():
        of = "measures/frames" if key in measures.FRAME_RUNS else "measures/recurrent"
        rows += [
            (
                label,
                value,
                _value(results, key, value),
                _value(results, key, value, per_video=True),
                _over_batches(results, of, key, value),
            )
            for value in measures.VALUES
        ]
    return Table(
        title="Three ways to average one CCC",
        columns=("method", "value", "whole set", "mean of videos", "mean of shuffled batches"),
        rows=tuple(rows),
        note=(
            "Whole set: all frames as one series, the usual number. Mean of videos: the CCC of "
            "each video first. Mean of shuffled batches: what the authors' code printed; it "
            "changes with the size of the batch, and small batches pull it towards 0."
        ),
    )


def _over_batches(results: Results, of: str, key: str, value: str) -> Cell:
    step = results[of]
    if step.outcome != "done":
        return Missing(reason=step.reason)
    found = step.facts["over_shuffled_batches"][key][value]
    return Score(
        value=found["ccc"],
        n=found["n"],
        counted="frames",
        protocol="validation, shuffled once",
        run=f"runs/{key}",
        origin=step.origin,
        note=f"batches of {found['batch_size']}",
    )


def _curves(results: Results) -> tuple[Picture, ...]:
    done = {key: label for key, (label, _) in _ROWS.items() if results.is_done(key)}
    if not done:
        return ()
    origin = results[next(iter(done))].origin
    figure = draw_curves(
        {
            label: read_curve(results.folder / "runs" / key, "valence_arousal_ccc")
            for key, label in done.items()
        },
        title="Aff-Wild2, validation",
        ylabel="mean CCC of valence and arousal",
        is_synthetic=origin == "synthetic",
    )
    return (
        Picture(
            title="Learning curves",
            file=results.save_figure("curves", figure),
            caption="After each epoch, on the validation videos. Not in the paper.",
            origin=origin,
        ),
    )


# --- what each part adds -------------------------------------------------------------------------


def _parts(results: Results) -> Section:
    outputs = Table(
        title="One output or two, and the loss (section VI-B, without numbers in the paper)",
        columns=("predicts", "loss", "valence CCC", "arousal CCC", "valence RMSE", "arousal RMSE"),
        rows=tuple(
            (
                *words,
                *(
                    _value(results, key, value, measure=measure)
                    for measure in ("ccc", "rmse")
                    for value in measures.VALUES
                ),
            )
            for key, words in _OUTPUTS.items()
        ),
        note="The CNN on single frames, learned from the whole training set.",
    )
    parts = Table(
        title="What each part adds",
        columns=("difference", "CCC, mean of both", "valence CCC", "arousal CCC", "RMSE, mean"),
        rows=tuple(
            (
                text,
                difference_score(results, of, name, "ccc", "mean"),
                difference_score(results, of, name, "ccc", "valence"),
                difference_score(results, of, name, "ccc", "arousal"),
                difference_score(results, of, name, "rmse", "mean"),
            )
            for name, (of, text) in _PAIRS.items()
        ),
        note=(
            "The first less the second, on the same frames of the validation side; the interval "
            "draws whole videos again. Above 0 is better for CCC, below 0 for RMSE. One training "
            "of each: the intervals do not cover what another seed would give. Of fewer than "
            f"{FEWEST_GROUPS} videos (or people) no claim is decided."
        ),
    )
    window = NUMBERS[results.order.scale].window
    return Section(
        title="What each part contributes",
        text=(
            f"The recurrent networks read {window} frames' features of the CNN that learned "
            "subset 3, and predict the frame after the last. The CNN alone sees that frame itself."
        ),
        items=(outputs, parts),
    )


def _all_differences(results: Results) -> dict[str, Any]:
    return {
        name: results[of].facts["differences"][name]
        for name, (of, _) in _PAIRS.items()
        if results.is_done(of)
    }
