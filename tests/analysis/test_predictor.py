"""What the faces of a video are predicted with, bundle by bundle."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from emotrace.analysis import batch
from emotrace.analysis.batch import analyze_inputs
from emotrace.analysis.pipeline import analyze_video
from emotrace.analysis.settings import AnalysisSettings
from emotrace.bundle_outputs import OtherOutput
from emotrace.errors import BundleError
from emotrace.faces import DetectorChoice
from emotrace.labels import EMOTIONS
from tests.analysis.media import write_clip
from tests.analysis.test_pipeline import BoxDetector
from tests.temporal_bundles import make_spec, recurrent_bundle

if TYPE_CHECKING:
    from pathlib import Path


def seven_labels(folder: Path, labels: tuple[str, ...]) -> Path:
    (output,) = make_spec(None).expression_outputs
    return recurrent_bundle(
        folder,
        labels=labels,
        expression_outputs=(dataclasses.replace(output, labels=labels),),
        priors={},
    )


def test_what_bundle_and_detector_mean_for_every_input_is_said_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = DetectorChoice(detector=BoxDetector((10, 10, 18, 18)), notice="no YuNet here")
    monkeypatch.setattr(batch, "choose_detector", lambda _: choice)
    labels = tuple(name for name in EMOTIONS if name != "neutral")
    bundle = seven_labels(tmp_path / "seven", labels)
    clips = [write_clip(tmp_path / f"{name}.mp4", frames=6) for name in "ab"]
    report = analyze_inputs(clips, tmp_path / "out", bundle=bundle)
    for outcome in report.outcomes:
        assert outcome.summary is not None
        of_bundle, of_detector = outcome.summary["run_notices"]
        assert "does not know neutral: 0" in of_bundle
        assert of_detector == "no YuNet here"
        *both, of_face = outcome.summary["notices"]
        assert both == [of_bundle, of_detector]
        assert of_face.startswith("face 1 is about 18 px wide")


def test_seven_labels_fill_seven_columns_and_the_summary_says_so(tmp_path: Path) -> None:
    labels = tuple(name for name in EMOTIONS if name != "neutral")
    folder = seven_labels(tmp_path / "seven", labels)
    clip = write_clip(tmp_path / "clip.mp4", frames=6)
    timeline = analyze_video(clip, detector=BoxDetector((10, 10, 60, 60)), bundle=folder)
    table = timeline.to_pandas()
    assert (table["neutral"] == 0).all()
    assert table[list(labels)].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    assert any("does not know neutral: 0" in told for told in timeline.summary["notices"])
    assert timeline.summary["bundle"]["prior"] == "as-trained"


def test_a_bundle_of_which_no_table_can_be_made_is_refused(tmp_path: Path) -> None:
    units = OtherOutput(name="units", kind="multi_label", labels=("au_01",), output="outputs")
    folder = recurrent_bundle(
        tmp_path / "units",
        labels=(),
        expression_outputs=(),
        priors={},
        valence_arousal_output=None,
        valence_arousal_start=None,
        other_outputs=(units,),
    )
    clip = write_clip(tmp_path / "clip.mp4", frames=2)
    with pytest.raises(BundleError, match="made predicts no expressions; use it from Python"):
        analyze_video(clip, detector=BoxDetector(), bundle=folder)


def test_valence_and_arousal_alone_go_beside_the_default_bundles_expressions(
    tmp_path: Path,
) -> None:
    """Twelve frames of one face: its own valence, the other's expressions, and it says so."""
    folder = recurrent_bundle(tmp_path / "affect", labels=(), expression_outputs=(), priors={})
    complete = recurrent_bundle(tmp_path / "complete")
    clip = write_clip(tmp_path / "clip.mp4", frames=12)
    box = (10.0, 10.0, 60.0, 60.0)
    every = AnalysisSettings(keep_rejected=True)  # the pictures here show no face
    timeline = analyze_video(clip, detector=BoxDetector(box), bundle=folder, settings=every)
    default = analyze_video(clip, detector=BoxDetector(box), settings=every).to_pandas()
    whole = analyze_video(clip, detector=BoxDetector(box), bundle=complete).to_pandas()
    table = timeline.to_pandas()
    names = [*EMOTIONS, "emotion", "smoothed_emotion"]
    assert table[names].equals(default[names])
    assert table[["valence", "arousal"]].equals(whole[["valence", "arousal"]])
    assert not table["valence"].equals(default["valence"])
    assert set(table["valence_arousal_source"]) == {"model"}
    assert timeline.summary["bundle"]["name"] == "made"
    assert timeline.summary["bundle"]["expressions_by"]["name"] == "default"
    assert any("predicts valence and arousal only" in told for told in timeline.summary["notices"])
