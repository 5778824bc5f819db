"""What every detector of the table promises, on a picture with one known face."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import skimage.data

from emotrace.errors import DetectorError, UsageError
from emotrace.faces.association import box_iou, covered_share
from emotrace.faces.cascade import CascadeSettings, one_box_per_head, score_of_hits
from emotrace.faces.choose import DETECTORS, make_detector
from emotrace.faces.crop import canonical_square
from emotrace.faces.detector import best_first, resize_to_long_side
from emotrace.faces.haar import HaarDetector, HaarSettings
from emotrace.faces.lbp import LbpDetector
from emotrace.faces.yunet import YuNetDetector, YuNetSettings
from emotrace.timeline import Detection
from emotrace.video import VideoReader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.faces.detector import Detector

# From the forehead to the chin and from cheek to cheek, read off the picture by eye.
ASTRONAUT_FACE = (180.0, 75.0, 88.0, 100.0)


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


@pytest.fixture(
    params=[
        pytest.param(name, marks=() if entry.file is None else pytest.mark.shared)
        for name, entry in DETECTORS.items()
    ]
)
def detector(request: pytest.FixtureRequest) -> Detector:
    name: str = request.param
    if DETECTORS[name].file is not None:
        request.getfixturevalue("yunet_home")
    made = make_detector(name)
    assert made.name == name
    return made


def test_it_finds_the_face_and_frames_it(detector: Detector, astronaut: NDArray[np.uint8]) -> None:
    found = detector.detect(astronaut)
    assert len(found) == 1
    square = canonical_square(found[0], detector.canonical)
    assert 0.5 < found[0].score <= 1.0
    # All detectors mean the same square once their boxes are mapped.
    assert (square.center_x_px, square.center_y_px) == pytest.approx((225, 119), abs=6)
    assert square.side_px == pytest.approx(105, abs=10)


def test_it_finds_the_same_again(detector: Detector, astronaut: NDArray[np.uint8]) -> None:
    first = detector.detect(astronaut)
    detector.detect(astronaut[:200, :400])
    again = detector.detect(astronaut)
    assert [item.box_xywh_px for item in first] == [item.box_xywh_px for item in again]
    assert [item.score for item in first] == [item.score for item in again]


def test_boxes_are_in_pixels_of_the_picture_given(
    detector: Detector, astronaut: NDArray[np.uint8]
) -> None:
    small = detector.detect(astronaut)
    large = detector.detect(np.repeat(np.repeat(astronaut, 3, axis=0), 3, axis=1))
    halved = tuple(value / 3 for value in large[0].box_xywh_px)
    assert box_iou(small[0].box_xywh_px, (halved[0], halved[1], halved[2], halved[3])) > 0.85


def test_several_faces_come_best_first(detector: Detector, astronaut: NDArray[np.uint8]) -> None:
    pair = np.hstack([astronaut[:256, 100:356], astronaut[:256, 100:356][:, ::-1]])
    found = detector.detect(pair)
    assert len(found) == 2
    assert found[0].score >= found[1].score
    assert {item.box_xywh_px[0] < 256 for item in found} == {True, False}


@pytest.mark.parametrize("height_width", [(360, 640), (1, 1), (7, 900), (33, 17)])
def test_no_face_is_no_error(detector: Detector, height_width: tuple[int, int]) -> None:
    assert detector.detect(np.full((*height_width, 3), 90, np.uint8)) == []


_LOOK_AT_SMALL_PICTURES = """
import numpy as np
from emotrace.faces import make_detector

detector = make_detector("yunet")
for height, width in [(1, 1), (17, 33), (5, 640), (31, 640), (640, 20), (7, 900), (32, 96)]:
    found = detector.detect(np.full((height, width, 3), 90, np.uint8))
    assert found == [], (height, width, found)
