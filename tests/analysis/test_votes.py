from __future__ import annotations

import numpy as np
import pytest

from emotrace.analysis.votes import (
    clip_votes,
    vote_by_maximum_probability,
    vote_by_summed_probabilities,
)
from emotrace.errors import UsageError
from tests.analysis.timelines import make_table, probabilities_of


def test_the_two_rules_can_disagree() -> None:
    frames = np.array([[0.4, 0.35, 0.25], [0.4, 0.35, 0.25], [0.0, 1.0, 0.0]])
    assert vote_by_maximum_probability(frames) == 0
    assert vote_by_summed_probabilities(frames) == 1


def test_ties_of_votes_go_to_the_larger_sum_then_to_the_first() -> None:
    assert vote_by_maximum_probability(np.array([[0.6, 0.4], [0.1, 0.9]])) == 1
    assert vote_by_maximum_probability(np.array([[0.2, 0.8], [0.8, 0.2]])) == 0
    assert vote_by_summed_probabilities(np.array([[0.25, 0.75], [0.75, 0.25]])) == 0
    # Class 2 has the largest sum but fewer votes than the tied 0 and 1.
    frames = np.array([[0.5, 0, 0.5], [0.5, 0, 0.5], [0, 0.6, 0.4], [0, 0.6, 0.4]])
    assert vote_by_maximum_probability(frames) == 1


@pytest.mark.parametrize("shape", [(0, 8), (8,), (3, 0)])
def test_no_frames_no_vote(shape: tuple[int, ...]) -> None:
    for rule in (vote_by_maximum_probability, vote_by_summed_probabilities):
        with pytest.raises(UsageError, match="at least one frame"):
            rule(np.zeros(shape))


def test_each_face_votes_for_itself_and_time_does_not_weigh() -> None:
    happy, sad = probabilities_of("happiness", 0.5), probabilities_of("sadness", 0.99)
    # Face 1: two short happy frames, one sad frame that lasts for ten seconds.
    table = make_table([0.0, 0.1, 0.2], [{1: happy, 2: sad}, {1: happy}, {1: sad}])
    first, second = clip_votes(table)
    assert (first.face_id, first.frame_count) == (1, 3)
    assert first.by_maximum_probability == "happiness"
    assert first.by_summed_probabilities == "sadness"
    assert (second.face_id, second.by_maximum_probability) == (2, "sadness")
