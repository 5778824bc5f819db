"""Pictures of an evaluation: confusion, reliability, coverage, recall, robustness.

Each is drawn from the results alone (`evaluate_ferplus`), with matplotlib: plotly, which draws the
reports, needs a browser for a still picture. Colours are Okabe and Ito's, and each series has a
shape of its own as well, so that nothing is told by colour alone.
"""

from __future__ import annotations

import base64
import importlib.util
import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.errors import TrainingError
from emotrace.labels import EMOTIONS
from emotrace.storage import atomic_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Results = Mapping[str, Any]

_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#6E6E6E"
_PRIOR_STYLES: Final = {
    "training": (_GREY, "s"),
    "default": (_BLUE, "o"),
    "uniform": (_ORANGE, "D"),
}
_PROTOCOL_STYLES: Final = {
    "argmax": (_BLUE, "o", "all faces (argmax)"),
    "majority": (_ORANGE, "s", "faces with a majority"),
}


def require_matplotlib() -> None:
    """Refuse to go on where matplotlib is not installed.

    Raises:
        TrainingError: It is not.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise TrainingError(
            "expected matplotlib, which draws the pictures; it is not installed; "
            "run: pip install matplotlib"
        )


def draw_charts(results: Results) -> dict[str, Figure]:
    """Draw every picture that the results have numbers for; by file name without ending.

    Raises:
        TrainingError: matplotlib is not installed.
    """
    require_matplotlib()
    import matplotlib as mpl

    drawers: dict[str, Callable[[Results], Figure]] = {
        "confusion": _draw_confusion,
        "recall": _draw_recall,
        "reliability": _draw_reliability,
        "coverage": _draw_coverage,
    }
    if "robustness" in results:
        drawers["robustness"] = _draw_robustness
    with mpl.rc_context(
        {
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": "#888888",
            "axes.labelcolor": "#222222",
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#E4E4E4",
            "grid.linewidth": 0.8,
            "legend.frameon": False,
            "figure.facecolor": "white",
        }
    ):
        return {name: draw(results) for name, draw in drawers.items()}


def write_charts(charts: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write each picture as PNG into a folder that is there; returns the paths."""
    paths = []
    for name, figure in charts.items():
        path = folder / f"{name}.png"
        with atomic_path(path) as partial:
            partial.write_bytes(_png(figure))
        paths.append(path)
    return paths


def embed_chart(figure: Figure) -> str:
    """Return a picture as the address of an HTML image that holds it."""
    return "data:image/png;base64," + base64.b64encode(_png(figure)).decode("ascii")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without the program's version: the same numbers give the same file.
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()


def _new_figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _draw_confusion(results: Results) -> Figure:
    figure = _new_figure(12.5, 6.2)
    for place, prior in enumerate(("default", "training")):
        axes = figure.add_subplot(1, 2, place + 1)
        score = results["priors"][prior]["majority"]
        rows = [name for name in EMOTIONS if name in score["confusion_matrix"]]
        counts = np.array([[score["confusion_matrix"][r][c] for c in EMOTIONS] for r in rows])
        shares = counts / counts.sum(axis=1, keepdims=True)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for y, x in np.ndindex(*shares.shape):
            if not counts[y, x]:
                continue
            color = "white" if shares[y, x] > 0.55 else "#222222"
            axes.text(x, y - 0.1, f"{100 * shares[y, x]:.0f} %", ha="center", color=color)
            axes.text(x, y + 0.27, str(counts[y, x]), ha="center", color=color, fontsize=7.5)
        axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=40, ha="right")
        axes.set_yticks(
            range(len(rows)), [f"{r}\nn = {c.sum():,}" for r, c in zip(rows, counts, strict=True)]
        )
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted")
        if place == 0:
            axes.set_ylabel("what most annotators said")
        axes.set_title(
            f"{prior} prior: {100 * score['accuracy']:.1f} % right, "
            f"average recall {100 * score['unweighted_average_recall']:.1f} %"
        )
    _head(figure, results, "What is taken for what", "majority")
    return figure


def _draw_recall(results: Results) -> Figure:
    figure = _new_figure(8, 4.6)
    axes = figure.add_subplot()
    scores = {prior: results["priors"][prior]["majority"] for prior in _PRIOR_STYLES}
    counts = {
        name: sum(row.values()) for name, row in scores["default"]["confusion_matrix"].items()
    }
    names = sorted(counts, key=lambda name: counts[name])
    for y, name in enumerate(names):
        values = [100 * score["recall"][name] for score in scores.values()]
        axes.plot([min(values), max(values)], [y, y], color="#BBBBBB", zorder=1)
    for place, (prior, (color, marker)) in enumerate(_PRIOR_STYLES.items()):
        values = [100 * scores[prior]["recall"][name] for name in names]
        mean = 100 * scores[prior]["unweighted_average_recall"]
        axes.scatter(
            values,
            np.arange(len(names)) + 0.16 * (1 - place),  # apart, so that none hides another
            color=color,
            marker=marker,
            s=48,
            zorder=2,
            label=f"{prior} prior (mean {mean:.1f} %)",
        )
    axes.set_yticks(range(len(names)), [f"{name}  (n = {counts[name]:,})" for name in names])
    axes.set_xlim(0, 102)
    axes.set_xlabel("recall, %")
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside lower right", ncols=3, columnspacing=1.2)
    _head(figure, results, "How many of each expression are found", "majority")
    return figure


