"""What abdullah2020 claims, judged by intervals; what was learned; where this one departs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emotrace.papers.abdullah2020.cells import answer_cell, of_pictures
from emotrace.papers.abdullah2020.keys import (
    FER2013_CLAIM,
    LEAK,
    TEST_CLAIM,
    TIME_ACTORS,
    TIME_RANDOM,
    VALIDATION_CLAIM,
    XCEPTION,
)
from emotrace.papers.cells import class_score
from emotrace.papers.report import Claim, Score, claim_of_interval

if TYPE_CHECKING:
    from emotrace.papers.report import Cell, Origin, Verdict
    from emotrace.papers.workshop import Results


def judge_claims(results: Results) -> tuple[Claim, ...]:
    """Judge each claim by an interval of ours; nothing is judged by eye."""
    return (
        _reached(
            "Xception reaches 80 % validation accuracy on FER2013",
            FER2013_CLAIM,
            of_pictures(class_score(results, XCEPTION, score="validation")),
            "FER2013",
        ),
        _reached(
            "The LSTM reaches 65 % validation accuracy on RAVDESS (random split)",
            VALIDATION_CLAIM,
            answer_cell(results, "random", "validation", "accuracy"),
            "RAVDESS",
        ),
        _reached(
            "It classifies test videos with 61 % accuracy (random split)",
            TEST_CLAIM,
            answer_cell(results, "random", "test", "accuracy"),
            "RAVDESS",
        ),
        _compared(
            results,
            "Single frames are not enough: the sequence answers better (actors held out)",
            "no number",
            TIME_ACTORS,
        ),
        _compared(
            results,
            "Not the paper's, ours: the random split flatters",
            "61 %, without actors held out",
            LEAK,
        ),
    )


def _reached(statement: str, claimed: float, cell: Cell, dataset: str) -> Claim:
    """Judge "at least as much as claimed" by the interval; drawn faces cannot decide it."""
    theirs = f"{100 * claimed:.0f} %"
    if not isinstance(cell, Score) or cell.value is None:
        return Claim(statement=statement, theirs=theirs, ours="not run", verdict="not run")
    ours = " ".join(
        part for part in (cell.text(), cell.interval_text(), f"({cell.sample_text()})") if part
    )
    verdict: Verdict = "undecided"
    if cell.origin == "synthetic":
        ours += f"; drawn faces decide nothing about {dataset}"
    elif cell.low is not None and cell.high is not None:
        reaches, misses = cell.low >= claimed, cell.high < claimed
        verdict = "holds" if reaches else "does not hold" if misses else "undecided"
    return Claim(statement=statement, theirs=theirs, ours=ours, verdict=verdict, origin=cell.origin)


def _compared(results: Results, statement: str, theirs: str, key: str) -> Claim:
    step = results[key]
    if step.outcome != "done":
        return Claim(statement=statement, theirs=theirs, ours="not run", verdict="not run")
    low, high = step.facts["accuracy"]["interval_95"]
    return Claim(
        statement=statement,
        theirs=theirs,
        ours=f"accuracy {_shown_difference(step.facts)}",
        verdict=claim_of_interval(low, high),
        origin=step.origin,
    )


def _shown_difference(facts: Any) -> str:
    found = facts["accuracy"]
    low, high = (100 * end for end in found["interval_95"])
    return (
        f"{100 * found['difference']:+.1f} points [{low:+.1f}, {high:+.1f}] "
        f"({100 * found['first']:.1f} % against {100 * found['second']:.1f} %, {facts['n']:,} "
        f"answers, {facts['groups']} {facts['intervals_over']}s)"
    )


def list_lessons(results: Results) -> tuple[str, ...]:
    """Return what follows from the intervals; nothing where an interval holds 0."""
    learned: list[str] = []
    for key, higher, lower in (
        (LEAK, "The random split flatters", "The random split scores less than held-out actors"),
        (
            TIME_RANDOM,
            "Under the random split the sequence is better than frames alone",
            "Under the random split frames alone are better than the sequence",
        ),
        (
            TIME_ACTORS,
            "With actors held out the sequence is better than frames alone",
            "With actors held out frames alone are better than the sequence",
        ),
    ):
        step = results[key]
        if step.outcome != "done":
            continue
        verdict = claim_of_interval(*step.facts["accuracy"]["interval_95"])
        words = {"holds": higher, "does not hold": lower}.get(verdict)
        if words is not None:
            learned.append(f"{words}: {_shown_difference(step.facts)}{_mark(step.origin)}.")
    return tuple(learned)


def _mark(origin: Origin) -> str:
    return "; drawn faces" if origin == "synthetic" else ""


DEPARTURES: Final = (
    (
        "Xception starts from fresh weights. The paper starts from VGG-Face's, which are not to "
        "be had for this network."
    ),
    (
        "The paper counts 4,904 videos. That is every take of RAVDESS, speech and song, twice: "
        "once with sound and once without (2 x 2,452), the set's own neutral among them. A "
        "random split of those puts the very same take on both sides. Here each take counts "
        "once (video-only files), and neutral is left out, as in the paper's list of seven "
        "expressions."
    ),
    (
        "Calm is called neutral here: the labels of emotrace have no calm. So Xception's "
        "neutral and the LSTM's share a name."
    ),
    (
        "FER2013's public test chooses the epoch and its private test measures. Pictures of the "
        "training part that are also in one of those are left out."
    ),
    (
        "The paper does not say how it trained. Ours: Xception with AdamW, one-cycle to 0.001, "
        "decay 0.05, label smoothing 0.1, rangulov2020's augmentation, batch 64; a dense layer "
        "of 512 gives the features; the LSTM (256 units, half of its outputs dropped) with Adam "
        "at 0.001, batch 32. Both keep the epoch with the best validation accuracy. The "
        "scales smoke and small have narrower networks, other rates, and small does not augment."
    ),
    (
        "The LSTM is taught at every frame and answers at the last; the paper feeds whole "
        "videos and does not say where its loss stands. Where a face is lost the sequence "
        "begins anew; the paper leaves those frames out and goes on."
    ),
    (
        "More than the paper has: folds of held-out actors beside the random split, more random "
        "splits than one for the difference, the network on single frames, intervals over "
        "actors."
    ),
)
"""What is done otherwise than in the paper, and why."""
