"""What the model takes for no face: left out causally, by track, with ids given anew."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from emotrace.analysis.rejection import FaceRejection, RejectionSettings
from emotrace.analysis.summary import rejection_notices
from emotrace.errors import UsageError
from emotrace.faces import TrackerSettings
from emotrace.timeline import FaceResult, FrameResult
from tests.analysis.timelines import make_face, probabilities_of

RATE = 25.0
HAPPY = probabilities_of("happiness")


def face(face_id: int, probability: float | None) -> FaceResult:
    item = make_face(face_id, HAPPY)
    return replace(item, prediction=replace(item.prediction, face_probability=probability))


def frames(
    *tracks: Sequence[float | None], rate: float = RATE, start_seconds: float = 0.0
) -> list[FrameResult]:
    """Frames in which track i + 1 has these face probabilities; None where it is away."""
    return [
        FrameResult(
            frame_index=at,
            timestamp_seconds=start_seconds + at / rate,
            faces=tuple(
                face(number + 1, said) for number, said in enumerate(column) if said is not None
            ),
            is_cut=at == 3,
        )
        for at, column in enumerate(zip(*tracks, strict=True))
    ]


def kept(rejection: FaceRejection, results: list[FrameResult]) -> list[list[int]]:
    return [[item.face.face_id for item in rejection.apply(one).faces] for one in results]


def test_without_a_threshold_or_a_face_output_nothing_changes() -> None:
    results = frames([0.01] * 5, [0.9] * 5)
    without = FaceRejection(None)
    assert all(without.apply(one) is one for one in results)
    silent = frames([None, 0.5, 0.5], [0.5, 0.5, 0.5])
    unsaid = [replace(one, faces=(face(7, None),)) for one in silent]
    rejection = FaceRejection(0.4)
    assert kept(rejection, unsaid) == [[1], [1], [1]]
    assert rejection.describe()["detections"] == without.describe()["detections"] == 0


def test_a_false_alarm_is_left_out_from_its_first_frame_and_counted() -> None:
    rejection = FaceRejection(0.3)
    results = frames([0.9] * 6, [0.05] * 6)
    assert kept(rejection, results) == [[1]] * 6
    assert rejection.describe() == {
        "face_threshold": 0.3,
        "are_dropped": True,
        "detections": 6,
        "tracks": 1,
        "whole_tracks": 1,
    }
    assert json.dumps(rejection.describe())


def test_everything_but_the_faces_stays_as_it_was() -> None:
    results = frames([0.05] * 5)
    for before in results:
        after = FaceRejection(0.3).apply(before)
        assert after.faces == ()
        for name in ("frame_index", "timestamp_seconds", "is_cut"):
            assert getattr(after, name) == getattr(before, name)
    rejection = FaceRejection(0.3)
    assert rejection.apply(frames([0.9])[0]).faces[0].prediction.face_probability == 0.9


def test_ids_run_from_one_in_the_order_of_those_that_are_left() -> None:
    rejection = FaceRejection(0.3)
    # Track 2 is a face from the first frame on, 3 a frame later; 1 turns out to be one last.
    late = [0.05, 0.05, 0.999, 0.999, 0.999]
    results = frames(late, [0.9] * 5, [None, 0.9, 0.9, 0.9, 0.9])
    assert kept(rejection, results) == [[1], [1, 2], [1, 2, 3], [1, 2, 3], [1, 2, 3]]
    last = rejection.apply(
        replace(results[-1], timestamp_seconds=0.3, faces=results[-1].faces[::-1])
    )
    # Whoever came in as 1 is 3 now, and the faces of a frame are in order of their ids.
    assert [item.face.detection.box_xywh_px[0] for item in last.faces] == [20.0, 30.0, 10.0]
    assert rejection.describe()["tracks"] == 1
    assert rejection.describe()["whole_tracks"] == 0


def test_the_mean_log_odds_fade_by_half_in_the_half_life() -> None:
    threshold = 0.5
    rejection = FaceRejection(threshold, settings=RejectionSettings(half_life_seconds=0.4))
    good, bad = 0.9, 0.2
    track: Sequence[float | None] = [good] * 10 + [bad] * 12
    odds = [math.log(p / (1 - p)) for p in track if p is not None]
    expected = []
    for at in range(len(track)):
        weights = [0.5 ** ((at - i) / RATE / 0.4) for i in range(at + 1)]
        mean = sum(w * o for w, o in zip(weights, odds, strict=False)) / sum(weights)
        expected.append([1] if mean >= 0 else [])
    assert kept(rejection, frames(track)) == expected
    assert [] in expected
    assert expected[10] == [1]  # one doubtful frame does not undo ten good ones


def test_a_hand_before_the_face_is_bridged_and_a_drift_is_not() -> None:
    hidden: Sequence[float | None] = [0.99] * 25 + [0.3] * 5 + [0.99] * 5
    assert kept(FaceRejection(0.4), frames(hidden)) == [[1]] * 35
    drifted = kept(FaceRejection(0.4), frames([0.99] * 25 + [0.01] * 50))
    assert drifted[:25] == [[1]] * 25
    assert drifted[-25:] == [[]] * 25


def test_one_overly_sure_frame_does_not_outvote_the_rest() -> None:
    sure: Sequence[float | None] = [0.9] * 10 + [0.0] + [0.9] * 10
    assert kept(FaceRejection(0.3), frames(sure)) == [[1]] * 21
    nonsense: Sequence[float | None] = [0.05] * 10 + [1.0] + [0.05] * 10
    assert kept(FaceRejection(0.3), frames(nonsense)) == [[]] * 21


def test_the_frame_rate_does_not_matter() -> None:
    shares = []
    for rate in (12.5, 25.0, 100.0):
        count = round(2 * rate)
        track: Sequence[float | None] = [0.99] * count + [0.05] * count
        times = [one.timestamp_seconds for one in frames(track, rate=rate)]
        gone = kept(FaceRejection(0.3), frames(track, rate=rate)).index([])
        shares.append(times[gone] - times[count])
    assert max(shares) - min(shares) <= 2 / 12.5


def test_what_was_seen_before_an_absence_counts_less_after_it() -> None:
    waits = []
    for absence_seconds in (0, 4):
        away = [None] * round(absence_seconds * RATE)
        track: Sequence[float | None] = [*[0.999] * 25, *away, *[0.01] * 50]
        shown = kept(FaceRejection(0.3), frames(track))[25 + len(away) :]
        waits.append(shown.index([]))
    assert waits[1] <= 3 < 15 < waits[0]


def test_who_is_forgotten_by_the_tracker_is_forgotten_here_and_nobody_else() -> None:
    rejection = FaceRejection(0.3)
    memory = TrackerSettings().memory_seconds
    for number in range(200):
        rejection.apply(
            FrameResult(
                frame_index=number,
                timestamp_seconds=number * memory / 10,
                faces=(face(number + 1, 0.9), face(1000, 0.9)),
            )
        )
    assert len(rejection._evidence) <= 12
    assert rejection._evidence[1000].face_id == 2


def test_a_face_seen_once_a_minute_keeps_its_id() -> None:
    rejection = FaceRejection(0.3)
    slow = frames([0.9] * 4, [0.9] * 4, rate=1 / 60)
    assert kept(rejection, slow) == [[1, 2]] * 4


def test_rejected_faces_are_kept_and_counted_where_asked() -> None:
    rejection = FaceRejection(0.3, is_dropping=False)
    assert kept(rejection, frames([0.9] * 4, [0.05] * 4)) == [[1, 2]] * 4
    said = rejection.describe()
    assert (said["are_dropped"], said["detections"], said["tracks"]) == (False, 4, 1)
    assert rejection_notices(said) == [
        "4 boxes on 1 track did not look like a face to the model: kept as asked"
    ]


@pytest.mark.parametrize("threshold", [-0.1, 1.5, math.nan])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match=r"face threshold in \[0, 1\]"):
        FaceRejection(threshold)


@pytest.mark.parametrize("name", ["half_life_seconds", "most_log_odds"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_settings_that_cannot_work_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"expected {name} above 0"):
        RejectionSettings(**{name: value})
