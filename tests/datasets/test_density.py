"""rangulov2020's downsampling: the arithmetic, the readings, and what it does to a plane."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.datasets.density import (
    RANGULOV2020_SUBSETS,
    AffectHistogram,
    DensityReference,
    affect_histogram,
    downsample_by_density,
)
from emotrace.errors import DatasetError, UsageError


def cloud(count: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    """Valence and arousal as unevenly spread as Aff-Wild2's: mild, positive, many exact zeros."""
    rng = np.random.default_rng(1)
    valence = np.clip(rng.normal(0.2, 0.35, count), -1, 1)
    arousal = np.clip(np.abs(rng.normal(0.2, 0.25, count)), 0, 1)
    is_zero = rng.random(count) < 0.1
    return np.where(is_zero, 0, valence), np.where(is_zero, 0, arousal)


@given(
    points=st.lists(
        st.tuples(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32)), min_size=2, max_size=60
    ),
    bins=st.integers(1, 9),
)
def test_the_histogram_is_numpys(points: list[tuple[float, float]], bins: int) -> None:
    valence, arousal = np.array(points).T
    if np.ptp(valence) < 1e-3 or np.ptp(arousal) < 1e-3:  # numpy widens such axes its own way
        return
    ours = affect_histogram(valence, arousal, bins=bins)
    theirs, v_edges, a_edges = np.histogram2d(valence, arousal, bins=bins)
    np.testing.assert_allclose(ours.valence_edges, v_edges)
    np.testing.assert_allclose(ours.arousal_edges, a_edges)
    np.testing.assert_array_equal(ours.counts, theirs)
    assert ours.total == len(points)


def test_each_axis_has_its_own_edges() -> None:
    found = affect_histogram([-1.0, 1.0, 0.5], [0.0, 0.25, 0.25], bins=2)
    assert found.valence_edges.tolist() == [-1.0, 0.0, 1.0]
    assert found.arousal_edges.tolist() == [0.0, 0.125, 0.25]
    assert found.counts.tolist() == [[1, 0], [0, 2]]


def test_the_probability_of_each_frame_by_hand() -> None:
    # Bins of 4, 2, 1 and 0 frames: the largest 4, the mean 7 / 4, the midpoint 23 / 8.
    valence = np.array([-1, -1, -1, -1, 1, 1, -1, 0, np.nan, 0.5])
    arousal = np.array([-1, -1, -1, -1, -1, -1, 1, 0, 0.5, np.nan])
    expected: dict[DensityReference, tuple[float, float, float]] = {
        "maximum": (0, 1 / 2, 3 / 4),
        "mean": (0, 0, 1 - 4 / 7),
        "midpoint": (0, 1 - 16 / 23, 1 - 8 / 23),
    }
    for reference, (of_4, of_2, of_1) in expected.items():
        found = downsample_by_density(valence, arousal, reference=reference, bins=2)
        np.testing.assert_allclose(
            found.keep_probability, [of_4] * 4 + [of_2] * 2 + [of_1] + [0] * 3, atol=1e-12
        )
        assert (found.zero_count, found.unlabelled_count) == (1, 2)
        printed = downsample_by_density(
            valence, arousal, reference=reference, bins=2, reading="printed"
        )
        np.testing.assert_allclose(printed.keep_probability[:7], 1 - found.keep_probability[:7])


@pytest.mark.parametrize("reference", RANGULOV2020_SUBSETS.values())
def test_dense_bins_are_thinned_and_the_reading_as_printed_does_the_reverse(
    reference: DensityReference,
) -> None:
    valence, arousal = cloud()
    found = downsample_by_density(valence, arousal, reference=reference)
    printed = downsample_by_density(valence, arousal, reference=reference, reading="printed")

    def kept_shares(after: AffectHistogram) -> tuple[float, float]:
        counts = found.before.counts
        is_dense = counts > counts[counts > 0].mean()
        rare = after.counts[~is_dense].sum() / counts[~is_dense].sum()
        return float(rare), float(after.counts[is_dense].sum() / counts[is_dense].sum())

    rare, dense = kept_shares(found.after)
    assert rare > 2 * dense
    rare, dense = kept_shares(printed.after)
    assert dense > 1.2 * rare
    # As many stay as the probabilities say, within four standard deviations of chance.
    p = found.keep_probability
    assert abs(len(found.kept) - p.sum()) < 4 * np.sqrt((p * (1 - p)).sum())
    assert found.after.total == len(found.kept)
    # k (1 - k / k_max) is k_max / 4 at most.
    k_max = found.reference_count
    assert found.after.counts.max() <= k_max / 4 + 4 * np.sqrt(k_max / 4)
    assert not found.after.counts[found.before.counts >= k_max].any()


def test_the_subsets_shrink_in_the_papers_order() -> None:
    valence, arousal = cloud()
    sizes = {
        subset: len(downsample_by_density(valence, arousal, reference=reference).kept)
        for subset, reference in RANGULOV2020_SUBSETS.items()
    }
    # The higher k_max, the more stays: the largest bin above the midpoint above the mean.
    assert sizes[1] > sizes[3] > sizes[2] > 0


def test_the_sampling_is_seeded_and_other_columns_do_not_matter() -> None:
    valence, arousal = cloud(5000)
    first = downsample_by_density(valence, arousal, seed=5)
    assert np.array_equal(first.kept, downsample_by_density(valence, arousal, seed=5).kept)
    assert not np.array_equal(first.kept, downsample_by_density(valence, arousal, seed=6).kept)
    zero = (valence == 0) & (arousal == 0)
    assert not zero[first.kept].any()
    # The same frame has the same luck: what a smaller k_max keeps, a larger one keeps too.
    larger = downsample_by_density(valence, arousal, reference="maximum", seed=5)
    assert set(first.kept) <= set(larger.kept)


def test_histograms_before_and_after_share_their_edges() -> None:
    valence, arousal = cloud(5000)
    found = downsample_by_density(valence, arousal)
    assert found.before.counts.shape == (40, 40)
    assert np.array_equal(found.before.valence_edges, found.after.valence_edges)
    assert (found.after.counts <= found.before.counts).all()
    again = affect_histogram(valence[found.kept], arousal[found.kept], like=found.before)
    assert np.array_equal(again.counts, found.after.counts)


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(DatasetError, match="1 with both 0 and 1 without a label"):
        downsample_by_density([0.0, np.nan], [0.0, 0.3])
    with pytest.raises(DatasetError, match="got none"):
        affect_histogram([np.nan], [np.nan])
    with pytest.raises(UsageError, match="one shape"):
        affect_histogram([0.1], [0.1, 0.2])
    inner = affect_histogram([0.1, 0.2], [0.1, 0.2])
    with pytest.raises(DatasetError, match="in a histogram"):
        affect_histogram([0.9], [0.15], like=inner)
