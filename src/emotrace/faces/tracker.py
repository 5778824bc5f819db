"""Who is who: detections become tracks with a `face_id` that holds for the video.

Each frame, detections are given to the tracks they fit (place, size and look; the best match over
all). A track without a detection is carried by optical flow for a while, then remembered for some
seconds, so that its person gets the same id back. A shot cut ends everything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.errors import UsageError
from emotrace.faces.appearance import describe
from emotrace.faces.association import (
    IMPOSSIBLE,
    center_distance,
    covered_share,
    match_pairs,
    size_ratio,
)
from emotrace.faces.detector import best_first, check_image
from emotrace.faces.flow import FlowSettings, carry_by_flow
from emotrace.faces.track import Track
from emotrace.timeline import FaceSource, TrackedFace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emotrace.faces.appearance import Appearance
    from emotrace.faces.association import Box
    from emotrace.timeline import Detection


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSettings:
    """How faces are followed.

    Similarities are those of `emotrace.faces.appearance.similarity`. Measured on the real clips
    with YuNet: the same person one frame later 0.88 or more (19 of 20 times), 20 frames later 0.66
    or more; two people of one shot 0.34 to 0.76 (median of each clip).
    """

    confirm_score: float = 0.75
    """A detection this sure starts a person at once. YuNet gives small, clear faces 0.88."""
    confirm_evidence: float = 1.3
    """Less sure ones must add up: two YuNet detections of 0.65, three bare Haar ones of 0.5."""
    max_carry_seconds: float = 1.0
    """So long a face is carried by flow while the detector runs but does not find it."""
    tentative_seconds: float = 0.3
    """The same for a face that is not confirmed yet."""
    memory_seconds: float = 5.0
    """So long someone out of sight is remembered."""
    match_distance: float = 0.6
    """Farthest way from where a face was expected, in face sizes, ..."""
    match_speed: float = 3.0
    """... plus so many face sizes per second since it was seen. People on foot stay below 2."""
    max_size_ratio: float = 1.7
    """A face does not change its size by more than this factor between two sights of it."""
    match_similarity: float = 0.45
    """Less alike than this, even the face exactly where it was expected is someone else's.

    The demand rises to `near_similarity` at the edge of the reach.
    """
    carry_similarity: float = 0.6
    """Less alike than this, a carried box no longer shows the face."""
    near_similarity: float = 0.7
    """Someone who reappears near by gets the old id back if at least so alike ..."""
    near_speed: float = 4.0
    """... and at most so many face sizes per second (plus one) away."""
    far_similarity: float = 0.85
    """Someone who reappears anywhere in the shot gets the old id back if at least so alike."""
    cut_similarity: float | None = None
    """The same after a shot cut; None never carries an id across a cut."""
    appearance_rate: float = 0.1
    """Weight of a new sight in the remembered look: it follows a turning head in half a second."""
    max_covered_share: float = 0.5
    """A face of which another one covers more than this is hidden behind it."""
    flow: FlowSettings = field(default_factory=FlowSettings)

    def __post_init__(self) -> None:
        if self.max_size_ratio < 1:
            raise UsageError(f"expected max_size_ratio >= 1; got {self.max_size_ratio}")
        for name in ("max_carry_seconds", "tentative_seconds", "memory_seconds"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"expected {name} >= 0; got {getattr(self, name)}")


_PLACE_WEIGHT: Final = 0.5
_SIZE_WEIGHT: Final = 0.25
_LOOK_WEIGHT: Final = 1.0
"""A pair's cost adds distance (as a share of the reach), log size ratio and unlikeness (0 to 1).

Look weighs most: where two people cross, both are in the right place, and two people of one shot
differ by 0.3 to 0.6 in likeness, one person from frame to frame by less than 0.1.
"""
_UNMATCHED_COST: Final = 2.0
"""Above every pair's cost: the limits decide what may match, the cost what matches best."""
_CLEAR_SHARE: Final = 0.05
"""A look is learned, and someone new is seen, only while no other face covers more than this share.

YuNet now and then puts a second box on the hair of a bowed head (scores to 0.81; it overlaps the
face's box by 0.1 to 0.45 in the street clip).
"""


_RECOGNITION_PLACE_WEIGHT: Final = 0.02
"""Weight of the distance (in face sizes) where someone is recognised: it only breaks ties."""
_FAR_AFTER_SECONDS: Final = 0.5
"""Nobody leaves one place of a shot and appears in a distant one in less time."""


