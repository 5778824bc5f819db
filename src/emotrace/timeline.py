"""The value types that flow through emotrace, and the schema of every table that it writes.

A `Frame` is decoded, `Detection`s are found in it, a tracker makes them `TrackedFace`s, a model
adds a `Prediction`: a `FaceResult`. The faces of one frame are a `FrameResult`, those of one video
a
`Timeline`. All value types are frozen; arrays inside them must not be written to.

This module owns the columns of `timeline.parquet`, `segments.parquet` and `filled.parquet`: nothing
else names them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

SCHEMA_VERSION: Final = 1
"""Raised by one whenever a column changes its name, type or meaning."""


class FaceSource(StrEnum):
    """How a face came to be in a frame."""

    DETECTED = "detected"
    """The detector found it in this very frame."""
    TRACKED = "tracked"
    """Optical flow or motion carried it here from a detection nearby in time."""
    NONE = "none"
    """The frame has no face; its row says so."""


class ValenceArousalSource(StrEnum):
    """Where valence and arousal come from."""

    MODEL = "model"
    """A regression head of the bundle."""
    DERIVED = "derived"
    """Expression probabilities weighted by published norms."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One decoded picture."""

    index: int
    """0-based position among the decoded frames."""
    timestamp_seconds: float
    """Presentation time in seconds, as the container states it; repaired if it cannot be true."""
    image_rgb: NDArray[np.uint8]
    """`(height, width, 3)`, uint8, upright: rotation metadata has been applied."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detection:
    """A face box in one frame."""

    box_xywh_px: tuple[float, float, float, float]
    """Left, top, width, height in pixels of the upright frame; may reach beyond its edges."""
    score: float
    """The detector's confidence in [0, 1]; 1.0 from detectors that give none."""
    landmarks_px: NDArray[np.float32] | None = None
    """`(5, 2)`: the subject's right eye, left eye, nose tip, right, left mouth corner; or None."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackedFace:
    """A detection that has been given to a person."""

    face_id: int
    """1, 2, 3, ... in order of first appearance; holds for the whole video."""
    detection: Detection
    source: FaceSource


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What a bundle says of one face in one frame."""

    probabilities: NDArray[np.float32]
    """`(8,)`, in the order of `EMOTIONS`, summing to 1."""
    valence: float
    """In [-1, 1]: unpleasant to pleasant."""
    arousal: float
    """In [-1, 1]: calm to excited."""
    valence_arousal_source: ValenceArousalSource
    face_probability: float | None = None
    """That the crop of this frame shows a face at all; None where the bundle does not say."""

    @property
    def emotion(self) -> str:
        """The most probable expression."""
        return EMOTIONS[int(np.argmax(self.probabilities))]

    @property
    def confidence(self) -> float:
        """The probability of `emotion`."""
        return float(np.max(self.probabilities))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceResult:
    """One face of one frame with its prediction."""

    face: TrackedFace
    prediction: Prediction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameResult:
    """All that is known of one decoded frame. `faces` is empty where there is none."""

    frame_index: int
    timestamp_seconds: float
    faces: tuple[FaceResult, ...] = ()
    is_cut: bool = False
    """True on the first frame of a new shot (never on the first frame of the video)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of one track with one expression."""

    face_id: int
    start_seconds: float
    end_seconds: float
    """Where the last frame of the segment ends (exclusive)."""
    emotion: str
    mean_confidence: float
    peak_timestamp_seconds: float
    """The frame in which `emotion` was most probable."""


TIMELINE_SCHEMA: Final = pa.schema(
    [
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("timestamp", pa.float64(), nullable=False),
        pa.field("face_id", pa.int32()),
        pa.field("face_source", pa.string(), nullable=False),
        pa.field("face_score", pa.float32()),
        pa.field("x", pa.float32()),
        pa.field("y", pa.float32()),
        pa.field("w", pa.float32()),
        pa.field("h", pa.float32()),
        pa.field("emotion", pa.string()),
        pa.field("confidence", pa.float32()),
        *(pa.field(name, pa.float32()) for name in EMOTIONS),
        pa.field("valence", pa.float32()),
        pa.field("arousal", pa.float32()),
        pa.field("valence_arousal_source", pa.string()),
    ],
    metadata={"emotrace.schema_version": str(SCHEMA_VERSION)},
)
"""Columns of `timeline.parquet`, in order. Nothing in them is smoothed. Seconds, pixels, [0, 1]."""

SMOOTHED_FIELDS: Final = (
    pa.field("smoothed_emotion", pa.string()),
    pa.field("smoothed_confidence", pa.float32()),
)
"""Appended to `TIMELINE_SCHEMA` where smoothing was asked for; the only smoothed columns."""

ADJUSTED_FIELDS: Final = (
    pa.field("adjusted_emotion", pa.string()),
    pa.field("adjusted_confidence", pa.float32()),
    *(pa.field(f"adjusted_{name}", pa.float32()) for name in EMOTIONS),
)
"""Appended to `TIMELINE_SCHEMA`, before the smoothed columns, where a baseline was asked for."""

