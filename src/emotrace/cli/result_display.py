"""Showing tables of results on the terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.table import Table

from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from emotrace.training.result_tables import ResultTable

_WIDTH = 78
_WORDS = ("model", "predicted", "predicted by", "measure")
"""Columns of words stand to the left, numbers to the right."""


def show_tables(console: Console, tables: Iterable[ResultTable]) -> None:
    """Print tables with their titles and notes."""
    said = ""
    for table in tables:
        console.print(table.title, style="bold")
        shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for place, column in enumerate(table.head):
            # Eight whole names would be too wide for a terminal.
            name = column[:5] if column in EMOTIONS else column
            is_text = place == 0 or column in _WORDS
            shown.add_column(name, justify="left" if is_text else "right", no_wrap=True)
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
        if table.note and table.note != said:
            console.print(textwrap.fill(table.note, _WIDTH), style="dim")
        said = table.note
        console.print()
