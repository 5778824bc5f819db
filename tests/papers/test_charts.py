"""Figures of many panels: what is there is drawn, what is not stays white."""

from __future__ import annotations

import numpy as np

from emotrace.papers.charts import draw_confusion_grid, draw_curve_grid

MATRIX = {"anger": {"anger": 3, "fear": 1}, "fear": {"anger": 0, "fear": 0}}


def test_matrices_beside_one_another_have_their_counts() -> None:
    figure = draw_confusion_grid(
        {f"network {number}": MATRIX for number in range(5)}, title="CK+", is_synthetic=True
    )
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert len(drawn) == 5
    assert [text.get_text() for text in drawn[4].texts] == ["3", "1"]
    assert "synthetic faces" in str(figure.get_suptitle())


def test_curves_beside_one_another_share_their_names() -> None:
    lines = {
        "loss": np.array([2.0, 1.0]),
        "accuracy (share)": np.array([0.1, 0.9]),
        "nothing": np.empty(0),
    }
    figure = draw_curve_grid(
        {"one": lines, "two": lines}, title="CK+", ylabel="loss", is_synthetic=False
    )
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["loss", "accuracy"]
    left = figure.axes[0]
    assert [np.asarray(line.get_xdata()).tolist() for line in left.lines] == [[1, 2]]
    assert left.get_ylim()[0] == 0
