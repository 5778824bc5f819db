"""Small media files with known content, built with PyAV itself."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TICKS = 12_000
SAMPLE_RATE = 48_000


def numbered_picture(index: int, width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """A grey picture whose level tells its index, with a red patch in the upper left corner."""
    image = np.full((height, width, 3), number_level(index), np.uint8)
    image[: height // 4, : width // 4] = (220, 30, 30)
    return image


def number_level(index: int) -> int:
    return 40 + (index * 37) % 180


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What to record; times in seconds."""

    times: Sequence[float]
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    width: int = 96
    height: int = 64
    b_frames: int = 2
    container_options: dict[str, str] | None = None
    picture: Callable[[int], NDArray[np.uint8]] | None = None
    set_up: Callable[[av.VideoStream], None] | None = None
    tone_from: float | None = None
    tone_until: float = 1.0
    """A 440 Hz tone is heard within [0.5, 0.75) of these bounds; silence elsewhere."""
    audio_codec: str = "aac"

    def write(self, path: Path) -> Path:
        options = self.container_options or {}
        with av.open(str(path), "w", container_options=options) as container:
            stream = container.add_stream(self.codec, rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = self.width, self.height, self.pixel_format
            if self.codec == "libx264":
                stream.options = {"bf": str(self.b_frames), "preset": "ultrafast", "crf": "15"}
                stream.codec_context.time_base = Fraction(1, TICKS)
            if self.set_up is not None:
                self.set_up(stream)
            if self.tone_from is not None:
                self._add_tone(container)
            for index, time in enumerate(self.times):
                picture = self.picture or (
                    lambda number: numbered_picture(number, self.width, self.height)
                )
                frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
                base = stream.codec_context.time_base if self.codec == "libx264" else None
                frame.time_base = base or Fraction(1, 25)
                frame.pts = round(time / frame.time_base)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    def _add_tone(self, container: av.container.OutputContainer) -> None:
        stream = container.add_stream(self.audio_codec, rate=SAMPLE_RATE)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        assert self.tone_from is not None
        first = round(self.tone_from * SAMPLE_RATE)
        count = round((self.tone_until - self.tone_from) * SAMPLE_RATE)
        samples = tone(first, count)
        for start in range(0, count, 960):
            piece = (samples[start : start + 960] * 20_000).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            frame.time_base = Fraction(1, SAMPLE_RATE)
            frame.pts = first + start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def tone(first: int, count: int) -> NDArray[np.float64]:
    """A second holds a quarter of sound: 440 Hz from .5 to .75."""
    seconds = (first + np.arange(count)) / SAMPLE_RATE
    heard = (seconds % 1 >= 0.5) & (seconds % 1 < 0.75)
    return np.where(heard, np.sin(2 * np.pi * 440 * seconds), 0.0)


def heard_from(path: Path) -> float:
    """When the sound first gets loud, in seconds of the file's own clock."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            samples = np.abs(frame.to_ndarray().astype(np.float64)).reshape(-1)
            full_scale = 32_768 if frame.format.name.startswith("s16") else 1.0
            loud = np.flatnonzero(samples > 0.25 * full_scale)
            if loud.size:
                assert frame.pts is not None
                assert frame.time_base is not None
                return float(frame.pts * frame.time_base + Fraction(int(loud[0]), stream.rate))
    raise AssertionError(f"no sound in {path}")


def steady(count: int, rate: float = 25.0, start: float = 0.0) -> list[float]:
    return [start + index / rate for index in range(count)]
