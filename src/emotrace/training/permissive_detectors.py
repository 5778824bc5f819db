"""Face detectors told to believe everything: they find false alarms, and miss no face."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2

from emotrace.faces import (
    DETECTOR_FILES,
    Detector,
    HaarDetector,
    HaarSettings,
    LbpDetector,
    LbpSettings,
    YuNetDetector,
    YuNetSettings,
    is_available,
)
from emotrace.faces.cascade import CascadeSweep
from emotrace.faces.haar import HAAR_BOX
from emotrace.storage import home_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emotrace.timeline import Detection

_LOOSE_HAAR: Final = HaarSettings(scale_factor=1.05, min_hits=1, detection_long_side_px=960)
"""On 12 frames of four clips: 18 false alarms (`default` cascade: 25); at 480 px 2 (8), and at 480
px with steps of 1.1 none (5). A frame takes 0.3 s for each cascade (one core)."""


class DefaultHaarDetector:
    """OpenCV's `default` frontal cascade, which most other tools run and which is wrong more often.

    Args:
        settings: How it is run; so that it believes everything, unless given.
    """

    name = "haar_default"
    canonical = HAAR_BOX

    def __init__(self, settings: HaarSettings = _LOOSE_HAAR) -> None:
        # OpenCV's type stubs do not know this folder; that it is there HaarDetector has checked.
        folder = Path(getattr(cv2, "data").haarcascades)  # noqa: B009
        path = folder / "haarcascade_frontalface_default.xml"
        self._sweep = CascadeSweep(path, settings)

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        """Find what the cascade takes for faces; see `Detector.detect`."""
        return self._sweep.find(image_rgb)


def permissive_detectors(folder: Path | None = None) -> list[Detector]:
    """Make detectors that report whatever looks the least like a face to them.

    Haar comes twice: with the cascade that emotrace runs, and with OpenCV's `default` one.

    Args:
        folder: Where the files of YuNet and LBP lie; `emotrace.storage.home_folder()` unless given.
            A detector whose file is not there is left out: nothing is fetched.
    """
    detectors: list[Detector] = [HaarDetector(_LOOSE_HAAR), DefaultHaarDetector()]
    folder = folder or home_folder()
    if is_available(DETECTOR_FILES["lbp"], folder=folder):
        detectors.append(
            LbpDetector(
                folder / DETECTOR_FILES["lbp"].name,
                LbpSettings(scale_factor=1.1, min_hits=1, detection_long_side_px=640),
            )
        )
    if is_available(DETECTOR_FILES["yunet"], folder=folder):
        detectors.append(_permissive_yunet(folder, score_threshold=0.15))
    return detectors


def face_finder(folder: Path | None = None) -> Detector | None:
    """Make the detector that says where footage has faces: YuNet, at its most permissive.

    None where its file is not in `folder` (see `permissive_detectors`).
    """
    folder = folder or home_folder()
    if not is_available(DETECTOR_FILES["yunet"], folder=folder):
        return None
    return _permissive_yunet(folder, score_threshold=0.3)


def _permissive_yunet(folder: Path, *, score_threshold: float) -> Detector:
    # 960 px finds some small faces that the usual 640 px does not.
    settings = YuNetSettings(score_threshold=score_threshold, detection_long_side_px=960)
    return YuNetDetector(folder / DETECTOR_FILES["yunet"].name, settings)
