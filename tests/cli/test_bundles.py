"""`emotrace bundles`: what it lists, shows and fetches."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from emotrace.cli.bundles import measured_accuracy
from emotrace.errors import DownloadError
from emotrace.faces import download
from emotrace.storage import home_folder

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.faces.download import DownloadableFile
    from tests.cli.conftest import Call


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> Path:
    monkeypatch.setenv("EMOTRACE_HOME", str(tmp_path))
    shutil.copytree(tiny_bundle, tmp_path / "bundles" / "tiny")
    return tmp_path


def test_list_shows_a_row_for_each(call: Call, home: Path) -> None:
    said = call("bundles", "list")
    assert said.code == 0
    row = next(line for line in said.out.splitlines() if line.split()[:1] == ["tiny"])
    assert row.split() == ["tiny", "0", "8", "1", "kB", "-"]
    assert "  trained on: nothing\n  licence:    none\n" in said.out
    assert "\x1b" not in said.out
    assert home == home_folder()


def test_list_as_json_gives_the_whole_spec(call: Call, home: Path) -> None:
    specs = json.loads(call("bundles", "list", "--json").out)
    mine = next(spec for spec in specs if spec["name"] == "tiny")
    assert mine["folder"] == str(home / "bundles" / "tiny")
    assert mine["labels"][0] == "anger"


def test_list_goes_on_past_a_damaged_bundle(call: Call, home: Path) -> None:
    shutil.copytree(home / "bundles" / "tiny", home / "bundles" / "aaa")
    (home / "bundles" / "aaa" / "spec.json").write_text("{")
    said = call("bundles", "list")
    assert said.code == 1
    assert "tiny" in said.out
    assert len(said.error_lines) == 1
    assert "aaa" in said.err


def test_info_shows_spec_and_card_and_verifies(call: Call, home: Path) -> None:
    said = call("bundles", "info", "tiny")
    model = (home / "bundles" / "tiny" / "model.onnx").read_bytes()
    assert said.code == 0
    assert hashlib.sha256(model).hexdigest() in said.out
    assert "brightness is happiness" in said.out
    assert "# Tiny" in said.out
    assert "\x1b" not in said.out


def test_info_as_json(call: Call, tiny_bundle: Path) -> None:
    value = json.loads(call("bundles", "info", tiny_bundle, "--json").out)
    assert value["verified"] is True
    assert value["input"]["size_px"] == 48


def test_info_of_a_damaged_model_fails(call: Call, home: Path) -> None:
    (home / "bundles" / "tiny" / "model.onnx").write_bytes(b"not it")
    said = call("bundles", "info", "tiny")
    assert (said.code, said.out, len(said.error_lines)) == (1, "", 1)
    assert "damaged" in said.err


def test_info_of_an_unknown_bundle_names_the_known(call: Call, home: Path) -> None:
    said = call("bundles", "info", "tinny")
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert "tiny" in said.err
    assert home == home_folder()


def stub_network(monkeypatch: pytest.MonkeyPatch, reached: list[str]) -> None:
    def fetch(file: DownloadableFile, url: str, folder: Path, _settings: object) -> None:
        reached.append(url)
        (folder / file.name).write_bytes(b"content of " + file.name.encode())

    def has_right_content(path: Path) -> str:
        wanted = {file.name: file.sha256 for file in download.DETECTOR_FILES.values()}
        return wanted[path.name] if path.read_bytes().startswith(b"content") else "another"

    monkeypatch.setattr(download, "_fetch", fetch)
    monkeypatch.setattr(download, "_sha256_of", has_right_content)


def test_download_fetches_once_and_says_what_is_there(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []
    stub_network(monkeypatch, reached)
    first, second = call("bundles", "download"), call("bundles", "download")
    assert (first.code, second.code) == (0, 0)
    assert len(reached) == 2
    assert "yunet: fetched" in first.out
    assert "yunet: already there" in second.out
    assert "lbp: already there" in second.out
    assert "tiny: a bundle that is here already" in first.out
    assert sorted(path.name for path in home.iterdir() if path.is_file()) == sorted(
        file.name for file in download.DETECTOR_FILES.values()
    )


def test_download_of_one_into_a_folder(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub_network(monkeypatch, [])
    stick = tmp_path / "stick"
    said = call("bundles", "download", "lbp", "--to", stick)
    assert said.code == 0
    assert [path.name for path in stick.iterdir()] == [download.LBP_FILE.name]
    assert "set EMOTRACE_HOME" in said.out
    assert not (home / download.LBP_FILE.name).exists()


def test_download_into_a_folder_copies_what_is_here(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reached: list[str] = []
    stub_network(monkeypatch, reached)
    (home / download.LBP_FILE.name).write_bytes(b"content, and it is ours")
    stick = tmp_path / "stick"
    said = call("bundles", "download", "lbp", "--to", stick)
    assert (said.code, reached) == (0, [])
    assert "lbp: copied, 53 kB" in said.out
    assert (stick / download.LBP_FILE.name).read_bytes() == b"content, and it is ours"


def test_download_offline_is_one_line_for_each_file(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: DownloadableFile, url: str, _folder: Path, _settings: object) -> None:
        raise DownloadError(f"expected to fetch {file.name} from {url}; got: no network")

    monkeypatch.setattr(download, "_fetch", fail)
    said = call("bundles", "download")
    assert said.code == 1
    *errors, advice = said.error_lines
    assert [line.split()[4] for line in errors] == [
        file.name for file in download.DETECTOR_FILES.values()
    ]
    assert "bundles download --to DIR" in advice
    assert "set EMOTRACE_HOME to it" in advice
    assert home == home_folder()


def test_download_into_a_folder_that_cannot_be_made_asks_for_another(
    call: Call, home: Path, tmp_path: Path
) -> None:
    assert home == home_folder()
    (tmp_path / "file").touch()
    said = call("bundles", "download", "yunet", "--to", tmp_path / "file")
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert "choose another folder with --to" in said.err
    assert "EMOTRACE_HOME" not in said.err


def test_accuracy_of_results_in_another_form_is_a_dash() -> None:
    assert measured_accuracy({"test": {"priors": {}}}) == "-"
    assert measured_accuracy({"test": 3}) == "-"
