"""What salinas2018 claims, judged by paired differences over the people who were held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.metrics import bootstrap_interval, paired_bootstrap
from emotrace.papers.report import Claim, claim_of_interval
from emotrace.papers.salinas2018.numbers import (
    BLOCKS,
    FINAL,
    NETWORKS,
    PARAMETERS,
    PUBLISHED_PARAMETERS,
    WHOLE_FRAMES,
    faces_key,
    run_key,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.papers.cells import Vote
    from emotrace.papers.report import Origin, Verdict
    from emotrace.papers.workshop import Results

FEWEST_PEOPLE: Final = 5
"""Below this, drawing people again says nothing: intervals of two or three are far too narrow."""
MANY_PEOPLE: Final = 20
_REPEATS: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one network says of sequences."""

    key: str
    """Of the step."""
    score: str = "test"
    vote: Vote = "summed_probabilities"
    """All one where the network sees the end of a sequence once."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much more often one network is right than another, on the same sequences."""

    value: float
    low: float | None
    high: float | None
    """Of 95 %; None where fewer than two people were held out."""
    sequences: int
    people: int
    origin: Origin

    @property
    def verdict(self) -> Verdict:
        """Say whether the first is better; few people decide nothing."""
        if self.people < FEWEST_PEOPLE:
            return "undecided"
        return claim_of_interval(self.low, self.high)

    def text(self) -> str:
        """Return the difference in points of accuracy, with its interval and n."""
        ends = (
            "" if self.low is None else f" [{100 * self.low:+.1f}, {100 * (self.high or 0):+.1f}]"
        )
        few = "; too few people to judge by" if self.people < FEWEST_PEOPLE else ""
        return (
            f"{100 * self.value:+.1f}{ends} points (n = {self.sequences} sequences of "
            f"{self.people} people{few})"
        )


def compare(results: Results, first: Answers, second: Answers) -> Difference | None:
    """Return first - second on the sequences that both answered; None where one is not there."""
    if not results.is_done(first.key, second.key):
        return None
    one, other = _right(results, first), _right(results, second)
    both = [video for video in one if video in other]
    if not both:
        return None
    people = [one[video][0] or video for video in both]
    is_right = np.array([[one[video][1], other[video][1]] for video in both], float)
    value = float((is_right[:, 0] - is_right[:, 1]).mean())
    low = high = None
    if len(set(people)) > 1:
        found = paired_bootstrap(
            lambda rows: float(is_right[rows, 0].mean()),
            lambda rows: float(is_right[rows, 1].mean()),
            people,
            repeats=_REPEATS,
        )
        low, high = found.low, found.high
    origins = {results[one.key].origin for one in (first, second)}
    return Difference(
        value=value,
        low=low,
        high=high,
        sequences=len(both),
        people=len(set(people)),
        origin="synthetic" if "synthetic" in origins else "real",
    )


