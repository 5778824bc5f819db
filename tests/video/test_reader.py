from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from emotrace.errors import UsageError
from emotrace.video.reader import VideoReader
from tests.video.recordings import Recording, number_level, numbered_picture, steady

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.timeline import Frame, InputFacts

CLIPS = {
    # Frames, from the clips' own description; container times are checked against PyAV's.
    "crying_then_laughing.mp4": 472,
    "single_face.mp4": 72,
    "face_noface.mov": 169,
    "noface_face.mov": 169,
    "no_face.mp4": 95,
    "head_pose_face_detection_female.gif": 23,
    "head_pose_face_detection_female_and_male.gif": 56,
    "face_demographics_walking.gif": 35,
    "classroom.gif": 45,
    "crowd_1080p.mp4": 105,
    "generated_angry.mp4": 150,
    "generated_disgust.mp4": 150,
    "generated_fear.mp4": 150,
    "generated_happy.mp4": 150,
    "generated_neutral.mp4": 150,
    "generated_sadness.mp4": 150,
    "generated_surprise.mp4": 150,
}


def read(path: Path, *, decode_threads: int = 0) -> tuple[list[Frame], InputFacts]:
    with VideoReader(path, decode_threads=decode_threads) as reader:
        frames = list(reader)
        return frames, reader.facts()


