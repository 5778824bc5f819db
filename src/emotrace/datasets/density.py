"""Valence and arousal: how densely a data set covers the plane, and evening that out.

After rangulov2020, section IV-B and Fig. 3. Balance what is learned from; never touch what is
measured on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from emotrace.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

DensityReference = Literal["maximum", "mean", "midpoint"]
"""What a bin's count is compared with: the largest bin, the mean bin, the mean of the two."""

RANGULOV2020_SUBSETS: Final[dict[int, DensityReference]] = {1: "maximum", 2: "mean", 3: "midpoint"}
"""The paper's three subsets; it trains on the third."""

DensityReading = Literal["balancing", "printed"]
"""How the paper's equation (1), p = k / k_max, is read.

`balancing`: a frame is *dropped* with probability min(1, p), as the authors' code does: what is
common becomes rarer. `printed`: a frame is *kept* with probability min(1, p), as the text says:
what is rare becomes rarer.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AffectHistogram:
    """How many frames have which valence and arousal (rangulov2020, Fig. 3)."""

    counts: NDArray[np.int64]
    """`(valence bins, arousal bins)`."""
    valence_edges: NDArray[np.float64]
    """`(valence bins + 1,)`; a bin holds its lower edge, the last one both."""
    arousal_edges: NDArray[np.float64]
    """`(arousal bins + 1,)`."""

    @property
    def total(self) -> int:
        """Frames counted."""
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AffectSubset:
    """The outcome of `downsample_by_density`, with the histograms before and after."""

    kept: NDArray[np.int64]
    """`(m,)`: positions of the frames that stay, rising."""
    keep_probability: NDArray[np.float64]
    """`(n,)`: of each frame; 0 for those without a label or with both values 0."""
    reference_count: float
    """k_max."""
    unlabelled_count: int
    """Frames left out because a value is NaN."""
    zero_count: int
    """Frames left out because both values are 0."""
    before: AffectHistogram
    """Of the frames with a label, those with both values 0 left out."""
    after: AffectHistogram
    """Of the frames that stay, in the same bins."""


def affect_histogram(
    valence: ArrayLike,
    arousal: ArrayLike,
    *,
    bins: int = 40,
    like: AffectHistogram | None = None,
) -> AffectHistogram:
    """Count frames in the valence-arousal plane; frames with a NaN are left out.

    Args:
        valence: `(n,)`.
        arousal: `(n,)`.
        bins: Along each axis, evenly from that axis' smallest to its largest value.
        like: Take this one's edges instead, to compare the two.

    Raises:
        DatasetError: No frame has both values, or one lies outside the given edges.
        UsageError: `bins` is below 1.
    """
    if bins < 1:
        raise UsageError(f"expected at least 1 bin; got {bins}")
    valences, arousals = _affect_columns(valence, arousal)
    known = ~(np.isnan(valences) | np.isnan(arousals))
    valences, arousals = valences[known], arousals[known]
    if like is None:
        if not len(valences):
            raise DatasetError("expected frames with valence and arousal; got none")
        valence_edges, arousal_edges = _edges(valences, bins), _edges(arousals, bins)
    else:
        valence_edges, arousal_edges = like.valence_edges, like.arousal_edges
    cell = _bin(valences, valence_edges) * (len(arousal_edges) - 1) + _bin(arousals, arousal_edges)
    shape = (len(valence_edges) - 1, len(arousal_edges) - 1)
    counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)
    return AffectHistogram(counts=counts, valence_edges=valence_edges, arousal_edges=arousal_edges)


def downsample_by_density(
    valence: ArrayLike,
    arousal: ArrayLike,
    *,
    reference: DensityReference = "midpoint",
    reading: DensityReading = "balancing",
    bins: int = 40,
    seed: int = 0,
) -> AffectSubset:
    """Leave out frames where valence and arousal are dense (rangulov2020, section IV-B).

    Frames with valence = arousal = 0 go first, as the paper says. The plane is cut into bins, and a
    frame of a bin with k frames stays with probability 1 - min(1, k / k_max). So the bins from
    k_max on end up empty: always the largest one, with the mean every bin above it, and of data
    that is even already, all. Differences from the authors' code: each axis
    has its own edges (there arousal was put into valence's), the zeros do not count towards the
    density (there they did), the sampling is seeded.

    Args:
        valence: `(n,)`; NaN where there is no label.
        arousal: `(n,)`; NaN where there is no label.
        reference: What k_max is; the mean goes over all bins, empty ones too.
        reading: How the paper's equation is read.
        bins: Along each axis.
        seed: Of the sampling.

    Raises:
        DatasetError: No frame has both values, or all are 0.
    """
    valences, arousals = _affect_columns(valence, arousal)
    is_labelled = ~(np.isnan(valences) | np.isnan(arousals))
    is_zero = is_labelled & (valences == 0) & (arousals == 0)
    used = np.flatnonzero(is_labelled & ~is_zero)
    if not len(used):
        raise DatasetError(
            "expected frames with valence and arousal other than 0 and 0; got "
            f"{int(is_zero.sum())} with both 0 and {int((~is_labelled).sum())} without a label"
        )
    before = affect_histogram(valences[used], arousals[used], bins=bins)
    largest, mean = float(before.counts.max()), float(before.counts.mean())
    reference_count = {"maximum": largest, "mean": mean, "midpoint": (largest + mean) / 2}[
        reference
    ]
    own_count = before.counts[
        _bin(valences[used], before.valence_edges), _bin(arousals[used], before.arousal_edges)
    ]
    probability = np.minimum(1.0, own_count / reference_count)
    if reading == "balancing":
        probability = 1.0 - probability
    # One draw for every frame, labelled or not: the same frame has the same luck in every subset.
    luck = np.random.default_rng(seed).random(len(valences))[used]
    kept = used[luck < probability]
    keep_probability = np.zeros(len(valences))
    keep_probability[used] = probability
    return AffectSubset(
        kept=kept,
        keep_probability=keep_probability,
        reference_count=reference_count,
        unlabelled_count=int((~is_labelled).sum()),
        zero_count=int(is_zero.sum()),
        before=before,
        after=affect_histogram(valences[kept], arousals[kept], like=before),
    )


def _affect_columns(
    valence: ArrayLike, arousal: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    valences, arousals = np.asarray(valence, np.float64), np.asarray(arousal, np.float64)
    if valences.ndim != 1 or valences.shape != arousals.shape:
        raise UsageError(
            "expected valence and arousal of one shape (n,); got "
            f"{valences.shape} and {arousals.shape}"
        )
    return valences, arousals


def _edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    if low == high:  # an axis with one value still needs bins of some width
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)


def _bin(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    if len(values) and not (values.min() >= edges[0] and values.max() <= edges[-1]):
        raise DatasetError(
            f"expected values from {edges[0]:g} to {edges[-1]:g} in a histogram; got "
            f"{values.min():g} to {values.max():g}"
        )
    found = np.searchsorted(edges, values, side="right") - 1
    return np.minimum(found, len(edges) - 2).astype(np.int64)
