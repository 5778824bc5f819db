"""The pictures are drawn from the results and show them; the page holds all of it."""

from __future__ import annotations

import copy
import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import pytest

from emotrace.errors import TrainingError
from emotrace.labels import EMOTIONS
from emotrace.training.charts import draw_charts, require_matplotlib
from emotrace.training.evaluation_page import write_evaluation

Results = dict[str, Any]


def texts(figure: Any) -> list[str]:
    from matplotlib.text import Text

    return [found.get_text() for found in figure.findobj(Text)]


def test_every_picture_is_drawn_where_there_are_numbers(full_results: Results) -> None:
    names = ["confusion", "recall", "reliability", "coverage", "robustness"]
    assert list(draw_charts(full_results)) == names
    fewer = {name: value for name, value in full_results.items() if name != "robustness"}
    assert list(draw_charts(fewer)) == names[:-1]


def test_the_confusion_matrices_show_shares_and_counts(full_results: Results) -> None:
    shown = texts(draw_charts(full_results)["confusion"])
    matrix = full_results["priors"]["default"]["majority"]["confusion_matrix"]
    for name in EMOTIONS:
        assert f"{name}\nn = {sum(matrix[name].values())}" in shown
    counts = [
        str(count)
        for prior in ("default", "training")
        for row in full_results["priors"][prior]["majority"]["confusion_matrix"].values()
        for count in row.values()
        if count
    ]
    assert sorted(x for x in shown if x.isdigit()) == sorted(counts)


def test_the_reliability_diagram_states_the_errors(full_results: Results) -> None:
    shown = "\n".join(texts(draw_charts(full_results)["reliability"]))
    for prior in ("default", "training"):
        for protocol in ("majority", "argmax"):
            error = full_results["priors"][prior][protocol]["calibration_error"]
            assert f"error {error:.3f}" in shown


def test_the_coverage_curve_marks_the_threshold(full_results: Results) -> None:
    shown = "\n".join(texts(draw_charts(full_results)["coverage"]))
    assert "below a confidence of 0.40 called uncertain" in shown
    kept = full_results["uncertain"]["argmax"]
    said = f"{100 * kept['coverage']:.0f} % kept, {100 * kept['accuracy']:.1f} % right"
    assert said in shown
    without = {**full_results, "uncertain": None}
    assert "% kept" not in "\n".join(texts(draw_charts(without)["coverage"]))


def test_a_threshold_that_keeps_nothing_is_not_marked(full_results: Results) -> None:
    results = copy.deepcopy(full_results)
    for protocol in ("majority", "argmax"):
        results["uncertain"][protocol].update(coverage=0.0, accuracy=None)
    assert "% right" not in "\n".join(texts(draw_charts(results)["coverage"]))


class Page(HTMLParser):
    """Counts tags and keeps addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_everything_is_written_and_the_page_stands_alone(
    full_results: Results, tmp_path: Path
) -> None:
    page, numbers, *pictures = write_evaluation(full_results, tmp_path / "new" / "folder")
    assert json.loads(numbers.read_text()) == full_results
    assert [path.name for path in pictures] == [
        "confusion.png", "recall.png", "reliability.png", "coverage.png", "robustness.png"
    ]  # fmt: skip
    for path in pictures:
        image = cv2.imread(str(path))
        assert image is not None
        assert image.shape[1] >= 1000
        assert image.std() > 5  # something is drawn
    found = Page()
    found.feed(page.read_text(encoding="utf-8"))
    assert found.tags.count("table") == 9
    assert found.tags.count("img") == 5
    assert all(address.startswith("data:image/png;base64,") for address in found.addresses)
    assert "script" not in found.tags


def test_the_same_results_give_the_same_files(full_results: Results, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_evaluation(full_results, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    # None makes it as if it were not installed.
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(TrainingError, match="pip install matplotlib"):
        require_matplotlib()
