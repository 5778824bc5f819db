"""`emotrace analyze` on inputs and folders that cannot work, with the real pipeline.

Each is exactly one line on stderr and exit code 1 (2 for wrong usage), and the other inputs finish.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from emotrace.cli import app
from tests.cli.conftest import call_process, write_sound, write_video

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Call, Said

needs_permissions = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may do anything"
)


@pytest.fixture
def analyze(call: Call, tiny_bundle: Path, tmp_path: Path) -> Call:
    """Call `emotrace analyze` with what keeps it off the network, results in `tmp_path/out`."""

    def run(*words: object) -> Said:
        defaults: list[object] = ["--detector", "haar", "--threads", 1]
        if "--bundle" not in words:
            defaults += ["--bundle", tiny_bundle]
        if "-o" not in words:
            defaults += ["-o", tmp_path / "out"]
        return call("analyze", *words, *defaults)

    return run


def missing(folder: Path) -> Path:
    return folder / "missing.mp4"


def empty(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def text(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("This is no video.\n" * 100)
    return path


def noise(folder: Path) -> Path:
    path = folder / "noise.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(20_000))
    return path


def cut_off(folder: Path) -> Path:
    """An MP4 whose copy was cut off before its index, which comes last."""
    whole = write_video(folder / "whole.mov").read_bytes()
    path = folder / "cut_off.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def only_sound(folder: Path) -> Path:
    return write_sound(folder / "only_sound.mp4")


def empty_folder(folder: Path) -> Path:
    path = folder / "empty_folder"
    path.mkdir()
    return path


def no_match(folder: Path) -> Path:
    return folder / "*.nothing"


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (missing, "does not exist; check the path"),
        (empty, "empty (0 bytes); copy or export it again"),
        (text, "check that it is a recording"),
        (noise, "copy or export it again"),
        (cut_off, "cut off"),
        (only_sound, "only audio; choose a recording with pictures"),
        (empty_folder, "check the path, or name the files themselves"),
        (no_match, "check the path"),
    ],
)
def test_bad_input_is_one_line(
    analyze: Call, tmp_path: Path, make: Callable[[Path], Path], hint: str
) -> None:
    path = make(tmp_path)
    said = analyze(path)
    assert said.code == 1
    assert said.out == ""
    assert len(said.error_lines) == 1
    assert said.err.startswith("error: expected ")
    assert path.name in said.err
    assert hint in said.err
    assert not list((tmp_path / "out").glob("*/"))


def test_one_bad_input_does_not_stop_the_others(analyze: Call, tmp_path: Path) -> None:
    first, last = write_video(tmp_path / "a.mp4"), write_video(tmp_path / "z.mp4", frames=5)
    said = analyze(first, text(tmp_path), missing(tmp_path), last)
    assert said.code == 1
    assert said.out.splitlines()[-1] == "4 inputs: 2 done, 2 failed"
    errors = [line for line in said.error_lines if line.startswith("error: ")]
    assert len(errors) == 2
    assert "text.mp4" in errors[0]
    assert "missing.mp4" in errors[1]
    for name, frames in (("a", 12), ("z", 5)):
        assert pq.read_table(tmp_path / "out" / name / "timeline.parquet").num_rows == frames
    batch = json.loads((tmp_path / "out" / "batch.json").read_text())
    assert batch["counts"] == {
        "inputs": 4,
        "done": 2,
        "skipped": 0,
        "damaged": 0,
        "failed": 2,
    }


def test_what_is_left_of_a_damaged_video_is_analysed_and_said(
    analyze: Call, tmp_path: Path
) -> None:
    whole = write_video(tmp_path / "whole.mkv", frames=60).read_bytes()
    damaged = tmp_path / "damaged.mkv"
    damaged.write_bytes(whole[: len(whole) * 2 // 3])
    said = analyze(damaged)
    frames = json.loads((tmp_path / "out/damaged/summary.json").read_text())["counts"]["frames"]
    assert 0 < frames < 60
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert said.err.startswith("error: expected 2.4 s of video in ")
    assert f"({frames} frames): the end is missing; the results hold the first" in said.err
    assert "get a whole copy" in said.err
    assert f"{frames} frames" in said.out
    assert "  note: " in said.out
    entry = json.loads((tmp_path / "out" / "batch.json").read_text())["inputs"][0]
    assert (entry["status"], entry["detector"]) == ("damaged", "haar")
    again = analyze(damaged)
    assert (again.code, again.err) == (1, said.err)
    assert "(done before)" in again.out


def test_a_gif_that_is_cut_off_is_said_too(analyze: Call, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    pictures = [Image.fromarray(picture) for picture in noise]
    path = tmp_path / "cut.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
    path.write_bytes(path.read_bytes()[:-500])
    said = analyze(path)
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert said.err.startswith(f"error: expected the whole of {path}; got 0.")
    assert "the end is missing" in said.err


def test_json_counts_both_and_stdout_holds_nothing_else(analyze: Call, tmp_path: Path) -> None:
    said = analyze(write_video(tmp_path / "a.mp4"), empty(tmp_path), "--json")
    value = json.loads(said.out)
    assert said.code == 1
    assert [item["status"] for item in value["inputs"]] == ["done", "failed"]
    assert "empty.mp4" in value["inputs"][1]["error"]


def test_the_same_command_again_skips_what_is_done(analyze: Call, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    assert analyze(path).code == 0
    again = analyze(path)
    assert again.code == 0
    assert "(done before)" in again.out
    assert "(done before)" not in analyze(path, "--overwrite").out


def test_of_several_inputs_those_done_before_take_one_line_each(
    analyze: Call, tmp_path: Path
) -> None:
    inputs = [write_video(tmp_path / "a.mp4"), write_video(tmp_path / "b.mp4")]
    assert "results in" in analyze(*inputs).out
    lines = analyze(*inputs).out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["a.mp4", "b.mp4", "2 inputs"]
    assert all(line.endswith("(done before)") for line in lines[:2])


def test_nothing_on_stdout_controls_a_terminal(analyze: Call, tmp_path: Path) -> None:
    said = analyze(write_video(tmp_path / "a\x1b[2J.mp4"), write_video(tmp_path / "b.mp4"))
    assert said.code == 0
    assert (said.out + said.err).replace("\n", "").isprintable()
    assert r"a\x1b[2J.mp4: 0.5 s, 12 frames, 0 faces" in said.out


def test_results_cannot_go_below_a_file(analyze: Call, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = analyze(write_video(tmp_path / "a.mp4"), "-o", tmp_path / "file" / "out")
    assert (said.code, said.out, len(said.error_lines)) == (1, "", 1)
    assert "expected a folder that can be written to" in said.err
    assert "-o" in said.err


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system of the kernel's")
def test_results_cannot_go_where_nobody_may_write(analyze: Call, tmp_path: Path) -> None:
    said = analyze(write_video(tmp_path / "a.mp4"), "-o", "/proc/self/out")
    assert (said.code, said.out, len(said.error_lines)) == (1, "", 1)
    assert "expected a folder that can be written to" in said.err


@needs_permissions
def test_results_cannot_go_into_a_read_only_folder(analyze: Call, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    said = analyze(write_video(tmp_path / "a.mp4"), "-o", locked)
    assert (said.code, said.out, len(said.error_lines)) == (1, "", 1)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make the system refuse to open a file, as it does without permission.

    Not by permissions themselves: tests often run as the superuser, who has all of them.
    """

    def run(path: Path) -> None:
        real = Path.open

        def opened(self: Path, *arguments: object, **options: object) -> object:
            if self == path:
                raise PermissionError(13, "Permission denied", str(path))
            return real(self, *arguments, **options)  # type: ignore[call-overload]

        monkeypatch.setattr(Path, "open", opened)

    return run


