"""tzirakis2021's oversampling and weights, on its own tables where it prints them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from emotrace.datasets.balancing import (
    OversamplingSettings,
    class_count_table,
    class_counts,
    oversample_windows,
    rare_and_frequent,
    reciprocal_weights,
    sample_classes_evenly,
    sample_weights,
)
from emotrace.datasets.windows import WindowSettings, find_windows
from emotrace.errors import DatasetError, UsageError

TABLE_3 = {
    "happy": 60_179,
    "surprise": 15_786,
    "confusion": 56_683,
    "disgust": 10_065,
    "contempt": 8_581,
    "empathy": 10_173,
    "neutral": 840_611,
    "other": 57_425,
}


def test_the_papers_rare_and_frequent_emotions_follow_from_its_table() -> None:
    names = list(TABLE_3)
    rare, frequent = rare_and_frequent(list(TABLE_3.values()), neither=[names.index("other")])
    assert [names[at] for at in rare] == names[:6]
    assert [names[at] for at in frequent] == ["neutral"]


def test_the_papers_rarest_emotion_has_the_highest_weight() -> None:
    weights = reciprocal_weights(list(TABLE_3.values()))
    names = list(TABLE_3)
    assert names[int(np.argmax(weights))] == "contempt"
    assert names[int(np.argmin(weights))] == "neutral"
    assert weights[4] / weights[6] == pytest.approx(840_611 / 8_581)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80))
def test_reciprocal_weights_are_scikit_learns_balanced_ones(labels: list[int]) -> None:
    values = np.array(labels)
    present = np.unique(values)
    weights = reciprocal_weights(class_counts(values, 5))
    reference = compute_class_weight("balanced", classes=present, y=values)
    np.testing.assert_allclose(weights[present], reference)
    assert sample_weights(values, weights).mean() == pytest.approx(1.0)
    assert not weights[np.setdiff1d(np.arange(5), present)].any()


def test_a_sample_with_several_emotions_weighs_as_its_rarest() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert class_counts(labels, 3).tolist() == [3, 1, 0]
    weights = reciprocal_weights([3, 1, 0])
    assert sample_weights(labels, weights).tolist() == [weights[0], weights[1], weights[0], 0.0]


def stream() -> tuple[np.ndarray, np.ndarray]:
    """Two recordings of 60 frames: neutral (0) with stretches of 1, 2 and 3."""
    labels = np.zeros(120, np.int64)
    labels[10:25] = 1
    labels[60:71] = 2
    labels[90:100] = 3
    labels[100:105] = 1
    sequence = np.repeat([0, 1], 60)
    return labels, sequence


def test_oversampling_repeats_windows_with_a_rare_and_no_frequent_emotion() -> None:
    labels, sequence = stream()
    windows = find_windows(
        sequence,
        np.tile(np.arange(60), 2),
        is_input=np.ones(120, bool),
        settings=WindowSettings(length=5, stride=5),
    )
    settings = OversamplingSettings(window_length=5, stride=5, repeats=3)
    found = oversample_windows(labels, windows.first, classes=4, settings=settings)
    assert (found.rare, found.frequent) == ((1, 2, 3), (0,))
    by_hand = [
        first
        for first in range(0, 120, 5)
        if (labels[first : first + 5] > 0).any() and (labels[first : first + 5] != 0).all()
    ]
    assert found.first.tolist() == by_hand == [10, 15, 20, 60, 65, 90, 95, 100]
    # Every window's rows come twice more, in order, and nothing neutral is repeated.
    assert found.counts_before.tolist() == [79, 20, 11, 10]
    assert found.counts_after.tolist() == [79, 60, 31, 30]
    assert np.array_equal(np.bincount(labels[found.rows], minlength=4), found.counts_after)
    assert found.rows[120:125].tolist() == [10, 11, 12, 13, 14]


def test_oversampling_with_classes_of_ones_own() -> None:
    labels, _ = stream()
    settings = OversamplingSettings(
        window_length=10, stride=10, repeats=2, rare=(3,), frequent=(0, 2)
    )
    found = oversample_windows(labels, np.arange(0, 120, 10), classes=4, settings=settings)
    assert found.first.tolist() == [90]
    with pytest.raises(UsageError, match="other classes to be rare than frequent"):
        oversample_windows(
            labels, [0], classes=4, settings=OversamplingSettings(rare=(1,), frequent=(1,))
        )
    with pytest.raises(UsageError, match="windows of 150 rows within 120 rows"):
        oversample_windows(labels, [0], classes=4)


def test_one_repeat_changes_nothing() -> None:
    labels, _ = stream()
    settings = OversamplingSettings(window_length=5, stride=5, repeats=1)
    found = oversample_windows(labels, np.arange(0, 120, 5), classes=4, settings=settings)
    assert found.rows.tolist() == list(range(120))
    assert found.counts_after.tolist() == found.counts_before.tolist()


def test_the_papers_tables_come_out_of_any_counts() -> None:
    rows = class_count_table({"# Frames": list(TABLE_3.values())}, list(TABLE_3))
    assert rows[1] == {"Emotion": "surprise", "# Frames": 15_786}
    # The paper prints 1,059,505: its own rows sum to two less.
    assert rows[-1] == {"Emotion": "Total Count", "# Frames": 1_059_503}
    both = class_count_table({"# Training": [1, 2], "# Validation": [3, 4]}, ["a", "b"])
    assert both[-1] == {"Emotion": "Total Count", "# Training": 3, "# Validation": 7}
    with pytest.raises(UsageError, match="expected 2 counts"):
        class_count_table({"x": [1]}, ["a", "b"])


@given(
    labels=st.lists(st.integers(-1, 3), min_size=1, max_size=50),
    size=st.integers(0, 90),
    seed=st.integers(0, 5),
)
def test_even_sampling_is_even_and_exhausts_a_class_before_repeating(
    labels: list[int], size: int, seed: int
) -> None:
    values = np.array(labels)
    if (values < 0).all():
        with pytest.raises(DatasetError, match="got none"):
            sample_classes_evenly(values, size, seed=seed)
        return
    drawn = sample_classes_evenly(values, size, seed=seed)
    assert len(drawn) == size
    assert (values[drawn] >= 0).all()
    present = np.unique(values[values >= 0])
    counts = np.array([np.sum(values[drawn] == label) for label in present])
    assert counts.max() - counts.min() <= 1
    for label in present:
        times = np.bincount(drawn[values[drawn] == label], minlength=len(values))
        times = times[values == label]
        assert times.max() - times.min() <= 1


def test_a_power_of_0_keeps_the_shares() -> None:
    values = np.repeat([0, 1], [300, 100])
    drawn = sample_classes_evenly(values, 40, power=0.0)
    assert np.bincount(values[drawn]).tolist() == [30, 10]
    halfway = sample_classes_evenly(values, 1000, power=0.5)
    shares = np.bincount(values[halfway]) / 1000
    assert shares[0] / shares[1] == pytest.approx(np.sqrt(3), rel=0.01)
    with pytest.raises(UsageError, match="power"):
        sample_classes_evenly(values, 10, power=2)


def test_labels_must_be_classes() -> None:
    with pytest.raises(UsageError, match="from -1 to 2"):
        class_counts(np.array([3]), 3)
    with pytest.raises(UsageError, match=r"\(n, 3\)"):
        class_counts(np.zeros((2, 4), int), 3)
