"""What `emotrace analyze` shows on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import write_video

if TYPE_CHECKING:
    from pathlib import Path

pty = pytest.importorskip("pty", reason="needs a terminal to pretend")


def run_on_terminal(words: list[object], env: dict[str, str]) -> tuple[int, str, str]:
    """Run the command line with stderr on a terminal and stdout in a pipe."""
    terminal, end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "emotrace.cli.app", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=end,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", **env},
    ) as process:
        os.close(end)
        shown = b""
        while True:
            try:
                part = os.read(terminal, 4096)
            except OSError:  # Linux says so when the other end is closed
                break
            if not part:
                break
            shown += part
        if process.stdout is None:
            pytest.fail("no pipe")
        results = process.stdout.read()
    os.close(terminal)
    return process.returncode, results.decode(), shown.decode()


def words_for(tmp_path: Path, bundle: Path) -> list[object]:
    # Long enough for the bars to be drawn more than once on a fast machine.
    inputs = [write_video(tmp_path / name, frames=300) for name in ("a.mp4", "b.mp4")]
    return [
        *("analyze", *inputs, "-o", tmp_path / "out"),
        *("--bundle", bundle, "--detector", "haar"),
    ]


def test_bars_are_drawn_and_taken_down_and_stdout_stays_clean(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    code, results, shown = run_on_terminal(words_for(tmp_path, tiny_bundle), {})
    assert code == 0
    assert results.replace("\n", "").isprintable()
    assert results.splitlines()[-1] == "2 inputs: 2 done, 0 failed"
    assert "all inputs" in shown
    assert "a.mp4" in shown
    assert "frames/s" in shown
    assert "1 of 2 done" in shown
    # Every line that was drawn is erased again, and the cursor is back.
    assert shown.rstrip("\r\n").endswith(("\x1b[2K", "\x1b[?25h"))
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")


@pytest.mark.parametrize("quieter", ["--quiet", "TERM=dumb"])
def test_no_bars_where_they_are_not_wanted(tmp_path: Path, tiny_bundle: Path, quieter: str) -> None:
    words = words_for(tmp_path, tiny_bundle)
    env = {}
    if quieter.startswith("--"):
        words.append(quieter)
    else:
        env = {"TERM": "dumb"}
    code, _, shown = run_on_terminal(words, env)
    assert code == 0
    assert "\x1b" not in shown
    assert "frames/s" not in shown
