"""The executable: its start, its exit codes, its one-line errors."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from emotrace import __version__
from emotrace.cli import analyze, app
from emotrace.errors import BundleError, EmotraceError, UsageError
from tests.cli.conftest import call_process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cli.conftest import Call

HEAVY = ("torch", "onnxruntime", "cv2", "pandas", "pyarrow", "av", "numpy", "tyro", "rich")
LOADED_AFTER = """
import json, sys
from emotrace.cli.app import main
main({words!r})
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})), file=sys.stderr)
"""


def modules_loaded_by(words: Sequence[str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED_AFTER.format(words=list(words))],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    assert not modules_loaded_by(words).intersection(HEAVY)


@pytest.mark.parametrize(
    "words",
    [["analyze", "--help"], ["doctor", "--help"], ["bundles", "--help"], ["train", "--help"]],
)
def test_help_of_a_verb_imports_no_computing(words: list[str]) -> None:
    loaded = modules_loaded_by(words)
    assert not loaded.intersection({"torch", "onnxruntime", "cv2", "pandas", "pyarrow", "av"})


def test_it_runs_as_a_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emotrace", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["emotrace", __version__]
    wrong = subprocess.run(
        [sys.executable, "-m", "emotrace", "analize"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == app.EXIT_USAGE
    assert wrong.stderr.startswith("error: ")


def test_help_is_quick() -> None:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        assert call_process("--help").code == 0
        seconds.append(time.perf_counter() - started)
    # 0.5 s is the promise; two busy cores took 0.13 s. The rest is for machines busier still.
    assert statistics.median(seconds) < 1.5


def test_version(call: Call) -> None:
    said = call("--version")
    assert (said.code, said.out) == (0, f"emotrace {__version__}\n")


def test_no_words_show_the_verbs_and_count_as_misuse(call: Call) -> None:
    said = call()
    assert said.code == 2
    assert said.out == ""
    for verb in app.VERBS.verbs:
        assert f"  {verb} " in said.err


def test_help_word_asks_for_a_verbs_help(call: Call) -> None:
    assert "usage: emotrace analyze" in call("help", "analyze").out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["analyse", "a.mp4"], "did you mean 'analyze'?"),
        (["bundles", "lst"], "did you mean 'list'?"),
        (["train", "defaults"], "did you mean 'default'?"),
        (["qqq"], "analyze, serve, bundles"),
    ],
)
def test_unknown_verb_names_the_nearest(call: Call, words: list[str], hint: str) -> None:
    said = call(*words)
    assert said.code == 2
    assert said.out == ""
    assert len(said.error_lines) == 1
    assert hint in said.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["analyze", "a.mp4", "--detectr", "haar"], "perhaps you meant --detector"),
        (["analyze", "a.mp4", "--detector", "foo"], "'auto', 'yunet', 'haar', 'lbp'; got 'foo'"),
        (["analyze", "a.mp4", "--detect-every", "x"], "expected a whole number; got 'x'"),
        (["analyze", "a.mp4", "--smoothing", "x"], "expected a number; got 'x'"),
        (["analyze", "a.mp4", "--detect-every"], "--detect-every"),
        (["analyze", "a.mp4", "--csv", "b.mp4"], "must stand next to one another"),
        (["analyze"], "expected at least one INPUT"),
        (["doctor", "--jsn"], "perhaps you meant --json"),
        (["bundles", "info"], "missing: NAME|PATH"),
        (["bundles", "download", "yunett"], "expected names out of yunet, lbp"),
    ],
)
def test_wrong_words_are_one_line_and_code_2(call: Call, words: list[str], hint: str) -> None:
    said = call(*words)
    assert said.code == 2
    assert said.out == ""
    assert len(said.error_lines) == 1
    assert said.err.startswith("error: ")
    assert hint in said.err
    assert "\x1b" not in said.err


def raising(error: BaseException) -> object:
    def run(_argv: Sequence[str]) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("expected a; got b"), 2, "error: expected a; got b"),
        (EmotraceError("expected c;\n  got d"), 1, "error: expected c; got d"),
        (BundleError("no \x1b[2J tricks"), 1, r"error: no \x1b[2J tricks"),
        (ZeroDivisionError("oh"), 1, "error: unexpected ZeroDivisionError: oh; this is a bug"),
        (ModuleNotFoundError("No module named 'av'", name="av"), 1, "error: cannot import av"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_any_failure_is_one_line(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    words: str,
) -> None:
    monkeypatch.setattr(analyze, "run", raising(error))
    said = call("analyze", "a.mp4")
    assert said.code == code
    assert len(said.error_lines) == 1
    assert said.err.startswith(words)


def test_debug_shows_the_traceback_and_keeps_the_exit_code(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyze, "run", raising(UsageError("expected a; got b")))
    said = call("analyze", "a.mp4", "--debug")
    assert said.code == 2
    assert "Traceback (most recent call last)" in said.err
    assert said.error_lines[-1] == "error: expected a; got b"


def test_closed_pipe_is_quiet() -> None:
    # The reader goes away before the first word arrives.
    with subprocess.Popen(
        [sys.executable, "-m", "emotrace.cli.app", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdout is None or process.stderr is None:
            pytest.fail("no pipes")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == app.EXIT_BROKEN_PIPE


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["analyze", "--help"],
        ["doctor", "--help"],
        ["bundles", "--help"],
        ["bundles", "list", "--help"],
        ["bundles", "info", "--help"],
        ["bundles", "download", "--help"],
        ["train", "--help"],
        ["train", "default", "--help"],
    ],
)
def test_help_has_examples_and_fits_80_columns(
    call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = call(*words)
    assert said.code == 0
    assert said.err == ""
    assert "Examples:\n  emotrace " in said.out
    too_long = [line for line in said.out.splitlines() if len(line) > 80]
    assert not too_long
    assert "\x1b" not in said.out
