from __future__ import annotations

import numpy as np
import pytest

from emotrace.analysis.post_processing import (
    AffectPostProcessing,
    PostProcessing,
    apply_to_timeline,
)
from emotrace.analysis.tracks import face_tracks
from emotrace.errors import UsageError
from emotrace.timeline import TIMELINE_SCHEMA
from tests.analysis.timelines import array_table, make_table, probabilities_of

CHAIN = PostProcessing(rate_hz=25.0, median_seconds=0.2, bias=0.1, shift_seconds=0.2)


def rows_of(count: int, faces: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(8), (count, faces)).astype(np.float32)


def test_each_face_is_processed_for_itself_and_the_raw_columns_stay() -> None:
    times = np.arange(100) / 25.0
    table = array_table(times, rows_of(100, faces=2))
    found = apply_to_timeline(table, AffectPostProcessing(valence=CHAIN))
    assert found.select(range(len(TIMELINE_SCHEMA))).equals(table)
    assert found.column_names[-2:] == ["processed_valence", "processed_arousal"]
    for track in face_tracks(table):
        raw = table["valence"].to_numpy()[track.rows].astype(np.float64)
        expected = np.clip(CHAIN.apply(raw, rate_hz=25.0), -1, 1)
        got = found["processed_valence"].to_numpy()[track.rows]
        np.testing.assert_allclose(got, expected, atol=1e-6)
    # A dimension without a chain is copied.
    assert found["processed_arousal"].equals(table["arousal"])


def test_a_long_absence_or_a_cut_starts_afresh() -> None:
    times = np.arange(60) / 25.0
    present = np.ones(60, np.bool_)
    present[20:40] = False  # 0.8 s
    table = array_table(times, rows_of(60), present)
    both = AffectPostProcessing(valence=CHAIN)
    raw = table["valence"].to_numpy().astype(np.float64)
    found = apply_to_timeline(table, both)["processed_valence"]
    assert found.null_count == 20
    for part in (slice(0, 20), slice(40, 60)):
        expected = np.clip(CHAIN.apply(raw[part], rate_hz=25.0), -1, 1)
        np.testing.assert_allclose(found.to_numpy()[part], expected, atol=1e-6)
    bridged = apply_to_timeline(table, both, max_gap_seconds=2.0)["processed_valence"]
    assert not bridged.equals(found)
    cut = apply_to_timeline(table, both, cut_timestamps_seconds=[times[10]])["processed_valence"]
    expected = np.clip(CHAIN.apply(raw[10:20], rate_hz=25.0), -1, 1)
    np.testing.assert_allclose(cut.to_numpy()[10:20], expected, atol=1e-6)


def test_values_stay_in_the_range_of_the_columns() -> None:
    table = make_table([0.0, 0.04, 0.08], [{1: probabilities_of("happiness")}] * 3)
    big = PostProcessing(rate_hz=25.0, bias=3.0)
    found = apply_to_timeline(table, AffectPostProcessing(valence=big, arousal=big))
    assert found["processed_valence"].to_pylist() == [1.0] * 3
    assert found["processed_arousal"].to_pylist() == [1.0] * 3


def test_without_faces_the_columns_are_empty_and_twice_is_refused() -> None:
    table = make_table([0.0, 0.04], [{}, {}])
    found = apply_to_timeline(table, AffectPostProcessing(valence=CHAIN))
    assert found["processed_valence"].null_count == 2
    with pytest.raises(UsageError, match="without processed columns; got one with processed_val"):
        apply_to_timeline(found, AffectPostProcessing(valence=CHAIN))
