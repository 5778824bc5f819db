"""One expression for a whole clip, by vote of its frames (salinas2018, section VI-B1, Fig. 16).

Two rules, each with every frame counting once, however long it was on screen:

- *maximum probability*: each frame votes for its most probable expression; most votes win. Ties are
  broken by the summed probabilities of the tied expressions, then by the order of `EMOTIONS`.
- *summed probabilities*: the probabilities of all frames are added up; the largest sum wins. Ties
  go to the first in the order of `EMOTIONS`.

A frame whose two largest probabilities are equal votes for the first of them in that order. The
paper does not say how it breaks ties.

What votes need not be a frame. Single Frame votes over all frames; 3D Convolution over blocks of
five at stride 1 (`frame_blocks`); Late Fusion sees one pair, the last frame and the fifteenth from
the end. The paper's outlook (section VII) proposes to predict from different pairs and then vote:
`frame_pairs`. Whatever the rows stand for, the rules are the same::

    pairs = frame_pairs(len(frames))                  # (pairs, 2) positions
    winner = vote(model(frames[pairs]), "summed-probabilities")

All of this looks at the whole clip, so none of it is causal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from emotrace.analysis.tracks import face_tracks
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import ArrayLike, NDArray

VoteRule = Literal["maximum-probability", "summed-probabilities"]

LATE_FUSION_DISTANCE: Final = 14
"""From the fifteenth frame counted from the end to the last one (salinas2018, section VI-B3)."""
BLOCK_LENGTH: Final = 5
"""Frames that salinas2018's 3D Convolution sees at once (section VI-B5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipVotes:
    """The votes on one face over all its frames."""

    face_id: int
    frame_count: int
    by_maximum_probability: str
    """Winner when each frame votes for its top expression."""
    by_summed_probabilities: str
    """Winner by the sum of probabilities."""


def vote_by_maximum_probability(probabilities: NDArray[np.floating]) -> int:
    """Return the class that is the most probable one of most frames.

    Args:
        probabilities: `(frames, classes)` with at least one frame.

    Returns:
        The class's position. Ties: larger sum of probabilities, then smaller position.

    Raises:
        UsageError: Another shape, or no frame.

    >>> import numpy as np
    >>> vote_by_maximum_probability(np.array([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0]]))
    0
    """
    _check(probabilities)
    counts = np.bincount(np.argmax(probabilities, axis=1), minlength=probabilities.shape[1])
    sums = probabilities.sum(axis=0, dtype=np.float64)
    tied = counts == counts.max()
    return int(np.argmax(np.where(tied, sums, -np.inf)))


def vote_by_summed_probabilities(probabilities: NDArray[np.floating]) -> int:
    """Return the class with the largest sum of probabilities over all frames.

    Args:
        probabilities: `(frames, classes)` with at least one frame.

    Returns:
        The class's position. Ties: smaller position.

    Raises:
        UsageError: Another shape, or no frame.

    >>> import numpy as np
    >>> vote_by_summed_probabilities(np.array([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0]]))
    1
    """
    _check(probabilities)
    return int(np.argmax(probabilities.sum(axis=0, dtype=np.float64)))


def vote(probabilities: NDArray[np.floating], rule: VoteRule) -> int:
    """Vote by the rule of that name: over frames, blocks or pairs, one row each.

    Raises:
        UsageError: There is no such rule, another shape, or no row.
    """
    _check_rule(rule)
    if rule == "maximum-probability":
        return vote_by_maximum_probability(probabilities)
    return vote_by_summed_probabilities(probabilities)


