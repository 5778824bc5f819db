"""`emotrace doctor`: it sees what is broken and is never broken by it."""

from __future__ import annotations

import importlib.metadata
import json
from typing import TYPE_CHECKING

import cv2
import pytest
from packaging.requirements import Requirement

from emotrace.cli import doctor_checks, doctor_packages
from emotrace.cli.doctor_checks import examine
from emotrace.cli.doctor_finding import Finding
from emotrace.cli.doctor_packages import check_requirement, import_complaints, requirements
from emotrace.faces.download import YUNET_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Call


def pretend_installed(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    def version(name: str) -> str:
        try:
            return versions[name]
        except KeyError:
            raise importlib.metadata.PackageNotFoundError(name) from None

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_json_parses_and_the_exit_code_agrees(call: Call) -> None:
    said = call("doctor", "--json")
    value = json.loads(said.out)
    blocking = [finding for finding in value["findings"] if finding["blocks_analyze"]]
    assert value["can_analyze"] is (not blocking)
    assert said.code == (1 if blocking else 0)
    names = {finding["name"] for finding in value["findings"]}
    assert {"Python", "numpy", "opencv-python-headless", "haar", "yunet", "train"} <= names


def test_text_has_a_line_for_each_finding_and_what_to_do(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> Iterator[Finding]:
        yield Finding(group="g", name="one", status="ok", detail="fine")
        yield Finding(group="g", name="two", status="missing", detail="away", fix="get two")

    monkeypatch.setattr(doctor_checks, "_CHECKS", (("g", check),))
    said = call("doctor")
    assert said.code == 0
    assert said.out.splitlines()[:4] == [
        "g",
        "  ok       one  fine",
        "  missing  two  away",
        "                to do: get two",
    ]
    assert "\x1b" not in said.out


def test_a_check_that_breaks_is_a_finding_and_keeps_what_it_found(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> Iterator[Finding]:
        yield Finding(group="g", name="first", status="ok", detail="fine")
        raise OSError("the disk\nis gone")

    monkeypatch.setattr(doctor_checks, "_CHECKS", (("g", check),))
    assert [(finding.name, finding.status) for finding in examine()] == [
        ("first", "ok"),
        ("g", "problem"),
    ]
    said = call("doctor")
    assert said.code == 1
    assert "cannot be checked: the disk is gone" in said.out


def test_dependencies_are_those_of_the_package() -> None:
    core = {item.name for item in requirements(extra=None)}
    assert {"numpy", "onnxruntime", "av"} <= core
    assert "torch" not in core
    assert "torch" in {item.name for item in requirements(extra="train")}
    assert "numpy" not in {item.name for item in requirements(extra="train")}


@pytest.mark.parametrize(
    ("installed", "status", "blocks"),
    [
        ({"numpy": "1.26.4"}, "ok", False),
        ({"numpy": "1.20"}, "problem", False),
        ({}, "problem", True),
    ],
)
def test_requirement(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], status: str, blocks: bool
) -> None:
    pretend_installed(monkeypatch, installed)
    finding = check_requirement(Requirement("numpy>=1.26"))
    assert (finding.status, finding.blocks_analyze) == (status, blocks)
    assert (finding.fix is None) == (status == "ok")


@pytest.mark.parametrize(
    ("installed", "words"),
    [
        ({"opencv-python-headless": "4.12.0"}, "4.12.0"),
        ({"opencv-contrib-python": "4.12.0"}, "4.12.0"),
        ({"opencv-python-headless": "4.12.0", "opencv-python": "4.12.0"}, "one over the other"),
        ({"opencv-python-headless": "5.0.0"}, "5.0.0; expected"),
        ({}, "not installed"),
    ],
)
def test_opencv_under_its_many_names(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], words: str
) -> None:
    pretend_installed(monkeypatch, installed)
    finding = check_requirement(Requirement("opencv-python-headless>=4.10,<5"))
    assert words in finding.detail
    if finding.status != "ok":
        assert finding.fix == doctor_packages.OPENCV_FIX


def test_an_import_that_fails_or_kills_is_told_from_one_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chatty.py").write_text("print('hello')\n")
    (tmp_path / "broken.py").write_text("raise OSError('libGL.so.1: no such file')\n")
    (tmp_path / "deadly.py").write_text("import os\nos._exit(132)\n")
    (tmp_path / "fine.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert import_complaints(["chatty", "broken", "deadly", "fine", "absent"]) == {
        "broken": "fails: OSError: libGL.so.1: no such file",
        "deadly": "kills Python (exit status 132)",
        "absent": "fails: ModuleNotFoundError: No module named 'absent'",
    }


def test_opencv_without_cascades_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier")
    haar = next(item for item in doctor_checks.check_detectors() if item.name == "haar")
    assert haar.status == "problem"
    assert haar.fix == doctor_packages.OPENCV_FIX


def test_detector_files_are_missing_or_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTRACE_HOME", str(tmp_path))
    (tmp_path / YUNET_FILE.name).write_bytes(b"half of it")
    found = {finding.name: finding for finding in doctor_checks.check_detectors()}
    assert (found["yunet"].status, found["lbp"].status) == ("problem", "missing")
    assert "delete" in str(found["yunet"].fix)
    assert "any" not in found


@pytest.mark.shared
def test_detector_files_are_found_and_verified(yunet_home: Path) -> None:
    found = {finding.name: finding for finding in doctor_checks.check_detectors()}
    assert {finding.status for finding in found.values()} == {"ok"}
    assert str(yunet_home / YUNET_FILE.name) in found["yunet"].detail


def test_a_download_folder_below_a_file_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMOTRACE_HOME", str(tmp_path / "file" / "home"))
    (finding,) = doctor_checks.check_home()
    assert finding.status == "problem"
    assert "EMOTRACE_HOME" in str(finding.fix)


def test_looking_at_the_download_folder_does_not_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTRACE_HOME", str(tmp_path / "a" / "b"))
    (finding,) = doctor_checks.check_home()
    assert finding.status == "ok"
    assert not list(tmp_path.iterdir())


def test_without_the_default_bundle_analysis_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emotrace.bundle.find_bundles", list)
    (finding,) = doctor_checks.check_bundles()
    assert finding.blocks_analyze


def test_a_damaged_bundle_is_a_problem(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "default"
    damaged.mkdir()
    for name in ("spec.json", "card.md"):
        (damaged / name).write_bytes((tiny_bundle / name).read_bytes())
    (damaged / "model.onnx").write_bytes(b"not it")
    monkeypatch.setattr("emotrace.bundle.find_bundles", lambda: [damaged, tiny_bundle])
    first, second = doctor_checks.check_bundles()
    assert (first.status, first.blocks_analyze) == ("problem", True)
    assert (second.name, second.status) == (tiny_bundle.name, "ok")
