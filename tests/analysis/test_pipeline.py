from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emotrace import (
    AnalysisSettings,
    Bundle,
    Detection,
    Progress,
    analyze_video,
    load_bundle,
    stream_video,
)
from emotrace.analysis.post_processing import AffectPostProcessing, PostProcessing
from emotrace.errors import BundleError, InputError, UsageError
from emotrace.faces import BoxMapping, HaarDetector
from emotrace.timeline import FaceSource
from tests.analysis.media import write_clip


class BoxDetector:
    """Finds one face per box, always; counts its calls."""

    name = "boxes"
    canonical = BoxMapping()

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self.boxes = boxes
        self.calls = 0

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        self.calls += 1
        return [Detection(box_xywh_px=box, score=0.95) for box in self.boxes]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The default one, but it takes everything for a face: the pictures here show none."""
    bundle = load_bundle()
    bundle.spec = replace(bundle.spec, face_threshold=None)
    return bundle


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("media") / "clip.mp4", frames=25)


def test_every_frame_has_a_row_and_its_time(clip: Path, bundle: Bundle) -> None:
    timeline = analyze_video(clip, detector=BoxDetector(), bundle=bundle)
    table = timeline.to_pandas()
    assert len(timeline) == 25
    assert table["frame"].tolist() == list(range(25))
    np.testing.assert_allclose(table["timestamp"], np.arange(25) / 10, atol=1e-3)
    assert table["face_id"].isna().all()
    assert set(table["face_source"]) == {FaceSource.NONE.value}
    assert timeline.segments() == []


def test_probabilities_sum_to_one(clip: Path, bundle: Bundle) -> None:
    detector = BoxDetector((20, 20, 60, 60))
    table = analyze_video(clip, detector=detector, bundle=bundle).to_pandas()
    np.testing.assert_allclose(table[list(bundle.labels)].sum(axis=1), 1, atol=1e-5)
    assert (table["confidence"] == table[list(bundle.labels)].max(axis=1)).all()
    assert table["valence"].between(-1, 1).all()
    assert set(table["valence_arousal_source"]) == {"derived"}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_result_does_not_depend_on_batches_or_threads(
    clip: Path, bundle: Bundle, threads: int, batch_size: int
) -> None:
    boxes = ((10.0, 10.0, 40.0, 50.0), (80.0, 30.0, 50.0, 60.0))
    expected = analyze_video(
        clip,
        detector=BoxDetector(*boxes),
        bundle=bundle,
        settings=AnalysisSettings(threads=2, batch_size=16),
    )
    got = analyze_video(
        clip,
        detector=BoxDetector(*boxes),
        bundle=bundle,
        settings=AnalysisSettings(threads=threads, batch_size=batch_size),
    )
    assert got.faces == (1, 2)
    assert got.table.equals(expected.table)
    assert got.segments() == expected.segments()


def test_the_detector_runs_as_often_as_told(clip: Path, bundle: Bundle) -> None:
    detector = BoxDetector((20, 20, 60, 60))
    settings = AnalysisSettings(detect_every=5, threads=1)
    table = analyze_video(clip, detector=detector, bundle=bundle, settings=settings).to_pandas()
    assert detector.calls == 5
    searched = table["frame"] % 5 == 0
    assert set(table.loc[searched, "face_source"]) == {"detected"}
    assert "detected" not in set(table.loc[~searched, "face_source"])


def test_streaming_gives_the_rows_of_the_whole(clip: Path, bundle: Bundle) -> None:
    whole = analyze_video(clip, detector=BoxDetector((20, 20, 60, 60)), bundle=bundle)
    table = whole.to_pandas()
    results = list(stream_video(clip, detector=BoxDetector((20, 20, 60, 60)), bundle=bundle))
    assert [result.frame_index for result in results] == table["frame"].tolist()
    assert [r.faces[0].prediction.emotion for r in results] == table["emotion"].tolist()


def test_a_stream_can_be_left_early(clip: Path, bundle: Bundle) -> None:
    stream = stream_video(clip, detector=BoxDetector(), bundle=bundle)
    assert next(stream).frame_index == 0
    stream.close()  # type: ignore[attr-defined]
    with pytest.raises(StopIteration):
        next(stream)


def test_two_videos_do_not_know_of_each_other(clip: Path, bundle: Bundle) -> None:
    detector = BoxDetector((20, 20, 60, 60))
    first = analyze_video(clip, detector=detector, bundle=bundle)
    second = analyze_video(clip, detector=detector, bundle=bundle)
    assert first.faces == second.faces == (1,)
    assert first.table.equals(second.table)


def test_progress_ends_with_all_frames(clip: Path, bundle: Bundle) -> None:
    told: list[Progress] = []
    analyze_video(clip, detector=BoxDetector(), bundle=bundle, progress=told.append)
    assert (told[0].frames_done, told[0].seconds_left) == (0, None)
    assert told[-1].frames_done == 25
    assert told[-1].seconds_left == 0
    assert all(p.frames_expected in (None, 25) for p in told)


def test_a_still_image_is_a_video_of_one_frame(tmp_path: Path, bundle: Bundle) -> None:
    import cv2

    path = tmp_path / "face.png"
    cv2.imwrite(str(path), np.full((90, 120, 3), 128, np.uint8))
    timeline = analyze_video(path, detector=BoxDetector((10, 10, 50, 50)), bundle=bundle)
    assert len(timeline) == 1
    assert timeline.facts.is_still_image
    assert timeline.faces == (1,)


def test_the_summary_names_what_made_it(clip: Path) -> None:
    bundle = load_bundle(prior="uniform")
    summary = analyze_video(clip, detector=HaarDetector(), bundle=bundle).summary
    assert summary["detector"] == "haar"
    assert summary["bundle"]["sha256"] == bundle.hash
    assert summary["bundle"]["prior"] == "uniform"
    assert summary["input"]["frame_count"] == 25


def test_bad_calls_say_what_is_wrong(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        analyze_video(tmp_path / "none.mp4")
    with pytest.raises(BundleError, match="this machine has"):
        analyze_video(clip, bundle="nonesuch")
    with pytest.raises(UsageError, match="detect_every"):
        AnalysisSettings(detect_every=0)
    with pytest.raises(UsageError, match="detector"):
        analyze_video(clip, detector="nonesuch")


def test_an_error_on_the_way_stops_the_threads(clip: Path, bundle: Bundle) -> None:
    import threading

    class Broken(BoxDetector):
        def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
            if self.calls == 10:
                raise RuntimeError("broken on purpose")
            return super().detect(image_rgb)

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="broken on purpose"):
        analyze_video(clip, detector=Broken(), bundle=bundle, settings=AnalysisSettings(threads=4))
    assert threading.active_count() == before


def test_post_processing_adds_columns_and_is_said(clip: Path, bundle: Bundle) -> None:
    chain = AffectPostProcessing(valence=PostProcessing(rate_hz=10.0, bias=0.25))
    settings = AnalysisSettings(post_processing=chain)
    detector = BoxDetector((2.0, 10.0, 40.0, 60.0))
    plain = analyze_video(clip, detector=detector, bundle=bundle).table
    timeline = analyze_video(clip, detector=detector, bundle=bundle, settings=settings)
    assert timeline.table.select(plain.column_names).equals(plain)
    expected = np.clip(plain["valence"].to_numpy() + 0.25, -1, 1)
    np.testing.assert_allclose(timeline.table["processed_valence"].to_numpy(), expected, atol=1e-6)
    assert timeline.summary["post_processing"]["is_causal"] is True
    assert timeline.summary["settings"]["post_processing"]["valence"]["bias"] == 0.25
    assert "post_processing" not in analyze_video(clip, detector=detector, bundle=bundle).summary
