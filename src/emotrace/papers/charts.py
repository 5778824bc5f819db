"""Figures of a reproduction: curves, confusion matrices, histograms; small, and the same twice."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.training.charts import require_matplotlib
from emotrace.training.zoo.curves import TRAIN_CURVE, VALIDATION_CURVE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6E6E6E")
"""Okabe and Ito's, told apart by most colour-blind readers."""
SYNTHETIC_NOTE: Final = "synthetic faces"


def read_curve(run: Path, column: str, *, side: str = "validation") -> NDArray[np.float64]:
    """Return `(epochs,)` of a run's curve; of the training side the mean over an epoch's steps.

    Args:
        run: The run's folder.
        column: `loss`, `expression_accuracy`, `valence_arousal_ccc` ... as the file's head says.
        side: `train` or `validation`.

    Returns:
        Empty where there is no such curve.
    """
    path = run / (TRAIN_CURVE if side == "train" else VALIDATION_CURVE)
    if not path.exists():
        return np.empty(0)
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get(column)]
    by_epoch: dict[int, list[float]] = {}
    for row in rows:
        by_epoch.setdefault(int(row["epoch"]), []).append(float(row[column]))
    return np.array([np.mean(by_epoch[epoch]) for epoch in sorted(by_epoch)])


def draw_curves(
    curves: Mapping[str, NDArray[np.float64]],
    *,
    title: str,
    ylabel: str,
    is_synthetic: bool,
) -> Figure:
    """Draw a line over epochs for each name; those that are empty are left out."""
    figure, axes = _figure(5.6, 3.4)
    for at, (name, values) in enumerate(curves.items()):
        if len(values):
            style = "--" if name.endswith("(training)") else "-"
            color = COLORS[at % len(COLORS)]
            axes.plot(np.arange(1, len(values) + 1), values, style, color=color, label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel)
    _mark_whole_epochs(axes)
    if any(len(values) for values in curves.values()):
        axes.legend(fontsize=8, frameon=False)
    _finish(axes, title, is_synthetic)
    return figure


