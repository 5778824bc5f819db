"""`emotrace models`: the table, and one network with its options."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from emotrace.models.zoo import ARCHITECTURES, find_architecture
from tests.cli.test_app import modules_loaded_by

if TYPE_CHECKING:
    from tests.cli.conftest import Call


def test_the_table_has_every_network_and_the_published_counts(call: Call) -> None:
    said = call("models")
    assert said.code == 0
    assert said.err == ""
    lines = {line.split()[0]: line for line in said.out.splitlines() if line.strip()}
    for row in ARCHITECTURES:
        assert row.paper.split()[0] in lines[row.name]
        if row.published_parameters is not None:
            # Counted and published, side by side.
            assert lines[row.name].count(f" {row.published_parameters:,}") == 2
    assert " 606 M " in lines["salinas2018-single-frame"]
    assert "clip 10x3x170x170" in lines["salinas2018-slow-fusion"]
    assert "vectors 300" in lines["rangulov2020-gru3"]


def test_the_table_as_json(call: Call) -> None:
    rows = json.loads(call("models", "--json").out)
    assert [row["name"] for row in rows] == [row.name for row in ARCHITECTURES]
    by_name = {row["name"]: row for row in rows}
    gru3 = by_name["rangulov2020-gru3"]
    assert gru3["parameters"] == gru3["published_parameters"] == 204_102
    assert gru3["multiply_adds"] == 3 * 100 * 400 + 3 * 100 * 200 + 3 * 50 * 150 + 2 * 50
    assert gru3["takes"] == "vector_sequence"
    assert gru3["input_shape"] == [None, 300]
    assert gru3["heads"] == [{"name": "valence_arousal", "kind": "continuous", "size": 2}]
    assert by_name["salinas2018-conv3d"]["input_shape"] == [5, 3, 170, 170]
    assert by_name["rangulov2020-cnn"]["published_parameters"] is None


def test_one_network_with_its_options(call: Call) -> None:
    said = call("models", "rangulov2020-cnn")
    assert said.code == 0
    row = find_architecture("rangulov2020-cnn")
    assert row.paper in said.out
    assert row.summary in said.out
    assert "gives       expression (categorical, 8)\n" in said.out
    (line,) = (line for line in said.out.splitlines() if line.startswith("padding "))
    assert line.split()[1] == "all"
    assert line.rstrip().endswith("One of all, first.")


def test_one_network_as_json(call: Call) -> None:
    facts = json.loads(call("models", "salinas2018-slow-fusion", "--json").out)
    options = {option["name"]: option for option in facts["options"]}
    assert options["frames"]["default"] == 10
    assert options["frames"]["type"] == "int"
    assert options["filters"]["default"] == [96, 256, 384, 384, 256]
    assert "even" in options["frames"]["text"]


def test_an_unknown_network_is_wrong_usage_with_a_hint(call: Call) -> None:
    said = call("models", "salinas2018-slow-fusoin")
    assert said.code == 2
    assert len(said.error_lines) == 1
    assert "did you mean salinas2018-slow-fusion" in said.err


def test_help_loads_no_torch(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = modules_loaded_by(["models", "--help"])
    assert not loaded.intersection({"torch", "onnxruntime", "cv2", "pandas", "timm"})
    monkeypatch.setenv("COLUMNS", "80")
    said = call("models", "--help")
    assert said.code == 0
    assert "Examples:\n  emotrace models\n" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


@pytest.mark.parametrize("words", [["models"], ["models", "compact-gru"]])
def test_nothing_is_built_to_list_networks(words: list[str]) -> None:
    loaded = modules_loaded_by(words)
    assert not loaded.intersection({"torch", "timm", "onnxruntime", "cv2", "pandas", "numpy"})


def test_a_default_of_several_values_is_shown_as_it_is_typed(call: Call) -> None:
    lines = call("models", "compact").out.splitlines()
    (blocks,) = (line for line in lines if line.startswith("blocks "))
    assert blocks.split()[1:5] == ["2", "3", "3", "1"]


def test_counts_are_short() -> None:
    from emotrace.cli.models import short_count

    shown = {999: "999", 1000: "1.00 k", 99_949: "99.9 k", 999_499: "999 k", 999_500: "1.00 M"}
    assert {count: short_count(count) for count in shown} == shown
