"""Crops without a face: none of them shows one, however much the detectors believe."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from emotrace.errors import InputError, UsageError
from emotrace.faces import BoxMapping, CropGeometry, Detector, HaarDetector
from emotrace.faces.association import box_iou
from emotrace.synth import ClipSettings, make_clip
from emotrace.timeline import Detection
from emotrace.training.not_face_crops import (
    Footage,
    MiningSettings,
    cut_grey,
    cut_not_faces,
    cut_parts,
    gather_not_faces,
    mine_footage,
    mine_scenes,
)
from emotrace.training.permissive_detectors import DefaultHaarDetector, permissive_detectors
from tests.analysis.media import write_clip

FEW = MiningSettings(frames_per_footage=4, random_boxes=3, most_false_alarms=2)


class Boxes:
    """Reports the same boxes in every picture, and counts the pictures."""

    name = "boxes"
    canonical = BoxMapping()

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self.boxes, self.calls = boxes, 0

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        self.calls += 1
        return [Detection(box_xywh_px=box, score=0.5) for box in self.boxes]


def painted(height: int = 120, width: int = 160) -> NDArray[np.uint8]:
    """A picture that tells of every pixel where it is: red rightwards, green downwards."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns, rows, 0 * rows], axis=2).astype(np.uint8)


def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("media") / "clip.mp4", frames=20)


