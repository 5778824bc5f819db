"""Timeline tables for tests: made from plain lists, or drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from emotrace.analysis.affect import derive_valence_arousal
from emotrace.labels import EMOTIONS
from emotrace.timeline import (
    TIMELINE_SCHEMA,
    Detection,
    FaceResult,
    FaceSource,
    FrameResult,
    InputFacts,
    Prediction,
    TrackedFace,
    ValenceArousalSource,
    results_to_table,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def probabilities_of(emotion: str, confidence: float = 0.8) -> np.ndarray:
    """`(8,)`: one expression with the given probability, the rest shared equally."""
    values = np.full(8, (1 - confidence) / 7, dtype=np.float32)
    values[EMOTIONS.index(emotion)] = confidence
    return values


def make_face(
    face_id: int, probabilities: np.ndarray, source: FaceSource = FaceSource.DETECTED
) -> FaceResult:
    valence, arousal = derive_valence_arousal(probabilities[None])[0].tolist()
    return FaceResult(
        face=TrackedFace(
            face_id=face_id,
            detection=Detection(box_xywh_px=(10.0 * face_id, 20.0, 30.0, 40.0), score=0.9),
            source=source,
        ),
        prediction=Prediction(
            probabilities=probabilities.astype(np.float32),
            valence=valence,
            arousal=arousal,
            valence_arousal_source=ValenceArousalSource.DERIVED,
        ),
    )


def make_results(
    timestamps: Sequence[float], faces: Sequence[Mapping[int, np.ndarray]]
) -> list[FrameResult]:
    """One result for each time; `faces` maps the ids in that frame to `(8,)` probabilities."""
    return [
        FrameResult(
            frame_index=index,
            timestamp_seconds=time,
            faces=tuple(make_face(face_id, p) for face_id, p in sorted(present.items())),
        )
        for index, (time, present) in enumerate(zip(timestamps, faces, strict=True))
    ]


def make_table(timestamps: Sequence[float], faces: Sequence[Mapping[int, np.ndarray]]) -> pa.Table:
    return results_to_table(make_results(timestamps, faces))


def one_face_table(emotions: Sequence[str | None], step_seconds: float = 0.1) -> pa.Table:
    """One face that shows the given expressions frame by frame; None where it is away."""
    return make_table(
        [step_seconds * i for i in range(len(emotions))],
        [{} if name is None else {1: probabilities_of(name)} for name in emotions],
    )


def array_table(
    timestamps: np.ndarray, probabilities: np.ndarray, is_present: np.ndarray | None = None
) -> pa.Table:
    """Many frames quickly: `probabilities` is `(frames, faces, 8)`, face ids are 1, 2, ...

    Where `is_present` `(frames,)` is False the frame has no face; this takes one face only.
    """
    frames, faces, _ = probabilities.shape
    rows = frames * faces
    flat = probabilities.reshape(rows, 8).astype(np.float32)
    away = np.zeros(rows, dtype=np.bool_) if is_present is None else ~is_present
    affect = derive_valence_arousal(flat)
    columns: dict[str, pa.Array] = {
        "frame": pa.array(np.repeat(np.arange(frames), faces)),
        "timestamp": pa.array(np.repeat(timestamps, faces)),
        "face_id": pa.array(np.tile(np.arange(1, faces + 1, dtype=np.int32), frames), mask=away),
        "face_source": pa.array(np.where(away, "none", "detected").tolist()),
        "emotion": pa.array(np.array(EMOTIONS)[flat.argmax(axis=1)].tolist(), mask=away),
        "confidence": pa.array(flat.max(axis=1), mask=away),
        **{name: pa.array(flat[:, i], mask=away) for i, name in enumerate(EMOTIONS)},
        "valence": pa.array(affect[:, 0], mask=away),
        "arousal": pa.array(affect[:, 1], mask=away),
        "valence_arousal_source": pa.array(["derived"] * rows, mask=away),
    }
    arrays = [columns.get(field.name, pa.nulls(rows, field.type)) for field in TIMELINE_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=TIMELINE_SCHEMA)


def make_facts(*, frame_count: int, duration_seconds: float, path: str = "clip.mp4") -> InputFacts:
    return InputFacts(
        path=path,
        container="mp4",
        codec="h264",
        pixel_format="yuv420p",
        width=640,
        height=360,
        rotation_degrees=0,
        header_frame_count=frame_count,
        frame_count=frame_count,
        duration_seconds=duration_seconds,
        is_still_image=False,
        has_variable_frame_rate=False,
        mean_frames_per_second=frame_count / duration_seconds if duration_seconds else None,
        has_audio=False,
    )


@st.composite
def tables(draw: st.DrawFn, max_frames: int = 40, max_faces: int = 3) -> pa.Table:
    """Timelines with irregular times, faces that come and go, and expressions that flicker."""
    count = draw(st.integers(1, max_frames))
    milliseconds = draw(
        st.lists(st.integers(1, 900), min_size=count, max_size=count).map(np.cumsum)
    )
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    sharpness = draw(st.sampled_from([0.3, 3.0]))
    presence = draw(st.sampled_from([0.5, 0.95]))
    faces = [
        {
            face_id: rng.dirichlet(np.full(8, sharpness)).astype(np.float32)
            for face_id in range(1, max_faces + 1)
            if rng.random() < presence
        }
        for _ in range(count)
    ]
    return make_table((milliseconds / 1000).tolist(), faces)
