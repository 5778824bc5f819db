"""Each measure against an independent reference: scikit-learn, a plain loop, or a known answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.errors import UsageError
from emotrace.metrics import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    kl_divergence,
    macro_f1,
    recall_per_class,
    unweighted_average_recall,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

sklearn_metrics = pytest.importorskip("sklearn.metrics")
CLASSES = 5
LABELS = st.lists(
    st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=60
)


def columns(pairs: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    both = np.array(pairs, np.int64)
    return both[:, 0], both[:, 1]


@st.composite
def soft(draw: st.DrawFn) -> NDArray[np.float64]:
    """`(n, 4)` rows of probabilities, zeros among them."""
    count = draw(st.integers(1, 30))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = generator.dirichlet(np.full(4, draw(st.sampled_from([0.1, 1.0, 10.0]))), count)
    rows[generator.random((count, 4)) < 0.2] = 0
    rows[:, 0] += rows.sum(axis=1) == 0
    shares: NDArray[np.float64] = rows / rows.sum(axis=1, keepdims=True)
    return shares


@settings(deadline=None)
@given(LABELS)
def test_counts_and_shares_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = columns(pairs)
    everything = list(range(CLASSES))
    np.testing.assert_array_equal(
        confusion_matrix(truth, predicted, CLASSES),
        sklearn_metrics.confusion_matrix(truth, predicted, labels=everything),
    )
    assert accuracy(truth, predicted) == pytest.approx(
        sklearn_metrics.accuracy_score(truth, predicted)
    )
    occurring = sorted(set(truth.tolist()))
    assert unweighted_average_recall(truth, predicted, CLASSES) == pytest.approx(
        sklearn_metrics.recall_score(truth, predicted, labels=occurring, average="macro")
    )
    either = sorted(set(truth.tolist()) | set(predicted.tolist()))
    assert macro_f1(truth, predicted, CLASSES) == pytest.approx(
        sklearn_metrics.f1_score(truth, predicted, labels=either, average="macro")
    )
    recalls = recall_per_class(truth, predicted, CLASSES)
    expected = sklearn_metrics.recall_score(
        truth, predicted, labels=everything, average=None, zero_division=np.nan
    )
    np.testing.assert_allclose(recalls, expected)


@settings(deadline=None)
@given(LABELS)
def test_labels_of_eight_bits_count_as_those_of_64(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = columns(pairs)
    classes = 100  # 4 * 100 + 4 does not fit 8 bits
    np.testing.assert_array_equal(
        confusion_matrix(truth.astype(np.int8), predicted.astype(np.uint8), classes),
        confusion_matrix(truth, predicted, classes),
    )


@pytest.mark.parametrize(
    ("truth", "predicted", "named"), [([0, -1], [0, 1], "truth"), ([0, 1], [0, 3], "predicted")]
)
def test_a_label_out_of_range_is_refused_not_counted_as_another(
    truth: list[int], predicted: list[int], named: str
) -> None:
    with pytest.raises(UsageError, match=f"labels of {named} from 0 to 2; got"):
        confusion_matrix(np.array(truth), np.array(predicted), 3)


def test_nothing_to_measure_is_nan() -> None:
    none, rows = np.zeros(0, np.int64), np.zeros((0, 3))
    assert math.isnan(accuracy(none, none))
    assert math.isnan(unweighted_average_recall(none, none, 3))
    assert math.isnan(macro_f1(none, none, 3))
    assert math.isnan(expected_calibration_error(none, rows))
    assert math.isnan(kl_divergence(rows, rows))
    assert np.isnan(recall_per_class(none, none, 3)).all()
    assert confusion_matrix(none, none, 3).sum() == 0


def plain_calibration_error(
    truth: NDArray[np.int64], probabilities: NDArray[np.float64], bins: int
) -> float:
    """Equation 3 of Guo et al. (2017), bin by bin; bins are closed below."""
    total = 0.0
    for at in range(bins):
        inside = []
        for label, row in zip(truth.tolist(), probabilities, strict=True):
            place = int(max(row) * bins)
            if place == at or (at == bins - 1 and place == bins):
                inside.append((float(np.argmax(row) == label), float(max(row))))
        if inside:
            hits, confidences = zip(*inside, strict=True)
            gap = abs(sum(hits) / len(inside) - sum(confidences) / len(inside))
            total += len(inside) / len(truth) * gap
    return total


@settings(deadline=None)
@given(soft(), st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 10, 15]))
def test_calibration_error_equals_the_formula(
    probabilities: NDArray[np.float64], seed: int, bins: int
) -> None:
    truth = np.random.default_rng(seed).integers(0, 4, len(probabilities))
    assert expected_calibration_error(truth, probabilities, bins) == pytest.approx(
        plain_calibration_error(truth, probabilities, bins), abs=1e-12
    )


def test_calibration_error_known_answers() -> None:
    rows = np.array([[0.75, 0.25]] * 4)
    assert expected_calibration_error(np.array([0, 0, 0, 1]), rows) == 0
    assert expected_calibration_error(np.array([0, 0, 0, 0]), rows) == pytest.approx(0.25)
    assert expected_calibration_error(np.array([1, 1, 1, 1]), rows) == pytest.approx(0.75)
    certain = np.array([[1.0, 0.0]])
    assert expected_calibration_error(np.array([0]), certain) == 0


@settings(deadline=None)
@given(soft(), st.integers(0, 2**32 - 1))
def test_divergence_equals_a_plain_loop(shares: NDArray[np.float64], seed: int) -> None:
    predicted = np.random.default_rng(seed).dirichlet(np.ones(4), len(shares)).astype(np.float32)
    expected = [
        sum(p * math.log(p / float(q)) for p, q in zip(row, other, strict=True) if p > 0)
        for row, other in zip(shares.tolist(), np.maximum(predicted, 1e-12), strict=True)
    ]
    found = kl_divergence(shares, predicted)
    assert found == pytest.approx(float(np.mean(expected)), abs=1e-6)
    assert found > -1e-6  # Gibbs' inequality; rows of 32 bits sum to 1 only nearly


def test_divergence_known_answers() -> None:
    one = np.array([[1.0, 0.0]])
    assert kl_divergence(one, one) == 0
    assert kl_divergence(one, np.array([[0.5, 0.5]])) == pytest.approx(math.log(2))
    # What was thought impossible costs much, but not infinitely.
    assert kl_divergence(one, np.array([[0.0, 1.0]])) == pytest.approx(12 * math.log(10))
