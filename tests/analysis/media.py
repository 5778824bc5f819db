"""Small media files made for tests."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def moving_picture(index: int, *, height: int = 120, width: int = 160) -> NDArray[np.uint8]:
    """A textured picture that moves with its index; no face in it."""
    rows, columns = np.mgrid[0:height, 0:width]
    red = (columns * 3 + index * 2) % 256
    green = (rows * 2) % 256
    blue = ((rows + columns) // 2) % 256
    return np.stack([red, green, blue], axis=2).astype(np.uint8)


def write_clip(path: Path, *, frames: int = 12, rate: int = 10) -> Path:
    """Write a clip of `moving_picture`s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(moving_picture(index), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
