"""What becomes of tyro's boxes."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from emotrace.cli.arguments import Debug, Switch, condense_complaint, parse_arguments
from emotrace.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Inner:
    level: int = 3

    def __post_init__(self) -> None:
        if self.level < 1:
            raise UsageError(f"expected level above 0; got {self.level}")


@dataclass(frozen=True, kw_only=True)
class Outer:
    fast: Switch = False
    inner: Inner = field(default_factory=Inner)
    debug: Debug = False


def parse(*words: str) -> Outer:
    return parse_arguments(Outer, words, program="emotrace test", description="Test.")


def test_flags_of_nested_values_need_no_prefix() -> None:
    assert parse("--fast", "--level", "5") == Outer(fast=True, inner=Inner(level=5))


def test_debug_is_a_flag_of_every_verb() -> None:
    assert parse("--debug").debug


def test_a_refusal_by_the_value_itself_reaches_the_user_as_it_is() -> None:
    with pytest.raises(UsageError, match=r"expected level above 0; got 0"):
        parse("--level", "0")


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_complaint_does_not_depend_on_the_width(
    monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(UsageError) as caught:
        parse("--levl", "4")
    assert str(caught.value) == (
        "unrecognized options: --levl, 4; perhaps you meant --level INT "
        "(see 'emotrace test --help')"
    )


def test_help_texts_are_dropped_from_a_complaint() -> None:
    box = (
        "╭─ Unrecognized options ─────────╮\n"
        "│ Unrecognized options: --detctr │\n"
        "│ ────────────────────────────── │\n"
        "│ Perhaps you meant:             │\n"
        "│     --detector {a,b}           │\n"
        "│         Which. (default: a)    │\n"
        "│ ────────────────────────────── │\n"
        "│ For full helptext, run x -h    │\n"
        "╰────────────────────────────────╯\n"
    )
    assert condense_complaint(box) == (
        "unrecognized options: --detctr; perhaps you meant --detector {a,b}"
    )


def test_colours_do_not_reach_the_line() -> None:
    assert condense_complaint("\x1b[31m╭─ Oh ─╮\x1b[0m\n│ \x1b[1mno\x1b[0m   │\n") == "no"


def test_unknown_layout_still_gives_one_line() -> None:
    assert condense_complaint("usage: x\nx: error: no such thing\n") == (
        "usage: x x: error: no such thing"
    )
    assert condense_complaint("") == "expected other arguments"