def draw_confusion(
    matrix: Mapping[str, Mapping[str, int]], *, title: str, is_synthetic: bool
) -> Figure:
    """Draw shares of each true class (rows), with counts; classes nobody showed stay white."""
    side = 1.6 + 0.5 * len(matrix)
    figure, axes = _figure(side + 0.4, side)
    _draw_shares(axes, matrix, font_size=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    _finish(axes, title, is_synthetic)
    return figure


def draw_confusion_grid(
    matrices: Mapping[str, Mapping[str, Mapping[str, int]]],
    *,
    title: str,
    is_synthetic: bool,
    columns: int = 4,
) -> Figure:
    """Draw several confusion matrices of the same classes in one figure, as `draw_confusion` does.

    Args:
        matrices: Name to matrix, rows true; at least one.
        title: Of the figure.
        is_synthetic: Whether drawn faces were predicted.
        columns: Matrices beside one another.
    """
    rows = -(-len(matrices) // columns)
    figure = _blank(2.2 * min(columns, len(matrices)) + 0.8, 2.2 * rows + 0.9)
    panels = figure.subplots(rows, min(columns, len(matrices)), squeeze=False)
    for at, axes in enumerate(panels.flat):
        if at >= len(matrices):
            axes.set_visible(False)
            continue
        name = list(matrices)[at]
        _draw_shares(axes, matrices[name], font_size=6)
        axes.set_title(name, fontsize=8)
        if at % columns:
            axes.set_yticks([])
        if at + columns < len(matrices):
            axes.set_xticks([])
    figure.supxlabel("predicted", fontsize=8)
    figure.supylabel("true", fontsize=8)
    figure.suptitle(_titled(title, is_synthetic), fontsize=10)
    return figure


def _draw_shares(axes: Axes, matrix: Mapping[str, Mapping[str, int]], *, font_size: float) -> None:
    names = list(matrix)
    counts = np.array([[matrix[row].get(column, 0) for column in names] for row in names], float)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        axes.text(
            column,
            row,
            f"{counts[row, column]:.0f}",
            ha="center",
            va="center",
            fontsize=font_size,
            color="white" if shares[row, column] > 0.55 else "#222222",
        )
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=font_size)
    axes.set_yticks(range(len(names)), names, fontsize=font_size)
    axes.grid(visible=False)


def draw_curve_grid(
    panels: Mapping[str, Mapping[str, NDArray[np.float64]]],
    *,
    title: str,
    ylabel: str,
    is_synthetic: bool,
    columns: int = 3,
) -> Figure:
    """Draw lines over epochs in a panel for each network, all panels with the same lines.

    Args:
        panels: Name of a panel to name of a line to `(epochs,)`; empty lines are left out.
        title: Of the figure.
        ylabel: What the lines are, all above 0; those whose name ends in `(share)` go by the right
            axis, 0 to 1.
        is_synthetic: Whether drawn faces were learned from.
        columns: Panels beside one another.
    """
    rows, across = -(-len(panels) // columns), min(columns, len(panels))
    figure = _blank(2.4 * across + 0.5, 1.7 * rows + 0.8)
    grid = figure.subplots(rows, across, squeeze=False, sharex=True)
    lines: dict[str, Any] = {}
    for at, axes in enumerate(grid.flat):
        if at >= len(panels):
            axes.set_visible(False)
            continue
        name = list(panels)[at]
        right = axes.twinx()
        right.set_ylim(0, 1)
        right.tick_params(labelsize=6, labelright=at % columns == across - 1)
        for number, (line, values) in enumerate(panels[name].items()):
            if len(values):
                chosen = right if line.endswith("(share)") else axes
                color = COLORS[number % len(COLORS)]
                epochs = np.arange(1, len(values) + 1)
                (lines[line],) = chosen.plot(epochs, values, color=color, linewidth=1.2)
        axes.set_title(name, fontsize=8)
        axes.set_ylim(bottom=0, top=_above(axes))
        _mark_whole_epochs(axes)
        axes.tick_params(labelsize=6)
        axes.grid(color="#E4E4E4", linewidth=0.6)
        if at + columns >= len(panels):
            axes.set_xlabel("epoch", fontsize=7)
    figure.supylabel(ylabel, fontsize=8)
    figure.suptitle(_titled(title, is_synthetic), fontsize=10)
    figure.legend(
        lines.values(),
        [name.removesuffix(" (share)") for name in lines],
        loc="outside lower center",
        ncols=len(lines) or 1,
        fontsize=7,
        frameon=False,
    )
    return figure


def _above(axes: Axes) -> float | None:
    """Return a little more than the highest point of the lines; None without any."""
    most = max((np.max(np.asarray(line.get_ydata())) for line in axes.lines), default=0.0)
    return 1.08 * float(most) if most > 0 else None


def draw_bars(
    values: Mapping[str, tuple[float | None, float | None, float | None]],
    *,
    title: str,
    ylabel: str,
    is_synthetic: bool,
) -> Figure:
    """Draw a bar with its interval for each name; `(value, low, high)`."""
    figure, axes = _figure(1.6 + 0.85 * len(values), 3.4)
    for at, (value, low, high) in enumerate(values.values()):
        if value is None:
            continue
        axes.bar(at, value, color=COLORS[0], width=0.6)
        if low is not None and high is not None:
            axes.plot([at, at], [low, high], color="#222222", linewidth=1.4)
    axes.set_xticks(range(len(values)), list(values), rotation=30, ha="right", fontsize=8)
    axes.set_ylabel(ylabel)
    _finish(axes, title, is_synthetic)
    return figure


def draw_affect_histograms(
    histograms: Sequence[tuple[str, Any]], *, title: str, is_synthetic: bool
) -> Figure:
    """Draw valence-arousal histograms side by side, on one logarithmic scale of counts.

    Args:
        histograms: Name and `emotrace.datasets.density.AffectHistogram`.
        title: Of the figure.
        is_synthetic: Whether the labels are of drawn faces.
    """
    from matplotlib.colors import LogNorm

    require_matplotlib()
    figure = _blank(2.7 * len(histograms) + 0.8, 3.2)
    most = max(int(histogram.counts.max()) for _, histogram in histograms)
    panels = figure.subplots(1, len(histograms), squeeze=False)[0]
    shown = None
    for axes, (name, histogram) in zip(panels, histograms, strict=True):
        shown = axes.pcolormesh(
            histogram.valence_edges,
            histogram.arousal_edges,
            np.ma.masked_equal(histogram.counts.T, 0),
            norm=LogNorm(vmin=1, vmax=max(most, 2)),
            cmap="viridis",
        )
        axes.set_title(f"{name}\n{histogram.total:,} frames", fontsize=9)
        axes.set_xlabel("valence", fontsize=8)
        axes.set_xlim(-1, 1)
        axes.set_ylim(-1, 1)
        axes.set_aspect("equal")
        axes.tick_params(labelsize=7)
    panels[0].set_ylabel("arousal", fontsize=8)
    if shown is not None:
        figure.colorbar(shown, ax=list(panels), label="frames", shrink=0.8)
    figure.suptitle(_titled(title, is_synthetic), fontsize=10)
    return figure


def _blank(width: float, height: float) -> Figure:
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = _blank(width, height)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(color="#E4E4E4", linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _mark_whole_epochs(axes: Axes) -> None:
    """Put ticks at whole numbers: there is no epoch 1.5."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _finish(axes: Axes, title: str, is_synthetic: bool) -> None:
    axes.set_title(_titled(title, is_synthetic), fontsize=10, loc="left", wrap=True)


def _titled(title: str, is_synthetic: bool) -> str:
    return f"{title} ({SYNTHETIC_NOTE})" if is_synthetic else title
