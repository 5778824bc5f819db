"""The two thresholds that a bundle's spec may state, and bundles from before they could."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from emotrace.bundle import PACKAGED_FOLDER, load_bundle
from emotrace.bundle_spec import SPEC_FILE, read_spec, spec_to_json
from emotrace.errors import BundleError

DEFAULT = PACKAGED_FOLDER / "default"


def write_thresholds(tmp_path: Path, **values: object) -> Path:
    """Copy the packaged bundle, with nothing stated of thresholds but `values`."""
    folder = Path(shutil.copytree(DEFAULT, tmp_path / "copied"))
    raw = json.loads((folder / SPEC_FILE).read_text())
    for name in ("face_threshold", "uncertain_threshold"):
        raw.pop(name, None)
    (folder / SPEC_FILE).write_text(json.dumps({**raw, **values}))
    return folder


def test_a_spec_that_states_none_has_none_and_is_written_as_before(tmp_path: Path) -> None:
    spec = read_spec(write_thresholds(tmp_path))
    assert (spec.face_threshold, spec.uncertain_threshold) == (None, None)
    assert not {"face_threshold", "uncertain_threshold"} & set(spec_to_json(spec))


def test_thresholds_survive_writing_and_reading(tmp_path: Path) -> None:
    folder = write_thresholds(tmp_path)
    spec = replace(read_spec(folder), face_threshold=0.2, uncertain_threshold=0.0)
    (folder / SPEC_FILE).write_text(json.dumps(spec_to_json(spec)))
    assert read_spec(folder) == spec
    described = load_bundle(folder).describe()
    assert (described["face_threshold"], described["uncertain_threshold"]) == (0.2, 0.0)


@pytest.mark.parametrize("name", ["face_threshold", "uncertain_threshold"])
@pytest.mark.parametrize("value", [-0.1, 1.1, "much", float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(
    tmp_path: Path, name: str, value: object
) -> None:
    with pytest.raises(BundleError, match="expected a complete spec"):
        read_spec(write_thresholds(tmp_path, **{name: value}))


def test_null_is_none(tmp_path: Path) -> None:
    assert read_spec(write_thresholds(tmp_path, face_threshold=None)).face_threshold is None