def vote_by_sequence(
    probabilities: NDArray[np.floating], sequence: ArrayLike, rule: VoteRule
) -> tuple[NDArray[np.generic], NDArray[np.int64]]:
    """Vote on every sequence of a long table at once.

    Args:
        probabilities: `(n, classes)`: rows of any number of sequences, in any order.
        sequence: `(n,)`: the sequence of each row, numbers or names.
        rule: As for `vote`, ties included.

    Returns:
        `(sequences,)` names in rising order, and `(sequences,)` winning positions.

    Raises:
        UsageError: There is no such rule, another shape, or no row.

    >>> import numpy as np
    >>> rows = np.array([[0.6, 0.4], [0.2, 0.8], [0.6, 0.4]])
    >>> vote_by_sequence(rows, ["b", "a", "b"], "summed-probabilities")[1].tolist()
    [1, 0]
    """
    _check_rule(rule)
    _check(probabilities)
    labels = np.asarray(sequence)
    if labels.shape != (len(probabilities),):
        raise UsageError(
            f"expected a sequence for each of {len(probabilities)} rows; got {labels.shape}"
        )
    names, group = np.unique(labels, return_inverse=True)
    classes = probabilities.shape[1]
    values = np.asarray(probabilities, np.float64)
    sums = np.stack([np.bincount(group, column, len(names)) for column in values.T], axis=1)
    if rule == "summed-probabilities":
        return names, sums.argmax(axis=1)
    cells = np.bincount(group * classes + values.argmax(axis=1), minlength=len(names) * classes)
    counts = cells.reshape(len(names), classes)
    tied = counts == counts.max(axis=1, keepdims=True)
    return names, np.where(tied, sums, -np.inf).argmax(axis=1)


def frame_pairs(
    frame_count: int, *, distances: Sequence[int] = (LATE_FUSION_DISTANCE,), stride: int = 1
) -> NDArray[np.int64]:
    """Return the pairs of frames for a vote over pairs, each `distances` apart.

    The paper names the idea (section VII) and no pairs. By default every pair that is as far apart
    as the two frames Late Fusion was trained on; its own pair is the last row.

    Args:
        frame_count: Frames in the sequence.
        distances: From the first frame of a pair to its second one, in frames; several allowed.
        stride: Frames from one pair to the next of the same distance, counted back from the end.

    Returns:
        `(pairs, 2)` positions, distance by distance, earlier pairs first; no row where the sequence
        is too short.

    Raises:
        UsageError: A distance or the stride is below 1.

    >>> frame_pairs(17).tolist()
    [[0, 14], [1, 15], [2, 16]]
    """
    if stride < 1 or any(distance < 1 for distance in distances):
        raise UsageError(
            f"expected distances and stride of at least 1 frame; got {tuple(distances)} and "
            f"{stride}"
        )
    parts = [np.zeros((0, 2), np.int64)]
    for distance in distances:
        second = np.arange(frame_count - 1, distance - 1, -stride, dtype=np.int64)[::-1]
        parts.append(np.stack([second - distance, second], axis=1))
    return np.concatenate(parts)


def frame_blocks(
    frame_count: int, *, length: int = BLOCK_LENGTH, stride: int = 1
) -> NDArray[np.int64]:
    """Return the blocks of consecutive frames that salinas2018's 3D Convolution votes over.

    Args:
        frame_count: Frames in the sequence.
        length: Frames in a block.
        stride: Frames from one block to the next, counted from the start.

    Returns:
        `(blocks, length)` positions; no row where the sequence is too short.

    Raises:
        UsageError: The length or the stride is below 1.

    >>> frame_blocks(6).tolist()
    [[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]
    """
    if stride < 1 or length < 1:
        raise UsageError(
            f"expected length and stride of at least 1 frame; got {length} and {stride}"
        )
    first = np.arange(0, max(frame_count - length + 1, 0), stride, dtype=np.int64)
    return first[:, None] + np.arange(length)


def clip_votes(table: pa.Table) -> list[ClipVotes]:
    """Vote on each face of a timeline table, in the order of `face_id`.

    Raises:
        UsageError: The table is not a timeline in frame order.
    """
    return [
        ClipVotes(
            face_id=track.face_id,
            frame_count=len(track.rows),
            by_maximum_probability=EMOTIONS[vote_by_maximum_probability(track.probabilities)],
            by_summed_probabilities=EMOTIONS[vote_by_summed_probabilities(track.probabilities)],
        )
        for track in face_tracks(table)
    ]


def _check(probabilities: NDArray[np.floating]) -> None:
    if probabilities.ndim != 2 or 0 in probabilities.shape:
        raise UsageError(
            "expected probabilities of shape (frames, classes) with at least one frame; "
            f"got {probabilities.shape}"
        )


def _check_rule(rule: str) -> None:
    if rule not in get_args(VoteRule):
        raise UsageError(f"expected a vote by {' or '.join(get_args(VoteRule))}; got {rule!r}")
