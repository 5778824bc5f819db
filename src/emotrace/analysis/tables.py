"""The tables of one input on disk and in memory, and other tools' column names for them."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from emotrace.analysis.segments import SegmentSettings, find_segments
from emotrace.analysis.smoothing import SmoothingSettings
from emotrace.analysis.summary import json_ready
from emotrace.analysis.tracks import timeline_end_seconds
from emotrace.errors import InputError, OutputError, UsageError
from emotrace.labels import EMOTIONS
from emotrace.storage import atomic_path, ensure_folder
from emotrace.timeline import (
    TIMELINE_SCHEMA,
    FrameResult,
    InputFacts,
    Segment,
    check_timeline_table,
    frame_result_rows,
    segments_to_table,
)

if TYPE_CHECKING:
    from types import TracebackType

TIMELINE_FILE: Final = "timeline.parquet"
SEGMENTS_FILE: Final = "segments.parquet"
SUMMARY_FILE: Final = "summary.json"

ROW_GROUP_ROWS: Final = 8192
"""Rows held in memory before they are written: about 10 MB at the most (measured), and 3 minutes of
one face at 50 fps."""

_PYFEAT_EMOTIONS: Final = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
)


class TimelineTableWriter:
    """Writes frame results to a parquet file as they come; memory does not grow with the video.

    The file appears under its name only once `close` has succeeded; an exception inside a `with`
    block or `abort` leaves nothing behind.

    Args:
        path: The file to write; its folder must exist.
        row_group_rows: Rows held back before they are written.

    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(self, path: str | Path, *, row_group_rows: int = ROW_GROUP_ROWS) -> None:
        if row_group_rows < 1:
            raise UsageError(f"expected row_group_rows of at least 1; got {row_group_rows}")
        self._path = Path(path)
        self._row_group_rows = row_group_rows
        self._rows: list[dict[str, Any]] = []
        self._frames = 0
        self._stack = contextlib.ExitStack()
        try:
            partial = self._stack.enter_context(atomic_path(self._path))
            self._writer = pq.ParquetWriter(partial, TIMELINE_SCHEMA)
        except BaseException as error:
            self._fail(error)
            raise
        self._is_open = True

    @property
    def frame_count(self) -> int:
        """Frames taken in so far."""
        return self._frames

    def write(self, result: FrameResult) -> None:
        """Take in one frame's result.

        Raises:
            OutputError: The system refuses the write, or the writer is closed.
        """
        if not self._is_open:
            raise OutputError(f"expected an open table writer; {self._path} is already closed")
        self._rows += frame_result_rows(result)
        self._frames += 1
        if len(self._rows) >= self._row_group_rows:
            self._flush()

    def close(self) -> Path:
        """Write what is held back, give the file its name and return it. May be called again.

        Raises:
            OutputError: The system refuses the write.
        """
        if self._is_open:
            self._flush()
            self._is_open = False
            try:
                self._writer.close()
            except BaseException as error:
                self._fail(error)
                raise
            self._stack.close()
        return self._path

    def abort(self) -> None:
        """Drop what was written; the target, if it was there before, stays as it was."""
        if self._is_open:
            self._is_open = False
            # The half-written file is thrown away: an error in finishing it changes nothing.
            with contextlib.suppress(OSError, pa.ArrowException):
                self._writer.close()
            self._fail(_AbortedError())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error_type is None:
            self.close()
        else:
            self.abort()

    def _flush(self) -> None:
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        try:
            self._writer.write_table(pa.Table.from_pylist(rows, schema=TIMELINE_SCHEMA))
        except BaseException as error:
            self._is_open = False
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        """Let `atomic_path` see the error: it removes the partial file and words system errors."""
        with contextlib.suppress(_AbortedError):
            self._stack.__exit__(type(error), error, error.__traceback__)


