"""A reproduction's page as Markdown."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from emotrace.papers.report import SYNTHETIC_MARK, Cell, Missing, Picture, Table, Theirs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emotrace.papers.report import Report


_SYNTHETIC_NOTE: Final = (
    f"Cells marked *{SYNTHETIC_MARK}* are of drawn faces that nobody has. They show that the "
    "experiment runs and what it does on such data; they are no measurement of people, and not to "
    "be set against the paper's numbers as such."
)


def markdown_page(
    report: Report, facts: Mapping[str, Any], *, figure_folder: str, has_runs: bool
) -> str:
    """Return the page.

    Args:
        report: The paper's own part.
        facts: `emotrace.papers.pages.page_facts`.
        figure_folder: Where pictures lie, below the page.
        has_runs: Whether the runs' folders lie beside the page: then cells link to them.
    """
    lines = [f"# {facts['title']}, reproduced", "", facts["citation"], ""]
    lines += [f"Scale `{facts['scale']}`: {facts['scale_says']}", ""]
    lines += ["```", facts["command"], "```", ""]
    if facts["has_synthetic"]:
        lines += [_SYNTHETIC_NOTE, ""]
    lines += _claims(report)
    for section in report.sections:
        lines += [f"## {section.title}", ""]
        if section.text:
            lines += [section.text, ""]
        for item in section.items:
            if isinstance(item, Table):
                lines += table_lines(item, has_runs=has_runs)
            else:
                lines += _picture(item, figure_folder)
    for title, listed in (("What was learned", report.learned), ("Departures", report.departures)):
        if listed:
            lines += [f"## {title}", "", *[f"- {one}" for one in listed], ""]
    lines += _data(facts)
    lines += _steps(facts)
    return "\n".join(lines).rstrip() + "\n"


def table_lines(table: Table, *, has_runs: bool) -> list[str]:
    """Return a table's lines, its title above and its note below."""
    rows = [[cell_text(cell, has_runs=has_runs) for cell in row] for row in table.rows]
    return [
        f"**{table.title}**",
        "",
        "| " + " | ".join(_safe(name) for name in table.columns) + " |",
        "|" + "---|" * len(table.columns),
        *["| " + " | ".join(_safe(text) for text in row) + " |" for row in rows],
        "",
        *([table.note, ""] if table.note else []),
    ]


def cell_text(cell: Cell, *, has_runs: bool = False) -> str:
    """Return a cell's text.

    >>> cell_text(Theirs(text="95%"))
    '95%'
    >>> cell_text(Missing(reason="jaffe is not given"))
    'not run'
    """
    if isinstance(cell, (str, int)):
        return str(cell)
    if isinstance(cell, Theirs):
        return cell.text
    if isinstance(cell, Missing):
        return "not run"
    value = cell.text()
    linked = f"[{value}]({cell.run}/)" if has_runs and cell.run.startswith("runs/") else value
    parts = [f"{linked} {cell.interval_text()}".strip(), cell.sample_text()]
    if cell.note:
        parts.append(cell.note)
    if cell.origin == "synthetic":
        parts.append(f"*{SYNTHETIC_MARK}*")
    return ", ".join(parts)


def _claims(report: Report) -> list[str]:
    if not report.claims:
        return []
    rows = [
        "| "
        + " | ".join(
            _safe(text)
            for text in (
                claim.statement,
                claim.theirs,
                claim.ours + (f", *{SYNTHETIC_MARK}*" if claim.origin == "synthetic" else ""),
                f"**{claim.verdict}**",
            )
        )
        + " |"
        for claim in report.claims
    ]
    head = ["| the paper says | there | here | |", "|---|---|---|---|"]
    return ["## Do the paper's claims hold here?", "", *head, *rows, ""]


def _picture(item: Picture, figure_folder: str) -> list[str]:
    place = f"{figure_folder}{PurePosixPath(item.file).name}"
    return [f"![{item.title}]({place})", "", f"*{item.title}.* {item.caption}", ""]


def _data(facts: Mapping[str, Any]) -> list[str]:
    lines = ["## Data", "", "| data set | for | here | how to get it |", "|---|---|---|---|"]
    for one in facts["datasets"]:
        texts = (one["title"], one["role"], one["used"], f"{one['obtain']} ({one['licence']})")
        lines.append("| " + " | ".join(_safe(text) for text in texts) + " |")
    return [*lines, ""]


def _steps(facts: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Steps",
        "",
        "| step | outcome | network | epochs | seconds |",
        "|---|---|---|---|---|",
    ]
    for step in facts["steps"]:
        outcome = step["outcome"] + (f": {step['reason']}" if step["reason"] else "")
        epochs = "" if step.get("epochs_done") is None else str(step["epochs_done"])
        texts = (
            f"`{step['key']}`",
            outcome,
            step.get("architecture", ""),
            epochs,
            f"{step['seconds']:,.1f}",
        )
        lines.append("| " + " | ".join(_safe(text) for text in texts) + " |")
    commit = f", commit {facts['git_commit'][:12]}" if facts["git_commit"] else ""
    return [*lines, "", f"Made by emotrace {facts['emotrace']}{commit}, seed {facts['seed']}."]


def _safe(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