def level(frame: Frame) -> int:
    height, width = frame.image_rgb.shape[:2]
    return int(np.median(frame.image_rgb[height // 2 :, width // 2 :]))


def assert_numbered(frames: list[Frame]) -> None:
    """Every picture is the one that was recorded at its index."""
    assert [frame.index for frame in frames] == list(range(len(frames)))
    for frame in frames:
        assert abs(level(frame) - number_level(frame.index)) <= 6


@pytest.mark.shared
@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_have_their_frames_at_their_times(clips_folder: Path, name: str) -> None:
    path = clips_folder / name
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = stream.time_base
        assert base is not None
        expected = [float(f.pts * base) for f in container.decode(stream) if f.pts is not None]
    with VideoReader(path) as reader:
        times = [frame.timestamp_seconds for frame in reader]
        facts = reader.facts()
    assert len(times) == facts.frame_count == CLIPS[name]
    assert np.abs(np.array(times) - expected).max() < 1e-3
    assert facts.has_variable_frame_rate == name.endswith(".mov")
    assert not facts.is_still_image


@pytest.mark.shared
def test_a_header_that_lies_is_told(clips_folder: Path) -> None:
    with VideoReader(clips_folder / "no_face.mp4") as reader:
        assert reader.expected_frame_count == 98
        count = sum(1 for _ in reader)
        facts = reader.facts()
    assert (count, reader.frame_count, facts.header_frame_count) == (95, 95, 98)
    assert any("98 frames; 95 were decoded" in note for note in facts.notes)
    assert facts.has_audio


@pytest.mark.parametrize("threads", [1, 3])
def test_frames_do_not_depend_on_the_number_of_threads(tmp_path: Path, threads: int) -> None:
    path = Recording(times=steady(40)).write(tmp_path / "clip.mp4")
    one, _ = read(path, decode_threads=threads)
    other, _ = read(path, decode_threads=2)
    assert len(one) == len(other) == 40
    for left, right in zip(one, other, strict=True):
        assert left.timestamp_seconds == right.timestamp_seconds
        assert np.array_equal(left.image_rgb, right.image_rgb)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "ts"])
@pytest.mark.parametrize("b_frames", [0, 3])
def test_every_frame_once_in_order(tmp_path: Path, ending: str, b_frames: int) -> None:
    recording = Recording(times=steady(33), b_frames=b_frames)
    frames, facts = read(recording.write(tmp_path / f"clip.{ending}"))
    assert len(frames) == 33
    assert_numbered(frames)
    steps = np.diff([frame.timestamp_seconds for frame in frames])
    assert np.abs(steps - 0.04).max() <= 0.001
    assert facts.duration_seconds == pytest.approx(33 / 25, abs=0.002)
    assert facts.mean_frames_per_second == pytest.approx(25, rel=0.01)
    assert not facts.has_variable_frame_rate
    assert facts.notes == ()


def test_variable_frame_rate_and_late_start_are_kept(tmp_path: Path) -> None:
    times = [1.5, 1.52, 1.58, 1.59, 1.75, 1.76, 1.9]
    frames, facts = read(Recording(times=times, tone_from=0.0).write(tmp_path / "clip.mp4"))
    assert [frame.timestamp_seconds for frame in frames] == pytest.approx(times, abs=1e-3)
    assert facts.has_variable_frame_rate
    assert facts.has_audio
    assert facts.duration_seconds >= 0.4
    assert_numbered(frames)


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("mirrored", [False, True])
def test_display_matrix(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    def turn(stream: av.VideoStream) -> None:
        stream.set_display_rotation(degrees, hflip=mirrored)

    path = Recording(times=steady(3), set_up=turn).write(tmp_path / "clip.mp4")
    frames, facts = read(path)
    # PyAV's documentation: turned counter-clockwise by `degrees`, mirrored after it.
    expected = np.rot90(numbered_picture(0), degrees // 90)
    expected = expected[:, ::-1] if mirrored else expected
    image = frames[0].image_rgb
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 6
    assert (facts.width, facts.height) == (expected.shape[1], expected.shape[0])
    assert any("mirrored" in note for note in facts.notes) == mirrored
    if not mirrored:
        assert facts.rotation_degrees == -degrees % 360


def test_stream_without_times_gets_its_nominal_rate(tmp_path: Path) -> None:
    frames, facts = read(Recording(times=steady(20)).write(tmp_path / "clip.h264"))
    assert len(frames) == 20
    assert_numbered(frames)
    times = np.array([frame.timestamp_seconds for frame in frames])
    assert np.allclose(times, np.arange(20) / 25)
    assert any("20 frame(s) state no presentation time" in note for note in facts.notes)


def test_animated_gif(tmp_path: Path) -> None:
    pictures = [Image.fromarray(numbered_picture(index)) for index in range(4)]
    path = tmp_path / "clip.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 300, 50, 200])
    frames, facts = read(path)
    assert [frame.timestamp_seconds for frame in frames] == pytest.approx([0.0, 0.1, 0.4, 0.45])
    assert_numbered(frames)
    assert facts.duration_seconds == pytest.approx(0.65)
    assert facts.has_variable_frame_rate
    assert not facts.is_still_image


def test_a_length_is_written_without_the_noise_of_a_sum(tmp_path: Path) -> None:
    pictures = [Image.fromarray(numbered_picture(index)) for index in range(8)]
    path = tmp_path / "clip.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
    assert read(path)[1].duration_seconds == 0.8  # 0.7 + 0.1 is 0.7999999999999999


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tiff", "gif"])
def test_still_images_are_videos_of_one_frame(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(numbered_picture(0)).save(path)
    with VideoReader(path) as reader:
        assert reader.expected_frame_count == 1
        (frame,) = reader
        facts = reader.facts()
    assert (frame.index, frame.timestamp_seconds) == (0, 0.0)
    assert np.abs(frame.image_rgb.astype(int) - numbered_picture(0)).mean() < 3
    assert facts.is_still_image
    assert (facts.duration_seconds, facts.mean_frames_per_second) == (0.0, None)


def damage(path: Path, *, at: float, size: int) -> None:
    data = bytearray(path.read_bytes())
    start = int(len(data) * at)
    data[start : start + size] = np.random.default_rng(0).bytes(size)
    path.write_bytes(data)


def noise(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (64, 96, 3), dtype=np.uint8)


def test_damage_in_the_middle_is_passed_and_told(tmp_path: Path) -> None:
    recording = Recording(times=steady(60), codec="mjpeg", pixel_format="yuvj420p", picture=noise)
    path = recording.write(tmp_path / "clip.mkv")
    whole, _ = read(path)
    damage(path, at=0.5, size=4000)
    frames, facts = read(path)
    assert len(whole) == 60
    assert 50 <= len(frames) < 60
    assert any("there is no frame between" in note for note in facts.notes)
    # What comes after the damage is as before.
    assert frames[-1].timestamp_seconds == whole[-1].timestamp_seconds
    assert np.array_equal(frames[-1].image_rgb, whole[-1].image_rgb)


def test_frames_from_damaged_data_are_counted(tmp_path: Path) -> None:
    path = Recording(times=steady(60), picture=noise).write(tmp_path / "clip.mp4")
    damage(path, at=0.5, size=300)
    frames, facts = read(path, decode_threads=1)
    assert len(frames) >= 55
    (note,) = (note for note in facts.notes if "damaged data" in note)
    count = int(note.split()[0])
    # Several threads may miss some and mend the rest in another way.
    threaded, facts = read(path, decode_threads=2)
    assert len(threaded) == len(frames)
    for one, other in zip(frames[:20], threaded[:20], strict=True):
        assert np.array_equal(one.image_rgb, other.image_rgb)
    for note in (note for note in facts.notes if "damaged data" in note):
        assert note.startswith("at least ")
        assert 1 <= int(note.split()[2]) <= count


@pytest.mark.parametrize("ending", ["mkv", "mp4", "avi"])
def test_a_cut_file_is_read_as_far_as_it_goes(tmp_path: Path, ending: str) -> None:
    recording = Recording(
        times=steady(60),
        picture=noise,
        codec="mpeg4" if ending == "avi" else "libx264",
        container_options={"movflags": "+faststart"} if ending == "mp4" else None,
    )
    path = recording.write(tmp_path / f"clip.{ending}")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    frames, facts = read(path)
    assert 25 <= len(frames) <= 40
    assert any("the end of the file is damaged or missing" in note for note in facts.notes)
    assert facts.is_end_missing
    assert facts.header_duration_seconds == pytest.approx(2.4, abs=0.1)


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_gif_that_is_cut_off_is_told_from_a_whole_one(tmp_path: Path, *, is_cut: bool) -> None:
    pictures = [Image.fromarray(noise(index)) for index in range(10)]
    path = tmp_path / "clip.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
    data = path.read_bytes()
    # Bytes of a trailer's value are found in pictures too, and after the trailer of some files.
    path.write_bytes(data[: data.index(b";", len(data) // 2) + 1] if is_cut else data + b"\0more")
    frames, facts = read(path)
    assert (len(frames) < 10) is is_cut
    assert facts.is_end_missing is is_cut
    assert any("damaged or missing (a GIF without its trailer)" in n for n in facts.notes) is is_cut


def test_a_long_gap_is_told(tmp_path: Path) -> None:
    times = [*steady(10), *steady(10, start=5.0)]
    _, facts = read(Recording(times=times).write(tmp_path / "clip.mp4"))
    assert "there is no frame between 0.360 s and 5.000 s" in facts.notes


def test_a_changing_size_is_followed_and_told(tmp_path: Path) -> None:
    # Two raw H.264 streams end to end are one stream that changes its size.
    one = Recording(times=steady(10)).write(tmp_path / "one.h264").read_bytes()
    two = Recording(times=steady(10), width=64, height=48).write(tmp_path / "two.h264")
    path = tmp_path / "both.h264"
    path.write_bytes(one + two.read_bytes())
    frames, facts = read(path)
    assert [frame.image_rgb.shape for frame in frames] == [(64, 96, 3)] * 10 + [(48, 64, 3)] * 10
    assert (facts.width, facts.height) == (96, 64)
    assert any("changes to 64 x 48 at 0.400 s" in note for note in facts.notes)


def test_pixels_that_are_not_square_are_told(tmp_path: Path) -> None:
    def stretch(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    path = Recording(times=steady(3), set_up=stretch).write(tmp_path / "clip.mkv")
    frames, facts = read(path)
    assert frames[0].image_rgb.shape == (64, 96, 3)
    assert any("not square (4:3)" in note for note in facts.notes)


def test_facts_grow_while_reading(tmp_path: Path) -> None:
    path = Recording(times=steady(10)).write(tmp_path / "clip.mp4")
    with VideoReader(path) as reader:
        before = reader.facts()
        assert (before.frame_count, before.width, before.height) == (0, 96, 64)
        frames = iter(reader)
        for _ in range(5):
            next(frames)
        half = reader.facts()
    assert half.frame_count == 5
    assert half.duration_seconds == pytest.approx(0.2)
    # What the header promised is only a lie once all has been read.
    assert half.notes == ()


def test_a_reader_is_gone_through_once(tmp_path: Path) -> None:
    path = Recording(times=steady(3)).write(tmp_path / "clip.mp4")
    with VideoReader(path) as reader:
        list(reader)
        with pytest.raises(UsageError, match="once"):
            iter(reader)
    with pytest.raises(UsageError, match="closed"):
        iter(_closed_reader(path))


def _closed_reader(path: Path) -> VideoReader:
    reader = VideoReader(path)
    reader.close()
    reader.close()
    return reader


def test_closing_ends_a_loop_that_is_under_way(tmp_path: Path) -> None:
    path = Recording(times=steady(30)).write(tmp_path / "clip.mp4")
    reader = VideoReader(path, decode_threads=1)
    seen = 0
    for _ in reader:
        seen += 1
        reader.close()
    assert seen < 30
    assert reader.facts().frame_count == seen


def test_negative_threads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="decode_threads"):
        VideoReader(tmp_path / "any.mp4", decode_threads=-1)


def test_damaged_files_print_nothing(tmp_path: Path) -> None:
    path = Recording(times=steady(60), picture=noise).write(tmp_path / "clip.mp4")
    damage(path, at=0.5, size=300)
    script = (
        "import sys; from emotrace.video import VideoReader\n"
        "with VideoReader(sys.argv[1]) as reader: sys.exit(sum(1 for _ in reader) < 50)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
