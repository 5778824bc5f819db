"""The tables: their columns, their rows, and what a table must have to be one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS
from emotrace.timeline import (
    SCHEMA_VERSION,
    SEGMENT_SCHEMA,
    SMOOTHED_FIELDS,
    TIMELINE_SCHEMA,
    Detection,
    FaceResult,
    FaceSource,
    FrameResult,
    Prediction,
    Segment,
    TrackedFace,
    ValenceArousalSource,
    check_timeline_table,
    frame_result_rows,
    results_to_table,
    segments_to_table,
)

PROBABILITIES = np.array([0.05, 0.01, 0.02, 0.02, 0.6, 0.2, 0.05, 0.05], np.float32)


def face(
    face_id: int,
    source: FaceSource = FaceSource.DETECTED,
    probabilities: np.ndarray = PROBABILITIES,
) -> FaceResult:
    return FaceResult(
        face=TrackedFace(
            face_id=face_id,
            detection=Detection(box_xywh_px=(10.5, -3.0, 40.0, 44.25), score=0.875),
            source=source,
        ),
        prediction=Prediction(
            probabilities=probabilities,
            valence=0.5,
            arousal=-0.25,
            valence_arousal_source=ValenceArousalSource.DERIVED,
        ),
    )


def test_the_columns_are_those_of_the_design_in_order() -> None:
    assert TIMELINE_SCHEMA.names == [
        *("frame", "timestamp", "face_id", "face_source", "face_score", "x", "y", "w", "h"),
        *("emotion", "confidence"),
        *EMOTIONS,
        *("valence", "arousal", "valence_arousal_source"),
    ]
    assert SEGMENT_SCHEMA.names == [
        *("face_id", "start", "end", "emotion", "mean_confidence", "peak_timestamp")
    ]
    # Times in 32 bits are off by a frame after a day of video.
    for schema, names in ((TIMELINE_SCHEMA, ["timestamp"]), (SEGMENT_SCHEMA, ["start", "end"])):
        assert all(schema.field(name).type == pa.float64() for name in names)
    for schema in (TIMELINE_SCHEMA, SEGMENT_SCHEMA):
        assert schema.metadata == {b"emotrace.schema_version": str(SCHEMA_VERSION).encode()}
    assert not {field.name for field in SMOOTHED_FIELDS} & set(TIMELINE_SCHEMA.names)


def test_a_face_fills_every_column() -> None:
    (row,) = results_to_table(
        [FrameResult(frame_index=7, timestamp_seconds=0.28, faces=(face(3, FaceSource.TRACKED),))]
    ).to_pylist()
    assert row == {
        "frame": 7,
        "timestamp": 0.28,
        "face_id": 3,
        "face_source": "tracked",
        "face_score": 0.875,
        "x": 10.5,
        "y": -3.0,
        "w": 40.0,
        "h": 44.25,
        "emotion": "happiness",
        "confidence": float(np.float32(0.6)),
        **dict(zip(EMOTIONS, PROBABILITIES.tolist(), strict=True)),
        "valence": 0.5,
        "arousal": -0.25,
        "valence_arousal_source": "derived",
    }


def test_a_frame_without_a_face_has_one_row_that_says_so() -> None:
    table = results_to_table([FrameResult(frame_index=4, timestamp_seconds=1.5)])
    check_timeline_table(table)
    (row,) = table.to_pylist()
    known = {name: value for name, value in row.items() if value is not None}
    assert known == {"frame": 4, "timestamp": 1.5, "face_source": "none"}


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=20))
def test_rows_never_go_missing(faces_per_frame: list[int]) -> None:
    results = [
        FrameResult(
            frame_index=index,
            timestamp_seconds=index / 25,
            faces=tuple(face(number + 1) for number in range(count)),
        )
        for index, count in enumerate(faces_per_frame)
    ]
    table = results_to_table(results)
    assert table.schema.equals(TIMELINE_SCHEMA, check_metadata=True)
    assert table.num_rows == sum(max(1, count) for count in faces_per_frame)
    assert table["frame"].to_pylist() == [
        index for index, count in enumerate(faces_per_frame) for _ in range(max(1, count))
    ]
    assert [len(frame_result_rows(result)) for result in results] == [
        max(1, count) for count in faces_per_frame
    ]


def test_a_table_survives_parquet_with_its_version(tmp_path: Path) -> None:
    table = results_to_table(
        [
            FrameResult(frame_index=0, timestamp_seconds=0.0, faces=(face(1), face(2))),
            FrameResult(frame_index=1, timestamp_seconds=0.04),
        ]
    )
    pq.write_table(table, tmp_path / "timeline.parquet")
    back = pq.read_table(tmp_path / "timeline.parquet")
    assert back.equals(table, check_metadata=True)
    check_timeline_table(back)


def test_a_prediction_of_another_label_set_cannot_become_a_row() -> None:
    with pytest.raises(ValueError, match="zip"):
        frame_result_rows(
            FrameResult(
                frame_index=0,
                timestamp_seconds=0.0,
                faces=(face(1, probabilities=np.full(7, 1 / 7, np.float32)),),
            )
        )


@settings(deadline=None)
@given(st.permutations(range(8)))
def test_the_emotion_is_the_most_probable(order: list[int]) -> None:
    values = (np.array(order, np.float32) + 1) / 36
    prediction = face(1, probabilities=values).prediction
    assert prediction.emotion == EMOTIONS[order.index(7)]
    assert prediction.confidence == pytest.approx(8 / 36)


def test_segments_become_rows_in_their_order() -> None:
    segments = [
        Segment(
            face_id=number,
            start_seconds=number + 0.1,
            end_seconds=number + 0.9,
            emotion=EMOTIONS[number],
            mean_confidence=0.5,
            peak_timestamp_seconds=number + 0.2,
        )
        for number in (2, 1)
    ]
    table = segments_to_table(segments)
    assert table.schema.equals(SEGMENT_SCHEMA, check_metadata=True)
    assert table.to_pylist() == [
        {
            "face_id": number,
            "start": number + 0.1,
            "end": number + 0.9,
            "emotion": EMOTIONS[number],
            "mean_confidence": 0.5,
            "peak_timestamp": number + 0.2,
        }
        for number in (2, 1)
    ]
    assert segments_to_table([]).schema.equals(SEGMENT_SCHEMA)


def test_checking_names_the_first_column_that_is_wrong() -> None:
    table = results_to_table([FrameResult(frame_index=0, timestamp_seconds=0.0, faces=(face(1),))])
    check_timeline_table(table)
    more = table
    for field in SMOOTHED_FIELDS:
        more = more.append_column(field, pa.nulls(1, field.type))
    check_timeline_table(more)  # more columns after them are allowed
    with pytest.raises(UsageError, match="column 2 of a timeline to be 'face_id'; got 'face_sour"):
        check_timeline_table(table.drop_columns(["face_id"]))
    with pytest.raises(UsageError, match="to be 'valence_arousal_source'; got 'nothing'"):
        check_timeline_table(table.drop_columns(["valence_arousal_source"]))
    with pytest.raises(UsageError, match="expected column 'timestamp' to hold double; got float"):
        check_timeline_table(table.set_column(1, "timestamp", pa.array([0.0], pa.float32())))


def test_value_types_are_frozen() -> None:
    result = face(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.face = result.face  # type: ignore[misc]
