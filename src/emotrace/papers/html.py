"""A reproduction's page as one HTML file: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING, Any, Final

from emotrace.papers.report import SYNTHETIC_MARK, Cell, Missing, Picture, Score, Table, Theirs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from emotrace.papers.report import Claim, Report

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --line: #d8dde3;
  --paper: #ffffff; --ours: #eef5fb; --theirs: #f6f4ee; --mark: #b45309; --link: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --soft: #a3adb8; --line: #3a424c;
  --paper: #15181c; --ours: #16242f; --theirs: #23211b; --mark: #f0a95b; --link: #7fb8f0; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { margin-top: 2.4rem; font-size: 1.25rem; }
a { color: var(--link); }
.soft, .note { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0 .3rem; font-size: .92rem; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { border: 1px solid var(--line); padding: .35rem .6rem; text-align: left;
  vertical-align: top; }
td.ours { background: var(--ours); } td.theirs { background: var(--theirs); }
td .sample { display: block; color: var(--soft); font-size: .8rem; }
.mark { display: inline-block; color: var(--mark); border: 1px solid var(--mark);
  border-radius: .3rem; padding: 0 .3rem; font-size: .75rem; }
.verdict { font-weight: 600; white-space: nowrap; }
img { max-width: 100%; height: auto; background: #ffffff; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .9rem; }
pre { background: var(--theirs); padding: .6rem; overflow-x: auto; }
"""


