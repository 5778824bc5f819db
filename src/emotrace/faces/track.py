"""One person's track: where the face is, how it moves and what the person looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emotrace.faces.appearance import Appearance, blend, similarity

if TYPE_CHECKING:
    from emotrace.faces.association import Box
    from emotrace.timeline import Detection

_PREDICTION_SECONDS: Final = 0.2
"""A face goes on as it went for no longer than this; people stop and turn."""
_VELOCITY_RATE: Final = 0.5
"""Weight of the newest step in a face's velocity: halves the detector's jitter."""
_SURE_SHARE: Final = 0.9
_TYPICAL_SCORE_RATE: Final = 0.05
"""A look is learned only from detections with at least this share of the track's usual score.

Where one face slides behind another, YuNet puts one box on both and its score drops (0.85 to 0.6 in
the street clip): learning from those would hand the id over to whoever is in front.
"""


@dataclass(slots=True, kw_only=True, eq=False)
class Track:
    """One person, confirmed (with an id) or not yet."""

    detection: Detection
    """Where the face was last; carried along by flow."""
    detected_score: float
    """The score of the last real detection."""
    look: Appearance
    """How the person looked in the last few seconds."""
    recent_look: Appearance
    """How the person looked in the last clear and sure detection."""
    typical_score: float
    """A slow mean of the scores of its detections."""
    evidence: float
    """Sum of the scores of all detections so far."""
    seen_seconds: float
    """When the face was last in a frame, detected or carried."""
    face_id: int | None = None
    missed_since_seconds: float | None = None
    """The first time that the detector ran without finding it; None while it finds it."""
    velocity: tuple[float, float] = (0.0, 0.0)
    """Of the box's centre, pixels per second."""
    has_crossed_cut: bool = False

    def expected_box(self, now_seconds: float) -> Box:
        """Return where the face should be now, at the pace it had."""
        x, y, width, height = self.detection.box_xywh_px
        ahead = min(now_seconds - self.seen_seconds, _PREDICTION_SECONDS)
        return x + self.velocity[0] * ahead, y + self.velocity[1] * ahead, width, height

    def likeness(self, look: Appearance) -> float:
        """Return how alike `look` is to this person as known, or as seen last: heads turn."""
        return max(similarity(self.look, look), similarity(self.recent_look, look))

    def move_to(self, detection: Detection, now_seconds: float) -> None:
        """Take a new place, and learn the velocity from the way to it."""
        elapsed = now_seconds - self.seen_seconds
        if 0 < elapsed <= _PREDICTION_SECONDS:
            old, new = self.detection.box_xywh_px, detection.box_xywh_px
            way_x = new[0] + new[2] / 2 - old[0] - old[2] / 2
            way_y = new[1] + new[3] / 2 - old[1] - old[3] / 2
            rate = _VELOCITY_RATE
            self.velocity = (
                (1 - rate) * self.velocity[0] + rate * way_x / elapsed,
                (1 - rate) * self.velocity[1] + rate * way_y / elapsed,
            )
        elif elapsed > 0:
            self.velocity = (0.0, 0.0)
        self.detection = detection
        self.seen_seconds = now_seconds

    def accept(
        self,
        detection: Detection,
        now_seconds: float,
        *,
        look: Appearance | None,
        appearance_rate: float,
    ) -> None:
        """Take a detection as this person's.

        Args:
            detection: Where the face is now.
            now_seconds: The frame's time.
            look: How the person looks there; None where another face covers part of it.
            appearance_rate: Weight of `look` in the remembered one.
        """
        is_sure = detection.score >= _SURE_SHARE * self.typical_score
        self.move_to(detection, now_seconds)
        self.detected_score = detection.score
        self.typical_score += _TYPICAL_SCORE_RATE * (detection.score - self.typical_score)
        self.evidence += detection.score
        self.missed_since_seconds = None
        self.has_crossed_cut = False
        if look is not None and is_sure:
            self.look = blend(self.look, look, appearance_rate)
            self.recent_look = look
