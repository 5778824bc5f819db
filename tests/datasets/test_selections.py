"""The papers' selections, on clips small enough to see through."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from emotrace.datasets.records import ClipRecord, make_frame_labels
from emotrace.datasets.selections import SELECTIONS, select
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS


def clip(
    clip_id: str, count: int, emotion: str | None = "fear", condition: str | None = None
) -> ClipRecord:
    return ClipRecord(
        clip_id=clip_id,
        dataset="x",
        media=tuple(Path(f"{clip_id}/{number}.png") for number in range(count)),
        emotion=emotion,
        condition=condition,
        frame_rate=10.0,
    )


def ids(records: list[ClipRecord]) -> list[str]:
    return [record.clip_id for record in records]


def test_selections_of_clips() -> None:
    clips = [
        clip("long", 15, condition="VL/Strong"),
        clip("short", 14, condition="VL/Weak"),
        clip("contempt", 20, "contempt", "NI/Strong"),
        clip("none", 20, None),
    ]
    assert ids(select(clips, "no-contempt")) == ["long", "short", "none"]
    assert ids(select(clips, "at-least-15-frames")) == ["long", "contempt", "none"]
    assert ids(select(clips, "labelled")) == ["long", "short", "contempt"]
    assert ids(select(clips, "strong-light")) == ["long"]
    assert ids(select(clips, "visible-light")) == ["long", "short"]
    assert ids(select(clips, "labelled", "no-contempt", "at-least-15-frames")) == ["long"]
    assert ids(select(clips)) == ids(clips)


def test_first_and_three_peak_frames() -> None:
    (cut,) = select([clip("a", 10)], "first-and-three-peak-frames")
    assert isinstance(cut.media, tuple)
    assert [path.stem for path in cut.media] == ["0", "7", "8", "9"]
    labels = cut.frame_labels
    assert labels is not None
    assert [EMOTIONS[code] for code in labels.emotion] == ["neutral", "fear", "fear", "fear"]
    assert labels.frame_index.tolist() == cut.picture_frame_index().tolist() == [0, 7, 8, 9]
    assert labels.timestamp_seconds is not None
    np.testing.assert_allclose(labels.timestamp_seconds, [0, 0.7, 0.8, 0.9])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_clips_as_short_as_their_peaks_have_no_neutral_frame(count: int) -> None:
    (cut,) = select([clip("a", count)], "first-and-three-peak-frames")
    assert cut.picture_frame_index().tolist() == list(range(count))
    assert cut.frame_labels is not None
    assert {EMOTIONS[code] for code in cut.frame_labels.emotion} == {"fear"}


def test_the_shortest_clip_with_a_neutral_frame() -> None:
    (cut,) = select([clip("a", 4)], "first-and-three-peak-frames")
    assert cut.picture_frame_index().tolist() == [0, 1, 2, 3]
    assert cut.frame_labels is not None
    assert [EMOTIONS[code] for code in cut.frame_labels.emotion[:2]] == ["neutral", "fear"]


def test_clips_without_a_label_have_no_peak() -> None:
    assert select([clip("a", 9, None)], "first-and-three-peak-frames") == []


def test_last_frames() -> None:
    cut, whole = select([clip("a", 10), clip("b", 3)], "last-5-frames")
    assert cut.picture_frame_index().tolist() == [5, 6, 7, 8, 9]
    assert whole.picture_frame_index().tolist() == [0, 1, 2]
    assert cut.frame_labels is not None
    assert {EMOTIONS[code] for code in cut.frame_labels.emotion} == {"fear"}
    (again,) = select([cut], "last-2-frames")
    assert again.picture_frame_index().tolist() == [8, 9]


def test_other_labels_of_kept_frames_stay() -> None:
    record = clip("a", 5)
    labelled = ClipRecord(
        clip_id="a",
        dataset="x",
        media=record.media,
        emotion="fear",
        frame_labels=make_frame_labels(
            np.array([1, 4]),
            valence=np.array([0.1, 0.4], np.float32),
            action_units={12: np.array([0, 1], np.float32)},
        ),
    )
    (cut,) = select([labelled], "last-2-frames")
    assert cut.frame_labels is not None
    np.testing.assert_array_equal(cut.frame_labels.valence, np.array([np.nan, 0.4], np.float32))
    np.testing.assert_array_equal(cut.frame_labels.action_units[12], [np.nan, 1])


def test_clips_without_a_label_in_any_frame_are_left_out() -> None:
    def rated(clip_id: str, values: list[float]) -> ClipRecord:
        labels = make_frame_labels(
            np.arange(len(values)), valence=np.array(values, np.float32), frame_rate=25.0
        )
        return dataclasses.replace(clip(clip_id, 2), frame_labels=labels)

    clips = [clip("none", 2), rated("blank", [np.nan, np.nan]), rated("one", [np.nan, 0.5])]
    assert ids(select(clips, "frames-labelled")) == ["one"]


def test_what_does_not_fit_is_refused() -> None:
    video = ClipRecord(clip_id="v", dataset="x", media=Path("v.mp4"), emotion="fear")
    for name in ("at-least-15-frames", "last-3-frames", "first-and-three-peak-frames"):
        with pytest.raises(UsageError, match=r"v\.mp4"):
            select([video], name)
    for name in ("last-0-frames", "best", "no-anger"):
        with pytest.raises(UsageError, match="expected a selection out of labelled"):
            select([video], name)
    assert "no-contempt" in SELECTIONS
