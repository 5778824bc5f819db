"""Which detection is whose: boxes compared, and the best one-to-one match found."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, width, height in pixels."""

IMPOSSIBLE: Final = math.inf
"""The cost of a pair that must not be matched."""


def box_size(box: Box) -> float:
    """Return a box's size, `sqrt(width * height)`, in pixels."""
    return math.sqrt(max(box[2], 0.0) * max(box[3], 0.0))


def box_overlap_px2(one: Box, other: Box) -> float:
    """Return the area that two boxes share, in square pixels."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def box_iou(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes, 0 to 1.

    >>> box_iou((0, 0, 2, 2), (1, 0, 2, 2))
    0.3333333333333333
    """
    shared = box_overlap_px2(one, other)
    union = one[2] * one[3] + other[2] * other[3] - shared
    return shared / union if union > 0 else 0.0


def covered_share(box: Box, by: Box) -> float:
    """Return how much of the smaller of two boxes the other one covers, 0 to 1.

    >>> covered_share((0, 0, 4, 4), (1, 1, 2, 2))
    1.0
    """
    smaller = min(box[2] * box[3], by[2] * by[3])
    return box_overlap_px2(box, by) / smaller if smaller > 0 else 0.0


def center_distance(one: Box, other: Box) -> float:
    """Return the distance of two boxes' centres, in units of their mean size (geometric mean)."""
    size = math.sqrt(box_size(one) * box_size(other))
    if size <= 0:
        return math.inf
    dx = one[0] + one[2] / 2 - other[0] - other[2] / 2
    dy = one[1] + one[3] / 2 - other[1] - other[3] / 2
    return math.hypot(dx, dy) / size


def size_ratio(one: Box, other: Box) -> float:
    """Return how many times larger the larger of two boxes is; 1 means equal."""
    sizes = box_size(one), box_size(other)
    return max(sizes) / min(sizes) if min(sizes) > 0 else math.inf


def match_pairs(costs: NDArray[np.float64], *, unmatched_cost: float) -> list[tuple[int, int]]:
    """Find the one-to-one match of rows to columns with the least total cost.

    A row that stays unmatched costs `unmatched_cost`, so a pair that costs more is never made.

    Args:
        costs: `(rows, columns)`; `IMPOSSIBLE` where a pair must not be made.
        unmatched_cost: The price of leaving a row alone; finite.

    Returns:
        Pairs (row, column), by row.

    >>> match_pairs(np.array([[1.0, 2.0], [1.5, 9.0]]), unmatched_cost=5.0)
    [(0, 1), (1, 0)]
    """
    allowed = costs < unmatched_cost
    pairs: list[tuple[int, int]] = []
    # Faces that do not meet decide for themselves: the exact search runs over those that do.
    for rows, columns in _components(allowed):
        if len(rows) == 1:
            column = columns[int(np.argmin(costs[rows[0], columns]))]
            pairs.append((rows[0], column))
        elif len(columns) == 1:
            row = rows[int(np.argmin(costs[rows, columns[0]]))]
            pairs.append((row, columns[0]))
        else:
            block = np.where(allowed, costs, unmatched_cost)[np.ix_(rows, columns)]
            # One spare column a row stands for staying alone.
            spare = np.full((len(rows), len(rows)), unmatched_cost)
            for i, j in enumerate(_assign(np.hstack([block, spare]))):
                if j < len(columns) and allowed[rows[i], columns[j]]:
                    pairs.append((rows[i], columns[j]))
    return sorted(pairs)


def _components(allowed: NDArray[np.bool_]) -> list[tuple[list[int], list[int]]]:
    """Split rows and columns into groups that no allowed pair joins; lone ones are left out."""
    groups = []
    unseen = set(range(allowed.shape[0]))
    while unseen:
        rows: set[int] = set()
        columns: set[int] = set()
        border = {min(unseen)}
        while border:
            rows |= border
            reached = {int(j) for i in border for j in np.flatnonzero(allowed[i])} - columns
            columns |= reached
            border = {int(i) for j in reached for i in np.flatnonzero(allowed[:, j])} - rows
        unseen -= rows
        if columns:
            groups.append((sorted(rows), sorted(columns)))
    return groups


def _assign(costs: NDArray[np.float64]) -> list[int]:
    """Return for each row its column in the cheapest complete assignment (rows <= columns).

    Shortest augmenting paths with potentials (Jonker, Volgenant 1987). scipy has the same; it
    is not worth 100 MB of installation for a handful of faces.
    """
    rows, columns = costs.shape
    row_potential = np.zeros(rows)
    column_potential = np.zeros(columns)
    row_of = np.full(columns, -1)
    for row in range(rows):
        shortest = np.full(columns, math.inf)
        previous = np.full(columns, -1)
        done = np.zeros(columns, bool)
        current, column, reached = row, -1, 0.0
        while True:
            reduced = costs[current] - row_potential[current] - column_potential + reached
            better = ~done & (reduced < shortest)
            shortest[better] = reduced[better]
            previous[better] = column
            column = int(np.argmin(np.where(done, math.inf, shortest)))
            reached = float(shortest[column])
            done[column] = True
            if row_of[column] < 0:
                break
            current = int(row_of[column])
        row_potential[row] += reached
        for j in np.flatnonzero(done):
            if row_of[j] >= 0:
                row_potential[row_of[j]] += reached - shortest[j]
            column_potential[j] -= reached - shortest[j]
        while column >= 0:
            before = int(previous[column])
            row_of[column] = row if before < 0 else row_of[before]
            column = before
    result = [-1] * rows
    for column, row in enumerate(row_of):
        if row >= 0:
            result[int(row)] = column
    return result
