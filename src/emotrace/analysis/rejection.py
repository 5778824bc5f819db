"""Faces that the model says are none: left out of the results, track by track, as the video runs.

A detector's box may show a sleeve or a window; a bundle with a face output says how probably a crop
shows a face. One crop alone is a poor witness: a hand before the mouth, a blur or a turn makes a
face doubtful for some frames, and a curtain looks like a face for one. So the log odds are averaged
over the track's last moments, and a face is left out while that average lies below the bundle's
`face_threshold`.

- **Only the past counts**, so that a live view and a recording give the same, and a false alarm is
  left out from its first frame on if it looks like one there.
- **The weight of a frame fades with presentation time**, by half in `half_life_seconds`: the frame
  rate does not matter, and what was seen before an absence counts the less, the longer it was.
- **Log odds are limited** to plus and minus `most_log_odds`: one frame of which the model is
  overly sure must not outvote the rest.

Ids are given anew to the faces that are left, in the order of their first appearance: nobody is
missing between face 1 and face 2. Tracks are forgotten when the tracker forgets them; memory does
not grow with their number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from emotrace.errors import UsageError
from emotrace.faces import TrackerSettings

if TYPE_CHECKING:
    from emotrace.analysis.settings import AnalysisSettings
    from emotrace.bundle_spec import BundleSpec
    from emotrace.faces import Detector
    from emotrace.timeline import FaceResult, FrameResult

TRUSTED_DETECTORS: Final = frozenset({"yunet"})
"""Whose faces are not asked for: YuNet had no false alarm in the 288 frames of the shared clips
that are known to be without a face, and refusing would cost it 84 of the 738 boxes in a crowd,
small and blurred ones (docs/detectors.md)."""
_FORGET_SECONDS: Final = TrackerSettings().memory_seconds
"""The tracker never gives an id back after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionSettings:
    """How the evidence of a track's frames is put together.

    Raises:
        UsageError: A value that cannot work.
    """

    half_life_seconds: float = 1.0
    """After so long a frame counts half.

    On six of the shared clips, with the face output of an earlier bundle, 1 s and 2 s cost the
    fewest true faces (YuNet: 53 of 1,682 boxes, 78 with 0.5 s, 95 with 0.25 s) while about as many
    false alarms went (Haar's `default` cascade: 136 of 215, with 0.25 s 141); the shorter one
    leaves a box that drifts off its face sooner.
    """
    most_log_odds: float = 6.0
    """Of one frame, either way: 6 is a probability of 0.998."""

    def __post_init__(self) -> None:
        for name in ("half_life_seconds", "most_log_odds"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise UsageError(f"expected {name} above 0; got {value!r}")


@dataclass(slots=True)
class _Evidence:
    """What is known of one track."""

    seen_seconds: float
    log_odds: float = 0.0
    """Weighted sum over its frames, as of `seen_seconds`."""
    weight: float = 0.0
    """Sum of the weights."""
    face_id: int | None = None
    """In the results; None while it was never in them."""
    was_accepted: bool = False
    was_rejected: bool = False


class FaceRejection:
    """Decides, frame by frame, which faces of a video are left out. One for each video.

    Args:
        threshold: Face probability below which a face is left out; None leaves none out.
        is_dropping: False counts what would be left out, and leaves it in.
        settings: How evidence is put together.

    Raises:
        UsageError: The threshold is no probability.
    """

    def __init__(
        self,
        threshold: float | None,
        *,
        is_dropping: bool = True,
        settings: RejectionSettings | None = None,
    ) -> None:
        if threshold is not None and not 0 <= threshold <= 1:
            raise UsageError(f"expected a face threshold in [0, 1]; got {threshold!r}")
        self.threshold, self.is_dropping = threshold, is_dropping
        self.settings = settings or RejectionSettings()
        self.detections = 0
        """Faces in frames that were left out so far."""
        self.tracks = 0
        """Tracks of which at least one frame was left out."""
        self.whole_tracks = 0
        """Tracks of which every frame was."""
        self._evidence: dict[int, _Evidence] = {}
        self._next_id = 1

    @classmethod
    def of(cls, spec: BundleSpec, settings: AnalysisSettings, detector: Detector) -> Self:
        """Return what a bundle, the settings of an analysis and its detector ask for."""
        is_asked = spec.face_output and detector.name not in TRUSTED_DETECTORS
        threshold = spec.face_threshold if is_asked else None
        return cls(threshold, is_dropping=not settings.keep_rejected)

    def apply(self, result: FrameResult) -> FrameResult:
        """Return the next frame's result without the faces that are left out."""
        if self.threshold is None:
            return result
        now = result.timestamp_seconds
        kept = []
        for item in result.faces:
            known = self._evidence.setdefault(item.face.face_id, _Evidence(now))
            is_face = self._weigh(known, item, now)
            self._count(known, is_face=is_face)
            if is_face or not self.is_dropping:
                kept.append(self._named(item, known))
        # Whom the tracker has forgotten never comes back under the same id.
        self._evidence = {
            face_id: known
            for face_id, known in self._evidence.items()
            if now - known.seen_seconds <= _FORGET_SECONDS
        }
        kept.sort(key=lambda item: item.face.face_id)
        return replace(result, faces=tuple(kept))

    def describe(self) -> dict[str, Any]:
        """Return what the summary says of it, ready for JSON."""
        return {
            "face_threshold": self.threshold,
            "are_dropped": self.threshold is not None and self.is_dropping,
            "detections": self.detections,
            "tracks": self.tracks,
            "whole_tracks": self.whole_tracks,
        }

    def _weigh(self, known: _Evidence, item: FaceResult, now: float) -> bool:
        """Add a frame to a track's evidence; return whether the track is a face now."""
        probability = item.prediction.face_probability
        if probability is None or self.threshold is None:
            return True
        fading = 0.5 ** (max(0.0, now - known.seen_seconds) / self.settings.half_life_seconds)
        known.log_odds = known.log_odds * fading + self._limited(probability)
        known.weight = known.weight * fading + 1.0
        known.seen_seconds = now
        return known.log_odds / known.weight >= self._limited(self.threshold)

    def _limited(self, probability: float) -> float:
        most = self.settings.most_log_odds
        if probability <= 0 or probability >= 1:
            return most if probability >= 1 else -most
        return max(-most, min(most, math.log(probability / (1 - probability))))

    def _count(self, known: _Evidence, *, is_face: bool) -> None:
        if is_face:
            if known.was_rejected and not known.was_accepted:
                self.whole_tracks -= 1
            known.was_accepted = True
            return
        self.detections += 1
        if not known.was_rejected:
            self.tracks += 1
            self.whole_tracks += not known.was_accepted
        known.was_rejected = True

    def _named(self, item: FaceResult, known: _Evidence) -> FaceResult:
        """Give a face its id among those that are left."""
        if known.face_id is None:
            known.face_id = self._next_id
            self._next_id += 1
        return replace(item, face=replace(item.face, face_id=known.face_id))
