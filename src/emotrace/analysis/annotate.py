"""The annotated copy of an input: a video with the source's times and sound, or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import cv2
import numpy as np

from emotrace.storage import atomic_path
from emotrace.video import VideoWriter, draw_frame_result

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from emotrace.timeline import Frame, FrameResult

ANNOTATED_VIDEO_FILE: Final = "annotated.mp4"
ANNOTATED_IMAGE_FILE: Final = "annotated.png"


class AnnotatedVideoSink:
    """Draws each result onto its frame and writes it: a context manager.

    One frame alone becomes `annotated.png`, more become `annotated.mp4` with the source's
    presentation times and audio. Frames of another size than the first are scaled to it.

    Args:
        folder: Where to write.
        source: The input, for its audio.
        uncertain_below: Predictions with a lower confidence are marked; None marks none.
    """

    def __init__(
        self, folder: str | Path, *, source: str | Path, uncertain_below: float | None = None
    ) -> None:
        self._folder, self._source = Path(folder), Path(source)
        self._uncertain_below = uncertain_below
        self._first: tuple[NDArray[np.uint8], float] | None = None
        self._writer: VideoWriter | None = None

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Take in the next frame.

        Raises:
            OutputError: The system refuses the write.
        """
        picture = draw_frame_result(frame.image_rgb, result, uncertain_below=self._uncertain_below)
        if self._first is None:
            self._first = (picture, frame.timestamp_seconds)
            return
        first, first_seconds = self._first
        height, width = first.shape[:2]
        if self._writer is None:
            self._writer = VideoWriter(
                self._folder / ANNOTATED_VIDEO_FILE,
                width=width,
                height=height,
                audio_source=self._source,
            )
            self._writer.__enter__()
            self._writer.write(first, first_seconds)
        if picture.shape != first.shape:
            picture = cv2.resize(picture, (width, height)).astype(np.uint8, copy=False)
        self._writer.write(picture, frame.timestamp_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.__exit__(kind, error, traceback)
        elif self._first is not None and kind is None:
            with atomic_path(self._folder / ANNOTATED_IMAGE_FILE) as partial:
                done, data = cv2.imencode(".png", self._first[0][..., ::-1])
                if not done:
                    raise OSError("the picture could not be encoded")
                partial.write_bytes(data.tobytes())
