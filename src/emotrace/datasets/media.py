"""From a record to its pictures, decoded one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from emotrace.datasets.records import ImageRef
from emotrace.errors import DatasetError, InputError
from emotrace.timeline import Frame
from emotrace.video import VideoReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from emotrace.datasets.records import ClipRecord


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Decode a picture file: `(height, width, 3)`, uint8, RGB.

    Raises:
        DatasetError: It cannot be read or does not decode; the message names it.
    """
    try:
        blob = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DatasetError(f"expected to read {path}; got: {error.strerror or error}") from error
    image = cv2.imdecode(blob, cv2.IMREAD_COLOR_RGB) if len(blob) else None
    if image is None:
        raise DatasetError(
            f"expected a picture in {path}; got {len(blob)} bytes that are none; "
            "restore the file from the data set's archive"
        )
    return np.asarray(image, np.uint8)


def iterate_frames(record: ClipRecord) -> Iterator[Frame]:
    """Decode a record's pictures one by one, each with its frame number in the clip.

    Times are those of the container for a video, `frame number / frame_rate` for pictures, and the
    frame number itself where the data set states no rate.

    Raises:
        DatasetError: A picture or the video does not decode; the message names it.
    """
    media = record.media
    if isinstance(media, Path):
        try:
            with VideoReader(media) as reader:
                yield from reader
        except InputError as error:
            raise DatasetError(f"{error} (clip {record.clip_id} of {record.dataset})") from error
        return
    rate = record.frame_rate or 1.0
    for place, number in enumerate(record.picture_frame_index().tolist()):
        if isinstance(media, ImageRef):
            image = np.repeat(media.read()[:, :, None], 3, axis=2)
        else:
            image = read_picture(media[place])
        yield Frame(index=number, timestamp_seconds=number / rate, image_rgb=image)
