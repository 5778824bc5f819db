"""Haar cascade: the detector that needs nothing beyond OpenCV's own package. Upright frontal faces.

P. Viola, M. Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001;
R. Lienhart's tree-based frontal cascade (`alt2`), which OpenCV ships.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2

from emotrace.errors import DetectorError
from emotrace.faces.cascade import CascadeSettings, CascadeSweep
from emotrace.faces.crop import BoxMapping

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emotrace.timeline import Detection

CASCADE_FILE_NAME: Final = "haarcascade_frontalface_alt2.xml"

HAAR_BOX: Final = BoxMapping(scale=1.04, dx=0.0, dy=0.02)
"""Between what two kinds of pictures say (`benchmarks/calibrate_crop.py`).

1142 faces of FER2013, against their frames: scale median 1.026 (quartiles 0.970-1.111), dy -0.003
(-0.016 to 0.015). 164 faces of the clips, against YuNet's square: scale 1.057 (1.006-1.106), dy
0.049 (0.022 to 0.073). dx is 0.01 at most. So a Haar crop differs from YuNet's by 2 % in size and
3 % in place in the median, by 7 % in size for one face in four.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HaarSettings(CascadeSettings):
    """How the Haar cascade is run.

    480 px, steps of 1.2 and 2 hits: measured on the clips (one core, 8 to 25 ms a frame), they find
    as many faces as steps of 1.1 and 3 hits at twice the time, and none where there is none.
    OpenCV's `default` cascade has 29 false alarms among 222 detections, this one 2 among 169.
    """

    detection_long_side_px: int = 480
    max_enlargement: float = 2.0
    scale_factor: float = 1.2
    min_hits: int = 2
    min_face_px: int = 20


class HaarDetector:
    """Finds upright frontal faces with OpenCV's Haar cascade."""

    name = "haar"
    canonical = HAAR_BOX

    def __init__(self, settings: HaarSettings | None = None) -> None:
        self.settings = settings or HaarSettings()
        folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
        path = Path(folder or "") / CASCADE_FILE_NAME
        if folder is None or not path.is_file():
            raise DetectorError(
                f"expected OpenCV's package to hold {CASCADE_FILE_NAME}; OpenCV {cv2.__version__} "
                "has none; install opencv-python-headless 4.x, or choose the detector 'yunet'"
            )
        self._sweep = CascadeSweep(path, self.settings)

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces of a picture; see `Detector.detect`."""
        return self._sweep.find(image_rgb)
