"""The tracker on drawn scenes whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.errors import UsageError
from emotrace.faces.association import box_iou
from emotrace.faces.tracker import FaceTracker, TrackerSettings
from emotrace.timeline import Detection, FaceSource, TrackedFace
from tests.faces.scene import FRAMES_PER_SECOND, HEIGHT, WIDTH, Person, anna, ben, draw_scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Seen = list[list[TrackedFace]]


def run(
    people: list[Person],
    frames: int,
    *,
    sees: Callable[[Person, int], bool] = lambda _person, _frame: True,
    every: int = 1,
    cuts: tuple[int, ...] = (),
    tracker: FaceTracker | None = None,
    start_frame: int = 0,
) -> Seen:
    """Track drawn people whose detector finds those that `sees` says, on every nth frame."""
    tracker = tracker or FaceTracker()
    results = []
    for frame in range(start_frame, start_frame + frames):
        found = [person.detection(frame) for person in people if sees(person, frame)]
        results.append(
            tracker.update(
                draw_scene(people, frame),
                found if frame % every == 0 else None,
                timestamp_seconds=frame / FRAMES_PER_SECOND,
                is_cut=frame in cuts,
            )
        )
    return results


def ids(results: Seen) -> list[list[int]]:
    return [[face.face_id for face in faces] for faces in results]


def id_at(faces: list[TrackedFace], person: Person, frame: int) -> int | None:
    """The id of the face that lies on a person, if any."""
    for face in faces:
        if box_iou(face.detection.box_xywh_px, person.box(frame)) > 0.5:
            return face.face_id
    return None


def test_ids_start_at_one_from_left_to_right() -> None:
    people = [ben(), anna()]
    results = run(people, 3)
    assert ids(results) == [[1, 2]] * 3
    assert id_at(results[0], anna(), 0) == 1


def test_a_single_picture_gives_even_unsure_faces_at_once() -> None:
    person = anna()
    faces = FaceTracker().update(
        draw_scene([person], 0), [person.detection(0, 0.3)], timestamp_seconds=0.0, is_cut=False
    )
    assert [face.face_id for face in faces] == [1]


def test_an_unsure_face_waits_for_evidence_and_a_sure_one_does_not() -> None:
    person = anna()
    for score, expected in ((0.65, [[], [1], [1]]), (0.5, [[], [], [1]]), (0.8, [[1], [1], [1]])):
        tracker = FaceTracker()
        tracker.update(draw_scene([], 0), [], timestamp_seconds=0.0, is_cut=False)
        results = [
            tracker.update(
                draw_scene([person], frame),
                [person.detection(frame, score)],
                timestamp_seconds=frame / FRAMES_PER_SECOND,
                is_cut=False,
            )
            for frame in (1, 2, 3)
        ]
        assert ids(results) == expected


def test_a_false_alarm_of_one_frame_leaves_no_trace() -> None:
    tracker = FaceTracker()
    alarm = Detection(box_xywh_px=(150, 20, 30, 30), score=0.6)
    results = []
    for frame in range(20):
        found = [alarm] if frame == 5 else []
        results.append(
            tracker.update(
                draw_scene([], frame),
                found,
                timestamp_seconds=frame / FRAMES_PER_SECOND,
                is_cut=False,
            )
        )
    assert ids(results) == [[]] * 20


def test_crossing_people_keep_their_ids() -> None:
    # They meet half way; from frame 17 to 26 the one in front hides the other.
    left, right = anna(step_xy=(4, 0)), ben(step_xy=(-4, 0))
    people = [left, right]

    def sees(person: Person, frame: int) -> bool:
        return person is right or abs(left.box(frame)[0] - right.box(frame)[0]) > 24

    results = run(people, 50, sees=sees)
    for frame in (0, 15, 35, 49):
        assert id_at(results[frame], left, frame) == 1, frame
        assert id_at(results[frame], right, frame) == 2, frame
    assert {face_id for row in ids(results) for face_id in row} == {1, 2}
    # The one in front is never lost.
    assert all(id_at(faces, right, frame) == 2 for frame, faces in enumerate(results))


def test_missed_detections_are_bridged_by_flow_on_the_face() -> None:
    person = anna(step_xy=(1.5, 0.5))
    results = run([person], 40, sees=lambda _person, frame: not 10 <= frame < 30)
    assert ids(results) == [[1]] * 40
    for frame in range(10, 30):
        assert results[frame][0].source is FaceSource.TRACKED
        assert box_iou(results[frame][0].detection.box_xywh_px, person.box(frame)) > 0.8
    assert results[30][0].source is FaceSource.DETECTED
    assert results[20][0].detection.score <= 0.9


def test_nobody_is_carried_longer_than_stated() -> None:
    settings = TrackerSettings(max_carry_seconds=0.4)
    results = run(
        [anna()],
        40,
        sees=lambda _person, frame: frame < 10,
        tracker=FaceTracker(settings),
    )
    carried = [frame for frame, faces in enumerate(results) if faces]
    # The first miss is at frame 10; 0.4 s are 10 frames.
    assert carried == list(range(21))


def test_an_occluded_face_has_no_rows_and_gets_its_id_back() -> None:
    person = anna()
    hides = Person(seed=9, skin=(20, 20, 20), clothes=(20, 20, 20), start_xy=(20, 40), size=80)
    tracker = FaceTracker()
    results = []
    for frame in range(40):
        is_hidden = 10 <= frame < 23
        results.append(
            tracker.update(
                draw_scene([person, hides] if is_hidden else [person], frame),
                [] if is_hidden else [person.detection(frame)],
                timestamp_seconds=frame / FRAMES_PER_SECOND,
                is_cut=False,
            )
        )
    assert ids(results) == [[1]] * 10 + [[]] * 13 + [[1]] * 17


def test_someone_else_in_the_same_place_gets_another_id() -> None:
    first, other = anna(), ben(start_xy=(40, 60))
    tracker = FaceTracker()
    run([first], 10, tracker=tracker)
    assert ids(run([other], 5, tracker=tracker, start_frame=10)) == [[2]] * 5


def test_a_cut_ends_every_track() -> None:
    results = run([anna()], 20, cuts=(10,))
    assert ids(results) == [[1]] * 10 + [[2]] * 10


def test_a_cut_is_not_bridged_by_flow() -> None:
    results = run([anna()], 20, cuts=(10,), sees=lambda _person, frame: frame < 10)
    assert ids(results)[10:] == [[]] * 10


def test_ids_cross_cuts_only_where_asked_for_and_alike() -> None:
    tracker = FaceTracker(TrackerSettings(cut_similarity=0.8))
    run([anna()], 10, tracker=tracker)
    # Somebody else's shot, then the first person again elsewhere in the picture.
    assert ids(run([ben()], 10, tracker=tracker, start_frame=10, cuts=(10,)))[-1] == [2]
    moved = anna(start_xy=(180, 30))
    assert ids(run([moved], 10, tracker=tracker, start_frame=20, cuts=(20,)))[-1] == [1]


def test_reset_leaves_nothing_behind() -> None:
    tracker = FaceTracker()
    people = [anna(step_xy=(2, 0)), ben()]
    first = run(people, 15, tracker=tracker, every=3)
    tracker.reset()
    assert run([], 1, tracker=tracker) == [[]]
    tracker.reset()
    again = run(people, 15, tracker=tracker, every=3)
    assert ids(first) == ids(again)
    for one, other in zip(first, again, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a.detection.box_xywh_px == b.detection.box_xywh_px


@pytest.mark.parametrize("every", [3, 5])
def test_faces_are_carried_between_detections(every: int) -> None:
    people = [anna(step_xy=(1.5, 0)), ben(step_xy=(-1, 0.5))]
    results = run(people, 40, every=every)
    for frame, faces in enumerate(results):
        expected = FaceSource.DETECTED if frame % every == 0 else FaceSource.TRACKED
        assert [face.source for face in faces] == [expected] * 2
        assert id_at(faces, people[0], frame) == 1
        assert id_at(faces, people[1], frame) == 2


def test_landmarks_are_carried_with_the_face() -> None:
    person = anna(step_xy=(2, 0))
    marks = np.array([[50, 70], [62, 70], [56, 76], [51, 84], [61, 84]], np.float32)
    tracker = FaceTracker()
    start = Detection(box_xywh_px=person.box(0), score=0.9, landmarks_px=marks)
    tracker.update(draw_scene([person], 0), [start], timestamp_seconds=0.0, is_cut=False)
    for frame in range(1, 6):
        faces = tracker.update(
            draw_scene([person], frame), None, timestamp_seconds=frame / 25, is_cut=False
        )
    landmarks = faces[0].detection.landmarks_px
    assert landmarks is not None
    np.testing.assert_allclose(landmarks, marks + np.array([10, 0]), atol=1.0)


def test_a_second_box_on_a_face_starts_nobody() -> None:
    person = anna()
    tracker = FaceTracker()
    x, y, width, height = person.box(0)
    double = Detection(box_xywh_px=(x + 4, y - 20, width, height), score=0.8)
    results = [
        tracker.update(
            draw_scene([person], frame),
            [person.detection(frame), double],
            timestamp_seconds=frame / 25,
            is_cut=False,
        )
        for frame in range(10)
    ]
    assert ids(results) == [[1]] * 10


def test_a_second_box_on_a_face_is_nobody_out_of_sight() -> None:
    # Her twin has left: by its look, a second box on her own face could be the twin's.
    person, twin = anna(), anna(start_xy=(240, 60))
    tracker = FaceTracker()
    x, y, width, height = person.box(0)
    nested = Detection(box_xywh_px=(x + 1, y + 1, width - 2, height - 2), score=0.8)
    for frame in range(30):
        both = frame < 10
        found = [person.detection(frame), twin.detection(frame) if both else nested]
        people = [person, twin] if both else [person]
        faces = tracker.update(
            draw_scene(people, frame),
            found if both or frame > 25 else found[:1],
            timestamp_seconds=frame / FRAMES_PER_SECOND,
            is_cut=False,
        )
        assert [face.face_id for face in faces] == ([1, 2] if both else [1]), frame


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_order_of_detections_does_not_matter(data: st.DataObject) -> None:
    people = [
        anna(step_xy=(5, 0)),
        ben(step_xy=(-5, 0)),
        anna(seed=5, skin=(180, 180, 60), start_xy=(140, 120)),
    ]
    trackers = FaceTracker(), FaceTracker()
    for frame in range(0, 30, 2):
        image = draw_scene(people, frame)
        found = [
            person.detection(frame, score)
            for person, score in zip(people, (0.9, 0.9, 0.7), strict=True)
        ]
        shuffled = data.draw(st.permutations(found))
        rows = [
            [
                (face.face_id, face.source, face.detection.box_xywh_px)
                for face in tracker.update(image, order, timestamp_seconds=frame / 25, is_cut=False)
            ]
            for tracker, order in zip(trackers, (found, shuffled), strict=True)
        ]
        assert rows[0] == rows[1]


def test_a_repeated_or_earlier_time_does_no_harm() -> None:
    person = anna(step_xy=(1, 0))
    tracker = FaceTracker()
    times = [0.0, 0.04, 0.04, 0.02, 0.12]
    results = [
        tracker.update(
            draw_scene([person], frame),
            [person.detection(frame)],
            timestamp_seconds=time,
            is_cut=False,
        )
        for frame, time in enumerate(times)
    ]
    assert ids(results) == [[1]] * 5


def test_the_memory_of_people_out_of_sight_ends() -> None:
    tracker = FaceTracker(TrackerSettings(memory_seconds=1.0, max_carry_seconds=0.0))
    run([anna()], 5, tracker=tracker)
    for frame in range(5, 60):
        tracker.update(draw_scene([], frame), [], timestamp_seconds=frame / 25, is_cut=False)
    assert ids(run([anna()], 1, tracker=tracker, start_frame=60)) == [[2]]


def wrong_picture() -> NDArray[np.uint8]:
    return np.zeros((HEIGHT, WIDTH), np.uint8)


def test_a_grey_picture_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\(180, 320\)"):
        FaceTracker().update(wrong_picture(), [], timestamp_seconds=0.0, is_cut=False)


@pytest.mark.parametrize(
    "changes", [{"max_size_ratio": 0.5}, {"memory_seconds": -1.0}, {"max_carry_seconds": -0.1}]
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(changes))):
        TrackerSettings(**changes)  # type: ignore[arg-type]
