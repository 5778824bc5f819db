"""The guide's commands do what it says, in the order in which it says them."""

from __future__ import annotations

import csv
import json
import os
import shlex
from typing import TYPE_CHECKING

import pytest

from emotrace.cli.app import main
from tests.conftest import REPOSITORY
from tests.test_pages import fenced_blocks

if TYPE_CHECKING:
    from pathlib import Path

GUIDE = REPOSITORY / "docs" / "guide.md"


def commands() -> list[list[str]]:
    lines = [line for block in fenced_blocks(GUIDE, "sh") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.strip()]


def test_the_guide_is_one_page_that_the_readme_leads_to() -> None:
    assert len(GUIDE.read_text("utf-8").split()) < 1200
    assert "(docs/guide.md)" in (REPOSITORY / "README.md").read_text("utf-8")
    verbs = [words[1] for words in commands()]
    assert all(words[0] == "emotrace" for words in commands())
    assert {"synth", "prepare", "train", "evaluate", "compare", "export", "analyze"} <= set(verbs)


@pytest.mark.slow
def test_following_the_guide_gives_a_model_that_analyses_a_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # No network: the built-in detector steps in, as the page of detectors says.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setitem(os.environ, "EMOTRACE_HOME", str(tmp_path / "home"))
    said: dict[str, str] = {}
    for words in commands():
        assert main(words[1:]) == 0, shlex.join(words)
        said[" ".join(words[1:3])] = capsys.readouterr().out

    # What the page says of the example.
    assert "people                    8" in said["datasets check"]
    record = json.loads((tmp_path / "runs/gru/run.json").read_text("utf-8"))
    sides = record["data"]["split"]["sides"]
    assert {name: len(clips) for name, clips in sides.items()} == {
        "train": 32,
        "validation": 16,
        "test": 16,
    }
    assert record["data"]["split"]["leaks"] == []
    for name in ("validation_curve.csv", "samples.png", "evaluation.json"):
        assert (tmp_path / "runs/gru" / name).is_file()
    assert "split:" in said["compare runs/gru"]
    of_run = json.loads((tmp_path / "runs/gru/evaluation.json").read_text("utf-8"))
    recall = of_run["heads"]["expression"]["unweighted_average_recall"]
    # Better than chance for eight classes, and worse than where the epoch was chosen: the page says
    # so of what it measured.
    with (tmp_path / "runs/gru/validation_curve.csv").open(newline="", encoding="utf-8") as file:
        chosen_by = max(float(row["expression_uar"]) for row in csv.DictReader(file))
    assert 1 / 8 < recall < chosen_by
    # "The numbers are those of the run."
    assert f"{recall:.3f}" in said["evaluate bundles/mine"]
    results = tmp_path / "results" / "clip00001"
    assert {"timeline.csv", "report.html", "summary.json"} <= {p.name for p in results.iterdir()}
    summary = json.loads((results / "summary.json").read_text("utf-8"))
    assert "mine" in json.dumps(summary)
