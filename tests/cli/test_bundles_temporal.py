"""Bundles with a memory on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from emotrace.bundle_outputs import OtherOutput
from tests.cli.conftest import write_video
from tests.temporal_bundles import recurrent_bundle, window_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Call

UNITS = OtherOutput(name="units", kind="multi_label", labels=("au_01", "au_12"), output="outputs")


def test_info_says_what_is_remembered_and_predicted(call: Call, tmp_path: Path) -> None:
    folder = recurrent_bundle(tmp_path / "made", frame_seconds=0.04, other_outputs=(UNITS,))
    said = call("bundles", "info", folder)
    assert said.code == 0
    assert "a state of 1 values for each face, a step every 40 ms" in said.out
    assert "8 x 8 px, grey" in said.out
    facts = {line.split("  ")[0]: line for line in said.out.splitlines()}
    assert facts["valence, arousal"].endswith("predicted")
    assert facts["units (from Python)"].endswith("au_01, au_12")


def test_info_as_json_gives_the_memory(call: Call, tmp_path: Path) -> None:
    folder = window_bundle(tmp_path / "made", frames=4, frame_step=2)
    value = json.loads(call("bundles", "info", folder, "--json").out)
    assert value["memory"] == {"frames": 4, "frame_seconds": None, "frame_step": 2}
    assert value["temporal"] == "window"


def test_analyze_refuses_a_prior_that_the_bundle_cannot_have(call: Call, tmp_path: Path) -> None:
    folder = recurrent_bundle(tmp_path / "made", priors={})
    video = write_video(tmp_path / "video.mp4")
    words = ("analyze", video, "-o", tmp_path / "out", "--bundle", folder)
    said = call(*words, "--prior", "uniform")
    assert said.code == 2
    assert "expected no prior for the bundle made" in said.err
    assert call(*words).code == 0
