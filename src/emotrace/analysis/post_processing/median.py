"""The median filter of one size, and of every size at once.

At the ends, a series is continued by its mirror image, the end value included (`... c b a | a b c
...`, scipy's `reflect`): every window is full, and no value is made up. tzirakis2021 does not say
what it did there; continuing with zeros, as some filters do, would pull the ends towards 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_LANES: Final = 256
"""Centres worked on at once: enough to hide the cost of a numpy call, few enough for the cache
(the fastest of 128 to 1,024, see benchmarks/post_processing_search.py)."""


def median_filter(values: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    """Return the running median of one series over windows centred on each sample.

    Args:
        values: `(n,)`, finite, at equal steps of time.
        size: Samples in a window, odd. It may be longer than the series.

    Returns:
        `(n,)` float64.

    Raises:
        UsageError: The size is even or below 1, or a value is not finite.

    >>> median_filter(np.array([0.0, 9.0, 1.0, 2.0, 3.0]), 3).tolist()
    [0.0, 1.0, 2.0, 2.0, 3.0]
    """
    series = _checked(values)
    if size < 1 or size % 2 == 0:
        raise UsageError(f"expected an odd number of samples in a window; got {size}")
    if size == 1 or len(series) == 0:
        return series.copy()
    continued = np.pad(series, size // 2, mode="symmetric")
    found: NDArray[np.float64] = pd.Series(continued).rolling(size).median().to_numpy()
    return found[size - 1 :]


def every_median(
    values: NDArray[np.floating], largest_size: int
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Return the running medians of one series for all odd sizes up to the largest one.

    For one centre, the windows of sizes 1, 3, 5, ... lie within each other. So the largest one is
    sorted once into a linked list; then its two outermost samples are unlinked, which moves the
    median by one link at most, and so on down to size 1: two unlinkings a size, whatever the size.
    All centres of a block go through this together, as lanes of one array.

    Args:
        values: `(n,)`, finite, at equal steps of time.
        largest_size: Samples in the largest window, odd.

    Yields:
        A slice of the centres, and for them `(sizes, centres)` medians, row k those of size
        2 k + 1; equal to `median_filter` to the last bit.

    Raises:
        UsageError: The size is even or below 1, or a value is not finite.
    """
    series = _checked(values)
    if largest_size < 1 or largest_size % 2 == 0:
        raise UsageError(f"expected an odd number of samples in a window; got {largest_size}")
    half = largest_size // 2
    continued = np.pad(series, half, mode="symmetric") if len(series) else series
    windows = _NestedWindows(half)
    for start in range(0, len(series), _LANES):
        stop = min(start + _LANES, len(series))
        block = continued[start : stop + 2 * half]
        # The last block is filled up; what is made up there is cut off again.
        filled = np.pad(block, (0, _LANES - (stop - start)), mode="edge")
        yield slice(start, stop), windows.medians(filled)[:, : stop - start]


class _NestedWindows:
    """Medians of nested windows around `_LANES` neighbouring centres; keeps its arrays for reuse.

    Each lane has a list of its own over the block's samples in rising order, with an end on either
    side. A node's entry in `links` takes three places: the node before it, itself, and the node
    after it; its number is three times its position, so that adding -1, 0 or 1 to the number leads
    to the neighbour.
    """

    def __init__(self, half: int) -> None:
        self.half = half
        self.width = 2 * half + 1
        self.samples = _LANES + 2 * half
        nodes = self.samples + 2
        self.lane_start = np.arange(_LANES) * (3 * nodes)
        self.is_inside = np.ones((_LANES, nodes), np.bool_)
        links = np.empty(_LANES * nodes * 3 + 2, np.intp)
        self.before, self.own, self.after = links[0:], links[1:], links[2:]
        numbers = np.arange(_LANES * nodes) * 3
        self.own[numbers] = numbers

    def medians(self, block: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(half + 1, lanes)` medians of `(lanes + 2 half,)` samples, size 1 first."""
        order = np.argsort(block, kind="stable")
        node_of_sample = np.empty(self.samples, np.intp)
        node_of_sample[order] = np.arange(3, 3 * self.samples + 1, 3)
        chosen = np.empty((self.half + 1, _LANES), np.intp)
        chosen[self.half] = median = self._link(order)
        before, own, after = self.before, self.own, self.after
        for step in range(self.half):
            at = self.width - 1 - step
            first = node_of_sample[step : step + _LANES] + self.lane_start
            last = node_of_sample[at : at + _LANES] + self.lane_start
            for node in (first, last):
                left, right = before[node], after[node]
                after[left] = right
                before[right] = left
            # Two samples below the median gone: it moves up. One on each side: it stays. If it is
            # itself one of the two, it moves away from the other one.
            move = np.sign(median - first)
            move += np.sign(median - last)
            np.sign(move, out=move)
            move += median
            median = own[move]
            chosen[self.half - 1 - step] = median
        chosen -= self.lane_start
        chosen //= 3
        ranked: NDArray[np.float64] = block[order]
        return ranked[chosen - 1]

    def _link(self, order: NDArray[np.intp]) -> NDArray[np.intp]:
        """Link every lane's largest window in rising order; return the `(lanes,)` medians."""
        places = order.astype(np.int32) - np.arange(_LANES, dtype=np.int32)[:, None]
        # As unsigned, a place before the window is a large number.
        np.less(places.view(np.uint32), self.width, out=self.is_inside[:, 1:-1])
        nodes = np.flatnonzero(self.is_inside).reshape(_LANES, self.width + 2)
        nodes *= 3
        self.before[nodes[:, 1:]] = nodes[:, :-1]
        self.after[nodes[:, :-1]] = nodes[:, 1:]
        return nodes[:, self.half + 1]


def _checked(values: NDArray[np.floating]) -> NDArray[np.float64]:
    series = np.asarray(values, np.float64)
    if series.ndim != 1 or not np.isfinite(series).all():
        raise UsageError(
            f"expected one series of finite values; got shape {series.shape} with "
            f"{np.count_nonzero(~np.isfinite(series))} that are not finite; fill gaps first"
        )
    return series
