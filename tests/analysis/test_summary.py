from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from emotrace.analysis.summary import (
    MEANING,
    face_notices,
    installed_versions,
    json_ready,
    summarize,
)
from emotrace.labels import EMOTIONS
from emotrace.timeline import Detection, FaceSource, FrameResult, TrackedFace, results_to_table
from tests.analysis.timelines import make_face, make_facts, make_table, probabilities_of, tables

if TYPE_CHECKING:
    from collections.abc import Sequence


def summarize_plainly(table: pa.Table, duration: float) -> dict[str, Any]:
    facts = make_facts(frame_count=table.num_rows, duration_seconds=duration)
    return summarize(
        table, facts, settings={"prior": "uniform"}, bundle={"name": "b"}, detector="haar"
    )


def test_known_answer() -> None:
    happy, sad = probabilities_of("happiness"), probabilities_of("sadness")
    results = [
        FrameResult(frame_index=0, timestamp_seconds=1.0, faces=(make_face(1, happy),)),
        FrameResult(
            frame_index=1,
            timestamp_seconds=1.1,
            faces=(make_face(1, sad, FaceSource.TRACKED), make_face(2, sad)),
        ),
        FrameResult(frame_index=2, timestamp_seconds=1.4),
        FrameResult(frame_index=3, timestamp_seconds=1.5, faces=(make_face(1, happy),)),
    ]
    facts = make_facts(frame_count=4, duration_seconds=0.6, path="a/clip.mp4")
    summary = summarize(
        results_to_table(results),
        facts,
        settings={"smoothing": None},
        bundle={"name": "compact", "licence": "Apache-2.0"},
        detector="yunet",
        notices=["a notice"],
        run_notices=["no YuNet"],
        cut_timestamps_seconds=[1.5],
    )
    assert list(summary) == [
        "schema_version",
        "meaning",
        "input",
        "counts",
        "faces",
        "rejected",
        "shot_cuts_seconds",
        "detector",
        "bundle",
        "settings",
        "columns_note",
        "notices",
        "run_notices",
        "versions",
    ]
    assert summary["meaning"] == MEANING
    assert summary["counts"] == {"frames": 4, "frames_with_face": 3, "faces": 2, "shot_cuts": 1}
    assert summary["input"]["path"] == "a/clip.mp4"
    assert summary["notices"] == ["no YuNet", "a notice"]
    assert summary["run_notices"] == ["no YuNet"]
    assert summary["rejected"]["face_threshold"] is None
    assert summary["rejected"]["detections"] == 0
    first, second = summary["faces"]
    assert (first["first_seen_seconds"], first["last_seen_seconds"]) == (1.0, pytest.approx(1.6))
    assert first["seconds_present"] == pytest.approx(0.5)
    shares = first["emotion_time_shares"]
    assert list(shares) == list(EMOTIONS)
    assert shares["happiness"] == pytest.approx(0.4)
    assert shares["sadness"] == pytest.approx(0.6)
    assert (first["detected_share"], first["tracked_share"]) == pytest.approx((2 / 3, 1 / 3))
    # Two of three frames are happy; by time it is the other way round.
    assert first["vote_by_maximum_probability"] == "happiness"
    assert first["vote_by_summed_probabilities"] == "happiness"
    assert first["valence_arousal_sources"] == ["derived"]
    rest = 0.2 / 7
    mean_valence = 0.8 * (0.4 * 0.81 - 0.6 * 0.63) + rest * (
        -0.51 - 0.2875 - 0.60 - 0.64 + 0.40 + 0.4 * -0.63 + 0.6 * 0.81
    )
    assert first["mean_valence"] == pytest.approx(mean_valence, abs=1e-6)
    assert second["seconds_present"] == pytest.approx(0.3)


def test_the_uncertain_share_is_one_of_time() -> None:
    sure, unsure = probabilities_of("fear", 0.8), probabilities_of("fear", 0.3)
    table = make_table([0.0, 0.1, 0.4], [{1: sure}, {1: unsure}, {1: sure, 2: unsure}])
    facts = make_facts(frame_count=3, duration_seconds=0.5)
    shares = {}
    for threshold in (None, 0.0, 0.3, 0.4, 0.9):
        bundle = {"name": "b", "uncertain_threshold": threshold}
        summary = summarize(table, facts, settings={}, bundle=bundle, detector="haar")
        assert summary["bundle"]["uncertain_threshold"] == threshold
        shares[threshold] = [face["uncertain_share"] for face in summary["faces"]]
    assert shares[None] == [None, None]
    assert shares[0.0] == [0.0, 0.0]
    assert shares[0.4] == pytest.approx([0.6, 1.0])
    assert shares[0.9] == [1.0, 1.0]


def test_what_was_rejected_is_stated_with_a_notice() -> None:
    table = make_table([0.0, 0.1], [{}, {}])
    facts = make_facts(frame_count=2, duration_seconds=0.2)
    said = {
        "face_threshold": 0.2,
        "are_dropped": True,
        "detections": 3,
        "tracks": 2,
        "whole_tracks": 1,
    }
    summary = summarize(
        table, facts, settings={}, bundle={}, detector="haar", notices=["first"], rejected=said
    )
    assert summary["rejected"] == said
    first, second = summary["notices"]
    assert first == "first"
    assert second.startswith("3 boxes on 2 tracks did not look like a face to the model: left out")


