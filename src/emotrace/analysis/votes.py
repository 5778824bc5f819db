"""One expression for a whole clip, by vote of its frames (salinas2018, section IV-C1, Fig. 16).

Two rules, each with every frame counting once, however long it was on screen:

- *maximum probability*: each frame votes for its most probable expression; most votes win. Ties are
  broken by the summed probabilities of the tied expressions, then by the order of `EMOTIONS`.
- *summed probabilities*: the probabilities of all frames are added up; the largest sum wins. Ties
  go to the first in the order of `EMOTIONS`.

A frame whose two largest probabilities are equal votes for the first of them in that order. The
paper does not say how it breaks ties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emotrace.analysis.tracks import face_tracks
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


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
