"""The yardsticks of the benchmarks on smoothing, baseline and levelling, on known answers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from emotrace.analysis.tracks import face_tracks
from emotrace.labels import EMOTIONS
from tests.analysis.timelines import one_face_table
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_an_act_is_half_shown_where_it_begins_and_ends(benchmarks: None) -> None:
    act = load("scripted_faces").Act(
        emotion="fear", start_seconds=2.0, duration_seconds=0.5, peak=0.8
    )
    assert [act.strength(t) for t in (2.0, 2.5)] == pytest.approx([0.4, 0.4])
    assert act.strength(2.25) == pytest.approx(0.8)
    assert act.strength(1.7) == act.strength(2.8) == 0


def test_a_scripted_clip_shows_what_its_script_says(benchmarks: None) -> None:
    scripted = load("scripted_faces")
    act = scripted.Act(emotion="surprise", start_seconds=0.4, duration_seconds=0.4, peak=1.0)
    clip = scripted.make_scripted_clip("a", 3, [act], seconds=1.2)
    shown = [frame.faces[0].intensity for frame in clip.frames()]
    assert len(shown) == 30
    assert shown == pytest.approx([act.strength(i / 25) for i in range(30)])


def test_smoothing_is_scored_by_misses_flips_and_delay(benchmarks: None) -> None:
    script = load("smoothing_on_clips")
    acts = [
        script.Act(emotion="fear", start_seconds=2.0, duration_seconds=0.5, peak=1.0),
        script.Act(emotion="fear", start_seconds=5.0, duration_seconds=2.0, peak=1.0),
    ]
    said = ["neutral"] * 52 + ["fear"] * 20 + ["neutral"] * 28
    (track,) = face_tracks(one_face_table(said))
    clip = script.Scripted(
        track=track,
        acts=acts,
        rest_label=EMOTIONS.index("neutral"),
        act_label=EMOTIONS.index("fear"),
    )
    row = script.score_scripted([clip], script.Smoothing(kind="raw"))
    assert row["missed"]["0.5"] == 1.0
    assert row["missed"]["2.0"] == 0.0
    assert row["flips_per_minute"] == pytest.approx(12)
    assert row["onset_delay_seconds"] == pytest.approx(0.2)
    assert row["agreement"] == pytest.approx(1 - (5 + 2 + 2) / 100)


def test_the_rule_takes_the_strongest_that_keeps_short_expressions(benchmarks: None) -> None:
    script = load("smoothing_on_clips")
    table = (("raw", 0, 0.90, 0.04), ("centred", 0.2, 0.95, 0.05), ("centred", 0.5, 0.948, 0.09))
    rows = [
        {"smoothing": kind, "seconds": seconds, "agreement": agreement, "missed": {"0.5": missed}}
        for kind, seconds, agreement, missed in (*table, ("centred", 1.0, 0.96, 0.3))
    ]
    rows[-1]["agreement"] = 0.94
    assert script.choose(rows, "centred")["seconds"] == 0.5
    assert script.choose([*rows, rows[-1] | {"smoothing": "causal"}], "causal")["seconds"] == 1.0
    rows[2]["missed"] = {"0.5": 0.10}
    assert script.choose(rows, "centred")["seconds"] == 0.2


def test_pictures_are_turned_clockwise(benchmarks: None) -> None:
    level_crop = load("level_crop")
    grey = np.zeros((48, 48), np.uint8)
    grey[22:26, 8:40] = 255
    picture, side = level_crop.turned(grey, 20.0)
    assert side == 48 * level_crop.ENLARGEMENT
    y, x = np.nonzero(picture[..., 0] > 127)
    slope = np.polyfit(x, y, 1)[0]
    # y points down: a clockwise turn makes a level line fall to the right.
    assert np.degrees(np.arctan(slope)) == pytest.approx(20, abs=1.5)
    middle = picture.shape[0] / 2
    assert cv2.moments(picture[..., 0])["m10"] / cv2.moments(picture[..., 0])["m00"] == (
        pytest.approx(middle, abs=1)
    )
