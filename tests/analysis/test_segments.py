from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.analysis.segments import SegmentSettings, add_smoothed_columns, find_segments
from emotrace.analysis.smoothing import SmoothingSettings, smooth_centered
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS
from emotrace.timeline import SMOOTHED_FIELDS, TIMELINE_SCHEMA, Segment
from tests.analysis.timelines import (
    array_table,
    make_table,
    one_face_table,
    probabilities_of,
    tables,
)

if TYPE_CHECKING:
    import pyarrow as pa


def brief(segments: list[Segment]) -> list[tuple[str, float, float]]:
    return [(s.emotion, round(s.start_seconds, 3), round(s.end_seconds, 3)) for s in segments]


def test_known_answer() -> None:
    happy = [probabilities_of("happiness", c) for c in (0.6, 0.9, 0.6)]
    table = make_table(
        [0.0, 0.1, 0.3, 0.6, 1.0], [{1: p} for p in [*happy, *[probabilities_of("fear")] * 2]]
    )
    smile, fear = find_segments(table, smoothing=None, min_duration_seconds=0, end_seconds=1.5)
    assert (smile.emotion, smile.start_seconds, smile.end_seconds) == ("happiness", 0.0, 0.6)
    assert smile.peak_timestamp_seconds == 0.1
    assert smile.mean_confidence == pytest.approx((0.6 * 0.1 + 0.9 * 0.2 + 0.6 * 0.3) / 0.6)
    assert (fear.start_seconds, fear.end_seconds, fear.face_id) == (0.6, 1.5, 1)


def test_a_blip_goes_to_both_sides_where_they_agree() -> None:
    table = one_face_table(["neutral"] * 8 + ["anger"] * 2 + ["neutral"] * 8)
    (only,) = find_segments(table, smoothing=None)
    assert brief([only]) == [("neutral", 0.0, 1.8)]
    # The confidence is that of neutral, in the two angry frames too.
    assert only.mean_confidence == pytest.approx((16 * 0.8 + 2 * 0.2 / 7) / 18, abs=1e-6)
    assert len(find_segments(table, smoothing=None, min_duration_seconds=0)) == 3


def test_a_blip_goes_to_the_side_that_is_more_probable_in_it() -> None:
    blip = np.zeros(8, dtype=np.float32)
    blip[[EMOTIONS.index(name) for name in ("surprise", "happiness", "neutral")]] = 0.5, 0.4, 0.1
    faces = [*["neutral"] * 8, None, *["happiness"] * 8]
    table = make_table(
        [i * 0.1 for i in range(17)],
        [{1: blip if name is None else probabilities_of(name)} for name in faces],
    )
    found = find_segments(table, smoothing=None)
    assert brief(found) == [("neutral", 0.0, 0.8), ("happiness", 0.8, 1.7)]


def test_only_stretch_between_absences_stays_however_short() -> None:
    table = one_face_table([None] * 8 + ["anger"] + [None] * 8)
    assert brief(find_segments(table, smoothing=None)) == [("anger", 0.8, 0.9)]


def test_an_absence_ends_a_segment_only_when_it_is_long() -> None:
    table = one_face_table(["anger"] * 6 + [None] * 3 + ["anger"] * 6 + [None] * 8 + ["anger"] * 6)
    found = find_segments(table, smoothing=None, max_gap_seconds=0.5)
    assert brief(found) == [("anger", 0.0, 1.5), ("anger", 2.3, 2.9)]


def test_a_shot_cut_ends_a_segment_and_stops_smoothing() -> None:
    table = one_face_table(["anger"] * 10 + ["fear"] * 10)
    (whole,) = find_segments(one_face_table(["anger"] * 20), smoothing=None)
    cut = find_segments(
        one_face_table(["anger"] * 20), smoothing=None, cut_timestamps_seconds=[1.0]
    )
    assert whole.end_seconds == pytest.approx(2.0)
    assert brief(cut) == [("anger", 0.0, 1.0), ("anger", 1.0, 2.0)]
    settings_ = SmoothingSettings(window_seconds=1.0)
    blurred = add_smoothed_columns(table, settings_)["smoothed_confidence"].to_numpy()
    sharp = add_smoothed_columns(table, settings_, cut_timestamps_seconds=[1.0])
    np.testing.assert_allclose(sharp["smoothed_confidence"].to_numpy(), 0.8, atol=1e-6)
    assert blurred.min() < 0.7


def test_smoothing_removes_flicker() -> None:
    table = one_face_table(["neutral", "neutral", "anger"] * 20, step_seconds=0.04)
    raw = find_segments(table, smoothing=None, min_duration_seconds=0)
    smooth = find_segments(table, smoothing=SmoothingSettings(), min_duration_seconds=0)
    assert len(raw) == 40
    assert brief(smooth) == [("neutral", 0.0, 2.4)]


