from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotrace.analysis.subtitles import webvtt_text, write_webvtt
from emotrace.errors import OutputError
from emotrace.timeline import Segment

if TYPE_CHECKING:
    from pathlib import Path

CUE = re.compile(
    r"(\d+)\n(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})\n(.+)"
)


def make_segment(face_id: int, start: float, end: float, emotion: str = "happiness") -> Segment:
    return Segment(
        face_id=face_id,
        start_seconds=start,
        end_seconds=end,
        emotion=emotion,
        mean_confidence=0.874,
        peak_timestamp_seconds=start,
    )


def parse(text: str) -> list[tuple[int, int, str]]:
    """Cues as (start ms, end ms, text), by the grammar of the format."""
    assert text.startswith("WEBVTT")
    cues = []
    for block in text.removesuffix("\n").split("\n\n")[1:]:
        if block.startswith("NOTE"):
            assert "-->" not in block
            continue
        match = CUE.fullmatch(block)
        assert match is not None, block
        hours, minutes, seconds, millis = map(int, match.group(2, 3, 4, 5))
        start = ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis
        hours, minutes, seconds, millis = map(int, match.group(6, 7, 8, 9))
        end = ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis
        cues.append((start, end, html.unescape(match.group(10))))
    return cues


def test_known_answer() -> None:
    segments = [make_segment(2, 3661.0, 3662.5, "fear"), make_segment(1, 0.5, 2.0)]
    assert parse(webvtt_text(segments)) == [
        (500, 2000, "Face 1: happiness 87 %"),
        (3_661_000, 3_662_500, "Face 2: fear 87 %"),
    ]


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.floats(-1, 400_000), st.floats(0, 50)).map(
            lambda t: make_segment(t[0], t[1], t[1] + t[2])
        ),
        max_size=20,
    )
)
def test_always_valid_and_sorted(segments: list[Segment]) -> None:
    cues = parse(webvtt_text(segments))
    assert len(cues) == len(segments)
    assert [start for start, _, _ in cues] == sorted(start for start, _, _ in cues)
    assert all(0 <= start < end for start, end, _ in cues)


def test_text_is_escaped() -> None:
    text = webvtt_text([make_segment(1, 0, 1, "a<b>&-->c")])
    assert "a&lt;b&gt;&amp;--&gt;c" in text
    assert parse(text)[0][2] == "Face 1: a<b>&-->c 87 %"


def test_no_segments_make_a_valid_file_that_says_so(tmp_path: Path) -> None:
    text = write_webvtt(tmp_path / "clip.vtt", []).read_text(encoding="utf-8")
    assert parse(text) == []
    assert "NOTE\nNo face was found" in text


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="expected to write"):
        write_webvtt(tmp_path / "nowhere" / "clip.vtt", [])


def test_the_path_may_be_text(tmp_path: Path) -> None:
    path = write_webvtt(f"{tmp_path}/a.vtt", [make_segment(1, 0.0, 1.0)])
    assert path == tmp_path / "a.vtt"
    assert path.read_text(encoding="utf-8").startswith("WEBVTT")
