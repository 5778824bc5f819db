"""Scores and comparisons on disk: the numbers as JSON, the tables as Markdown, and pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.analysis.tables import write_json
from emotrace.storage import atomic_path, ensure_folder
from emotrace.training.charts import require_matplotlib, write_charts
from emotrace.training.score_tables import chain_table, comparison_tables, score_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from emotrace.training.result_tables import ResultTable

SCORES_NAME: Final = "evaluation"
COMPARISON_NAME: Final = "comparison"
_DARK: Final = 0.6
"""Shares above it get white figures."""


def write_scores(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write what `emotrace evaluate` found of one model, with its confusion matrices as pictures.

    Args:
        results: `scores`, `notices`, and as asked for `post_processing` and `against`.
        folder: Made where missing.

    Returns:
        The paths.

    Raises:
        OutputError: The folder cannot be written to.
        TrainingError: matplotlib is not installed.
    """
    ensure_folder(folder)
    scores = results["scores"]
    charts = {
        f"confusion-{name}": draw_confusion(head["confusion_matrix"], title=f"{name}: frames")
        for name, head in scores["heads"].items()
        if "confusion_matrix" in head and head["n"]
    }
    pictures = write_charts(charts, folder)
    tables = list(score_tables(scores))
    if results.get("post_processing"):
        processing = results["post_processing"]
        processed = score_tables(processing["scores"])[0]
        tables += [
            chain_table(processing),
            replace(processed, title="Scores after post-processing"),
        ]
    if results.get("against"):
        tables += comparison_tables(results["against"])
    page = _page(
        f"{scores['predicted_by']}: {scores['side']}",
        [scores["split"], *results["notices"]],
        tables,
        [path.name for path in pictures],
    )
    return [*_write(SCORES_NAME, page, results, folder), *pictures]


def write_comparison(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write what `emotrace compare` found.

    Args:
        found: As `compare_models` makes it.
        folder: Made where missing.

    Returns:
        The paths.

    Raises:
        OutputError: The folder cannot be written to.
    """
    ensure_folder(folder)
    splits = [f"{model['name']}: {model['split']}" for model in found["models"]]
    page = _page("Models side by side", [*splits, *found["notices"]], comparison_tables(found), [])
    return _write(COMPARISON_NAME, page, found, folder)


def _write(name: str, page: str, numbers: Mapping[str, Any], folder: Path) -> list[Path]:
    markdown = folder / f"{name}.md"
    with atomic_path(markdown) as partial:
        partial.write_text(page, encoding="utf-8")
    return [markdown, write_json(folder / f"{name}.json", numbers)]


def _page(
    title: str, facts: Iterable[str], tables: Sequence[ResultTable], pictures: Iterable[str]
) -> str:
    parts = [f"# {title}", "\n".join(f"- {fact}" for fact in facts)]
    for table in tables:
        parts += [f"## {table.title}", table.to_markdown()]
        parts += [table.note] if table.note else []
    parts += [f"![{name.removesuffix('.png')}]({name})" for name in pictures]
    return "\n\n".join(parts) + "\n"


def draw_confusion(matrix: Mapping[str, Mapping[str, int]], *, title: str) -> Figure:
    """Draw a confusion matrix: shares of each row in colour, counts as figures.

    Args:
        matrix: True class to predicted class to count.
        title: Above it.

    Raises:
        TrainingError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    names = list(matrix)
    counts = np.array([[matrix[row][column] for column in names] for row in names])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.4 + 0.7 * len(names)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11)
    for row in range(len(names)):
        for column in range(len(names)):
            axes.text(
                column,
                row,
                f"{counts[row, column]:,}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[row, column] > _DARK else "#222222",
            )
    return figure
