"""What tzirakis2021 claims, judged by intervals; where this reproduction departs from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.metrics.bootstrap import draw_groups, percentile_interval
from emotrace.papers.cells import value_score
from emotrace.papers.charts import read_curve
from emotrace.papers.report import Claim, Missing, Score, claim_of_interval
from emotrace.papers.tzirakis2021.recipes import OURS, RECOLA, RESAMPLED, SIZES, STARTS, run_keys

if TYPE_CHECKING:
    from emotrace.papers.report import Cell, Verdict
    from emotrace.papers.workshop import Results

DEPARTURES: Final = (
    (
        "RealEyes' data is private: a manifest takes its place. The drawn one has one annotator, "
        "who is always right; where a manifest has several, the emotion that most of them chose is "
        "taken, and a tie is no label."
    ),
    (
        "The eight emotions are emotrace's (anger, contempt, disgust, fear, happiness, neutral, "
        "sadness, surprise): confusion, empathy and other have no counterpart."
    ),
    (
        "The paper resamples first and then divides by participant; here people are divided "
        "first, and the validation side is left as it is. Which emotions are rare or frequent "
        "follows from the counts (below and above the mean). How often a window is repeated is "
        "not in the paper: five times in all."
    ),
    (
        "How long the network was pre-trained is not in the paper: as long, and with the same "
        "patience, as RECOLA is learned. It begins with ImageNet's weights as the paper's does, or "
        "with fresh ones where these are not there; the page says which."
    ),
    (
        "AffWildNet's weights are not to be had. In its place stands the same network trained on "
        "Aff-Wild2's valence and arousal from fresh weights."
    ),
    (
        "Each start gives the ResNet alone; the LSTM and the last layer always begin afresh. The "
        "paper speaks of the ResNet in its introduction and of the model in section 5.3."
    ),
    "ImageNet's weights are those that timm has for the network now.",
    (
        "Faces were followed by MDNet; here they are detected in each frame, and followed by "
        "optical flow where the detector misses them."
    ),
    "The width of the LSTM is not in the paper: 256, as in the authors' toolkit.",
    (
        "Sequences of 150 frames are 6 s of RECOLA; the paper's 12 s are the two of a batch "
        "together. Sequences at the end of a recording may be shorter."
    ),
    (
        "RECOLA's official parts are used where the test part has ratings (all 46 recordings). "
        "AVEC's test part has none: then a fifth of the rated people is held out for testing and a "
        "fifth for validation."
    ),
    (
        "Post-processing scales about the mean, and its criterion is the CCC of all recordings as "
        "one series; the paper says neither."
    ),
    (
        "Each start is run three times at the scales small and full, where the paper says nothing "
        "of repeats; tables show the first run, epochs are of all."
    ),
)

_BETTER: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "random": ("random weights", {"arousal": ".341, .319", "valence": ".538, .481"}),
    "imagenet": ("ImageNet's", {"arousal": ".341, .324", "valence": ".538, .492"}),
    "affwild2": (
        "another affect model's (AffWildNet; here trained on Aff-Wild2)",
        {"arousal": ".341, .273", "valence": ".538, .526"},
    ),
}
_FASTER: Final[dict[str, tuple[str, str, float]]] = {
    "imagenet": ("more than 2 times faster than from ImageNet's weights", "more than 2", 2.0),
    "random": ("almost 3 times faster than from random weights (read as 2.5)", "almost 3", 2.5),
}
"""Start: the claim, the paper's words, and the ratio that the interval must lie above."""
_REPEATS: Final = 2000


def judge_claims(results: Results) -> tuple[Claim, ...]:
    """Return the paper's claims; what was not measured is `not run`."""
    return (
        *(_better(results, start, value) for start in _BETTER for value in ("arousal", "valence")),
        *(_faster(results, start) for start in _FASTER),
        _valence_is_easier(results),
    )


def list_lessons(results: Results) -> tuple[str, ...]:
    """Say what can be read off the results."""
    lessons = []
    for start, (name, _) in _BETTER.items():
        parts = [
            f"{value} {_words(cell)}"
            for value in ("arousal", "valence")
            if isinstance(cell := difference_cell(results, start, value), Score)
        ]
        if parts:
            lessons.append(f"Pre-training less the start from {name}, CCC: {'; '.join(parts)}.")
    return (*lessons, *_of_processing(results), *_of_resampling(results))


# --- ours against another start ------------------------------------------------------------------


