"""Plans refuse what cannot be done in their order; fingerprints tell settings apart."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from emotrace.errors import UsageError
from emotrace.papers.catalogue import find_paper
from emotrace.papers.plan import Step, Training, check_plan
from tests.papers.toy import TOY

if TYPE_CHECKING:
    from emotrace.papers.plan import ScaleName


def test_a_plan_in_another_order_is_refused() -> None:
    steps = TOY.plan("smoke")
    check_plan(steps)
    with pytest.raises(UsageError, match="expected 'faces' before 'cnn/one'"):
        check_plan(tuple(step for step in steps if step.key not in ("faces", "counts")))
    with pytest.raises(UsageError, match="got 'faces' twice"):
        check_plan((steps[0], *steps))


@pytest.mark.parametrize("key", ["", "A", "../up", "a//b", "a/", "with space"])
def test_a_key_that_could_leave_its_folder_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="expected a key"):
        Step(key=key)


def test_a_fingerprint_follows_settings_and_needs() -> None:
    steps = {step.key: step for step in TOY.plan("smoke")}
    needs = dict.fromkeys(steps, "x")
    training = steps["cnn/one"]
    assert isinstance(training, Training)
    same = training.fingerprint(needs)
    assert training.fingerprint(needs) == same
    longer = replace(training, recipe=replace(training.recipe, epochs=2))
    assert longer.fingerprint(needs) != same
    assert training.fingerprint({**needs, "faces": "y"}) != same
    assert training.fingerprint({**needs, "counts": "y"}) == same


@pytest.mark.parametrize("name", ["abdullah2020", "tzirakis2021", "salinas2018"])
@pytest.mark.parametrize("scale", ["smoke", "small"])
def test_drawn_data_sets_show_people_of_their_own(name: str, scale: ScaleName) -> None:
    """What is learned from one of them begins training on another, or is measured there."""
    seeds = [
        {one.seed for one in dataset.synthetic_sets(scale)} for dataset in find_paper(name).datasets
    ]
    assert all(not first & second for first, second in itertools.combinations(seeds, 2))
