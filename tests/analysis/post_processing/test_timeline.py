from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emotrace.analysis.post_processing import (
    AffectPostProcessing,
    PostProcessing,
    apply_to_timeline,
    fill_timeline,
)
from emotrace.analysis.post_processing.timeline import note_post_processing
from emotrace.analysis.tracks import face_tracks
from emotrace.errors import UsageError
from emotrace.timeline import FILLED_SCHEMA, TIMELINE_SCHEMA
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


def test_a_summary_says_what_was_done_and_how_far_it_looks_ahead() -> None:
    table = make_table([0.0, 0.04], [{1: probabilities_of("happiness")}] * 2)
    late = PostProcessing(rate_hz=25.0, median_seconds=0.2, bias=0.1)
    for chain, ahead in ((late, 0.08), (CHAIN, 0.0)):
        both = AffectPostProcessing(valence=chain, fitted_on="somebody's predictions")
        summary: dict[str, Any] = {"notices": []}
        note_post_processing(summary, apply_to_timeline(table, both), both)
        said = summary["post_processing"]
        assert said["look_ahead_seconds"] == pytest.approx(ahead)
        assert said["is_causal"] is (ahead == 0)
        assert (said["fitted_on"], said["arousal"]) == ("somebody's predictions", None)
        assert said["valence"]["bias"] == 0.1
        word = "look up to 0.08 s ahead" if ahead else "causal"
        assert word in summary["notices"][0]
        # The table's values are derived: no chain was fitted on such.
        assert "do not trust 'processed_*'" in summary["notices"][1]


# --- without gaps --------------------------------------------------------------------------------


def test_a_face_has_values_in_each_frame_from_its_first_to_its_last() -> None:
    """Two faces: one is away in frame 1 and 2, the other comes in frame 2, leaves after 3."""
    happy, sad = probabilities_of("happiness"), probabilities_of("sadness")
    times = [0.0, 0.1, 0.3, 0.4, 0.5]
    table = make_table(times, [{1: happy}, {}, {2: sad}, {1: sad, 2: sad}, {}])
    found = fill_timeline(table)
    assert found.schema == FILLED_SCHEMA
    keys = list(zip(found["frame"].to_pylist(), found["face_id"].to_pylist(), strict=True))
    assert keys == [(0, 1), (1, 1), (2, 1), (2, 2), (3, 1), (3, 2)]
    assert found["is_filled"].to_pylist() == [False, True, True, False, False, False]
    raw = {
        (frame, face): value
        for frame, face, value in zip(
            *(table[name].to_pylist() for name in ("frame", "face_id", "valence")), strict=True
        )
    }
    first, last = raw[0, 1], raw[3, 1]
    # In true time: frame 1 is a quarter of the way, frame 2 three quarters.
    expected = [first, first + (last - first) / 4, first + 3 * (last - first) / 4]
    got = found["valence"].to_pylist()
    assert got[:3] == pytest.approx(expected)
    assert got[3] == raw[2, 2]


def test_gaps_are_not_filled_across_a_shot_cut_and_processed_values_are_filled_too() -> None:
    times = np.arange(60) / 25.0
    present = np.ones(60, np.bool_)
    present[20:40] = False
    table = array_table(times, rows_of(60), present)
    whole = apply_to_timeline(table, AffectPostProcessing(valence=CHAIN))
    found = fill_timeline(whole)
    assert found.column_names[-2:] == ["processed_valence", "processed_arousal"]
    assert found.num_rows == 60
    assert found["processed_valence"].null_count == 0
    processed = whole["processed_valence"].to_numpy()
    middle = found["processed_valence"].to_numpy()[20:40]
    line = np.interp(times[20:40], [times[19], times[40]], [processed[19], processed[40]])
    np.testing.assert_allclose(middle, line, atol=1e-6)
    cut = fill_timeline(table, cut_timestamps_seconds=[times[30]])
    assert cut.num_rows == 40
    assert not any(cut["is_filled"].to_pylist())
    assert fill_timeline(make_table([0.0, 0.04], [{}, {}])).num_rows == 0
