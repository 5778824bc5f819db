"""The table of data sets, and the check that says what is there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from emotrace.datasets.catalogue import DATASETS, find_dataset, read_dataset
from emotrace.datasets.checks import check_dataset
from emotrace.errors import DatasetError, UsageError
from emotrace.labels import EMOTIONS


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_row_says_everything(name: str) -> None:
    entry = DATASETS[name]
    assert entry.name == name
    for field in dataclasses.fields(entry):
        value = getattr(entry, field.name)
        assert not isinstance(value, str) or value.strip() == value != ""


def test_unknown_names_and_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'ckplus'"):
        find_dataset("ckplus2")
    with pytest.raises(UsageError, match="out of gold_standard; got 'rater'"):
        read_dataset("recola", tmp_path, rater=3)


def tiny_jaffe(root: Path) -> Path:
    for name in ("KA.AN1.39.tiff", "KA.HA1.29.tiff", "KL.HA1.158.tiff"):
        (root / name).write_bytes(b"not a picture")
    return root


def test_check_counts_and_says_what_is_missing(tmp_path: Path) -> None:
    check = check_dataset("jaffe", tiny_jaffe(tmp_path))
    assert (check.clip_count, check.subject_count, check.picture_count) == (3, 2, 3)
    assert check.clip_emotions == {"anger": 1, "happiness": 2}
    assert "213 clips are published; 3 are here" in check.missing
    assert not check.problems
    assert not check.is_complete


def test_check_decodes_on_request(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    check = check_dataset(
        "jaffe",
        tiny_jaffe(tmp_path),
        decode=True,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert len(check.problems) == 3
    assert "KA.AN1.39.tiff" in check.problems[0]
    assert check.picture_count == 0
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_check_lists_damage_and_goes_on(tmp_path: Path) -> None:
    tiny_jaffe(tmp_path)
    (tmp_path / "KX.AN1.40.tiff").write_bytes(b"")
    check = check_dataset("jaffe", tmp_path)
    assert check.clip_count == 3
    assert len(check.problems) == 1
    with pytest.raises(DatasetError, match=r"KX\.AN1\.40"):
        read_dataset("jaffe", tmp_path)


@pytest.mark.shared
def test_ferplus_gives_the_published_counts(shared_folder: Path) -> None:
    majority = read_dataset("ferplus", shared_folder, selections=["labelled"])
    assert sum(record.partition == "test" for record in majority) == 3152
    argmax = read_dataset("ferplus", shared_folder, protocol="argmax")
    counts = {
        part: sum(record.partition == part for record in argmax if record.emotion is not None)
        for part in ("train", "validation", "test")
    }
    assert counts == {"train": 28_558, "validation": 3_579, "test": 3_573}
    assert {record.emotion for record in argmax} == set(EMOTIONS)
    check = check_dataset("ferplus", shared_folder)
    assert check.is_complete
    assert check.clip_count == 35_710
