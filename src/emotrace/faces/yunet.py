"""YuNet: a small convolutional face detector, run by OpenCV. The detector of choice.

W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence
Research 20, 2023. Finds faces turned to profile, tilted and partly covered, and five landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np

from emotrace.errors import DetectorError, UsageError
from emotrace.faces.crop import BoxMapping
from emotrace.faces.detector import best_first, check_image, resize_to_long_side
from emotrace.timeline import Detection

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

YUNET_BOX: Final = BoxMapping(scale=1.12, dx=0.0, dy=0.01)
"""YuNet frames faces almost as FER2013 does.

`benchmarks/calibrate_crop.py` on 1500 FER+ validation images, of which 1381 were found, 190 px
large in the detection picture: scale median 1.124, quartiles 1.023-1.239; dx -0.004 (-0.040 to
0.028); dy 0.022 (-0.024 to 0.064). The spread is FER2013's own; by the box's width, height or area
it is the same (17 to 19 %). YuNet draws large faces larger: the median scale is 1.17 for boxes of
82 px, 1.15 (139 px), 1.14 (169 px), 1.05 (305 px); dy is -0.035, 0.002, 0.028 and -0.001.
"""

_MAX_CANDIDATES: Final = 5000
"""Candidate boxes kept before overlaps are removed; OpenCV's own default."""

