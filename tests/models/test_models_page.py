"""The page about the networks: its numbers are those of the networks and of the measurement."""

from __future__ import annotations

import json

import pytest

from emotrace.cli.models import short_count
from emotrace.models.zoo_facts import read_facts
from tests.conftest import REPOSITORY

RESULTS = "2026-11-21-zoo-cost.json"


def rows_of_page() -> dict[str, list[str]]:
    """Cells of each table row that begins with a network's name."""
    found = {}
    for line in (REPOSITORY / "docs" / "models.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) > 5:
            found[cells[0].strip("`")] = cells
    return found


def test_every_network_is_there_with_its_counts() -> None:
    page = rows_of_page()
    assert list(page) == [facts["name"] for facts in read_facts()]
    for facts in read_facts():
        *_, parameters, multiply_adds, _, _ = page[facts["name"]]
        assert parameters == f"{facts['parameters']:,}", facts["name"]
        assert multiply_adds == short_count(facts["multiply_adds"]), facts["name"]
        assert facts["summary"] in page[facts["name"]]


def test_the_times_are_those_that_were_measured() -> None:
    saved = json.loads((REPOSITORY / "benchmarks" / "results" / RESULTS).read_text("utf-8"))
    page = rows_of_page()
    assert [row["name"] for row in saved["rows"]] == list(page)
    for row in saved["rows"]:
        speed, milliseconds = (float(cell.replace(",", "")) for cell in page[row["name"]][-2:])
        assert speed == pytest.approx(row["training"]["frames_per_second"], rel=5e-3)
        assert milliseconds == pytest.approx(row["onnxruntime"]["ms_per_frame"], rel=5e-3)
