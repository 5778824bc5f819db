from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace import AnalysisSettings, Timeline, analyze_video
from emotrace.analysis.baseline import (
    NEUTRAL,
    BaselineSettings,
    add_adjusted_columns,
    adjusted_tracks,
    estimate_baselines,
    note_baselines,
    subtract_baseline,
)
from emotrace.analysis.segments import add_smoothed_columns, find_segments
from emotrace.analysis.smoothing import SmoothingSettings
from emotrace.analysis.tracks import face_tracks
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS
from emotrace.timeline import ADJUSTED_FIELDS, SMOOTHED_FIELDS, TIMELINE_SCHEMA
from tests.analysis.media import write_clip
from tests.analysis.test_pipeline import BoxDetector
from tests.analysis.timelines import array_table, make_table, probabilities_of, tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

RATE = 10
STATED = BaselineSettings(reference_seconds=(0.0, 2.0))


def mixture(**shares: float) -> np.ndarray:
    """`(8,)`: the named probabilities, the rest shared equally."""
    values = np.full(8, (1 - sum(shares.values())) / (8 - len(shares)), np.float32)
    for name, share in shares.items():
        values[EMOTIONS.index(name)] = share
    return values


SAD_REST = mixture(sadness=0.6, neutral=0.3)
CALM_REST = mixture(neutral=0.8)
SMILE = mixture(happiness=0.9, neutral=0.05)
SORROW = mixture(sadness=0.95, neutral=0.02)


def one_face(*stretches: tuple[np.ndarray, float]) -> pa.Table:
    rows = np.concatenate(
        [np.repeat(row[None], round(seconds * RATE), axis=0) for row, seconds in stretches]
    )
    return array_table(np.arange(len(rows)) / RATE, rows[:, None])


def adjusted(table: pa.Table, how: BaselineSettings) -> pa.Table:
    return add_adjusted_columns(table, estimate_baselines(table, how))


def labels(table: pa.Table) -> list[str]:
    names: list[str] = table["adjusted_emotion"].to_pylist()
    return names


def test_a_face_that_rests_sad_is_neutral_at_rest_and_shows_what_it_shows() -> None:
    table = one_face((SAD_REST, 3), (SMILE, 2), (SORROW, 2), (SAD_REST, 3))
    got = labels(adjusted(table, STATED))
    assert got == ["neutral"] * 30 + ["happiness"] * 20 + ["sadness"] * 20 + ["neutral"] * 30


def test_known_answer() -> None:
    (one,) = estimate_baselines(one_face((SAD_REST, 4)), STATED).values()
    # The advantage of sadness and the wanted lead of 2, two thirds of it for 2 s against 1 s.
    expected = (math.log(0.6 / 0.3) + math.log(2)) * 2 / 3
    assert one.shift[EMOTIONS.index("sadness")] == pytest.approx(expected, abs=1e-6)
    assert np.count_nonzero(one.shift) == 1
    assert one.rest_seconds == pytest.approx(2.0)
    assert one.stretches_seconds == ((0.0, 2.0),)
    assert one.resting_probabilities is not None
    np.testing.assert_allclose(one.resting_probabilities, SAD_REST, atol=1e-6)


def test_more_rest_makes_neutral_lead_by_the_factor_asked_for() -> None:
    table = one_face((SAD_REST, 300))
    how = BaselineSettings(reference_seconds=(0, 300), lead=3.0)
    row = adjusted(table, how)
    ratio = row["adjusted_neutral"][0].as_py() / row["adjusted_sadness"][0].as_py()
    assert ratio == pytest.approx(3.0, rel=0.03)


def test_a_face_that_rests_neutral_is_left_as_it_is() -> None:
    table = one_face((CALM_REST, 6), (SMILE, 6))
    for how in (STATED, BaselineSettings()):
        got = adjusted(table, how)
        for name in EMOTIONS:
            assert got[f"adjusted_{name}"].to_pylist() == table[name].to_pylist()
        assert got["adjusted_emotion"].to_pylist() == table["emotion"].to_pylist()


