"""`emotrace prepare`: from a data set's folder to a cache, with words for what was lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emotrace.cli.prepare import loss_lines, parse_options
from emotrace.datasets.cache import open_cache
from emotrace.datasets.prepare import PrepareReport
from emotrace.errors import UsageError
from tests.datasets.fake_ferplus import write_fake_ferplus

if TYPE_CHECKING:
    from tests.cli.conftest import Call

WHOLE = ("--detector", "none", "--size", "48", "--workers", "1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_fake_ferplus(tmp_path, train=8, validation=8, test=8)
    return tmp_path


def test_a_cache_comes_out_and_the_same_again_finds_it_done(
    call: Call, root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "cache"
    said = call("prepare", "ferplus", root, out, *WHOLE, "--grey")
    assert said.code == 0
    assert said.err == ""
    assert said.out.splitlines() == [
        "24 clips: 24 face crops in 24 frames",
        f"  cache in {out}",
    ]
    cache = open_cache(out)
    assert cache.crop_shape == (48, 48, 1)
    assert set(cache.clips["partition"]) == {"train", "validation", "test"}
    again = call("prepare", "ferplus", root, out, *WHOLE, "--grey")
    assert "24 clips, 24 done before" in again.out


def test_selections_and_options_reach_the_reader(call: Call, root: Path, tmp_path: Path) -> None:
    def clips(name: str, *words: str) -> int:
        said = call("prepare", "ferplus", root, tmp_path / name, *WHOLE, "--json", *words)
        assert said.code == 0
        return int(json.loads(said.out)["clip_count"])

    assert clips("all") == 24
    # One class in eight is contempt.
    assert clips("some", "--select", "no-contempt", "--option", "protocol=argmax") == 21


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["ferplos", "ROOT", "OUT"], "did you mean 'ferplus'?"),
        (["ferplus", "ROOT", "OUT", "--select", "nobody"], "no-contempt"),
        (["ferplus", "ROOT", "OUT", "--option", "colour=red"], "got 'colour'"),
        (["ferplus", "ROOT", "OUT", "--option", "red"], "NAME=VALUE; got 'red'"),
        (["ferplus", "ROOT", "OUT", "--size", "0"], "size_px >= 1"),
        (["ferplus", "ROOT", "OUT", "--detect-every", "0"], "--detect-every of at least 1"),
        (["ferplus", "ROOT", "OUT", "--detector", "eyes"], "got 'eyes'"),
        (["ferplus", "ROOT"], "OUT"),
    ],
)
def test_misuse_is_one_line(
    call: Call, root: Path, tmp_path: Path, words: list[str], hint: str
) -> None:
    places = {"ROOT": str(root), "OUT": str(tmp_path / "cache")}
    said = call("prepare", *(places.get(word, word) for word in words))
    assert said.code == 2
    assert said.out == ""
    assert len(said.error_lines) == 1
    assert hint in said.err
    assert not (tmp_path / "cache").exists()


def test_a_folder_without_the_data_set_is_an_error(call: Call, tmp_path: Path) -> None:
    said = call("prepare", "ferplus", tmp_path, tmp_path / "cache", *WHOLE)
    assert said.code == 1
    assert len(said.error_lines) == 1
    assert "ferplus.parquet" in said.err


def test_other_settings_need_another_folder_or_overwrite(
    call: Call, root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "cache"
    assert call("prepare", "ferplus", root, out, *WHOLE, "--quiet").code == 0
    said = call("prepare", "ferplus", root, out, *WHOLE, "--grey")
    assert said.code == 1
    assert "color 'rgb' instead of 'grey'" in said.err
    said = call("prepare", "ferplus", root, out, *WHOLE, "--grey", "--overwrite", "--quiet")
    assert (said.code, said.out, said.err) == (0, "", "")
    assert open_cache(out).crop_shape == (48, 48, 1)


def test_a_clip_that_cannot_be_read_is_named_and_makes_exit_code_1(
    call: Call, tmp_path: Path
) -> None:
    from tests.datasets.clips import write_clip

    good = write_clip(tmp_path / "good", 2)
    bad = write_clip(tmp_path / "bad", 2)
    assert isinstance(good.media, tuple)
    assert isinstance(bad.media, tuple)
    bad.media[0].write_bytes(b"no picture")
    table = tmp_path / "manifest.csv"
    table.write_text("media,emotion\ngood/0000.png,fear\nbad/0000.png,fear\n")
    out = tmp_path / "cache"
    said = call("prepare", "manifest", table, out, *WHOLE)
    assert said.code == 1
    assert len(said.error_lines) == 1
    assert said.err.startswith("error: bad/0000.png: ")
    assert "lost: 1 clip that cannot be read" in said.out
    assert "bad" in (out / "losses.csv").read_text()
    assert open_cache(out).clip_ids == ["good/0000.png"]


def test_losses_are_told_in_words() -> None:
    report = PrepareReport(
        out=Path("cache"),
        clip_count=3,
        clips_done_before=0,
        frame_count=2000,
        face_count=1900,
        tracked_count=1,
        missed_count=100,
        clips_with_gaps=1,
        clips_without_face=1,
        longest_gap=60,
        other_face_count=12,
        unmatched_label_count=7,
        failures=(),
        notices=(),
    )
    missed, dropped, tracked, others, labels, table = loss_lines(report)
    assert missed.startswith("lost: 100 frames without the face (5.0%), the longest stretch 60 f")
    assert dropped.startswith("2 clips with a missed face (1 without any): --missing-faces drop-cl")
    assert tracked == "1 face followed where none was detected"
    assert others == "12 sights of other people"
    assert labels.startswith("lost: 7 labels of frames that do not exist; ")
    assert table == f"by clip: {Path('cache') / 'losses.csv'}"


def test_options_are_names_and_values() -> None:
    assert parse_options(["gold-standard=provided", "a = b"]) == {
        "gold_standard": "provided",
        "a": "b",
    }
    with pytest.raises(UsageError, match="once; got a twice"):
        parse_options(["a=1", "a=2"])


def test_help_fits_and_shows_examples(call: Call) -> None:
    said = call("prepare", "--help")
    assert said.code == 0
    assert "emotrace prepare ravdess" in said.out
    assert "--missing-faces" in said.out
