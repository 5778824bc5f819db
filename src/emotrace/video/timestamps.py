"""Presentation times that can be relied on: strictly increasing, repaired where need be.

Containers lie about time in a few known ways: raw streams carry no times at all, AVI files with
B-frames repeat or swap them, joined recordings start again at zero. `TimestampRepairer` passes good
times through untouched and counts every one that it had to change; `StepStatistics` says what the
steps between frames look like. Both work frame by frame in memory that does not grow.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from typing import Final

REPEAT_STEP_SECONDS: Final = 0.001
"""How far after its predecessor a frame is placed whose own time does not come after it.

One millisecond is the finest tick of Matroska and is far below any real frame step, so that the
true times of the frames which follow stay usable and a repair does not spread.
"""

RESTART_STEPS: Final = 10.0
"""A time that lies this many frame steps back is a clock that may have started again.

Reordering by B-frames misplaces a frame by no more than the reorder depth: at most 16 by the H.264
standard, 2 to 4 with the common encoders' settings.
"""

RECENT_STEPS: Final = 1001
"""The median step is taken over this many of the latest steps (odd: the median is one of them)."""


class TimestampRepairer:
    """Make presentation times strictly increasing, one frame at a time.

    A time that comes after the previous one is returned exactly as it is. Otherwise:

    * a missing (or non-finite) time becomes the previous one plus the nominal frame step;
    * a time that does not come after the previous one becomes the previous one plus 1 ms;
    * a time far back starts a trial: if the next frame goes on from there, the clock has started
      again and all that follows is shifted to continue; if it returns to the old clock, the one
      frame was a glitch.

    Attributes:
        missing_count: Frames that stated no time.
        repeated_count: Frames whose time did not come after the one before.
        restart_count: How often the clock started again.
    """

    def __init__(self, *, nominal_step_seconds: float, start_seconds: float = 0.0) -> None:
        """Start before the first frame.

        Args:
            nominal_step_seconds: The stream's frame step as its header states it; positive.
            start_seconds: The first frame's time should it state none.
        """
        self.missing_count = 0
        self.repeated_count = 0
        self.restart_count = 0
        self._nominal_step_seconds = nominal_step_seconds
        self._start_seconds = start_seconds
        self._previous: float | None = None
        self._offset = 0.0
        self._trial_offset: float | None = None

    def repair(self, stated_seconds: float | None) -> float:
        """Return the time to use for the next frame, in seconds; greater than every one before."""
        previous = self._previous
        if stated_seconds is None or not math.isfinite(stated_seconds):
            self.missing_count += 1
            repaired = (
                self._start_seconds
                if previous is None
                else _after(previous, self._nominal_step_seconds)
            )
        elif previous is None:
            repaired = stated_seconds
        else:
            repaired = self._place(stated_seconds, previous)
        self._previous = repaired
        return repaired

    def notes(self) -> list[str]:
        """Say in plain words what was changed, with counts; empty if nothing was."""
        notes = []
        if self.missing_count:
            notes.append(
                f"{self.missing_count} frame(s) state no presentation time; each was placed "
                f"{self._nominal_step_seconds:.4f} s (the nominal frame step) after the one before"
            )
        if self.repeated_count:
            notes.append(
                f"{self.repeated_count} frame(s) state a presentation time that does not come "
                "after the one before; each was moved to just after it"
            )
        if self.restart_count:
            notes.append(
                f"the presentation clock starts again {self.restart_count} time(s); "
                "later times were shifted to continue"
            )
        return notes

    def _place(self, stated_seconds: float, previous: float) -> float:
        """Place a stated time that has a predecessor."""
        shifted = stated_seconds + self._offset
        trial_offset, self._trial_offset = self._trial_offset, None
        if shifted > previous:
            return shifted
        if trial_offset is not None and stated_seconds + trial_offset > previous:
            self._offset = trial_offset
            self.restart_count += 1
            self.repeated_count -= 1  # the frame that opened the trial was not a glitch after all
            return stated_seconds + trial_offset
        self.repeated_count += 1
        if previous - shifted > RESTART_STEPS * self._nominal_step_seconds:
            repaired = _after(previous, self._nominal_step_seconds)
            self._trial_offset = repaired - stated_seconds
            return repaired
        return _after(previous, REPEAT_STEP_SECONDS)


class StepStatistics:
    """What the steps between frames look like, in seconds.

    Attributes:
        count: Times seen.
        first_seconds: The first time, or None.
        last_seconds: The latest time, or None.
        largest_step_seconds: The largest step between two frames.
        largest_step_from_seconds: The time at which that step begins.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first_seconds: float | None = None
        self.last_seconds: float | None = None
        self.largest_step_seconds = 0.0
        self.largest_step_from_seconds = 0.0
        self._smallest_step_seconds = math.inf
        self._recent_steps: deque[float] = deque(maxlen=RECENT_STEPS)

    def add(self, timestamp_seconds: float) -> None:
        """Take in the next frame's time; it must be greater than the one before."""
        if self.last_seconds is None:
            self.first_seconds = timestamp_seconds
        else:
            step = timestamp_seconds - self.last_seconds
            self._recent_steps.append(step)
            self._smallest_step_seconds = min(self._smallest_step_seconds, step)
            if step > self.largest_step_seconds:
                self.largest_step_seconds = step
                self.largest_step_from_seconds = self.last_seconds
        self.last_seconds = timestamp_seconds
        self.count += 1

    @property
    def median_step_seconds(self) -> float | None:
        """The median of the latest steps, or None before the second frame."""
        return statistics.median(self._recent_steps) if self._recent_steps else None

    @property
    def mean_frames_per_second(self) -> float | None:
        """Frames a second over the whole length, or None before the second frame."""
        if self.first_seconds is None or self.last_seconds is None or self.count < 2:
            return None
        return (self.count - 1) / (self.last_seconds - self.first_seconds)

    @property
    def has_holes(self) -> bool:
        """Whether frames seem to be missing from a constant rate.

        No step is clearly shorter than the median, and one is at least about twice as long: what a
        demuxer leaves that has skipped damaged data without a word, as FFmpeg's for Matroska does.
        """
        median = self.median_step_seconds
        return (
            median is not None
            and self._smallest_step_seconds > 0.9 * median
            and self.largest_step_seconds > 1.9 * median
        )

    def is_variable(self, tick_seconds: float) -> bool:
        """Judge whether the frame rate varies.

        A constant rate that is rounded to the container's clock gives steps which differ by up to
        one tick (GIF: 6 and 7 hundredths for 15 frames a second), so the steps must differ by more
        than 1.5 ticks plus 1 % of the median step.

        Args:
            tick_seconds: The container's clock resolution (its time base).
        """
        median = self.median_step_seconds
        if median is None:
            return False
        spread = self.largest_step_seconds - self._smallest_step_seconds
        return spread > 1.5 * tick_seconds + 0.01 * median


def _after(previous: float, step: float) -> float:
    """Return `previous + step`, or the next float where the step is lost in rounding."""
    return max(previous + step, math.nextafter(previous, math.inf))
