from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from emotrace.errors import OutputError, UsageError
from emotrace.synth.action_units import ACTION_UNITS
from emotrace.synth.clips import ClipSettings, SceneSettings, make_clip, make_scene
from emotrace.synth.truth import SynthFrame
from emotrace.synth.write import TRUTH_SCHEMA, truth_rows, write_frames, write_video
from emotrace.video import VideoReader

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.synth.truth import SynthClip


@pytest.fixture(scope="module")
def clip() -> SynthClip:
    return make_scene(
        SceneSettings(
            clip_id="two",
            subjects=(4, 12),
            emotions=("happiness", "fear"),
            frame_count=9,
            frame_rate=30000 / 1001,
            width=160,
            height=96,
            cuts=1,
        )
    )


def test_a_video_holds_every_frame_at_its_time(clip: SynthClip, tmp_path: Path) -> None:
    seen: list[int] = []
    table_path = write_video(clip, tmp_path / "new" / "two.mp4", observe=seen.append)
    assert table_path.name == "two.truth.parquet"
    assert seen == list(range(1, 10))
    frames = list(clip.frames())
    with VideoReader(tmp_path / "new" / "two.mp4") as reader:
        read = list(reader)
    assert len(read) == len(frames)
    for written, back in zip(frames, read, strict=True):
        assert back.timestamp_seconds == pytest.approx(written.timestamp_seconds, abs=1e-5)
        error = np.abs(back.image_rgb.astype(int) - written.image_rgb).mean()
        assert error < 6


def test_the_truth_table_says_what_the_frames_say(clip: SynthClip, tmp_path: Path) -> None:
    table = pq.read_table(write_video(clip, tmp_path / "two.mp4"))
    assert table.schema.equals(TRUTH_SCHEMA)
    rows = table.to_pylist()
    faces = [(frame, face) for frame in clip.frames() for face in frame.faces]
    assert len(rows) == len(faces)
    for row, (frame, face) in zip(rows, faces, strict=True):
        assert (row["frame"], row["face_id"], row["subject"]) == (
            frame.index,
            face.face_id,
            face.subject,
        )
        assert row["is_cut"] == frame.is_cut
        assert [row[name] for name in "xywh"] == pytest.approx(face.box_xywh_px, abs=1e-3)
        assert row["visible_share"] == pytest.approx(face.visible_share, abs=1e-6)
        assert row["emotion"] == face.emotion
        for number in ACTION_UNITS:
            assert row[f"au{number:02d}"] == pytest.approx(face.action_units[number], abs=1e-6)


def test_frames_are_written_without_loss(tmp_path: Path) -> None:
    clip = make_clip(ClipSettings(clip_id="a", subject=3, frame_count=4, width=64, height=48))
    table_path = write_frames(clip, tmp_path / "a", truth="csv")
    assert table_path == tmp_path / "a" / "truth.csv"
    pictures = sorted((tmp_path / "a").glob("*.png"))
    assert [path.name for path in pictures] == [f"{index:06d}.png" for index in range(4)]
    for path, frame in zip(pictures, clip.frames(), strict=True):
        read = np.asarray(cv2.imread(str(path)))
        np.testing.assert_array_equal(read[..., ::-1], frame.image_rgb)
    table = pd.read_csv(table_path)
    assert list(table.columns) == TRUTH_SCHEMA.names
    assert table["timestamp"].tolist() == [0.0, 0.04, 0.08, 0.12]


def test_a_frame_without_a_face_keeps_its_row() -> None:
    frame = SynthFrame(index=3, timestamp_seconds=0.1, image_rgb=np.zeros((2, 2, 3), np.uint8))
    assert truth_rows(frame) == [{"frame": 3, "timestamp": 0.1, "is_cut": False}]


def test_nothing_is_left_of_a_video_that_failed(clip: SynthClip, tmp_path: Path) -> None:
    def broken() -> object:
        yield next(clip.frames())
        raise OutputError("the disk is full")

    bad = replace(clip, render=broken)  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="the disk is full"):
        write_video(bad, tmp_path / "bad.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_video_must_be_an_mp4(clip: SynthClip, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"to end in \.mp4; got 'two.avi'"):
        write_video(clip, tmp_path / "two.avi")