class _AbortedError(Exception):
    """Unwinds `atomic_path` without giving the file its name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """All that was found in one input: the frame table, the input's facts and the summary.

    `len(timeline)` is the number of decoded frames.

    >>> from emotrace.timeline import FrameResult, results_to_table
    >>> facts = InputFacts(
    ...     path="clip.mp4", container="mp4", codec="h264", pixel_format="yuv420p", width=640,
    ...     height=360, rotation_degrees=0, header_frame_count=2, frame_count=2,
    ...     duration_seconds=0.08, is_still_image=False, has_variable_frame_rate=False,
    ...     mean_frames_per_second=25.0, has_audio=False,
    ... )
    >>> results = [FrameResult(frame_index=i, timestamp_seconds=i / 25) for i in range(2)]
    >>> timeline = Timeline(table=results_to_table(results), facts=facts, summary={})
    >>> len(timeline), timeline.faces, timeline.segments()
    (2, (), [])
    >>> timeline.to_pandas()[["frame", "timestamp", "face_source"]].values.tolist()
    [[0, 0.0, 'none'], [1, 0.04, 'none']]
    """

    table: pa.Table
    """Rows of `TIMELINE_SCHEMA`, with the smoothed columns where they were asked for."""
    facts: InputFacts
    summary: dict[str, Any]
    """See `emotrace.analysis.summary.summarize`."""
    segmentation: SegmentSettings = field(default_factory=SegmentSettings)
    """How `segments()` cuts the table."""

    def __post_init__(self) -> None:
        check_timeline_table(self.table)

    def __len__(self) -> int:
        return int(pc.count_distinct(self.table["frame"]).as_py())

    @property
    def faces(self) -> tuple[int, ...]:
        """The `face_id`s, rising."""
        return tuple(sorted(pc.unique(self.table["face_id"].drop_null()).to_pylist()))

    def segments(self) -> list[Segment]:
        """Return each face's stretches with one expression; see `find_segments`."""
        return find_segments(
            self.table,
            smoothing=self.segmentation.smoothing,
            min_duration_seconds=self.segmentation.min_duration_seconds,
            max_gap_seconds=self.segmentation.max_gap_seconds,
            cut_timestamps_seconds=self.summary.get("shot_cuts_seconds", ()),
            end_seconds=timeline_end_seconds(self.table, self.facts),
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return the frame table; `face_id` is a nullable integer, empty where there is no face."""
        return _to_pandas(self.table)

    def segments_to_pandas(self) -> pd.DataFrame:
        """Return the segments as a table of `SEGMENT_SCHEMA`."""
        return _to_pandas(segments_to_table(self.segments()))

    def save(self, folder: str | Path, *, csv: bool = False) -> Path:
        """Write `timeline.parquet`, `segments.parquet` and `summary.json` into a folder.

        Args:
            folder: Made where it is missing; files of these names are replaced.
            csv: Also write `timeline.csv` and `segments.csv`.

        Returns:
            The folder.

        Raises:
            OutputError: Something cannot be written.
        """
        folder = ensure_folder(Path(folder))
        for name, table in (
            (TIMELINE_FILE, self.table),
            (SEGMENTS_FILE, segments_to_table(self.segments())),
        ):
            with atomic_path(folder / name) as partial:
                pq.write_table(table, partial)
            if csv:
                write_csv((folder / name).with_suffix(".csv"), table)
        write_json(
            folder / SUMMARY_FILE, {**self.summary, "segmentation": asdict(self.segmentation)}
        )
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read back what `save` wrote.

        Raises:
            InputError: A file is missing or not of the expected form; the message names it.
        """
        path = Path(folder) / TIMELINE_FILE
        try:
            table = pq.read_table(path)
            path = path.with_name(SUMMARY_FILE)
            summary = json.loads(path.read_text(encoding="utf-8"))
            facts_fields = dict(summary["input"])
            facts = InputFacts(**{**facts_fields, "notes": tuple(facts_fields["notes"])})
            segmentation = _segmentation_from(summary.pop("segmentation", None))
            return cls(table=table, facts=facts, summary=summary, segmentation=segmentation)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            pa.ArrowException,
        ) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"expected a folder written by Timeline.save; could not read {path}: {reason}; "
                "analyse the input again"
            ) from error


def write_csv(path: str | Path, table: pa.Table) -> Path:
    """Write a table as UTF-8 CSV with a header; empty fields where there is nothing.

    Raises:
        OutputError: The file cannot be written.
    """
    path = Path(path)
    # The tables hold fixed words and numbers only; pyarrow would quote every one of the words.
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
    with atomic_path(path) as partial, partial.open("wb") as stream:
        stream.write((",".join(table.column_names) + "\n").encode())
        pa.csv.write_csv(table, stream, options)
    return path


