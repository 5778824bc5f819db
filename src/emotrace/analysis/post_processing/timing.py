"""Series in true time: gaps that are filled, uneven steps that are made even."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.datasets.windows import fill_unreached
from emotrace.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

EVEN_WITHIN: Final = 0.25
"""Times count as even where none is further from its place on an even grid than this share of a
step: containers round times to milliseconds or ticks."""
MOST_GRID_SAMPLES: Final = 10_000_000
"""More samples than this (400,000 s at 25 a second) come of a wrong unit of time or a wild step."""


def fill_gaps(
    values: ArrayLike, timestamps_seconds: ArrayLike, groups: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Fill what was not predicted (NaN): linear in true time between neighbours, held at the ends.

    rangulov2020, section IV-B: valence and arousal of frames that no window can predict are
    interpolated linearly from those of adjacent frames. That the ends hold the nearest value is how
    the text's silence about them was resolved. Looks ahead to the end of the gap.

    Args:
        values: `(n,)` or `(n, columns)`; NaN where there is no prediction.
        timestamps_seconds: `(n,)`, rising within each group.
        groups: `(n,)`: video (and face) of each row, numbers or names; one unless given.

    Returns:
        Float64 in the shape of `values`; a group without any value stays NaN.

    Raises:
        UsageError: Lengths that differ, or times that do not rise.

    >>> fill_gaps([np.nan, 0.0, np.nan, 0.8], [0.0, 0.1, 0.2, 0.5]).round(3).tolist()
    [0.0, 0.0, 0.2, 0.8]
    """
    given = np.asarray(values, np.float64)
    times = checked_times(timestamps_seconds, len(given))
    table = given[:, None] if given.ndim == 1 else given
    filled = np.empty_like(table)
    for rows in rows_of_groups(groups, len(given)):
        check_rising(times[rows])
    _, group = np.unique(_labels(groups, len(given)), return_inverse=True)
    for column in range(table.shape[1]):
        known = ~np.isnan(table[:, column])
        filled[:, column] = fill_unreached(table[:, column], known, group, times)
    return filled.reshape(given.shape)


def resample_evenly(
    values: ArrayLike,
    timestamps_seconds: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    rate_hz: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.generic]]:
    """Read series off an even grid of times, by linear interpolation, each from its first time on.

    For fitting on videos whose frame rate varies, or whose labels and predictions have rates of
    their own. Between a number and NaN there is NaN.

    Args:
        values: `(n,)` or `(n, columns)`.
        timestamps_seconds: `(n,)`, rising within each group.
        groups: `(n,)`: video (and face) of each row; one unless given.
        rate_hz: Samples a second of the grid.

    Returns:
        `(m,)` or `(m, columns)` values, `(m,)` times in seconds, `(m,)` groups.

    Raises:
        UsageError: Lengths that differ, times that do not rise, or a rate that is not positive.

    >>> values, times, _ = resample_evenly([0.0, 1.0], [0.0, 0.1], rate_hz=20.0)
    >>> values.tolist(), times.tolist()
    ([0.0, 0.5, 1.0], [0.0, 0.05, 0.1])
    """
    check_rate(rate_hz)
    given = np.asarray(values, np.float64)
    times = checked_times(timestamps_seconds, len(given))
    table = given[:, None] if given.ndim == 1 else given
    labels = _labels(groups, len(given))
    grids, columns, names = [np.zeros(0)], [table[:0]], [labels[:0]]
    for rows in rows_of_groups(groups, len(given)):
        own = times[rows]
        check_rising(own)
        grid = even_grid(own, 1.0 / rate_hz)
        # The last place may lie a rounding error beyond the last time.
        grid = grid[grid <= own[-1] + 1e-9 / rate_hz]
        grids.append(grid)
        columns.append(
            np.stack([np.interp(grid, own, table[rows, at]) for at in range(table.shape[1])], 1)
        )
        names.append(np.repeat(labels[rows[:1]], len(grid)))
    resampled = np.concatenate(columns)
    if given.ndim == 1:
        resampled = resampled[:, 0]
    return resampled, np.concatenate(grids), np.concatenate(names)


def rows_of_groups(groups: ArrayLike | None, count: int) -> list[NDArray[np.int64]]:
    """Return the rows of each group, in their order; groups in rising order.

    Raises:
        UsageError: There are not `count` labels.
    """
    _, group = np.unique(_labels(groups, count), return_inverse=True)
    order = np.argsort(group, kind="stable")
    bounds = np.flatnonzero(np.diff(group[order])) + 1
    return [rows for rows in np.split(order, bounds) if len(rows)]


def even_step(timestamps_seconds: NDArray[np.float64]) -> float | None:
    """Return the step of times that are even (see `EVEN_WITHIN`); None where they are not."""
    count = len(timestamps_seconds)
    if count < 2:
        return None
    step = float(timestamps_seconds[-1] - timestamps_seconds[0]) / (count - 1)
    places = timestamps_seconds[0] + step * np.arange(count)
    is_even = np.abs(timestamps_seconds - places).max() <= EVEN_WITHIN * step
    return step if is_even else None


def even_grid(timestamps_seconds: NDArray[np.float64], step_seconds: float) -> NDArray[np.float64]:
    """Return times at equal steps from the first time up to the last one or just beyond it.

    Raises:
        UsageError: The grid would be absurdly large.
    """
    first, last = float(timestamps_seconds[0]), float(timestamps_seconds[-1])
    samples = (last - first) / step_seconds
    if samples > MOST_GRID_SAMPLES:
        raise UsageError(
            f"expected times in seconds; from {first} to {last} s in steps of {step_seconds:.6g} s "
            f"are {samples:.3g} samples; check the unit of the times, or cut the series at its gaps"
        )
    count = int(np.ceil(samples - 1e-9)) + 1
    grid: NDArray[np.float64] = first + step_seconds * np.arange(count, dtype=np.float64)
    return grid


def checked_times(timestamps_seconds: ArrayLike, count: int) -> NDArray[np.float64]:
    """Return `(count,)` times in 64 bits.

    Raises:
        UsageError: There are not so many.
    """
    times = np.asarray(timestamps_seconds, np.float64)
    if times.shape != (count,):
        raise UsageError(f"expected {count} times, one a row; got {times.shape}")
    return times


def check_rising(timestamps_seconds: NDArray[np.float64]) -> None:
    """Check that the times of one group rise.

    Raises:
        UsageError: They do not; the message gives the first such place.
    """
    bad = np.flatnonzero(~(np.diff(timestamps_seconds) > 0))
    if len(bad):
        at = int(bad[0])
        raise UsageError(
            "expected times that rise within each video and face; got "
            f"{timestamps_seconds[at + 1]} s after {timestamps_seconds[at]} s; sort the rows, and "
            "give each video and face a group of its own"
        )


def check_rate(rate_hz: float) -> None:
    """Check that a rate is a positive number of samples a second.

    Raises:
        UsageError: It is not.
    """
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise UsageError(f"expected a rate above 0 samples a second; got {rate_hz!r}")


def _labels(groups: ArrayLike | None, count: int) -> NDArray[np.generic]:
    labels = np.zeros(count, np.int64) if groups is None else np.asarray(groups)
    if labels.shape != (count,):
        raise UsageError(f"expected {count} values of groups, one a row; got {labels.shape}")
    return labels
