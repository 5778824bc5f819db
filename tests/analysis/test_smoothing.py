from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.analysis.smoothing import CausalSmoother, SmoothingSettings, smooth_centered
from emotrace.errors import UsageError


def smooth_by_brute_force(
    times: np.ndarray, values: np.ndarray, window: float, max_gap: float
) -> np.ndarray:
    """The same mean, frame by frame, from the overlap of the window with each sample's cell."""
    count = len(times)
    run = [0]
    for i in range(1, count):
        run.append(run[-1] + int(times[i] - times[i - 1] > max_gap))
    result = np.empty_like(values)
    for i in range(count):
        members = [j for j in range(count) if run[j] == run[i]]
        if len(members) == 1:
            result[i] = values[i]
            continue
        weighted = np.zeros(values.shape[1])
        total = 0.0
        for position, j in enumerate(members):
            before = (times[j] - times[members[position - 1]]) / 2 if position > 0 else None
            after = (
                (times[members[position + 1]] - times[j]) / 2
                if position + 1 < len(members)
                else None
            )
            left = times[j] - (before if before is not None else after)
            right = times[j] + (after if after is not None else before)
            overlap = min(right, times[i] + window / 2) - max(left, times[i] - window / 2)
            if overlap > 0:
                weighted += overlap * values[j]
                total += overlap
        result[i] = weighted / total
    return result


