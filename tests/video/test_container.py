from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from emotrace.errors import InputError, VideoError
from emotrace.video.reader import VideoReader
from tests.video.recordings import Recording, numbered_picture, steady


def refusal(path: Path) -> InputError:
    """The error that reading `path` ends in; its message is one line that names the file."""
    with pytest.raises(InputError) as caught, VideoReader(path) as reader:
        list(reader)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return caught.value


def test_missing_file(tmp_path: Path) -> None:
    assert "does not exist" in str(refusal(tmp_path / "nowhere.mp4"))


def test_folder(tmp_path: Path) -> None:
    assert "folder" in str(refusal(tmp_path))


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    error = refusal(path)
    assert isinstance(error, VideoError)
    assert "0 bytes" in str(error)


def test_pipe_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    assert "no plain file" in str(refusal(path))


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.mp4"
    path.write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # Tests may run as root, whom no permission stops.
    monkeypatch.setattr(Path, "open", refuse)
    error = refusal(path)
    assert not isinstance(error, VideoError)
    assert "Permission denied" in str(error)


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt"])
def test_text_is_no_video(tmp_path: Path, name: str) -> None:
    # FFmpeg draws .txt files as terminal pictures if it is let.
    path = tmp_path / name
    path.write_text("dear diary, today nothing happened\n" * 50)
    assert isinstance(refusal(path), VideoError)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nsecret.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.ts\n",
    ],
)
def test_a_list_of_other_files_is_not_followed(tmp_path: Path, text: str) -> None:
    Recording(times=steady(5)).write(tmp_path / "secret.ts")
    path = tmp_path / "upload.mp4"
    path.write_text(text)
    assert isinstance(refusal(path), VideoError)


def write_audio(path: Path, *, cover: bool = False) -> Path:
    with av.open(str(path), "w") as container:
        codec = "libmp3lame" if path.suffix == ".mp3" else "aac"
        stream = container.add_stream(codec, rate=48_000)
        assert isinstance(stream, av.AudioStream)
        picture = None
        if cover:
            picture = container.add_stream("png", rate=1)
            assert isinstance(picture, av.VideoStream)
            picture.width, picture.height, picture.pix_fmt = 96, 64, "rgb24"
            picture.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 48_000), np.float32), "fltp", "stereo")
        frame.sample_rate = 48_000
        if picture is not None:
            still = av.VideoFrame.from_ndarray(numbered_picture(0), format="rgb24")
            container.mux(picture.encode(still))
            container.mux(picture.encode(None))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    assert "only audio" in str(refusal(write_audio(tmp_path / "song.m4a")))


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    error = refusal(write_audio(tmp_path / "song.mp3", cover=True))
    assert "cover art" in str(error)


def test_mp4_without_its_index(tmp_path: Path) -> None:
    whole = Recording(times=steady(30)).write(tmp_path / "whole.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) * 6 // 10])
    assert "moov" in str(refusal(path))


def test_no_frame_decodes(tmp_path: Path) -> None:
    first = Image.fromarray(numbered_picture(0))
    path = tmp_path / "animated.webp"
    first.save(path, save_all=True, append_images=[Image.fromarray(numbered_picture(3))])
    error = refusal(path)
    assert isinstance(error, VideoError)
    assert "no frame decodes" in str(error)


@pytest.mark.parametrize(
    "name", ["a%03d.png", "b*[1]?.png", "c{1,2}.png", "12:30.png", "data:x.png"]
)
def test_odd_names_are_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(numbered_picture(0)).save(path)
    Image.fromarray(numbered_picture(1)).save(tmp_path / "a001.png")
    with VideoReader(path) as reader:
        frames = list(reader)
        assert reader.facts().is_still_image
    assert np.array_equal(frames[0].image_rgb, numbered_picture(0))
    assert len(frames) == 1


def write_two_streams(path: Path, *, second_is_default: bool) -> Path:
    with av.open(str(path), "w") as container:
        streams = []
        for width, height in ((64, 48), (128, 96)):
            stream = container.add_stream("libx264", rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append(stream)
        small, large = streams
        default = av.stream.Disposition.default
        none = av.stream.Disposition(0)
        small.disposition = none if second_is_default else default
        large.disposition = default if second_is_default else none
        for stream in streams:
            for index in range(5):
                picture = numbered_picture(index, stream.width, stream.height)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("second_is_default", "width"), [(True, 128), (False, 64)])
def test_the_default_of_several_streams_is_read(
    tmp_path: Path, second_is_default: bool, width: int
) -> None:
    path = write_two_streams(tmp_path / "two.mkv", second_is_default=second_is_default)
    with VideoReader(path) as reader:
        frames = list(reader)
        facts = reader.facts()
    assert len(frames) == 5
    assert facts.width == width
    assert any("2 video streams" in note for note in facts.notes)
