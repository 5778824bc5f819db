"""Rejection in whole analyses: tables, segments, the live stream, files, and runs that resume."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotrace import (
    AnalysisSettings,
    Bundle,
    OutputChoice,
    Timeline,
    analyze_inputs,
    analyze_video,
    load_bundle,
    stream_video,
)
from emotrace.analysis import batch
from emotrace.bundle import PACKAGED_FOLDER
from emotrace.bundle_spec import SPEC_FILE
from emotrace.faces import DetectorChoice
from tests.analysis.media import write_clip
from tests.analysis.test_pipeline import BoxDetector

BOXES = ((10.0, 10.0, 40.0, 50.0), (80.0, 30.0, 50.0, 60.0))
KEEP = AnalysisSettings(keep_rejected=True, threads=1)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("media") / "clip.mp4", frames=25)


def with_threshold(threshold: float | None) -> Bundle:
    bundle = load_bundle()
    bundle.spec = replace(bundle.spec, face_threshold=threshold)
    return bundle


def mean_log_odds(clip: Path) -> np.ndarray:
    """`(25, 2)`: what the model says of each box in each frame."""
    results = stream_video(
        clip, detector=BoxDetector(*BOXES), bundle=with_threshold(None), settings=KEEP
    )
    said = [[item.prediction.face_probability for item in result.faces] for result in results]
    values = np.array(said, np.float64)
    odds: np.ndarray = np.log(values / (1 - values))
    return odds


@pytest.fixture(scope="module")
def between(clip: Path) -> float:
    """A threshold between what the model says of the two boxes, in the mean."""
    odds = np.sort(mean_log_odds(clip).mean(axis=0)).mean()
    return float(1 / (1 + np.exp(-odds)))


def analyze(clip: Path, threshold: float | None, settings: AnalysisSettings) -> Timeline:
    return analyze_video(
        clip, detector=BoxDetector(*BOXES), bundle=with_threshold(threshold), settings=settings
    )


def test_a_bundle_without_a_threshold_rejects_nothing(clip: Path) -> None:
    timeline = analyze(clip, None, AnalysisSettings(threads=1))
    assert timeline.faces == (1, 2)
    assert timeline.summary["rejected"]["are_dropped"] is False
    assert timeline.summary["rejected"]["detections"] == 0


def test_a_frame_whose_faces_are_all_rejected_is_one_without_a_face(clip: Path) -> None:
    timeline = analyze(clip, 1.0, AnalysisSettings(threads=1))
    table = timeline.to_pandas()
    assert len(table) == 25
    assert table["face_id"].isna().all()
    assert set(table["face_source"]) == {"none"}
    assert timeline.segments() == []
    assert timeline.summary["faces"] == []
    assert timeline.summary["counts"]["frames_with_face"] == 0
    rejected = timeline.summary["rejected"]
    assert (rejected["detections"], rejected["tracks"], rejected["whole_tracks"]) == (50, 2, 2)
    assert any("50 boxes on 2 tracks" in notice for notice in timeline.summary["notices"])


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 1), (7, 1), (64, 1), (1, 3), (64, 3)])
def test_what_is_rejected_does_not_depend_on_batches_or_threads(
    clip: Path, between: float, batch_size: int, threads: int
) -> None:
    expected = analyze(clip, between, AnalysisSettings(threads=2))
    settings = AnalysisSettings(batch_size=batch_size, threads=threads)
    got = analyze(clip, between, settings)
    assert 0 < expected.summary["rejected"]["detections"] < 50
    assert got.table.equals(expected.table)
    assert got.segments() == expected.segments()
    assert got.summary["rejected"] == expected.summary["rejected"]


def test_what_is_left_is_what_was_there_without_rejection(clip: Path, between: float) -> None:
    whole = analyze(clip, between, KEEP).to_pandas()
    left = analyze(clip, between, AnalysisSettings(threads=1)).to_pandas().dropna(subset=["x"])
    assert len(whole) == 50
    places = ["frame", "x", "y", "w", "h", "emotion", "confidence", "happiness", "valence"]
    merged = left[places].merge(whole[places], how="left", indicator=True)
    assert len(left) > 0
    assert set(merged["_merge"]) == {"both"}
    assert left.groupby("frame")["face_id"].first().iloc[0] == 1


def test_the_faces_of_a_trusted_detector_are_not_asked_for(clip: Path) -> None:
    class Trusted(BoxDetector):
        name = "yunet"

    bundle = with_threshold(1.0)
    timeline = analyze_video(clip, detector=Trusted(*BOXES), bundle=bundle)
    assert timeline.faces == (1, 2)
    rejected = timeline.summary["rejected"]
    assert (rejected["face_threshold"], rejected["detections"]) == (None, 0)


def test_the_stream_leaves_out_the_same_faces(clip: Path, between: float) -> None:
    bundle = with_threshold(between)
    table = analyze(clip, between, AnalysisSettings(threads=1)).to_pandas()
    streamed = [
        (result.frame_index, item.face.face_id)
        for result in stream_video(clip, detector=BoxDetector(*BOXES), bundle=bundle)
        for item in result.faces
    ]
    left = table.dropna(subset=["face_id"])
    assert streamed == list(zip(left["frame"], left["face_id"].astype(int), strict=True))


def test_two_videos_of_one_bundle_do_not_know_of_each_other(clip: Path, between: float) -> None:
    settings = AnalysisSettings(threads=1)
    first, second = (analyze(clip, between, settings) for _ in range(2))
    assert first.table.equals(second.table)
    assert first.summary["rejected"] == second.summary["rejected"]


def test_files_agree_and_another_choice_is_another_run(
    clip: Path, between: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(_name: str) -> DetectorChoice:
        return DetectorChoice(detector=BoxDetector(*BOXES), notice=None)

    monkeypatch.setattr(batch, "choose_detector", choose)
    folder = Path(shutil.copytree(PACKAGED_FOLDER / "default", tmp_path / "bundle"))
    raw = json.loads((folder / SPEC_FILE).read_text())
    stated = {"face_threshold": between, "uncertain_threshold": 1.0}
    (folder / SPEC_FILE).write_text(json.dumps({**raw, **stated}))
    everything = OutputChoice(
        csv=True, video=True, report=True, subtitles=True, openface=True, pyfeat=True
    )

    def run(*, keep_rejected: bool) -> dict[str, object]:
        settings = AnalysisSettings(threads=1, keep_rejected=keep_rejected)
        report = analyze_inputs(
            [clip], tmp_path / "out", bundle=folder, settings=settings, outputs=everything
        )
        (outcome,) = report.outcomes
        assert outcome.error is None
        assert outcome.summary is not None
        return {"was_there": outcome.was_there, **outcome.summary}

    left = run(keep_rejected=False)
    rejected = left["rejected"]
    assert isinstance(rejected, dict)
    assert rejected["are_dropped"] is True
    assert 0 < rejected["detections"] < 50
    assert isinstance(left["faces"], list)
    assert all(face["uncertain_share"] == pytest.approx(1.0) for face in left["faces"])
    assert run(keep_rejected=False)["was_there"] is True
    kept = run(keep_rejected=True)
    assert kept["was_there"] is False
    assert isinstance(kept["counts"], dict)
    assert kept["counts"]["faces"] == 2