def test_without_known_seconds_the_most_neutral_quarter_is_taken() -> None:
    table = one_face((SORROW, 6), (SAD_REST, 3), (SMILE, 3))
    (one,) = estimate_baselines(table, BaselineSettings()).values()
    assert one.rest_seconds == pytest.approx(3.0, abs=0.11)
    ((start, end),) = one.stretches_seconds
    # The smoothing may move the edges by half a window.
    assert start == pytest.approx(6.0, abs=0.26)
    assert end == pytest.approx(9.0, abs=0.26)
    got = labels(adjusted(table, BaselineSettings()))
    assert got[65:85] == ["neutral"] * 20
    assert got[:55] == ["sadness"] * 55


def test_no_expression_is_held_down_by_more_than_the_limit() -> None:
    table = one_face((mixture(sadness=0.99), 20))
    (one,) = estimate_baselines(table, BaselineSettings(max_shift=1.5)).values()
    assert 0 < one.shift.max() <= 1.5
    assert set(labels(adjusted(table, BaselineSettings(max_shift=1.5)))) == {"sadness"}


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (BaselineSettings(), "seen for 5.0 s, less than 10 s"),
        (BaselineSettings(reference_seconds=(7, 8)), "not seen from 7 to 8 s"),
    ],
)
def test_a_face_without_an_estimate_stays_and_says_why(how: BaselineSettings, reason: str) -> None:
    table = one_face((SAD_REST, 5))
    (one,) = estimate_baselines(table, how).values()
    assert (one.reason, one.stretches_seconds, one.resting_probabilities) == (reason, (), None)
    assert set(labels(adjusted(table, how))) == {"sadness"}


def test_each_face_has_its_own() -> None:
    rows = np.stack([np.repeat(row[None], 40, axis=0) for row in (SAD_REST, CALM_REST)], axis=1)
    table = array_table(np.arange(40) / RATE, rows)
    sad, calm = estimate_baselines(table, STATED).values()
    assert np.any(sad.shift)
    assert not np.any(calm.shift)


