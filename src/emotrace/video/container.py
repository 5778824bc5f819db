"""Opening a media file and choosing its pictures, with errors that say what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import av
from av.stream import Disposition

from emotrace.errors import InputError, VideoError

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import InputContainer
    from av.video.stream import VideoStream

_FOREIGN_FORMATS: Final = frozenset(
    {"adf", "bin", "concat", "dash", "hls", "idf", "rtsp", "sdp", "tty", "xbin"}
)
"""FFmpeg formats that are not a recording: text drawn as pictures, and lists of other files.

A list is refused because a file that somebody hands over (an upload, for one) must not make this
machine open others that it names.
"""

_OPEN_OPTIONS: Final = {
    # `photo%03d.png` or `a*.jpg` is one file's name here, not a pattern over many.
    "pattern_type": "none",
    # Nothing that a file names may be fetched from elsewhere.
    "protocol_whitelist": "file",
}

_NOT_PICTURES: Final = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
)
"""Cover art, thumbnails, and the tiles of a HEIC photograph."""


def open_input(path: Path) -> InputContainer:
    """Open a media file for reading.

    Raises:
        InputError: `path` is not a file, or may not be read.
        VideoError: The file is empty or not in a format that FFmpeg knows.
    """
    _check_readable(path)
    try:
        # "file:" keeps names such as `concat:a|b` or `12:30.mp4` from being taken for an address.
        container = av.open(
            f"file:{path}", mode="r", options=dict(_OPEN_OPTIONS), metadata_errors="replace"
        )
    except av.FFmpegError as error:
        raise VideoError(
            f"expected a video or picture; got {path}, which FFmpeg cannot read "
            f"({_reason(path, error)}); check that it is a recording, or copy or export it again"
        ) from error
    if _FOREIGN_FORMATS.intersection(container.format.name.split(",")):
        name = container.format.name
        container.close()
        raise VideoError(
            f"expected a video or picture; got {path}, which FFmpeg takes for {name!r} "
            "(text or a list of other files); give the recording itself"
        )
    return container


def pick_video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Choose the stream to decode: the default one if marked, then the largest, then the first.

    Raises:
        VideoError: There is no stream of pictures (audio only, cover art only, no decoder).
    """
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & _NOT_PICTURES and _can_decode(stream)
    ]
    if not streams:
        raise VideoError(
            f"expected a file with a video stream; got {path} with {_describe_streams(container)}; "
            "choose a recording with pictures"
        )
    # The rule of FFmpeg's own command line.
    return max(
        streams,
        key=lambda stream: (
            bool(stream.disposition & Disposition.default),
            stream.width * stream.height,
            -stream.index,
        ),
    )


def picture_stream_count(container: InputContainer) -> int:
    """Count the video streams that are not cover art, thumbnails or tiles."""
    return sum(not stream.disposition & _NOT_PICTURES for stream in container.streams.video)


def _can_decode(stream: VideoStream) -> bool:
    # PyAV's type says that there always is a context; without a decoder there is none.
    return getattr(stream, "codec_context", None) is not None


def _check_readable(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(
                f"expected a video or picture file; got the folder {path}; name a file in it"
            )
        if not path.exists():
            raise InputError(
                f"expected a video or picture file; got {path}, which does not exist; "
                "check the path"
            )
        if not path.is_file():
            raise InputError(
                f"expected a video or picture file; got {path}, which is no plain file; "
                "copy it into one"
            )
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        raise InputError(
            f"expected a file that can be read; got {path} ({error.strerror or error}); "
            "check its permissions"
        ) from error
    if is_empty:
        raise VideoError(
            f"expected a video or picture; got {path}, which is empty (0 bytes); "
            "copy or export it again"
        )


def _reason(path: Path, error: av.FFmpegError) -> str:
    with path.open("rb") as file:
        is_mp4 = file.read(12)[4:8] == b"ftyp"
    if is_mp4:
        return "an MP4 or MOV without a usable index (moov): the recording or the copy was cut off"
    return str(error.strerror).lower()


def _describe_streams(container: InputContainer) -> str:
    if not len(container.streams):
        return "no streams at all"
    kinds = []
    for stream in container.streams:
        kind = str(stream.type)
        if stream.type == "video":
            if stream.disposition & Disposition.dependent:
                kind = "HEIC tile (convert the photograph to JPEG first)"
            elif stream.disposition & _NOT_PICTURES:
                kind = "cover art"
            else:
                kind = "video without a decoder"
        if kind not in kinds:
            kinds.append(kind)
    return f"only {', '.join(kinds)}"