PROCESSED_FIELDS: Final = (
    pa.field("processed_valence", pa.float32()),
    pa.field("processed_arousal", pa.float32()),
)
"""Appended to `TIMELINE_SCHEMA`, last, where post-processing was asked for; `valence` and `arousal`
stay as predicted."""

FILLED_SCHEMA: Final = pa.schema(
    [
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("timestamp", pa.float64(), nullable=False),
        pa.field("face_id", pa.int32(), nullable=False),
        pa.field("valence", pa.float32()),
        pa.field("arousal", pa.float32()),
        pa.field("is_filled", pa.bool_(), nullable=False),
    ],
    metadata={"emotrace.schema_version": str(SCHEMA_VERSION)},
)
"""Columns of `filled.parquet`, in order: valence and arousal without gaps. `PROCESSED_FIELDS`
follow where the timeline has them."""

SEGMENT_SCHEMA: Final = pa.schema(
    [
        pa.field("face_id", pa.int32(), nullable=False),
        pa.field("start", pa.float64(), nullable=False),
        pa.field("end", pa.float64(), nullable=False),
        pa.field("emotion", pa.string(), nullable=False),
        pa.field("mean_confidence", pa.float32(), nullable=False),
        pa.field("peak_timestamp", pa.float64(), nullable=False),
    ],
    metadata={"emotrace.schema_version": str(SCHEMA_VERSION)},
)
"""Columns of `segments.parquet`, in order. Times in seconds."""


def frame_result_rows(result: FrameResult) -> list[dict[str, Any]]:
    """Turn one frame's result into rows of `TIMELINE_SCHEMA`: one a face, or one that says none."""
    head = {"frame": result.frame_index, "timestamp": result.timestamp_seconds}
    if not result.faces:
        return [{**head, "face_source": FaceSource.NONE.value}]
    rows = []
    for item in result.faces:
        x, y, w, h = item.face.detection.box_xywh_px
        prediction = item.prediction
        rows.append(
            {
                **head,
                "face_id": item.face.face_id,
                "face_source": item.face.source.value,
                "face_score": item.face.detection.score,
                "x": x,
                "y": y,
                "w": w,
                "h": h,
                "emotion": prediction.emotion,
                "confidence": prediction.confidence,
                **dict(zip(EMOTIONS, prediction.probabilities.tolist(), strict=True)),
                "valence": prediction.valence,
                "arousal": prediction.arousal,
                "valence_arousal_source": prediction.valence_arousal_source.value,
            }
        )
    return rows


def results_to_table(results: Iterable[FrameResult]) -> pa.Table:
    """Build a table of `TIMELINE_SCHEMA` from frame results, in their order."""
    rows = [row for result in results for row in frame_result_rows(result)]
    return pa.Table.from_pylist(rows, schema=TIMELINE_SCHEMA)


def segments_to_table(segments: Sequence[Segment]) -> pa.Table:
    """Build a table of `SEGMENT_SCHEMA` from segments, in their order."""
    return pa.Table.from_pylist(
        [
            {
                "face_id": segment.face_id,
                "start": segment.start_seconds,
                "end": segment.end_seconds,
                "emotion": segment.emotion,
                "mean_confidence": segment.mean_confidence,
                "peak_timestamp": segment.peak_timestamp_seconds,
            }
            for segment in segments
        ],
        schema=SEGMENT_SCHEMA,
    )


def check_timeline_table(table: pa.Table) -> None:
    """Check that a table has the columns of `TIMELINE_SCHEMA`, first and in order.

    Raises:
        UsageError: A column is missing or has another type; the message names it.
    """
    for position, expected in enumerate(TIMELINE_SCHEMA):
        if position >= table.num_columns or table.schema.field(position).name != expected.name:
            got = table.column_names[position] if position < table.num_columns else "nothing"
            raise UsageError(
                f"expected column {position} of a timeline to be {expected.name!r}; got {got!r}"
            )
        got_type = table.schema.field(position).type
        if got_type != expected.type:
            raise UsageError(
                f"expected column {expected.name!r} to hold {expected.type}; got {got_type}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """What the input is, as found while decoding it; `summary.json` carries it."""

    path: str
    container: str
    codec: str
    pixel_format: str
    width: int
    height: int
    """Of the upright picture, in pixels."""
    rotation_degrees: int
    """Clockwise turn that was applied to make the picture upright."""
    header_frame_count: int | None
    """What the header says; it may be wrong. The true count is `frame_count`."""
    frame_count: int
    """Decoded frames."""
    duration_seconds: float
    """From the first frame's presentation to the end of the last one; 0 for a still image."""
    is_still_image: bool
    has_variable_frame_rate: bool
    mean_frames_per_second: float | None
    has_audio: bool
    notes: tuple[str, ...] = field(default_factory=tuple)
    """Anything odd, in plain words: repaired times, a damaged end, a header that lies."""
    is_end_missing: bool = False
    """The copy was cut off: the frames stop well before the end that the header promises, or a GIF
    has no trailer."""
    header_duration_seconds: float | None = None
    """How long the header says that the pictures go on; None where it does not say."""
