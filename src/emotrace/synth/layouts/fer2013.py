"""Write clips as FER2013 and FER+ lie on disk: one grey face of 48 x 48 px for each, at the peak.

The layouts and their sources stand in `emotrace.datasets.fer2013` and `.ferplus_csv`. Rows are in
the order Training, PublicTest, PrivateTest, as in the published file. Neither set names people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.labels import EMOTIONS, FER2013_NAMES, FERPLUS_VOTE_COLUMNS
from emotrace.synth.layouts.written import (
    LeftOut,
    WrittenClip,
    WrittenLabels,
    crop_square,
    peak_face,
    to_grey,
    write_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.synth.layouts.written import Outcome
    from emotrace.synth.truth import Partition, SynthClip

CODES: Final = {name: code for code, name in enumerate(FER2013_NAMES.values())}
USAGES: Final[dict[Partition, str]] = {
    "train": "Training",
    "validation": "PublicTest",
    "test": "PrivateTest",
}
HEADING: Final = "emotion,pixels,Usage"
VOTES_HEADING: Final = ",".join(("Usage", "Image name", *FERPLUS_VOTE_COLUMNS, "unknown", "NF"))
VOTES: Final = 10
VOTES_FOR_LABEL: Final = 8
"""Of ten; of the others one says neutral and one unknown, as annotators do."""
_SIZE_PX: Final = 48
_SQUARE_SCALE: Final = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class _Face:
    source_id: str
    emotion: str
    partition: Partition
    image: NDArray[np.uint8]


def write_fer2013(clips: Iterable[SynthClip], root: Path) -> Iterator[Outcome]:
    """Write `fer2013.csv`; clips without a label and contempt have no place in it.

    Yields:
        For each clip, what a reader must give back.

    Raises:
        OutputError: The file cannot be written.
    """
    faces: list[_Face] = []
    yield from _collect(clips, faces, tuple(CODES))
    for row, face in enumerate(_write_pixels(root, faces)):
        yield WrittenClip(
            source_id=face.source_id,
            clip_id=f"{row:05d}",
            subject=None,
            partition=face.partition,
            emotion=face.emotion,
            frame_count=1,
        )


def write_ferplus_csv(clips: Iterable[SynthClip], root: Path) -> Iterator[Outcome]:
    """Write `fer2013.csv` and `fer2013new.csv`; clips without a label have no place in them.

    FER2013 has no contempt: there such a face counts as neutral, and only the votes know better.

    Yields:
        For each clip, what a reader must give back.

    Raises:
        OutputError: A file cannot be written.
    """
    faces: list[_Face] = []
    yield from _collect(clips, faces, EMOTIONS)
    lines = [VOTES_HEADING]
    ordered = _write_pixels(root, faces)
    for row, face in enumerate(ordered):
        votes = dict.fromkeys((*FERPLUS_VOTE_COLUMNS.values(), "unknown", "NF"), 0)
        votes[face.emotion] += VOTES_FOR_LABEL
        votes["neutral"] += 1
        votes["unknown"] += VOTES - VOTES_FOR_LABEL - 1
        counts = ",".join(str(count) for count in votes.values())
        lines.append(f"{USAGES[face.partition]},fer{row:07d}.png,{counts}")
    write_text(root / "fer2013new.csv", "\n".join(lines) + "\n")
    nothing = np.full(1, np.nan, np.float32)
    for row, face in enumerate(ordered):
        yield WrittenClip(
            source_id=face.source_id,
            clip_id=f"fer{row:07d}",
            subject=None,
            partition=face.partition,
            emotion=face.emotion,
            frame_count=1,
            labels=WrittenLabels(
                frame_index=np.zeros(1, np.int64),
                emotion=np.array([EMOTIONS.index(face.emotion)], np.int8),
                valence=nothing,
                arousal=nothing,
            ),
        )


def _collect(
    clips: Iterable[SynthClip], faces: list[_Face], labels: tuple[str, ...]
) -> Iterator[LeftOut]:
    """Put each clip's peak into `faces`; yield those that have no place."""
    for clip in clips:
        if clip.emotion not in labels:
            reason = f"the set has no label for {clip.emotion}"
            yield LeftOut(source_id=clip.clip_id, reason=reason)
            continue
        peak = peak_face(clip)
        if peak is None:
            yield LeftOut(source_id=clip.clip_id, reason="no frame shows the face")
            continue
        frame, face = peak
        crop = crop_square(frame.image_rgb, face.box_xywh_px, size_px=_SIZE_PX, scale=_SQUARE_SCALE)
        faces.append(
            _Face(
                source_id=clip.clip_id,
                emotion=clip.emotion,
                partition=clip.partition or "train",
                image=to_grey(crop),
            )
        )


def _write_pixels(root: Path, faces: list[_Face]) -> list[_Face]:
    """Write `fer2013.csv`; return the faces in the order of its rows."""
    ordered = [face for part in USAGES for face in faces if face.partition == part]
    lines = [HEADING]
    for face in ordered:
        pixels = " ".join(map(str, face.image.ravel().tolist()))
        code = CODES.get(face.emotion, CODES["neutral"])
        lines.append(f"{code},{pixels},{USAGES[face.partition]}")
    write_text(root / "fer2013.csv", "\n".join(lines) + "\n")
    return ordered
