"""The papers that can be reproduced: one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emotrace.errors import UsageError
from emotrace.papers.abdullah2020.paper import ABDULLAH2020
from emotrace.papers.rangulov2020.paper import RANGULOV2020
from emotrace.papers.salinas2018.paper import SALINAS2018
from emotrace.papers.tzirakis2021.paper import TZIRAKIS2021

if TYPE_CHECKING:
    from emotrace.papers.plan import Paper

_ROWS: Final[tuple[Paper, ...]] = (
    ABDULLAH2020,
    RANGULOV2020,
    SALINAS2018,
    TZIRAKIS2021,
)
PAPERS: Final[dict[str, Paper]] = {paper.name: paper for paper in _ROWS}
"""Every paper, by name."""


def find_paper(name: str) -> Paper:
    """Return a paper.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in PAPERS:
        raise UsageError(f"expected a paper out of {', '.join(PAPERS)}; got {name!r}")
    return PAPERS[name]
