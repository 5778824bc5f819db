"""Pictures of faces at the peaks of their segments, for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emotrace.analysis.report import ReportThumbnail
from emotrace.faces import CropGeometry, extract_crop
from emotrace.timeline import Detection
from emotrace.video import VideoReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from emotrace.faces import BoxMapping
    from emotrace.timeline import Segment

MOST_THUMBNAILS: Final = 200
"""Longer segments first; the report itself shows fewer."""
_GEOMETRY: Final = CropGeometry(size_px=160, scale=1.5)
"""Half as much again as the model sees, so that a person knows who it is."""


def take_thumbnails(
    path: str | Path, table: pa.Table, segments: Sequence[Segment], mapping: BoxMapping
) -> list[ReportThumbnail]:
    """Read the video again up to the last peak and cut out the faces.

    Args:
        path: The input that `table` describes.
        table: Rows of `TIMELINE_SCHEMA`.
        segments: Its segments; the longest `MOST_THUMBNAILS` are pictured.
        mapping: Of the detector that found the faces.

    Returns:
        Thumbnails in the order of `segments`.

    Raises:
        InputError: The file cannot be read any more.
    """
    longest = sorted(segments, key=lambda s: s.start_seconds - s.end_seconds)[:MOST_THUMBNAILS]
    wanted = {(s.peak_timestamp_seconds, s.face_id): s for s in longest}
    peaks = pc.is_in(table["timestamp"], value_set=_array([time for time, _ in wanted]))
    rows: dict[int, list[tuple[Segment, Detection, float]]] = {}
    for row in table.filter(peaks).to_pylist():
        segment = wanted.get((row["timestamp"], row["face_id"]))
        if segment is not None:
            box = (row["x"], row["y"], row["w"], row["h"])
            detection = Detection(box_xywh_px=box, score=row["face_score"])
            rows.setdefault(row["frame"], []).append((segment, detection, row[segment.emotion]))
    if not rows:
        return []
    taken: dict[Segment, ReportThumbnail] = {}
    last = max(rows)
    with VideoReader(path) as reader:
        for frame in reader:
            for segment, detection, confidence in rows.get(frame.index, ()):
                crop = extract_crop(frame.image_rgb, detection, mapping=mapping, geometry=_GEOMETRY)
                taken[segment] = ReportThumbnail(
                    face_id=segment.face_id,
                    timestamp_seconds=segment.peak_timestamp_seconds,
                    emotion=segment.emotion,
                    confidence=confidence,
                    image_rgb=crop,
                )
            if frame.index >= last:
                break
    return [taken[segment] for segment in segments if segment in taken]


def _array(values: list[float]) -> pa.Array:
    return pa.array(np.asarray(values, np.float64))
