"""The tracker on real footage whose truth is known (see the clips' README).

Detections are made once per frame and detector, then tracked as if the detector had run on every
frame, every third and every fifth. Cuts are given where they are known to be.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from emotrace.faces.association import box_iou
from emotrace.faces.choose import make_detector
from emotrace.faces.tracker import FaceTracker
from emotrace.timeline import Detection, FaceSource, TrackedFace

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.faces.detector import Detector

pytestmark = [pytest.mark.shared, pytest.mark.usefixtures("yunet_home")]

Seen = list[list[TrackedFace]]
CUTS = {"face_noface.mov": (72,), "noface_face.mov": (96, 168)}


@lru_cache(maxsize=2)
def read_frames(path: Path) -> tuple[list[NDArray[np.uint8]], list[float]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        times = [float(frame.time) for frame in frames]
        images = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]
        return images, times


@lru_cache(maxsize=2)
def detector_named(name: str) -> Detector:
    return make_detector(name)


@lru_cache(maxsize=4096)
def detect(path: Path, name: str, index: int) -> list[Detection]:
    return detector_named(name).detect(read_frames(path)[0][index])


def track(
    path: Path,
    *,
    every: int = 1,
    name: str = "yunet",
    cuts_known: bool = True,
    blind: range = range(0),
) -> Seen:
    """Track a clip; the detector sees nothing on the frames `blind`."""
    images, times = read_frames(path)
    cuts = CUTS.get(path.name, ()) if cuts_known else ()
    tracker = FaceTracker()
    results = []
    for index, (image, time) in enumerate(zip(images, times, strict=True)):
        found = None
        if index % every == 0 or index in cuts:
            found = [] if index in blind else detect(path, name, index)
        results.append(tracker.update(image, found, timestamp_seconds=time, is_cut=index in cuts))
    return results


def rows_per_id(results: Seen) -> Counter[int]:
    return Counter(face.face_id for faces in results for face in faces)


@pytest.fixture(params=[1, 3, 5])
def every(request: pytest.FixtureRequest) -> int:
    value: int = request.param
    return value


@pytest.mark.slow
def test_a_hand_over_the_face_does_not_break_the_track(clips_folder: Path, every: int) -> None:
    results = track(clips_folder / "crying_then_laughing.mp4", every=every)
    counts = rows_per_id(results)
    assert len(results) == 472
    assert set(counts) == {1}
    assert counts[1] >= 0.97 * 472


@pytest.mark.slow
def test_carried_boxes_lie_where_the_detector_would_put_them(clips_folder: Path) -> None:
    path = clips_folder / "crying_then_laughing.mp4"
    overlaps = [
        box_iou(faces[0].detection.box_xywh_px, detect(path, "yunet", index)[0].box_xywh_px)
        for index, faces in enumerate(track(path, every=5))
        if faces[0].source is FaceSource.TRACKED
    ]
    assert len(overlaps) > 300
    # One in a hundred overlaps by less than 0.89 where this was measured.
    assert sorted(overlaps)[len(overlaps) // 100] > 0.8


@pytest.mark.slow
def test_a_lost_face_is_carried_then_remembered(clips_folder: Path) -> None:
    # The detector is made blind for 2.1 s while a hand moves over the face.
    path = clips_folder / "crying_then_laughing.mp4"
    results = track(path, blind=range(95, 145))
    carried = [index for index, faces in enumerate(results[:145]) if faces and index >= 95]
    # About one second of it, in one piece, on the face.
    assert carried == list(range(95, 95 + len(carried)))
    assert 20 <= len(carried) <= 25
    for index in carried:
        box = results[index][0].detection.box_xywh_px
        assert box_iou(box, detect(path, "yunet", index)[0].box_xywh_px) > 0.7
    assert set(rows_per_id(results)) == {1}
    assert len(results[145]) == 1


def test_one_person_is_one_id(clips_folder: Path, every: int) -> None:
    for name in ("single_face.mp4", "head_pose_face_detection_female.gif"):
        results = track(clips_folder / name, every=every)
        assert rows_per_id(results) == {1: len(results)}, name


def test_two_people_are_two_ids_without_a_swap(clips_folder: Path, every: int) -> None:
    for name in (
        "head_pose_face_detection_female_and_male.gif",
        "face_demographics_walking.gif",
    ):
        results = track(clips_folder / name, every=every)
        counts = rows_per_id(results)
        assert set(counts) == {1, 2}, name
        assert min(counts.values()) >= 0.95 * len(results), name
        # In both clips the same person stays on the left.
        for faces in results:
            lefts = [face.detection.box_xywh_px[0] for face in faces]
            assert lefts == sorted(lefts), name


def test_four_small_faces_are_four_ids(clips_folder: Path, every: int) -> None:
    results = track(clips_folder / "classroom.gif", every=every)
    counts = rows_per_id(results)
    assert set(counts) == {1, 2, 3, 4}
    assert min(counts.values()) >= 0.9 * len(results)


@pytest.mark.parametrize("cuts_known", [True, False])
def test_rows_end_with_the_shot(clips_folder: Path, every: int, cuts_known: bool) -> None:
    results = track(clips_folder / "face_noface.mov", every=every, cuts_known=cuts_known)
    with_face = [index for index, faces in enumerate(results) if faces]
    assert with_face == list(range(72))
    assert rows_per_id(results) == {1: 72}


def test_rows_begin_with_the_shot(clips_folder: Path, every: int) -> None:
    results = track(clips_folder / "noface_face.mov", every=every)
    with_face = [index for index, faces in enumerate(results) if faces]
    # The last frame (168) is blank.
    assert with_face == list(range(96, 168))
    assert rows_per_id(results) == {1: 72}


def test_nobody_is_seen_where_nobody_is(clips_folder: Path, every: int) -> None:
    assert not rows_per_id(track(clips_folder / "no_face.mp4", every=every))


@pytest.mark.slow
def test_a_crowd_keeps_stable_ids(clips_folder: Path, every: int) -> None:
    results = track(clips_folder / "crowd_1080p.mp4", every=every)
    counts = rows_per_id(results)
    # By eye: 12 faces are to be seen for a while, among them three in front throughout.
    assert 9 <= len(counts) <= 14
    # The man with the blond hair and the boy in blue are in every frame, the boy on the right.
    man = face_at(results, 0, (705, 594))
    boy = face_at(results, 0, (950, 676))
    for index in range(20, 105, 20):
        by_id = {face.face_id: face.detection.box_xywh_px for face in results[index]}
        assert by_id[man][0] < by_id[boy][0]
    assert counts[man] >= 100
    assert counts[boy] >= 100
    # Somebody passes in front of the man in the doorway (frames 26 to 48): he gets his id back.
    old_man = face_at(results, 0, (1104, 639))
    assert face_at(results, 60, (1096, 702)) == old_man


def face_at(results: Seen, index: int, place: tuple[int, int], reach_px: int = 30) -> int:
    """The id of the only face whose centre is near a place."""
    near = []
    for face in results[index]:
        x, y, width, height = face.detection.box_xywh_px
        if abs(x + width / 2 - place[0]) < reach_px and abs(y + height / 2 - place[1]) < reach_px:
            near.append(face.face_id)
    assert len(near) == 1, [(face.face_id, face.detection.box_xywh_px) for face in results[index]]
    return near[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["happy", "fear"])
def test_a_generated_face_is_one_id(clips_folder: Path, every: int, name: str) -> None:
    results = track(clips_folder / f"generated_{name}.mp4", every=every)
    assert rows_per_id(results) == {1: 150}


@pytest.mark.slow
def test_haar_gives_one_main_id_per_person(clips_folder: Path) -> None:
    for name, share in (
        ("single_face.mp4", 0.95),
        ("crying_then_laughing.mp4", 0.95),
        # Haar sees her from frame 6 on, when she has turned towards the camera.
        ("head_pose_face_detection_female.gif", 0.7),
    ):
        results = track(clips_folder / name, name="haar", every=3)
        counts = rows_per_id(results)
        assert counts[1] >= share * len(results), name
        assert sum(counts.values()) - counts[1] <= 0.05 * len(results), name
