"""Figures of salinas2018: confusion matrices and learning curves, many to a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emotrace.papers.cells import confusion_of
from emotrace.papers.charts import draw_confusion_grid, draw_curve_grid, read_curve
from emotrace.papers.doing import FOLD_FOLDER
from emotrace.papers.report import Picture, Section
from emotrace.papers.salinas2018.numbers import ACCURACIES, BLOCKS, NETWORKS, faces_key, run_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.papers.salinas2018.numbers import AccuracyRow
    from emotrace.papers.workshop import Results


def matrices_section(results: Results) -> Section:
    """Return a figure for each data set, with a matrix for each network and vote."""
    pictures = []
    for dataset, title in BLOCKS.items():
        found = {
            row.title.replace(", ", ",\n"): matrix
            for row in ACCURACIES
            if (matrix := _matrix(results, row, dataset)) is not None
        }
        if not found:
            continue
        origin = results[faces_key(dataset)].origin
        figure = draw_confusion_grid(
            found, title=f"{title}, held-out people", is_synthetic=origin == "synthetic"
        )
        pictures.append(
            Picture(
                title=f"Figs. 18 to 30: confusion matrices, {title}",
                file=results.save_figure(f"confusion-{dataset}", figure),
                caption="Rows are the truth; colours are shares of it, numbers are sequences.",
                origin=origin,
            )
        )
    return Section(title="Confusion matrices", items=tuple(pictures))


def _matrix(results: Results, row: AccuracyRow, dataset: str) -> dict[str, dict[str, int]] | None:
    key = run_key(row.network, dataset)
    found = confusion_of(results, key, vote=row.vote)
    return found if found is not None else confusion_of(results, key)


def curves_section(results: Results) -> Section:
    """Return a figure for each data set, with a panel for each network."""
    pictures = []
    for dataset, title in BLOCKS.items():
        panels = {
            name: lines
            for network, name in NETWORKS.items()
            if (lines := curves_of(results, run_key(network, dataset)))
        }
        if panels:
            pictures.append(
                curves_picture(results, f"curves-{dataset}", panels, faces_key(dataset), title)
            )
    return Section(
        title="Learning curves",
        text="The paper shows one person of each data set; these are means over all that were "
        "held out."
        if pictures
        else "",
        items=tuple(pictures),
    )


def curves_picture(
    results: Results,
    name: str,
    panels: dict[str, dict[str, NDArray[np.float64]]],
    origin_of: str,
    title: str,
) -> Picture:
    """Draw the curves of several cross-validations beside one another."""
    origin = results[origin_of].origin
    figure = draw_curve_grid(panels, title=title, ylabel="loss", is_synthetic=origin == "synthetic")
    return Picture(
        title=f"Figs. 17 to 29: learning curves, {title}"
        if name.startswith("curves-")
        else f"Fig. 14: learning curves, {title}",
        file=results.save_figure(name, figure),
        caption="Losses by the left axis; accuracy on the held-out person by the right one.",
        origin=origin,
    )


def curves_of(results: Results, key: str) -> dict[str, NDArray[np.float64]]:
    """Return a cross-validation's curves, means over its folds; nothing where it is not done."""
    step = results[key]
    if step.outcome != "done":
        return {}
    folders = [
        results.folder / "runs" / key / FOLD_FOLDER.format(fold["fold"])
        for fold in step.facts["folds"]
    ]
    return {
        "training loss": _mean([read_curve(one, "loss", side="train") for one in folders]),
        "loss, held-out person": _mean([read_curve(one, "loss") for one in folders]),
        "accuracy, held-out person (share)": _mean(
            [read_curve(one, "expression_accuracy") for one in folders]
        ),
    }


def _mean(curves: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    length = min((len(curve) for curve in curves), default=0)
    if not length:
        return np.empty(0)
    return np.asarray(np.mean([curve[:length] for curve in curves], axis=0), np.float64)