"""


@pytest.mark.shared
@pytest.mark.parametrize("junk", ["0", "165"])
def test_yunet_sees_no_faces_in_memory_nobody_wrote(yunet_home: Path, junk: str) -> None:
    """glibc fills fresh memory with junk: pictures under 64 px then had faces of score 1."""
    environment = {**os.environ, "EMOTRACE_HOME": str(yunet_home), "MALLOC_PERTURB_": junk}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _LOOK_AT_SMALL_PICTURES],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 3), np.float32),
        np.zeros((0, 64, 3), np.uint8),
    ],
)
def test_another_kind_of_picture_is_refused(detector: Detector, image: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match="got shape"):
        detector.detect(image)


@pytest.mark.shared
def test_yunet_gives_landmarks_in_place(yunet_home: Path, astronaut: NDArray[np.uint8]) -> None:
    assert yunet_home.is_dir()
    landmarks = make_detector("yunet").detect(astronaut)[0].landmarks_px
    assert landmarks is not None
    # Right eye, left eye, nose, mouth corners of the astronaut, by eye.
    expected = [(203, 102), (247, 103), (223, 125), (206, 142), (244, 142)]
    np.testing.assert_allclose(landmarks, expected, atol=6)


def test_a_file_that_is_no_detector_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "face.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(DetectorError, match=r"face\.onnx"):
        YuNetDetector(path)
    with pytest.raises(DetectorError, match=r"face\.onnx"):
        LbpDetector(path)


def test_haar_without_its_file_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cv2.data.haarcascades", str(tmp_path))
    with pytest.raises(DetectorError, match="yunet"):
        HaarDetector()


def test_haar_settings_change_what_is_found(astronaut: NDArray[np.uint8]) -> None:
    strict = HaarDetector(HaarSettings(min_face_px=200))
    assert strict.detect(astronaut) == []


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(UsageError, match="detection_long_side_px"):
        YuNetSettings(detection_long_side_px=8)
    with pytest.raises(UsageError, match="score_threshold"):
        YuNetSettings(score_threshold=2.0)
    for changes in ({"detection_long_side_px": 8}, {"scale_factor": 1.0}, {"min_hits": 0}):
        with pytest.raises(UsageError, match=next(iter(changes))):
            HaarSettings(**changes)
    assert isinstance(HaarSettings(), CascadeSettings)


def test_scores_of_cascades_rise_with_the_hits() -> None:
    scores = [score_of_hits(hits) for hits in (0, 1, 2, 4, 50)]
    assert scores == sorted(scores)
    assert scores[0] == 0
    assert scores[2] == 0.5
    assert scores[-1] < 1


def test_a_box_within_another_is_the_same_head_and_a_neighbour_is_not() -> None:
    # The boy of the street clip at 2.40 s; and one head partly before another.
    outer = Detection(box_xywh_px=(856, 656, 172, 172), score=0.75)
    inner = Detection(box_xywh_px=(896, 688, 100, 100), score=0.75)
    surer = Detection(box_xywh_px=(896, 688, 100, 100), score=0.9)
    behind = Detection(box_xywh_px=(968, 640, 100, 100), score=0.6)
    assert box_iou(outer.box_xywh_px, inner.box_xywh_px) < 0.35
    assert one_box_per_head([inner, behind, outer]) == [outer, behind]
    assert one_box_per_head([outer, behind, surer]) == [surer, behind]


@pytest.mark.shared
def test_haar_frames_a_head_once(clips_folder: Path) -> None:
    with VideoReader(clips_folder / "crowd_1080p.mp4") as reader:
        image = next(frame.image_rgb for frame in reader if frame.index == 60)
    found = HaarDetector().detect(image)
    # A boy, and a man at the left edge; the others are turned away or too dim for Haar.
    assert len(found) == 2
    assert any(covered_share(item.box_xywh_px, (896, 688, 100, 100)) > 0.9 for item in found)


def test_a_small_picture_is_enlarged_only_so_far() -> None:
    image = np.zeros((30, 60, 3), np.uint8)
    resized, scale_x, scale_y = resize_to_long_side(image, 640, max_enlargement=2.0)
    assert resized.shape == (60, 120, 3)
    assert (scale_x, scale_y) == (0.5, 0.5)
    resized, scale_x, scale_y = resize_to_long_side(image, 40, max_enlargement=2.0)
    assert resized.shape == (20, 40, 3)
    assert (scale_x, scale_y) == (1.5, 1.5)


def test_equal_scores_are_ordered_by_size_and_place() -> None:
    boxes = [(5, 0, 10, 10), (0, 0, 10, 10), (0, 0, 20, 20)]
    items = [Detection(box_xywh_px=box, score=0.5) for box in boxes]
    assert [item.box_xywh_px for item in best_first(items)] == boxes[::-1]


def test_a_face_beyond_the_picture_is_dropped(
    yunet_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV was once seen to report faces in the border that it adds to small pictures."""
    assert yunet_home.is_dir()
    detector = make_detector("yunet")

    class Network:
        def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802 -- OpenCV's name
            del size

        def detect(self, image: NDArray[np.uint8]) -> tuple[int, NDArray[np.float32]]:
            del image
            rows = np.zeros((2, 15), np.float32)
            rows[:, :4] = [[40, 20, 30, 30], [40, 5000, 30, 30]]
            rows[:, 14] = 0.9
            return 1, rows

    monkeypatch.setattr(detector, "_network", Network())
    found = detector.detect(np.zeros((64, 96, 3), np.uint8))
    assert len(found) == 1
