"""F1 and average precision of several labels at once, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.errors import UsageError
from emotrace.metrics import average_precision_per_label, f1_per_label

sklearn_metrics = pytest.importorskip("sklearn.metrics")


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_each_label_equals_scikit_learn_on_its_annotated_rows(
    count: int, labels: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.integers(-1, 2, (count, labels))
    # Few different scores, so that many are equal.
    scores = generator.integers(0, 6, (count, labels)) / 5
    predicted = scores > 0.5
    f1, precision = f1_per_label(truth, predicted), average_precision_per_label(truth, scores)
    assert f1.shape == precision.shape == (labels,)
    for label in range(labels):
        known = truth[:, label] >= 0
        true, guess = truth[known, label], predicted[known, label]
        if true.any() or guess.any():
            assert f1[label] == pytest.approx(sklearn_metrics.f1_score(true, guess))
        else:
            assert np.isnan(f1[label])
        if true.any():
            expected = sklearn_metrics.average_precision_score(true, scores[known, label])
            assert precision[label] == pytest.approx(expected)
        else:
            assert np.isnan(precision[label])


def test_known_answers() -> None:
    truth = np.array([[1, 1, 0], [0, 1, 0], [1, -1, 0]])
    predicted = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0]])
    np.testing.assert_allclose(f1_per_label(truth, predicted), [0.8, 0.0, np.nan])
    np.testing.assert_allclose(
        average_precision_per_label(truth, predicted.astype(float)), [2 / 3, 1.0, np.nan]
    )
    assert f1_per_label(np.zeros((0, 2), int), np.zeros((0, 2), int)).tolist() != [0, 0]


def test_what_does_not_fit_is_refused() -> None:
    truth = np.array([[1, 0]])
    with pytest.raises(UsageError, match=r"shape \(n, labels\); got \(1, 2\) and \(2, 1\)"):
        f1_per_label(truth, truth.T)
    with pytest.raises(UsageError, match="expected truth to hold 1, 0 and -1"):
        f1_per_label(np.array([[2, 0]]), truth)
    with pytest.raises(UsageError, match="expected predicted to hold 0 and 1; got 7"):
        f1_per_label(truth, np.array([[7, 0]]))
    with pytest.raises(UsageError, match="expected finite scores"):
        average_precision_per_label(truth, np.array([[np.nan, 0.5]]))
