from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from emotrace.faces.association import (
    IMPOSSIBLE,
    box_iou,
    center_distance,
    covered_share,
    match_pairs,
    size_ratio,
)


@given(rows=st.integers(0, 6), columns=st.integers(0, 6), seed=st.integers(0, 2**32 - 1))
def test_match_costs_what_the_reference_says(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Whole numbers make ties; a third of the pairs is forbidden.
    costs = rng.integers(0, 8, (rows, columns)).astype(float)
    costs[rng.random((rows, columns)) < 0.33] = IMPOSSIBLE
    alone = 5.0
    pairs = match_pairs(costs, unmatched_cost=alone)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(costs[i, j] < alone for i, j in pairs)
    total = sum(costs[i, j] for i, j in pairs) + alone * (rows - len(pairs))

    # A forbidden or too costly pair stands for staying alone; so do the spare columns.
    padded = np.hstack([np.minimum(costs, alone), np.full((rows, rows), alone)])
    i, j = linear_sum_assignment(padded)
    assert total == pytest.approx(padded[i, j].sum())


def test_the_best_total_wins_over_the_best_single_pair() -> None:
    costs = np.array([[0.1, 0.2], [0.2, 1.9]])
    assert match_pairs(costs, unmatched_cost=2.0) == [(0, 1), (1, 0)]


def test_boxes_compare_as_drawn() -> None:
    one, inner, apart = (0, 0, 10, 10), (0, 0, 5, 5), (20, 0, 10, 10)
    assert box_iou(one, inner) == 0.25
    assert covered_share(one, inner) == 1.0
    assert box_iou(one, apart) == covered_share(one, apart) == 0.0
    assert center_distance(one, apart) == 2.0
    assert size_ratio(one, inner) == 2.0