@st.composite
def irregular_samples(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    steps = draw(st.lists(st.integers(5, 900), min_size=1, max_size=40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    times = draw(st.floats(-10, 10_000)) + np.cumsum(steps) / 1000
    return times, rng.dirichlet(np.full(8, 0.5), size=len(steps))


@given(irregular_samples(), st.floats(0.01, 3.0), st.sampled_from([0.2, 0.6, math.inf]))
@settings(deadline=None)
def test_agrees_with_brute_force_and_keeps_rows_summing_to_one(
    samples: tuple[np.ndarray, np.ndarray], window: float, max_gap: float
) -> None:
    times, values = samples
    smoothed = smooth_centered(times, values, window, max_gap_seconds=max_gap)
    expected = smooth_by_brute_force(times, values, window, max_gap)
    np.testing.assert_allclose(smoothed, expected, atol=1e-7)
    np.testing.assert_allclose(smoothed.sum(axis=1), 1.0, atol=1e-9)
    assert (smoothed >= 0).all()


@given(irregular_samples(), st.floats(0.01, 3.0))
@settings(deadline=None)
def test_a_constant_stays(samples: tuple[np.ndarray, np.ndarray], window: float) -> None:
    times, values = samples
    constant = np.broadcast_to(values[0], values.shape)
    np.testing.assert_allclose(smooth_centered(times, constant, window), constant, atol=1e-9)


def test_a_ramp_is_not_delayed_inside_a_regular_run() -> None:
    times = np.arange(0, 4, 0.04)
    ramp = times[:, None] * np.array([[1.0, -1.0]])
    smoothed = smooth_centered(times, ramp, 0.5)
    np.testing.assert_allclose(smoothed[10:-10], ramp[10:-10], atol=1e-9)


def test_a_densely_sampled_stretch_weighs_no_more_than_its_time() -> None:
    # One second each of 0 and 1, the second sampled ten times as densely.
    times = np.concatenate([np.arange(0, 1, 0.1) + 0.05, np.arange(1, 2, 0.01) + 0.005])
    values = (times > 1).astype(float)[:, None]
    middle = int(np.argmin(np.abs(times - 1.0)))
    smoothed = smooth_centered(times, values, 100.0)[middle, 0]
    assert smoothed == pytest.approx(0.5, abs=0.02)
    assert values.mean() == pytest.approx(10 / 11)  # what a mean over frames would have said


def test_a_gap_is_not_crossed() -> None:
    times = np.array([0.0, 0.1, 0.2, 1.0, 1.1, 1.2])
    values = np.array([0.0, 0, 0, 1, 1, 1])[:, None]
    across = smooth_centered(times, values, 2.0, max_gap_seconds=0.9)
    apart = smooth_centered(times, values, 2.0, max_gap_seconds=0.5)
    assert 0 < across[2, 0] < across[3, 0] < 1
    np.testing.assert_array_equal(apart, values)


def test_a_window_shorter_than_a_frame_changes_nothing() -> None:
    times = np.arange(20) / 25
    values = np.random.default_rng(3).dirichlet(np.ones(8), size=20)
    np.testing.assert_allclose(smooth_centered(times, values, 0.02), values, atol=1e-12)


def test_nothing_in_nothing_out() -> None:
    assert smooth_centered(np.zeros(0), np.zeros((0, 8)), 0.5).shape == (0, 8)


def test_wrong_input_is_refused() -> None:
    two = np.zeros((2, 8))
    with pytest.raises(UsageError, match=r"got 0\.0 s after 0\.0 s"):
        smooth_centered(np.zeros(2), two, 0.5)
    with pytest.raises(UsageError, match=r"got \(3,\) and \(2, 8\)"):
        smooth_centered(np.arange(3.0), two, 0.5)
    with pytest.raises(UsageError, match="window_seconds above 0; got 0"):
        smooth_centered(np.arange(2.0), two, 0)
    with pytest.raises(UsageError, match="window_seconds above 0; got nan"):
        SmoothingSettings(window_seconds=math.nan)
    with pytest.raises(UsageError, match="max_gap_seconds of at least 0; got -1"):
        SmoothingSettings(max_gap_seconds=-1)


def run_causally(smoother: CausalSmoother, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.array([smoother.update(1, float(t), v) for t, v in zip(times, values, strict=True)])


def test_causal_step_response_does_not_depend_on_the_frame_rate() -> None:
    for rate in (10, 20, 100):
        times = np.arange(0, 2.0001, 1 / rate)
        step = (times > 0).astype(float)[:, None]
        response = run_causally(CausalSmoother(time_constant_seconds=0.5), times, step)
        at_half_a_second = response[round(0.5 * rate), 0]
        assert at_half_a_second == pytest.approx(1 - math.exp(-1), abs=1e-9)


def test_causal_delay_of_a_slow_change_is_what_it_states() -> None:
    smoother = CausalSmoother(time_constant_seconds=0.25, max_gap_seconds=1)
    times = np.arange(0, 20, 0.005)
    lag = times[-1] - run_causally(smoother, times, times[:, None])[-1, 0]
    assert lag == pytest.approx(smoother.delay_seconds, rel=0.02)
    assert lag <= smoother.delay_seconds


@given(irregular_samples())
@settings(deadline=None)
def test_causal_output_stays_a_distribution_and_ignores_the_future(
    samples: tuple[np.ndarray, np.ndarray],
) -> None:
    times, values = samples
    whole = run_causally(CausalSmoother(), times, values)
    half = len(times) // 2
    part = run_causally(CausalSmoother(), times[:half], values[:half])
    np.testing.assert_array_equal(whole[:half], part.reshape(half, 8))
    np.testing.assert_allclose(whole.sum(axis=1), 1.0, atol=1e-9)


def test_faces_do_not_mix_and_a_long_absence_starts_afresh() -> None:
    smoother = CausalSmoother(time_constant_seconds=1.0, max_gap_seconds=0.5)
    smoother.update(1, 0.0, np.array([1.0, 0.0]))
    np.testing.assert_array_equal(smoother.update(2, 0.1, np.array([0.0, 1.0])), [0.0, 1.0])
    assert smoother.update(1, 0.4, np.array([0.0, 1.0]))[0] == pytest.approx(math.exp(-0.4))
    np.testing.assert_array_equal(smoother.update(1, 1.0, np.array([0.0, 1.0])), [0.0, 1.0])
    with pytest.raises(UsageError, match=r"after 1.0 s for face 1; got 1.0 s"):
        smoother.update(1, 1.0, np.array([0.0, 1.0]))


def test_memory_does_not_grow_with_the_number_of_faces_seen() -> None:
    smoother = CausalSmoother(max_gap_seconds=0.5)
    for face_id in range(200):
        smoother.update(face_id, face_id * 1.0, np.ones(8) / 8)
    assert len(smoother._states) == 1
