from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.video.timestamps import StepStatistics, TimestampRepairer

STEP = 0.04
any_time = st.none() | st.floats(-1e6, 1e6) | st.just(math.nan)


def repair_all(times: list[float | None]) -> tuple[list[float], TimestampRepairer]:
    repairer = TimestampRepairer(nominal_step_seconds=STEP)
    return [repairer.repair(time) for time in times], repairer


@given(st.lists(any_time, max_size=60))
def test_times_always_go_up(times: list[float | None]) -> None:
    repaired, _ = repair_all(times)
    assert all(earlier < later for earlier, later in itertools.pairwise(repaired))
    assert all(math.isfinite(time) for time in repaired)


@given(st.sets(st.floats(-1e6, 1e6), max_size=60))
def test_good_times_are_not_touched(times: set[float]) -> None:
    # A set tells 0.0 and -0.0 apart no more than a clock does.
    ordered = sorted(times)
    repaired, repairer = repair_all(list(ordered))
    assert repaired == ordered
    assert repairer.notes() == []


def test_a_missing_time_takes_its_place_between_its_neighbours() -> None:
    repaired, repairer = repair_all([0.0, 0.04, None, 0.12])
    assert repaired == pytest.approx([0.0, 0.04, 0.08, 0.12])
    assert repairer.missing_count == 1
    assert "1 frame(s) state no presentation time" in repairer.notes()[0]


def test_all_missing_times_follow_the_nominal_rate_from_the_start() -> None:
    repairer = TimestampRepairer(nominal_step_seconds=STEP, start_seconds=2.0)
    assert [repairer.repair(None) for _ in range(3)] == pytest.approx([2.0, 2.04, 2.08])


def test_a_repeated_time_does_not_shift_what_follows() -> None:
    repaired, repairer = repair_all([0.0, 0.04, 0.04, 0.08, 0.07, 0.12])
    assert repaired == pytest.approx([0.0, 0.04, 0.041, 0.08, 0.081, 0.12])
    assert repairer.repeated_count == 2


def test_a_clock_that_starts_again_goes_on() -> None:
    repaired, repairer = repair_all([9.92, 9.96, 10.0, 0.0, 0.04, 0.08])
    assert repaired == pytest.approx([9.92, 9.96, 10.0, 10.04, 10.08, 10.12])
    assert (repairer.restart_count, repairer.repeated_count) == (1, 0)
    assert "starts again 1 time(s)" in repairer.notes()[0]


def test_one_stray_time_is_no_new_clock() -> None:
    repaired, repairer = repair_all([9.96, 10.0, 0.0, 10.08, 10.12])
    assert repaired == pytest.approx([9.96, 10.0, 10.04, 10.08, 10.12])
    assert (repairer.restart_count, repairer.repeated_count) == (0, 1)


def statistics_of(times: list[float]) -> StepStatistics:
    steps = StepStatistics()
    for time in times:
        steps.add(time)
    return steps


def test_a_constant_rate_rounded_to_a_coarse_clock_is_constant() -> None:
    # 15 frames a second in a GIF's hundredths: steps of 6 and 7.
    steps = statistics_of([round(index / 15, 2) for index in range(45)])
    assert not steps.is_variable(0.01)
    assert steps.is_variable(0.001)
    assert steps.mean_frames_per_second == pytest.approx(15, rel=0.01)


def test_a_paused_frame_makes_the_rate_variable() -> None:
    steps = statistics_of([0.0, 0.04, 0.08, 0.20, 0.24])
    assert steps.is_variable(1 / 12_800)
    assert steps.median_step_seconds == pytest.approx(0.04)
    assert steps.largest_step_seconds == pytest.approx(0.12)
    assert steps.largest_step_from_seconds == 0.08


def test_holes_in_a_constant_rate_are_seen() -> None:
    assert statistics_of([0.0, 0.04, 0.08, 0.20, 0.24]).has_holes
    assert not statistics_of([0.0, 0.04, 0.08, 0.12]).has_holes
    # A camera that slows down and speeds up.
    assert not statistics_of([0.0, 0.03, 0.07, 0.15, 0.19, 0.21]).has_holes


def test_one_frame_says_nothing_of_steps() -> None:
    steps = statistics_of([3.0])
    assert steps.mean_frames_per_second is None
    assert steps.median_step_seconds is None
    assert not steps.is_variable(0.001)