def difference_cell(results: Results, start: str, value: str) -> Cell:
    """Return by how much the proposed model's test CCC is above a start's."""
    key = f"comparison/ours-{start}"
    step = results[key]
    if step.outcome != "done":
        return Missing(reason=step.reason)
    found = step.facts["heads"].get("valence_arousal", {}).get(value)
    if found is None:
        return Missing(reason=f"nothing has a label of {value}")
    ccc = found["ccc"]
    low, high = ccc["interval_95"]
    return Score(
        value=ccc["difference"],
        low=low,
        high=high,
        n=int(step.facts["frames"]),
        counted="frames",
        interval_over=f"{step.facts['intervals_over']}s",
        protocol="paired, on the test side",
        run=key,
        origin=step.origin,
        note=f"{ccc['groups']} {step.facts['intervals_over']}s",
    )


def _better(results: Results, start: str, value: str) -> Claim:
    name, theirs = _BETTER[start]
    statement = f"Pre-training gives a higher CCC of {value} than starting from {name}."
    cell = difference_cell(results, start, value)
    if not isinstance(cell, Score):
        return _not_run(statement, theirs[value], cell)
    return Claim(
        statement=statement,
        theirs=theirs[value],
        ours=f"difference {_words(cell)}",
        verdict=claim_of_interval(cell.low, cell.high),
        origin=cell.origin,
    )


def _words(cell: Score) -> str:
    return f"{cell.text()} {cell.interval_text()} ({cell.sample_text()}, {cell.note})"


def _not_run(statement: str, theirs: str, cell: Cell) -> Claim:
    reason = cell.reason if isinstance(cell, Missing) else ""
    return Claim(statement=statement, theirs=theirs, ours=reason, verdict="not run")


# --- convergence ---------------------------------------------------------------------------------


def best_epochs(results: Results, start: str) -> Cell:
    """Return after how many epochs a start's runs are at their best, on average."""
    found = _epochs(results, start)
    key = run_keys(start, SIZES[results.order.scale])[0]
    step = results[key]
    if not len(found):
        return Missing(reason=step.reason or "nothing was validated")
    low, high = _interval(_draw_means(found, seed=0))
    return Score(
        value=float(found.mean()),
        low=low,
        high=high,
        n=len(found),
        counted="runs",
        interval_over="runs" if low is not None else "",
        protocol="best mean CCC on the validation side",
        run=f"runs/{key}",
        origin=step.origin,
        note=f"epochs {', '.join(f'{epoch:.0f}' for epoch in found)}",
    )


def ratio_cell(results: Results, start: str) -> Cell:
    """Return how many times as many epochs as the proposed model a start takes to its best."""
    other, own = _epochs(results, start), _epochs(results, OURS)
    if not len(other) or not len(own):
        key = run_keys(start if not len(other) else OURS, SIZES[results.order.scale])[0]
        return Missing(reason=results[key].reason or "nothing was validated")
    draws = _draw_means(other, seed=1), _draw_means(own, seed=2)
    ratios = None if draws[0] is None or draws[1] is None else draws[0] / draws[1]
    low, high = _interval(ratios)
    return Score(
        value=float(other.mean() / own.mean()),
        low=low,
        high=high,
        n=len(other) + len(own),
        counted="runs",
        interval_over="runs" if low is not None else "",
        protocol="best mean CCC on the validation side",
        run=f"runs/{run_keys(start, SIZES[results.order.scale])[0]}",
        origin=results[RECOLA].origin,
        unit="ratio",
    )


def reach_cell(results: Results, start: str) -> Cell:
    """Return after how many epochs a start is as good as random weights ever were, run by run.

    A start that soon gets stuck is early at its own best: this asks all for the same.
    """
    size = SIZES[results.order.scale]
    reached: list[int] = []
    pairs = 0
    for key, base in zip(run_keys(start, size), run_keys("random", size), strict=True):
        if not results.is_done(key, base):
            continue
        goal = _validation(results, base)
        found = np.flatnonzero(_validation(results, key) >= goal.max(initial=-1.0))
        pairs += 1
        reached += [int(found[0]) + 1] if len(found) else []
    key = run_keys(start, size)[0]
    if not pairs:
        return Missing(reason=results[key].reason or "random weights were not run")
    return Score(
        value=float(np.mean(reached)) if reached else None,
        n=pairs,
        counted="runs",
        protocol="mean CCC on the validation side, against the random start's run of that number",
        run=f"runs/{key}",
        origin=results[RECOLA].origin,
        note=f"reached in {len(reached)}",
    )


