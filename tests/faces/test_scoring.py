from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.errors import UsageError
from emotrace.faces.scoring import score_tracking

Box = tuple[float, float, float, float]


def place(number: int) -> Box:
    """Boxes of different places do not overlap."""
    return (20.0 * number, 0.0, 10.0, 10.0)


def test_a_perfect_track() -> None:
    known = [{1: place(0), 2: place(1)}] * 5
    scores = score_tracking(known, [{4: place(0), 9: place(1)}] * 5)
    assert (scores.recall, scores.precision, scores.idf1) == (1, 1, 1)
    assert scores.identity_switches == 0


def test_a_swap_costs_two_switches_and_identity() -> None:
    known = [{1: place(0), 2: place(1)}] * 10
    swapped = [{1: place(0), 2: place(1)}] * 5 + [{1: place(1), 2: place(0)}] * 5
    scores = score_tracking(known, swapped)
    assert scores.recall == scores.precision == 1
    assert scores.identity_switches == 2
    assert scores.idf1 == 0.5


def test_a_miss_and_a_false_box() -> None:
    scores = score_tracking([{1: place(0)}] * 4, [{1: place(0)}] * 3 + [{2: place(3)}])
    assert (scores.found, scores.false_boxes, scores.identity_switches) == (3, 1, 0)
    assert scores.idf1 == pytest.approx(2 * 3 / (4 + 4))


def test_an_id_that_comes_back_is_no_switch() -> None:
    scores = score_tracking([{1: place(0)}] * 3, [{1: place(0)}, {}, {1: place(0)}])
    assert scores.identity_switches == 0
    assert scores.recall == pytest.approx(2 / 3)


def test_hidden_faces_neither_help_nor_harm() -> None:
    hidden = [{2: place(1)}] * 3
    without = score_tracking([{1: place(0)}] * 3, [{1: place(0)}] * 3, may_be_missed=hidden)
    with_box = score_tracking(
        [{1: place(0)}] * 3, [{1: place(0), 5: place(1)}] * 3, may_be_missed=hidden
    )
    assert without == with_box
    assert without.idf1 == 1


def test_nothing_at_all() -> None:
    scores = score_tracking([{}], [{}])
    assert math.isnan(scores.recall)
    assert math.isnan(scores.idf1)


def test_lengths_must_agree() -> None:
    with pytest.raises(UsageError, match="as many frames"):
        score_tracking([{}], [])


ids = st.dictionaries(st.integers(1, 3), st.integers(0, 3).map(place), max_size=3)


@given(st.lists(st.tuples(ids, ids), max_size=8))
def test_idf1_equals_brute_force(frames: list[tuple[dict[int, Box], dict[int, Box]]]) -> None:
    known, tracked = [f[0] for f in frames], [f[1] for f in frames]
    scores = score_tracking(known, tracked)
    best = 0
    for order in itertools.permutations([1, 2, 3]):
        as_person = dict(zip(order, [1, 2, 3], strict=True))
        hits = sum(
            truth.get(as_person[face_id]) == box
            for truth, faces in frames
            for face_id, box in faces.items()
        )
        best = max(best, hits)
    total = sum(map(len, known)) + sum(map(len, tracked))
    if total:
        assert scores.idf1 == pytest.approx(2 * best / total)
    assert scores.found + scores.false_boxes == sum(map(len, tracked))
