"""What reaches the terminal cannot harm it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from emotrace.cli.terminal import print_error, print_json, printable

if TYPE_CHECKING:
    import pytest


@given(st.text())
def test_printable_is_one_line_without_control_characters(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


@given(st.text(st.characters(categories=["L", "N", "P"])))
def test_printable_keeps_ordinary_text(text: str) -> None:
    assert printable(text) == text


def test_bytes_that_are_no_text_can_be_printed(capfd: pytest.CaptureFixture[str]) -> None:
    # A file name that is not UTF-8 reaches Python with surrogates, which cannot be encoded.
    print_error("got caf\udce9.mp4")
    assert capfd.readouterr().err == "error: got caf\\udce9.mp4\n"


def test_json_is_ascii_and_parses(capfd: pytest.CaptureFixture[str]) -> None:
    value = {"path": "zürich/\udce9.mp4", "numbers": [1, 2.5, None]}
    print_json(value)
    out = capfd.readouterr().out
    assert out.isascii()
    assert json.loads(out) == value
