from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from emotrace.synth.camera import Camera, CameraSettings
from emotrace.synth.clips import SceneSettings, choose_places, make_scene
from emotrace.synth.head import Layer
from emotrace.synth.identity import make_identity
from emotrace.synth.light import Light
from emotrace.synth.performance import Performance, PerformanceSettings
from emotrace.synth.scene import Actor, Place, Shot, draw_state, lay_over
from emotrace.video import ShotCutDetector

WIDTH, HEIGHT = 240, 180
SETTINGS = SceneSettings(
    clip_id="crowd",
    subjects=(4, 12, 7),
    emotions=("happiness", "anger", None),
    frame_count=40,
    width=WIDTH,
    height=HEIGHT,
)


def actor(number: int, place: tuple[float, float], height_px: float, rank: int) -> Actor:
    performance = Performance(
        PerformanceSettings(
            emotion="happiness",
            dynamics="hold",
            count=10,
            frame_rate=25,
            peak=1.0,
            pulses=1,
            turn_degrees=8,
        ),
        (0, 0, number),
    )
    return Actor(
        face_id=number,
        identity=make_identity(number),
        performance=performance,
        place=Place(start=place, end=place, face_height_px=height_px),
        depth_rank=rank,
    )


def shot_of(*actors: Actor) -> Shot:
    room = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    return Shot(first_state=0, count=10, room=room, light=Light(), actors=actors)


def test_a_face_alone_is_wholly_visible_and_inside_its_box() -> None:
    image, (face,) = draw_state(shot_of(actor(1, (0.5, 0.5), 90, 0)), 3)
    x, y, w, h = face.box_xywh_px
    assert face.visible_share == 1.0
    assert 0.85 * 90 < h < 1.25 * 90
    assert 0.6 < w / h < 1.0
    assert abs(x + w / 2 - WIDTH / 2) < 10
    assert abs(y + h / 2 - HEIGHT / 2) < 12
    assert (image != 128).any()


def test_people_side_by_side_hide_nothing() -> None:
    _, faces = draw_state(shot_of(actor(4, (0.2, 0.4), 60, 0), actor(12, (0.8, 0.4), 60, 1)), 0)
    assert [face.visible_share for face in faces] == [1.0, 1.0]


def test_who_stands_behind_is_hidden_as_far_as_the_pictures_say() -> None:
    """The share is compared with what changes in the picture when the front person goes away."""
    front, behind = actor(12, (0.60, 0.5), 90, 0), actor(7, (0.40, 0.5), 80, 1)
    together, faces = draw_state(shot_of(front, behind), 2)
    alone, _ = draw_state(shot_of(behind), 2)
    by_id = {face.face_id: face for face in faces}
    assert by_id[12].visible_share == 1.0
    share = by_id[7].visible_share
    assert 0.05 < share < 0.95
    x, y, w, h = by_id[7].box_xywh_px
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    centre, radii = (round(x + w / 2), round(y + h / 2)), (round(w / 2), round(h / 2))
    cv2.ellipse(mask, centre, radii, 0, 0, 360, (1,), -1)
    untouched = np.all(together == alone, axis=2)[mask > 0].mean()
    assert share == pytest.approx(untouched, abs=0.08)


def test_who_stands_exactly_behind_a_larger_person_is_gone() -> None:
    _, faces = draw_state(shot_of(actor(4, (0.5, 0.5), 110, 0), actor(9, (0.5, 0.52), 60, 1)), 0)
    shares = {face.face_id: face.visible_share for face in faces}
    assert shares[4] == 1.0
    assert shares[9] < 0.02


def test_the_edge_of_the_picture_hides_half_a_face() -> None:
    _, (face,) = draw_state(shot_of(actor(4, (0.0, 0.5), 80, 0)), 0)
    assert face.visible_share == pytest.approx(0.5, abs=0.12)
    assert face.box_xywh_px[0] < -20


def test_who_is_outside_of_the_picture_is_not_in_its_truth() -> None:
    _, faces = draw_state(shot_of(actor(4, (1.8, 0.5), 80, 0), actor(12, (0.5, 0.5), 60, 1)), 0)
    assert [face.face_id for face in faces] == [12]