def _right(results: Results, answers: Answers) -> dict[str, tuple[str, bool]]:
    """Return each sequence's person, and whether the network was right about it."""
    said = results[answers.key].facts["scores"][answers.score]["decisions"]
    return {
        video: (person, answer == truth)
        for video, person, truth, answer in zip(
            said["videos"], said["subjects"], said["truth"], said[answers.vote], strict=True
        )
    }


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One network is right more often than another, says the paper of one data set."""

    text: str
    dataset: str
    theirs: str
    better: str
    worse: str
    worse_vote: Vote = "summed_probabilities"


def _both(
    text: str, theirs: tuple[str, str], better: str, worse: str, **more: Any
) -> tuple[Statement, ...]:
    """Make a statement of each data set."""
    return tuple(
        Statement(
            text=f"{text}, {title}",
            dataset=dataset,
            theirs=number,
            better=better,
            worse=worse,
            **more,
        )
        for (dataset, title), number in zip(BLOCKS.items(), theirs, strict=True)
    )


STATEMENTS: Final = (
    *_both(
        "Two frames (Late Fusion) tell more than single ones",
        ("0.563 against 0.383", "0.665 against 0.562"),
        "late-fusion",
        "single-frame",
    ),
    *_both(
        "Ten frames as channels (Early Fusion) tell more than single ones",
        ("0.470 against 0.383", "0.575 against 0.562"),
        "early-fusion",
        "single-frame",
    ),
    *_both(
        "Slow Fusion falls behind Late Fusion",
        ("0.492 against 0.563", "0.618 against 0.665"),
        "late-fusion",
        "slow-fusion",
    ),
    Statement(
        text="3D Convolution tells more than single frames, CK+",
        dataset="ckplus",
        theirs="0.462 against 0.383",
        better="conv3d",
        worse="single-frame",
    ),
    Statement(
        text="3D Convolution falls behind single frames, Oulu-CASIA",
        dataset="oulu-casia",
        theirs="0.375 against 0.562",
        better="single-frame",
        worse="conv3d",
    ),
    *_both(
        "The recurrent network falls behind Single Frame",
        ("0.29 against 0.383", "0.28 against 0.562"),
        "single-frame",
        "recurrent",
    ),
    *_both(
        "Summed probabilities vote better than counted frames (Single Frame)",
        ("0.383 against 0.379", "0.562 against 0.560"),
        "single-frame",
        "single-frame",
        worse_vote="maximum_probability",
    ),
)
"""Differences that sections VI and VII state."""


def all_claims(results: Results) -> tuple[Claim, ...]:
    """Return the paper's claims with their verdicts."""
    return (
        _parameters(results),
        _best(results, "ckplus", "0.563"),
        _best(results, "oulu-casia", "0.665"),
        *(
            _of_pair(
                results,
                one.text,
                one.theirs,
                Answers(key=run_key(one.better, one.dataset)),
                Answers(key=run_key(one.worse, one.dataset), vote=one.worse_vote),
            )
            for one in STATEMENTS
        ),
        _of_pair(
            results,
            "A face crop tells more of new people than the whole frame (Single Frame, CK+)",
            "a curve alone (Fig. 14)",
            Answers(key=run_key("single-frame", "ckplus")),
            Answers(key=f"{WHOLE_FRAMES}/ckplus"),
        ),
        *(_times(results, dataset) for dataset in BLOCKS),
    )


def _of_pair(
    results: Results, statement: str, theirs: str, first: Answers, second: Answers
) -> Claim:
    found = compare(results, first, second)
    if found is None:
        return Claim(statement=statement, theirs=theirs, ours="", verdict="not run")
    return Claim(
        statement=statement,
        theirs=theirs,
        ours=found.text(),
        verdict=found.verdict,
        origin=found.origin,
    )


def _best(results: Results, dataset: str, theirs: str) -> Claim:
    """Judge whether Late Fusion beats each other network: one that it does not beat decides."""
    statement = f"Late Fusion is the best of the six, {BLOCKS[dataset]}"
    late = Answers(key=run_key("late-fusion", dataset))
    found = {
        title: compare(results, late, Answers(key=run_key(network, dataset)))
        for network, title in NETWORKS.items()
        if network != "late-fusion"
    }
    there = {name: difference for name, difference in found.items() if difference is not None}
    if len(there) < len(found):
        return Claim(statement=statement, theirs=theirs, ours="", verdict="not run")
    verdicts = {difference.verdict for difference in there.values()}
    verdict: Verdict = "undecided"
    if verdicts == {"holds"}:
        verdict = "holds"
    elif "does not hold" in verdicts:
        verdict = "does not hold"
    name, least = min(there.items(), key=lambda item: item[1].value)
    return Claim(
        statement=statement,
        theirs=theirs,
        ours=f"against {name}: {least.text()}",
        verdict=verdict,
        origin=least.origin,
    )


def _parameters(results: Results) -> Claim:
    statement, theirs = "The six networks have the parameters of Table I", "six counts"
    step = results[PARAMETERS]
    if step.outcome != "done":
        return Claim(statement=statement, theirs=theirs, ours="", verdict="not run")
    equal = [
        name
        for name, count in PUBLISHED_PARAMETERS.items()
        if step.facts["as_table_1"][name] == count
    ]
    return Claim(
        statement=statement,
        theirs=theirs,
        ours=f"{len(equal)} of {len(PUBLISHED_PARAMETERS)} equal to the last unit",
        verdict="holds" if len(equal) == len(PUBLISHED_PARAMETERS) else "does not hold",
        origin="real",
    )