def test_random_boxes_touch_no_face(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = [(40.0, 30.0, 50.0, 50.0), (120.0, 60.0, 30.0, 40.0)]
    image = painted()
    for x, y, w, h in faces:
        image[int(y) : int(y + h), int(x) : int(x + w)] = 255
    settings = MiningSettings(random_boxes=300)
    crops = cut_not_faces(image, faces, [], random(), settings)
    assert 50 < len(crops) < 300
    # Nothing of the white faces shows, but for what interpolation draws in at a crop's edge.
    assert max(int(crop[1:-1, 1:-1].max()) for crop in crops) < 200
    assert len(cut_not_faces(image, [(0.0, 0.0, 160.0, 120.0)], [], random(), settings)) == 0


def test_random_boxes_are_of_all_sizes_and_inside() -> None:
    image = painted()
    crops = cut_not_faces(image, [], [], random(), MiningSettings(random_boxes=200))
    assert len(crops) == 200
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    spans = np.array([int(crop.max()) - int(crop.min()) for crop in crops])
    assert spans.max() > 4 * max(1, spans.min())
    assert max(int(crop.max()) for crop in crops) <= int(grey.max())


def test_a_box_on_a_face_is_no_false_alarm_and_one_beside_it_is() -> None:
    face = (40.0, 30.0, 50.0, 50.0)
    detector = Boxes((45.0, 32.0, 50.0, 50.0), (100.0, 10.0, 40.0, 40.0), (42.0, 30.0, 18.0, 18.0))
    settings = MiningSettings(random_boxes=0)
    assert box_iou(face, detector.boxes[0]) > settings.most_overlap
    assert box_iou(face, detector.boxes[2]) < settings.most_overlap
    crops = cut_not_faces(painted(), [face], [detector], random(), settings)
    # The box beside the face, and the small one on a part of it.
    assert len(crops) == 2
    expected = [
        cut_grey(painted(), Detection(box_xywh_px=box, score=1.0), BoxMapping(), settings.geometry)
        for box in detector.boxes[1:]
    ]
    for crop in expected:
        assert any(np.array_equal(crop, other) for other in crops)


def test_no_detector_fills_the_set() -> None:
    detector = Boxes(*((10.0 * k, 5.0, 30.0, 30.0) for k in range(10)))
    settings = MiningSettings(random_boxes=0, most_false_alarms=3)
    assert len(cut_not_faces(painted(), [], [detector], random(), settings)) == 3


def test_footage_gives_crops_of_spread_frames_and_repeats(clip: Path) -> None:
    detector = Boxes((10.0, 10.0, 40.0, 40.0))
    footage = Footage(path=clip)
    crops = mine_footage(footage, [detector], seed=3, settings=FEW)
    assert crops.shape == (4 * (3 + 1), 48, 48)
    assert crops.dtype == np.uint8
    assert detector.calls == 4
    again = mine_footage(footage, [detector], seed=3, settings=FEW)
    assert np.array_equal(crops, again)
    assert not np.array_equal(mine_footage(footage, [detector], seed=4, settings=FEW), crops)


def test_only_the_stretch_is_looked_at(clip: Path) -> None:
    detector = Boxes()
    everything = MiningSettings(frames_per_footage=100)
    part = Footage(path=clip, start_seconds=0.5, end_seconds=1.0)
    mine_footage(part, [detector], seed=0, settings=everything)
    assert detector.calls == 5  # 10 frames a second; the end is not in it
    nowhere = Footage(path=clip, start_seconds=60.0)
    assert mine_footage(nowhere, [detector], seed=0).shape == (0, 48, 48)


def test_faces_that_the_finder_sees_are_left_alone(clip: Path) -> None:
    detector = Boxes((10.0, 10.0, 40.0, 40.0))
    footage = Footage(path=clip, has_faces=True)
    settings = MiningSettings(frames_per_footage=4, random_boxes=0)
    crops = mine_footage(footage, [detector], finder=detector, seed=0, settings=settings)
    assert len(crops) == 0
    with pytest.raises(UsageError, match=r"says where .* has faces"):
        mine_footage(footage, [detector], seed=0)
    with pytest.raises(InputError):
        mine_footage(Footage(path=clip.with_name("none.mp4")), [], seed=0)


def test_scenes_give_the_rooms_and_not_the_people() -> None:
    crops = mine_scenes(1, [], seed=5, settings=FEW)
    assert len(crops) > 3
    assert np.array_equal(crops, mine_scenes(1, [], seed=5, settings=FEW))
    detector = HaarDetector()
    enlarged = [cv2.resize(np.stack([crop] * 3, axis=2), (192, 192)) for crop in crops]
    assert sum(bool(detector.detect(np.asarray(one, np.uint8))) for one in enlarged) == 0


def test_a_drawn_face_is_no_false_alarm_of_permissive_detectors() -> None:
    settings = ClipSettings(clip_id="one", subject=1, frame_count=1, width=240, height=240)
    (frame,) = make_clip(settings).frames()
    detectors: list[Detector] = [HaarDetector(), DefaultHaarDetector()]
    assert all(detector.detect(frame.image_rgb) for detector in detectors)
    x, y, w, h = frame.faces[0].box_xywh_px
    side = 1.1 * float(np.sqrt(w * h))
    square = (x + w / 2 - side / 2, y + h / 2 - side / 2, side, side)
    options = MiningSettings(random_boxes=0)
    with_face = cut_not_faces(frame.image_rgb, [square], detectors, random(), options)
    without = cut_not_faces(frame.image_rgb, [], detectors, random(), options)
    assert len(with_face) < len(without)


def test_parts_are_enlarged_pieces_of_their_own_face() -> None:
    faces = np.stack([painted(48, 48)[..., 0] * 5, painted(48, 48)[..., 1] * 5])
    parts = cut_parts(faces, seed=0)
    assert parts.shape == faces.shape
    assert np.array_equal(parts, cut_parts(faces, seed=0))
    # 5 grey levels a pixel, spread over 48: a quarter to half of the face is left.
    assert 0.2 * 235 <= np.ptp(parts[0].astype(int)) <= 0.47 * 235
    # The first still runs rightwards, the second downwards (but for rounding).
    assert np.ptp(parts[0].astype(int), axis=0).max() <= 1
    assert np.ptp(parts[1].astype(int), axis=1).max() <= 1


def test_all_sources_are_gathered_by_name(clip: Path, tmp_path: Path) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (7, 48, 48), dtype=np.uint8)
    stretches = [Footage(path=clip, end_seconds=0.5), Footage(path=clip, start_seconds=1.0)]
    told: list[str] = []
    found = gather_not_faces(
        faces, stretches, folder=tmp_path, scenes=0, seed=0, settings=FEW, tell=told.append
    )
    assert told == [f"what is no face: {clip.name} ({number} of 2)" for number in (1, 2)]
    assert list(found) == [clip.as_posix(), "scenes", "parts", "made"]
    assert len(found[clip.as_posix()]) >= 2 * 4 * FEW.random_boxes
    assert len(found["parts"]) == len(found["made"]) == 7
    for crops in found.values():
        assert crops.shape[1:] == (48, 48)
        assert crops.dtype == np.uint8
    with pytest.raises(UsageError, match="says where"):
        gather_not_faces(faces, [Footage(path=clip, has_faces=True)], folder=tmp_path, seed=0)


def test_crops_follow_the_geometry() -> None:
    settings = MiningSettings(random_boxes=5, geometry=CropGeometry(size_px=32))
    crops = cut_not_faces(painted(), [], [], random(), settings)
    assert {crop.shape for crop in crops} == {(32, 32)}


@pytest.mark.shared
def test_footage_without_a_face_has_false_alarms(shared_folder: Path, clips_folder: Path) -> None:
    settings = MiningSettings(frames_per_footage=3, random_boxes=0)
    crops = mine_footage(
        Footage(path=clips_folder / "no_face.mp4"),
        permissive_detectors(shared_folder / "models"),
        seed=0,
        settings=settings,
    )
    assert len(crops) > 0


@pytest.mark.parametrize(
    "change", [{"random_boxes": -1}, {"most_false_alarms": -2}, {"most_side_share": 0.0}]
)
def test_settings_that_cannot_work_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"expected {next(iter(change))}"):
        MiningSettings(**change)  # type: ignore[arg-type]
