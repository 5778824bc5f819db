from __future__ import annotations

import pytest

from emotrace.labels import EMOTIONS
from emotrace.synth.action_units import ACTION_UNITS, EXPRESSIONS

REQUIRED_UNITS = {1, 2, 4, 5, 6, 7, 9, 12, 14, 15, 17, 20, 23, 25, 26, 43}
EMFACS_CORE = {
    "anger": {4, 5, 7, 23},
    "contempt": {14},
    "disgust": {9},
    "fear": {1, 2, 4, 5, 20},
    "happiness": {6, 12},
    "neutral": set[int](),
    "sadness": {1, 4, 15},
    "surprise": {1, 2, 5, 26},
}
"""What every prototype of the Investigator's Guide has in common (unit 10 may replace 9)."""


def test_all_units_that_users_were_promised_are_there() -> None:
    assert set(ACTION_UNITS) >= REQUIRED_UNITS


def test_every_expression_has_a_way_to_show_it() -> None:
    assert tuple(EXPRESSIONS) == EMOTIONS
    assert all(EXPRESSIONS.values())


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_combinations_hold_the_published_core(emotion: str) -> None:
    for combination in EXPRESSIONS[emotion]:
        assert set(combination.intensities) >= EMFACS_CORE[emotion]
        assert set(combination.intensities) <= set(ACTION_UNITS)
        assert all(0 < value <= 1 for value in combination.intensities.values())


def test_only_contempt_is_one_sided() -> None:
    sided = {name for name, ways in EXPRESSIONS.items() if any(way.is_one_sided for way in ways)}
    assert sided == {"contempt"}


def test_no_two_expressions_share_a_combination() -> None:
    all_ways = [tuple(sorted(way.intensities)) for ways in EXPRESSIONS.values() for way in ways]
    sided = [tuple(sorted(way.intensities)) for way in EXPRESSIONS["contempt"]]
    assert len(sided) == len(set(sided))
    by_emotion = {
        name: {tuple(sorted(way.intensities.items())) for way in ways}
        for name, ways in EXPRESSIONS.items()
    }
    total = sum(len(ways) for ways in by_emotion.values())
    assert total == len(set().union(*by_emotion.values())) == len(all_ways)
