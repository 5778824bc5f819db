"""Build a short clip of a real face from one photograph, so that there is something to analyse.

    python examples/make_demo_clip.py demo/astronaut.mp4

Six seconds, 640 x 360, 25 frames a second, with sound. A virtual camera moves over the portrait of
the astronaut Eileen Collins (NASA, public domain; see README.md): closer, further and tilted, while
the light changes. From 2.6 to 3.6 s it shows the patch of her mission, where there is no face.
Needs what emotrace itself needs: PyAV, numpy and OpenCV.
"""

from __future__ import annotations

import argparse
import math
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av.audio.stream import AudioStream
    from numpy.typing import NDArray

WIDTH_PX: Final = 640
HEIGHT_PX: Final = 360
FRAMES_PER_SECOND: Final = 25
SAMPLES_PER_SECOND: Final = 48_000
PORTRAIT: Final = Path(__file__).with_name("astronaut.jpg")


class View(NamedTuple):
    """What the virtual camera looks at, in pixels of the portrait."""

    center_x_px: float
    center_y_px: float
    width_px: float
    """Of the part of the portrait that fills the picture; its height follows."""
    roll_degrees: float
    """Positive turns the picture clockwise."""


class Shot(NamedTuple):
    """One camera movement; the next shot begins with a hard cut."""

    seconds: float
    start: View
    end: View


SHOTS: Final = (
    Shot(2.6, View(262, 150, 500, -1.0), View(232, 118, 300, 5.0)),
    Shot(1.0, View(232, 371, 256, 0.0), View(262, 366, 272, 0.0)),
    Shot(2.4, View(222, 112, 250, -7.0), View(250, 134, 400, 1.0)),
)


def ease(share: float) -> float:
    """Start and stop a movement softly: 0 to 1, with no jolt at either end."""
    return 0.5 - 0.5 * math.cos(math.pi * share)


def views(shots: Sequence[Shot]) -> Iterator[View]:
    """Yield where the camera looks in each frame of the clip."""
    for shot in shots:
        count = round(shot.seconds * FRAMES_PER_SECOND)
        for position in range(count):
            share = ease(position / max(1, count - 1))
            yield View(*(a + share * (b - a) for a, b in zip(shot.start, shot.end, strict=True)))


def look(portrait_rgb: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Return what the camera sees: `(360, 640, 3)`, uint8, RGB."""
    zoom = WIDTH_PX / view.width_px
    matrix = cv2.getRotationMatrix2D((view.center_x_px, view.center_y_px), -view.roll_degrees, zoom)
    matrix[0, 2] += WIDTH_PX / 2 - view.center_x_px
    matrix[1, 2] += HEIGHT_PX / 2 - view.center_y_px
    seen = cv2.warpAffine(
        portrait_rgb,
        matrix,
        (WIDTH_PX, HEIGHT_PX),
        flags=cv2.INTER_CUBIC,
        # The camera looks a little past the portrait's edge when it is tilted.
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(seen, np.uint8)


def light(picture_rgb: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
    """Let the light grow and fade by 12 % over three seconds, a little warmer when it fades."""
    swing = math.sin(2 * math.pi * seconds / 3.0)
    gain = 1.0 + 0.12 * swing
    warmth = np.array([1.0, 1.0, 1.0 + 0.04 * swing])
    return np.clip(picture_rgb * (gain * warmth), 0, 255).astype(np.uint8)


def tone(length_seconds: float) -> NDArray[np.float32]:
    """Return a soft chord that swells and fades: `(1, samples)`, float32 in [-1, 1]."""
    seconds = np.arange(round(length_seconds * SAMPLES_PER_SECOND)) / SAMPLES_PER_SECOND
    chord = np.sin(2 * np.pi * 220.0 * seconds) + 0.6 * np.sin(2 * np.pi * 330.0 * seconds)
    swell = np.sin(np.pi * seconds / length_seconds) ** 2
    return np.asarray(0.05 * chord * swell, np.float32)[np.newaxis]


def write_tone(
    container: av.container.OutputContainer, stream: AudioStream, length_seconds: float
) -> None:
    """Encode `tone` into the container."""
    samples = tone(length_seconds)
    block = 1024  # what AAC takes at a time
    for start in range(0, samples.shape[1], block):
        part = np.ascontiguousarray(samples[:, start : start + block])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate = SAMPLES_PER_SECOND
        frame.time_base = Fraction(1, SAMPLES_PER_SECOND)
        frame.pts = start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def make_clip(path: Path, shots: Sequence[Shot] = SHOTS) -> int:
    """Write the clip to `path` (an .mp4) and return how many frames it has."""
    portrait_bgr = cv2.imdecode(np.fromfile(PORTRAIT, np.uint8), cv2.IMREAD_COLOR)
    if portrait_bgr is None:
        raise SystemExit(f"expected a picture; got {PORTRAIT}, which OpenCV cannot read")
    portrait_rgb = np.asarray(cv2.cvtColor(portrait_bgr, cv2.COLOR_BGR2RGB), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its final place and moved there when whole: a stopped run leaves no half clip.
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    count = 0
    with av.open(str(partial), "w") as container:
        video = container.add_stream("h264", rate=FRAMES_PER_SECOND, options={"crf": "18"})
        video.width, video.height, video.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLES_PER_SECOND, layout="mono")
        for count, view in enumerate(views(shots), start=1):
            picture = light(look(portrait_rgb, view), (count - 1) / FRAMES_PER_SECOND)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        write_tone(container, audio, sum(shot.seconds for shot in shots))
    partial.replace(path)
    return count


def main() -> None:
    """Read the command line and write the clip."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("path", type=Path, help="the .mp4 to write")
    path = parser.parse_args().path
    count = make_clip(path)
    print(f"{path}: {count} frames, {count / FRAMES_PER_SECOND:.1f} s")


if __name__ == "__main__":
    main()