def test_unreadable_file(analyze: Call, tmp_path: Path, refuse: Callable[[Path], None]) -> None:
    path = write_video(tmp_path / "a.mp4")
    refuse(path)
    said = analyze(path)
    assert (said.code, said.out, len(said.error_lines)) == (1, "", 1)
    assert "Permission denied" in said.err
    assert "check its permissions" in said.err


def test_unreadable_folder(analyze: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = empty_folder(tmp_path)
    real = os.scandir

    def scandir(path: str) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(folder))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    said = analyze(folder)
    assert (said.code, said.out, len(said.error_lines)) == (1, "", 1)
    assert "Permission denied" in said.err
    assert folder.name in said.err


def test_a_path_inside_a_locked_folder_does_not_stop_the_others(
    analyze: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, real = tmp_path / "locked" / "a.mp4", Path.stat

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self == locked:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)
    said = analyze(locked, write_video(tmp_path / "b.mp4"))
    assert said.code == 1
    assert said.out.splitlines()[-1] == "2 inputs: 1 done, 1 failed"
    assert said.error_lines[-1].startswith("error: expected a file or folder that can be read; got")
    assert "check its permissions" in said.err


@pytest.mark.skipif(os.name == "nt", reason="a process there cannot be told to stop so")
def test_sigterm_cleans_up_and_says_so(tmp_path: Path, tiny_bundle: Path) -> None:
    video = write_video(tmp_path / "a.mp4", frames=3000)
    words = ["analyze", video, "-o", tmp_path / "out", "--bundle", tiny_bundle]
    with subprocess.Popen(
        [sys.executable, "-m", "emotrace.cli.app", *map(str, words), "--detector", "haar"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        give_up = time.monotonic() + 60
        while not list((tmp_path / "out").glob("a/.*")) and time.monotonic() < give_up:
            time.sleep(0.02)
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert err.startswith("stopped: 0 of 1 inputs are finished")
    assert not list((tmp_path / "out").iterdir())


def test_a_closed_pipe_does_not_stop_the_batch(tmp_path: Path, tiny_bundle: Path) -> None:
    videos = [write_video(tmp_path / name) for name in ("a.mp4", "b.mp4")]
    words = ["analyze", *videos, "-o", tmp_path / "out", "--bundle", tiny_bundle]
    with subprocess.Popen(
        [sys.executable, "-m", "emotrace.cli.app", *map(str, words), "--detector", "haar"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdout is None or process.stderr is None:
            pytest.fail("no pipes")
        process.stdout.close()
        shown = process.stderr.read()
    assert process.returncode == 0
    assert [line.split(" in ")[0] for line in shown.splitlines()] == [
        "[1/2] done: a.mp4",
        "[2/2] done: b.mp4",
    ]
    assert json.loads((tmp_path / "out" / "batch.json").read_text())["counts"]["done"] == 2


def test_unknown_bundle_is_said_once_for_all_inputs(analyze: Call, tmp_path: Path) -> None:
    inputs = [write_video(tmp_path / "a.mp4"), write_video(tmp_path / "b.mp4")]
    said = analyze(*inputs, "--bundle", "no_such_bundle")
    assert (said.code, said.out, len(said.error_lines)) == (1, "", 1)
    assert "'no_such_bundle'" in said.err


def test_wrong_usage_is_found_before_any_work(analyze: Call, tmp_path: Path) -> None:
    said = analyze(write_video(tmp_path / "a.mp4"), "--detect-every", "0")
    assert (said.code, said.out, len(said.error_lines)) == (2, "", 1)
    assert not (tmp_path / "out").exists()


def test_a_detector_that_cannot_be_had(
    call: Call, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMOTRACE_HOME", str(tmp_path / "file" / "home"))
    path = write_video(tmp_path / "a.mp4")
    said = call(
        "analyze", path, "--detector", "yunet", "--bundle", tiny_bundle, "-o", tmp_path / "out"
    )
    assert (said.code, said.out, len(said.error_lines)) == (1, "", 1)
    assert "EMOTRACE_HOME" in said.err


def test_the_whole_in_a_process_of_its_own(tmp_path: Path, tiny_bundle: Path) -> None:
    good, bad = write_video(tmp_path / "good.mp4"), empty(tmp_path)
    said = call_process(
        "analyze", bad, good, "-o", tmp_path / "out", "--bundle", tiny_bundle, "--detector", "haar"
    )
    assert said.code == app.EXIT_FAILED
    assert said.out.splitlines()[0] == "good.mp4: 0.5 s, 12 frames, 0 faces"
    assert said.error_lines[0] == "[1/2] failed: empty.mp4"
    assert said.error_lines[-1].startswith("error: expected a video or picture; got ")
    assert (said.out + said.err).replace("\n", "").isprintable()