def html_page(report: Report, facts: Mapping[str, Any], *, figures_in: Path, has_runs: bool) -> str:
    """Return the page.

    Args:
        report: The paper's own part.
        facts: `emotrace.papers.pages.page_facts`.
        figures_in: The folder below which the report's pictures lie; they go into the page.
        has_runs: Whether the runs' folders lie beside the page: cells link to them; else to the
            list of steps.
    """
    title = f"{facts['title']}, reproduced"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f"<p class='soft'>{_text(facts['citation'])}</p>",
        f"<p>Scale <b>{_text(facts['scale'])}</b>: {_text(facts['scale_says'])}</p>",
        f"<pre>{_text(facts['command'])}</pre>",
    ]
    if facts["has_synthetic"]:
        parts.append(
            f"<p>Cells marked {_mark()} are of drawn faces that nobody has. They show that the "
            "experiment runs and what it does on such data; they are no measurement of people, "
            "and not to be set against the paper's numbers as such.</p>"
        )
    parts.append(_claims(report.claims))
    for section in report.sections:
        parts.append(f"<h2>{_text(section.title)}</h2>")
        parts += [f"<p>{_text(one)}</p>" for one in section.text.split("\n\n") if one.strip()]
        for item in section.items:
            if isinstance(item, Table):
                parts.append(_table(item, has_runs=has_runs))
            else:
                parts.append(_picture(item, figures_in))
    for name, listed in (("What was learned", report.learned), ("Departures", report.departures)):
        if listed:
            points = "".join(f"<li>{_text(one)}</li>" for one in listed)
            parts.append(f"<h2>{name}</h2><ul>{points}</ul>")
    parts += [_data(facts), _steps(facts, has_runs=has_runs)]
    body = "\n".join(part for part in parts if part)
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _table(table: Table, *, has_runs: bool) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in table.columns)
    rows = "".join(
        "<tr>" + "".join(_cell(cell, has_runs=has_runs) for cell in row) + "</tr>"
        for row in table.rows
    )
    note = f"<p class='note'>{_text(table.note)}</p>" if table.note else ""
    return (
        f"<div class='wide'><table><caption>{_text(table.title)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )


def _cell(cell: Cell, *, has_runs: bool) -> str:
    if isinstance(cell, Theirs):
        return f"<td class='theirs'>{_text(cell.text)}</td>"
    if isinstance(cell, Missing):
        return f"<td class='ours' title='{_text(cell.reason)}'>not run</td>"
    if not isinstance(cell, Score):
        return f"<td>{_text(str(cell))}</td>"
    key = cell.run.removeprefix("runs/")
    place = f"{cell.run}/" if has_runs and cell.run.startswith("runs/") else f"#step-{_anchor(key)}"
    interval = f" {_text(cell.interval_text())}" if cell.low is not None else ""
    sample = cell.sample_text() + (f"; {cell.note}" if cell.note else "")
    about = cell.protocol + (
        f"; 95 % interval, drawing {cell.interval_over} again" if cell.interval_over else ""
    )
    mark = f" {_mark()}" if cell.origin == "synthetic" else ""
    return (
        f"<td class='ours' title='{_text(about)}'><a href='{_text(place)}'>{_text(cell.text())}</a>"
        f"{interval}{mark}<span class='sample'>{_text(sample)}</span></td>"
    )


def _claims(claims: tuple[Claim, ...]) -> str:
    if not claims:
        return ""
    rows = "".join(
        f"<tr><td>{_text(claim.statement)}</td><td class='theirs'>{_text(claim.theirs)}</td>"
        f"<td class='ours'>{_text(claim.ours)}"
        f"{' ' + _mark() if claim.origin == 'synthetic' else ''}</td>"
        f"<td class='verdict'>{_text(claim.verdict)}</td></tr>"
        for claim in claims
    )
    return (
        "<h2>Do the paper's claims hold here?</h2><div class='wide'><table><thead><tr>"
        "<th>the paper says</th><th>there</th><th>here</th><th></th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _picture(item: Picture, figures_in: Path) -> str:
    data = base64.b64encode((figures_in / item.file).read_bytes()).decode("ascii")
    mark = f" {_mark()}" if item.origin == "synthetic" else ""
    return (
        f"<figure><img src='data:image/png;base64,{data}' alt='{_text(item.title)}'>"
        f"<figcaption><b>{_text(item.title)}</b>{mark} {_text(item.caption)}</figcaption></figure>"
    )


def _data(facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{_text(one['title'])}<span class='sample'>--data {_text(one['name'])}=ROOT</span>"
        f"</td><td>{_text(one['role'])}</td><td>{_text(one['used'])}</td>"
        f"<td>{_text(one['obtain'])}</td><td>{_text(one['licence'])}</td></tr>"
        for one in facts["datasets"]
    )
    return (
        "<h2>Data</h2><div class='wide'><table><thead><tr><th>data set</th><th>for</th>"
        "<th>here</th><th>how to get it</th><th>licence</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _steps(facts: Mapping[str, Any], *, has_runs: bool) -> str:
    rows = []
    for step in facts["steps"]:
        key = step["key"]
        name = (
            f"<a href='runs/{_text(key)}/'>{_text(key)}</a>"
            if has_runs and step["has_run"]
            else _text(key)
        )
        outcome = step["outcome"] + (f": {step['reason']}" if step["reason"] else "")
        epochs = "" if step.get("epochs_done") is None else str(step["epochs_done"])
        parameters = f"{step['parameters']:,}" if "parameters" in step else ""
        rows.append(
            f"<tr id='step-{_anchor(key)}'><td>{name}</td><td>{_text(outcome)}</td>"
            f"<td>{_text(step.get('architecture', ''))}</td><td>{parameters}</td>"
            f"<td>{epochs}</td><td>{step['seconds']:,.1f}</td></tr>"
        )
    commit = f", commit {facts['git_commit'][:12]}" if facts["git_commit"] else ""
    return (
        "<h2>Steps</h2><div class='wide'><table><thead><tr><th>step</th><th>outcome</th>"
        "<th>network</th><th>parameters</th><th>epochs</th><th>seconds</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f"<p class='soft'>Made by emotrace {_text(facts['emotrace'])}{_text(commit)}, "
        f"seed {facts['seed']}.</p>"
    )


def _mark() -> str:
    return f"<span class='mark'>{SYNTHETIC_MARK}</span>"


def _anchor(key: str) -> str:
    return key.replace("/", "-")


def _text(text: str) -> str:
    return html.escape(text, quote=True)
