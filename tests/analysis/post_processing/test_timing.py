from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.analysis.post_processing import fill_gaps, resample_evenly
from emotrace.analysis.post_processing.timing import even_step
from emotrace.errors import UsageError


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_gaps_are_filled_as_pandas_does_by_time(count: int, seed: int) -> None:
    pandas = pytest.importorskip("pandas")
    generator = np.random.default_rng(seed)
    values = generator.normal(size=count)
    values[generator.random(count) < 0.5] = np.nan
    times = np.cumsum(generator.uniform(0.01, 1.0, count))
    series = pandas.Series(values, index=times)
    expected = series.interpolate("index", limit_direction="both").to_numpy()
    np.testing.assert_allclose(fill_gaps(values, times), expected)


def test_gaps_are_filled_within_each_video_and_column() -> None:
    nan = np.nan
    values = np.array([[nan, 1.0], [4.0, nan], [nan, 3.0], [nan, nan]])
    filled = fill_gaps(values, [0.0, 1.0, 2.0, 3.0], ["a", "a", "a", "b"])
    np.testing.assert_array_equal(filled, [[4.0, 1.0], [4.0, 2.0], [4.0, 3.0], [nan, nan]])


def test_an_even_grid_reads_off_straight_lines() -> None:
    times = [10.0, 10.1, 10.4, 0.0, 0.5]
    values = np.stack([np.array(times), -2 * np.array(times)], axis=1)
    found, at, groups = resample_evenly(values, times, ["b", "b", "b", "a", "a"], rate_hz=10.0)
    assert groups.tolist() == ["a"] * 6 + ["b"] * 5
    np.testing.assert_allclose(at, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 10, 10.1, 10.2, 10.3, 10.4])
    np.testing.assert_allclose(found, np.stack([at, -2 * at], axis=1))


def test_next_to_a_missing_label_there_is_none() -> None:
    values, times, _ = resample_evenly([0.0, np.nan, 2.0, 3.0], [0, 1, 2, 3], rate_hz=2.0)
    np.testing.assert_array_equal(values, [0.0, np.nan, np.nan, np.nan, 2.0, 2.5, 3.0])
    assert times.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    nothing, none, _ = resample_evenly([], [], rate_hz=2.0)
    assert (nothing.shape, none.shape) == ((0,), (0,))


def test_which_times_are_even() -> None:
    ticks = np.round(np.arange(1000) / 29.97, 3)
    assert even_step(ticks) == pytest.approx(1 / 29.97, rel=1e-4)
    assert even_step(np.delete(ticks, 500)) is None
    assert even_step(np.array([0.0, 0.033, 0.066, 0.2])) is None
    assert even_step(np.array([1.0])) is None


def test_times_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match=r"got 1\.0 s after 1\.0 s; sort the rows"):
        fill_gaps([0.0, 1.0], [1.0, 1.0])
    with pytest.raises(UsageError, match="expected 2 times, one a row"):
        fill_gaps([0.0, 1.0], [1.0])
    with pytest.raises(UsageError, match="expected a rate above 0"):
        resample_evenly([0.0], [0.0], rate_hz=0)
    with pytest.raises(UsageError, match=r"got 0\.0 s after 1\.0 s"):
        resample_evenly([0.0, 1.0], [1.0, 0.0], rate_hz=1)
