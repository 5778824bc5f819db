from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS
from emotrace.synth.layouts import LAYOUTS
from emotrace.synth.plans import LAYOUT_HABITS, SetSettings, frame_count, plan_set


def test_a_plain_set_goes_through_all_expressions_then_to_the_next_person() -> None:
    clips = list(plan_set(SetSettings(clips=20)))
    assert [clip.emotion for clip in clips[:8]] == list(EMOTIONS)
    assert [clip.subject for clip in clips] == ["S001"] * 8 + ["S002"] * 8 + ["S003"] * 4
    assert len({clip.clip_id for clip in clips}) == 20


def test_few_subjects_come_again() -> None:
    clips = list(plan_set(SetSettings(clips=6, subjects=2, emotion="fear")))
    assert [clip.subject for clip in clips] == ["S001", "S002"] * 3
    assert {clip.emotion for clip in clips} == {"fear"}


@given(
    clips=st.integers(1, 60),
    people=st.integers(1, 4),
    subjects=st.none() | st.integers(4, 30),
    seed=st.integers(0, 3),
)
def test_no_subject_is_in_two_partitions(
    clips: int, people: int, subjects: int | None, seed: int
) -> None:
    settings = SetSettings(clips=clips, people=people, subjects=subjects, seed=seed)
    parts = defaultdict(set)
    for clip in plan_set(settings):
        parts[clip.subject].add(clip.partition)
    assert all(len(found) == 1 for found in parts.values())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_a_plan(layout: str) -> None:
    settings = SetSettings(clips=36, seconds=0.4)
    clips = list(plan_set(settings, layout=layout))
    assert len(clips) == 36
    assert {clip.frame_count for clip in clips} == {frame_count(settings, layout=layout)}


def test_habits_are_of_layouts_that_exist() -> None:
    assert set(LAYOUT_HABITS) <= set(LAYOUTS)


def test_what_each_data_set_is_like() -> None:
    def first(layout: str, **options: Any) -> Any:
        return next(plan_set(SetSettings(**options), layout=layout))

    assert first("ckplus").dynamics == "onset"
    assert first("jaffe").frame_count == 1
    assert first("recola").emotion is None
    assert first("recola", emotion="anger").emotion == "anger"
    lights = list(plan_set(SetSettings(clips=36), layout="oulu-casia"))
    assert len({clip.emotion for clip in lights}) == 6
    assert {clip.emotion for clip in lights}.isdisjoint({"contempt", "neutral"})
    means = [next(clip.frames()).image_rgb.astype(float) for clip in lights[:6]]
    assert means[0].mean() > means[1].mean() > means[2].mean()
    assert (means[3][..., 0] == means[3][..., 2]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": 0}, "at least 1 clip"),
        ({"people": 9}, "1 to 8 people in a picture; got 9"),
        ({"people": 3, "subjects": 2}, "as many subjects as people"),
        ({"seconds": 0.0}, "above 0 seconds; got 0"),
        ({"people": 2, "dynamics": "fast"}, "the dynamics 'pulse' for clips of several people"),
        ({"cuts": 1}, "at least 2 people in a clip with cuts"),
        ({"emotion": "joy"}, "got 'joy'"),
    ],
)
def test_plans_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SetSettings(**options)
