"""From frames to faces with ids: shot cuts, search and tracking in the one order that is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotrace.faces.search import FaceSearch
from emotrace.faces.tracker import FaceTracker
from emotrace.video.shots import ShotCutDetector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emotrace.faces.detector import Detector
    from emotrace.timeline import Detection, TrackedFace


class FaceFollower:
    """Finds and follows the faces of one video, frame by frame.

    Args:
        detector: Finds faces; belongs to this follower's thread.
        detect_every: Frames from one run of the detector to the next; optical flow between. The
            first frame of a shot is always searched.
        search_every: See `FaceSearch`.

    Raises:
        UsageError: `search_every` is below 1.
    """

    def __init__(self, detector: Detector, *, detect_every: int, search_every: int) -> None:
        self._search = FaceSearch(detector, search_every=search_every)
        self._tracker, self._cuts = FaceTracker(), ShotCutDetector()
        self._detect_every = self._since_detection = detect_every
        self._known: list[Detection] = []

    def look(
        self, image_rgb: NDArray[np.uint8], *, frame_index: int, timestamp_seconds: float
    ) -> tuple[list[TrackedFace], bool]:
        """Return the next frame's faces, and whether it is the first of a new shot."""
        is_cut = self._cuts.update(image_rgb)
        is_due = is_cut or self._since_detection >= self._detect_every
        detections = None
        if is_due:
            detections = self._search.detect(
                image_rgb, frame_index=frame_index, known=self._known, is_new_shot=is_cut
            )
        self._since_detection = 1 if is_due else self._since_detection + 1
        faces = self._tracker.update(
            image_rgb, detections, timestamp_seconds=timestamp_seconds, is_cut=is_cut
        )
        self._known = [face.detection for face in faces]
        return faces, is_cut