def time_ratio(results: Results, network: str, dataset: str) -> dict[str, Any] | None:
    """Return how much longer a network trains than Single Frame: ratio, ends, number of folds.

    In processor time where this process did all the work, as another program takes none of that.
    """
    key, single = run_key(network, dataset), run_key("single-frame", dataset)
    if not results.is_done(key, single):
        return None
    for clock in ("processor_seconds", "seconds"):
        times = [
            {fold["fold"]: fold.get(clock) for fold in results[one].facts["folds"]}
            for one in (key, single)
        ]
        both = [
            (times[0][fold], times[1][fold])
            for fold in times[0]
            if times[0][fold] and times[1].get(fold)
        ]
        if both:
            return {"clock": clock, **_ratio_of(np.array(both))}
    return None


def _ratio_of(pairs: NDArray[np.float64]) -> dict[str, Any]:
    low, high = bootstrap_interval(
        lambda rows: float(pairs[rows, 0].sum() / pairs[rows, 1].sum()), len(pairs)
    )
    return {
        "ratio": float(pairs[:, 0].sum() / pairs[:, 1].sum()),
        "low": low if len(pairs) > 1 else None,
        "high": high if len(pairs) > 1 else None,
        "folds": len(pairs),
    }


def _times(results: Results, dataset: str) -> Claim:
    statement = (
        f"Every network over time takes longer to train than Single Frame, {BLOCKS[dataset]}"
    )
    theirs = "1.75 to 3.33 times" if dataset == "ckplus" else "1.48 to 2.93 times"
    found = {
        name: time_ratio(results, name, dataset) for name in NETWORKS if name != "single-frame"
    }
    there = {name: ratio for name, ratio in found.items() if ratio is not None}
    if len(there) < len(found):
        return Claim(statement=statement, theirs=theirs, ours="", verdict="not run")
    ratios = [ratio["ratio"] for ratio in there.values()]
    folds = min(ratio["folds"] for ratio in there.values())
    verdict: Verdict = "undecided"
    if folds >= FEWEST_PEOPLE:
        if all(ratio["low"] > 1 for ratio in there.values()):
            verdict = "holds"
        elif any(ratio["high"] < 1 for ratio in there.values()):
            verdict = "does not hold"
    return Claim(
        statement=statement,
        theirs=theirs,
        ours=f"{min(ratios):.2f} to {max(ratios):.2f} times (n = {folds} trainings each)",
        verdict=verdict,
        origin=results[faces_key(dataset)].origin,
    )


def learned(results: Results) -> tuple[str, ...]:
    """Return what the results show beyond the paper's claims; nothing that was not measured."""
    said = []
    folds = [results[run_key("single-frame", one)].facts.get("folds", []) for one in BLOCKS]
    people = min((len(one) for one in folds if one), default=MANY_PEOPLE)
    if people < MANY_PEOPLE:
        said.append(
            f"Intervals come from drawing {people} people again. Of so few they are too narrow, "
            "and one of some twenty comparisons errs by chance: a verdict here is a hint."
        )
    for dataset, title in BLOCKS.items():
        key = run_key("late-fusion", dataset)
        found = compare(results, Answers(key=key, score="pairs"), Answers(key=key))
        if found is not None:
            said.append(
                f"The vote over every pair 14 frames apart, which the paper proposes, changes Late "
                f"Fusion by {found.text()} on {title}: {_judged(found)}."
            )
        steps = results[faces_key(dataset)]
        if steps.outcome == "done":
            facts = steps.facts
            dropped = facts["clip_count"] - facts["clips_without_tracking"]
            missed = facts["missed_count"] + facts["tracked_count"]
            said.append(
                f"{title}: the cascade finds no face in {missed:,} of {facts['frame_count']:,} "
                f"frames (optical flow follows it in {facts['tracked_count']:,} of them), which "
                f"costs {dropped:,} of {facts['clip_count']:,} sequences."
            )
    step = results[FINAL]
    if step.outcome == "done":
        scores = step.facts["scores"]["test"]
        said.append(
            f"The final model learned from {step.facts['examples']['train']:,} sequences and was "
            f"measured on {scores['videos']:,}: {scores['split'].partition(':')[0]}."
        )
    return tuple(said)


def _judged(found: Difference) -> str:
    words = {
        "holds": "better",
        "does not hold": "worse",
        "undecided": "not to be told from none",
        "not run": "not to be judged",
    }
    return words[found.verdict]
