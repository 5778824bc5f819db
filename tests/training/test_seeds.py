"""The spread over seeds, worked out by hand; what is no seed of the same recipe is refused."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from emotrace.bundle_spec import BundleSpec, read_spec
from emotrace.errors import UsageError
from emotrace.training.measures import MEASURES
from emotrace.training.seeds import seeds_table, summarise_seeds


@pytest.fixture
def runs(full_bundle: Path, full_results: dict[str, Any]) -> list[BundleSpec]:
    """Three bundles whose accuracy under the training prior is 0.87, 0.88 and 0.90."""
    specs = []
    for seed, accuracy in ((0, 0.87), (1, 0.88), (2, 0.90)):
        test = copy.deepcopy(full_results)
        test["priors"]["training"]["majority"]["accuracy"] = accuracy
        training = {
            "epochs": 44,
            "seed": seed,
            "recipe": {"epochs": 44, "seed": seed},
            "data_sha256": "d",
        }
        results = {"test": test, "training": training}
        specs.append(dataclasses.replace(read_spec(full_bundle), results=results))
    return specs


def test_mean_and_sample_deviation(runs: list[BundleSpec]) -> None:
    found = summarise_seeds(runs)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["runs"], found["seeds"]) == (3, [0, 1, 2])
    row = found["measures"][0]
    assert (row["name"], row["prior"]) == (MEASURES[0].name, "training")
    assert row["values"] == [0.87, 0.88, 0.90]
    assert row["mean"] == pytest.approx(0.883333, abs=1e-6)
    assert row["sd"] == pytest.approx(0.0152753, abs=1e-6)  # divided by n - 1
    assert row["without_duplicates"]["sd"] == 0


def test_every_measure_and_expression_and_condition_has_a_row(runs: list[BundleSpec]) -> None:
    names = [row["name"] for row in summarise_seeds(runs)["measures"]]
    assert [measure.name for measure in MEASURES] == names[: len(MEASURES)]
    assert "FER+ majority: recall of contempt" in names
    assert "JPEG 30: accuracy lost" in names


def test_what_some_run_lacks_is_left_out(runs: list[BundleSpec]) -> None:
    del runs[1].results["test"]["robustness"]
    names = [row["name"] for row in summarise_seeds(runs)["measures"]]
    assert not any("accuracy lost" in name for name in names)
    assert MEASURES[0].name in names


def test_the_table_shows_per_cent_and_plain_numbers(runs: list[BundleSpec]) -> None:
    table = seeds_table(summarise_seeds(runs))
    assert table.rows[0][2] == "88.3 \u00b1 1.5"
    assert table.rows[0][4:] == ("88", "90")
    row = next(row for row in table.rows if row[0].startswith("KL"))
    assert row[2].endswith("\u00b1 0.000")
    assert row[4:] == ("0.26", "0.2")
    assert len(table.to_markdown().splitlines()) == len(table.rows) + 2


def test_what_cannot_be_compared_is_refused(runs: list[BundleSpec]) -> None:
    with pytest.raises(UsageError, match="at least two bundles to compare seeds; got 1"):
        summarise_seeds(runs[:1])
    with pytest.raises(UsageError, match=r"different seeds; got \[0, 0\]"):
        summarise_seeds([runs[0], runs[0]])
    bare = dataclasses.replace(runs[0], results={})
    with pytest.raises(UsageError, match="that state their training and test results"):
        summarise_seeds([bare, runs[1]])
    for name, value in (("recipe", {"epochs": 5, "seed": 1}), ("data_sha256", "other")):
        other = copy.deepcopy(runs[1])
        other.results["training"][name] = value
        with pytest.raises(UsageError, match="their recipes differ"):
            summarise_seeds([runs[0], other])
