"""The Python in docs/post-processing.md and docs/metrics.md runs, and says what the pages say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from emotrace.analysis.tables import Timeline
from tests.analysis.timelines import array_table, make_facts
from tests.conftest import REPOSITORY
from tests.test_pages import fenced_blocks

if TYPE_CHECKING:
    from pathlib import Path


def run_page(name: str) -> None:
    """Run a page's examples one after the other, as a reader would."""
    for block in fenced_blocks(REPOSITORY / "docs" / name, "python"):
        exec(compile(block, name, "exec"), {"__name__": name})  # noqa: S102 -- our own page


@pytest.fixture
def _analysed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`results/interview`, as `emotrace analyze` writes it, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).dirichlet(np.ones(8), (75, 1))
    facts = make_facts(frame_count=75, duration_seconds=3.0, path="interview.mp4")
    timeline = Timeline(
        table=array_table(np.arange(75) / 25.0, rows),
        facts=facts,
        summary={"input": {name: getattr(facts, name) for name in facts.__dataclass_fields__}},
    )
    timeline.save("results/interview")


@pytest.mark.usefixtures("_analysed")
def test_post_processing_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_page("post-processing.md")
    said = capsys.readouterr().out
    assert "[0.1 0.1 0.2 0.5 0.5]" in said
    assert said.count(" kept ") == 4
    raw, processed = (
        float(said.split(f"{name:10} CCC ")[1].split(",")[0]) for name in ("raw", "processed")
    )
    assert processed > raw + 0.3
    votes = [line for line in said.splitlines() if line in ("0", "1")]
    assert votes == ["0", "1"]
    again = Timeline.load(tmp_path / "results" / "interview-processed")
    assert again.table.column_names[-2:] == ["processed_valence", "processed_arousal"]
    assert (tmp_path / "results" / "interview-processed" / "timeline.csv").is_file()


def test_metrics_page(capsys: pytest.CaptureFixture[str]) -> None:
    run_page("metrics.md")
    said = capsys.readouterr().out
    assert "only first right 1, only second right 7, mid-p = 0.039, n = 21" in said
    assert "n = 6000 frames" in said
    assert "n = 20 people" in said
    assert "p = 0.002" in said
