"""McNemar's test against scipy's binomial distribution and the published example."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.errors import UsageError
from emotrace.metrics.mcnemar import mcnemar_p_values, mcnemar_test

scipy_stats = pytest.importorskip("scipy.stats")


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 400))
def test_p_values_equal_the_binomial_ones(only_first: int, only_second: int) -> None:
    exact, mid = mcnemar_p_values(only_first, only_second)
    trials, fewer = only_first + only_second, min(only_first, only_second)
    if trials == 0:
        assert (exact, mid) == (1, 1)
        return
    assert exact == pytest.approx(scipy_stats.binomtest(fewer, trials).pvalue, rel=1e-9)
    point = scipy_stats.binom.pmf(fewer, trials, 0.5)
    # Fagerland et al. (2013), supplement, equations 1 and 2 and what follows them.
    expected = 1 - point / 2 if only_first == only_second else exact - point
    assert mid == pytest.approx(expected, rel=1e-9)


def test_large_counts_keep_their_accuracy() -> None:
    exact, mid = mcnemar_p_values(50_000, 51_000)
    assert exact == pytest.approx(scipy_stats.binomtest(50_000, 101_000).pvalue, rel=1e-6)
    assert 0 < mid < exact
    assert mcnemar_p_values(40_000, 60_000)[0] == 0  # about 1e-900: below what a float can hold


def test_the_published_example() -> None:
    # Bentur et al. as in Fagerland et al., Table 1: 1 both, 1 and 7 one alone, 12 neither.
    truth = np.zeros(21, np.int64)
    first = np.array([0] + [0] + [1] * 7 + [1] * 12)
    second = np.array([0] + [1] + [0] * 7 + [1] * 12)
    found = mcnemar_test(truth, first, second)
    assert found.count == 21
    counts = (found.both_right, found.only_first_right, found.only_second_right)
    assert counts == (1, 1, 7)
    assert found.neither_right == 12
    assert found.exact_p == pytest.approx(0.0703, abs=5e-5)
    assert found.mid_p == pytest.approx(0.0391, abs=5e-5)


def test_both_wrong_in_different_ways_is_no_difference() -> None:
    found = mcnemar_test(np.array([0, 0]), np.array([1, 2]), np.array([2, 1]))
    assert (found.neither_right, found.mid_p) == (2, 1)


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(UsageError, match=r"got \(3,\), \(3,\) and \(2,\)"):
        mcnemar_test(np.zeros(3, int), np.zeros(3, int), np.zeros(2, int))
