"""`emotrace evaluate`: what it prints, writes and refuses, on a few faces."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emotrace.bundle import load_bundle
from emotrace.cli.app import main
from emotrace.training.robustness import CONDITIONS
from tests.cli.conftest import forget_training
from tests.datasets.fake_ferplus import write_fake_ferplus

if TYPE_CHECKING:
    from tests.cli.conftest import Call


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_ferplus(tmp_path_factory.mktemp("data"), train=8, validation=16, test=24)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are written into the current folder unless another is named."""
    monkeypatch.chdir(tmp_path)


def test_a_wrong_folder_is_one_line(call: Call, tmp_path: Path) -> None:
    said = call("evaluate", "default", "ferplus", tmp_path)
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert "ferplus.parquet" in said.err
    assert not list(tmp_path.iterdir())


def test_an_unknown_data_set_is_wrong_usage(call: Call) -> None:
    said = call("evaluate", "default", "nonesuch", ".")
    assert said.code == 2
    assert "ferplus" in said.err


def test_an_unknown_bundle_is_named(call: Call, data: Path) -> None:
    said = call("evaluate", "nothing", "ferplus", data)
    assert said.code == 1
    assert "got 'nothing'" in said.err


def test_tables_fit_the_terminal_and_say_what_json_says(call: Call, data: Path) -> None:
    shown = call("evaluate", "default", "ferplus", data, "--robustness")
    assert shown.code == 0
    assert max(len(line.rstrip()) for line in shown.out.splitlines()) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown.out  # no cell is cut short
    result: dict[str, Any] = json.loads(
        call("evaluate", "default", "ferplus", data, "--robustness", "--json").out
    )
    assert result["split"] == "test"
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    for prior in ("training", "default", "uniform"):
        score = result["priors"][prior]["majority"]
        low, high = score["accuracy_interval_95"]
        start = f"FER+ majority {score['n']} {prior} {100 * score['accuracy']:.1f} "
        assert any(
            line.startswith(f"{start}{100 * low:.1f}-{100 * high:.1f} ") for line in lines
        ), start
    for condition in CONDITIONS:
        assert any(line.startswith(condition.name) for line in lines)
    assert any("parameters" in line and "multiply-adds" in line for line in lines)
    assert any("ms a face" in line for line in lines)
    assert any(line.startswith("KL to the votes") for line in lines)
    assert any("flips at test time" in line for line in lines)


def test_another_split_can_be_scored(call: Call, data: Path) -> None:
    said = call("evaluate", "default", "ferplus", data, "--split", "validation", "--json")
    result = json.loads(said.out)
    assert result["split"] == "validation"
    assert result["priors"]["default"]["argmax"]["n"] == 16
    assert "robustness" not in result


def test_numbers_pictures_and_a_page_are_written(call: Call, data: Path, tmp_path: Path) -> None:
    said = call("evaluate", "default", "ferplus", data, "--out", tmp_path / "scores", "--json")
    assert said.code == 0
    names = {path.name for path in (tmp_path / "scores").iterdir()}
    assert names == {
        "evaluation.json", "evaluation.html", "confusion.png", "recall.png", "reliability.png",
        "coverage.png",
    }  # fmt: skip
    assert json.loads((tmp_path / "scores" / "evaluation.json").read_text()) == json.loads(said.out)
    assert len(said.error_lines) == len(names)


def test_pictures_are_written_unasked_but_not_with_json(
    call: Call, data: Path, tmp_path: Path
) -> None:
    assert call("evaluate", "default", "ferplus", data, "--json").code == 0
    assert not (tmp_path / "emotrace-evaluation").exists()
    said = call("evaluate", "default", "ferplus", data)
    assert said.code == 0
    names = {path.name for path in (tmp_path / "emotrace-evaluation").iterdir()}
    assert {"evaluation.html", "confusion.png", "reliability.png"} <= names
    assert "emotrace-evaluation/evaluation.html" in said.err


