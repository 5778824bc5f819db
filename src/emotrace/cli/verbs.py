"""Choosing a verb by the first word, so that only its module is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from emotrace.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HELP_FLAGS = ("-h", "--help", "help")


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One word of the command line and what it does."""

    summary: str
    """What it does, for the list in `--help`; up to 60 characters."""
    run: Callable[[Sequence[str]], int]
    """Takes the words after the verb and returns the exit code; imports what it needs itself."""


@dataclass(frozen=True, kw_only=True)
class VerbTable:
    """The verbs of `emotrace`, or of one of its verbs that has verbs of its own."""

    program: str
    """What the user types to get here."""
    description: str
    verbs: Mapping[str, Verb]
    examples: str
    """Indented lines that a user may copy."""

    def help_text(self) -> str:
        """Return the page that `--help` shows, at most 80 columns wide."""
        width = max(len(name) for name in self.verbs)
        rows = [f"  {name:<{width}}  {verb.summary}" for name, verb in self.verbs.items()]
        return "\n".join(
            [
                f"usage: {self.program} VERB ...",
                "",
                self.description,
                "",
                "Verbs:",
                *rows,
                "",
                "Examples:",
                self.examples.rstrip(),
                "",
                f"Options of a verb: {self.program} VERB --help",
            ]
        )


def run_verb(table: VerbTable, argv: Sequence[str], *, out: TextIO, err: TextIO) -> int:
    """Run the verb that `argv` begins with, or show help.

    Args:
        table: The verbs to choose from.
        argv: The words after `table.program`.
        out: Where help that was asked for goes.
        err: Where help goes that a call without any word gets.

    Returns:
        The exit code.

    Raises:
        UsageError: The first word is no verb; the message names the nearest ones.
    """
    if not argv:
        print(table.help_text(), file=err)
        return 2
    word, rest = argv[0], list(argv[1:])
    if word in HELP_FLAGS:
        if word == "help" and rest and rest[0] in table.verbs:
            return table.verbs[rest[0]].run([*rest[1:], "--help"])
        print(table.help_text(), file=out)
        return 0
    verb = table.verbs.get(word)
    if verb is None:
        raise UsageError(_unknown_verb(table, word))
    return verb.run(rest)


def _unknown_verb(table: VerbTable, word: str) -> str:
    names = ", ".join(table.verbs)
    hint = did_you_mean(word, table.verbs)
    return f"expected a verb out of {names}; got {word!r}{hint} (see '{table.program} --help')"
