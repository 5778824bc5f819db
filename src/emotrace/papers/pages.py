"""Write a reproduction's page three times: HTML that needs no other file, Markdown, JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emotrace.datasets.catalogue import find_dataset
from emotrace.papers.html import html_page
from emotrace.papers.markdown import markdown_page
from emotrace.storage import atomic_path, ensure_folder
from emotrace.training.run_folders import git_commit
from emotrace.version import __version__

if TYPE_CHECKING:
    from emotrace.papers.plan import Paper
    from emotrace.papers.report import Cell, Report
    from emotrace.papers.workshop import Results

REPORT_STEM: Final = "report"


def write_pages(paper: Paper, results: Results) -> tuple[Path, ...]:
    """Write `report.html`, `report.md` and `report.json` into the reproduction's folder.

    Raises:
        OutputError: It cannot be written to.
    """
    return _write(paper, results, results.folder, REPORT_STEM, has_runs=True)


def publish_pages(paper: Paper, results: Results, folder: Path) -> tuple[Path, ...]:
    """Write the pages elsewhere, to be kept without the runs: `PAPER.html`, `.md`, `.json`.

    Figures go into `figures/PAPER/`; cells point to the list of runs on the page instead of folders
    that are not there.

    Raises:
        OutputError: The folder cannot be written to.
    """
    return _write(paper, results, ensure_folder(folder), paper.name, has_runs=False)


def _write(
    paper: Paper, results: Results, folder: Path, stem: str, *, has_runs: bool
) -> tuple[Path, ...]:
    report = paper.report(results)
    facts = page_facts(paper, results)
    figures = {"figures/": "figures/" if has_runs else f"figures/{paper.name}/"}
    if not has_runs:
        _copy_figures(report, results.folder, folder, figures["figures/"])
    texts = {
        f"{stem}.html": html_page(report, facts, figures_in=results.folder, has_runs=has_runs),
        f"{stem}.md": markdown_page(
            report, facts, figure_folder=figures["figures/"], has_runs=has_runs
        ),
        f"{stem}.json": json.dumps(_as_json(report, facts), indent=1) + "\n",
    }
    for name, text in texts.items():
        with atomic_path(folder / name) as partial:
            partial.write_text(text, "utf-8")
    return tuple(folder / name for name in texts)


def page_facts(paper: Paper, results: Results) -> dict[str, Any]:
    """Return what every page says besides the paper's own report, as plain values."""
    order = results.order
    datasets = []
    for dataset in paper.datasets:
        entry = find_dataset(dataset.catalogue_name)
        given, drawn = order.data.get(dataset.name), bool(dataset.synthetic_sets(order.scale))
        used = "given" if given else "drawn" if order.synthetic and drawn else "not there"
        datasets.append(
            {
                "name": dataset.name,
                "title": entry.title,
                "role": dataset.role,
                "used": used,
                "obtain": entry.obtain,
                "licence": entry.licence,
            }
        )
    for weights in paper.weights:
        is_there = any(step.facts.get("weights") == weights.name for step in results.values())
        given = order.data.get(weights.name)
        datasets.append(
            {
                "name": weights.name,
                "title": weights.title,
                "role": weights.role,
                "used": "given" if given else "downloaded" if is_there else "not there",
                "obtain": weights.obtain,
                "licence": weights.licence,
            }
        )
    steps = [
        {
            "key": key,
            "outcome": step.outcome,
            "origin": step.origin,
            "reason": step.reason,
            "seconds": round(step.seconds, 1),
            **{
                name: step.facts[name]
                for name in ("architecture", "parameters", "epochs_done", "best_epoch")
                if name in step.facts
            },
            "has_run": "architecture" in step.facts,
        }
        for key, step in results.items()
    ]
    return {
        "paper": paper.name,
        "title": paper.title,
        "citation": paper.citation,
        "scale": order.scale,
        "scale_says": paper.scales[order.scale],
        "seed": order.seed,
        "command": _command(results),
        "emotrace": __version__,
        "git_commit": git_commit(),
        "datasets": datasets,
        "steps": steps,
        "has_synthetic": any(
            step["origin"] == "synthetic" and step["outcome"] == "done" for step in steps
        ),
    }


def _command(results: Results) -> str:
    """Return the words that make this page again, without the places of this machine."""
    order = results.order
    data = " ".join(f"--data {name}={root.name}" for name, root in sorted(order.data.items()))
    parts = [
        f"emotrace reproduce {order.paper.name}",
        data,
        "--synthetic" if order.synthetic else "",
        f"--scale {order.scale}",
        f"--seed {order.seed}" if order.seed else "",
        "-o DIR",
    ]
    return " ".join(part for part in parts if part)


def _copy_figures(report: Report, source: Path, target: Path, below: str) -> None:
    from emotrace.papers.report import Picture

    for section in report.sections:
        for item in section.items:
            if isinstance(item, Picture):
                path = target / below / Path(item.file).name
                ensure_folder(path.parent)
                with atomic_path(path) as partial:
                    partial.write_bytes((source / item.file).read_bytes())


def _as_json(report: Report, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": 1,
        **facts,
        "sections": [
            {
                "title": section.title,
                "text": section.text,
                "items": [_item_json(item) for item in section.items],
            }
            for section in report.sections
        ],
        "claims": [asdict(claim) for claim in report.claims],
        "departures": list(report.departures),
        "learned": list(report.learned),
        **dict(report.more),
    }


def _item_json(item: Any) -> dict[str, Any]:
    from emotrace.papers.report import Table

    if not isinstance(item, Table):
        return {"kind": "picture", **asdict(item)}
    return {
        "kind": "table",
        "title": item.title,
        "columns": list(item.columns),
        "rows": [[_cell_json(cell) for cell in row] for row in item.rows],
        "note": item.note,
    }


def _cell_json(cell: Cell) -> Any:
    if isinstance(cell, (str, int)):
        return cell
    return {"kind": type(cell).__name__.lower(), **asdict(cell)}
