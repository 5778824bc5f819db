"""When the end of a video counts as missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import pytest

from emotrace.video.damage import Damage
from emotrace.video.header import Header
from emotrace.video.timestamps import StepStatistics
from tests.video.recordings import Recording, steady

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def header(tmp_path: Path) -> Header:
    """Of a whole file of 50 frames in 2 s."""
    path = Recording(times=steady(50), b_frames=0).write(tmp_path / "clip.mp4")
    with av.open(str(path)) as container:
        return Header(container, container.streams.video[0])


@pytest.mark.parametrize(
    ("frames", "last_frame_seconds", "is_missing"),
    [
        (50, 0.04, False),
        (48, 0.04, False),  # encoders and players leave the last few out
        (30, 0.04, True),
        (30, 0.84, False),  # the last frame is held to the end, as screen recordings do
    ],
)
def test_the_end_is_missing_where_the_promise_is_not_kept(
    header: Header, frames: int, last_frame_seconds: float, *, is_missing: bool
) -> None:
    steps = StepStatistics()
    for time in steady(frames):
        steps.add(time)
    assert header.duration_seconds == pytest.approx(2.0, abs=0.05)
    assert Damage(has_threads=False).is_end_missing(header, steps, last_frame_seconds) is is_missing