@pytest.mark.parametrize("obstacle", ["matplotlib", "a file in the way"])
def test_tables_are_printed_where_pictures_cannot_be_written(
    call: Call, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    if obstacle == "matplotlib":
        monkeypatch.setitem(sys.modules, "matplotlib", None)
    else:
        (tmp_path / "emotrace-evaluation").write_text("mine")
    said = call("evaluate", "default", "ferplus", data)
    assert said.code == 0
    assert "KL to the votes" in said.out
    assert "no pictures were written" in said.err
    assert not list(tmp_path.rglob("*.png"))


def test_without_matplotlib_it_says_so_before_the_work(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = call("evaluate", "default", "ferplus", tmp_path / "none", "--out", tmp_path / "scores")
    assert (said.code, len(said.error_lines)) == (1, 1)
    assert "pip install matplotlib" in said.err
    assert not (tmp_path / "scores").exists()


def test_a_bundle_is_scored_on_ferplus_without_torch_and_a_cache_names_what_to_install(
    call: Call, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_training(monkeypatch)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert call("evaluate", "default", "ferplus", data).code == 0
    for words in (("evaluate", "default", "cache", tmp_path), ("compare", "default", "other")):
        said = call(*words)
        assert (said.code, len(said.error_lines)) == (1, 1)
        assert (
            'torch is not installed; run in the checkout of emotrace: pip install ".[train]"'
            in (said.err)
        )


def test_two_bundles_are_compared_face_by_face(call: Call, data: Path) -> None:
    same = load_bundle().folder
    said = call("evaluate", "default", "ferplus", data, "--against", same, "--json")
    assert said.code == 0, said.err
    result = json.loads(said.out)
    compared = result["against"]
    assert compared["frames"] <= 24
    found = compared["differences"][0]["heads"]["expression"]
    assert found["accuracy"]["difference"] == 0
    assert found["mcnemar_over_videos"]["n"] == compared["frames"]
    shown = call("evaluate", "default", "ferplus", data, "--against", same).out
    assert "Differences" in shown
    assert call("evaluate", "default", "ferplus", data, "--against", "default").code == 2


# --- runs on FER+ --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stills(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the pictures of FER+."""
    folder = tmp_path_factory.mktemp("runs") / "stills"
    shape = "--widths 4 --blocks 1 --stem-width 4 --input-size-px 12 --epochs 1 --batch-size 8"
    machine = "--threads 1 --accelerator cpu --skip-test --quiet"
    words = ["train", "compact", "--data", data, "--run", folder]
    assert main([*map(str, words), *shape.split(), *machine.split()]) == 0
    return folder


def test_a_run_on_pictures_is_scored_on_its_own_parts(
    call: Call, stills: Path, data: Path, tmp_path: Path
) -> None:
    words = ["evaluate", stills, "ferplus", data]
    said = call(*words, "--out", tmp_path / "scores")
    assert said.code == 0, said.err
    assert "compact, best.ckpt; test side" in said.out
    assert max(len(line.rstrip()) for line in said.out.splitlines()) <= 80
    written = {path.name for path in (tmp_path / "scores").iterdir()}
    assert written == {"evaluation.json", "evaluation.md", "confusion-expression.png"}
    for side, count in (("test", 24), ("validation", 16)):
        found = json.loads(call(*words, "--split", side, "--json").out)
        assert (found["scores"]["side"], found["scores"]["frames"]) == (side, count)
        assert (found["model"]["datasets"], found["post_processing"]) == (["ferplus"], None)
    # The folder or the file, 'ferplus' or 'cache': it is the same data.
    by_file = call("evaluate", stills, "cache", data, "--json")
    by_folder = call("evaluate", stills, "ferplus", data.parent, "--json")
    assert by_file.out == by_folder.out


def test_a_run_and_a_bundle_are_compared_picture_by_picture(
    call: Call, stills: Path, data: Path
) -> None:
    counts = set()
    for model, other in ((stills, "default"), ("default", stills)):
        said = call("evaluate", model, "ferplus", data, "--against", other, "--json")
        assert said.code == 0, said.err
        compared = json.loads(said.out)["against"]
        counts.add(compared["frames"])
        assert set(compared["differences"][0]["heads"]) == {"expression"}
    assert len(counts) == 1
    said = call("compare", stills, "default", "--json")
    assert json.loads(said.out)["frames"] in counts


def test_other_pictures_are_scored_whole_and_not_proven_new(
    call: Call, stills: Path, tmp_path: Path
) -> None:
    other = write_fake_ferplus(tmp_path, train=8, validation=8, test=16)
    said = call("evaluate", stills, "ferplus", other)
    assert (said.code, len(said.error_lines)) == (2, 1)
    assert "is other data" in said.err
    said = call("evaluate", stills, "ferplus", other, "--whole")
    assert said.code == 0, said.err
    assert "NOT PROVEN" in said.err


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ("--whole", 2, "its own split holds: auto, fold 1"),
        ("--protocol random", 2, "its own split holds: auto, fold 1"),
        ("--robustness", 2, "--robustness with a bundle on FER+"),
        ("--post-process", 2, "valence"),
        ("--unit subject", 2, "subject"),
    ],
)
def test_what_a_run_on_pictures_cannot_be_asked_is_one_line(
    call: Call, stills: Path, data: Path, flags: str, code: int, message: str
) -> None:
    said = call("evaluate", stills, "ferplus", data, *flags.split())
    assert (said.code, said.out, len(said.error_lines)) == (code, "", 1)
    assert message in said.err
