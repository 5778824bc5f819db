"""What the product promises, on real footage (see the clips' own README for the ground truth).

Run where the shared folder is present. YuNet and the packaged bundle, as a user has them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from emotrace import AnalysisSettings, OutputChoice, Timeline, analyze_inputs, analyze_video
from emotrace.faces import make_detector

pytestmark = [pytest.mark.shared, pytest.mark.slow]

ALL_CLIPS = (
    "classroom.gif",
    "crowd_1080p.mp4",
    "crying_then_laughing.mp4",
    "face_demographics_walking.gif",
    "face_noface.mov",
    "generated_angry.mp4",
    "generated_disgust.mp4",
    "generated_fear.mp4",
    "generated_happy.mp4",
    "generated_neutral.mp4",
    "generated_sadness.mp4",
    "generated_surprise.mp4",
    "head_pose_face_detection_female.gif",
    "head_pose_face_detection_female_and_male.gif",
    "no_face.mp4",
    "noface_face.mov",
    "single_face.mp4",
)


class Clips:
    """Analyses each clip once per detector, when first asked for."""

    def __init__(self, clips: Path, models: Path) -> None:
        self.clips, self._models = clips, models
        self.timeline = cache(self._timeline)

    def _timeline(self, name: str, detector: str = "yunet") -> Timeline:
        found = make_detector(detector, folder=self._models)
        return analyze_video(self.clips / name, detector=found)

    def table(self, name: str, detector: str = "yunet") -> pd.DataFrame:
        return self.timeline(name, detector).to_pandas()


@pytest.fixture(scope="module")
def clips(shared_folder: Path) -> Clips:
    return Clips(shared_folder / "clips", shared_folder / "models")


def presentation_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        times = []
        for frame in container.decode(video=0):
            if frame.pts is None or frame.time_base is None:
                raise ValueError(f"{path} has a frame without a time")
            times.append(float(frame.pts * frame.time_base))
        return times


def length_seconds(stream: av.AudioStream) -> float:
    if stream.duration is None or stream.time_base is None:
        raise ValueError("the stream does not say how long it is")
    return float(stream.duration * stream.time_base)


def share_of_frames(table: pd.DataFrame, face_id: int) -> float:
    frames: int = table["frame"].nunique()
    return float(table.loc[table["face_id"] == face_id, "frame"].nunique() / frames)


def main_face(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["face_id"] == table["face_id"].value_counts().idxmax()]


@pytest.mark.parametrize("name", ALL_CLIPS)
def test_rows_cover_the_decoded_frames_at_their_true_times(clips: Clips, name: str) -> None:
    table = clips.table(name)
    times = presentation_times(clips.clips / name)
    by_frame = table.groupby("frame")["timestamp"].agg(["min", "max"])
    assert by_frame.index.tolist() == list(range(len(times)))
    np.testing.assert_allclose(by_frame["min"], times, atol=1e-3)
    np.testing.assert_array_equal(by_frame["min"], by_frame["max"])
    assert not table.duplicated(["frame", "face_id"]).any()


def test_crying_then_laughing(clips: Clips) -> None:
    table = clips.table("crying_then_laughing.mp4")
    assert share_of_frames(table, 1) >= 0.97
    face = table[table["face_id"] == 1]
    late = face[face["timestamp"] > 14]
    early = face[face["timestamp"] < 4]
    assert (late["emotion"] == "happiness").mean() >= 0.90
    assert (early["emotion"] == "happiness").mean() <= 0.05


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [("single_face.mp4", 0, 72), ("face_noface.mov", 0, 72), ("noface_face.mov", 96, 168)],
)
def test_neutral_then_smiling(clips: Clips, name: str, start: int, end: int) -> None:
    table = clips.table(name)
    face = main_face(table)
    assert face["frame"].between(start, end - 1).mean() >= 0.97
    first = face[face["frame"] < start + 10]["emotion"]
    last = face[face["frame"].between(end - 20, end - 3)]["emotion"]
    assert (first == "neutral").mean() >= 0.8
    assert (last == "happiness").mean() >= 0.8


def test_no_face_behind_the_cut(clips: Clips) -> None:
    table = clips.table("face_noface.mov")
    assert table.loc[table["face_id"].notna(), "frame"].max() in range(70, 74)
    assert clips.timeline("face_noface.mov").summary["counts"]["shot_cuts"] == 1


def test_no_face_before_the_cut(clips: Clips) -> None:
    table = clips.table("noface_face.mov")
    with_face = table.loc[table["face_id"].notna(), "frame"]
    assert with_face.min() in range(94, 99)
    assert with_face.max() <= 168


def test_no_face_at_all(clips: Clips) -> None:
    table = clips.table("no_face.mp4")
    assert table["face_id"].isna().all()
    assert len(table) == 95
    assert clips.timeline("no_face.mp4").facts.header_frame_count == 98


def test_two_people_keep_their_ids(clips: Clips) -> None:
    table = clips.table("head_pose_face_detection_female_and_male.gif")
    ids = table["face_id"].dropna().unique().tolist()
    assert sorted(ids) == [1, 2]
    assert all(share_of_frames(table, face_id) >= 0.95 for face_id in ids)
    # They stay on their sides of the picture: a swap would mix the sides.
    centers = (table["x"] + table["w"] / 2).groupby(table["face_id"])
    low, high = sorted([centers.get_group(1), centers.get_group(2)], key=lambda c: c.mean())
    assert low.max() < high.min()


def test_the_classroom_has_four_faces(clips: Clips) -> None:
    table = clips.table("classroom.gif")
    faces = table.groupby("frame")["face_id"].count()
    assert (faces == 4).mean() >= 0.90


@pytest.mark.parametrize(
    "name",
    [
        "crying_then_laughing.mp4",
        "single_face.mp4",
        "generated_angry.mp4",
        "generated_happy.mp4",
        "generated_neutral.mp4",
        "head_pose_face_detection_female.gif",
    ],
)
def test_haar_gives_one_main_id_too(clips: Clips, name: str) -> None:
    table = clips.table(name, "haar")
    counts = table["face_id"].value_counts()
    assert counts.iloc[0] >= 0.7 * table["frame"].nunique()
    assert counts.iloc[1:].sum() <= 0.1 * counts.iloc[0]


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (7, 1), (64, 1), (1, 4), (64, 4)])
def test_batches_and_threads_change_nothing(
    clips: Clips, shared_folder: Path, batch_size: int, threads: int
) -> None:
    name = "head_pose_face_detection_female_and_male.gif"
    got = analyze_video(
        clips.clips / name,
        detector=make_detector("yunet", folder=shared_folder / "models"),
        settings=AnalysisSettings(batch_size=batch_size, threads=threads),
    )
    assert got.table.equals(clips.timeline(name).table)


def test_detecting_every_few_frames_changes_little(clips: Clips, shared_folder: Path) -> None:
    name = "single_face.mp4"
    got = analyze_video(
        clips.clips / name,
        detector=make_detector("yunet", folder=shared_folder / "models"),
        settings=AnalysisSettings(detect_every=4),
    ).to_pandas()
    full = clips.table(name)
    assert share_of_frames(got, 1) == 1
    assert (got["face_source"] == "tracked").mean() > 0.7
    shift = np.hypot(got["x"] - full["x"], got["y"] - full["y"])
    assert float((shift / full["w"]).max()) < 0.15


@pytest.mark.parametrize("name", ["single_face.mp4", "face_noface.mov"])
def test_the_annotated_video_is_the_source_with_drawings(
    clips: Clips, yunet_home: Path, tmp_path: Path, name: str
) -> None:
    report = analyze_inputs(
        [clips.clips / name],
        tmp_path,
        settings=AnalysisSettings(detector="yunet"),
        outputs=OutputChoice(video=True),
    )
    folder = report.done[0].folder
    assert folder is not None
    source = presentation_times(clips.clips / name)
    annotated = presentation_times(folder / "annotated.mp4")
    assert len(annotated) == len(source)
    np.testing.assert_allclose(
        np.array(annotated) - annotated[0], np.array(source) - source[0], atol=1e-3
    )
    with av.open(str(clips.clips / name)) as a, av.open(str(folder / "annotated.mp4")) as b:
        assert len(a.streams.audio) == len(b.streams.audio)
        for ours, theirs in zip(b.streams.audio, a.streams.audio, strict=True):
            assert ours.rate == theirs.rate
            assert abs(length_seconds(ours) - length_seconds(theirs)) < 0.1


def test_labels_of_the_generated_clips_are_ranked(clips: Clips) -> None:
    """All seven right is the next goal; happiness, neutral and surprise must hold already."""
    words = {"happy": "happiness", "neutral": "neutral", "surprise": "surprise"}
    for word, emotion in words.items():
        timeline = clips.timeline(f"generated_{word}.mp4")
        votes = timeline.summary["faces"][0]
        assert votes["vote_by_summed_probabilities"] == emotion
