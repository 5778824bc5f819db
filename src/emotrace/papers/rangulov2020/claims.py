"""What rangulov2020 claims, judged by intervals; and what this reproduction shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from emotrace.papers.cells import class_score
from emotrace.papers.rangulov2020 import measures
from emotrace.papers.rangulov2020.recipes import NUMBERS
from emotrace.papers.report import Claim, Missing, Score, claim_of_interval, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emotrace.papers.report import Cell, Verdict
    from emotrace.papers.workshop import Results

_CKPLUS_ACCURACY: Final = 0.95
_BY_WAY: Final = re.compile(r"^(needs [^:]+: )+")
DEPARTURES: Final = (
    (
        "CK+ has a train folder and a test folder in the paper, and nothing says how it was "
        "divided. Here whole people are held out, so that nobody is seen in training: as many to "
        "choose the epoch by as to measure on."
    ),
    (
        "The paper counts 295 neutral pictures in its train folder, and 294 sequences by its "
        "other classes. Here a sequence gives one neutral picture."
    ),
    (
        "A CK+ sequence of three pictures or fewer has no room for a neutral one beside three "
        "peaks: all its pictures count as peaks."
    ),
    "JAFFE is 219 pictures in the paper's text; its Table II adds up to 213, as the set does.",
    (
        "The patience of early stopping is not in the paper: at full scale "
        f"{NUMBERS['full'].still_patience} epochs on CK+ and {NUMBERS['full'].patience} on "
        "Aff-Wild2. On CK+ the epoch with the best unweighted recall is kept, on Aff-Wild2 the "
        "one with the best mean CCC."
    ),
    (
        "As in the paper, Aff-Wild2's best epoch is chosen on the validation videos that it is "
        "measured on, since its test labels are not handed out: these numbers are a little too "
        "good."
    ),
    (
        "Table III's CCC was averaged over shuffled batches by the authors' code. Here the CCC is "
        "that of the whole set, and the two other ways stand beside it."
    ),
    (
        "Equation 1 prints a probability of being selected that would keep what is common; the "
        "authors' code drops a frame with that probability, which balances. Here it is the "
        "code's."
    ),
    (
        "The authors' code changed every picture by one and the same random draw; here each "
        "picture has its own. The size of the shear is ours."
    ),
    (
        "A frame that no window predicts (the first ones of a video, those beside a gap) takes "
        "the value between its neighbours, and counts in every score."
    ),
    (
        "One output against two, and the losses, are compared on the whole training set; the "
        "paper does not say on which and prints no numbers."
    ),
    "The baseline of Table III is another team's: it was not trained, there or here.",
)


def difference_score(results: Results, of: str, name: str, measure: str, value: str) -> Cell:
    """Return a paired difference as a cell.

    Args:
        results: Of the plan.
        of: The computation that compared.
        name: Of the pair.
        measure: `ccc` or `rmse`.
        value: `valence`, `arousal` or `mean`.
    """
    step = results[of]
    if step.outcome != "done":
        return Missing(reason=step.reason)
    pair = step.facts["differences"][name]
    found = pair[measure][value]
    low, high = found["interval_95"] or (None, None)
    return Score(
        value=found["difference"],
        low=low,
        high=high,
        n=pair["n"],
        counted=f"frames of {pair['videos']} videos",
        interval_over="videos" if low is not None else "",
        protocol="paired, on the validation side",
        run=of,
        origin=step.origin,
    )


def still_claims(results: Results) -> tuple[Claim, ...]:
    """Judge what section VI-A says of CK+ and JAFFE."""
    ckplus = class_score(results, measures.STILLS, counted="pictures")
    jaffe = class_score(results, "stills/jaffe", score="jaffe", counted="pictures")
    people = _people(results, measures.STILLS, "test")
    people_of_jaffe = _people(results, "stills/jaffe", "jaffe")
    return (
        Claim(
            statement="The CNN tells CK+'s expressions apart with an accuracy of 95 % or more",
            theirs="95 %",
            ours=f"{_said(ckplus)}{_of_people(people)}",
            verdict=_above(ckplus, _CKPLUS_ACCURACY, groups=people),
            origin=_origin(ckplus),
        ),
        Claim(
            statement="It does much better on CK+ than on JAFFE, which it did not learn from",
            theirs="95 % and 50 %",
            ours=(
                f"{_said(ckplus)}{_of_people(people)} and "
                f"{_said(jaffe)}{_of_people(people_of_jaffe)}"
            ),
            verdict=_apart(ckplus, jaffe, groups=min(people, people_of_jaffe)),
            origin=_origin(jaffe),
        ),
        _errors_claim(results),
    )


def _people(results: Results, key: str, score: str) -> int:
    """Return how many people were drawn again for the interval.

    0 where nothing was measured, and where it was sequences or pictures, of one person or of nobody
    known: these are not independent.
    """
    step = results[key]
    if step.outcome != "done":
        return 0
    scores = step.facts["scores"][score]
    is_of_people = scores["intervals_over"] == "subject"
    return int(scores["heads"]["expression"]["groups"]) if is_of_people else 0


def _of_people(people: int) -> str:
    return f" of {people} people" if people else ""


def _above(cell: Cell, theirs: float, *, groups: int) -> Verdict:
    if not isinstance(cell, Score) or cell.low is None or cell.high is None:
        return "not run"
    return claim_of_interval(cell.low - theirs, cell.high - theirs, groups=groups)


def _apart(first: Cell, second: Cell, *, groups: int) -> Verdict:
    """Judge "the first is higher" by two intervals of different data: they must not overlap."""
    if not isinstance(first, Score) or not isinstance(second, Score):
        return "not run"
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return "not run"
    return claim_of_interval(first.low - second.high, first.high - second.low, groups=groups)


def _errors_claim(results: Results) -> Claim:
    step = results["stills/jaffe"]
    ours = _shortly(step.reason)
    verdict: Verdict = "not run"
    if step.outcome == "done":
        errors = step.facts["errors"]
        low, high = errors["interval_95"] or (None, None)
        ours = (
            f"correlation {shown(errors['correlation'], 'number')}{_interval(low, high)} over the "
            f"8 classes (n = {errors['n']:,} pictures){_of_people(errors['people'])}"
        )
        verdict = claim_of_interval(low, high, groups=errors["people"])
    return Claim(
        statement="On JAFFE, classes with more pictures in CK+ are wrongly said more often",
        theirs="seen in Fig. 7, without a number",
        ours=ours,
        verdict=verdict,
        origin=step.origin if step.outcome == "done" else None,
    )


def affect_claims(results: Results) -> tuple[Claim, ...]:
    """Judge what section VI-B says of Aff-Wild2, by the mean CCC of valence and arousal."""
    claims = (
        ("measures/frames", "both-against-one", "Predicting both values beats one CNN for each"),
        ("measures/frames", "ccc-against-mse", "CCC as the loss beats squared error"),
        ("measures/frames", "subset-against-whole", "Subset 3 gives slightly better results"),
        ("measures/recurrent", "simple-against-cnn", "A simple RNN adds to the CNN"),
        ("measures/recurrent", "gru-3-against-cnn", "Three GRU layers add to the CNN"),
        ("measures/recurrent", "gru-1-against-simple", "A GRU does better than a simple RNN"),
        ("measures/recurrent", "gru-3-against-gru-1", "Three GRU layers do better than one"),
    )
    theirs = {
        "both-against-one": "said without numbers",
        "ccc-against-mse": "said without numbers",
        "subset-against-whole": "0.22 / 0.22 against 0.2 / 0.23",
        "simple-against-cnn": "0.21 / 0.22 against 0.22 / 0.22",
        "gru-3-against-cnn": "0.23 / 0.39 against 0.22 / 0.22",
        "gru-1-against-simple": "0.2 / 0.35 against 0.21 / 0.22",
        "gru-3-against-gru-1": "0.23 / 0.39 against 0.2 / 0.35",
    }
    made = []
    for of, name, statement in claims:
        cell = difference_score(results, of, name, "ccc", "mean")
        is_score = isinstance(cell, Score)
        made.append(
            Claim(
                statement=statement,
                theirs=theirs[name],
                ours=f"mean CCC by {_said(cell)}" if is_score else _said(cell),
                verdict=_judged(results[of].facts["differences"][name]) if is_score else "not run",
                origin=_origin(cell),
            )
        )
    return tuple(made)


def learned(results: Results, pairs: Mapping[str, str]) -> tuple[str, ...]:
    """Say what the differences show, in the order of `pairs` (name to words)."""
    said = []
    for of in ("measures/frames", "measures/recurrent"):
        step = results[of]
        if step.outcome != "done":
            continue
        for name, found in step.facts["differences"].items():
            said.append(f"{pairs[name][0].upper()}{pairs[name][1:]}: {_outcome(found)}.")
    unfinished = [
        key
        for key in dict.fromkeys((*measures.FRAME_RUNS, *measures.RECURRENT_RUNS))
        if results.is_done(key)
        and results[key].facts["best_epoch"] == results[key].facts["epochs_planned"]
    ]
    if unfinished:
        said.append(
            f"Still getting better at the last epoch: {', '.join(unfinished)}. More training would "
            "change their numbers, and with fewer examples (subset 3) an epoch has fewer steps."
        )
    return tuple(said)


def _judged(found: Mapping[str, Any]) -> Verdict:
    """Judge "the first is better" by the mean CCC of a pair."""
    low, high = found["ccc"]["mean"]["interval_95"] or (None, None)
    return claim_of_interval(low, high, groups=found["videos"])


def _outcome(found: Mapping[str, Any]) -> str:
    mean = found["ccc"]["mean"]
    low, high = mean["interval_95"] or (None, None)
    words = {
        "holds": "better",
        "does not hold": "worse",
        "undecided": "no difference that so few videos can show",
        "not run": "one video, so no interval",
    }[_judged(found)]
    change = mean["difference"]
    by = "not defined" if change is None else f"{change:+.3f}"
    return (
        f"{words} (mean CCC {by}{_interval(low, high)}, {found['n']:,} frames of "
        f"{found['videos']} videos)"
    )


def _said(cell: Cell) -> str:
    if isinstance(cell, Score):
        interval = f" {cell.interval_text()}" if cell.low is not None else ""
        return f"{cell.text()}{interval} ({cell.sample_text()})"
    return _shortly(cell.reason) if isinstance(cell, Missing) else str(cell)


def _shortly(reason: str) -> str:
    """Leave out by way of which steps it is lacking, and how to get it: the page says so below."""
    return f"not run: {_BY_WAY.sub('', reason).partition(';')[0]}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"


def _origin(cell: Cell) -> Any:
    return cell.origin if isinstance(cell, Score) else None