_LEAST_SIDE_PX: Final = 64
"""Least width and height that the network is given.

Where OpenCV 4.14 fills a side up to no more than 32 px, the network's coarsest map is one pixel
high or wide, and OpenCV computes it from memory that nobody has written: now and then faces of any
size and of score 1 come out, and in each such picture when that memory is filled with junk on
purpose. With 64 px on each side or more it never happened (16 sizes, five kinds of junk, eight
rounds).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class YuNetSettings:
    """How YuNet is run."""

    detection_long_side_px: int = 640
    """The picture is scaled to this length first.

    Measured on the real clips (one core): at 320 one in ten of the 12 px faces of a 480 px wide
    clip is missed (3 ms a frame), at 480 none is (7 ms; 19 in 20 score 0.82 or more), at 640 none
    (13 ms; 0.86 or more). The street crowd (1920 px wide) yields 3, 5 and 7 faces a frame. 960
    finds 8 there and costs 29 ms.
    """
    max_enlargement: float = 2.0
    """A small picture is enlarged by at most this factor."""
    score_threshold: float = 0.6
    """Detections below are dropped. At 0.6 the clips without a face yield none."""
    overlap_threshold: float = 0.3
    """Of two boxes that overlap by more than this (IoU), the weaker one is dropped."""
    min_face_px: float = 8.0
    """Boxes with a shorter side below this are dropped, in pixels of the frame: nothing to read."""

    region_px: int = 160
    """Around a known face, a region is scaled to this square: the face is then about 70 px high."""
    region_reach: float = 2.4
    """Side of the region, in longer sides of the face's box.

    On 60 frames of a 640 px clip, regions gave the boxes of a whole search (centre within 0.024 box
    sizes at the median, mean size +0.2 %, sd 3.7 %) in 2.2 to 2.8 ms instead of 15.
    """

    def __post_init__(self) -> None:
        if self.detection_long_side_px < 32:
            raise UsageError(
                f"expected detection_long_side_px >= 32; got {self.detection_long_side_px}"
            )
        if self.region_px < _LEAST_SIDE_PX:
            raise UsageError(f"expected region_px >= {_LEAST_SIDE_PX}; got {self.region_px}")
        for name in ("score_threshold", "overlap_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"expected {name} between 0 and 1; got {getattr(self, name)}")


class YuNetDetector:
    """Finds faces with YuNet.

    OpenCV's object holds the input size and buffers: never share one between threads.

    Args:
        model_path: `face_detection_yunet_2023mar.onnx`; `emotrace.faces.download` fetches it.
        settings: How it is run.

    Raises:
        DetectorError: The file is not there or not YuNet.
    """

    name = "yunet"
    canonical = YUNET_BOX

    def __init__(self, model_path: Path, settings: YuNetSettings | None = None) -> None:
        self.settings = settings or YuNetSettings()
        self._size = (0, 0)
        region = (self.settings.region_px, self.settings.region_px)
        try:
            # Two of them: setting the input size prepares the network anew.
            self._network, self._region_network = (
                cv2.FaceDetectorYN.create(
                    str(model_path),
                    "",
                    size,
                    self.settings.score_threshold,
                    self.settings.overlap_threshold,
                    _MAX_CANDIDATES,
                )
                for size in ((32, 32), region)
            )
        except cv2.error as error:
            raise DetectorError(
                f"expected {model_path} to be YuNet in ONNX form; OpenCV says: {error.err}"
            ) from error

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces of a picture; see `Detector.detect`."""
        check_image(image_rgb)
        resized, scale_x, scale_y = resize_to_long_side(
            image_rgb,
            self.settings.detection_long_side_px,
            max_enlargement=self.settings.max_enlargement,
        )
        size = (resized.shape[1], resized.shape[0])
        seen = _fill_to_least(np.asarray(cv2.cvtColor(resized, cv2.COLOR_RGB2BGR), np.uint8))
        seen_size = (seen.shape[1], seen.shape[0])
        if seen_size != self._size:
            self._network.setInputSize(seen_size)
            self._size = seen_size
        found = self._network.detect(seen)[1]
        return self._detections(found, size, np.array([scale_x, scale_y]), np.zeros(2))

    def detect_near(
        self, image_rgb: NDArray[np.uint8], box_xywh_px: tuple[float, float, float, float]
    ) -> list[Detection]:
        """Find the faces around a box; see `RegionalDetector.detect_near`."""
        check_image(image_rgb)
        x, y, width, height = box_xywh_px
        half = self.settings.region_reach * max(width, height) / 2
        left, right = _span(x + width / 2, half, image_rgb.shape[1])
        top, bottom = _span(y + height / 2, half, image_rgb.shape[0])
        if right <= left or bottom <= top:
            return []
        size = self.settings.region_px
        shrink = max(right - left, bottom - top) / size
        scaled = (max(1, round((right - left) / shrink)), max(1, round((bottom - top) / shrink)))
        interpolation = cv2.INTER_AREA if shrink > 1 else cv2.INTER_LINEAR
        cut = np.ascontiguousarray(image_rgb[top:bottom, left:right])
        region = np.zeros((size, size, 3), np.uint8)
        region[: scaled[1], : scaled[0]] = cv2.cvtColor(
            cv2.resize(cut, scaled, interpolation=interpolation), cv2.COLOR_RGB2BGR
        )
        scales = np.array([(right - left) / scaled[0], (bottom - top) / scaled[1]])
        found = self._region_network.detect(region)[1]
        return self._detections(found, scaled, scales, np.array([left, top], np.float64))

    def _detections(
        self,
        found: object,
        size: tuple[int, int],
        scales: NDArray[np.float64],
        corner_px: NDArray[np.float64],
    ) -> list[Detection]:
        """Turn OpenCV's rows, in pixels of what it saw, into detections in pixels of the frame.

        Those whose middle is beyond `size` (width, height) are dropped: pictures are filled up to
        a multiple of 32 px, by OpenCV or here, and no face is looked for in what was added.
        """
        # OpenCV's own type stubs do not say that it gives None where there is no face.
        rows = cast("NDArray[np.float32] | None", found)
        if rows is None:
            return []
        detections = []
        for row in np.asarray(rows, np.float64):
            middle = row[:2] + row[2:4] / 2
            if not (0 <= middle[0] <= size[0] and 0 <= middle[1] <= size[1]):
                continue
            x, y = row[:2] * scales + corner_px
            width, height = row[2:4] * scales
            if min(width, height) < self.settings.min_face_px:
                continue
            detections.append(
                Detection(
                    box_xywh_px=(float(x), float(y), float(width), float(height)),
                    score=float(np.clip(row[14], 0.0, 1.0)),
                    landmarks_px=(row[4:14].reshape(5, 2) * scales + corner_px).astype(np.float32),
                )
            )
        return best_first(detections)


def _fill_to_least(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add black below and to the right until each side has `_LEAST_SIDE_PX`."""
    below, right = (max(0, _LEAST_SIDE_PX - side) for side in picture.shape[:2])
    if not below and not right:
        return picture
    filled = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_CONSTANT)
    return cast("NDArray[np.uint8]", filled)


def _span(center_px: float, half_px: float, limit_px: int) -> tuple[int, int]:
    """Return the whole pixels within `half_px` of a centre that lie inside [0, limit)."""
    return max(0, int(center_px - half_px)), min(limit_px, int(center_px + half_px) + 1)
