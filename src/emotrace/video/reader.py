"""Reading videos, GIFs and still images frame by frame, each with its true presentation time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import av

from emotrace.errors import UsageError, VideoError
from emotrace.timeline import Frame, InputFacts
from emotrace.video.container import open_input, pick_video_stream
from emotrace.video.damage import Damage
from emotrace.video.gif_end import has_gif_trailer
from emotrace.video.header import Header
from emotrace.video.orientation import UPRIGHT, Orientation, frame_orientation
from emotrace.video.pixels import RgbConverter
from emotrace.video.timestamps import StepStatistics, TimestampRepairer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_NOMINAL_RATE: Final = 25.0
"""Frames a second where the header states no rate; only used to place frames without a time."""

_READ_ATTEMPTS: Final = 3
"""Reading is given up after this many errors in a row, without a packet between them."""

_GAP_STEPS: Final = 10.0
_GAP_SECONDS: Final = 0.5
"""A pause without frames is worth a note from this length and this many median steps."""


class VideoReader:
    """Decode every frame of a file once, in the order of presentation.

    Reads whatever FFmpeg does: videos in any container and pixel format, GIFs and animated PNGs,
    and still images, which are videos of one frame. Pictures come upright (rotation metadata and
    EXIF orientation are applied), in RGB; transparent ones are laid over white. Times are the
    container's own and need not start at zero; what cannot be true is repaired and counted in the
    notes of `facts()`. Damaged stretches are skipped where FFmpeg can go on behind them.

    Use it as a context manager, and iterate over it once::

        with VideoReader("clip.mp4") as reader:
            for frame in reader:
                print(frame.timestamp_seconds, frame.image_rgb.shape)
            print(reader.facts().frame_count)

    A reader belongs to one thread at a time. Decoding runs in FFmpeg's own threads and leaves
    Python's lock free; the frames of a whole file do not depend on their number. Where data is
    damaged they do: FFmpeg mends a frame from what it has at hand, and its H.264 decoder may pass
    the frame on before the thread that mended it has said so. Only one thread counts them all.
    """

    def __init__(self, path: str | Path, *, decode_threads: int = 0) -> None:
        """Open a file and read its header.

        Args:
            path: A video, GIF or still image.
            decode_threads: Threads for decoding; 0 lets FFmpeg take one for each processor.

        Raises:
            UsageError: `decode_threads` is negative.
            InputError: The file is missing, a folder, or may not be read.
            VideoError: It is empty, not a known format, or has no video stream.
        """
        if decode_threads < 0:
            raise UsageError(f"expected decode_threads of 0 or more; got {decode_threads}")
        self._path = Path(path)
        self._container: InputContainer | None = open_input(self._path)
        try:
            stream = pick_video_stream(self._container, self._path)
        except VideoError:
            self.close()
            raise
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = decode_threads
        self._stream = stream
        self._header = Header(self._container, stream)
        self._converter = RgbConverter(is_exact=self._header.is_picture, threads=decode_threads)
        rate = float(stream.average_rate or stream.guessed_rate or 0) or _NOMINAL_RATE
        self._repairer = TimestampRepairer(
            nominal_step_seconds=1 / rate, start_seconds=self._header.start_seconds
        )
        self._steps = StepStatistics()
        self._damage = Damage(has_threads=decode_threads != 1)
        is_gif = self._header.container == "gif"
        self._damage.lacks_trailer = is_gif and not has_gif_trailer(self._path)
        self._is_started = False
        self._is_exhausted = False
        self._orientation = UPRIGHT
        self._size_px: tuple[int, int] | None = None
        self._latest_size_px: tuple[int, int] | None = None
        self._size_notes: list[str] = []
        self._last_frame_seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; iterating ends. Does nothing the second time."""
        if self._container is not None:
            self._container.close()
            self._container = None

    @property
    def path(self) -> Path:
        """The file being read."""
        return self._path

    @property
    def frame_count(self) -> int:
        """Frames handed out so far; the true count once iterating has ended."""
        return self._steps.count

    @property
    def expected_frame_count(self) -> int | None:
        """What the header promises or implies, for progress bars only; None if it says nothing."""
        return self._header.expected_frame_count

    def __iter__(self) -> Iterator[Frame]:
        """Decode the frames.

        Raises:
            UsageError: The reader is closed or has been iterated over before.
            VideoError: Not one frame can be decoded.
        """
        if self._is_started:
            raise UsageError(
                f"expected to go through {self._path} once; it was started before: "
                "make a new VideoReader"
            )
        if self._container is None:
            raise UsageError(f"expected an open VideoReader; the one of {self._path} is closed")
        self._is_started = True
        return self._frames()

    def facts(self) -> InputFacts:
        """Say what the input is; complete once iterating has ended, else for what was read so far.

        `rotation_degrees` is the clockwise turn that was applied; a mirror is in the notes.
        `has_variable_frame_rate` is judged by `StepStatistics.is_variable`. A still image has a
        duration of 0.
        """
        is_still = self._header.is_picture and self.frame_count <= 1
        width, height = self._size_px or self._header.stored_size_px
        duration = 0.0
        if self._steps.first_seconds is not None and self._steps.last_seconds is not None:
            span = self._steps.last_seconds - self._steps.first_seconds
            # A sum of times need not be one of the container's clock; a nanosecond is less than
            # any clock's tick, and more than the sum's error.
            duration = 0.0 if is_still else round(span + self._last_frame_seconds, 9)
        return InputFacts(
            path=str(self._path),
            container=self._header.container,
            codec=self._header.codec,
            pixel_format=self._header.pixel_format,
            width=width,
            height=height,
            rotation_degrees=self._orientation.rotation_degrees,
            header_frame_count=self._header.frame_count,
            frame_count=self.frame_count,
            duration_seconds=duration,
            is_still_image=is_still,
            has_variable_frame_rate=self._steps.is_variable(float(self._header.time_base)),
            mean_frames_per_second=self._steps.mean_frames_per_second,
            has_audio=self._header.has_audio,
            notes=tuple(self._notes()),
            is_end_missing=self._is_exhausted and self._is_end_missing(),
            header_duration_seconds=self._header.duration_seconds,
        )

    def _is_end_missing(self) -> bool:
        return self._damage.is_end_missing(self._header, self._steps, self._last_frame_seconds)

    def _is_closed(self) -> bool:
        return self._container is None

    def _frames(self) -> Iterator[Frame]:
        for decoded in self._decoded():
            orientation = frame_orientation(decoded)
            image = orientation.apply(self._converter.convert(decoded))
            stated = None if decoded.pts is None else float(decoded.pts * self._header.time_base)
            timestamp = self._repairer.repair(stated)
            self._take_in(decoded, timestamp, orientation, (image.shape[1], image.shape[0]))
            yield Frame(index=self.frame_count - 1, timestamp_seconds=timestamp, image_rgb=image)
        if self._is_closed():
            return
        if not self.frame_count:
            # FFmpeg 8.1 decodes still WebP only.
            hint = "; convert it to GIF or MP4 if it moves" if self._header.codec == "webp" else ""
            raise VideoError(
                f"expected at least one picture; got {self._path} ({self._header.codec} in "
                f"{self._header.container}), of which no frame decodes{hint}"
            )
        self._is_exhausted = True

    def _take_in(
        self,
        decoded: av.VideoFrame,
        timestamp: float,
        orientation: Orientation,
        size_px: tuple[int, int],
    ) -> None:
        """Note what a frame says of the whole video."""
        self._steps.add(timestamp)
        self._damage.frames += decoded.is_corrupt
        self._last_frame_seconds = (
            float(decoded.duration * self._header.time_base)
            if decoded.duration
            else self._steps.median_step_seconds or 0.0
        )
        if self._size_px is None:
            self._size_px, self._orientation = size_px, orientation
        elif size_px != self._latest_size_px:
            self._note_size_change(size_px, timestamp)
        self._latest_size_px = size_px

    def _note_size_change(self, size_px: tuple[int, int], timestamp: float) -> None:
        text = f"the picture's size changes to {size_px[0]} x {size_px[1]} at {timestamp:.3f} s"
        # A stream that changes for ever must not fill the memory.
        if len(self._size_notes) < 5:
            self._size_notes.append(text)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Decode packets to frames, past damage; flush what the decoder holds back."""
        for packet in self._packets():
            yield from self._decode(packet)
        if not self._is_closed():
            yield from self._decode(None)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Read the stream's packets; take reading up again after an error, within reason."""
        failures = 0
        container = self._container
        while container is not None and not self._is_closed() and failures < _READ_ATTEMPTS:
            try:
                for packet in container.demux(self._stream):
                    # An empty packet means "flush" to the decoder; AVI uses them for "no change".
                    if packet.size:
                        failures = 0
                        self._damage.take_in(packet)
                        yield packet
                    if self._is_closed():
                        return
            except av.FFmpegError as error:
                failures += 1
                self._damage.read_error = str(error.strerror).lower()
            else:
                return

    def _decode(self, packet: Packet[VideoStream] | None) -> list[av.VideoFrame]:
        try:
            return self._stream.codec_context.decode(packet)
        except av.FFmpegError:
            self._damage.packets += 1
            return []

    def _notes(self) -> list[str]:
        notes = [*self._header.notes, *self._converter.notes, *self._repairer.notes()]
        if self._orientation.is_mirrored:
            notes.append("the pictures are stored mirrored and were turned back")
        if abs(self._orientation.residual_degrees) > 1:
            notes.append(
                f"the pictures are to be shown tilted by {self._orientation.residual_degrees:.1f} "
                "degrees beyond a quarter turn; the tilt was not applied"
            )
        notes += self._size_notes
        step = self._steps.median_step_seconds
        gap = self._steps.largest_step_seconds
        is_long = step is not None and gap >= max(_GAP_SECONDS, _GAP_STEPS * step)
        if is_long or (self._steps.has_holes and not self._header.is_picture):
            start = self._steps.largest_step_from_seconds
            notes.append(f"there is no frame between {start:.3f} s and {start + gap:.3f} s")
        if self._is_exhausted:
            notes += self._damage.notes(self._header, self._steps, self._last_frame_seconds)
        return notes
