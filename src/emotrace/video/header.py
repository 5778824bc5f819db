"""What a media file says of itself before anything is decoded; all of it may be wrong."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av

from emotrace.video.container import picture_stream_count

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_ONE_PICTURE_FORMATS: Final = frozenset({"gif", "apng", "image2"})
_ONE_PICTURE_BRANDS: Final = frozenset({"avif", "heic", "heix", "mif1"})


class Header:
    """What the file says of itself before anything is decoded."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.container = container.format.name
        self.codec = stream.codec_context.codec.canonical_name
        self.pixel_format = stream.pix_fmt or "unknown"
        self.time_base: Fraction = stream.time_base or Fraction(1, av.time_base)
        self.stored_size_px = (stream.width, stream.height)
        self.frame_count = stream.frames or None
        self.has_audio = bool(container.streams.audio)
        self.start_seconds = float((stream.start_time or 0) * self.time_base)
        self.is_picture = self._may_be_picture(container)
        self.end_seconds = self._promised_end(container, stream)
        self.expected_frame_count = self.frame_count or self._implied_frame_count(stream)
        self.notes = self._remarks(container, stream)

    @property
    def duration_seconds(self) -> float | None:
        """How long the pictures go on by the header's word; None if it says nothing of them."""
        return None if self.end_seconds is None else self.end_seconds - self.start_seconds

    def _may_be_picture(self, container: InputContainer) -> bool:
        return (
            self.container.endswith("_pipe")
            or self.container in _ONE_PICTURE_FORMATS
            or container.metadata.get("major_brand", "") in _ONE_PICTURE_BRANDS
        )

    def _promised_end(self, container: InputContainer, stream: VideoStream) -> float | None:
        """Where the header says that the pictures end, in seconds; None if it says nothing of them.

        Matroska states one length for all streams; its writers put each stream's own into a tag.
        """
        if self.is_picture:
            return None
        rate = stream.average_rate
        if self.container == "avi" and self.frame_count and rate:
            # Of an AVI that is shorter than its header says, FFmpeg guesses the length anew; the
            # number of its frames is the header's own.
            return self.start_seconds + self.frame_count / float(rate)
        if stream.duration:
            return self.start_seconds + float(stream.duration * self.time_base)
        tag = stream.metadata.get("DURATION", "")
        if tag.count(":") == 2:
            hours, minutes, seconds = tag.split(":")
            try:
                return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            except ValueError:
                return None
        if container.duration and not self.has_audio:
            return self.start_seconds + container.duration / av.time_base
        return None

    def _implied_frame_count(self, stream: VideoStream) -> int | None:
        if self.container.endswith("_pipe"):
            return 1
        rate = stream.average_rate or stream.guessed_rate
        if self.end_seconds is None or not rate:
            return None
        return max(1, round((self.end_seconds - self.start_seconds) * float(rate)))

    def _remarks(self, container: InputContainer, stream: VideoStream) -> list[str]:
        notes = []
        count = picture_stream_count(container)
        if count > 1:
            notes.append(
                f"the file holds {count} video streams; number {stream.index} "
                f"({stream.width} x {stream.height}) was read"
            )
        aspect = stream.sample_aspect_ratio
        if aspect and aspect != 1 and not self.is_picture:
            notes.append(
                f"the pixels are not square ({aspect.numerator}:{aspect.denominator}); "
                "pictures are kept as stored, so faces look stretched"
            )
        return notes
