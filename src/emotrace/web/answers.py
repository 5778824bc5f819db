"""What the server tells of jobs and results, ready for JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from emotrace.analysis.annotate import ANNOTATED_IMAGE_FILE, ANNOTATED_VIDEO_FILE
from emotrace.analysis.one_input import (
    FILLED_FILE,
    OPENFACE_FILE,
    PYFEAT_FILE,
    REPORT_FILE,
    SUBTITLES_FILE,
)
from emotrace.analysis.tables import SEGMENTS_FILE, SUMMARY_FILE, TIMELINE_FILE
from emotrace.labels import EMOTIONS
from emotrace.timeline import FaceSource, frame_result_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pyarrow as pa

    from emotrace.timeline import FrameResult
    from emotrace.web.jobs import Job, JobStore

FILE_MEANINGS: Final = {
    REPORT_FILE: "interactive report of the whole video; opens in any browser, without a network",
    "timeline.csv": "one row for each frame and face, for a spreadsheet",
    "segments.csv": "from when to when each face showed which expression, for a spreadsheet",
    SUBTITLES_FILE: "the predictions as subtitles for any player",
    ANNOTATED_VIDEO_FILE: "the video with boxes and predictions drawn in",
    ANNOTATED_IMAGE_FILE: "the picture with boxes and predictions drawn in",
    SUMMARY_FILE: "each face's shares of time; what the input is; every setting and version",
    TIMELINE_FILE: "one row for each frame and face, as a Parquet file",
    SEGMENTS_FILE: "the segments, as a Parquet file",
    FILLED_FILE: "valence and arousal in every frame, gaps filled",
    OPENFACE_FILE: "the table under OpenFace's column names",
    PYFEAT_FILE: "the table under py-feat's column names",
}
"""In the order of how often they are wanted."""
_BOX: Final = ("x", "y", "w", "h")


def describe_jobs(jobs: Iterable[Job], store: JobStore) -> list[dict[str, Any]]:
    """Return what a client is told of jobs, their files aside."""
    queue = store.queue()
    return [
        {
            "id": job.job_id,
            "name": job.name,
            "size_bytes": job.size_bytes,
            "created": job.created,
            "status": job.status,
            "position": queue.get(job.job_id),
            "progress": job.progress,
            "error": job.error,
            "options": asdict(job.options),
            "notices": list(job.notices),
            "run_notices": list(job.run_notices),
            "show": job.shown,
        }
        for job in jobs
    ]


def describe_files(job: Job, store: JobStore) -> list[dict[str, Any]]:
    """Return what there is of a finished job, those files first that are wanted most often."""
    files = store.result_files(job) if not job.is_open else {}
    order = list(FILE_MEANINGS)
    names = sorted(files, key=lambda name: order.index(name) if name in order else len(order))
    return [
        {"name": name, "bytes": size, "meaning": FILE_MEANINGS.get(name, "")}
        for name in names
        if (size := _size_of(files[name])) is not None
    ]


def _size_of(path: Path) -> int | None:
    """Return a file's size; None where it has been deleted meanwhile."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def describe_timeline(
    timeline_path: Path, segments_path: Path, summary_path: Path
) -> dict[str, Any]:
    """Return a finished job's timeline, arranged by face: what a page needs to draw it.

    Numbers are rounded to what can be seen; the tables hold all of them.
    """
    table = pq.read_table(timeline_path)
    summary = json.loads(summary_path.read_text(encoding="utf-8"))
    facts = summary["input"]
    frames = table["frame"].to_numpy()
    firsts = np.flatnonzero(np.diff(frames, prepend=-1))
    # Frames count from 0 without gaps, so a row's frame is its place in `timestamps`.
    timestamps = table["timestamp"].to_numpy()[firsts]
    face_ids = sorted(value for value in pc.unique(table["face_id"]).to_pylist() if value)
    return {
        "width": facts["width"],
        "height": facts["height"],
        "duration_seconds": facts["duration_seconds"],
        "emotions": list(EMOTIONS),
        "timestamps": np.round(timestamps, 6).tolist(),
        "cuts": [round(at, 6) for at in summary.get("shot_cuts_seconds", ())],
        "faces": [_describe_face(table, face_id) for face_id in face_ids],
        "segments": pq.read_table(segments_path).to_pylist(),
    }


def describe_result(result: FrameResult, *, width: int, height: int) -> dict[str, Any]:
    """Return what was found in one picture: the table's rows, rounded, under the table's names."""
    rows = frame_result_rows(result) if result.faces else []
    return {
        "frame": result.frame_index,
        "timestamp": round(result.timestamp_seconds, 6),
        "width": width,
        "height": height,
        "faces": [_describe_row(row) for row in rows],
    }


def _describe_row(row: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        name: value
        if name == "face_id" or isinstance(value, str)
        else round(float(value), 2 if name in _BOX else 4)
        for name, value in row.items()
        if name not in ("frame", "timestamp")
    }
    told["probabilities"] = {name: told.pop(name) for name in EMOTIONS}
    return told


def _describe_face(table: pa.Table, face_id: int) -> dict[str, Any]:
    rows = table.filter(pc.equal(table["face_id"], face_id))

    def numbers(names: tuple[str, ...], decimals: int) -> list[Any]:
        values = np.stack([rows[name].to_numpy() for name in names], axis=1).astype(np.float64)
        rounded: list[Any] = np.round(values, decimals).tolist()
        return rounded

    return {
        "face_id": face_id,
        "frames": rows["frame"].to_pylist(),
        "boxes": numbers(_BOX, 1),
        "tracked": pc.equal(rows["face_source"], FaceSource.TRACKED.value).to_pylist(),
        "probabilities": numbers(EMOTIONS, 3),
        "valence": [value for (value,) in numbers(("valence",), 3)],
        "arousal": [value for (value,) in numbers(("arousal",), 3)],
    }
