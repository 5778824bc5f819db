"""`emotrace reproduce`: what it answers, with a toy paper in the place of a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emotrace.cli.app import main
from emotrace.papers import catalogue
from tests.papers.toy import TOY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "find_paper", lambda name: TOY)


@pytest.mark.usefixtures("_toy")
def test_it_says_where_the_page_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["reproduce", "abdullah2020", "--synthetic", "--scale", "smoke", "-o", str(out)]
    assert main([*words, "--publish", str(tmp_path / "kept"), "--threads", "1"]) == 0
    shown = capsys.readouterr()
    assert "8 of 8 experiments done" in shown.out
    assert "1 of 8: faces" in shown.err
    assert (out / "report.html").is_file()
    assert (tmp_path / "kept" / "toy.html").is_file()


@pytest.mark.usefixtures("_toy")
def test_a_failed_experiment_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["reproduce", "abdullah2020", "--data", f"ckplus={tmp_path / 'no'}", "--scale", "smoke"]
    assert main([*words, "-o", str(tmp_path / "out"), "--quiet"]) == 1
    shown = capsys.readouterr()
    assert "there is nothing" in shown.err
    assert "0 of 8 experiments done" in shown.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rangulov2021", "-o", "x"], "rangulov2020"),
        (["rangulov2020"], "out"),
        (["rangulov2020", "-o", "x", "--scale", "tiny"], "scale"),
        (["rangulov2020", "-o", "x", "--data", "ckplus"], "NAME=ROOT"),
    ],
)
def test_wrong_words_are_exit_code_2(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *words]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
