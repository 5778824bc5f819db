"""Write clips as AVEC hands RECOLA out: six annotators' csv, a gold standard in arff, videos.

The layout and its source stand in `emotrace.datasets.recola`. Ratings are 40 ms apart, so that only
clips of 25 frames a second have a place. RECOLA has no code for a missing rating: while the face is
out of sight, the last value holds. The gold standard is the truth to six decimals; each annotator
has a gain and a bias around it. The test part has no ratings.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.synth.layouts.written import (
    NO_EMOTION,
    LeftOut,
    WrittenClip,
    WrittenLabels,
    face_of,
    round_to,
    write_text,
)
from emotrace.video import VideoWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from emotrace.synth.layouts.written import Outcome
    from emotrace.synth.truth import SynthClip

FRAME_RATE: Final = 25.0
DIGITS: Final = 6
ANNOTATORS: Final = ("FM1 ", "FM2 ", "FM3 ", "FF1 ", "FF2 ", "FF3")
"""With the spaces that RECOLA's headings have."""
GAINS_AND_BIASES: Final = (
    *((1.0, 0.0), (0.9, 0.05), (0.8, -0.05), (1.1, 0.02), (0.7, 0.1), (1.0, -0.1)),
)
"""Made up: annotators who agree on the course and differ in range and level."""
_PARTS: Final = {"train": "train", "validation": "dev", "test": "test"}


def write_recola(clips: Iterable[SynthClip], root: Path) -> Iterator[Outcome]:
    """Write clips under `recordings_video`, `ratings_individual` and `ratings_gold_standard`.

    Yields:
        For each clip, what a reader must give back.

    Raises:
        OutputError: A file cannot be written.
    """
    numbers: Counter[str] = Counter()
    for clip in clips:
        if clip.frame_rate != FRAME_RATE:
            reason = f"RECOLA has 25 frames a second; the clip has {clip.frame_rate:g}"
            yield LeftOut(source_id=clip.clip_id, reason=reason)
            continue
        part = clip.partition or "train"
        numbers[part] += 1
        name = f"{_PARTS[part]}_{numbers[part]}"
        series = _write_video(clip, root / "recordings_video" / f"{name}.mp4")
        if part != "test":
            for dimension, values in series.items():
                _write_ratings(root, dimension, name, values)
        yield WrittenClip(
            source_id=clip.clip_id,
            clip_id=name,
            subject=name,
            partition=part,
            emotion=None,
            frame_count=len(series["valence"]),
            labels=None if part == "test" else _labels(series),
        )


def _write_video(clip: SynthClip, path: Path) -> dict[str, list[float]]:
    """Write the video; return valence and arousal of each frame."""
    series: dict[str, list[float]] = {"arousal": [], "valence": []}
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, width=clip.width, height=clip.height) as writer:
        for frame in clip.frames():
            writer.write(frame.image_rgb, frame.timestamp_seconds)
            face = face_of(frame, clip.subject)
            for dimension, values in series.items():
                held = values[-1] if values else 0.0
                values.append(held if face is None else float(getattr(face, dimension)))
    return {name: [round_to(value, DIGITS) for value in values] for name, values in series.items()}


def _write_ratings(root: Path, dimension: str, name: str, values: list[float]) -> None:
    times = [f"{row / FRAME_RATE:.2f}" for row in range(len(values))]
    ratings = [
        [round_to(min(max(gain * v + bias, -1.0), 1.0), 2) for gain, bias in GAINS_AND_BIASES]
        for v in values
    ]
    lines = [
        ";".join([time, *(f"{rating:.2f}" for rating in row)])
        for time, row in zip(times, ratings, strict=True)
    ]
    heading = ";".join(["time", *ANNOTATORS])
    write_text(
        root / "ratings_individual" / dimension / f"{name}.csv", "\n".join([heading, *lines]) + "\n"
    )
    head = [
        "@relation GOLDSTANDARD",
        "",
        "@attribute Instance_name string",
        "@attribute frameTime numeric",
        "@attribute GoldStandard numeric",
        "",
        "",
        "@data",
        "",
    ]
    data = [f"{name},{time},{value:.6f}" for time, value in zip(times, values, strict=True)]
    write_text(
        root / "ratings_gold_standard" / dimension / f"{name}.arff",
        "\n".join([*head, *data]) + "\n",
    )


def _labels(series: dict[str, list[float]]) -> WrittenLabels:
    count = len(series["valence"])
    return WrittenLabels(
        frame_index=np.arange(count, dtype=np.int64),
        emotion=np.full(count, NO_EMOTION, np.int8),
        valence=np.array(series["valence"], np.float32),
        arousal=np.array(series["arousal"], np.float32),
    )
