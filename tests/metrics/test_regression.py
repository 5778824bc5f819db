"""CCC, Pearson's, RMSE against scipy, scikit-learn, torchmetrics and the formulas written out."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.errors import UsageError
from emotrace.metrics import (
    bootstrap_over_groups,
    compare_regressions,
    concordance_correlation,
    concordance_over_shuffled_batches,
    paired_bootstrap,
    paired_moments,
    pearson_correlation,
    root_mean_squared_error,
    score_regression,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

scipy_stats = pytest.importorskip("scipy.stats")
sklearn_metrics = pytest.importorskip("sklearn.metrics")

VALUES = st.floats(-1, 1, width=32)
PAIRS = st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=50)


def lin(truth: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Lin (1989), written out with the standard library."""
    t, p = truth.tolist(), predicted.tolist()
    t_mean, p_mean = statistics.fmean(t), statistics.fmean(p)
    covariance = statistics.fmean((a - t_mean) * (b - p_mean) for a, b in zip(t, p, strict=True))
    spread = statistics.pvariance(t) + statistics.pvariance(p) + (t_mean - p_mean) ** 2
    agreement: float = 2 * covariance / spread
    return agreement


@settings(deadline=None)
@given(PAIRS)
def test_measures_equal_independent_ones(pairs: list[tuple[float, float]]) -> None:
    truth, predicted = np.array(pairs, np.float64).T
    assert root_mean_squared_error(truth, predicted) == pytest.approx(
        sklearn_metrics.root_mean_squared_error(truth, predicted)
    )
    moves = min(np.ptp(truth), np.ptp(predicted)) > 1e-6
    if moves:
        assert concordance_correlation(truth, predicted) == pytest.approx(
            lin(truth, predicted), abs=1e-9
        )
        assert pearson_correlation(truth, predicted) == pytest.approx(
            scipy_stats.pearsonr(truth, predicted).statistic, abs=1e-6
        )


def test_torchmetrics_has_the_same_correlation_in_long_series() -> None:
    torch = pytest.importorskip("torch")
    regression = pytest.importorskip("torchmetrics.functional.regression")
    generator = np.random.default_rng(0)
    truth = generator.normal(size=5000)
    predicted = 0.6 * truth + 0.3 + 0.5 * generator.normal(size=5000)
    expected = regression.concordance_corrcoef(torch.tensor(predicted), torch.tensor(truth))
    # It divides by n - 1 where Lin divides by n.
    assert concordance_correlation(truth, predicted) == pytest.approx(float(expected), abs=1e-4)


@given(PAIRS)
@settings(deadline=None)
def test_agreement_is_symmetric_bounded_and_perfect_only_for_equal_series(
    pairs: list[tuple[float, float]],
) -> None:
    truth, predicted = np.array(pairs, np.float64).T
    value = concordance_correlation(truth, predicted)
    assert value == pytest.approx(concordance_correlation(predicted, truth), abs=1e-12)
    assert -1 - 1e-12 <= value <= 1 + 1e-12
    assert concordance_correlation(truth, truth) == 1
    if np.ptp(truth) > 1e-3:
        assert concordance_correlation(truth, truth + 0.1) < 1
        assert concordance_correlation(truth, truth - 2 * (truth - truth.mean())) == pytest.approx(
            -1
        )


@pytest.mark.parametrize("constant", [0.0, 0.1, -0.7, 1e-9])
@pytest.mark.parametrize("count", [2, 3, 7, 1000])
def test_constant_series_are_defined_to_the_last_bit(constant: float, count: int) -> None:
    still = np.full(count, constant)
    moving = np.linspace(-1, 1, count)
    assert concordance_correlation(still, still) == 1
    assert concordance_correlation(still, still + 0.3) == 0
    assert concordance_correlation(still, moving) == 0
    assert concordance_correlation(moving, still) == 0
    assert math.isnan(pearson_correlation(moving, still))
    moments = paired_moments(
        np.tile(still, 3), np.tile(still, 3), np.repeat(["a", "b", "c"], count)
    )
    assert moments.concordance().tolist() == [1, 1, 1]
    assert moments.pooled(np.array([[0, 1, 2], [2, 2, 2]])).concordance().tolist() == [1, 1]


def test_too_little_to_measure_is_nan() -> None:
    assert math.isnan(concordance_correlation([], []))
    assert math.isnan(concordance_correlation([0.5], [0.5]))
    assert math.isnan(pearson_correlation([0.5], [0.5]))
    assert math.isnan(root_mean_squared_error([], []))
    assert root_mean_squared_error([0.5], [0.25]) == 0.25


def test_values_far_from_zero_lose_no_digits() -> None:
    generator = np.random.default_rng(4)
    truth, predicted = generator.normal(size=(2, 500))
    shifted = concordance_correlation(truth + 1e6, predicted + 1e6)
    assert shifted == pytest.approx(concordance_correlation(truth, predicted), abs=1e-8)


