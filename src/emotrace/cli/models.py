"""`emotrace models`: the networks that can be trained, what they cost, what can be set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.terminal import print_json, result_console, wrapped
from emotrace.training import INSTALL_TRAINING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.table import Table

PROGRAM = "emotrace models"
DESCRIPTION = f"""\
List the networks that emotrace can train, or show one with its options.

Training needs more packages; in the checkout: {INSTALL_TRAINING}

Examples:
  emotrace models
  emotrace models rangulov2020-gru3
  emotrace models --json
"""
LEGEND = (
    (
        "face: one picture, channels x height x width; clip: so many frames at once; faces and "
        "vectors: a sequence of any length, one after the other"
    ),
    "parameters: trainable ones, with the default options; published: the paper's count",
    (
        "cost: multiply-adds of convolutions, linear and recurrent layers for one frame's "
        "output (a whole clip counts, one further step of a sequence)"
    ),
)
NARROWEST_PAPER = 24
"""Columns that must be left for the papers to be shown, cut short where they are longer."""
PIPE_WIDTH = 1000
"""Columns where nothing is a terminal: a line is cut or wrapped by whoever reads it."""
TAKES = {
    "image": ("face", "one face"),
    "clip": ("clip", "a clip of faces at once"),
    "image_sequence": ("faces", "a sequence of faces of any length, one after the other"),
    "vector_sequence": ("vectors", "a sequence of vectors of any length, one after the other"),
}
"""What a kind of network takes: in a word, in words."""


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    name: Annotated[
        str | None,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="[NAME]", help_behavior_hint="(default: list all)"),
    ] = None
    """The network to show."""
    json: Switch = False
    """Print JSON."""
    debug: Debug = False


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code.

    Raises:
        UsageError: There is no network of that name.
    """
    arguments = parse_arguments(_Arguments, argv, program=PROGRAM, description=DESCRIPTION)
    from emotrace.models.zoo_facts import find_facts, read_facts

    if arguments.name is None:
        # The options belong to the page of one network.
        rows = [
            {name: value for name, value in facts.items() if name != "options"}
            for facts in read_facts()
        ]
        if arguments.json:
            print_json(rows)
        else:
            _show_table(rows)
        return 0
    facts = find_facts(arguments.name)
    if arguments.json:
        print_json(facts)
    else:
        _show_one(facts)
    return 0


def short_count(count: int) -> str:
    """Return a count to three digits.

    >>> short_count(606_448_768), short_count(3_177_408_512), short_count(40_200), short_count(85)
    ('606 M', '3.18 G', '40.2 k', '85')
    """
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        # 999,500 and more would be rounded to 1000 of the smaller unit.
        if count >= size * 0.9995:
            value = count / size
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{digits}f} {unit}"
    return str(count)


def _input_text(facts: dict[str, Any]) -> str:
    word, _ = TAKES[facts["takes"]]
    sizes = "x".join(str(size) for size in facts["input_shape"] if size is not None)
    return f"{word} {sizes}"


def _show_table(rows: Sequence[dict[str, Any]]) -> None:
    from rich.table import Table

    console = result_console()
    headings = ("name", "input", "parameters", "published", "cost")
    cells: list[tuple[str, ...]] = [
        (
            row["name"],
            _input_text(row),
            f"{row['parameters']:,}",
            "-" if row["published_parameters"] is None else f"{row['published_parameters']:,}",
            short_count(row["multiply_adds"]),
        )
        for row in rows
    ]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        is_number = heading not in ("name", "input")
        table.add_column(heading, no_wrap=True, justify="right" if is_number else "left")
    room = PIPE_WIDTH
    if console.is_terminal:
        # rich would cut the other columns too to make room for long papers.
        widths = (max(map(len, column)) for column in zip(headings, *cells, strict=True))
        room = console.width - sum(width + 2 for width in widths)
    if room >= NARROWEST_PAPER:
        table.add_column("paper", no_wrap=True, max_width=room)
        cells = [(*known, row["paper"]) for known, row in zip(cells, rows, strict=True)]
    for known in cells:
        table.add_row(*known)
    _print_table(console, table)
    console.print()
    for line in LEGEND:
        console.print(wrapped(console, line))
    console.print(wrapped(console, f"One network with its paper and options: {PROGRAM} NAME"))


def _show_one(facts: dict[str, Any]) -> None:
    from rich.table import Table

    console = result_console()
    published = facts["published_parameters"]
    heads = (f"{head['name']} ({head['kind']}, {head['size']})" for head in facts["heads"])
    counted = f"{facts['parameters']:,} trainable"
    lines = [
        ("name", facts["name"]),
        ("what", facts["summary"]),
        ("paper", facts["paper"]),
        ("takes", f"{TAKES[facts['takes']][1]}: {_input_text(facts)}"),
        ("gives", ", ".join(heads)),
        ("parameters", counted if published is None else f"{counted}; published: {published:,}"),
        ("cost", f"{facts['multiply_adds']:,} multiply-adds for one frame's output"),
    ]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        console.print(wrapped(console, value, head=f"{name:<{width}}  "))
    console.print()
    table = Table("option", "default", "what it is", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for option in facts["options"]:
        text = f"{option['text']}{_choices_text(option['type'])}"
        table.add_row(option["name"], _default_text(option["default"]), text)
    _print_table(console, table)


def _choices_text(kind: str) -> str:
    """Say what an option may be, where its type is a list of words.

    >>> _choices_text("'all' | 'first'"), _choices_text("tuple['a' | 'b', ...]")
    (' One of all, first.', ' Out of a, b.')
    """
    words = re.findall(r"'([^']*)'", kind)
    if not words:
        return ""
    return f" {'Out of' if kind.startswith('tuple') else 'One of'} {', '.join(words)}."


def _default_text(default: Any) -> str:
    """Write a default as it would be given to `emotrace train`.

    >>> _default_text([2, 3, 3, 1]), _default_text(0.2)
    ('2 3 3 1', '0.2')
    """
    return " ".join(map(str, default)) if isinstance(default, list) else str(default)


def _print_table(console: Console, table: Table) -> None:
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table, soft_wrap=False)
