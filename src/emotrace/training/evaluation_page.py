"""An evaluation on disk: its numbers, its pictures, and one page that holds both."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

from emotrace.analysis.tables import write_json
from emotrace.storage import atomic_path, ensure_folder
from emotrace.training.charts import draw_charts, embed_chart, write_charts
from emotrace.training.result_tables import all_tables, plain_facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NUMBERS_FILE: Final = "evaluation.json"
PAGE_FILE: Final = "evaluation.html"
_CHART_TEXTS: Final = {
    "confusion": "Confusion matrices: shares of each row, and faces.",
    "recall": "Recall of each expression under each prior.",
    "reliability": "Confidence against the share that is right, and how often it occurs.",
    "coverage": "Accuracy of the predictions that are kept, the surest first.",
    "robustness": "Points lost by each change of the faces.",
}
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.92rem; }
th, td { padding: 0.2rem 0.7rem; text-align: right; border-bottom: 1px solid #e4e4e4; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.wide { overflow-x: auto; } .note { color: #555; } img { max-width: 100%; height: auto; }
"""


def write_evaluation(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the numbers, each picture and the page into a folder, made where missing.

    Returns:
        The paths: the page, the numbers, the pictures.

    Raises:
        OutputError: The folder cannot be written to.
        TrainingError: matplotlib is not installed.
    """
    charts = draw_charts(results)  # where they cannot be, no folder is left behind
    ensure_folder(folder)
    numbers = write_json(folder / NUMBERS_FILE, results)
    pictures = write_charts(charts, folder)
    page = folder / PAGE_FILE
    with atomic_path(page) as partial:
        embedded = {name: embed_chart(chart) for name, chart in charts.items()}
        partial.write_text(_page(results, embedded), encoding="utf-8")
    return [page, numbers, *pictures]


def _page(results: Mapping[str, Any], charts: Mapping[str, str]) -> str:
    bundle = results["bundle"]
    title = html.escape(f"{bundle['name']} on FER+ ({results['split']})")
    origin = f"Model sha256 {bundle['sha256']}. Every number is in {NUMBERS_FILE}."
    parts = [f"<h1>{title}</h1>", f"<p class='note'>{html.escape(origin)}</p>"]
    parts += [f"<p>{html.escape(fact)}</p>" for fact in plain_facts(results)]
    for table in all_tables(results):
        parts.append(f"<h2>{html.escape(table.title)}</h2>")
        parts.append(f"<div class='wide'>{table.to_html()}</div>")
        parts.append(f"<p class='note'>{html.escape(table.note)}</p>")
    parts.append("<h2>Pictures</h2>")
    for name, address in charts.items():
        text = html.escape(_CHART_TEXTS[name], quote=True)
        parts.append(f"<p><img src='{address}' alt='{text}'></p>")
    body = "\n".join(parts)
    return (
        "<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n<body>\n{body}\n</body>\n</html>\n"
    )
