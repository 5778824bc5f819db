"""When to search the whole picture, and when to look only around the faces that are known.

Searching a whole picture is the dearest step of an analysis, and most of it looks where nobody is.
Between two such searches a detector that can (`RegionalDetector`) looks around each known face
instead: the face is still *detected* in that very frame, at a better resolution than before.
Whatever is in doubt is settled by searching the whole picture at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from emotrace.errors import UsageError
from emotrace.faces.association import box_iou
from emotrace.faces.detector import Detector, best_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from emotrace.timeline import Detection

MOST_REGIONS: Final = 4
"""A region costs YuNet about a sixth of a 640 px search (2.2 to 2.8 ms against 13 to 19 ms on one
core): from five faces on, the whole picture is hardly dearer."""
_SAME_FACE_OVERLAP: Final = 0.3
"""A face that has moved further than this between two frames is not the face that was sought."""
_DUPLICATE_OVERLAP: Final = 0.5
"""Two regions that find boxes overlapping by more have found one face twice."""


@runtime_checkable
class RegionalDetector(Detector, Protocol):
    """A detector that can look around given places only."""

    def detect_near(
        self, image_rgb: NDArray[np.uint8], box_xywh_px: tuple[float, float, float, float]
    ) -> list[Detection]:
        """Find the faces around a box; places outside its neighbourhood are not looked at."""
        ...


class FaceSearch:
    """Runs a detector over the frames of one video.

    Args:
        detector: Any; one that is not a `RegionalDetector` always searches the whole picture.
        search_every: Frames from one search of the whole picture to the next, while faces are
            known; a further face that appears is found up to this many frames less one late. 1
            searches every whole picture.

    Raises:
        UsageError: `search_every` is below 1.
    """

    def __init__(self, detector: Detector, *, search_every: int) -> None:
        if search_every < 1:
            raise UsageError(f"expected search_every of at least 1; got {search_every}")
        self._detector = detector
        self._search_every = search_every
        self._last_search = -search_every

    def detect(
        self,
        image_rgb: NDArray[np.uint8],
        *,
        frame_index: int,
        known: Sequence[Detection],
        is_new_shot: bool,
    ) -> list[Detection]:
        """Find the faces of a frame.

        Args:
            image_rgb: `(height, width, 3)`, uint8.
            frame_index: Of the frame; must rise from call to call.
            known: The faces of the frame before.
            is_new_shot: What was known says nothing of this frame.

        Returns:
            Detections, best first.
        """
        is_due = frame_index - self._last_search >= self._search_every
        if not is_due and not is_new_shot and 0 < len(known) <= MOST_REGIONS:
            found = self._look_around(image_rgb, known)
            if found is not None:
                return found
        self._last_search = frame_index
        return self._look_again(image_rgb, self._detector.detect(image_rgb))

    def _look_again(self, image_rgb: NDArray[np.uint8], found: list[Detection]) -> list[Detection]:
        """Give the faces of a whole search the boxes that looking around them gives.

        YuNet's box depends on how large it sees the face. Boxes of two kinds in turn made the
        crop jump, by up to 12 % of its size in every fifth frame of the real clips.
        """
        detector = self._detector
        is_mixed = self._search_every > 1 and len(found) <= MOST_REGIONS
        if not is_mixed or not isinstance(detector, RegionalDetector):
            return found
        framed: list[Detection] = []
        for face in found:
            near = detector.detect_near(image_rgb, face.box_xywh_px)
            overlaps = [box_iou(one.box_xywh_px, face.box_xywh_px) for one in near]
            is_same = bool(overlaps) and max(overlaps) >= _DUPLICATE_OVERLAP
            best = near[overlaps.index(max(overlaps))] if is_same else face
            is_twice = any(
                box_iou(best.box_xywh_px, one.box_xywh_px) > _DUPLICATE_OVERLAP for one in framed
            )
            framed.append(face if is_twice else best)
        return best_first(framed)

    def _look_around(
        self, image_rgb: NDArray[np.uint8], known: Sequence[Detection]
    ) -> list[Detection] | None:
        """Return one detection for each known face, or None where anything is in doubt."""
        detector = self._detector
        if not isinstance(detector, RegionalDetector):
            return None
        found: list[Detection] = []
        for face in known:
            candidates = detector.detect_near(image_rgb, face.box_xywh_px)
            overlaps = [
                box_iou(candidate.box_xywh_px, face.box_xywh_px) for candidate in candidates
            ]
            if not overlaps or max(overlaps) < _SAME_FACE_OVERLAP:
                return None
            best = candidates[overlaps.index(max(overlaps))]
            for other in found:
                overlap = box_iou(best.box_xywh_px, other.box_xywh_px)
                if overlap > _DUPLICATE_OVERLAP:
                    return None
            found.append(best)
        return best_first(found)
