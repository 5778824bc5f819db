"""Rare and common classes: counting them, repeating, weighting and sampling them evenly.

After tzirakis2021, sections 4.2 and 4.4. For valence and arousal see `emotrace.datasets.density`.
Balance what is learned from; never touch what is measured on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emotrace.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


def class_counts(labels: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Count `(classes,)`: how many samples have each class.

    Args:
        labels: `(n,)` class numbers, -1 for none; or `(n, classes)`, nonzero for its classes.
        classes: How many there are.

    Raises:
        UsageError: A label is none of the classes.

    >>> class_counts(np.array([0, 2, 2, -1]), 3).tolist()
    [1, 0, 2]
    """
    return np.asarray(_memberships(labels, classes).sum(axis=0), np.int64)


def _memberships(labels: NDArray[np.integer], classes: int) -> NDArray[np.bool_]:
    """Return `(n, classes)`: True where a sample has a class."""
    values = np.asarray(labels)
    if values.ndim == 2:
        if values.shape[1] != classes:
            raise UsageError(f"expected labels of shape (n, {classes}); got {values.shape}")
        return np.asarray(values != 0, np.bool_)
    if values.ndim != 1 or (len(values) and not (values.min() >= -1 and values.max() < classes)):
        raise UsageError(f"expected labels of shape (n,) from -1 to {classes - 1}")
    found: NDArray[np.bool_] = values[:, None] == np.arange(classes)
    return found


def reciprocal_weights(counts: ArrayLike) -> NDArray[np.float64]:
    """Return `(classes,)`: weights in proportion to 1 / count (tzirakis2021, section 4.4).

    Scaled so that the mean weight over all samples is 1 and the learning rate keeps its meaning; a
    class without samples has weight 0.

    >>> reciprocal_weights([1, 3, 0]).tolist()
    [2.0, 0.6666666666666666, 0.0]
    """
    numbers = np.asarray(counts, np.float64)
    present = numbers > 0
    weights = np.zeros(len(numbers))
    if present.any():
        weights[present] = numbers.sum() / (present.sum() * numbers[present])
    return weights


