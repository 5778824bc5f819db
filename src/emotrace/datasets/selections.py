"""The papers' selections of clips and frames, by name: `select(records, "no-contempt", ...)`."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.datasets.records import NO_EMOTION, ClipRecord, FrameLabels, make_frame_labels
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS, label_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray


def labelled(records: Iterable[ClipRecord]) -> list[ClipRecord]:
    """Keep clips that have a label of their own."""
    return [record for record in records if record.emotion is not None]


def frames_labelled(records: Iterable[ClipRecord]) -> list[ClipRecord]:
    """Keep clips of which some frame has a label (tzirakis2021: AVEC's test part has none)."""
    return [
        record
        for record in records
        if record.frame_labels is not None and _has_any_label(record.frame_labels)
    ]


def _has_any_label(labels: FrameLabels) -> bool:
    values = (labels.valence, labels.arousal, *labels.action_units.values())
    return bool((labels.emotion != NO_EMOTION).any()) or any(
        bool(np.isfinite(column).any()) for column in values
    )


def without_emotion(records: Iterable[ClipRecord], emotion: str) -> list[ClipRecord]:
    """Leave out clips labelled `emotion` (salinas2018: contempt)."""
    label_index(emotion)
    return [record for record in records if record.emotion != emotion]


def with_condition(records: Iterable[ClipRecord], condition: str) -> list[ClipRecord]:
    """Keep clips recorded under `condition`, in the data set's own words."""
    return [record for record in records if record.condition == condition]


def strong_light(records: Iterable[ClipRecord]) -> list[ClipRecord]:
    """Keep Oulu-CASIA's visible-light sequences in strong light (salinas2018)."""
    return with_condition(records, "VL/Strong")


def visible_light(records: Iterable[ClipRecord]) -> list[ClipRecord]:
    """Keep Oulu-CASIA's visible-light sequences in every light (salinas2018's final model)."""
    return [record for record in records if (record.condition or "").startswith("VL/")]


def at_least_frames(records: Iterable[ClipRecord], count: int) -> list[ClipRecord]:
    """Keep clips of `count` pictures or more (salinas2018: 15).

    Raises:
        UsageError: A clip is a video, whose length is not known before decoding.
    """
    return [record for record in records if len(record.picture_frame_index()) >= count]


def last_frames(records: Iterable[ClipRecord], count: int) -> list[ClipRecord]:
    """Cut clips to their last `count` pictures; shorter ones stay whole (salinas2018).

    Every picture gets the clip's label.

    Raises:
        UsageError: A clip is a video, or `count` is below 1.
    """
    if count < 1:
        raise UsageError(f"expected to keep 1 frame or more of each clip; got {count}")
    cut = []
    for record in records:
        total = len(record.picture_frame_index())
        places = np.arange(max(total - count, 0), total)
        cut.append(_with_pictures(record, places, [record.emotion] * len(places)))
    return cut


def first_and_peak_frames(records: Iterable[ClipRecord], peak_count: int = 3) -> list[ClipRecord]:
    """Keep the first picture as neutral and the last `peak_count` with the clip's label.

    As rangulov2020 does with CK+. Clips without a label are left out. A clip of `peak_count` or
    fewer pictures has no room for a neutral one: samples of CK+ that were cut to the peaks look so.
    All its pictures get the clip's label.

    Raises:
        UsageError: A clip is a video, or `peak_count` is below 1.
    """
    if peak_count < 1:
        raise UsageError(f"expected 1 peak frame or more of each clip; got {peak_count}")
    cut = []
    for record in labelled(records):
        total = len(record.picture_frame_index())
        has_neutral = total > peak_count
        places = np.arange(max(total - peak_count, 0), total)
        names = [record.emotion] * len(places)
        if has_neutral:
            places, names = np.r_[0, places], ["neutral", *names]
        cut.append(_with_pictures(record, places, names))
    return cut


def _with_pictures(
    record: ClipRecord, places: NDArray[np.int64], emotions: Sequence[str | None]
) -> ClipRecord:
    """Keep the pictures at `places`, with these labels; the other labels of those frames stay."""
    numbers = record.picture_frame_index()[places]
    media = record.media
    if isinstance(media, tuple):
        media = tuple(media[place] for place in places)
    codes = [NO_EMOTION if name is None else EMOTIONS.index(name) for name in emotions]
    return dataclasses.replace(
        record,
        media=media,
        media_frame_index=numbers,
        frame_labels=_relabelled(record, numbers, np.array(codes, np.int8)),
    )


def _relabelled(
    record: ClipRecord, numbers: NDArray[np.int64], emotion: NDArray[np.int8]
) -> FrameLabels:
    old = record.frame_labels
    if old is None:
        return make_frame_labels(numbers, frame_rate=record.frame_rate, emotion=emotion)
    place_of = {int(frame): place for place, frame in enumerate(old.frame_index)}
    places = np.array([place_of.get(int(number), -1) for number in numbers])

    def pick(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.where(places >= 0, values[places], np.nan).astype(np.float32)

    times = old.timestamp_seconds
    if times is not None and (places < 0).any():
        times = (
            None  # some frames have no labels: their times follow from the rate, if there is one
        )
    elif times is not None:
        times = times[places]
    votes = None if old.votes is None else np.where(places[:, None] >= 0, old.votes[places], 0)
    return make_frame_labels(
        numbers,
        frame_rate=record.frame_rate,
        timestamp_seconds=times,
        emotion=emotion,
        valence=pick(old.valence),
        arousal=pick(old.arousal),
        action_units={unit: pick(values) for unit, values in old.action_units.items()},
        action_unit_intensities={u: pick(v) for u, v in old.action_unit_intensities.items()},
        votes=votes,
    )


SELECTIONS: Final[dict[str, Callable[[list[ClipRecord]], list[ClipRecord]]]] = {
    "labelled": labelled,
    "frames-labelled": frames_labelled,
    "no-contempt": lambda records: without_emotion(records, "contempt"),
    "at-least-15-frames": lambda records: at_least_frames(records, 15),
    "first-and-three-peak-frames": lambda records: first_and_peak_frames(records, 3),
    "strong-light": strong_light,
    "visible-light": visible_light,
}
"""The selections that the papers make, by name; `last-N-frames` with any N is another."""

_LAST: Final = re.compile(r"last-([1-9][0-9]*)-frames?")


def select(records: Iterable[ClipRecord], *names: str) -> list[ClipRecord]:
    """Apply selections by name, one after another.

    Raises:
        UsageError: There is no selection of that name, or it does not fit the clips.
    """
    chosen = list(records)
    for name in names:
        if match := _LAST.fullmatch(name):
            chosen = last_frames(chosen, int(match[1]))
        elif name in SELECTIONS:
            chosen = SELECTIONS[name](chosen)
        else:
            raise UsageError(
                f"expected a selection out of {', '.join(SELECTIONS)}, last-N-frames; got {name!r}"
            )
    return chosen
