"""Writing annotated pictures as an MP4 that plays everywhere, at their exact times, with sound."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from emotrace.errors import OutputError, UsageError
from emotrace.storage import atomic_path
from emotrace.video.audio import AudioCarrier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from av.container import OutputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

_TICKS_PER_SECOND: Final = 120_000
"""The clock of the output: every step of 24, 25, 30, 50, 60 and their 1001-based relatives, of GIF
and of Matroska is a whole number of ticks; other times are rounded by at most 4.2 microseconds."""

_MPEG4_TICKS_PER_SECOND: Final = 60_000
"""MPEG-4 part 2 has 16 bits for its clock."""

_NOMINAL_RATE: Final = 30
"""A hint to the encoder's rate control; times do not depend on it."""

_H264_OPTIONS: Final = {
    # On 50 frames of a 1080p street: 1.5 times the speed of "medium", and a file 5 % smaller.
    "preset": "veryfast",
    # x264's default is 23; thin lines and small type of the overlay show blocks there.
    "crf": "20",
    # A key frame at least every 60 frames, so that a player can be dragged along the timeline.
    "g": "60",
}
_MPEG4_OPTIONS: Final = {"g": "60", "q:v": "3"}
_BT709: Final = 1
_LIMITED_RANGE: Final = 1


class VideoWriter:
    """Write frames to an H.264 MP4, each at its own time, with the sound of the source.

    Frame times need not be regular; as many frames come out as go in. Sound is copied where MP4
    holds its format (AAC, MP3, AC-3, ALAC, Opus, FLAC) and encoded as AAC otherwise. The file takes
    its name only when it is complete. Memory does not grow with the length.

    ::

        with VideoWriter(out, width=640, height=360, audio_source=clip) as writer:
            for frame in reader:
                writer.write(frame.image_rgb, frame.timestamp_seconds)

    Leaving the block by an exception discards the file.

    Attributes:
        notes: Anything that is not as asked for, in plain words.
    """

    def __init__(
        self,
        target: Path,
        *,
        width: int,
        height: int,
        audio_source: Path | None = None,
        time_origin_seconds: float = 0.0,
        keep_audio_tail: bool = True,
        encode_threads: int = 0,
    ) -> None:
        """Prepare to write; the file is begun at the first frame.

        Args:
            target: The MP4 to write; its folder must exist.
            width: Of the pictures, in pixels. An odd one gains a column that repeats the last.
            height: Of the pictures, in pixels. An odd one gains a row that repeats the last.
            audio_source: The file whose sound goes with the pictures.
            time_origin_seconds: The time, of frames and sound alike, that becomes 0 in the file.
                0 keeps all times; the first frame's time makes the file start with it. A later one
                than the first frame's is moved to it, for MP4 shows nothing before 0.
            keep_audio_tail: Whether sound that outlasts the last frame is kept.
            encode_threads: Threads for encoding; 0 lets the encoder choose.

        Raises:
            UsageError: A size is not positive.
            OutputError: The target cannot be written.
        """
        if width < 1 or height < 1:
            raise UsageError(f"expected a width and height of 1 px or more; got {width} x {height}")
        self.notes: list[str] = []
        self._target = target
        self._size_px = (width, height)
        self._audio_source = audio_source
        self._origin_seconds = time_origin_seconds
        self._keep_audio_tail = keep_audio_tail
        self._encode_threads = encode_threads
        self._frame_count = 0
        self._last_tick = 0
        self._step_ticks = 0
        self._output: OutputContainer | None = None
        self._audio: AudioCarrier | None = None
        self._reformatter = VideoReformatter()
        self._codec = _best_codec()
        if self._codec != "libx264":
            self.notes.append(
                "this FFmpeg has no H.264 encoder; MPEG-4 part 2 was used, "
                "which browsers do not play"
            )
        ticks = _TICKS_PER_SECOND if self._codec == "libx264" else _MPEG4_TICKS_PER_SECOND
        self._time_base = Fraction(1, ticks)
        self._is_open = True
        self._stack = contextlib.ExitStack()
        self._partial = self._stack.enter_context(atomic_path(target))
        with self._failing_cleanly():
            self._partial.touch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._discard()

    @property
    def frame_count(self) -> int:
        """Frames written so far."""
        return self._frame_count

    def write(self, image_rgb: NDArray[np.uint8], timestamp_seconds: float) -> None:
        """Write the next frame.

        Args:
            image_rgb: `(height, width, 3)`, uint8. One of another size than the file's is fitted
                into it, with black bars where its shape differs.
            timestamp_seconds: When it is shown; later than the frame before.

        Raises:
            UsageError: The writer is closed, the time does not go up, or the picture is no RGB.
            InputError: The source of the sound cannot be opened.
            OutputError: The file cannot be written.
        """
        if not self._is_open:
            raise UsageError(f"expected an open VideoWriter; the one for {self._target} is closed")
        if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8:
            raise UsageError(
                "expected a picture of shape (height, width, 3), uint8; got "
                f"{image_rgb.shape}, {image_rgb.dtype} at {timestamp_seconds:.3f} s"
            )
        with self._failing_cleanly():
            if self._output is None:
                self._begin(timestamp_seconds)
            tick = self._tick(timestamp_seconds)
            frame = self._to_yuv(self._fit(image_rgb))
            frame.pts = tick
            frame.time_base = self._time_base
            self._encode(frame)
            if self._audio is not None:
                self._audio.carry_until(timestamp_seconds - self._origin_seconds)
        self._last_tick = tick
        self._frame_count += 1

    def close(self) -> None:
        """Finish the file and give it its name. Does nothing the second time.

        Raises:
            OutputError: The file cannot be written, or not one frame was.
        """
        if not self._is_open:
            return
        if self._output is None:
            self._discard()
            raise OutputError(f"expected at least one frame to write to {self._target}; got none")
        with self._failing_cleanly():
            self._encode(None)
            if self._audio is not None:
                end = float((self._last_tick + self._step_ticks) * self._time_base)
                self._audio.finish(None if self._keep_audio_tail else end)
                self.notes += self._audio.notes
                self._audio.close()
            self._output.close()
            self._is_open = False
            self._stack.close()

    def _begin(self, first_seconds: float) -> None:
        self._origin_seconds = min(self._origin_seconds, first_seconds)
        options = {
            # The index goes to the front, so that a browser starts before it has the whole file.
            "movflags": "+faststart",
            # Start times are kept in this clock; its default of 1 ms would round them.
            "movie_timescale": str(self._time_base.denominator),
        }
        self._output = av.open(
            f"file:{self._partial}", mode="w", format="mp4", container_options=options
        )
        width, height = self._size_px
        h264 = self._codec == "libx264"
        stream: VideoStream = self._output.add_stream(  # type: ignore[assignment]
            self._codec,
            rate=_NOMINAL_RATE,
            options=dict(_H264_OPTIONS if h264 else _MPEG4_OPTIONS),
        )
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = self._time_base
        context.thread_count = self._encode_threads
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED_RANGE
        self._stream = stream
        if self._audio_source is not None:
            self._audio = AudioCarrier(
                self._audio_source, self._output, origin_seconds=self._origin_seconds
            )

    def _tick(self, timestamp_seconds: float) -> int:
        tick = round((timestamp_seconds - self._origin_seconds) / self._time_base)
        if not self._frame_count:
            return tick
        if tick < self._last_tick:
            last = float(self._last_tick * self._time_base) + self._origin_seconds
            raise UsageError(
                f"expected frame times that go up; got {timestamp_seconds:.6f} s after {last:.6f} s"
            )
        # Two frames within one tick (8 microseconds) still both count.
        tick = max(tick, self._last_tick + 1)
        self._step_ticks = tick - self._last_tick
        return tick

    def _fit(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring a picture to the file's size and make both sides even."""
        width, height = self._size_px
        if image_rgb.shape[:2] != (height, width):
            note = f"frames of another size than {width} x {height} were fitted into it"
            if note not in self.notes:
                self.notes.append(note)
            image_rgb = _letterbox(image_rgb, width, height)
        if width % 2 or height % 2:
            padded = cv2.copyMakeBorder(
                image_rgb, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE
            )
            image_rgb = np.asarray(padded, dtype=np.uint8)
        return np.ascontiguousarray(image_rgb)

    def _to_yuv(self, image_rgb: NDArray[np.uint8]) -> av.VideoFrame:
        return self._reformatter.reformat(
            av.VideoFrame.from_numpy_buffer(image_rgb, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=(
                Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND
            ),
            threads=self._encode_threads,
        )

    def _encode(self, frame: av.VideoFrame | None) -> None:
        if self._output is None:
            return
        for packet in self._stream.encode(frame):
            # Only the last packet's own length matters: the others last until the next begins.
            if self._step_ticks:
                packet.duration = self._step_ticks
            self._output.mux(packet)

    @contextlib.contextmanager
    def _failing_cleanly(self) -> Iterator[None]:
        """Discard the file on any error, and turn the system's errors into ours."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            self._discard()
            reason = getattr(error, "strerror", None) or error
            raise OutputError(
                f"expected to write {self._target}; got: {str(reason).lower()}; "
                "free some space or choose another folder"
            ) from error
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        self._is_open = False
        if self._audio is not None:
            self._audio.close()
        if self._output is not None:
            # Closing writes what is left of a file that is about to go; it may fail as before.
            with contextlib.suppress(av.FFmpegError, OSError):
                self._output.close()
        discarded = RuntimeError("discarded")
        self._stack.__exit__(RuntimeError, discarded, None)


def _best_codec() -> str:
    return "libx264" if "libx264" in av.codecs_available else "mpeg4"


def _letterbox(image_rgb: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale a picture to fit into `width` x `height` and centre it on black."""
    scale = min(width / image_rgb.shape[1], height / image_rgb.shape[0])
    inner_width = max(1, min(width, round(image_rgb.shape[1] * scale)))
    inner_height = max(1, min(height, round(image_rgb.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    inner = cv2.resize(image_rgb, (inner_width, inner_height), interpolation=interpolation)
    canvas[top : top + inner_height, left : left + inner_width] = inner
    return canvas
