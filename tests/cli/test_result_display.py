"""Tables of results on terminals of all widths."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from emotrace.cli.result_display import show_tables
from emotrace.labels import EMOTIONS
from emotrace.training.result_tables import ResultTable


@pytest.mark.parametrize(
    ("width", "letters"),
    [
        (200, 9),  # whole names
        (82, 9),  # the whole table just fits
        (81, 8),
        (66, 5),
    ],
)
def test_names_of_expressions_are_as_long_as_the_terminal_allows(width: int, letters: int) -> None:
    rows = tuple((name, *["0.123"] * 8) for name in EMOTIONS)
    table = ResultTable(title="Confusion", head=("expression", *EMOTIONS), rows=rows)
    text = io.StringIO()
    show_tables(Console(file=text, width=width, soft_wrap=True), [table])
    head = text.getvalue().splitlines()[1]
    assert head.split() == ["expression", *(name[:letters] for name in EMOTIONS)]
    assert len(head.rstrip()) <= width
