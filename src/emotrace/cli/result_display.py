"""Showing tables of results on the terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from rich.table import Table

from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from emotrace.training.result_tables import ResultTable

_WIDTH = 78
_WORDS = ("model", "predicted", "predicted by", "measure")
"""Columns of words stand to the left, numbers to the right."""
_GAP: Final = 2
_LEAST_NAME: Final = 5
"""Names of expressions are cut to as many letters where the terminal is too narrow for more."""


def show_tables(console: Console, tables: Iterable[ResultTable]) -> None:
    """Print tables with their titles and notes."""
    said = ""
    for table in tables:
        console.print(table.title, style="bold")
        shown = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
        for place, (name, column) in enumerate(
            zip(_heads(table, console), table.head, strict=True)
        ):
            is_text = place == 0 or column in _WORDS
            shown.add_column(name, justify="left" if is_text else "right", no_wrap=True)
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
        if table.note and table.note != said:
            console.print(textwrap.fill(table.note, _WIDTH), style="dim")
        said = table.note
        console.print()


def _heads(table: ResultTable, console: Console) -> list[str]:
    """Return the heads of the columns; names of expressions only as long as all of them fit."""
    cells = [max((len(row[at]) for row in table.rows), default=0) for at in range(len(table.head))]
    heads = list(table.head)
    for letters in range(max(map(len, EMOTIONS)), _LEAST_NAME - 1, -1):
        heads = [name[:letters] if name in EMOTIONS else name for name in table.head]
        widths = [max(len(name), cell) for name, cell in zip(heads, cells, strict=True)]
        if sum(widths) + _GAP * (len(widths) - 1) <= console.width:
            break
    return heads