class FaceTracker:
    """Follows the faces of one video, frame by frame.

    Feed every frame in order. Nothing depends on the order of a frame's detections. Between two
    calls the tracker keeps the last picture (not a copy): it must not be written to.
    """

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame starts a new video, ids start at 1."""
        self._active: list[Track] = []
        self._lost: list[Track] = []
        self._next_id = 1
        self._has_detected = False
        self._previous_rgb: NDArray[np.uint8] | None = None
        self._now_seconds = -math.inf

    def update(
        self,
        image_rgb: NDArray[np.uint8],
        detections: Sequence[Detection] | None,
        *,
        timestamp_seconds: float,
        is_cut: bool,
    ) -> list[TrackedFace]:
        """Take the next frame and say which faces are in it.

        A face is confirmed (and gets rows) at once where its detection is sure enough, and in the
        first frame that the detector sees, which has no past to wait for; else when its detections
        add up (`TrackerSettings.confirm_evidence`).

        Args:
            image_rgb: `(height, width, 3)`, uint8.
            detections: What the detector found; None where it did not run on this frame (faces are
                then carried by optical flow).
            timestamp_seconds: The frame's presentation time.
            is_cut: The frame is the first of a new shot.

        Returns:
            The confirmed faces, by `face_id`: `detected` where a detection was matched, `tracked`
            where flow carried the face here (its score is the last detection's, times how alike the
            place still looks).

        Raises:
            UsageError: The picture has another shape or type.
        """
        check_image(image_rgb)
        # A container may repeat a time; going back must not make negative durations.
        self._now_seconds = max(timestamp_seconds, self._now_seconds)
        if is_cut:
            self._end_shot()
        if detections is None:
            missed, self._active = self._active, []
            faces = self._carry(missed, image_rgb, [], detector_ran=False)
        else:
            faces = self._take_detections(image_rgb, best_first(list(detections)))
        self._lost = [
            track
            for track in self._lost
            if self._now_seconds - track.seen_seconds <= self.settings.memory_seconds
        ]
        self._previous_rgb = image_rgb
        return sorted(faces, key=lambda face: face.face_id)

    def _end_shot(self) -> None:
        if self.settings.cut_similarity is None:
            self._lost = []
        else:
            self._lost += [track for track in self._active if track.face_id is not None]
        for track in self._lost:
            track.has_crossed_cut = True
        self._active = []

    def _take_detections(
        self, image_rgb: NDArray[np.uint8], detections: list[Detection]
    ) -> list[TrackedFace]:
        boxes = [item.box_xywh_px for item in detections]
        looks = [describe(image_rgb, item) for item in detections]
        followed = self._active
        owners = self._follow(followed, boxes, looks)
        self._recognise(followed, boxes, looks, owners)
        missed = [track for track in followed if track not in owners.values()]
        for index, track in owners.items():
            is_clear = all(
                covered_share(boxes[index], box) <= _CLEAR_SHARE
                for other, box in enumerate(boxes)
                if other != index
            )
            track.accept(
                detections[index],
                self._now_seconds,
                look=looks[index] if is_clear else None,
                appearance_rate=self.settings.appearance_rate,
            )
        self._start(detections, looks, owners)
        self._active = list(owners.values())
        self._confirm()
        self._has_detected = True
        faces = [
            TrackedFace(
                face_id=track.face_id, detection=track.detection, source=FaceSource.DETECTED
            )
            for track in self._active
            if track.face_id is not None
        ]
        return faces + self._carry(missed, image_rgb, boxes, detector_ran=True)

    def _follow(
        self, tracks: list[Track], boxes: list[Box], looks: list[Appearance]
    ) -> dict[int, Track]:
        """Match detections to the tracks of the frame before; return the owners by detection."""
        settings = self.settings
        costs = np.full((len(tracks), len(boxes)), IMPOSSIBLE)
        for i, track in enumerate(tracks):
            expected = track.expected_box(self._now_seconds)
            gap = self._now_seconds - track.seen_seconds
            reach = settings.match_distance + settings.match_speed * gap
            for j, box in enumerate(boxes):
                distance = center_distance(expected, box)
                ratio = size_ratio(expected, box)
                if distance > reach or ratio > settings.max_size_ratio:
                    continue
                alike = track.likeness(looks[j])
                demand = settings.near_similarity - settings.match_similarity
                if alike >= settings.match_similarity + demand * distance / reach:
                    costs[i, j] = (
                        _PLACE_WEIGHT * distance / reach
                        + _SIZE_WEIGHT * math.log(ratio)
                        + _LOOK_WEIGHT * (1 - alike)
                    )
        pairs = match_pairs(costs, unmatched_cost=_UNMATCHED_COST)
        return {j: tracks[i] for i, j in pairs}

    def _recognise(
        self,
        followed: list[Track],
        boxes: list[Box],
        looks: list[Appearance],
        owners: dict[int, Track],
    ) -> None:
        """Give detections that nobody claimed to people out of sight, by their looks.

        A second box on the face of somebody who is in sight is nobody's.
        """
        taken = list(owners.values())
        people = self._lost + [
            track for track in followed if track.face_id is not None and track not in taken
        ]
        free = [
            j
            for j, box in enumerate(boxes)
            if j not in owners
            and all(
                covered_share(box, boxes[other]) <= self.settings.max_covered_share
                for other in owners
            )
        ]
        costs = np.full((len(people), len(free)), IMPOSSIBLE)
        for i, track in enumerate(people):
            for k, j in enumerate(free):
                alike = track.likeness(looks[j])
                distance = center_distance(track.detection.box_xywh_px, boxes[j])
                if self._is_same_person(track, boxes[j], alike, distance):
                    costs[i, k] = 1 - alike + _RECOGNITION_PLACE_WEIGHT * min(distance, 10.0)
        for i, k in match_pairs(costs, unmatched_cost=_UNMATCHED_COST):
            owners[free[k]] = people[i]
        self._lost = [track for track in self._lost if track not in owners.values()]

    def _is_same_person(self, track: Track, box: Box, alike: float, distance: float) -> bool:
        settings = self.settings
        if track.has_crossed_cut:
            return settings.cut_similarity is not None and alike >= settings.cut_similarity
        gap = self._now_seconds - track.seen_seconds
        if gap >= _FAR_AFTER_SECONDS and alike >= settings.far_similarity:
            return True
        return (
            distance <= 1 + settings.near_speed * gap
            and size_ratio(track.detection.box_xywh_px, box) <= settings.max_size_ratio
            and alike >= settings.near_similarity
        )

    def _start(
        self, detections: list[Detection], looks: list[Appearance], owners: dict[int, Track]
    ) -> None:
        """Start a track for each detection that is nobody's and no second box on someone's face."""
        for j, detection in enumerate(detections):
            if j in owners:
                continue
            if any(
                covered_share(detection.box_xywh_px, detections[other].box_xywh_px) > _CLEAR_SHARE
                for other in owners
            ):
                continue
            owners[j] = Track(
                detection=detection,
                detected_score=detection.score,
                look=looks[j],
                recent_look=looks[j],
                typical_score=detection.score,
                evidence=detection.score,
                seen_seconds=self._now_seconds,
            )

    def _confirm(self) -> None:
        """Give ids to those who are due; from left to right where several are."""
        settings = self.settings
        due = [
            track
            for track in self._active
            if track.face_id is None
            and (
                not self._has_detected
                or track.detected_score >= settings.confirm_score
                or track.evidence >= settings.confirm_evidence
            )
        ]
        for track in sorted(due, key=lambda item: item.detection.box_xywh_px):
            track.face_id = self._next_id
            self._next_id += 1

    def _carry(
        self,
        tracks: list[Track],
        image_rgb: NDArray[np.uint8],
        boxes: list[Box],
        *,
        detector_ran: bool,
    ) -> list[TrackedFace]:
        """Carry tracks without a detection into this frame; remember those that cannot be."""
        faces = []
        for track in tracks:
            if detector_ran and track.missed_since_seconds is None:
                track.missed_since_seconds = self._now_seconds
            carried = self._carried(track, image_rgb, boxes)
            if carried is not None:
                track.move_to(carried, self._now_seconds)
                self._active.append(track)
                if track.face_id is not None:
                    faces.append(
                        TrackedFace(
                            face_id=track.face_id, detection=carried, source=FaceSource.TRACKED
                        )
                    )
            elif track.face_id is not None:
                self._lost.append(track)
        return faces

    def _carried(
        self, track: Track, image_rgb: NDArray[np.uint8], boxes: list[Box]
    ) -> Detection | None:
        """Return the face's place in this frame by flow; None where it cannot be trusted."""
        settings = self.settings
        if self._previous_rgb is None:
            return None
        if track.missed_since_seconds is not None:
            limit = (
                settings.tentative_seconds if track.face_id is None else settings.max_carry_seconds
            )
            if self._now_seconds - track.missed_since_seconds > limit:
                return None
        moved = carry_by_flow(self._previous_rgb, image_rgb, track.detection, settings.flow)
        if moved is None:
            return None
        x, y, width, height = moved.box_xywh_px
        if not (
            0 <= x + width / 2 < image_rgb.shape[1] and 0 <= y + height / 2 < image_rgb.shape[0]
        ):
            return None
        if any(covered_share(moved.box_xywh_px, box) > settings.max_covered_share for box in boxes):
            return None
        alike = track.likeness(describe(image_rgb, moved))
        if alike < settings.carry_similarity:
            return None
        return replace(moved, score=track.detected_score * alike)
