"""Subtitles for any player: segments as WebVTT cues.

Format: W3C, "WebVTT: The Web Video Text Tracks Format".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from emotrace.analysis.summary import MEANING
from emotrace.storage import atomic_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emotrace.timeline import Segment

_SHORTEST_CUE_MILLISECONDS: Final = 1
"""The format wants a cue to end after it starts; a still image's segment has no length."""


def write_webvtt(path: str | Path, segments: Sequence[Segment]) -> Path:
    """Write one cue for each segment, such as `Face 1: happiness 87 %` (its mean confidence).

    Cues are sorted by start, end and face, as the format wants; cues of different faces may overlap
    and players stack them. No segments make a valid file that says so in a note.

    Args:
        path: The file, by custom ending in `.vtt`.
        segments: In any order.

    Returns:
        `path`.

    Raises:
        OutputError: The file cannot be written.
    """
    path = Path(path)
    with atomic_path(path) as partial:
        partial.write_text(webvtt_text(segments), encoding="utf-8", newline="\n")
    return path


def webvtt_text(segments: Sequence[Segment]) -> str:
    r"""Return the text of a WebVTT file; see `write_webvtt`.

    >>> from emotrace.timeline import Segment
    >>> smile = Segment(face_id=1, start_seconds=0.5, end_seconds=2.0, emotion="happiness",
    ...                 mean_confidence=0.87, peak_timestamp_seconds=1.0)
    >>> print(webvtt_text([smile]).split("\n\n")[2].strip())
    1
    00:00:00.500 --> 00:00:02.000
    Face 1: happiness 87 %
    """
    blocks = ["WEBVTT - predicted expressions", f"NOTE\n{_escape(MEANING)}"]
    if not segments:
        blocks.append("NOTE\nNo face was found, so there are no cues.")
    timed = sorted(
        (*_cue_milliseconds(segment), segment.face_id, number)
        for number, segment in enumerate(segments)
    )
    for position, (start, end, _, number) in enumerate(timed, start=1):
        segment = segments[number]
        text = f"Face {segment.face_id}: {segment.emotion} {segment.mean_confidence * 100:.0f} %"
        blocks.append(f"{position}\n{_timestamp(start)} --> {_timestamp(end)}\n{_escape(text)}")
    return "\n\n".join(blocks) + "\n"


def _cue_milliseconds(segment: Segment) -> tuple[int, int]:
    # A few containers start before zero; the format has no times before zero.
    start = max(0, round(segment.start_seconds * 1000))
    return start, max(round(segment.end_seconds * 1000), start + _SHORTEST_CUE_MILLISECONDS)


def _timestamp(milliseconds: int) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{thousandths:03d}"


def _escape(text: str) -> str:
    # Escaping ">" also keeps the arrow "-->" out of cue text, where it would be read as a timing
    # line.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
