"""What was found broken while a video was read, and whether its end is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    from emotrace.video.header import Header
    from emotrace.video.timestamps import StepStatistics


class Damage:
    """What was found broken on the way."""

    def __init__(self, *, has_threads: bool) -> None:
        """Start with nothing found.

        Args:
            has_threads: More than one thread decodes.
        """
        self._has_threads = has_threads
        self.packets = 0
        self.frames = 0
        self.read_error: str | None = None
        self.lacks_trailer = False
        """The block that ends a GIF is not there."""
        self._is_last_packet_corrupt = False

    def take_in(self, packet: Packet[VideoStream]) -> None:
        """Note what a packet says of itself."""
        self._is_last_packet_corrupt = packet.is_corrupt

    def notes(self, header: Header, steps: StepStatistics, last_frame_seconds: float) -> list[str]:
        """Say what is damaged, what the header got wrong, and whether the end is missing."""
        notes = []
        if self.packets:
            notes.append(f"{self.packets} damaged packet(s) do not decode and were skipped")
        if self.frames:
            # FFmpeg may pass a frame on before the thread that mended it has said so.
            count = f"{'at least ' if self._has_threads else ''}{self.frames}"
            notes.append(f"{count} frame(s) come from damaged data and may look wrong")
        if header.frame_count not in (None, steps.count):
            notes.append(
                f"the header states {header.frame_count} frames; {steps.count} were decoded"
            )
        is_missing = self.is_end_missing(header, steps, last_frame_seconds)
        if is_missing or (self._is_last_packet_corrupt and not header.is_picture):
            error = "a GIF without its trailer" if self.lacks_trailer else self.read_error
            reason = f" ({error})" if error else ""
            promised = (
                f"; the header promises {header.end_seconds:.3f} s" if header.end_seconds else ""
            )
            notes.append(
                f"the end of the file is damaged or missing{reason}: the last frame is at "
                f"{steps.last_seconds or 0.0:.3f} s{promised}"
            )
        elif self.read_error:
            notes.append(f"part of the file could not be read ({self.read_error})")
        return notes

    def is_end_missing(
        self, header: Header, steps: StepStatistics, last_frame_seconds: float
    ) -> bool:
        """Say whether the pictures stop well before the end that the header promises.

        A GIF promises no length: its end is missing where its trailer is. A last packet that is cut
        off is no proof by itself: a broadcast recorded to the last byte ends so.

        Args:
            header: What the file says of itself.
            steps: The times of all its frames.
            last_frame_seconds: How long the last frame is to be shown. A screen recording may hold
                it for minutes.
        """
        if self.lacks_trailer:
            return True
        if header.is_picture or header.end_seconds is None or steps.last_seconds is None:
            return False
        if header.frame_count is not None and steps.count >= header.frame_count:
            return False
        slack = max(0.25, 3 * (steps.median_step_seconds or 0.0))
        return steps.last_seconds + last_frame_seconds + slack < header.end_seconds
