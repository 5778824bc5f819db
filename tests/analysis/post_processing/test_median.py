"""The median filter against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from emotrace.analysis.post_processing.median import every_median, median_filter
from emotrace.errors import UsageError

ndimage = pytest.importorskip("scipy.ndimage")


def gather(values: np.ndarray, largest_size: int) -> np.ndarray:
    """`(sizes, n)` from the blocks of `every_median`."""
    found = np.full((largest_size // 2 + 1, len(values)), np.nan)
    for place, medians in every_median(values, largest_size):
        found[:, place] = medians
    return found


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 700),
    st.integers(0, 40),
    st.sampled_from([3, 20, 10**6]),
    st.integers(0, 2**32 - 1),
)
def test_every_size_equals_scipy_and_the_single_filter(
    count: int, half: int, levels: int, seed: int
) -> None:
    # Few levels make many ties.
    values = np.random.default_rng(seed).integers(0, levels, count) / levels
    found = gather(values, 2 * half + 1)
    for k in {0, half // 2, half}:
        windows = sliding_window_view(np.pad(values, k, mode="symmetric"), 2 * k + 1)
        expected = np.median(windows, axis=1)
        if count > 2 * k:  # of windows longer than the series scipy 1.17 says something else
            np.testing.assert_array_equal(
                ndimage.median_filter(values, 2 * k + 1, mode="reflect"), expected
            )
        np.testing.assert_array_equal(found[k], expected)
        np.testing.assert_array_equal(median_filter(values, 2 * k + 1), expected)


def test_windows_of_20_seconds_on_a_real_length() -> None:
    values = np.random.default_rng(0).normal(size=1500).cumsum()
    found = gather(values, 499)
    for size in (1, 3, 57, 251, 497, 499):
        expected = ndimage.median_filter(values, size, mode="reflect")
        np.testing.assert_array_equal(found[size // 2], expected)


def test_a_step_stays_and_a_spike_goes() -> None:
    values = np.array([0.0] * 10 + [1.0] * 10)
    assert median_filter(values, 7).tolist() == values.tolist()
    values[4] = 50.0
    assert median_filter(values, 3)[:9].tolist() == [0.0] * 9


def test_windows_longer_than_the_series() -> None:
    assert median_filter(np.array([1.0, 2.0]), 9).tolist() == (
        ndimage.median_filter(np.array([1.0, 2.0]), 9, mode="reflect").tolist()
    )
    assert median_filter(np.array([5.0]), 499).tolist() == [5.0]
    assert median_filter(np.zeros(0), 3).shape == (0,)
    assert list(every_median(np.zeros(0), 3)) == []


@pytest.mark.parametrize("size", [0, 2, -1])
def test_sizes_that_have_no_middle(size: int) -> None:
    with pytest.raises(UsageError, match=f"expected an odd number of samples .* got {size}"):
        median_filter(np.zeros(4), size)
    with pytest.raises(UsageError, match=f"expected an odd number of samples .* got {size}"):
        list(every_median(np.zeros(4), size))


def test_missing_values_are_refused() -> None:
    with pytest.raises(UsageError, match="with 1 that are not finite; fill gaps first"):
        median_filter(np.array([0.0, np.nan]), 3)