def test_ids_hold_while_people_cross() -> None:
    settings = replace(SETTINGS, subjects=(4, 12), emotions=("happiness", "anger"))
    frames = list(make_scene(settings).frames())
    for frame in frames:
        assert [face.face_id for face in frame.faces] == [1, 2]
        assert [face.subject for face in frame.faces] == ["S004", "S012"]
        assert [face.depth_rank for face in frame.faces] == [0, 1]
        assert frame.faces[0].visible_share == 1.0
    middles = np.array(
        [[f.box_xywh_px[0] + f.box_xywh_px[2] / 2 for f in fr.faces] for fr in frames]
    )
    side = np.sign(middles[:, 0] - middles[:, 1])
    assert side[0] == -side[-1]
    hidden = [frame.faces[1].visible_share for frame in frames]
    assert hidden[0] == hidden[-1] == 1.0
    assert min(hidden) < 0.3
    # Nobody jumps: less than a tenth of the picture's width from frame to frame.
    assert np.abs(np.diff(middles, axis=0)).max() < WIDTH / 10


def test_three_people_pass_one_another_at_different_times() -> None:
    places = choose_places(SETTINGS, 0)
    meetings = set()
    for one in range(3):
        for other in range(one):
            a, b = places[one], places[other]
            apart = [a.start[0] - b.start[0], a.end[0] - b.end[0]]
            if np.sign(apart[0]) != np.sign(apart[1]):
                meetings.add(round(apart[0] / (apart[0] - apart[1]), 3))
    assert len(meetings) == 2


def test_people_who_keep_their_places_hide_nobody() -> None:
    frames = make_scene(replace(SETTINGS, is_crossing=False, width=480, frame_count=8)).frames()
    assert {face.visible_share for frame in frames for face in frame.faces} == {1.0}


def test_cuts_are_where_the_truth_says() -> None:
    clip = make_scene(replace(SETTINGS, cuts=2, frame_count=30, is_crossing=False))
    frames = list(clip.frames())
    assert [frame.index for frame in frames if frame.is_cut] == [10, 20]
    steps = [
        float(np.abs(a.image_rgb.astype(int) - b.image_rgb).mean())
        for a, b in zip(frames[1:], frames[:-1], strict=True)
    ]
    assert sorted(np.argsort(steps)[-2:] + 1) == [10, 20]
    for frame in frames:
        assert {face.subject for face in frame.faces} <= {"S004", "S012", "S007"}
        names = {face.face_id: face.subject for face in frame.faces}
        assert names == {k: v for k, v in {1: "S004", 2: "S012", 3: "S007"}.items() if k in names}


def test_the_shot_detector_finds_the_cuts() -> None:
    detector = ShotCutDetector()
    clip = make_scene(replace(SETTINGS, cuts=2, frame_count=60, width=320, is_crossing=False))
    found, true = [], []
    for frame in clip.frames():
        if detector.update(frame.image_rgb):
            found.append(frame.index)
        if frame.is_cut:
            true.append(frame.index)
    assert found == true


def test_layers_are_laid_over_by_their_cover_and_cut_off_at_the_edge() -> None:
    image = np.full((4, 4, 3), 100, np.uint8)
    rgba = np.zeros((3, 3, 4), np.uint8)
    rgba[..., :3] = 200
    rgba[..., 3] = 255
    rgba[2, 2, 3] = 51
    lay_over(image, Layer(left=-1, top=-1, rgba=rgba))
    assert image[0, 0].tolist() == [200, 200, 200]
    assert image[1, 1].tolist() == [120, 120, 120]
    assert image[2, 2].tolist() == [100, 100, 100]
    lay_over(image, Layer(left=9, top=0, rgba=rgba))
    assert image[3, 3].tolist() == [100, 100, 100]


def test_the_camera_adds_noise_of_the_strength_asked_for() -> None:
    flat = np.full((90, 120, 3), 128, np.uint8)
    camera = Camera(CameraSettings(noise=4.0), np.random.default_rng(0), 120, 90)
    taken = camera.take(flat, 5).astype(float)
    assert taken.std() == pytest.approx(4.0, rel=0.1)
    assert taken.mean() == pytest.approx(128, abs=0.3)
    np.testing.assert_array_equal(camera.take(flat, 5), camera.take(flat, 5))
    assert (camera.take(flat, 5) != camera.take(flat, 6)).any()


def test_the_camera_can_be_grey_blurred_and_compressed() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)

    def take(settings: CameraSettings) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return Camera(settings, np.random.default_rng(0), 64, 64).take(picture, 0)

    grey = take(CameraSettings(noise=0, is_grey=True))
    assert (grey[..., 0] == grey[..., 2]).all()
    assert take(CameraSettings(noise=0, blur_px=2)).std() < 0.4 * picture.std()
    assert (take(CameraSettings(noise=0, jpeg_quality=30)) != picture).any()
    np.testing.assert_array_equal(take(CameraSettings(noise=0)), picture)
