from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from emotrace.cli.synth import SynthArguments, parse_size, run, settings_from
from emotrace.errors import OutputError, UsageError
from emotrace.synth.clips import ClipSettings, make_clip
from emotrace.video import VideoReader

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ["--seconds", "0.2", "--size", "64x48", "--quiet"]


def test_videos_with_their_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "faces"
    assert run([str(out), "--clips", "2", "--json", *SMALL]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["frames"] == 10
    assert sorted(path.name for path in out.iterdir()) == [
        "clip00001.mp4",
        "clip00001.truth.parquet",
        "clip00002.mp4",
        "clip00002.truth.parquet",
        "synth.json",
    ]
    record = json.loads((out / "synth.json").read_text("utf-8"))
    assert record["settings"]["width"] == 64
    assert [clip["emotion"] for clip in record["clips"]] == ["anger", "contempt"]
    with VideoReader(out / "clip00001.mp4") as reader:
        assert len(list(reader)) == 5
    assert pq.read_table(out / "clip00001.truth.parquet").num_rows == 5


def test_the_same_command_writes_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        assert run([str(tmp_path / folder), "--clips", "1", "--frames", "--csv", *SMALL]) == 0
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 7
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_layout_is_written_as_its_data_set_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ck"
    assert run([str(out), "--layout", "ckplus", "--clips", "2", *SMALL[:4]]) == 0
    assert (out / "cohn-kanade-images").is_dir()
    assert capsys.readouterr().out.startswith("2 clips, ")


def test_clips_are_not_mixed_with_other_files_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("x")
    with pytest.raises(
        OutputError, match="holds files already; choose another, or add --overwrite"
    ):
        run([str(tmp_path), "--clips", "1", *SMALL])
    assert run([str(tmp_path), "--clips", "1", "--overwrite", *SMALL]) == 0
    assert (tmp_path / "clip00001.mp4").is_file()


def test_a_folder_that_holds_files_is_no_place_for_a_layout(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("x")
    with pytest.raises(OutputError, match="new or empty folder"):
        run([str(tmp_path), "--layout", "ckplus", *SMALL])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--layout", "mnist"], "expected --layout to be one of ckplus"),
        (["--layout", "ckplus", "--frames"], "without --frames"),
        (["--size", "big"], "expected --size like 640x360; got 'big'"),
        (["--seed", "-1"], "expected --seed from 0; got -1"),
        (["--emotion", "joy"], "expected --emotion to be one of all, free, anger, contempt"),
        (["--dynamics", "slowly"], "expected --dynamics to be one of onset, offset, pulse"),
        (["--light", "red"], "expected --light to be one of normal, strong, weak, dark"),
        (["--people", "2", "--dynamics", "slow"], "'pulse' for clips of several people"),
        (["--jpeg", "0"], "JPEG quality from 1 to 100; got 0"),
        (["--size", "8x8"], "sides of at least 16 px"),
    ],
)
def test_wrong_words_are_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        run([str(tmp_path / "out"), *words])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_help_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("--people", "--layout", "--dynamics", "Examples:"):
        assert word in text


def test_sizes() -> None:
    assert parse_size("1280X720") == (1280, 720)
    assert parse_size(" 64 x 48 ") == (64, 48)


def test_defaults_of_the_words_are_those_of_the_settings(tmp_path: Path) -> None:
    settings = settings_from(SynthArguments(out=tmp_path))
    clip = make_clip(ClipSettings(clip_id="x", subject=1))
    assert settings.clips == 8
    assert settings.frame_rate == clip.frame_rate
