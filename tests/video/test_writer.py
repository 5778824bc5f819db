from __future__ import annotations

import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.errors import InputError, OutputError, UsageError
from emotrace.video import writer as writer_module
from emotrace.video.reader import VideoReader
from emotrace.video.writer import VideoWriter
from tests.video.recordings import Recording, heard_from, number_level, numbered_picture, steady

if TYPE_CHECKING:
    from pathlib import Path


def write_numbered(target: Path, times: list[float], **options: object) -> VideoWriter:
    with VideoWriter(target, width=96, height=64, **options) as writer:  # type: ignore[arg-type]
        for index, time in enumerate(times):
            writer.write(numbered_picture(index), time)
    return writer


def read_back(path: Path) -> tuple[list[float], list[int]]:
    with VideoReader(path) as reader:
        pairs = [
            (frame.timestamp_seconds, int(np.median(frame.image_rgb[32:, 48:]))) for frame in reader
        ]
        assert reader.facts().notes == ()
    return [time for time, _ in pairs], [level for _, level in pairs]


@settings(max_examples=15, deadline=None)
@given(
    start=st.floats(0, 500),
    steps=st.lists(st.floats(0.004, 1.5), min_size=0, max_size=30),
)
def test_times_and_frames_come_back(
    tmp_path_factory: pytest.TempPathFactory, start: float, steps: list[float]
) -> None:
    times = np.cumsum([start, *steps]).tolist()
    target = tmp_path_factory.mktemp("writer") / "out.mp4"
    write_numbered(target, times)
    got, levels = read_back(target)
    assert len(got) == len(times)
    # Half a tick of 1/120000 s.
    assert np.abs(np.array(got) - times).max() < 5e-6
    assert all(abs(level - number_level(i)) <= 6 for i, level in enumerate(levels))


@pytest.mark.parametrize("rate", [24000 / 1001, 25, 30000 / 1001, 60])
def test_usual_rates_are_exact(tmp_path: Path, rate: float) -> None:
    times = steady(50, rate)
    write_numbered(tmp_path / "out.mp4", times)
    got, _ = read_back(tmp_path / "out.mp4")
    assert np.abs(np.array(got) - times).max() < 1e-9


def test_the_last_frame_lasts_as_long_as_the_one_before(tmp_path: Path) -> None:
    write_numbered(tmp_path / "out.mp4", [0.0, 0.1, 0.3, 0.5])
    with VideoReader(tmp_path / "out.mp4") as reader:
        list(reader)
        assert reader.facts().duration_seconds == pytest.approx(0.7, abs=0.001)


