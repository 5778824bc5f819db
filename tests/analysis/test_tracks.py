from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from emotrace.analysis.tracks import (
    face_tracks,
    frame_intervals,
    run_starts,
    timeline_end_seconds,
)
from emotrace.errors import UsageError
from emotrace.timeline import TIMELINE_SCHEMA
from tests.analysis.timelines import (
    make_facts,
    make_table,
    one_face_table,
    probabilities_of,
    tables,
)

HAPPY = probabilities_of("happiness")


def test_a_frame_lasts_until_the_next_one_whether_that_has_a_face_or_not() -> None:
    table = make_table([0.0, 0.1, 0.4, 0.5], [{1: HAPPY, 2: HAPPY}, {}, {1: HAPPY}, {}])
    starts, ends = frame_intervals(table, end_seconds=0.7)
    assert starts.tolist() == [0.0, 0.0, 0.1, 0.4, 0.5]
    assert ends.tolist() == [0.1, 0.1, 0.4, 0.5, 0.7]


def test_without_a_known_end_the_last_frame_is_as_long_as_the_median_one() -> None:
    table = make_table([0.0, 0.1, 0.2, 0.6], [{}, {}, {}, {}])
    assert frame_intervals(table)[1][-1] == pytest.approx(0.7)
    assert frame_intervals(make_table([3.0], [{}]))[1].tolist() == [3.0]


def test_the_end_of_a_timeline_counts_from_its_first_frame() -> None:
    table = make_table([0.5, 0.6], [{}, {}])
    assert timeline_end_seconds(table, make_facts(frame_count=2, duration_seconds=0.2)) == 0.7
    # Without the noise of a sum: 0.72 + 0.08 is 0.7999999999999999.
    table = make_table([0.72, 0.76], [{}, {}])
    assert timeline_end_seconds(table, make_facts(frame_count=2, duration_seconds=0.08)) == 0.8
    empty = TIMELINE_SCHEMA.empty_table()
    assert timeline_end_seconds(empty, make_facts(frame_count=0, duration_seconds=0)) == 0.0


def test_weights_of_a_still_image_are_equal() -> None:
    (track,) = face_tracks(make_table([0.0], [{1: HAPPY}]))
    assert track.duration_seconds.tolist() == [0.0]
    assert track.weights.tolist() == [1.0]


@given(tables())
@settings(max_examples=40, deadline=None)
def test_tracks_agree_with_a_plain_loop_over_rows(table: pa.Table) -> None:
    rows = table.to_pylist()
    times = sorted({row["timestamp"] for row in rows})
    next_time = dict(zip(times, [*times[1:], times[-1] + 1.0], strict=True))
    expected: dict[int, list[tuple[int, float, float]]] = {}
    for position, row in enumerate(rows):
        if row["face_id"] is not None:
            entry = (position, row["timestamp"], next_time[row["timestamp"]])
            expected.setdefault(row["face_id"], []).append(entry)
    tracks = face_tracks(table, end_seconds=times[-1] + 1.0)
    got = {
        track.face_id: list(
            zip(
                track.rows.tolist(),
                track.start_seconds.tolist(),
                track.end_seconds.tolist(),
                strict=True,
            )
        )
        for track in tracks
    }
    assert got == expected
    assert [track.face_id for track in tracks] == sorted(expected)
    for track in tracks:
        assert track.weights.sum() == pytest.approx(1.0)
        names = [rows[row]["emotion"] for row in track.rows]
        tops = track.probabilities.max(axis=1)
        raw = [rows[row][name] for row, name in zip(track.rows, names, strict=True)]
        assert tops.tolist() == raw


def test_a_run_ends_at_a_long_absence_and_at_a_cut() -> None:
    table = one_face_table(["anger", "anger", None, "anger", None, None, None, "anger", "anger"])
    (track,) = face_tracks(table)
    starts = run_starts(track, max_gap_seconds=0.15)
    assert starts.tolist() == [True, False, False, True, False]
    with_cut = run_starts(track, max_gap_seconds=10, cut_timestamps_seconds=[0.3])
    assert with_cut.tolist() == [True, False, True, False, False]
    none_bridged = run_starts(track, max_gap_seconds=0)
    assert none_bridged.tolist() == [True, False, True, True, False]


def test_rows_out_of_order_are_refused() -> None:
    table = make_table([0.0, 0.1, 0.2], [{}, {}, {}]).take([0, 2, 1])
    with pytest.raises(UsageError, match=r"got frame 1 at 0.1 s after frame 2 at 0.2 s \(row 2\)"):
        face_tracks(table)
    standing = make_table([0.0, 0.0], [{}, {}])
    with pytest.raises(UsageError, match="rising times"):
        face_tracks(standing)


def test_a_face_twice_in_a_frame_is_refused() -> None:
    table = make_table([0.0, 0.1], [{1: HAPPY}, {1: HAPPY}])
    with pytest.raises(UsageError, match="got face 1 twice in frame 1"):
        face_tracks(table.take([0, 1, 1]))


def test_a_face_without_probabilities_is_refused() -> None:
    table = make_table([0.0, 0.1], [{1: HAPPY}, {1: HAPPY}])
    fear = table.schema.get_field_index("fear")
    holed = table.set_column(
        fear, table.schema.field(fear), pa.array(np.array([0.1, np.nan], dtype=np.float32))
    )
    with pytest.raises(UsageError, match="an empty one for face 1 in frame 1"):
        face_tracks(holed)
