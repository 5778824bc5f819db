"""Reproduce a paper: do its steps, then write its page.

An interrupted call goes on where it stopped: steps that are done are not done again, and a training
goes on from its last checkpoint. A step that fails costs what needs it, and nothing else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emotrace.errors import DownloadError, EmotraceError, UsageError
from emotrace.papers.doing import do_step
from emotrace.papers.pages import write_pages
from emotrace.papers.plan import Preparation, check_plan
from emotrace.papers.supply import DataNotGivenError
from emotrace.papers.workshop import Order, Results, StepResult, Workshop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emotrace.papers.plan import Step
    from emotrace.papers.report import Origin

_NEEDS: Final = "needs "
"""How the reason of a step begins that is left out for want of another."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What came of it."""

    results: Results
    pages: tuple[Path, ...]

    @property
    def failed(self) -> tuple[StepResult, ...]:
        """Steps that went wrong; those skipped for want of data are not among them."""
        return tuple(one for one in self.results.values() if one.outcome == "failed")

    @property
    def skipped(self) -> tuple[StepResult, ...]:
        """Steps that could not be done for want of data, or of a step that failed."""
        return tuple(one for one in self.results.values() if one.outcome == "skipped")


def reproduce(
    order: Order,
    *,
    on_step: Callable[[str, int, int], None] | None = None,
    tell: Callable[[str, int, int], None] | None = None,
) -> Reproduction:
    """Do a paper's experiments and write its page.

    Args:
        order: Paper, scale, data, folder.
        on_step: Called before each step with its key, its number from 1, and how many there are.
        tell: Called with what is going on within a step, how much is done, how much there is.

    Raises:
        UsageError: No data is given, or the folder holds another order.
        OutputError: The folder cannot be written to.
    """
    for name in order.data:
        order.paper.require_name(name)
    if not order.data and not order.synthetic:
        names = ", ".join(one.name for one in order.paper.datasets)
        raise UsageError(
            f"expected --data NAME=ROOT (of {names}) or --synthetic, which draws the data; got "
            "neither"
        )
    steps = order.paper.plan(order.scale)
    check_plan(steps)
    workshop = Workshop(order)
    fingerprints: dict[str, str] = {}
    for number, step in enumerate(steps, start=1):
        fingerprints[step.key] = step.fingerprint(fingerprints)
        if on_step is not None:
            on_step(step.key, number, len(steps))
        _do(step, workshop, fingerprints[step.key], tell or _say_nothing)
    results = workshop.results
    return Reproduction(results=results, pages=write_pages(order.paper, results))


def _do(
    step: Step, workshop: Workshop, fingerprint: str, tell: Callable[[str, int, int], None]
) -> None:
    """Do one step, unless it is done; keep what came of it."""
    lacking = [
        key
        for key in step.needs
        if key not in step.spares and workshop.results[key].outcome != "done"
    ]
    if lacking:
        reason = workshop.results[lacking[0]].reason
        if not reason.startswith(_NEEDS):  # what is lacking in the first place is enough
            reason = f"{_NEEDS}{lacking[0]}: {reason}"
        workshop.keep(StepResult(key=step.key, outcome="skipped", reason=reason))
        return
    before = workshop.kept(step.key, fingerprint)
    if before is not None:
        workshop.found[step.key] = before
        return
    begin = time.perf_counter()
    origin = _origin(step, workshop)
    try:
        facts = do_step(step, workshop, tell)
    except (DataNotGivenError, DownloadError) as error:
        workshop.keep(StepResult(key=step.key, outcome="skipped", reason=str(error), origin=origin))
        return
    except EmotraceError as error:
        workshop.keep(StepResult(key=step.key, outcome="failed", reason=str(error), origin=origin))
        return
    workshop.keep(
        StepResult(
            key=step.key,
            outcome="done",
            facts=facts,
            origin=origin,
            seconds=time.perf_counter() - begin,
            fingerprint=fingerprint,
        )
    )


def _origin(step: Step, workshop: Workshop) -> Origin:
    """Say whether any drawn face has part in a step: then its result is a synthetic one."""
    if isinstance(step, Preparation):
        given = all(source.dataset in workshop.order.data for source in step.sources)
        return "real" if given else "synthetic"
    drawn = any(workshop.results[key].origin == "synthetic" for key in step.needs)
    return "synthetic" if drawn else "real"


def _say_nothing(*_: object) -> None:
    pass
