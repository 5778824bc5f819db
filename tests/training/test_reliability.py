"""Confidence against truth, on predictions of which the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.metrics import expected_calibration_error
from emotrace.training.reliability import (
    choose_uncertain_threshold,
    coverage_curve,
    keep_above,
    reliability_bins,
    threshold_for,
)


def predictions(confidences: list[float], right: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Two classes; the first is predicted, with the given confidences above 0.5."""
    top = np.array(confidences, np.float32)
    return np.where(right, 0, 1), np.stack([top, 1 - top], axis=1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(1, 20))
def test_the_mean_gap_of_the_bins_is_the_calibration_error(seed: int, count: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(4, 0.5), count).astype(np.float32)
    truth = generator.integers(0, 4, count)
    rows = reliability_bins(truth, probabilities, bins=n)
    assert sum(row["n"] for row in rows) == count
    gap = sum(row["n"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / count
    assert gap == pytest.approx(expected_calibration_error(truth, probabilities, bins=n), abs=1e-9)
    for row in rows:
        assert row["low"] - 1e-6 <= row["confidence"] <= row["high"] + 1e-6


def test_certainty_lies_in_the_last_bin() -> None:
    truth, probabilities = predictions([1.0, 0.95], [True, False])
    (row,) = reliability_bins(truth, probabilities, bins=10)
    assert (row["low"], row["high"], row["n"], row["accuracy"]) == (0.9, 1.0, 2, 0.5)


def test_a_threshold_keeps_what_is_at_least_as_sure() -> None:
    truth, probabilities = predictions([0.9, 0.8, 0.75, 0.6], [True, True, False, False])
    kept = keep_above(truth, probabilities, 0.75)
    assert kept == {
        "threshold": 0.75,
        "n": 4,
        "coverage": 0.75,
        "accuracy": pytest.approx(2 / 3),
        "accuracy_of_dropped": 0.0,
    }
    everything = keep_above(truth, probabilities, None)
    assert (everything["coverage"], everything["accuracy"]) == (1.0, 0.5)
    assert everything["accuracy_of_dropped"] is None
    assert keep_above(truth, probabilities, 1.0)["accuracy"] is None


def test_the_curve_falls_in_coverage_and_starts_with_everything() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(8, 0.3), 300).astype(np.float32)
    rows = coverage_curve(generator.integers(0, 8, 300), probabilities)
    shares = [row["coverage"] for row in rows]
    assert shares[0] == 1
    assert shares == sorted(shares, reverse=True)
    assert all(row["coverage"] > 0 for row in rows)


# Of 100: 50 at 0.9 all right, 25 at 0.8 of which 20 right, 25 at 0.6 of which 5 right.
STEPS = predictions(
    [0.9] * 50 + [0.8] * 25 + [0.6] * 25,
    [True] * 50 + [True] * 20 + [False] * 5 + [True] * 5 + [False] * 20,
)


def test_what_is_more_often_wrong_than_right_is_uncertain() -> None:
    # Dropping the last 25 saves 20 wrong ones for 12.5; the 25 before them only 5.
    assert choose_uncertain_threshold(*STEPS) == 0.61
    # Where uncertain labels cost nearly nothing only the faultless stay; where they cost as much
    # as wrong ones, all stay.
    assert choose_uncertain_threshold(*STEPS, cost=0.1) == 0.81
    assert choose_uncertain_threshold(*STEPS, cost=1.0) == 0.0


@given(st.integers(0, 2**32 - 1))
def test_no_threshold_costs_less(seed: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(5, 0.4), 120).astype(np.float32)
    truth = np.array(
        [generator.choice(5, p=row / row.sum()) for row in probabilities.astype(float)]
    )

    def cost(threshold: float) -> float:
        kept = keep_above(truth, probabilities, threshold)
        wrong = 120 * kept["coverage"] * (1 - (kept["accuracy"] or 0))
        return float(wrong + 0.5 * 120 * (1 - kept["coverage"]))

    chosen = choose_uncertain_threshold(truth, probabilities)
    assert all(cost(chosen) <= cost(step / 20) + 1e-6 for step in range(21))


def test_the_lowest_threshold_with_enough_right_ones_is_found() -> None:
    # From 0.61 on: 70 of 75 = 93 %. From 0.60 on: 75 %.
    assert threshold_for(*STEPS, wanted=0.9) == 0.61
    assert threshold_for(*STEPS, wanted=0.95) == 0.81
    assert threshold_for(*STEPS, wanted=0.75) == 0.0


def test_no_threshold_is_found_where_none_gives_enough_right_ones() -> None:
    assert threshold_for(*predictions([0.9] * 20, [False] * 20), wanted=0.9) is None


def test_a_handful_of_sure_mistakes_does_not_rule_out_every_threshold() -> None:
    right = [False] + [True] * 99
    assert threshold_for(*predictions([0.99] + [0.9] * 99, right), wanted=0.9) == 0.0
