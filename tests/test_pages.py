"""What the pages say is so: links lead somewhere, commands exist, Python and examples run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from emotrace.cli.app import VERBS, main
from emotrace.faces.haar import HaarDetector
from emotrace.timeline import SEGMENT_SCHEMA, SMOOTHED_FIELDS, TIMELINE_SCHEMA
from tests.conftest import REPOSITORY, load_script
from tests.test_house import makefile_goals

if TYPE_CHECKING:
    from pathlib import Path


def markdown_pages() -> list[Path]:
    folders = (REPOSITORY / name for name in ("docs", "examples"))
    deeper = sorted(path for folder in folders for path in folder.rglob("*.md"))
    return [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *deeper]


def fenced_blocks(page: Path, language: str = "") -> list[str]:
    found = re.findall(
        r"^```([a-z]*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return [body for kind, body in found if kind == language]


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads fail at once: nothing listens on the discard port."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_make_goals_that_pages_name_exist() -> None:
    named = set()
    for page in markdown_pages():
        code = fenced_blocks(page) + re.findall(r"`([^`\n]+)`", page.read_text("utf-8"))
        named |= {goal for text in code for goal in re.findall(r"\bmake ([a-z]+)", text)}
    assert {"demo", "test", "check"} <= named
    assert named <= makefile_goals()


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in markdown_pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
            if re.match(r"[a-z]+:|#", target):
                continue
            if not (page.parent / target.partition("#")[0]).exists():
                broken.append(f"{page.relative_to(REPOSITORY)}: {target}")
    assert broken == []


def test_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (REPOSITORY / "docs/images").iterdir()}
    assert sizes
    assert {name for name, size in sizes.items() if size > 200_000} == set()


def test_every_column_is_explained() -> None:
    page = (REPOSITORY / "docs" / "tables.md").read_text("utf-8")
    rows = "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))
    explained = set(re.findall(r"`(\w+)`", rows))
    fields = [*TIMELINE_SCHEMA, *SMOOTHED_FIELDS, *SEGMENT_SCHEMA]
    assert {field.name for field in fields} <= explained


def emotrace_commands() -> list[str]:
    lines = [
        line.partition("#")[0].strip()
        for page in markdown_pages()
        for block in fenced_blocks(page)
        for line in block.splitlines()
    ]
    return [line for line in lines if line.startswith("emotrace ")]


@pytest.mark.parametrize("command", sorted(set(emotrace_commands())))
def test_commands_in_pages_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = command.split()[1:]
    verb, rest = words[0], words[1:]
    assert verb in VERBS.verbs
    subverb = rest[:1] if verb in ("bundles", "datasets", "train") else []
    assert main([verb, *subverb, "--help"]) == 0
    text = capsys.readouterr().out
    known = set(re.findall(r"(?<!\w)--?[a-z][a-z-]*", text))
    assert {word for word in rest if word.startswith("-")} <= known


def python_examples() -> list[Any]:
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in (REPOSITORY / "README.md", REPOSITORY / "docs" / "python-api.md")
        for number, block in enumerate(fenced_blocks(page, "python"), start=1)
    ]


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("block", python_examples())
def test_python_in_pages_runs(
    block: str, short_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(short_clip, tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "example", "exec"), {"__name__": "example"})  # noqa: S102 -- our own pages


def test_pages_have_python_to_run() -> None:
    assert len(python_examples()) >= 8


# --- the demo's clip and the benchmark -----------------------------------------------------------


def test_the_demo_clip_is_six_seconds() -> None:
    script = load_script(REPOSITORY / "examples" / "make_demo_clip.py")
    assert sum(shot.seconds for shot in script.SHOTS) == pytest.approx(6.0)
    assert len(list(script.views(script.SHOTS))) == 150


def test_the_demo_clip_shows_a_face_then_none_then_a_face(short_clip: Path) -> None:
    with av.open(str(short_clip)) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == (640, 360)
        assert float(container.streams.audio[0].duration or 0) > 0
        frames = [
            np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            for frame in container.decode(video)
        ]
    detector = HaarDetector()
    counts = [len(detector.detect(frame)) for frame in frames]
    assert counts == [1] * 10 + [0] * 10 + [1] * 10


@pytest.mark.slow
@pytest.mark.usefixtures("_no_network")
def test_the_benchmark_measures_a_clip(short_clip: Path) -> None:
    script = REPOSITORY / "benchmarks" / "analyze_speed.py"
    done = subprocess.run(
        [sys.executable, str(script), str(short_clip), "--detectors", "haar", "--repeats", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(done.stdout.splitlines()[-1])
    (row,) = report["results"]
    assert row["frames"] == 30
    assert row["frames_per_second_warm"]["median"] > 0
    assert 0 < row["first_result_seconds"]["median"] <= row["whole_process_seconds"]["median"]
    assert str(short_clip.parent) not in done.stdout


def test_the_benchmark_takes_ratios_run_by_run(tmp_path: Path) -> None:
    script = load_script(REPOSITORY / "benchmarks" / "analyze_speed.py")
    ours = [
        {
            "frames": 9,
            "faces": 9,
            "frames_per_second_warm": speed,
            "whole_process_seconds": 2.0,
            "peak_rss_mib": 100.0,
        }
        for speed in (40.0, 60.0, 10.0)
    ]
    peers = [{**run, "frames_per_second_warm": 10.0, "peak_rss_mib": 400.0} for run in ours]
    row = script.summarize(tmp_path / "clip.mp4", "haar", ours, peers)
    assert row["clip"] == "clip.mp4"
    assert row["frames_per_second_warm"]["median"] == 40.0
    assert row["ratio_to_peer"]["frames_per_second_warm"] == {"median": 4.0, "runs": [4, 6, 1]}
    assert row["ratio_to_peer"]["peak_rss_mib"]["median"] == 0.25