@pytest.mark.parametrize("size", [(96, 64), (95, 64), (96, 63), (33, 31), (1, 1)])
def test_odd_sizes_gain_a_pixel(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    picture = np.full((height, width, 3), (200, 60, 90), np.uint8)
    with VideoWriter(tmp_path / "out.mp4", width=width, height=height) as writer:
        for index in range(3):
            writer.write(picture, index / 25)
    with VideoReader(tmp_path / "out.mp4") as reader:
        image = next(iter(reader)).image_rgb
    assert image.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(image.astype(int) - (200, 60, 90)).max() <= 6


def test_colours_come_back(tmp_path: Path) -> None:
    colors = [(255, 255, 255), (0, 0, 0), (224, 172, 105), (20, 200, 90), (10, 20, 240)]
    with VideoWriter(tmp_path / "out.mp4", width=64, height=64) as writer:
        for index, color in enumerate(colors):
            writer.write(np.full((64, 64, 3), color, np.uint8), index / 25)
    with VideoReader(tmp_path / "out.mp4") as reader:
        for frame, color in zip(reader, colors, strict=True):
            assert np.abs(frame.image_rgb.astype(int) - color).max() <= 6


def test_a_picture_of_another_size_is_fitted_and_told(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", width=96, height=64) as writer:
        writer.write(numbered_picture(0), 0.0)
        writer.write(np.full((64, 32, 3), 200, np.uint8), 0.04)
        writer.write(np.full((128, 64, 3), 200, np.uint8), 0.08)
    assert len(writer.notes) == 1
    with VideoReader(tmp_path / "out.mp4") as reader:
        _, tall, scaled = list(reader)
    for frame in (tall, scaled):
        assert frame.image_rgb.shape == (64, 96, 3)
        assert abs(int(frame.image_rgb[32, 48, 0]) - 200) <= 6
        assert frame.image_rgb[32, [5, 90]].max() <= 10


def top_level_boxes(path: Path) -> list[str]:
    data, position, names = path.read_bytes(), 0, []
    while position < len(data):
        size, name = struct.unpack(">I4s", data[position : position + 8])
        names.append(name.decode())
        position += size
    return names


def test_browsers_can_play_it(tmp_path: Path) -> None:
    source = Recording(times=steady(10), tone_from=0.0).write(tmp_path / "source.mp4")
    write_numbered(tmp_path / "out.mp4", steady(10), audio_source=source)
    boxes = top_level_boxes(tmp_path / "out.mp4")
    assert boxes.index("moov") < boxes.index("mdat")
    with av.open(str(tmp_path / "out.mp4")) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.pix_fmt) == ("h264", "yuv420p")
        assert container.streams.audio[0].codec_context.name == "aac"


SOUNDS = [("mp4", "aac"), ("mp4", "libmp3lame"), ("mkv", "libopus"), ("mkv", "pcm_s16le")]
SOUNDS += [("mkv", "flac"), ("mp4", "ac3"), ("mp4", "alac"), ("ts", "aac"), ("avi", "pcm_s16le")]


@pytest.mark.parametrize(("ending", "codec"), SOUNDS)
def test_sound_stays_in_step(tmp_path: Path, ending: str, codec: str) -> None:
    source = Recording(
        times=steady(50),
        tone_from=0.0,
        tone_until=2.0,
        audio_codec=codec,
        codec="mpeg4" if ending == "avi" else "libx264",
    ).write(tmp_path / f"source.{ending}")
    target = tmp_path / "out.mp4"
    with VideoReader(source) as reader:
        facts_before, first = None, None
        with VideoWriter(target, width=96, height=64, audio_source=source) as writer:
            for frame in reader:
                first = frame.timestamp_seconds if first is None else first
                writer.write(frame.image_rgb, frame.timestamp_seconds)
        facts_before = reader.facts()
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == (
            "aac" if "pcm" in codec else codec.removeprefix("lib").replace("mp3lame", "mp3")
        )
    assert bool(writer.notes) == ("pcm" in codec)
    assert facts_before.has_audio
    # The tone begins where it did, measured by the file's own clock: codecs smear by a few ms.
    assert heard_from(target) == pytest.approx(heard_from(source), abs=0.008)


@pytest.mark.parametrize("origin", [0.0, 1.0, 1.25])
@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_pictures_and_sound_move_together(tmp_path: Path, origin: float, codec: str) -> None:
    # Sound from 0.25 s on with its first tone at 0.5 s and the next at 1.5 s; pictures from 1.25 s.
    times = steady(40, start=1.25)
    source = Recording(times=times, tone_from=0.25, tone_until=3.0, audio_codec=codec).write(
        tmp_path / "source.mkv"
    )
    target = tmp_path / "out.mp4"
    write_numbered(target, times, audio_source=source, time_origin_seconds=origin)
    got, _ = read_back(target)
    assert np.abs(np.array(got) - (np.array(times) - origin)).max() < 5e-6
    first_tone = 0.5 if origin < 0.5 else 1.5
    assert heard_from(target) == pytest.approx(first_tone - origin, abs=0.008)


def test_an_origin_behind_the_first_frame_moves_to_it(tmp_path: Path) -> None:
    write_numbered(tmp_path / "out.mp4", [-0.5, -0.4, 0.1])
    got, _ = read_back(tmp_path / "out.mp4")
    assert got == pytest.approx([0.0, 0.1, 0.6], abs=1e-5)


@pytest.mark.parametrize(("keep", "seconds"), [(True, 3.0), (False, 1.0)])
def test_the_tail_of_the_sound(tmp_path: Path, keep: bool, seconds: float) -> None:
    source = Recording(times=steady(75), tone_from=0.0, tone_until=3.0).write(
        tmp_path / "source.mp4"
    )
    target = tmp_path / "out.mp4"
    write_numbered(target, steady(25), audio_source=source, keep_audio_tail=keep)
    with av.open(str(target)) as container:
        stream = container.streams.audio[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(seconds, abs=0.06)


def test_a_source_without_sound_makes_a_silent_file(tmp_path: Path) -> None:
    source = Recording(times=steady(5)).write(tmp_path / "source.mp4")
    write_numbered(tmp_path / "out.mp4", steady(5), audio_source=source)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["single_face.mp4", "no_face.mp4", "face_noface.mov", "noface_face.mov"]
)
def test_real_clips_keep_times_and_sound(clips_folder: Path, tmp_path: Path, name: str) -> None:
    source, target = clips_folder / name, tmp_path / "out.mp4"
    times = []
    with VideoReader(source) as reader:
        frames = iter(reader)
        first = next(frames)
        height, width = first.image_rgb.shape[:2]
        with VideoWriter(target, width=width, height=height, audio_source=source) as writer:
            for frame in [first, *frames]:
                writer.write(frame.image_rgb, frame.timestamp_seconds)
                times.append(frame.timestamp_seconds)
    got, _ = read_back(target)
    assert np.abs(np.array(got) - times).max() < 5e-6
    assert sound_on_a_clock(target, 2.6, 3.6) == pytest.approx(sound_on_a_clock(source, 2.6, 3.6))


def sound_on_a_clock(path: Path, start: float, end: float) -> np.ndarray:
    """The samples between two times of the file's own clock, first channel."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        samples = np.zeros(round(end * stream.sample_rate) + 1)
        for frame in container.decode(stream):
            assert frame.pts is not None
            assert frame.time_base is not None
            at = round(float(frame.pts * frame.time_base) * stream.sample_rate)
            piece = frame.to_ndarray()[0][
                :: 1 if frame.format.is_planar else frame.layout.nb_channels
            ]
            room = samples[max(0, at) : at + len(piece)]
            room[:] = piece[: len(room)]
        return samples[round(start * stream.sample_rate) :]


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_there_until_all_is(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with VideoWriter(target, width=96, height=64) as writer:
        writer.write(numbered_picture(0), 0.0)
        assert not target.exists()
    assert leftovers(tmp_path) == ["out.mp4"]


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with VideoWriter(tmp_path / "out.mp4", width=96, height=64) as writer:
            writer.write(numbered_picture(0), 0.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert leftovers(tmp_path) == []


def test_an_older_file_survives_a_failed_run(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"older")
    with pytest.raises(UsageError, match=r"times that go up; got 0\.5"):
        write_numbered(target, [1.0, 0.5])
    assert target.read_bytes() == b"older"
    assert leftovers(tmp_path) == ["out.mp4"]


def test_no_frame_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="at least one frame"):
        write_numbered(tmp_path / "out.mp4", [])
    assert leftovers(tmp_path) == []


def test_a_missing_folder_is_told_before_the_first_frame(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        VideoWriter(tmp_path / "nowhere" / "out.mp4", width=96, height=64)


def test_a_missing_sound_source_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        write_numbered(tmp_path / "out.mp4", [0.0], audio_source=tmp_path / "nowhere.mp4")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "picture", [np.zeros((64, 96), np.uint8), np.zeros((64, 96, 3), np.float32)]
)
def test_what_is_no_rgb_picture_is_refused(tmp_path: Path, picture: np.ndarray) -> None:
    with (
        pytest.raises(UsageError, match="uint8"),
        VideoWriter(tmp_path / "out.mp4", width=96, height=64) as writer,
    ):
        writer.write(picture, 0.0)


def test_a_closed_writer_takes_no_more(tmp_path: Path) -> None:
    writer = write_numbered(tmp_path / "out.mp4", [0.0])
    writer.close()
    with pytest.raises(UsageError, match="closed"):
        writer.write(numbered_picture(1), 1.0)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from emotrace.errors import OutputError
from emotrace.video import VideoWriter
limit, target = int(sys.argv[1]), Path(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
rng = np.random.default_rng(0)
try:
    with VideoWriter(target, width=96, height=64) as writer:
        for index in range(30):
            writer.write(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8), index / 25)
except OutputError as error:
    sys.exit(f"told: {error}")
"""


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.9, 0.995, 0.9999])
def test_a_full_disk_is_told_wherever_it_strikes(tmp_path: Path, share: float) -> None:
    def run(limit: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", FULL_DISK, str(limit), str(tmp_path / "out.mp4")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run(1 << 30).returncode == 0
    size = (tmp_path / "out.mp4").stat().st_size
    (tmp_path / "out.mp4").unlink()
    result = run(int(size * share))
    assert result.returncode == 1
    assert "told: expected to write" in result.stderr
    assert leftovers(tmp_path) == []


def test_without_h264_there_is_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_best_codec", lambda: "mpeg4")
    times = [0.0, 0.04, 0.1, 0.11]
    writer = write_numbered(tmp_path / "out.mp4", times)
    assert any("MPEG-4 part 2" in note for note in writer.notes)
    got, _ = read_back(tmp_path / "out.mp4")
    assert got == pytest.approx(times, abs=1e-5)
