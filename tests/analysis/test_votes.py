from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.analysis.votes import (
    VoteRule,
    clip_votes,
    frame_blocks,
    frame_pairs,
    vote,
    vote_by_maximum_probability,
    vote_by_sequence,
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


RULES: tuple[VoteRule, ...] = ("maximum-probability", "summed-probabilities")


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from(RULES))
def test_voting_on_many_sequences_at_once_equals_one_by_one(
    seed: int, count: int, rule: VoteRule
) -> None:
    generator = np.random.default_rng(seed)
    # Quarters are exact in binary, so that ties are ties in any order of summing.
    rows = generator.integers(0, 5, (count, 3)) / 4
    sequence = generator.integers(0, 6, count)
    names, winners = vote_by_sequence(rows, sequence, rule)
    assert names.tolist() == sorted(set(sequence.tolist()))
    for name, winner in zip(names.tolist(), winners.tolist(), strict=True):
        assert winner == vote(rows[sequence == name], rule)


def test_rules_by_name_are_the_two_rules() -> None:
    frames = np.array([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0]])
    assert vote(frames, "maximum-probability") == vote_by_maximum_probability(frames) == 0
    assert vote(frames, "summed-probabilities") == vote_by_summed_probabilities(frames) == 1
    with pytest.raises(UsageError, match="or summed-probabilities; got 'mean'"):
        vote(frames, "mean")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a sequence for each of 3 rows"):
        vote_by_sequence(frames, [1, 2], "maximum-probability")


def test_the_papers_pair_is_the_last_of_all_pairs() -> None:
    # The last frame and the fifteenth from the end; sequences under 15 frames are left out.
    frames = np.arange(23)
    assert frames[frame_pairs(23)[-1]].tolist() == [frames[-15], frames[-1]]
    assert frame_pairs(15).tolist() == [[0, 14]]
    assert frame_pairs(14).shape == (0, 2)
    assert frame_pairs(0).shape == (0, 2)


def test_pairs_at_several_distances_and_strides() -> None:
    assert frame_pairs(4, distances=(1, 3)).tolist() == [[0, 1], [1, 2], [2, 3], [0, 3]]
    # Counted back from the end, where the expression is at its strongest.
    assert frame_pairs(6, distances=(2,), stride=2).tolist() == [[1, 3], [3, 5]]
    for wrong in ({"distances": (0,)}, {"stride": 0}):
        with pytest.raises(UsageError, match="at least 1 frame"):
            frame_pairs(20, **wrong)


def test_blocks_are_every_stretch_of_five() -> None:
    assert frame_blocks(5).tolist() == [[0, 1, 2, 3, 4]]
    assert frame_blocks(4).shape == (0, 5)
    assert frame_blocks(9, length=3, stride=4).tolist() == [[0, 1, 2], [4, 5, 6]]
    with pytest.raises(UsageError, match="at least 1 frame"):
        frame_blocks(9, length=0)


def test_a_vote_over_pairs_can_outvote_the_papers_single_pair() -> None:
    # A model that sees rising brightness as class 1, falling as 0; the last frame is damaged.
    frames = np.append(np.linspace(0.0, 1.0, 29), 0.0)
    pairs = frames[frame_pairs(len(frames))]
    is_rising = (pairs[:, 1] > pairs[:, 0]).astype(np.float64)
    predicted = np.stack([1 - is_rising, is_rising], axis=1)
    assert predicted[-1].argmax() == 0
    for rule in RULES:
        assert vote(predicted, rule) == 1