def videos(
    seed: int = 0, count: int = 12
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Truth, two predictions and the video of each row, videos of different levels and lengths."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(20, 80, count)
    groups = np.repeat(np.arange(count), sizes)
    rows = int(sizes.sum())
    truth = generator.normal(size=count)[groups] + 0.3 * generator.normal(size=rows)
    first = 0.8 * truth + 0.2 * generator.normal(size=rows)
    second = 0.5 * truth + 0.4 * generator.normal(size=rows) + 0.2
    order = generator.permutation(rows)
    return truth[order], first[order], second[order], groups[order]


def test_pooling_any_groups_equals_measuring_their_rows() -> None:
    truth, predicted, _, groups = videos()
    moments = paired_moments(truth, predicted, groups)
    drawn = np.random.default_rng(1).integers(0, 12, (40, 12))
    pooled = moments.pooled(drawn)
    for at, chosen in enumerate(drawn):
        rows = np.concatenate([np.flatnonzero(groups == group) for group in chosen])
        assert pooled.count[at] == len(rows)
        for name, measure in (
            ("ccc", concordance_correlation),
            ("pearson", pearson_correlation),
            ("rmse", root_mean_squared_error),
        ):
            expected = measure(truth[rows], predicted[rows])
            assert pooled.measure(name)[at] == pytest.approx(expected, abs=1e-12)


def test_scores_tell_the_whole_set_from_the_mean_over_videos() -> None:
    truth, predicted, _, groups = videos()
    names = np.array([f"clip {group:02d}" for group in groups])
    scores = score_regression(truth, predicted, names)
    ccc = scores.measures["ccc"]
    each = [concordance_correlation(truth[groups == g], predicted[groups == g]) for g in range(12)]
    assert ccc.whole_set == pytest.approx(concordance_correlation(truth, predicted))
    assert ccc.group_mean == pytest.approx(np.mean(each))
    # Videos differ in level and the model sees that: it helps over the set only.
    assert ccc.whole_set > ccc.group_mean + 0.05
    assert [scores.per_group[f"clip {g:02d}"]["ccc"] for g in range(12)] == pytest.approx(each)
    assert scores.per_group["clip 03"]["n"] == np.count_nonzero(groups == 3)
    assert (scores.row_count, scores.group_count, ccc.groups_measured) == (len(truth), 12, 12)


def test_intervals_are_those_of_the_bootstrap_over_rows_of_videos() -> None:
    truth, predicted, _, groups = videos()
    scores = score_regression(truth, predicted, groups, repeats=300, seed=6)
    slow = bootstrap_over_groups(
        lambda rows: concordance_correlation(truth[rows], predicted[rows]),
        groups,
        repeats=300,
        seed=6,
    )
    assert scores.measures["ccc"].whole_set_interval == pytest.approx(slow, abs=1e-12)
    interval = scores.measures["ccc"].group_mean_interval
    assert interval is not None
    assert interval[0] < scores.measures["ccc"].group_mean < interval[1]


def test_a_difference_is_that_of_the_paired_bootstrap() -> None:
    truth, first, second, groups = videos()
    quick = compare_regressions(truth, first, second, groups, repeats=300, seed=2)["ccc"]
    slow = paired_bootstrap(
        lambda rows: concordance_correlation(truth[rows], first[rows]),
        lambda rows: concordance_correlation(truth[rows], second[rows]),
        groups,
        repeats=300,
        seed=2,
    )
    assert (quick.first, quick.second) == pytest.approx((slow.first, slow.second))
    assert (quick.low, quick.high) == pytest.approx((slow.low, slow.high), abs=1e-12)
    assert (quick.p_value, quick.group_count) == (slow.p_value, 12)
    assert quick.low > 0


def test_scores_are_ready_for_json_and_say_what_is_not_defined() -> None:
    scores = score_regression([0.0, 1.0, 0.5], [0.5, 0.5, 0.5], ["a", "a", "a"]).to_json()
    assert (scores["n"], scores["groups"]) == (3, 1)
    assert scores["pearson"]["whole_set"] is None
    assert scores["pearson"]["groups_measured"] == 0
    assert scores["ccc"]["whole_set_interval"] is None
    assert scores["per_group"]["a"] == {"n": 3.0, "ccc": 0.0, "rmse": 0.408248, "pearson": None}


def test_shuffled_batches_give_another_number() -> None:
    truth, predicted, _, _ = videos()
    whole = concordance_correlation(truth, predicted)
    everything = concordance_over_shuffled_batches(truth, predicted, batch_size=len(truth))
    assert everything == pytest.approx(whole)
    small = concordance_over_shuffled_batches(truth, predicted, batch_size=4)
    assert small == concordance_over_shuffled_batches(truth, predicted, batch_size=4)
    assert small != concordance_over_shuffled_batches(truth, predicted, batch_size=4, seed=1)
    assert small < whole - 0.02
    order = np.random.default_rng(0).permutation(len(truth))
    batches = [
        lin(truth[order // 64 == at], predicted[order // 64 == at])
        for at in range(-(-len(truth) // 64))
    ]
    found = concordance_over_shuffled_batches(truth, predicted, batch_size=64)
    assert found == pytest.approx(np.mean(batches))


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UsageError, match=r"finite values of truth; got nan in row 1 and 0 more"):
        concordance_correlation([0.0, np.nan], [0.0, 1.0])
    with pytest.raises(UsageError, match=r"finite values of predicted; got inf in row 0"):
        root_mean_squared_error([0.0, 0.0], [np.inf, 1.0])
    with pytest.raises(UsageError, match=r"shape \(n,\); got \(2,\) and \(3,\)"):
        pearson_correlation([0.0, 1.0], [0.0, 1.0, 2.0])
    with pytest.raises(UsageError, match=r"groups of shape \(2,\), one a row; got \(1,\)"):
        paired_moments([0.0, 1.0], [0.0, 1.0], ["a"])
    with pytest.raises(UsageError, match="at least one row"):
        score_regression([], [], [])
    with pytest.raises(UsageError, match="batch_size of at least 2"):
        concordance_over_shuffled_batches([0.0], [0.0], batch_size=1)
    with pytest.raises(UsageError, match="measure named ccc, rmse, pearson; got 'mae'"):
        paired_moments([0.0, 1.0], [0.0, 1.0]).measure("mae")