@given(tables())
@settings(deadline=None, max_examples=40)
def test_is_json_and_shares_sum_to_one(table: pa.Table) -> None:
    summary = summarize_plainly(table, table["timestamp"][-1].as_py() + 0.1)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    faces = summary["faces"]
    for face in faces:
        assert sum(face["emotion_time_shares"].values()) == pytest.approx(1.0)
        assert face["seconds_present"] <= face["last_seen_seconds"] - face["first_seen_seconds"] + (
            1e-9
        )


def test_a_still_image_and_a_video_without_faces() -> None:
    still = summarize_plainly(make_table([0.0], [{1: probabilities_of("fear")}]), 0.0)
    (face,) = still["faces"]
    assert face["emotion_time_shares"]["fear"] == 1.0
    assert face["seconds_present"] == 0.0
    empty = summarize_plainly(make_table([0.0, 0.1], [{}, {}]), 0.2)
    assert empty["faces"] == []
    assert empty["counts"] == {"frames": 2, "frames_with_face": 0, "faces": 0, "shot_cuts": 0}


def test_unknown_valence_becomes_null() -> None:
    table = make_table([0.0, 0.1], [{1: probabilities_of("fear")}] * 2)
    index = table.schema.get_field_index("valence")
    blank = table.set_column(index, table.schema.field(index), pa.nulls(2, pa.float32()))
    (face,) = summarize_plainly(blank, 0.2)["faces"]
    assert face["mean_valence"] is None
    assert face["mean_arousal"] is not None


def table_of(
    widths: Sequence[float], sources: Sequence[FaceSource], *, face_ids: Sequence[int] = (1,)
) -> pa.Table:
    """Faces of the given widths (px) and sources, frame by frame, the same for each of the ids."""
    plain = make_face(1, probabilities_of("fear"))
    faces = [
        [
            replace(
                plain,
                face=TrackedFace(
                    face_id=face_id,
                    detection=Detection(box_xywh_px=(0.0, 0.0, width, 40.0), score=0.9),
                    source=source,
                ),
            )
            for face_id in face_ids
        ]
        for width, source in zip(widths, sources, strict=True)
    ]
    return results_to_table(
        FrameResult(frame_index=i, timestamp_seconds=i / 10, faces=tuple(present))
        for i, present in enumerate(faces)
    )


DETECTED, TRACKED = FaceSource.DETECTED, FaceSource.TRACKED


def test_a_small_face_is_said_to_be_guessed_at() -> None:
    # One frame nearby is large: the median is what counts.
    summary = summarize_plainly(table_of([12.4, 11.8, 90.0], [DETECTED] * 3), 0.3)
    assert summary["faces"][0]["median_width_px"] == pytest.approx(12.4)
    assert summary["notices"] == ["face 1 is about 12 px wide: its predictions are guesses"]
    assert summarize_plainly(table_of([20.0, 20.1], [DETECTED] * 2), 0.2)["notices"] == []


def test_many_small_faces_make_one_notice() -> None:
    three = summarize_plainly(table_of([12.0], [DETECTED], face_ids=(1, 2, 5)), 0.1)
    assert three["notices"] == [
        "faces 1, 2 and 5 are about 12 px wide: their predictions are guesses"
    ]
    crowd = summarize_plainly(table_of([12.0], [DETECTED], face_ids=range(1, 41)), 0.1)
    assert crowd["notices"] == [
        "40 faces (1, 2, 3, 4, 5, ...) are about 12 px wide: their predictions are guesses"
    ]
    mixed = [
        {"face_id": i, "median_width_px": width, "detected_share": 1.0}
        for i, width in enumerate([8.0, 15.4, 33.0, None], start=1)
    ]
    assert face_notices(mixed) == [
        "faces 1 and 2 are about 8 to 15 px wide: their predictions are guesses"
    ]


def test_a_face_that_is_mostly_carried_is_named() -> None:
    carried = table_of([30.0] * 5, [DETECTED, DETECTED, TRACKED, TRACKED, TRACKED])
    (notice,) = summarize_plainly(carried, 0.5)["notices"]
    assert notice.startswith("face 1 is mostly 'tracked', not 'detected'")
    half = table_of([30.0] * 4, [DETECTED, DETECTED, TRACKED, TRACKED])
    assert summarize_plainly(half, 0.4)["notices"] == []


def test_faces_carried_between_runs_of_the_detector_are_no_cause_for_doubt() -> None:
    facts = make_facts(frame_count=5, duration_seconds=0.5)
    table = table_of([30.0] * 5, [DETECTED, *[TRACKED] * 4])
    known: dict[str, Any] = {"facts": facts, "bundle": {}, "detector": "haar"}
    assert summarize(table, settings={"detect_every": 5}, **known)["notices"] == []
    assert len(summarize(table, settings={"detect_every": 2}, **known)["notices"]) == 1


class _Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class _Point:
    x: float
    where: PurePosixPath


def test_json_ready_takes_what_settings_hold() -> None:
    value = {
        1: _Point(x=math.inf, where=PurePosixPath("a/b")),
        "list": (np.float32(0.5), np.int64(3), np.array([1.0, np.nan])),
        "colour": _Colour.RED,
        "set": {"b", "a"},
        "none": None,
        "yes": True,
    }
    assert json_ready(value) == {
        "1": {"x": None, "where": "a/b"},
        "list": [0.5, 3, [1.0, None]],
        "colour": "red",
        "set": ["a", "b"],
        "none": None,
        "yes": True,
    }


def test_versions_are_those_installed() -> None:
    versions = installed_versions()
    assert list(versions) == [
        "python",
        "emotrace",
        "numpy",
        "opencv",
        "av",
        "onnxruntime",
        "pyarrow",
    ]
    assert versions["numpy"] == np.__version__
    assert versions["pyarrow"] == pa.__version__
