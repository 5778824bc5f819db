"""Cells never lose their n or their origin, whoever writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st

from emotrace.papers.html import html_page
from emotrace.papers.markdown import cell_text, markdown_page
from emotrace.papers.report import Missing, Report, Score, Section, Table, Theirs

FACTS: dict[str, Any] = {
    "title": "T",
    "citation": "C",
    "scale": "smoke",
    "scale_says": "small",
    "command": "emotrace reproduce toy -o DIR",
    "has_synthetic": True,
    "datasets": [],
    "steps": [],
    "git_commit": None,
    "emotrace": "0",
    "seed": 0,
}


@hypothesis.given(
    value=st.none() | st.floats(-1, 1),
    n=st.integers(0, 10**7),
    origin=st.sampled_from(["real", "synthetic"]),
    has_interval=st.booleans(),
)
def test_a_score_is_never_bare(
    value: float | None, n: int, origin: Any, has_interval: bool
) -> None:
    score = Score(
        value=value,
        n=n,
        counted="frames",
        protocol="held out",
        run="runs/a",
        origin=origin,
        low=-0.5 if has_interval else None,
        high=0.5 if has_interval else None,
        interval_over="subjects",
    )
    table = Table(title="Table", columns=("ours",), rows=((score,),))
    report = Report(sections=(Section(title="S", items=(table,)),))
    page = html_page(report, FACTS, figures_in=Path(), has_runs=True)
    cell = page[page.index("<td class='ours'") :].partition("</td>")[0]
    for text in (cell, cell_text(score)):
        assert f"n = {n:,} frames" in text
        assert ("synthetic" in text) == (origin == "synthetic")
        assert ("[-0.500, 0.500]" in text) == has_interval
    assert "held out" in cell


def test_markup_in_words_is_text() -> None:
    table = Table(
        title="<b>", columns=("a|b",), rows=((Theirs(text="<script>"),), (Missing(reason="'x'"),))
    )
    report = Report(sections=(Section(title="S & S", items=(table,)),), learned=("1 < 2",))
    page = html_page(report, FACTS, figures_in=Path(), has_runs=False)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "S &amp; S" in page
    text = markdown_page(report, FACTS, figure_folder="figures/", has_runs=False)
    assert "a\\|b" in text