def sample_weights(labels: NDArray[np.integer], weights: ArrayLike) -> NDArray[np.float64]:
    """Return `(n,)`: each sample's weight, that of its rarest class; 0 without a class.

    The paper weighs "each sample based on the reciprocal of the number of frames of each emotion"
    and does not say what a sample with several emotions gets; the largest of its weights here.

    Args:
        labels: `(n,)` or `(n, classes)`; see `class_counts`.
        weights: `(classes,)`, from `reciprocal_weights`.

    Raises:
        UsageError: A label is none of the classes.
    """
    values = np.asarray(weights, np.float64)
    members = _memberships(labels, len(values))
    return np.asarray(np.where(members, values, 0.0).max(axis=1, initial=0.0), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class OversamplingSettings:
    """Which windows are repeated how often (tzirakis2021, section 4.2)."""

    window_length: int = 150
    """Frames, the paper's."""
    stride: int = 150
    """Frames between windows that may be repeated: next to one another, so none counts twice."""
    repeats: int = 5
    """How often such a window occurs in all. The paper does not say; the six expressions that it
    repeats have 5.5 times as many frames in its Table 4 (both sides) as in Table 3."""
    rare: tuple[int, ...] | None = None
    """Classes worth repeating; None: those with fewer frames than the mean class."""
    frequent: tuple[int, ...] | None = None
    """Classes that a repeated window must not hold; None: those with more than the mean class."""
    neither: tuple[int, ...] = ()
    """Classes that are never rare nor frequent: `other`, in the paper."""

    def __post_init__(self) -> None:
        for name in ("window_length", "stride", "repeats"):
            if getattr(self, name) < 1:
                raise UsageError(f"expected {name} of at least 1; got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Oversampling:
    """Which windows are repeated, and what that does to the classes."""

    first: NDArray[np.int64]
    """`(windows,)`: first row of each window that is repeated."""
    rows: NDArray[np.int64]
    """All rows once, then the rows of each repeated window `repeats - 1` times more."""
    rare: tuple[int, ...]
    frequent: tuple[int, ...]
    counts_before: NDArray[np.int64]
    """`(classes,)`: the paper's Table 3."""
    counts_after: NDArray[np.int64]
    """`(classes,)`: a column of the paper's Table 4."""


def rare_and_frequent(
    counts: ArrayLike, *, neither: Sequence[int] = ()
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the classes below and above the mean count; those in `neither`, and empty ones, not.

    For the paper's Table 3, with `other` in `neither`, that gives what the paper names: happy,
    surprise, confusion, disgust, contempt and empathy are rare, neutral is frequent.
    """
    numbers = np.asarray(counts, np.int64)
    mean = numbers.mean() if len(numbers) else 0.0
    usable = [at for at in range(len(numbers)) if at not in neither and numbers[at] > 0]
    return (
        tuple(at for at in usable if numbers[at] < mean),
        tuple(at for at in usable if numbers[at] > mean),
    )


def oversample_windows(
    labels: NDArray[np.integer],
    window_first: ArrayLike,
    *,
    classes: int,
    settings: OversamplingSettings | None = None,
) -> Oversampling:
    """Repeat windows that hold a rare expression and no frequent one (tzirakis2021, section 4.2).

    Only for rows that are learned from.

    Args:
        labels: `(n,)` or `(n, classes)`, one a row; see `class_counts`.
        window_first: `(windows,)`: first rows of `settings.window_length` rows without a gap, as
            `find_windows` gives them with `settings.stride`.
        classes: How many there are.
        settings: Which windows, how often.

    Raises:
        UsageError: A window reaches beyond the rows, a label is none of the classes, or a class is
            to be both rare and frequent.
    """
    settings = settings or OversamplingSettings()
    members = _memberships(labels, classes)
    counts = members.sum(axis=0)
    rare, frequent = rare_and_frequent(counts, neither=settings.neither)
    rare = rare if settings.rare is None else settings.rare
    frequent = frequent if settings.frequent is None else settings.frequent
    if set(rare) & set(frequent):
        raise UsageError(f"expected other classes to be rare than frequent; got {rare}, {frequent}")
    first = np.asarray(window_first, np.int64)
    if len(first) and not (
        first.min() >= 0 and first.max() + settings.window_length <= len(members)
    ):
        raise UsageError(
            f"expected windows of {settings.window_length} rows within {len(members)} rows"
        )
    chosen = first[
        _holds(members[:, list(rare)], first, settings.window_length)
        & ~_holds(members[:, list(frequent)], first, settings.window_length)
    ]
    again = (chosen[:, None] + np.arange(settings.window_length)).ravel()
    rows = np.concatenate([np.arange(len(members)), np.tile(again, settings.repeats - 1)])
    return Oversampling(
        first=chosen,
        rows=rows,
        rare=rare,
        frequent=frequent,
        counts_before=np.asarray(counts, np.int64),
        counts_after=np.asarray(members[rows].sum(axis=0), np.int64),
    )


def _holds(members: NDArray[np.bool_], first: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    """Return `(windows,)`: some row of the window has one of the classes."""
    before = np.concatenate([[0], np.cumsum(members.any(axis=1))])
    found: NDArray[np.bool_] = before[first + length] > before[first]
    return found


def class_count_table(
    sides: Mapping[str, ArrayLike], names: Sequence[str]
) -> list[dict[str, str | int]]:
    """Lay counts out as tzirakis2021's Tables 3 and 4: a row a class, a column a side, and totals.

    Args:
        sides: Column title to `(classes,)` counts.
        names: Of the classes.

    Raises:
        UsageError: A column has another number of classes.

    >>> class_count_table({"# Frames": [3, 4]}, ["fear", "neutral"])[-1]
    {'Emotion': 'Total Count', '# Frames': 7}
    """
    columns = {title: np.asarray(counts, np.int64) for title, counts in sides.items()}
    for title, counts in columns.items():
        if counts.shape != (len(names),):
            raise UsageError(f"expected {len(names)} counts of {title!r}; got {counts.shape}")
    rows: list[dict[str, str | int]] = [
        {"Emotion": name, **{title: int(counts[at]) for title, counts in columns.items()}}
        for at, name in enumerate(names)
    ]
    totals = {title: int(counts.sum()) for title, counts in columns.items()}
    return [*rows, {"Emotion": "Total Count", **totals}]


def sample_classes_evenly(
    labels: NDArray[np.integer], size: int, *, power: float = 1.0, seed: int = 0
) -> NDArray[np.int64]:
    """Draw `(size,)` samples so that classes come equally often.

    Within a class every sample comes once before any comes again.

    Args:
        labels: `(n,)` class numbers, -1 for none (never drawn).
        size: How many to draw.
        power: 1: classes equally often; 0: as often as they are; 0.5: by the square root.
        seed: Of the draw; give each epoch its own.

    Returns:
        Positions, shuffled.

    Raises:
        DatasetError: No sample has a class.
        UsageError: `power` is outside [0, 1], or `size` is negative.
    """
    if not 0 <= power <= 1 or size < 0:
        raise UsageError(f"expected a power in [0, 1] and a size from 0; got {power} and {size}")
    present, counts = np.unique(labels[labels >= 0], return_counts=True)
    if not len(present):
        raise DatasetError("expected samples with a class; got none")
    rng = np.random.default_rng(seed)
    shares = counts ** (1.0 - power)
    wanted = shares / shares.sum() * size
    drawn = np.floor(wanted).astype(np.int64)
    # What rounding leaves over goes to classes by chance, in proportion to what they lack.
    lacking = wanted - drawn
    left = size - int(drawn.sum())
    if left:
        drawn[rng.choice(len(present), left, replace=False, p=lacking / lacking.sum())] += 1
    chosen = []
    for label, count in zip(present, drawn, strict=True):
        members = np.flatnonzero(labels == label)
        rounds = -(-int(count) // len(members))
        chosen.append(
            np.concatenate([rng.permutation(members) for _ in range(rounds)] or [members[:0]])[
                :count
            ]
        )
    return rng.permutation(np.concatenate(chosen)).astype(np.int64)
