"""Telling a caller how far an analysis has come, not too often."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emotrace.video import VideoReader

_PROGRESS_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an analysis has come."""

    frames_done: int
    frames_expected: int | None
    """An estimate from the file's header; None where it says nothing."""
    frames_per_second: float
    seconds_left: float | None
    """None where nothing is done yet, or where it is not known how many frames there are."""


ProgressHook = Callable[[Progress], None]


class ProgressMeter:
    """Counts frames and tells a hook: at once (0 frames), ten times a second at most, at the end.

    Args:
        hook: What to tell; None for nobody.
        reader: The video that is read; it knows how many frames to expect.
    """

    def __init__(self, hook: ProgressHook | None, reader: VideoReader) -> None:
        self._hook, self._reader = hook, reader
        self._done = 0
        self._started = self._told = time.perf_counter()
        self._tell(reader.expected_frame_count)

    def count(self) -> None:
        """Count one more frame."""
        self._done += 1
        if time.perf_counter() - self._told >= _PROGRESS_SECONDS:
            self._tell(self._reader.expected_frame_count)

    def finish(self) -> None:
        """Say that all frames are done."""
        self._tell(self._done)

    def _tell(self, expected: int | None) -> None:
        if self._hook is None:
            return
        self._told = time.perf_counter()
        rate = self._done / max(self._told - self._started, 1e-9)
        left = None if expected is None or not rate else max(0.0, (expected - self._done) / rate)
        self._hook(
            Progress(
                frames_done=self._done,
                frames_expected=expected,
                frames_per_second=rate,
                seconds_left=left,
            )
        )
