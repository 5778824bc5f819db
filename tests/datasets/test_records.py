"""The records themselves: what they refuse, what they say of themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotrace.datasets import ferplus
from emotrace.datasets.records import VOTE_NAMES, ClipRecord, FrameLabels, make_frame_labels
from emotrace.errors import UsageError


def test_labels_that_are_not_given_are_no_labels() -> None:
    labels = make_frame_labels(np.array([0, 2, 5]), frame_rate=25.0)
    assert len(labels) == 3
    assert labels.emotion.tolist() == [-1, -1, -1]
    assert np.isnan(labels.valence).all()
    assert labels.timestamp_seconds is not None
    np.testing.assert_allclose(labels.timestamp_seconds, [0.0, 0.08, 0.2])


@pytest.mark.parametrize("frames", [[0, 0], [3, 1], [-1, 0]])
def test_frame_numbers_must_rise_from_zero(frames: list[int]) -> None:
    with pytest.raises(UsageError, match="frame numbers from 0 on that rise"):
        make_frame_labels(np.array(frames))


def test_columns_must_be_as_long_as_the_frame_numbers() -> None:
    with pytest.raises(UsageError, match="expected 2 values of action unit 12"):
        make_frame_labels(np.arange(2), action_units={12: np.zeros(3, np.float32)})
    with pytest.raises(UsageError, match="expected 2 values of valence"):
        FrameLabels(
            frame_index=np.arange(2),
            emotion=np.zeros(2, np.int8),
            valence=np.zeros(1, np.float32),
            arousal=np.zeros(2, np.float32),
        )


def test_frame_count_of_a_video_is_not_known_before_decoding() -> None:
    video = ClipRecord(clip_id="a", dataset="x", media=Path("a.mp4"))
    pictures = ClipRecord(clip_id="b", dataset="x", media=(Path("1.png"), Path("2.png")))
    assert video.frame_count is None
    assert pictures.frame_count == 2
    assert pictures.picture_frame_index().tolist() == [0, 1]
    assert pictures.media_paths() == (Path("1.png"), Path("2.png"))
    with pytest.raises(UsageError, match=r"a is a video|is the video a\.mp4"):
        video.picture_frame_index()


def test_votes_have_one_order_everywhere() -> None:
    assert VOTE_NAMES == ferplus.VOTE_NAMES
