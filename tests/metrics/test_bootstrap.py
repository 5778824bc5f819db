"""Intervals against the normal approximation, and against scipy's bootstrap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emotrace.errors import UsageError
from emotrace.metrics import bootstrap_interval, bootstrap_over_groups, paired_bootstrap

if TYPE_CHECKING:
    from numpy.typing import NDArray

scipy_stats = pytest.importorskip("scipy.stats")


def test_bootstrap_interval_is_that_of_the_normal_approximation() -> None:
    hits = np.zeros(2000)
    hits[:1600] = 1
    low, high = bootstrap_interval(lambda drawn: float(hits[drawn].mean()), len(hits))
    half = 1.96 * math.sqrt(0.8 * 0.2 / 2000)  # 0.0175
    assert low == pytest.approx(0.8 - half, abs=0.002)
    assert high == pytest.approx(0.8 + half, abs=0.002)


def test_bootstrap_repeats_from_its_seed_and_narrows_with_its_level() -> None:
    values = np.random.default_rng(1).normal(size=50)

    def mean(drawn: NDArray[np.int64]) -> float:
        return float(values[drawn].mean())

    wide = bootstrap_interval(mean, 50, seed=3)
    assert bootstrap_interval(mean, 50, seed=3) == wide
    assert bootstrap_interval(mean, 50, seed=4) != wide
    narrow = bootstrap_interval(mean, 50, level=0.5, seed=3)
    assert wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1]


def clustered(generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """40 videos of 5 to 60 frames; a video's frames are alike."""
    sizes = generator.integers(5, 60, 40)
    level = generator.normal(size=40)
    values = np.repeat(level, sizes) + 0.1 * generator.normal(size=sizes.sum())
    return values, np.repeat([f"video {i}" for i in range(40)], sizes)


def test_whole_groups_are_drawn_with_all_their_rows() -> None:
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    seen = []

    def look(rows: NDArray[np.int64]) -> float:
        counts = np.bincount(rows, minlength=6)
        # Rows of one group are drawn equally often, and three groups are drawn in all.
        assert len(set(counts[[0, 2, 5]])) == len(set(counts[[1, 4]])) == 1
        assert counts[0] + counts[1] + counts[3] == 3
        seen.append(counts[0])
        return 0.0

    assert bootstrap_over_groups(look, groups, repeats=200) == (0.0, 0.0)
    assert set(seen) == {0, 1, 2, 3}


def test_rows_that_are_groups_of_their_own_are_the_plain_bootstrap() -> None:
    values = np.random.default_rng(5).normal(size=30)

    def mean(rows: NDArray[np.int64]) -> float:
        return float(values[rows].mean())

    grouped = bootstrap_over_groups(mean, np.arange(30), repeats=4000)
    plain = bootstrap_interval(mean, 30, repeats=4000)
    assert grouped == pytest.approx(plain, abs=0.02)


def test_groups_give_the_interval_of_the_group_means() -> None:
    generator = np.random.default_rng(2)
    level = generator.normal(size=25)
    values, groups = np.repeat(level, 100), np.repeat(np.arange(25), 100)
    low, high = bootstrap_over_groups(lambda rows: float(values[rows].mean()), groups, repeats=4000)
    reference = scipy_stats.bootstrap(
        (level,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(3)
    ).confidence_interval
    assert low == pytest.approx(reference.low, abs=0.03)
    assert high == pytest.approx(reference.high, abs=0.03)
    # Frames drawn one by one look ten times (the root of 100) as certain as they are.
    narrow = bootstrap_interval(lambda rows: float(values[rows].mean()), len(values))
    assert (high - low) / (narrow[1] - narrow[0]) == pytest.approx(10, rel=0.15)


def test_pairing_takes_out_what_both_share() -> None:
    generator = np.random.default_rng(7)
    hard, groups = clustered(generator)
    first = hard + 0.05
    second = hard + 0.1 * generator.normal(size=len(hard))

    def mean_of(values: NDArray[np.float64]) -> float:
        return float(values.mean())

    found = paired_bootstrap(
        lambda rows: mean_of(first[rows]), lambda rows: mean_of(second[rows]), groups
    )
    assert found.group_count == 40
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert 0 < found.low < 0.05 < found.high < 0.1
    assert found.p_value == pytest.approx(2 / 1001)
    low, high = bootstrap_over_groups(lambda rows: mean_of(first[rows]), groups)
    assert high - low > 10 * (found.high - found.low)


def test_no_difference_is_not_significant_and_swapping_turns_it_round() -> None:
    values, groups = clustered(np.random.default_rng(8))
    noise = 0.1 * np.random.default_rng(9).normal(size=len(values))
    noise -= noise.mean()

    def first(rows: NDArray[np.int64]) -> float:
        return float(values[rows].mean())

    def second(rows: NDArray[np.int64]) -> float:
        return float((values + noise)[rows].mean())

    there = paired_bootstrap(first, second, groups)
    back = paired_bootstrap(second, first, groups)
    assert there.p_value > 0.2
    assert back.p_value == there.p_value
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    same = paired_bootstrap(first, first, groups)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_p_value_and_interval_agree() -> None:
    generator = np.random.default_rng(10)
    first, second = generator.normal(0.3, 1, 60), generator.normal(0, 1, 60)

    def of(values: NDArray[np.float64]) -> float:
        return float(values.mean())

    for level in (0.5, 0.8, 0.9, 0.95, 0.99):
        found = paired_bootstrap(
            lambda rows: of(first[rows]), lambda rows: of(second[rows]), np.arange(60), level=level
        )
        is_zero_outside = found.low > 0 or found.high < 0
        assert is_zero_outside == (found.p_value < 1 - level)


def test_a_measure_that_is_not_defined_in_some_draw_has_no_interval() -> None:
    values = np.array([np.nan, 1.0, 2.0])
    found = paired_bootstrap(
        lambda rows: float(values[rows].mean()), lambda rows: float(len(rows)), np.arange(3)
    )
    assert math.isnan(found.low)
    assert math.isnan(found.p_value)


@pytest.mark.parametrize("groups", [[], ["a"] * 4])
def test_one_group_gives_no_interval(groups: list[str]) -> None:
    with pytest.raises(UsageError, match="expected at least 2 groups"):
        bootstrap_over_groups(lambda rows: float(len(rows)), groups)


def test_levels_and_repeats_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="expected level between 0 and 1; got 95"):
        bootstrap_over_groups(lambda rows: float(len(rows)), [0, 1], level=95)
    with pytest.raises(UsageError, match="expected repeats of at least 1"):
        bootstrap_interval(lambda rows: float(len(rows)), 3, repeats=0)
