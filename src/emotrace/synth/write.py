"""Writing clips as video or frames, with their ground truth as a table beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import cv2
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from emotrace.errors import OutputError, UsageError
from emotrace.storage import atomic_path, ensure_folder
from emotrace.synth.action_units import ACTION_UNITS
from emotrace.video import VideoWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emotrace.synth.truth import SynthClip, SynthFrame

TruthFormat = Literal["parquet", "csv"]

TRUTH_SCHEMA: Final = pa.schema(
    [
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("timestamp", pa.float64(), nullable=False),
        pa.field("is_cut", pa.bool_(), nullable=False),
        pa.field("face_id", pa.int32()),
        pa.field("subject", pa.string()),
        pa.field("x", pa.float32()),
        pa.field("y", pa.float32()),
        pa.field("w", pa.float32()),
        pa.field("h", pa.float32()),
        pa.field("visible_share", pa.float32()),
        pa.field("depth_rank", pa.int32()),
        pa.field("emotion", pa.string()),
        pa.field("intensity", pa.float32()),
        pa.field("valence", pa.float32()),
        pa.field("arousal", pa.float32()),
        *(pa.field(f"au{number:02d}", pa.float32()) for number in ACTION_UNITS),
    ]
)
"""Columns of a truth table, in order: one row per frame and face. A frame without a face has one
row with an empty `face_id`, so rows never go missing. Seconds, pixels, [0, 1], [-1, 1]."""

_ROWS_IN_MEMORY: Final = 4096


def truth_rows(frame: SynthFrame) -> list[dict[str, Any]]:
    """Turn what is true of a frame into rows of `TRUTH_SCHEMA`."""
    head = {"frame": frame.index, "timestamp": frame.timestamp_seconds, "is_cut": frame.is_cut}
    if not frame.faces:
        return [head]
    rows = []
    for face in frame.faces:
        x, y, w, h = face.box_xywh_px
        rows.append(
            {
                **head,
                "face_id": face.face_id,
                "subject": face.subject,
                "x": x,
                "y": y,
                "w": w,
                "h": h,
                "visible_share": face.visible_share,
                "depth_rank": face.depth_rank,
                "emotion": face.emotion,
                "intensity": face.intensity,
                "valence": face.valence,
                "arousal": face.arousal,
                **{f"au{number:02d}": value for number, value in face.action_units.items()},
            }
        )
    return rows


class _TruthWriter:
    """Writes truth rows a batch at a time: memory does not grow with the length."""

    def __init__(self, path: Path, kind: TruthFormat) -> None:
        self._rows: list[dict[str, Any]] = []
        self._writer: pq.ParquetWriter | pacsv.CSVWriter = (
            pq.ParquetWriter(path, TRUTH_SCHEMA)
            if kind == "parquet"
            else pacsv.CSVWriter(path, TRUTH_SCHEMA)
        )

    def add(self, frame: SynthFrame) -> None:
        self._rows.extend(truth_rows(frame))
        if len(self._rows) >= _ROWS_IN_MEMORY:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=TRUTH_SCHEMA))
            self._rows = []


def write_video(
    clip: SynthClip,
    path: Path,
    *,
    truth: TruthFormat = "parquet",
    observe: Callable[[int], None] | None = None,
) -> Path:
    """Write a clip as MP4, and its truth beside it as `NAME.truth.parquet` or `.csv`.

    Args:
        clip: What to write.
        path: The MP4; its folder is made where it is missing.
        truth: The format of the table.
        observe: Called with the number of frames written so far, after each.

    Returns:
        The path of the truth table.

    Raises:
        OutputError: A file cannot be written.
        UsageError: `path` does not end in `.mp4`.
    """
    if path.suffix.lower() != ".mp4":
        raise UsageError(f"expected a video's name to end in .mp4; got {path.name!r}")
    ensure_folder(path.parent)
    table_path = path.with_suffix(f".truth.{truth}")
    with (
        atomic_path(table_path) as partial,
        VideoWriter(path, width=clip.width, height=clip.height) as video,
    ):
        table = _TruthWriter(partial, truth)
        try:
            for frame in clip.frames():
                video.write(frame.image_rgb, frame.timestamp_seconds)
                table.add(frame)
                if observe is not None:
                    observe(frame.index + 1)
        finally:
            table.close()
    return table_path


def write_frames(
    clip: SynthClip,
    folder: Path,
    *,
    truth: TruthFormat = "parquet",
    observe: Callable[[int], None] | None = None,
) -> Path:
    """Write a clip as pictures `000000.png`, ... and its truth as `truth.parquet` or `.csv`.

    Args:
        clip: What to write.
        folder: Where; made where it is missing.
        truth: The format of the table.
        observe: Called with the number of frames written so far, after each.

    Returns:
        The path of the truth table.

    Raises:
        OutputError: A file cannot be written.
    """
    ensure_folder(folder)
    table_path = folder / f"truth.{truth}"
    with atomic_path(table_path) as partial:
        table = _TruthWriter(partial, truth)
        try:
            for frame in clip.frames():
                target = folder / f"{frame.index:06d}.png"
                if not cv2.imwrite(str(target), cv2.cvtColor(frame.image_rgb, cv2.COLOR_RGB2BGR)):
                    raise OutputError(
                        f"expected to write {target}; the picture could not be written; "
                        "free some space or choose another folder"
                    )
                table.add(frame)
                if observe is not None:
                    observe(frame.index + 1)
        finally:
            table.close()
    return table_path