def test_frames_weigh_as_long_as_they_are_on_screen() -> None:
    times = [0.0, 1.0, 1.1, 1.2]
    table = make_table(times, [{1: SAD_REST}, *[{1: CALM_REST}] * 3])
    (one,) = estimate_baselines(table, BaselineSettings(reference_seconds=(0, 1.2))).values()
    assert one.resting_probabilities is not None
    logs = (np.log(SAD_REST) * 1.0 + np.log(CALM_REST) * 0.2) / 1.2
    expected = np.exp(logs) / np.exp(logs).sum()
    np.testing.assert_allclose(one.resting_probabilities, expected, atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(tables(), st.booleans(), st.floats(0.1, 10), st.floats(0, 5))
def test_raw_columns_stay_and_neutral_never_loses(
    table: pa.Table, is_stated: bool, lead: float, most: float
) -> None:
    how = BaselineSettings(
        reference_seconds=(0, 3.0) if is_stated else None,
        min_face_seconds=0,
        lead=lead,
        max_shift=most,
    )
    got = adjusted(table, how)
    assert got.select(table.column_names).equals(table)
    assert got.column_names == [*TIMELINE_SCHEMA.names, *(f.name for f in ADJUSTED_FIELDS)]
    for before, after in zip(face_tracks(table), adjusted_tracks(got), strict=True):
        np.testing.assert_allclose(after.probabilities.sum(axis=1), 1, atol=1e-5)
        assert (after.probabilities >= 0).all()
        gain = after.probabilities[:, NEUTRAL] - before.probabilities[:, NEUTRAL]
        assert gain.min() >= -1e-6


def test_smoothed_columns_and_segments_follow_and_come_last() -> None:
    table = adjusted(one_face((SAD_REST, 3), (SMILE, 2)), STATED)
    smoothed = add_smoothed_columns(table, SmoothingSettings())
    assert smoothed.column_names[-2:] == [field.name for field in SMOOTHED_FIELDS]
    assert smoothed["smoothed_emotion"].to_pylist()[:20] == ["neutral"] * 20
    found = find_segments(table, smoothing=None)
    assert [segment.emotion for segment in found] == ["neutral", "happiness"]
    rest = table["adjusted_neutral"][0].as_py()
    assert found[0].mean_confidence == pytest.approx(rest, abs=1e-5)


def test_smoothed_columns_of_other_probabilities_are_dropped() -> None:
    table = add_smoothed_columns(one_face((SAD_REST, 3)), SmoothingSettings())
    got = adjusted(table, STATED)
    assert not {field.name for field in SMOOTHED_FIELDS} & set(got.column_names)
    assert adjusted(got, STATED).equals(got)


def test_a_neutral_recording_of_the_same_person_serves_another_video() -> None:
    neutral = estimate_baselines(one_face((SAD_REST, 3)), STATED)
    got = add_adjusted_columns(one_face((SAD_REST, 1), (SMILE, 1)), neutral)
    assert labels(got) == ["neutral"] * 10 + ["happiness"] * 10


def test_the_summary_says_what_was_taken_out_and_from_when() -> None:
    table = one_face((SAD_REST, 3), (SMILE, 1))
    baselines = estimate_baselines(table, STATED)
    summary: dict[str, Any] = {"faces": [{"face_id": 1}], "notices": ["one before"]}
    note_baselines(summary, add_adjusted_columns(table, baselines), baselines)
    said: Mapping[str, Any] = summary["faces"][0]["baseline"]
    assert said["is_adjusted"]
    assert said["longest_stretches_seconds"] == [[0.0, 2.0]]
    assert said["resting_probabilities"]["sadness"] == pytest.approx(0.6, abs=1e-6)
    assert said["taken_from_log_probabilities"]["neutral"] == 0
    assert said["adjusted_emotion_time_shares"]["neutral"] == pytest.approx(0.75)
    assert summary["notices"][0] == "one before"
    assert "changes 1 of 1 faces" in summary["notices"][1]


def test_rows_are_returned_where_there_is_nothing_to_take() -> None:
    rows = np.array([probabilities_of("fear"), SMILE], np.float64)
    np.testing.assert_array_equal(subtract_baseline(rows, np.zeros(8)), rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference_seconds": (3.0, 2.0)}, "START before END; got 3 2"),
        ({"reference_seconds": (-1.0, 2.0)}, "from 0 on"),
        ({"reference_seconds": (0.0, math.nan)}, "seconds of rest"),
        ({"rest_share": 0.0}, "rest_share"),
        ({"lead": 0.0}, "lead"),
        ({"max_shift": -1.0}, "max_shift"),
        ({"shrink_seconds": math.inf}, "shrink_seconds"),
        ({"min_face_seconds": -1.0}, "min_face_seconds"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BaselineSettings(**changes)


def test_it_is_off_by_default_and_on_when_asked(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=12)
    detector = BoxDetector((20, 20, 60, 60))
    # The pictures here show no face: the default bundle would leave them out.
    plain = analyze_video(clip, detector=detector, settings=AnalysisSettings(keep_rejected=True))
    assert plain.summary["settings"]["baseline"] is None
    assert "baseline" not in plain.summary["faces"][0]
    how = AnalysisSettings(
        baseline=BaselineSettings(reference_seconds=(0.0, 0.5)), keep_rejected=True
    )
    timeline = analyze_video(clip, detector=detector, settings=how)
    assert timeline.table.select(TIMELINE_SCHEMA.names).equals(
        plain.table.select(TIMELINE_SCHEMA.names)
    )
    assert timeline.summary["settings"]["baseline"]["reference_seconds"] == [0.0, 0.5]
    assert timeline.summary["faces"][0]["baseline"]["rest_seconds"] == pytest.approx(0.5)
    loaded = Timeline.load(timeline.save(tmp_path / "saved", csv=True))
    assert loaded.segments() == timeline.segments()
    assert loaded.table.equals(timeline.table)
