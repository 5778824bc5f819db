"""How well detections and tracks fit known faces: recall, precision, identity switches, IDF1.

Sources: identity switches as in CLEAR MOT (Bernardin and Stiefelhagen 2008, "Evaluating multiple
object tracking performance", EURASIP Journal on Image and Video Processing), IDF1 as in Ristani et
al. (2016, "Performance measures and a data set for multi-target, multi-camera tracking").
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emotrace.errors import UsageError
from emotrace.faces.association import box_iou, match_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Box = tuple[float, float, float, float]
    Faces = Mapping[int, Box]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingScores:
    """How a tracker did on known faces."""

    faces: int
    """Known faces over all frames that had to be found."""
    found: int
    """Of these, how many have a matching box."""
    false_boxes: int
    """Boxes that match no known face."""
    identity_switches: int
    """How often a known face is matched to another id than the last time it was matched."""
    idf1: float
    """In [0, 1]: F1 over frames of the best one-to-one match of ids to people; NaN for nothing."""

    @property
    def recall(self) -> float:
        """Share of the known faces that were found; NaN where there was none."""
        return self.found / self.faces if self.faces else float("nan")

    @property
    def precision(self) -> float:
        """Share of the boxes that match a known face; NaN where there was no box."""
        boxes = self.found + self.false_boxes
        return self.found / boxes if boxes else float("nan")


def score_tracking(
    known: Sequence[Faces],
    tracked: Sequence[Faces],
    *,
    may_be_missed: Sequence[Faces] | None = None,
    min_overlap: float = 0.4,
) -> TrackingScores:
    """Score tracks against known faces.

    Args:
        known: For each frame, the box of each person that must be found, by the person's number.
        tracked: For each frame, the boxes found, by `face_id`.
        may_be_missed: For each frame, faces that count neither as found nor as missed (mostly
            hidden ones); a box on one of them is no false one.
        min_overlap: Least intersection over union of a match. Detectors frame faces differently, so
            this is lower than the 0.5 of general objects.

    Raises:
        UsageError: The sequences differ in length.

    >>> box = (0.0, 0.0, 10.0, 10.0)
    >>> scores = score_tracking([{1: box}] * 4, [{7: box}, {7: box}, {8: box}, {}])
    >>> scores.found, scores.identity_switches, round(scores.idf1, 3)
    (3, 1, 0.571)
    """
    ignored: Sequence[Faces] = [{}] * len(known) if may_be_missed is None else may_be_missed
    if not len(known) == len(tracked) == len(ignored):
        raise UsageError(
            "expected as many frames known as tracked; "
            f"got {len(known)}, {len(tracked)} and {len(ignored)}"
        )
    together: Counter[tuple[int, int]] = Counter()
    last_id: dict[int, int] = {}
    found = switches = false_boxes = boxes = 0
    for truth, faces, hidden in zip(known, tracked, ignored, strict=True):
        pairs = _match(truth, faces, last_id, min_overlap)
        rest = {key: box for key, box in faces.items() if key not in pairs.values()}
        excused = set(_match(hidden, rest, {}, min_overlap).values())
        counted = {key: box for key, box in faces.items() if key not in excused}
        found += len(pairs)
        boxes += len(counted)
        false_boxes += len(counted) - len(pairs)
        for person, face_id in pairs.items():
            switches += last_id.get(person, face_id) != face_id
            last_id[person] = face_id
        together.update(
            (person, face_id)
            for person, box in truth.items()
            for face_id, other in counted.items()
            if box_iou(box, other) >= min_overlap
        )
    total = sum(len(truth) for truth in known)
    both = total + boxes
    return TrackingScores(
        faces=total,
        found=found,
        false_boxes=false_boxes,
        identity_switches=switches,
        idf1=2 * _best_identity_match(together) / both if both else float("nan"),
    )


def _match(
    truth: Faces, faces: Faces, last_id: Mapping[int, int], min_overlap: float
) -> dict[int, int]:
    """Match people to boxes; a match that still holds is kept before new ones are made."""
    pairs = {
        person: last_id[person]
        for person, box in truth.items()
        if last_id.get(person) in faces and box_iou(box, faces[last_id[person]]) >= min_overlap
    }
    if len(set(pairs.values())) < len(pairs):  # two people were matched to one id in turn
        pairs = {}
    people = [person for person in truth if person not in pairs]
    ids = [face_id for face_id in faces if face_id not in pairs.values()]
    if people and ids:
        costs = np.array([[1 - box_iou(truth[p], faces[i]) for i in ids] for p in people])
        # Costs of exactly the limit are matches: match_pairs wants them below it.
        limit = 1 - min_overlap + 1e-9
        pairs |= {people[p]: ids[i] for p, i in match_pairs(costs, unmatched_cost=limit)}
    return pairs


def _best_identity_match(together: Counter[tuple[int, int]]) -> int:
    """Return how many frames the best one-to-one match of people to ids covers."""
    if not together:
        return 0
    people = sorted({person for person, _ in together})
    ids = sorted({face_id for _, face_id in together})
    frames = np.array([[together[person, face_id] for face_id in ids] for person in people])
    most = float(frames.max() + 1)
    pairs = match_pairs(most - frames, unmatched_cost=most)
    return int(sum(frames[row, column] for row, column in pairs))
