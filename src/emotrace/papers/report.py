"""What a reproduction's page is made of: values that know their n, interval, protocol and origin.

A number of ours is never bare: `Score` carries what it was measured on and whether those people
were drawn, so that no writer can leave it out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Origin = Literal["real", "synthetic"]
Verdict = Literal["holds", "does not hold", "undecided", "not run"]

SYNTHETIC_MARK: Final = "synthetic"
"""Stands in the cell itself."""
FEWEST_GROUPS: Final = 6
"""Below it even a sign test in which all agree has p above 0.05 (five: 2 / 2^5 = 0.06)."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A number that was measured here."""

    value: float | None
    """None where it is not defined (no variance, no such class)."""
    n: int
    counted: str
    """What n counts: frames, sequences, videos, pictures."""
    protocol: str
    """How the data was divided, and on which side this was measured."""
    run: str
    """Where it comes from, below the page's folder."""
    origin: Origin
    low: float | None = None
    """Ends of the interval of 95 %."""
    high: float | None = None
    interval_over: str = ""
    """What was drawn again for the interval: subjects, videos."""
    unit: Literal["percent", "number", "seconds", "count", "ratio"] = "number"
    note: str = ""

    def text(self) -> str:
        """Return the value alone, as the table shows it.

        >>> Score(value=0.951, n=9, counted="frames", protocol="p", run="r", origin="real",
        ...       unit="percent").text()
        '95.1 %'
        """
        return shown(self.value, self.unit)

    def interval_text(self) -> str:
        """Return the interval, or nothing."""
        if self.low is None or self.high is None:
            return ""
        low, high = (shown(end, self.unit).removesuffix(" %") for end in (self.low, self.high))
        return f"[{low}, {high}]"

    def sample_text(self) -> str:
        """Return n and what it counts."""
        return f"n = {self.n:,} {self.counted}"


@dataclass(frozen=True, kw_only=True)
class Theirs:
    """What the paper prints, as it prints it."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A number of ours that is not there, and why."""

    reason: str


Cell = str | int | Score | Theirs | Missing


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells, ours beside theirs."""

    title: str
    """With the paper's number: `Table III: Aff-Wild2, validation set`."""
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure that was drawn here."""

    title: str
    file: str
    """Below the page's folder: `figures/curves.png`."""
    caption: str
    origin: Origin


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement of the paper, and whether it holds in this reproduction."""

    statement: str
    theirs: str
    """The paper's numbers for it."""
    ours: str
    """Ours, with intervals."""
    verdict: Verdict
    origin: Origin | None = None


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading, some text, tables and figures."""

    title: str
    text: str = ""
    """Paragraphs, with an empty line between them."""
    items: tuple[Table | Picture, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """A whole page."""

    sections: tuple[Section, ...]
    claims: tuple[Claim, ...] = ()
    departures: tuple[str, ...] = ()
    """Where this reproduction does otherwise than the paper, and why."""
    learned: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    """Plain values for the JSON alone."""


def shown(value: float | None, unit: str) -> str:
    """Return a value in its unit's usual form.

    >>> [shown(0.5, "percent"), shown(0.12345, "number"), shown(None, "ratio")]
    ['50.0 %', '0.123', 'not defined']
    """
    if value is None:
        return "not defined"
    forms = {
        "percent": f"{100 * value:.1f} %",
        # Adding 0 turns the -0.000 of a small negative number into 0.000.
        "number": f"{round(value, 3) + 0.0:.3f}",
        "seconds": f"{value:,.1f} s",
        "count": f"{value:,.0f}",
        "ratio": f"{value:.2f} x",
    }
    return forms[unit]


def claim_of_interval(
    low: float | None, high: float | None, *, groups: int = FEWEST_GROUPS
) -> Verdict:
    """Judge "the first is better" by the interval of the difference first - second.

    Args:
        low: Of the interval.
        high: Of the interval.
        groups: Independent people or videos that were drawn again; with fewer than
            `FEWEST_GROUPS` nothing is decided.

    >>> [claim_of_interval(0.1, 0.2), claim_of_interval(-0.1, 0.2), claim_of_interval(-0.3, -0.1)]
    ['holds', 'undecided', 'does not hold']
    """
    if low is None or high is None:
        return "not run"
    if groups < FEWEST_GROUPS:
        return "undecided"
    if low > 0:
        return "holds"
    return "does not hold" if high < 0 else "undecided"