def write_json(path: str | Path, value: Any) -> Path:
    """Write a value as indented UTF-8 JSON; NaN becomes null.

    Raises:
        OutputError: The file cannot be written.
    """
    path = Path(path)
    text = json.dumps(json_ready(value), indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    return path


def to_openface(table: pa.Table) -> pd.DataFrame:
    """Return a timeline under OpenFace's column names, for scripts that read its CSV files.

    OpenFace 2's first five columns are all that the two tools have in common: `frame` (from 1),
    `face_id` (from 0), `timestamp` (s), `confidence` (here the face detector's score) and `success`
    (1 with a face, else 0). As in its files, a frame without a face has a row with confidence and
    success 0. Columns that OpenFace lacks follow under emotrace's names: the probabilities,
    `valence` and `arousal`. Gaze, pose, landmarks and action units are not measured and not made
    up.

    Raises:
        UsageError: The table is not a timeline.

    >>> from emotrace.timeline import FrameResult, results_to_table
    >>> no_face = results_to_table([FrameResult(frame_index=0, timestamp_seconds=0.5)])
    >>> to_openface(no_face).iloc[0, :5].tolist()
    [1.0, 0.0, 0.5, 0.0, 0.0]
    """
    check_timeline_table(table)
    frame = _to_pandas(table)
    has_face = frame["face_id"].notna()
    return pd.DataFrame(
        {
            "frame": frame["frame"] + 1,
            "face_id": frame["face_id"].fillna(1).astype(np.int64) - 1,
            "timestamp": frame["timestamp"],
            "confidence": frame["face_score"].fillna(0.0),
            "success": has_face.astype(np.int64),
            **{name: frame[name] for name in (*EMOTIONS, "valence", "arousal")},
        }
    )


def to_pyfeat(table: pa.Table, *, input_path: str) -> pd.DataFrame:
    """Return a timeline under py-feat's column names, for scripts that read its `Fex` tables.

    Box, score, its seven emotions, `input`, `frame` and `approx_time` (`mm:ss`, here from the true
    presentation time) are py-feat's; `contempt` (which its models lack, so that the seven need not
    sum to 1), `valence`, `arousal`, `timestamp` (s) and `face_id` follow under emotrace's names.
    Frames without a face have empty fields.

    Args:
        table: Rows of `TIMELINE_SCHEMA`.
        input_path: What to write in `input`.

    Raises:
        UsageError: The table is not a timeline.

    >>> from emotrace.timeline import FrameResult, results_to_table
    >>> no_face = results_to_table([FrameResult(frame_index=7, timestamp_seconds=61.5)])
    >>> to_pyfeat(no_face, input_path="clip.mp4")[["input", "frame", "approx_time"]].values.tolist()
    [['clip.mp4', 7, '01:01']]
    """
    check_timeline_table(table)
    frame = _to_pandas(table)
    box = {
        "FaceRectX": "x",
        "FaceRectY": "y",
        "FaceRectWidth": "w",
        "FaceRectHeight": "h",
        "FaceScore": "face_score",
    }
    seconds = frame["timestamp"].clip(lower=0).astype(np.int64)
    return pd.DataFrame(
        {
            **{theirs: frame[ours] for theirs, ours in box.items()},
            **{name: frame[name] for name in _PYFEAT_EMOTIONS},
            "input": input_path,
            "frame": frame["frame"],
            "approx_time": [f"{value // 60:02d}:{value % 60:02d}" for value in seconds],
            **{name: frame[name] for name in ("contempt", "valence", "arousal")},
            "timestamp": frame["timestamp"],
            "face_id": frame["face_id"],
        }
    )


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int32(): pd.Int32Dtype()}.get)
    return frame


def _segmentation_from(value: dict[str, Any] | None) -> SegmentSettings:
    if value is None:
        return SegmentSettings()
    smoothing = value["smoothing"]
    return SegmentSettings(
        **{**value, "smoothing": None if smoothing is None else SmoothingSettings(**smoothing)}
    )
