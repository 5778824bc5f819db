from __future__ import annotations

import numpy as np
import pytest

from emotrace.labels import EMOTIONS
from emotrace.timeline import (
    Detection,
    FaceResult,
    FaceSource,
    FrameResult,
    Prediction,
    TrackedFace,
    ValenceArousalSource,
)
from emotrace.video.overlay import draw_frame_result
from emotrace.video.palette import emotion_color, face_color, rgb_from_hex

Box = tuple[float, float, float, float]


def face(
    box: Box, *, face_id: int = 1, top: str = "happiness", source: FaceSource = FaceSource.DETECTED
) -> FaceResult:
    probabilities = np.full(8, 0.02, np.float32)
    probabilities[EMOTIONS.index(top)] = 0.86
    return FaceResult(
        face=TrackedFace(
            face_id=face_id, detection=Detection(box_xywh_px=box, score=0.9), source=source
        ),
        prediction=Prediction(
            probabilities=probabilities,
            valence=0.5,
            arousal=0.2,
            valence_arousal_source=ValenceArousalSource.MODEL,
        ),
    )


def frame_with(*faces: FaceResult, seconds: float = 1.5) -> FrameResult:
    return FrameResult(frame_index=3, timestamp_seconds=seconds, faces=faces)


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def count_color(image: np.ndarray, color: str) -> int:
    return int(np.count_nonzero((image == rgb_from_hex(color)).all(axis=2)))


@pytest.mark.parametrize("size", [(240, 426), (720, 1280), (1080, 1920), (2160, 3840), (33, 21)])
def test_the_input_is_left_alone_and_the_size_kept(size: tuple[int, int]) -> None:
    image = grey(*size)
    image.flags.writeable = False
    height, width = size
    drawn = draw_frame_result(
        image, frame_with(face((width / 3, height / 4, width / 4, height / 3)))
    )
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert not np.shares_memory(drawn, image)
    assert (image == 90).all()
    assert (drawn != 90).any()


def test_box_label_and_bars_are_there() -> None:
    image = draw_frame_result(grey(720, 1280), frame_with(face((400, 200, 200, 240), face_id=3)))
    line = rgb_from_hex(face_color(3))
    assert tuple(image[320, 400]) == tuple(image[320, 600]) == line
    assert count_color(image, emotion_color("happiness")) > 10 * count_color(
        image, emotion_color("anger")
    )
    # Inside the box the face stays to be seen.
    assert (image[210:430, 410:590] == 90).all()


def test_an_uncertain_label_is_paler_and_as_large_elsewhere() -> None:
    result = frame_with(face((400, 200, 200, 240)))
    confidence = result.faces[0].prediction.confidence
    sure = draw_frame_result(grey(720, 1280), result)
    assert (draw_frame_result(grey(720, 1280), result, uncertain_below=confidence) == sure).all()
    unsure = draw_frame_result(grey(720, 1280), result, uncertain_below=confidence + 1e-3)
    full = count_color(sure, face_color(1)), count_color(unsure, face_color(1))
    # The box keeps its colour; the label's ground is lighter in every channel.
    assert 0 < full[1] < 0.7 * full[0]
    line = rgb_from_hex(face_color(1))
    pale = np.array([(value + 2 * 255) // 3 for value in line], np.uint8)
    assert int((unsure == pale).all(axis=2).sum()) > 0.6 * (full[0] - full[1])


def test_a_tracked_face_has_a_dashed_box() -> None:
    box = (400.0, 200.0, 200.0, 240.0)
    shares = {}
    for source in (FaceSource.DETECTED, FaceSource.TRACKED):
        image = draw_frame_result(grey(720, 1280), frame_with(face(box, source=source)))
        left_edge = image[205:435, 400]
        shares[source] = (left_edge == rgb_from_hex(face_color(1))).all(axis=1).mean()
    assert shares[FaceSource.DETECTED] > 0.95
    assert 0.3 < shares[FaceSource.TRACKED] < 0.8


def test_bars_are_as_long_as_the_probabilities() -> None:
    image = draw_frame_result(grey(720, 1280), frame_with(face((400, 200, 200, 240))))
    lengths = {
        name: (image == rgb_from_hex(emotion_color(name))).all(axis=2).sum(axis=1).max()
        for name in ("happiness", "anger")
    }
    # 0.86 against 0.02, in whole pixels.
    assert lengths["happiness"] == pytest.approx(43 * lengths["anger"], abs=30)


def drawn_over(image: np.ndarray, boxes: list[Box]) -> np.ndarray:
    """Whether anything was drawn inside each box, its line left aside."""
    changed = (image != 90).any(axis=2)
    return np.array(
        [
            changed[int(y) + 5 : int(y + h) - 5, int(x) + 5 : int(x + w) - 5].any()
            for x, y, w, h in boxes
        ]
    )


def test_a_crowd_keeps_its_faces_uncovered() -> None:
    boxes = [(100.0 + 240 * k, 300.0 + 60 * (k % 3), 110.0, 140.0) for k in range(7)]
    result = frame_with(*(face(box, face_id=k + 1) for k, box in enumerate(boxes)))
    image = draw_frame_result(grey(1080, 1920), result)
    assert not drawn_over(image, boxes).any()


@pytest.mark.parametrize("x", [5.0, 540.0, 1070.0])
@pytest.mark.parametrize("y", [2.0, 250.0, 510.0])
def test_the_bars_find_room_wherever_the_face_is(x: float, y: float) -> None:
    image = draw_frame_result(grey(720, 1280), frame_with(face((x, y, 200, 205))))
    assert count_color(image, emotion_color("happiness")) > 200
    # The label may lie over the upper edge of a face that fills the height of the picture.
    assert not drawn_over(image, [(x, y + 30, 200, 170)]).any()


def test_a_tiny_face_gets_a_label_only() -> None:
    image = draw_frame_result(grey(270, 480), frame_with(face((200, 100, 12, 14), face_id=3)))
    assert count_color(image, emotion_color("happiness")) == 0
    assert count_color(image, face_color(3)) > 200


@pytest.mark.parametrize(
    "box", [(-80.0, -60.0, 200.0, 200.0), (1200.0, 650.0, 300.0, 300.0), (2000.0, 2000.0, 9.0, 9.0)]
)
def test_boxes_beyond_the_edges_are_drawn_as_far_as_they_go(box: Box) -> None:
    assert draw_frame_result(grey(720, 1280), frame_with(face(box))).shape == (720, 1280, 3)


def test_no_face_leaves_all_but_the_time() -> None:
    image = draw_frame_result(grey(720, 1280), frame_with())
    assert (image[:650] == 90).all()
    assert (image[650:, :200] != 90).any()
    assert (image[:, 200:] == 90).all()


def test_the_time_is_the_frames_own() -> None:
    drawn = [draw_frame_result(grey(240, 426), frame_with(seconds=s)) for s in (0.0, 0.001, 4000.5)]
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[1], drawn[2])
