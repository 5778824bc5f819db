"""Pictures one by one: the same answers as for the file, and clear words for what cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from emotrace import AnalysisSettings, LiveAnalysis, stream_video
from emotrace.errors import UsageError
from emotrace.timeline import results_to_table
from emotrace.video import VideoReader

if TYPE_CHECKING:
    from pathlib import Path

BLACK = np.zeros((90, 120, 3), np.uint8)


def test_pictures_get_the_answers_that_the_file_gets(short_clip: Path) -> None:
    settings = AnalysisSettings(detector="haar", threads=1)
    live = LiveAnalysis(settings=settings)
    with VideoReader(short_clip) as reader:
        one_by_one = [
            live.look(frame.image_rgb, timestamp_seconds=frame.timestamp_seconds)
            for frame in reader
        ]
    of_the_file = list(stream_video(short_clip, settings=settings))
    assert results_to_table(one_by_one).equals(results_to_table(of_the_file))
    assert [result.is_cut for result in one_by_one] == [result.is_cut for result in of_the_file]
    assert any(result.faces for result in one_by_one)


def test_a_view_of_a_picture_will_do(short_clip: Path) -> None:
    with VideoReader(short_clip) as reader:
        image_rgb = next(iter(reader)).image_rgb
    image_bgr = np.ascontiguousarray(image_rgb[..., ::-1])
    (one,) = LiveAnalysis(detector="haar").look(image_rgb, timestamp_seconds=0.0).faces
    (other,) = LiveAnalysis(detector="haar").look(image_bgr[..., ::-1], timestamp_seconds=7.5).faces
    assert np.array_equal(one.prediction.probabilities, other.prediction.probabilities)


@pytest.mark.parametrize("second", [1.0, 0.5, float("nan"), float("inf")])
def test_time_goes_forward(second: float) -> None:
    live = LiveAnalysis(detector="haar")
    live.look(BLACK, timestamp_seconds=1.0)
    with pytest.raises(UsageError, match=r"later than 1\.000 s"):
        live.look(BLACK, timestamp_seconds=second)
    assert live.look(BLACK, timestamp_seconds=1.5).frame_index == 1


@pytest.mark.parametrize(
    "picture",
    [BLACK[..., 0], BLACK.astype(np.float32), np.zeros((4, 4, 4), np.uint8), BLACK[:0]],
    ids=["grey", "float", "with alpha", "empty"],
)
def test_what_is_no_picture_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"expected a picture of \(height, width, 3\), uint8"):
        LiveAnalysis(detector="haar").look(picture, timestamp_seconds=0.0)
