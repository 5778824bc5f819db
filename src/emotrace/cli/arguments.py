"""From the words of a verb to a typed value: tyro makes the flags, wrong ones become one line."""

from __future__ import annotations

import contextlib
import io
import re
from typing import TYPE_CHECKING, Annotated, TypeVar

import tyro

from emotrace.errors import UsageError, require_least

if TYPE_CHECKING:
    from collections.abc import Sequence

ArgumentsT = TypeVar("ArgumentsT")

Switch = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
"""A flag that is off unless given; `(default: False)` would be noise in the help."""

Debug = Annotated[
    bool,
    tyro.conf.arg(help="Show the whole traceback of an error.", help_behavior_hint=""),
]
"""The flag `--debug`, which every verb has; `emotrace.cli.app` acts on it."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_REWORDED = (
    (re.compile(r"^Missing from .*?: "), "missing: "),
    (re.compile(r"^Error parsing "), "in "),
    (re.compile(r"invalid literal for int\(\) with base 10: "), "expected a whole number; got "),
    (re.compile(r"could not convert string to float: "), "expected a number; got "),
    (
        re.compile(r"[Ii]nvalid choice (.*) for argument (\S+)\. Expected one of \((.*)\)\.?"),
        r"expected \2 to be one of \3; got \1",
    ),
)
"""tyro passes on the words of Python's own exceptions; users of other languages read these too."""


def parse_arguments(
    kind: type[ArgumentsT], argv: Sequence[str], *, program: str, description: str
) -> ArgumentsT:
    """Parse the words of a verb; `--help` prints the help and leaves with SystemExit(0).

    Args:
        kind: A data class; its fields are the flags.
        argv: The words after the verb.
        program: What the user typed to get here.
        description: Stands above the flags in the help, examples included.

    Raises:
        UsageError: A flag or value is wrong; one line with tyro's suggestion.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                kind,
                prog=program,
                description=description,
                args=list(argv),
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        complaint = condense_complaint(said.getvalue())
        raise UsageError(f"{complaint} (see '{program} --help')") from None


def check_least(least: int, **values: int) -> None:
    """Check numbers that flags gave.

    Args:
        least: The least that each may be.
        values: By the flags' names, with underscores for their dashes.

    Raises:
        UsageError: One is smaller; the message names its flag.
    """
    require_least(least, **{f"--{name.replace('_', '-')}": n for name, n in values.items()})


def condense_complaint(box: str) -> str:
    """Turn the box that tyro draws around a parse error into one line.

    Keeps the complaint and the flags that tyro suggests; drops their help texts.
    """
    sections: list[list[str]] = [[]]
    title = ""
    for raw in _COLOUR.sub("", box).splitlines():
        line = raw.strip()
        if line.startswith(("╭", "+")) and not title:
            title = line.strip("╭╮─+- ")
            continue
        inner = line.removeprefix("│").removeprefix("|").removesuffix("│").removesuffix("|")
        if inner.strip() and not inner.strip("─-╰╯+ "):
            sections.append([])
        elif not inner.startswith(" " * 9):  # a flag's help text stands 8 deep, after 1 of padding
            sections[-1].append(inner.strip())
    texts = [" ".join(filter(None, lines)) for lines in sections]
    kept = [
        text
        for text in texts
        if text and not text.startswith(("For full helptext", "Argument helptext"))
    ]
    line = "; ".join(kept) or title or "expected other arguments"
    line = line.replace("Perhaps you meant:", "perhaps you meant")
    if line.startswith("Unrecognized") and "-" not in line:
        line += "; inputs must stand next to one another, and on/off flags take no value"
    for pattern, words in _REWORDED:
        line = pattern.sub(words, line)
    return line[:1].lower() + line[1:]
