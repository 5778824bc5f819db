from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.analysis.inputs import RESULT_MARKERS, find_inputs, name_folders
from emotrace.errors import InputError


def make(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return paths


def test_a_named_file_is_itself_whatever_its_ending(tmp_path: Path) -> None:
    (path,) = make(tmp_path, "clip.strange")
    assert find_inputs(path).paths == (path,)


def test_a_missing_file_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    assert find_inputs(tmp_path / "none.mp4").paths == (tmp_path / "none.mp4",)


def test_a_folder_is_searched_to_the_bottom_in_order(tmp_path: Path) -> None:
    paths = make(tmp_path, "b.mp4", "a.MOV", "deep/er/c.png")
    make(tmp_path, "notes.txt", ".hidden.mp4", ".cache/d.mp4")
    assert find_inputs(tmp_path).paths == (paths[1], paths[0], paths[2])


def test_earlier_results_are_no_inputs(tmp_path: Path) -> None:
    (clip,) = make(tmp_path, "clip.mp4")
    make(tmp_path / "out" / "clip", *RESULT_MARKERS, "annotated.mp4")
    assert find_inputs(tmp_path).paths == (clip,)
    assert find_inputs(str(tmp_path / "**" / "*.mp4")).paths == (clip,)


def test_a_glob_matches_files(tmp_path: Path) -> None:
    paths = make(tmp_path, "a1.mp4", "a2.mp4", "b.mp4")
    assert find_inputs(str(tmp_path / "a*.mp4")).paths == tuple(paths[:2])


def test_a_file_with_glob_signs_in_its_name_is_found(tmp_path: Path) -> None:
    (path,) = make(tmp_path, "take [1].mp4")
    assert find_inputs(path).paths == (path,)


@pytest.mark.parametrize("pattern", ["*.mp4", "**/*.webm"])
def test_a_glob_without_match_says_so(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(InputError, match="found none"):
        find_inputs(str(tmp_path / pattern))


def test_a_folder_without_media_says_so(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt")
    with pytest.raises(InputError, match="found none with a known ending"):
        find_inputs(tmp_path)


def test_an_unreadable_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        find_inputs(tmp_path)


def test_an_unreadable_subfolder_is_a_problem_and_the_rest_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = make(tmp_path, "a/x.mp4", "locked/y.mp4", "z.mp4")
    real = os.scandir

    def scandir(path: str) -> object:
        if Path(path) == tmp_path / "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    found = find_inputs(tmp_path)
    assert set(found.paths) == {paths[0], paths[2]}
    ((refused, why),) = found.problems
    assert refused == tmp_path / "locked"
    assert "Permission denied" in why


@pytest.mark.parametrize("pattern", ["locked/a.mp4", "locked/*.mp4"])
def test_a_path_that_may_not_be_looked_at_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    def refuse(self: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(InputError, match=r"\(Permission denied\); check its permissions"):
        find_inputs(tmp_path / pattern)


def test_names_are_short_and_distinct() -> None:
    paths = [Path(p) for p in ("a/x.mp4", "a/y.mp4", "a/y.mov", "b/y.mov", "c/X.mp4")]
    names = name_folders(paths)
    assert names[paths[1]] == "y.mp4"
    assert names[paths[2]] == "a__y.mov"
    assert names[paths[3]] == "b__y.mov"
    assert {names[paths[0]].casefold(), names[paths[4]].casefold()} == {"a__x.mp4", "c__x.mp4"}


part = st.sampled_from(["a", "b", "A", "x__b"])
file_name = st.sampled_from(["x.mp4", "x.mov", "X.mp4", "x", "y.gif", "a__x.mp4"])


@given(st.lists(st.builds(lambda p, n: Path(*p, n), st.lists(part, max_size=3), file_name)))
def test_every_input_gets_a_name_of_its_own(paths: list[Path]) -> None:
    names = name_folders(paths)
    assert set(names) == set(paths)
    assert all(name and "/" not in name for name in names.values())
    distinct_files = {str(path).casefold() for path in paths}
    if len(distinct_files) == len(set(paths)):
        folded = [name.casefold() for name in names.values()]
        assert len(folded) == len(set(folded))


def test_no_folder_takes_the_place_of_the_batchs_own_file() -> None:
    names = name_folders([Path("batch.json.mp4"), Path("a.mp4")])
    assert list(names.values()) == ["batch.json.mp4", "a"]
