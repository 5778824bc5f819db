"""Nothing is ever half written, and what cannot be written is said in one line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emotrace.errors import OutputError
from emotrace.storage import (
    HOME_VARIABLE,
    atomic_path,
    ensure_folder,
    home_folder,
    remove_abandoned_partials,
)


def test_home_is_what_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "mine"))
    assert home_folder() == tmp_path / "mine"
    monkeypatch.setenv(HOME_VARIABLE, "~/faces")
    assert home_folder() == Path.home() / "faces"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/c"}, Path("/c/emotrace")),
        ("linux", {}, Path.home() / ".cache" / "emotrace"),
        ("darwin", {}, Path.home() / "Library" / "Caches" / "emotrace"),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/emotrace")),
    ],
)
def test_home_without_the_variable_is_the_platforms_cache(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: Path
) -> None:
    for name in (HOME_VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert home_folder() == expected


def test_ensure_folder_makes_parents_and_leaves_nothing_in_them(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert ensure_folder(folder) == folder
    assert ensure_folder(folder) == folder  # again is no error
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_a_folders_place_is_an_error_that_names_it(tmp_path: Path, below: str) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("kept")
    with pytest.raises(OutputError, match="expected a folder that can be written to; got") as told:
        ensure_folder(occupied / below)
    assert str(occupied) in str(told.value)
    reason = "it lies below a file" if below else "it is a file"
    assert f"({reason}); choose another folder" in str(told.value)
    assert "\n" not in str(told.value)
    assert occupied.read_text() == "kept"


def test_atomic_path_replaces_the_target_and_keeps_its_ending(tmp_path: Path) -> None:
    target = tmp_path / "timeline.parquet"
    target.write_text("old")
    with atomic_path(target) as partial:
        assert partial.suffix == ".parquet"
        assert partial.parent == target.parent
        partial.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def write_half(target: Path, error: BaseException) -> None:
    with atomic_path(target) as partial:
        partial.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(type(error)):
        write_half(target, error)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OutputError, match=r"out\.csv; got: No space left on device; free"):
        write_half(tmp_path / "out.csv", full)
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_writes_nothing_is_an_output_error(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"expected to write .*out\.csv"),
        atomic_path(tmp_path / "out.csv"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_folder_that_is_none_is_an_output_error(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("kept")
    target = tmp_path / folder / "out.csv"
    with pytest.raises(OutputError, match="expected to write"), atomic_path(target) as partial:
        partial.write_text("never")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_hidden_target_gets_one_dot_only(tmp_path: Path) -> None:
    with atomic_path(tmp_path / ".raw.parquet") as partial:
        assert partial.name == f".raw.{os.getpid()}.partial.parquet"
        partial.touch()


@pytest.mark.skipif(os.name == "nt", reason="age alone decides there")
def test_partials_of_dead_processes_go_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    other = os.getppid()
    names = {
        "dead": f".a.b.{gone.pid}.partial.csv",
        "ours": f".c.{os.getpid()}.partial",
        "running": f".c.{other}.partial.mp4",
        "old": f".d.{other}.partial.mp4",
        "notes": "notes.partial.txt",
        "hidden": ".hidden.partial.txt",
    }
    for name in names.values():
        (tmp_path / name).touch()
    os.utime(tmp_path / names["old"], (1, 1))
    removed = remove_abandoned_partials(tmp_path)
    assert {path.name for path in removed} == {names["dead"], names["ours"], names["old"]}
    assert {path.name for path in tmp_path.iterdir()} == {
        names["running"],
        names["notes"],
        names["hidden"],
    }
    assert remove_abandoned_partials(tmp_path / "missing") == []
