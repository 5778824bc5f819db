"""`emotrace datasets`: what it lists, and what it says of a folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from emotrace.datasets.catalogue import DATASETS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Call


@pytest.mark.parametrize("words", [[], ["list"]])
def test_list_shows_every_data_set(call: Call, words: list[str]) -> None:
    said = call("datasets", *words)
    assert said.code == 0
    for name, entry in DATASETS.items():
        assert f"{name}: {entry.title}\n" in said.out
        assert f"  licence: {entry.licence}\n" in said.out


@pytest.mark.parametrize("words", [["--json"], ["list", "--json"]])
def test_list_as_json(call: Call, words: list[str]) -> None:
    rows = json.loads(call("datasets", *words).out)
    assert [row["name"] for row in rows] == list(DATASETS)
    assert rows[0]["expected_clips"] == 593


def manifest(root: Path, *rows: str) -> Path:
    (root / "b.png").write_bytes(b"not a picture")
    (root / "manifest.csv").write_text("media,clip,emotion\n" + "".join(f"{r}\n" for r in rows))
    return root


def test_check_counts(call: Call, tmp_path: Path) -> None:
    said = call("datasets", "check", "manifest", manifest(tmp_path, "b.png,x,fear", "b.png,y,"))
    assert said.code == 0
    assert "clip labels  fear 1, (none) 1\n" in said.out
    assert "nothing is missing, nothing damaged" in said.out
    assert said.err == ""


def test_check_says_what_is_damaged_and_fails(call: Call, tmp_path: Path) -> None:
    manifest(tmp_path, "b.png,x,fear", "b.png,y,feer", "c.png,z,fear")
    said = call("datasets", "check", "manifest", tmp_path)
    assert said.code == 1
    assert len(said.error_lines) == 2
    assert "line 3: expected emotion" in said.err
    assert "clips        1\n" in said.out
    decoded = call("datasets", "check", "manifest", tmp_path, "--decode", "--json")
    report = json.loads(decoded.out)
    assert len(report["problems"]) == 3
    assert report["is_complete"] is False
    assert report["clip_emotions"] == {"fear": 1}


def test_check_refuses_another_folder_in_one_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"")
    said = call("datasets", "check", "ckplus", tmp_path)
    assert said.code == 1
    assert len(said.error_lines) == 1
    assert "looked for cohn-kanade-images/S005/001/*.png" in said.err
    assert "found holiday.mp4" in said.err


def test_wrong_names_are_wrong_usage(call: Call, tmp_path: Path) -> None:
    said = call("datasets", "check", "ckpluss", tmp_path)
    assert said.code == 2
    assert "did you mean 'ckplus'" in said.err
    said = call("datasets", "check", "recola", tmp_path, "--option", "gold=mean")
    assert said.code == 2
    assert "out of gold_standard; got 'gold'" in said.err
