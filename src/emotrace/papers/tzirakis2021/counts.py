"""tzirakis2021's Tables 2 to 4: what is pre-trained on, before and after resampling."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from emotrace.datasets.balancing import class_counts
from emotrace.datasets.cache import open_cache
from emotrace.datasets.media import read_picture
from emotrace.datasets.records import ImageRef
from emotrace.errors import EmotraceError
from emotrace.labels import EMOTIONS
from emotrace.models.multi_task import make_heads
from emotrace.models.zoo import find_architecture
from emotrace.papers.plan import Source, place
from emotrace.papers.supply import supply
from emotrace.papers.tzirakis2021.recipes import REALEYES, SIZES, pretraining
from emotrace.training.zoo.data import load_data
from emotrace.video import VideoReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.datasets.cache import CropCache
    from emotrace.datasets.records import ClipRecord
    from emotrace.papers.workshop import Workshop
    from emotrace.training.examples import Examples


def count_frames(workshop: Workshop) -> dict[str, Any]:
    """Count videos, frames and people, and each emotion's frames: Tables 2 and 3."""
    cache = open_cache(workshop.cache(REALEYES))
    records = supply(workshop, workshop.order.paper.dataset("realeyes")).read(
        Source(dataset="realeyes")
    )
    of_clips = np.array(cache.clips["frame_count"], np.int64)
    votes = cache.frames.votes
    subjects = {name for name in cache.clips["subject"] if name is not None}
    return {
        "videos": len(of_clips),
        "frames": int(of_clips.sum()),
        "frames_per_video": float(of_clips.mean()),
        "frames_per_video_deviation": float(of_clips.std()),
        "sizes_px": _sizes(records.records),
        "subjects": len(subjects),
        "annotators": 1 if votes is None else int(np.maximum(votes, 0).sum(axis=1).max(initial=1)),
        **_of_emotions(cache),
    }


def _of_emotions(cache: CropCache) -> dict[str, Any]:
    """Count all annotated frames, also those without a face."""
    labels = cache.emotion_labels()
    return {
        "emotions": _by_name(class_counts(labels, len(EMOTIONS))),
        "frames_without_emotion": int((labels < 0).sum()),
    }


def count_resampled(workshop: Workshop) -> dict[str, Any]:
    """Count what an epoch of pre-training holds, and its validation side: Table 4."""
    recipe = place(pretraining(SIZES[workshop.order.scale]), workshop.cache(REALEYES))
    data = load_data(
        recipe,
        kind=find_architecture(recipe.architecture).kind,
        heads=make_heads(recipe.options),
    )
    train, validation = data.train, data.sides["validation"]
    repeats = np.ones(len(train), np.int64) if train.repeats is None else train.repeats
    drawn = train.select(np.repeat(np.arange(len(train)), repeats))
    return {
        "split": data.notices[0],
        "sequences": len(train),
        "sequences_repeated": int((repeats > 1).sum()),
        "sequences_drawn": len(drawn),
        "train_before": _taught(train),
        "train_after": _taught(drawn),
        "validation": _taught(validation),
    }


def _taught(examples: Examples) -> dict[str, int]:
    return _by_name(class_counts(examples.classes[examples.rows_with_targets], len(EMOTIONS)))


def _by_name(counts: NDArray[np.int64]) -> dict[str, int]:
    return dict(zip(EMOTIONS, counts.tolist(), strict=True))


def _sizes(records: list[ClipRecord]) -> dict[str, int]:
    """Count clips by the size of their pictures, the most frequent first; unreadable ones none."""
    sizes: Counter[str] = Counter()
    for record in records:
        try:
            width, height = _size(record)
        except EmotraceError:
            continue  # preparing has counted it among the failures
        sizes[f"{width} x {height}"] += 1
    return dict(sizes.most_common())


def _size(record: ClipRecord) -> tuple[int, int]:
    media = record.media
    if isinstance(media, ImageRef):
        height, width = media.read().shape[:2]
    elif isinstance(media, tuple):
        height, width = read_picture(media[0]).shape[:2]
    else:
        with VideoReader(media) as reader:
            facts = reader.facts()
            width, height = facts.width, facts.height
    return int(width), int(height)
