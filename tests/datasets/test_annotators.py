"""Votes and the evaluator weighted estimator, against hand computations and known rules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emotrace.datasets.annotators import (
    combine_ratings,
    evaluator_weighted_estimate,
    evaluator_weights,
    label_votes,
    majority_vote,
    winner_takes_all,
)
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS


def votes(**counts: int) -> np.ndarray:
    row = np.zeros((1, 10), np.int16)
    for name, count in counts.items():
        row[0, [*EMOTIONS, "unknown", "not_face"].index(name)] = count
    return row


@pytest.mark.parametrize(
    ("row", "majority", "winner"),
    [
        (votes(fear=4, anger=3), "fear", "fear"),
        (votes(fear=3, anger=2, sadness=2), None, "fear"),
        (votes(fear=3, anger=3), None, None),
        (votes(fear=1), "fear", "fear"),
        (votes(unknown=5, fear=2), None, None),
        (votes(not_face=3, fear=3), None, None),
        (votes(), None, None),
    ],
)
def test_votes(row: np.ndarray, majority: str | None, winner: str | None) -> None:
    def name(label: int) -> str | None:
        return None if label < 0 else EMOTIONS[label]

    assert name(majority_vote(row)[0]) == majority
    assert name(winner_takes_all(row)[0]) == winner
    assert label_votes(row, "majority")[0] == majority_vote(row)[0]
    assert label_votes(row, "winner-takes-all")[0] == winner_takes_all(row)[0]


@given(arrays(np.int16, (6, 10), elements=st.integers(0, 9)))
def test_a_majority_is_always_the_winner(table: np.ndarray) -> None:
    majority, winner = majority_vote(table), winner_takes_all(table)
    decided = majority >= 0
    np.testing.assert_array_equal(majority[decided], winner[decided])


def test_estimator_equals_a_computation_by_hand() -> None:
    """Three annotators, four frames; all steps of Grimm and Kroschel's equations 6 and 7.

    Values: (1, 2, 3, 4) / 10, (2, 4, 5, 9) / 10, (4, 1, 2, 3) / 10. Their means: 7/30, 7/30, 1/3,
    16/30. Deviations from the mean of the means (1/3): -.1, -.1, 0, .2; squares .06.
    First: deviations -.15, -.05, .05, .15; squares .05; product .015 + .005 + 0 + .03 = .05.
    Second: mean .5; deviations -.3, -.1, 0, .4; squares .26; product .03 + .01 + 0 + .08 = .12.
    Third: mean .25; deviations .15, -.15, -.05, .05; squares .05; product -.015 + .015 + .01 = .01.
    """
    ratings = np.array([[1, 2, 3, 4], [2, 4, 5, 9], [4, 1, 2, 3]]) / 10
    weights = np.array(
        [0.05 / np.sqrt(0.05 * 0.06), 0.12 / np.sqrt(0.26 * 0.06), 0.01 / np.sqrt(0.05 * 0.06)]
    )
    np.testing.assert_allclose(evaluator_weights(ratings), weights, rtol=1e-12)
    np.testing.assert_allclose(weights, [0.912871, 0.960769, 0.182574], atol=1e-6)
    by_hand = [
        (0.912871 * first + 0.960769 * second + 0.182574 * third) / 2.056214
        for first, second, third in ratings.T
    ]
    np.testing.assert_allclose(evaluator_weighted_estimate(ratings), by_hand, atol=1e-6)


def test_weights_are_pearson_correlations_with_the_mean() -> None:
    ratings = np.random.default_rng(3).normal(size=(6, 200)).cumsum(axis=1)
    expected = [np.corrcoef(row, ratings.mean(axis=0))[0, 1] for row in ratings]
    np.testing.assert_allclose(evaluator_weights(ratings), np.clip(expected, 0, 1), atol=1e-12)


def test_an_annotator_against_the_others_and_one_who_sleeps_have_no_say() -> None:
    course = np.sin(np.linspace(0, 6, 50))
    ratings = np.stack([course, course * 0.9, -course * 0.5, np.full(50, 0.3)])
    weights = evaluator_weights(ratings)
    np.testing.assert_allclose(weights, [1, 1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(evaluator_weighted_estimate(ratings), course * 0.95, atol=1e-9)


def test_missing_ratings_leave_the_weights_to_the_others() -> None:
    course = np.linspace(-0.5, 0.5, 20)
    ratings = np.stack([course, course, course + 0.1])
    ratings[2, :5] = np.nan
    ratings[:, 7] = np.nan
    estimate = evaluator_weighted_estimate(ratings)
    np.testing.assert_allclose(estimate[:5], course[:5])
    assert np.isnan(estimate[7])
    assert np.isfinite(np.delete(estimate, 7)).all()


def test_without_any_agreement_the_mean_is_taken() -> None:
    ratings = np.array([[0.2, 0.2, 0.2], [0.4, 0.4, 0.4]])
    np.testing.assert_allclose(evaluator_weighted_estimate(ratings), [0.3, 0.3, 0.3])
    np.testing.assert_allclose(combine_ratings(ratings, "mean"), [0.3, 0.3, 0.3])


@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 5), st.integers(1, 30)),
        elements=st.one_of(st.floats(-1, 1), st.just(np.nan)),
    )
)
def test_estimate_stays_within_what_was_said(ratings: np.ndarray) -> None:
    estimate = evaluator_weighted_estimate(ratings)
    rated = ~np.isnan(ratings).all(axis=0)
    assert (np.isnan(estimate) == ~rated).all()
    assert (estimate[rated] >= np.nanmin(ratings[:, rated], axis=0) - 1e-9).all()
    assert (estimate[rated] <= np.nanmax(ratings[:, rated], axis=0) + 1e-9).all()
    weights = evaluator_weights(ratings)
    assert ((weights >= 0) & (weights <= 1)).all()


@pytest.mark.parametrize("rule", ["median", ""])
def test_unknown_rules_are_refused(rule: str) -> None:
    with pytest.raises(UsageError, match="majority or winner-takes-all"):
        label_votes(votes(fear=1), rule)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="evaluator-weighted or mean"):
        combine_ratings(np.zeros((2, 2)), rule)  # type: ignore[arg-type]