def _validation(results: Results, key: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return read_curve(results.folder / "runs" / key, "valence_arousal_ccc")


def _epochs(results: Results, start: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    keys = run_keys(start, SIZES[results.order.scale])
    found = [results[key].facts.get("best_epoch") for key in keys if results.is_done(key)]
    return np.array([epoch for epoch in found if epoch is not None], np.float64)


def _draw_means(
    values: np.ndarray[Any, np.dtype[np.float64]], *, seed: int
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Return means of runs drawn again; None of a single run, which says nothing of others."""
    if len(values) < 2:
        return None
    means: np.ndarray[Any, np.dtype[np.float64]] = values[
        draw_groups(len(values), _REPEATS, seed)
    ].mean(axis=1)
    return means


def _interval(
    draws: np.ndarray[Any, np.dtype[np.float64]] | None,
) -> tuple[float | None, float | None]:
    return (None, None) if draws is None else percentile_interval(draws, 0.95)


def _faster(results: Results, start: str) -> Claim:
    words, theirs, least = _FASTER[start]
    statement = f"From the pre-trained model, training is at its best {words}."
    cell = ratio_cell(results, start)
    if not isinstance(cell, Score):
        return _not_run(statement, theirs, cell)
    verdict: Verdict = "undecided"
    ours = f"{cell.text()}, one run of each: no interval"
    if cell.low is not None and cell.high is not None:
        verdict = claim_of_interval(cell.low - least, cell.high - least)
        ours = f"{cell.text()} {cell.interval_text()} ({cell.sample_text()})"
    return Claim(statement=statement, theirs=theirs, ours=ours, verdict=verdict, origin=cell.origin)


# --- valence against arousal ---------------------------------------------------------------------


def _valence_is_easier(results: Results) -> Claim:
    statement = "From every start, valence is followed better than arousal."
    theirs = ".481 to .538 against .273 to .341"
    pairs: dict[str, tuple[Score, Score]] = {}
    for start in STARTS:
        key = run_keys(start, SIZES[results.order.scale])[0]
        valence = value_score(results, key, "valence", score="test-processed")
        arousal = value_score(results, key, "arousal", score="test-processed")
        if isinstance(valence, Score) and isinstance(arousal, Score):
            pairs[start] = (valence, arousal)
    if not pairs:
        return _not_run(statement, theirs, Missing(reason="no start was measured"))
    # The two are not paired: they are told apart only where their intervals are.
    gaps = [_gap(*pair) for pair in pairs.values()]
    verdict: Verdict = "undecided"
    if all(gap > 0 for gap in gaps):
        verdict = "holds"
    elif any(gap < 0 for gap in gaps):
        verdict = "does not hold"
    ours = "; ".join(
        f"{start}: {valence.text()} {valence.interval_text()} against {arousal.text()} "
        f"{arousal.interval_text()}"
        for start, (valence, arousal) in pairs.items()
    )
    origin = next(iter(pairs.values()))[0].origin
    return Claim(statement=statement, theirs=theirs, ours=ours, verdict=verdict, origin=origin)


def _gap(first: Score, second: Score) -> int:
    """Return 1 where the first's interval lies above the second's, -1 where below, else 0."""
    ends = (first.low, first.high, second.low, second.high)
    if any(end is None for end in ends):
        return 0
    low, high, other_low, other_high = (float(end or 0.0) for end in ends)
    return int(low > other_high) - int(high < other_low)


# --- lessons -------------------------------------------------------------------------------------


def _of_processing(results: Results) -> tuple[str, ...]:
    rose = kept = tried = measured = 0
    for start in STARTS:
        key = run_keys(start, SIZES[results.order.scale])[0]
        if not results.is_done(key):
            continue
        chains = results[key].facts["scores"]["test-processed"]["post_processing"]
        for value, chain in chains.items():
            steps = chain.get("steps", ())
            kept += sum(bool(one["is_kept"]) for one in steps)
            tried += len(steps)
            before = value_score(results, key, value)
            after = value_score(results, key, value, score="test-processed")
            if isinstance(before, Score) and isinstance(after, Score):
                measured += 1
                rose += (after.value or 0.0) > (before.value or 0.0)
    if not measured:
        return ()
    lesson = (
        f"Validation kept {kept} of {tried} steps of post-processing; with them the test CCC is "
        f"higher in {rose} of {measured} cases (a start and a value each)."
    )
    return (lesson,)


def _of_resampling(results: Results) -> tuple[str, ...]:
    found = results[RESAMPLED].facts
    if not found:
        return ()
    shares = [
        found[name]["neutral"] / max(sum(found[name].values()), 1)
        for name in ("train_before", "train_after")
    ]
    lesson = (
        f"Resampling changes the share of neutral training frames from {100 * shares[0]:.0f} % to "
        f"{100 * shares[1]:.0f} % (the paper's: 79 % of all frames before, 49 % of the rows of its "
        "training side after)."
    )
    return (lesson,)
