"""Running one of OpenCV's boosted cascades; `haar` and `lbp` say which and with what settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from emotrace.errors import DetectorError, UsageError
from emotrace.faces.association import covered_share
from emotrace.faces.detector import best_first, check_image, resize_to_long_side
from emotrace.timeline import Detection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

HITS_PER_HALVED_DOUBT: Final = 2.0
"""So many further overlapping hits halve `1 - score`; see `score_of_hits`."""
_SAME_HEAD_SHARE: Final = 0.7
"""A box that shares more of the smaller one's area with a better box frames the same head anew.

OpenCV groups windows of about one size only: a head can come as two boxes, one within the other
(share 1.0 in the street clip). Two heads there, one partly before the other, share 0.33 at most
(canonical squares of YuNet's faces).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeSettings:
    """How a cascade is swept over a picture."""

    detection_long_side_px: int
    """The picture is scaled to this length before the sweep."""
    max_enlargement: float
    """A small picture is enlarged by at most this factor."""
    scale_factor: float
    """Step from one window size to the next."""
    min_hits: int
    """Overlapping windows that must agree on a face (`minNeighbors`)."""
    min_face_px: int
    """Smallest window, in pixels of the scaled picture."""

    def __post_init__(self) -> None:
        if self.detection_long_side_px < 32:
            raise UsageError(
                f"expected detection_long_side_px >= 32; got {self.detection_long_side_px}"
            )
        if not self.scale_factor > 1:
            raise UsageError(f"expected scale_factor > 1; got {self.scale_factor}")
        if self.min_hits < 1:
            raise UsageError(f"expected min_hits >= 1; got {self.min_hits}")


def score_of_hits(hits: int) -> float:
    """Turn the number of overlapping windows that found a face into a score in [0, 1).

    A cascade says yes or no, so the count is the only evidence of how sure it is. 2 hits make 0.5,
    4 make 0.75. It orders detections rightly; it is not a calibrated probability.

    >>> score_of_hits(4)
    0.75
    """
    return float(1.0 - 0.5 ** (hits / HITS_PER_HALVED_DOUBT))


class CascadeSweep:
    """One loaded cascade.

    Raises:
        DetectorError: This build of OpenCV has no cascades, or the file is not one.
    """

    def __init__(self, cascade_path: Path, settings: CascadeSettings) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise DetectorError(
                f"expected OpenCV 4.x, which can run cascades; got {cv2.__version__}; install "
                "opencv-python-headless below 5, or choose the detector 'yunet'"
            )
        self.settings = settings
        # OpenCV's own way of opening a file cannot see paths beyond the code page on Windows.
        try:
            storage = cv2.FileStorage(
                cascade_path.read_text(encoding="utf-8"),
                cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY,
            )
            self._classifier = cv2.CascadeClassifier()
            is_read = self._classifier.read(storage.getFirstTopLevelNode())
        # A text that is no XML surfaces as SystemError: OpenCV's own error is lost in its binding.
        except (OSError, UnicodeDecodeError, cv2.error, SystemError) as error:
            raise DetectorError(
                f"expected {cascade_path} to be an OpenCV cascade; it cannot be read"
            ) from error
        if not is_read:
            raise DetectorError(
                f"expected {cascade_path} to be an OpenCV cascade; it holds something else"
            )

    def find(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces of a picture; see `Detector.detect`."""
        check_image(image_rgb)
        settings = self.settings
        grey = cv2.cvtColor(np.ascontiguousarray(image_rgb), cv2.COLOR_RGB2GRAY)
        resized, scale_x, scale_y = resize_to_long_side(
            grey.astype(np.uint8, copy=False),
            settings.detection_long_side_px,
            max_enlargement=settings.max_enlargement,
        )
        boxes, hits = self._classifier.detectMultiScale2(
            resized,
            scaleFactor=settings.scale_factor,
            minNeighbors=settings.min_hits,
            minSize=(settings.min_face_px, settings.min_face_px),
        )
        return one_box_per_head(
            [
                Detection(
                    box_xywh_px=_scaled(box, scale_x, scale_y), score=score_of_hits(int(count))
                )
                for box, count in zip(boxes, np.ravel(hits), strict=True)
            ]
        )


def one_box_per_head(detections: list[Detection]) -> list[Detection]:
    """Drop boxes that lie in, or around, a better one of the same frame; best first."""
    kept: list[Detection] = []
    for detection in best_first(detections):
        if all(
            covered_share(detection.box_xywh_px, better.box_xywh_px) <= _SAME_HEAD_SHARE
            for better in kept
        ):
            kept.append(detection)
    return kept


def _scaled(
    box: Sequence[int], scale_x: float, scale_y: float
) -> tuple[float, float, float, float]:
    x, y, width, height = (float(value) for value in box)
    return x * scale_x, y * scale_y, width * scale_x, height * scale_y
