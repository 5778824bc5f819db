from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from emotrace.errors import UsageError
from emotrace.faces import BoxMapping, FaceSearch, make_detector
from emotrace.faces.association import box_iou
from emotrace.timeline import Detection

Box = tuple[float, float, float, float]
PICTURE = np.zeros((100, 200, 3), np.uint8)


class Stand:
    """Finds what it is told to, and counts how it was asked."""

    name = "stand"
    canonical = BoxMapping()

    def __init__(self, whole: list[Box], near: dict[Box, list[Box]] | None = None) -> None:
        self.whole, self.near = whole, near or {}
        self.searches = self.looks = 0

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        self.searches += 1
        return [Detection(box_xywh_px=box, score=0.9) for box in self.whole]

    def detect_near(self, image_rgb: NDArray[np.uint8], box_xywh_px: Box) -> list[Detection]:
        self.looks += 1
        found = self.near.get(box_xywh_px, [])
        return [Detection(box_xywh_px=box, score=0.8) for box in found]


class WholeOnly:
    name = "whole"
    canonical = BoxMapping()

    def __init__(self) -> None:
        self.searches = 0

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        self.searches += 1
        return []


def known(*boxes: Box) -> list[Detection]:
    return [Detection(box_xywh_px=box, score=0.9) for box in boxes]


A: Box = (10.0, 10.0, 20.0, 20.0)
A_MOVED: Box = (12.0, 10.0, 20.0, 20.0)
B: Box = (22.0, 10.0, 20.0, 20.0)
"""Near enough to A_MOVED for a look around B to end up there."""


def test_between_searches_it_looks_around_what_is_known() -> None:
    detector = Stand([A], {A: [A_MOVED]})
    search = FaceSearch(detector, search_every=4)
    for index in range(9):
        got = search.detect(PICTURE, frame_index=index, known=known(A), is_new_shot=False)
        # After a search of the whole picture too: boxes of two kinds would make crops jump.
        assert [d.box_xywh_px for d in got] == [A_MOVED]
    assert detector.searches == 3
    assert detector.looks == 9


@pytest.mark.parametrize(
    ("near", "expected"),
    [
        ({}, [A, B]),
        ({A: [(60.0, 60.0, 20.0, 20.0)]}, [A, B]),
        ({A: [A_MOVED], B: [A_MOVED]}, [A_MOVED, B]),
    ],
    ids=["not seen", "elsewhere", "one face twice"],
)
def test_a_face_of_a_whole_search_is_kept_whatever_a_second_look_says(
    near: dict[Box, list[Box]], expected: list[Box]
) -> None:
    search = FaceSearch(Stand([A, B], near), search_every=5)
    got = search.detect(PICTURE, frame_index=0, known=[], is_new_shot=False)
    assert sorted(d.box_xywh_px for d in got) == expected


def test_where_every_picture_is_searched_whole_nothing_is_looked_at_again() -> None:
    detector = Stand([A], {A: [A_MOVED]})
    search = FaceSearch(detector, search_every=1)
    (face,) = search.detect(PICTURE, frame_index=0, known=[], is_new_shot=False)
    assert face.box_xywh_px == A
    assert detector.looks == 0


@pytest.mark.parametrize(
    "near",
    [{}, {A: [(60.0, 60.0, 20.0, 20.0)]}, {A: [A], B: [A_MOVED]}],
    ids=["lost", "elsewhere", "one face twice"],
)
def test_in_doubt_it_searches_the_whole_picture(near: dict[Box, list[Box]]) -> None:
    detector = Stand([A, B], near)
    search = FaceSearch(detector, search_every=100)
    search.detect(PICTURE, frame_index=0, known=[], is_new_shot=False)
    faces = known(A, B) if B in near else known(A)
    search.detect(PICTURE, frame_index=1, known=faces, is_new_shot=False)
    assert detector.searches == 2


def test_nobody_known_a_new_shot_and_a_crowd_are_searched_whole() -> None:
    detector = Stand([A], {A: [A]})
    search = FaceSearch(detector, search_every=100)
    search.detect(PICTURE, frame_index=0, known=[], is_new_shot=False)
    search.detect(PICTURE, frame_index=1, known=[], is_new_shot=False)
    search.detect(PICTURE, frame_index=2, known=known(A), is_new_shot=True)
    search.detect(PICTURE, frame_index=3, known=known(*[A] * 5), is_new_shot=False)
    assert detector.searches == 4
    assert detector.looks == 4  # once around what each search found


def test_a_detector_that_cannot_look_around_searches_always() -> None:
    detector = WholeOnly()
    search = FaceSearch(detector, search_every=10)
    for index in range(5):
        search.detect(PICTURE, frame_index=index, known=known(A), is_new_shot=False)
    assert detector.searches == 5


def test_search_every_must_be_positive() -> None:
    with pytest.raises(UsageError, match="search_every"):
        FaceSearch(Stand([]), search_every=0)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["single_face.mp4", "generated_fear.mp4", "classroom.gif"])
def test_regions_give_the_boxes_of_a_whole_search(shared_folder: Path, name: str) -> None:
    detector = make_detector("yunet", folder=shared_folder / "models")
    with av.open(str(shared_folder / "clips" / name)) as container:
        decoded = islice(container.decode(video=0), 9)
        frames = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in decoded]
    search = FaceSearch(detector, search_every=len(frames))
    faces: list[Detection] = []
    overlaps = []
    for index, image in enumerate(frames):
        faces = search.detect(image, frame_index=index, known=faces, is_new_shot=False)
        whole = detector.detect(image)
        assert len(faces) == len(whole)
        overlaps += [
            max(box_iou(face.box_xywh_px, other.box_xywh_px) for other in whole) for face in faces
        ]
    assert float(np.median(overlaps)) > 0.85
    assert min(overlaps) > 0.6
