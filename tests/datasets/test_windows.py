"""Windows against the definition, frame by frame."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.datasets.windows import WindowSettings, fill_unreached, find_windows, follows
from emotrace.errors import UsageError

ROW = st.tuples(
    st.sampled_from([1, 1, 1, 1, 1, 2]),  # step of the frame number
    st.booleans() | st.just(True),  # has a face
    st.booleans() | st.just(True),  # has a label
    st.sampled_from([0.04, 0.04, 0.04, 0.05, 0.5, float("nan")]),  # step in time
    st.sampled_from([0, 0, 0, 0, 1]),  # step of the sequence
)


def columns(rows: list[tuple[int, bool, bool, float, int]]) -> dict[str, np.ndarray]:
    sequence = np.cumsum([row[4] for row in rows])
    steps = np.array([row[3] for row in rows])
    times = np.cumsum(np.where(np.isnan(steps), 0.04, steps))
    return {
        "sequence": sequence,
        "frame_index": np.cumsum([row[0] for row in rows]),
        "is_input": np.array([row[1] for row in rows]),
        "is_target": np.array([row[2] for row in rows]),
        "timestamp_seconds": np.where(np.isnan(steps), np.nan, times),
    }


def windows_by_definition(table: dict[str, Any], settings: WindowSettings) -> list[tuple[int, int]]:
    count = len(table["sequence"])
    limit = settings.max_step_seconds or np.inf

    def linked(row: int) -> bool:
        return bool(
            table["sequence"][row] == table["sequence"][row - 1]
            and table["frame_index"][row] == table["frame_index"][row - 1] + 1
            and not table["timestamp_seconds"][row] - table["timestamp_seconds"][row - 1] > limit
        )

    found = []
    start = 0  # of the run of inputs
    for row in range(count):
        if (
            not table["is_input"][row]
            or row == 0
            or not table["is_input"][row - 1]
            or not linked(row)
        ):
            start = row
        first = row - settings.length + 1
        if not table["is_input"][row] or first < start or (first - start) % settings.stride:
            continue
        target = row + settings.target_offset
        if settings.target_offset and (target >= count or not linked(target)):
            continue
        if table["is_target"][target]:
            found.append((first, target))
    return found


@given(
    rows=st.lists(ROW, min_size=1, max_size=40),
    length=st.integers(1, 5),
    stride=st.integers(1, 4),
    target_offset=st.sampled_from([0, 1]),
    max_step_seconds=st.sampled_from([None, 0.1]),
)
def test_windows_are_those_of_the_definition(
    rows: list[tuple[int, bool, bool, float, int]],
    length: int,
    stride: int,
    target_offset: Literal[0, 1],
    max_step_seconds: float | None,
) -> None:
    settings = WindowSettings(
        length=length,
        stride=stride,
        target_offset=target_offset,
        max_step_factor=None,
        max_step_seconds=max_step_seconds,
    )
    table = columns(rows)
    found = find_windows(**table, settings=settings)
    assert list(zip(found.first, found.target, strict=True)) == windows_by_definition(
        table, settings
    )
    # Whatever the settings: a window's frames are consecutive and all have a face.
    for window in found.rows():
        assert table["is_input"][window].all()
        assert np.array_equal(
            table["frame_index"][window], table["frame_index"][window[0]] + np.arange(length)
        )
        assert len(set(table["sequence"][window])) == 1
    assert set(np.flatnonzero(found.reached())) == set(found.target.tolist())


def test_rangulov2020_a_window_of_w_frames_predicts_the_next_one() -> None:
    settings = WindowSettings(length=100, target_offset=1)
    found = find_windows(
        np.zeros(250, int),
        np.arange(250),
        is_input=np.arange(250) != 120,
        timestamp_seconds=np.arange(250) / 30,
        settings=settings,
    )
    # 120 frames before the gap and 129 after it, each window needing 101 of them.
    assert len(found) == 20 + 29
    assert found.target[0] == 100
    assert found.target[20] == 121 + 100


def test_a_step_far_above_the_usual_one_is_a_gap() -> None:
    times = np.cumsum([0, 0.04, 0.04, 0.014, 0.042, 0.04, 0.15, 0.04, 0.04])
    linked = follows(np.zeros(9), np.arange(9), timestamp_seconds=times)
    assert linked.tolist() == [False, True, True, True, True, True, False, True, True]
    settings = WindowSettings(max_step_factor=None)
    assert follows(np.zeros(9), np.arange(9), timestamp_seconds=times, settings=settings)[1:].all()


def test_each_sequence_has_its_own_usual_step() -> None:
    # A slow recording's ordinary steps are gaps in a fast one.
    times = np.concatenate([np.arange(5) * 0.5, np.arange(5) * 0.04, [0.66, 0.70]])
    sequence = np.array([0] * 5 + [1] * 7)
    frame = np.array([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6])
    linked = follows(sequence, frame, timestamp_seconds=times)
    assert np.flatnonzero(~linked).tolist() == [0, 5, 10]


def test_unknown_times_cut_nothing() -> None:
    linked = follows([0] * 4, range(4), timestamp_seconds=[np.nan] * 4)
    assert linked.tolist() == [False, True, True, True]
    assert len(follows([], [])) == 0


@given(
    values=st.lists(st.floats(-1, 1), min_size=1, max_size=25),
    known=st.data(),
    width=st.integers(1, 3),
)
def test_filling_against_a_search_for_the_neighbours(
    values: list[float], known: st.DataObject, width: int
) -> None:
    count = len(values)
    is_known = known.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    sequence = sorted(known.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    steps = known.draw(st.lists(st.floats(0.01, 1), min_size=count, max_size=count))
    times = np.cumsum(steps)
    table = np.outer(values, np.arange(1, width + 1))
    filled = fill_unreached(table, is_known, sequence, times)
    for row in range(count):
        mine = [at for at in range(count) if is_known[at] and sequence[at] == sequence[row]]
        before = [at for at in mine if at <= row]
        after = [at for at in mine if at >= row]
        if not mine:
            assert np.isnan(filled[row]).all()
        elif not before:
            assert filled[row] == pytest.approx(table[after[0]])
        elif not after:
            assert filled[row] == pytest.approx(table[before[-1]])
        else:
            a, b = before[-1], after[0]
            share = 0.0 if a == b else (times[row] - times[a]) / (times[b] - times[a])
            assert filled[row] == pytest.approx((1 - share) * table[a] + share * table[b])


def test_filling_keeps_sequences_that_interleave_apart() -> None:
    filled = fill_unreached(
        np.array([1.0, 10.0, 0.0, 0.0, 3.0, 30.0]),
        [True, True, False, False, True, True],
        [0, 1, 0, 1, 0, 1],
    )
    assert filled.tolist() == [1.0, 10.0, 2.0, 20.0, 3.0, 30.0]


@pytest.mark.parametrize(
    "values",
    [
        {"length": 0},
        {"stride": 0},
        {"target_offset": 2},
        {"max_step_factor": 1.0},
        {"max_step_seconds": 0.0},
    ],
)
def test_settings_that_cannot_work(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(values))):
        WindowSettings(**values)


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match="expected 3 values of is_input, one a row; got 2"):
        find_windows([0] * 3, range(3), is_input=[True] * 2)
    with pytest.raises(UsageError, match="sequence"):
        fill_unreached(np.zeros(3), [True] * 3, [0] * 2)