def _draw_reliability(results: Results) -> Figure:
    figure = _new_figure(9.5, 6)
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 1))
    for place, prior in enumerate(("default", "training")):
        upper = figure.add_subplot(grid[0, place])
        lower = figure.add_subplot(grid[1, place], sharex=upper)
        upper.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle=(0, (4, 3)))
        for protocol, (color, marker, label) in _PROTOCOL_STYLES.items():
            rows = results["curves"][prior][protocol]["reliability"]
            error = results["priors"][prior][protocol]["calibration_error"]
            # A bin of a few faces says little: it is left out of the line, not of the error.
            kept = [row for row in rows if row["n"] >= 25]
            upper.plot(
                [row["confidence"] for row in kept],
                [row["accuracy"] for row in kept],
                color=color,
                marker=marker,
                markersize=5,
                label=f"{label}: error {error:.3f}",
            )
        _draw_histogram(lower, results["curves"][prior]["argmax"]["reliability"])
        upper.set(xlim=(0, 1), ylim=(0, 1), title=f"{prior} prior")
        upper.tick_params(labelbottom=False)
        upper.legend(loc="upper left")
        lower.set_xlabel("confidence")
        if place == 0:
            upper.set_ylabel("share that is right")
            lower.set_ylabel("share of faces")
    _head(figure, results, "Is the confidence the chance of being right?", None)
    return figure


def _draw_histogram(axes: Axes, rows: list[dict[str, float]]) -> None:
    total = sum(row["n"] for row in rows)
    axes.bar(
        [row["low"] for row in rows],
        [row["n"] / total for row in rows],
        width=[row["high"] - row["low"] for row in rows],
        align="edge",
        color="#9CC3DE",
        edgecolor="white",
    )


def _draw_coverage(results: Results) -> Figure:
    figure = _new_figure(8, 4.8)
    axes = figure.add_subplot()
    for protocol, (color, _, label) in _PROTOCOL_STYLES.items():
        rows = results["curves"]["default"][protocol]["coverage"]
        rows = [row for row in rows if row["coverage"] >= 0.05]
        axes.plot(
            [100 * row["coverage"] for row in rows],
            [100 * row["accuracy"] for row in rows],
            color=color,
            linewidth=2,
            linestyle="-" if protocol == "argmax" else (0, (5, 2)),
            label=label,
        )
    uncertain, more = results["uncertain"], ""
    if uncertain is not None:
        for protocol, (color, marker, _) in _PROTOCOL_STYLES.items():
            kept = uncertain[protocol]
            if kept["accuracy"] is None:  # nothing is sure enough
                continue
            x, y = 100 * kept["coverage"], 100 * kept["accuracy"]
            axes.scatter([x], [y], color=color, marker=marker, s=60, zorder=3)
            above = protocol == "majority"
            axes.annotate(
                f"{x:.0f} % kept, {y:.1f} % right",
                (x, y),
                xytext=(10, 8) if above else (-10, -8),
                textcoords="offset points",
                ha="left" if above else "right",
                va="bottom" if above else "top",
                color=color,
            )
        threshold = uncertain["argmax"]["threshold"]
        more = f"; marked: those below a confidence of {threshold:.2f} called uncertain"
    axes.set(xlim=(0, 101), xlabel="predictions kept, the surest first, %", ylabel="right, %")
    axes.legend(loc="lower left")
    _head(figure, results, "What leaving out the unsure buys (default prior)", None, more)
    return figure


def _draw_robustness(results: Results) -> Figure:
    rows = results["robustness"]["conditions"][::-1]
    figure = _new_figure(8, 0.8 + 0.34 * len(rows))
    axes = figure.add_subplot()
    series = (
        ("accuracy", "accuracy, training prior", _BLUE, "o", 0.14),
        ("recall", "average recall, default prior", _ORANGE, "D", -0.14),
    )
    for key, label, color, marker, offset in series:
        lost = np.array([row[f"{key}_lost"] for row in rows])
        ends = np.array([row[f"{key}_lost_interval_95"] for row in rows])
        axes.errorbar(
            lost,
            np.arange(len(rows)) + offset,
            xerr=np.abs(ends - lost[:, None]).T,
            fmt=marker,
            color=color,
            markersize=5,
            elinewidth=1.2,
            label=label,
        )
    for y, row in enumerate(rows):
        if row["wanted_points"] is not None:
            wanted = row["wanted_points"]
            axes.plot([wanted, wanted], [y - 0.35, y + 0.35], color="#222222", linewidth=1.5)
    axes.axvline(0, color=_GREY, linewidth=1)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("points lost, with 95 % intervals; upright mark: accuracy's limit")
    figure.legend(loc="outside lower right", ncols=2)
    _head(figure, results, "What badly framed, lit or compressed faces cost", "majority")
    return figure


def _head(
    figure: Figure, results: Results, title: str, protocol: str | None, more: str = ""
) -> None:
    """Write a title, and below it what the picture is of; what is drawn keeps clear of both."""
    about = f"{results['bundle']['name']}, FER+ {results['split']}"
    if protocol is not None:
        about += f", {protocol}, n = {results['priors']['default'][protocol]['n']:,}"
    height = figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - 0.6 / height))
    figure.text(0.01, 1 - 0.1 / height, title, ha="left", va="top", fontsize=13, fontweight="bold")
    figure.text(0.01, 1 - 0.35 / height, about + more, ha="left", va="top", fontsize=9, color=_GREY)
