from __future__ import annotations

import itertools
from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from emotrace.synth.identity import BEARD_STYLES, GLASSES_STYLES, HAIR_STYLES, make_identity


@given(subject=st.integers(1, 10_000), population=st.integers(0, 10_000))
def test_the_same_number_is_the_same_face(subject: int, population: int) -> None:
    identity = make_identity(subject, population=population)
    assert identity == make_identity(subject, population=population)
    assert 0 <= identity.age <= 1
    assert 0 <= identity.freckles <= 1
    assert 0.85 <= identity.expressiveness <= 1
    for colour in (identity.skin_rgb, identity.hair_rgb, identity.eye_rgb, identity.clothes_rgb):
        assert all(0 <= part <= 255 for part in colour)


def test_people_differ_in_most_of_what_they_have() -> None:
    crowd = [make_identity(number) for number in range(1, 61)]
    names = [field.name for field in fields(crowd[0])]
    for one, other in itertools.combinations(crowd, 2):
        differing = sum(getattr(one, name) != getattr(other, name) for name in names)
        assert differing >= 15


def test_a_crowd_has_every_style() -> None:
    crowd = [make_identity(number) for number in range(1, 301)]
    assert {one.hair for one in crowd} == set(HAIR_STYLES)
    assert {one.beard for one in crowd} == set(BEARD_STYLES)
    assert {one.glasses for one in crowd} == set(GLASSES_STYLES)


def test_another_population_has_other_people() -> None:
    assert make_identity(1, population=0) != make_identity(1, population=1)
