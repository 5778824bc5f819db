"""What happens to one frame: find and follow its faces, cut them out, predict, leave out no-faces.

The pipeline for files (`emotrace.analysis.pipeline`) and the one for pictures that arrive one by
one (`emotrace.analysis.live`) both do just this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotrace.analysis.predictor import FacePredictor, TrackedFrame
from emotrace.analysis.rejection import FaceRejection
from emotrace.bundle import Bundle, load_bundle
from emotrace.faces import FaceFollower, choose_detector
from emotrace.timeline import FaceResult, FrameResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from emotrace.analysis.settings import AnalysisSettings
    from emotrace.bundle import PriorChoice
    from emotrace.faces import Detector
    from emotrace.timeline import Frame

__all__ = ["FrameTracer"]


class FrameTracer:
    """Traces the faces of one video. `track` and `predict` may run in a thread each.

    Args:
        detector: A detector's name or a detector; `settings.detector` where not given.
        bundle: A bundle, or the name or folder of one.
        prior: See `emotrace.bundle.load_bundle`; for a bundle that is loaded already, its own
            holds.
        settings: See `AnalysisSettings`.

    Raises:
        BundleError, DetectorError, DownloadError, UsageError: As `load_bundle` and
            `choose_detector` say.
    """

    def __init__(
        self,
        *,
        detector: str | Detector | None,
        bundle: str | Path | Bundle,
        prior: PriorChoice,
        settings: AnalysisSettings,
    ) -> None:
        threads = settings.thread_count
        self.bundle = (
            bundle
            if isinstance(bundle, Bundle)
            else load_bundle(bundle, prior=prior, threads=threads)
        )
        self._predictor = FacePredictor(
            self.bundle, batch_size=settings.batch_size, threads=threads
        )
        self.notices: tuple[str, ...] = self._predictor.notices
        """What the user should know, in plain words."""
        if detector is None or isinstance(detector, str):
            choice = choose_detector(detector or settings.detector)
            self.detector = choice.detector
            self.notices += (choice.notice,) if choice.notice else ()
        else:
            self.detector = detector
        self.rejection = FaceRejection.of(self._predictor.face_spec, settings, self.detector)
        self._follower = FaceFollower(
            self.detector, detect_every=settings.detect_every, search_every=settings.search_every
        )

    def describe_bundle(self) -> dict[str, object]:
        """Return what a result should say of the bundle that made it, ready for JSON."""
        return self._predictor.describe()

    def track(self, frame: Frame, *, keep_frame: bool = False) -> TrackedFrame:
        """Find and follow the faces of the next frame and cut them out.

        Args:
            frame: Later than the one before.
            keep_frame: Hand the picture on, for whoever draws on it.
        """
        image = frame.image_rgb
        faces, is_cut = self._follower.look(
            image, frame_index=frame.index, timestamp_seconds=frame.timestamp_seconds
        )
        mapping = self.detector.canonical
        return TrackedFrame(
            frame if keep_frame else None,
            frame.index,
            frame.timestamp_seconds,
            is_cut,
            tuple(faces),
            tuple(self._predictor.cut(image, face, mapping) for face in faces),
        )

    def predict(self, frames: Sequence[TrackedFrame]) -> Iterator[FrameResult]:
        """Yield the results of the next frames, in their order."""
        predictions = self._predictor.predict(frames)
        at = 0
        for item in frames:
            mine = predictions[at : at + len(item.faces)]
            at += len(item.faces)
            result = FrameResult(
                frame_index=item.frame_index,
                timestamp_seconds=item.timestamp_seconds,
                is_cut=item.is_cut,
                faces=tuple(
                    FaceResult(face=face, prediction=prediction)
                    for face, prediction in zip(item.faces, mine, strict=True)
                ),
            )
            yield self.rejection.apply(result)
