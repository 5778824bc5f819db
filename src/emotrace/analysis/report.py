"""One self-contained interactive HTML page about one input: opens anywhere, loads nothing.

The page holds Plotly's script, its data and its pictures; a content security policy in it forbids
any request. Whatever comes from outside (file names above all) is escaped.
"""

from __future__ import annotations

import base64
import html
import importlib.resources
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from plotly.offline import get_plotlyjs

from emotrace.analysis import report_sections as sections
from emotrace.analysis.report_data import chart_data
from emotrace.errors import UsageError
from emotrace.storage import atomic_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from emotrace.timeline import Segment

MAX_THUMBNAILS: Final = 48
"""At about 7 kB each as text, a third of a megabyte."""

_THUMBNAIL_PX: Final = 144
"""Shown at 100 to 130 px; larger ones would only weigh more."""

_JPEG_QUALITY: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportThumbnail:
    """A picture of a face at one moment."""

    face_id: int
    timestamp_seconds: float
    emotion: str
    confidence: float
    """The probability of `emotion` in that frame."""
    image_rgb: NDArray[np.uint8]
    """`(height, width, 3)`, uint8; any size, shown as a square."""


def write_report(
    path: str | Path,
    *,
    table: pa.Table,
    segments: Sequence[Segment],
    summary: Mapping[str, Any],
    thumbnails: Sequence[ReportThumbnail],
    bundle_card: str,
) -> Path:
    """Write the report of one input as one HTML file of at most about 6 MB.

    Long inputs are thinned out for drawing (means over neighbouring frames); faces, segments and
    pictures beyond a number are left out (the longest stay). The page says so wherever it happens.

    Args:
        path: The file, by custom ending in `.html`.
        table: Rows of `TIMELINE_SCHEMA` in frame order.
        segments: The table's segments.
        summary: What `summarize` returned for the table.
        thumbnails: Pictures of the segments' peaks; may be empty.
        bundle_card: The model card, as text.

    Returns:
        `path`.

    Raises:
        OutputError: The file cannot be written.
        UsageError: The table is not a timeline, or a thumbnail is not an RGB picture.
    """
    path = Path(path)
    charts = chart_data(table, segments, summary)
    pictures, picture_note = choose_thumbnails(thumbnails, segments, charts.face_ids)
    omissions = [*charts.omissions, *([picture_note] if picture_note else [])]
    has_face = bool(charts.face_ids)
    page = _fill(
        _resource("report_template.html"),
        title=html.escape(PurePath(summary["input"]["path"]).name),
        style=_resource("report_style/report.css"),
        facts=sections.facts_list(summary),
        meaning=html.escape(summary["meaning"]),
        notices=sections.notices_box(summary["notices"]),
        overview=(
            sections.overview_section(summary, charts.face_ids)
            if has_face
            else sections.no_face_section(summary)
        ),
        faces=_face_sections(charts.face_ids, segments, summary, pictures),
        reading=sections.reading_section(summary, omissions) if has_face else "",
        model=sections.model_section(summary, bundle_card),
        details=sections.details_section(summary),
        footer=html.escape(f"Made with emotrace {summary['versions'].get('emotrace') or ''}."),
        data=_script_json(charts.page),
        plotly=f"<script>{get_plotlyjs()}</script>" if has_face else "",
        script=_resource("report_style/report.js"),
    )
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")
    return path


def choose_thumbnails(
    thumbnails: Sequence[ReportThumbnail], segments: Sequence[Segment], face_ids: Sequence[int]
) -> tuple[list[ReportThumbnail], str]:
    """Choose the pictures of the longest segments of the given faces.

    Returns:
        At most `MAX_THUMBNAILS` pictures in the order of face and time, and a note for the reader
        where some were left out (else empty).
    """
    # Times are matched to the microsecond: they may have been through a file on their way here.
    lengths = {
        (s.face_id, round(s.peak_timestamp_seconds, 6)): s.end_seconds - s.start_seconds
        for s in segments
    }
    known = set(face_ids)
    longest = sorted(
        (picture for picture in thumbnails if picture.face_id in known),
        key=lambda p: -lengths.get((p.face_id, round(p.timestamp_seconds, 6)), 0.0),
    )[:MAX_THUMBNAILS]
    kept = sorted(longest, key=lambda p: (p.face_id, p.timestamp_seconds))
    if len(kept) == len(thumbnails):
        return kept, ""
    return kept, (
        f"{len(kept)} of {len(thumbnails)} pictures are shown, those of the longest segments."
    )


def _face_sections(
    face_ids: Sequence[int],
    segments: Sequence[Segment],
    summary: Mapping[str, Any],
    pictures: Sequence[ReportThumbnail],
) -> str:
    is_still = summary["input"]["is_still_image"]
    by_face = {face["face_id"]: face for face in summary["faces"]}
    return "".join(
        sections.face_section(
            by_face[face_id],
            [segment for segment in segments if segment.face_id == face_id],
            sections.pictures_list(
                [
                    (p.face_id, p.timestamp_seconds, p.emotion, p.confidence, _jpeg_address(p))
                    for p in pictures
                    if p.face_id == face_id
                ],
                is_still=is_still,
            ),
            is_still=is_still,
        )
        for face_id in face_ids
    )


def _jpeg_address(picture: ReportThumbnail) -> str:
    """The picture itself as an address, `data:image/jpeg;base64,...`."""
    image = picture.image_rgb
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise UsageError(
            "expected a thumbnail of shape (height, width, 3) and type uint8; "
            f"got {image.shape} and {image.dtype} for face {picture.face_id}"
        )
    scale = _THUMBNAIL_PX / max(image.shape[:2])
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _resource(name: str) -> str:
    return (importlib.resources.files("emotrace.analysis") / name).read_text(encoding="utf-8")


def _fill(template: str, **parts: str) -> str:
    # One pass: a placeholder's look-alike inside a value stays what it is.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match.group(1)], template)


def _script_json(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    # "</script>" and "<!--" must not end the element; \u003c is the same character to JSON.
    return text.replace("<", "\\u003c")
