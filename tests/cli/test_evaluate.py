"""`emotrace evaluate`: what it prints, writes and refuses, on a few faces."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emotrace.bundle import load_bundle
from emotrace.training.robustness import CONDITIONS
from tests.datasets.fake_ferplus import write_fake_ferplus

if TYPE_CHECKING:
    from tests.cli.conftest import Call


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_ferplus(tmp_path_factory.mktemp("data"), train=8, validation=16, test=24)


def test_a_wrong_folder_is_one_line(call: Call, tmp_path: Path) -> None:
    said = call("evaluate", "default", "ferplus", tmp_path)
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert "ferplus.parquet" in said.err


def test_an_unknown_data_set_is_wrong_usage(call: Call) -> None:
    said = call("evaluate", "default", "nonesuch", ".")
    assert said.code == 2
    assert "ferplus" in said.err


def test_an_unknown_bundle_is_named(call: Call, data: Path) -> None:
    said = call("evaluate", "nothing", "ferplus", data)
    assert said.code == 1
    assert "got 'nothing'" in said.err


def test_tables_fit_the_terminal_and_say_what_json_says(call: Call, data: Path) -> None:
    shown = call("evaluate", "default", "ferplus", data, "--robustness")
    assert shown.code == 0
    assert max(len(line.rstrip()) for line in shown.out.splitlines()) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown.out  # no cell is cut short
    result: dict[str, Any] = json.loads(
        call("evaluate", "default", "ferplus", data, "--robustness", "--json").out
    )
    assert result["split"] == "test"
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    for prior in ("training", "default", "uniform"):
        score = result["priors"][prior]["majority"]
        low, high = score["accuracy_interval_95"]
        start = f"FER+ majority {score['n']} {prior} {100 * score['accuracy']:.1f} "
        assert any(
            line.startswith(f"{start}{100 * low:.1f}-{100 * high:.1f} ") for line in lines
        ), start
    for condition in CONDITIONS:
        assert any(line.startswith(condition.name) for line in lines)
    assert any("parameters" in line and "multiply-adds" in line for line in lines)
    assert any("ms a face" in line for line in lines)
    assert any(line.startswith("KL to the votes") for line in lines)
    assert any("flips at test time" in line for line in lines)


def test_another_split_can_be_scored(call: Call, data: Path) -> None:
    said = call("evaluate", "default", "ferplus", data, "--split", "validation", "--json")
    result = json.loads(said.out)
    assert result["split"] == "validation"
    assert result["priors"]["default"]["argmax"]["n"] == 16
    assert "robustness" not in result


def test_numbers_pictures_and_a_page_are_written(call: Call, data: Path, tmp_path: Path) -> None:
    said = call("evaluate", "default", "ferplus", data, "--out", tmp_path / "scores", "--json")
    assert said.code == 0
    names = {path.name for path in (tmp_path / "scores").iterdir()}
    assert names == {
        "evaluation.json", "evaluation.html", "confusion.png", "recall.png", "reliability.png",
        "coverage.png",
    }  # fmt: skip
    assert json.loads((tmp_path / "scores" / "evaluation.json").read_text()) == json.loads(said.out)
    assert len(said.error_lines) == len(names)


def test_without_matplotlib_it_says_so_before_the_work(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = call("evaluate", "default", "ferplus", tmp_path / "none", "--out", tmp_path / "scores")
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert 'pip install "emotrace[train]"' in said.err
    assert not (tmp_path / "scores").exists()


def test_two_bundles_are_compared_face_by_face(call: Call, data: Path) -> None:
    same = load_bundle().folder
    said = call("evaluate", "default", "ferplus", data, "--against", same, "--json")
    assert said.code == 0, said.err
    result = json.loads(said.out)
    compared = result["against"]
    assert compared["frames"] <= 24
    found = compared["differences"][0]["heads"]["expression"]
    assert found["accuracy"]["difference"] == 0
    assert found["mcnemar_over_videos"]["n"] == compared["frames"]
    shown = call("evaluate", "default", "ferplus", data, "--against", same).out
    assert "Differences" in shown
    assert call("evaluate", "default", "ferplus", data, "--against", "default").code == 2
