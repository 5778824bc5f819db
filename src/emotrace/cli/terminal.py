"""Writing to the terminal: which stream is for what, and names that cannot harm it."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

MIN_TEXT_WIDTH = 30
"""Columns that a wrapped text gets at least, however narrow the terminal."""


def printable(text: object) -> str:
    r"""Return `text` in one line without control characters, as is safe to show.

    File names may hold anything: line ends, escape sequences that move the cursor, bytes that are
    no text.

    >>> printable("two\nlines \x1b[31m")
    'two lines \\x1b[31m'
    """
    line = re.sub(r"\s*[\r\n]+\s*", " ", str(text)).strip()
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in line
    )


def print_error(message: object) -> None:
    """Print the one line that says what went wrong, on stderr."""
    print(f"error: {printable(message)}", file=sys.stderr)


def print_note(message: object) -> None:
    """Print one line on stderr that is no error and no result."""
    print(printable(message), file=sys.stderr)


def result_console() -> Console:
    """Return the console for results: stdout, coloured on a terminal only, nothing wrapped.

    Where the reader of a pipe goes away (`| head`), the rest is dropped and work goes on.
    """
    from rich.console import Console

    class ResultConsole(Console):
        def on_broken_pipe(self) -> None:
            # rich would end the process here, in the middle of a batch.
            self.quiet = True
            discard_stdout()

    return ResultConsole(
        file=sys.stdout, soft_wrap=True, highlight=False, markup=False, emoji=False
    )


def discard_stdout() -> None:
    """Send what is still to be written to stdout nowhere; Python would complain of it on exit."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # stdout is no file, or closed: nothing left to write to it
        return


def progress_console() -> Console:
    """Return the console for progress: stderr."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False)


def wrapped(console: Console, text: object, *, head: str = "") -> str:
    """Return a text after `head`: wrapped under itself for a terminal, in one line elsewhere.

    Nothing is broken inside a word: a path or an address must stay whole to be copied.
    """
    line = f"{head}{printable(text)}"
    if not console.is_terminal:
        return line
    return textwrap.fill(
        line,
        width=max(console.width, len(head) + MIN_TEXT_WIDTH),
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout, in ASCII, so that no encoding can spoil it."""
    import json

    print(json.dumps(value, indent=2, allow_nan=False))