@given(
    tables(),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.sampled_from([0.0, 0.4, 5.0]),
    st.sampled_from([None, SmoothingSettings(window_seconds=0.8)]),
    st.lists(st.floats(0, 30), max_size=3),
)
@settings(deadline=None, max_examples=80)
def test_segments_tile_exactly_the_frames_with_the_face(
    table: pa.Table,
    min_duration: float,
    max_gap: float,
    smoothing: SmoothingSettings | None,
    cuts: list[float],
) -> None:
    found = find_segments(
        table,
        smoothing=smoothing,
        min_duration_seconds=min_duration,
        max_gap_seconds=max_gap,
        cut_timestamps_seconds=cuts,
        end_seconds=table["timestamp"][-1].as_py() + 1.0,
    )
    rows = [row for row in table.to_pylist() if row["face_id"] is not None]
    held: dict[int, list[dict[str, Any]]] = {id(segment): [] for segment in found}
    for row in rows:
        (segment,) = (
            s
            for s in found
            if s.face_id == row["face_id"] and s.start_seconds <= row["timestamp"] < s.end_seconds
        )
        held[id(segment)].append(row)
    for segment in found:
        own = held[id(segment)]
        times = [row["timestamp"] for row in own]
        chances = [row[segment.emotion] for row in own]
        assert times[0] == segment.start_seconds
        assert segment.peak_timestamp_seconds == times[int(np.argmax(chances))]
        assert min(chances) - 1e-6 <= segment.mean_confidence <= max(chances) + 1e-6
        assert not any(times[0] < cut <= times[-1] for cut in cuts)
    assert found == sorted(found, key=lambda s: (s.face_id, s.start_seconds))
    for before, after in itertools.pairwise(found):
        assert before.face_id < after.face_id or before.end_seconds <= after.start_seconds


@given(tables(), st.sampled_from([0.3, 1.0]))
@settings(deadline=None, max_examples=40)
def test_a_short_segment_is_left_only_where_it_has_no_neighbour(
    table: pa.Table, min_duration: float
) -> None:
    found = find_segments(
        table, smoothing=None, min_duration_seconds=min_duration, max_gap_seconds=0
    )
    for before, after in itertools.pairwise(found):
        if before.face_id == after.face_id and before.end_seconds == after.start_seconds:
            assert before.emotion != after.emotion
            assert before.end_seconds - before.start_seconds >= min_duration
            assert after.end_seconds - after.start_seconds >= min_duration


@given(tables())
@settings(deadline=None, max_examples=40)
def test_unmerged_unsmoothed_segments_are_runs_of_the_emotion_column(table: pa.Table) -> None:
    expected: list[tuple[int, str, float]] = []
    rows = table.to_pylist()
    for face_id in sorted({row["face_id"] for row in rows if row["face_id"] is not None}):
        last: tuple[int, str] | None = None
        for row in (row for row in rows if row["face_id"] == face_id):
            joins = last is not None and last == (row["frame"] - 1, row["emotion"])
            if not joins:
                expected.append((face_id, row["emotion"], row["timestamp"]))
            last = (row["frame"], row["emotion"])
    found = find_segments(table, smoothing=None, min_duration_seconds=0, max_gap_seconds=0)
    assert [(s.face_id, s.emotion, s.start_seconds) for s in found] == expected


@given(tables())
@settings(deadline=None, max_examples=30)
def test_smoothed_columns_agree_with_smoothing_each_face_alone(table: pa.Table) -> None:
    smoothed = add_smoothed_columns(
        table, SmoothingSettings(window_seconds=0.5, max_gap_seconds=1e9)
    )
    assert smoothed.schema.names == [*TIMELINE_SCHEMA.names, *(f.name for f in SMOOTHED_FIELDS)]
    assert smoothed.select(TIMELINE_SCHEMA.names).equals(table)
    frame = smoothed.to_pandas()
    assert frame.loc[frame.face_id.isna(), "smoothed_emotion"].isna().all()
    for _, rows in frame[frame.face_id.notna()].groupby("face_id"):
        expected = smooth_centered(
            rows.timestamp.to_numpy(), rows[list(EMOTIONS)].to_numpy(np.float64), 0.5
        )
        np.testing.assert_allclose(rows.smoothed_confidence, expected.max(axis=1), atol=1e-6)
        assert rows.smoothed_emotion.tolist() == [EMOTIONS[i] for i in expected.argmax(axis=1)]


def test_smoothed_columns_are_replaced_not_repeated() -> None:
    once = add_smoothed_columns(one_face_table(["anger", "fear"]), SmoothingSettings())
    twice = add_smoothed_columns(once, SmoothingSettings())
    assert twice.equals(once)
    empty = add_smoothed_columns(one_face_table([None, None]), SmoothingSettings())
    assert empty["smoothed_emotion"].null_count == 2


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(UsageError, match="min_duration_seconds of at least 0; got -1"):
        find_segments(one_face_table(["anger"]), smoothing=None, min_duration_seconds=-1)
    with pytest.raises(UsageError, match="max_gap_seconds of at least 0; got nan"):
        SegmentSettings(max_gap_seconds=float("nan"))


def test_no_face_no_segments() -> None:
    assert find_segments(one_face_table([None] * 3), smoothing=None) == []
    assert find_segments(TIMELINE_SCHEMA.empty_table(), smoothing=None) == []


@pytest.mark.slow
def test_an_hour_with_three_flickering_faces_takes_seconds() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(8, 0.5), size=(100_000, 3))
    table = array_table(np.arange(100_000) / 27.8, probabilities)
    started = time.process_time()
    segments = find_segments(table, smoothing=None)
    add_smoothed_columns(table, SmoothingSettings())
    # Pure noise (260,000 stretches) takes 2 to 4 s on one core; the bound catches a quadratic.
    assert time.process_time() - started < 20
    assert len(segments) > 1000
