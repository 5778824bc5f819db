"""Pictures that arrive one by one, as from a camera: each gets its answer before the next comes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from emotrace.analysis.settings import AnalysisSettings
from emotrace.analysis.tracer import FrameTracer
from emotrace.bundle import DEFAULT_BUNDLE
from emotrace.errors import UsageError
from emotrace.timeline import Frame

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.bundle import Bundle, PriorChoice
    from emotrace.faces import Detector
    from emotrace.timeline import FrameResult

__all__ = ["LiveAnalysis"]


class LiveAnalysis:
    """Follows and predicts the faces of pictures as they come, with the same result as for a file.

    With a camera::

        live = LiveAnalysis()
        while True:
            is_read, image_bgr = camera.read()  # cv2.VideoCapture(0)
            result = live.look(image_bgr[..., ::-1], timestamp_seconds=time.monotonic())
            for item in result.faces:
                print(item.face.face_id, item.prediction.emotion)

    One for each camera: it remembers who is who. It belongs to one thread at a time. Nothing is
    kept of the pictures but the latest, small, for tracking.

    Args:
        detector: A detector's name (`auto`, `yunet`, `haar`, `lbp`) or your own detector; that of
            `settings` where not given.
        bundle: The model: the name or folder of a bundle, or one that is loaded already.
        prior: See `load_bundle`; a bundle that is loaded already keeps its own.
        settings: See `AnalysisSettings`. What is done to a finished table (smoothing, baselines,
            post-processing) is not done to live results.

    Raises:
        BundleError, DetectorError, DownloadError, UsageError: As `load_bundle` and
            `choose_detector` say.
    """

    def __init__(
        self,
        *,
        detector: str | Detector | None = None,
        bundle: str | Path | Bundle = DEFAULT_BUNDLE,
        prior: PriorChoice = "default",
        settings: AnalysisSettings | None = None,
    ) -> None:
        self._tracer = FrameTracer(
            detector=detector, bundle=bundle, prior=prior, settings=settings or AnalysisSettings()
        )
        self._count = 0
        self._latest_seconds = -math.inf

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know, in plain words."""
        return self._tracer.notices

    def look(self, image_rgb: NDArray[np.uint8], *, timestamp_seconds: float) -> FrameResult:
        """Return what is to be seen in the next picture.

        Args:
            image_rgb: `(height, width, 3)`, uint8, upright.
            timestamp_seconds: When it was taken, by any clock that goes forward only. Pictures may
                be left out and need not come evenly; tracking and memory go by this time.

        Raises:
            UsageError: It is no such picture, or not later than the one before.
        """
        is_picture = image_rgb.ndim == 3 and image_rgb.shape[2] == 3 and image_rgb.size > 0
        if not is_picture or image_rgb.dtype != np.uint8:
            raise UsageError(
                "expected a picture of (height, width, 3), uint8; "
                f"got {image_rgb.shape}, {image_rgb.dtype}"
            )
        if not math.isfinite(timestamp_seconds) or timestamp_seconds <= self._latest_seconds:
            raise UsageError(
                f"expected a time later than {self._latest_seconds:.3f} s, that of the picture "
                f"before; got {timestamp_seconds:.3f} s"
            )
        self._latest_seconds = timestamp_seconds
        frame = Frame(
            index=self._count,
            timestamp_seconds=timestamp_seconds,
            # A view such as `image_bgr[..., ::-1]` is welcome; OpenCV wants memory in order.
            image_rgb=np.ascontiguousarray(image_rgb),
        )
        self._count += 1
        (result,) = self._tracer.predict([self._tracer.track(frame)])
        return result
