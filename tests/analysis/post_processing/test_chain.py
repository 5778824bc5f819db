from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.analysis.post_processing import PostProcessing
from emotrace.analysis.post_processing.chain import shift_forward, window_samples
from emotrace.errors import UsageError

ndimage = pytest.importorskip("scipy.ndimage")

WHOLE = PostProcessing(
    rate_hz=25.0, median_seconds=0.2, bias=0.1, scale=2.0, scale_about=0.3, shift_seconds=0.4
)


def by_hand(series: np.ndarray, size: int, shift: int) -> np.ndarray:
    values = ndimage.median_filter(series, size, mode="reflect") + 0.1
    values = 0.3 + 2.0 * (values - 0.3)
    return np.concatenate([np.full(shift, values[0]), values])[: len(values)]


def test_the_steps_follow_the_papers_order() -> None:
    series = np.random.default_rng(0).normal(size=200)
    np.testing.assert_allclose(WHOLE.apply(series, rate_hz=25.0), by_hand(series, 5, 10))


def test_windows_and_shifts_are_kept_in_seconds_at_any_rate() -> None:
    series = np.random.default_rng(0).normal(size=200)
    # 0.2 s at 50 a second are 10 samples: 9 and 11 are as near, the even half decides.
    assert window_samples(0.2, 50.0) in (9, 11)
    expected = by_hand(series, window_samples(0.2, 50.0), 20)
    np.testing.assert_allclose(WHOLE.apply(series, rate_hz=50.0), expected)
    assert [window_samples(0.2, rate) for rate in (1.0, 10.0, 25.0, 35.0)] == [1, 1, 5, 7]


def test_nothing_passes_from_one_recording_to_another() -> None:
    generator = np.random.default_rng(1)
    series = generator.normal(size=90)
    groups = np.array(["b"] * 40 + ["a"] * 50)
    whole = WHOLE.apply(series, groups, rate_hz=25.0)
    for name in ("a", "b"):
        own = WHOLE.apply(series[groups == name], rate_hz=25.0)
        np.testing.assert_array_equal(whole[groups == name], own)
    assert WHOLE.apply([], rate_hz=25.0).shape == (0,)


def test_a_chain_without_steps_changes_nothing() -> None:
    series = np.random.default_rng(1).normal(size=30)
    assert PostProcessing(rate_hz=25.0).apply(series, rate_hz=25.0).tolist() == series.tolist()


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(0, 80))
def test_a_shift_delays_and_holds_the_first_value(count: int, samples: int) -> None:
    series = np.arange(float(count))
    shifted = shift_forward(series, samples)
    assert shifted.tolist() == [max(0, at - samples) for at in range(count)]


# --- true times ----------------------------------------------------------------------------------


def test_even_times_are_processed_as_they_are() -> None:
    series = np.random.default_rng(2).normal(size=100)
    # Rounded to milliseconds, as containers do, and starting anywhere.
    times = np.round(7.0 + np.arange(100) / 30.0, 3)
    rate = 99 / (times[-1] - times[0])
    np.testing.assert_array_equal(
        WHOLE.apply_at_times(series, times), WHOLE.apply(series, rate_hz=rate)
    )


def test_a_lost_frame_does_not_move_what_follows() -> None:
    times = np.arange(300) / 25.0
    series = np.sin(times)
    chain = PostProcessing(rate_hz=25.0, median_seconds=0.12, shift_seconds=1.0)
    kept = np.delete(np.arange(300), [100, 101, 150])
    whole = chain.apply_at_times(series, times)
    partly = chain.apply_at_times(series[kept], times[kept])
    # A chord over 0.12 s is at most 0.06^2 / 2 = 0.0018 away from a curve that bends like a sine.
    np.testing.assert_allclose(partly, whole[kept], atol=1.8e-3)


def test_a_variable_rate_is_shifted_by_seconds_not_by_frames() -> None:
    generator = np.random.default_rng(3)
    times = np.cumsum(generator.uniform(0.01, 0.07, 500))
    chain = PostProcessing(rate_hz=25.0, shift_seconds=0.5)
    moved = chain.apply_at_times(times.copy(), times)
    later = times > times[0] + 0.5
    step = float(np.median(np.diff(times)))
    # The series is its own time: half a second later, it is half a second less.
    np.testing.assert_allclose(moved[later], times[later] - 0.5, atol=step / 2 + 1e-9)


def test_series_of_one_frame() -> None:
    assert WHOLE.apply_at_times([0.5], [3.0]).tolist() == pytest.approx([0.3 + 2 * (0.6 - 0.3)])
    both = WHOLE.apply_at_times([0.5, 0.5], [3.0, 1.0], ["a", "b"])
    assert both.tolist() == pytest.approx([0.9, 0.9])


# --- causality -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("median", "shift", "ahead"),
    [(None, None, 0.0), (None, 2.0, 0.0), (1.0, None, 0.48), (1.0, 0.2, 0.28), (1.0, 0.48, 0.0)],
)
def test_look_ahead_is_what_it_says(median: float, shift: float, ahead: float) -> None:
    chain = PostProcessing(rate_hz=25.0, median_seconds=median, shift_seconds=shift)
    assert chain.look_ahead_seconds == pytest.approx(ahead)
    assert chain.is_causal == (ahead == 0)
    series = np.random.default_rng(4).normal(size=300)
    whole = chain.apply(series, rate_hz=25.0)
    at = 200
    changed = series.copy()
    changed[at + 1 + round(ahead * 25.0) :] += 5.0
    assert chain.apply(changed, rate_hz=25.0)[at] == whole[at]
    if ahead:
        # The bound is tight: raising all within it moves the median.
        changed = series.copy()
        changed[at + 1 : at + 1 + round(ahead * 25.0)] += 50.0
        assert chain.apply(changed, rate_hz=25.0)[at] != whole[at]


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"rate_hz": 0.0},
        {"rate_hz": float("nan")},
        {"median_seconds": -1.0},
        {"scale": 0.0},
        {"shift_seconds": 0.0},
        {"bias": float("inf")},
        {"scale_about": float("nan")},
    ],
)
def test_values_that_cannot_work(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(values)).removesuffix('_hz')}"):
        PostProcessing(**{"rate_hz": 25.0, **values})


def test_series_that_cannot_be_processed() -> None:
    with pytest.raises(UsageError, match="got nan in row 1 and 0 more; fill them with fill_gaps"):
        WHOLE.apply([0.0, np.nan], rate_hz=25.0)
    with pytest.raises(UsageError, match=r"shape \(n,\); got \(2, 2\)"):
        WHOLE.apply(np.zeros((2, 2)), rate_hz=25.0)
    with pytest.raises(UsageError, match="expected 2 values of groups"):
        WHOLE.apply([0.0, 0.0], ["a"], rate_hz=25.0)
    with pytest.raises(UsageError, match="expected a rate above 0 samples a second; got -1"):
        WHOLE.apply([0.0], rate_hz=-1)
    with pytest.raises(UsageError, match=r"got 0\.5 s after 1\.0 s"):
        WHOLE.apply_at_times([0.0, 0.0], [1.0, 0.5])
    with pytest.raises(UsageError, match="expected 2 times"):
        WHOLE.apply_at_times([0.0, 0.0], [1.0])
    with pytest.raises(UsageError, match=r"expected times in seconds.*check the unit"):
        WHOLE.apply_at_times([0.0] * 4, [0.0, 1e-6, 2e-6, 1e6])
