"""Write clips as Aff-Wild2 lies on disk: cropped faces, and a label file a task for each person.

The layout and its source stand in `emotrace.datasets.affwild2`. A frame in which the face is out of
sight has no picture, and -1 or -5 in the label files. Of a clip with several people, the two who
are seen longest are annotated, as `_left` and `_right`. Contempt is Aff-Wild2's `Other`. The part
of a clip that has none is training. The test part's labels are not handed out, so that a clip of it
is written as pictures alone and no reader finds it.
"""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.labels import AFFWILD2_ACTION_UNITS, AFFWILD2_CODES, AFFWILD2_NAMES, EMOTIONS
from emotrace.synth.layouts.written import (
    NO_EMOTION,
    LeftOut,
    WrittenClip,
    WrittenLabels,
    crop_square,
    emotion_code,
    face_of,
    is_active,
    per_frame_labels,
    round_to,
    write_picture,
    write_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from emotrace.synth.layouts.written import Outcome
    from emotrace.synth.truth import SynthClip, SynthFace

CODES: Final = {name: code for code, name in AFFWILD2_CODES.items() if name is not None}
OTHER: Final = next(code for code, name in AFFWILD2_CODES.items() if name is None)
DIGITS: Final = 3
_PARTS: Final = {"train": "Train_Set", "validation": "Validation_Set"}
_SIZE_PX: Final = 112
_SQUARE_SCALE: Final = 1.1
_ANNOTATED: Final = 2


def write_affwild2(clips: Iterable[SynthClip], root: Path) -> Iterator[Outcome]:
    """Write clips under `cropped_aligned` and `annotations`.

    Yields:
        For each annotated person of a clip, what a reader must give back.

    Raises:
        OutputError: A file cannot be written.
    """
    for number, clip in enumerate(clips, start=1):
        name = f"{number}-{round(clip.frame_rate):02d}-{clip.width}x{clip.height}"
        faces = _write_crops(clip, root / "cropped_aligned", name)
        if not faces:
            yield LeftOut(source_id=clip.clip_id, reason="no frame shows a face")
        for person, series in faces.items():
            if clip.partition == "test":
                reason = "written as pictures alone: Aff-Wild2's test labels are not handed out"
                yield LeftOut(source_id=clip.clip_id, reason=reason)
                continue
            part = clip.partition or "train"
            _write_labels(root / "annotations", _PARTS[part], person, series)
            yield WrittenClip(
                source_id=clip.clip_id,
                clip_id=person,
                subject=None,
                partition=part,
                emotion=None,
                frame_count=sum(face is not None for face in series),
                labels=_labels(series),
            )


def _write_crops(clip: SynthClip, parent: Path, name: str) -> dict[str, list[SynthFace | None]]:
    """Write each person's crops; return each annotated person's faces, one for each frame."""
    subjects: list[str] = []
    frames = []
    for frame in clip.frames():
        subjects += [face.subject for face in frame.faces if face.subject not in subjects]
        for place, subject in enumerate(subjects):
            face = face_of(frame, subject)
            if face is not None and face.visible_share > 0:
                crop = crop_square(
                    frame.image_rgb, face.box_xywh_px, size_px=_SIZE_PX, scale=_SQUARE_SCALE
                )
                write_picture(parent / f"{name}_person{place}" / f"{frame.index + 1:05d}.jpg", crop)
        frames.append({f.subject: f for f in frame.faces if f.visible_share > 0})
    seen = Counter(subject for faces in frames for subject in faces)
    annotated = [subject for subject, _ in seen.most_common(_ANNOTATED)]
    # From left to right, by where each is on average.
    annotated.sort(key=lambda s: float(np.mean([f[s].box_xywh_px[0] for f in frames if s in f])))
    endings = ("_left", "_right") if len(annotated) == _ANNOTATED else ("",)
    series = {}
    for place, subject in enumerate(subjects):
        folder = parent / f"{name}_person{place}"
        if subject in annotated:
            person = f"{name}{endings[annotated.index(subject)]}"
            folder.rename(parent / person)
            series[person] = [faces.get(subject) for faces in frames]
        elif folder.is_dir():
            shutil.rmtree(folder)
    return dict(sorted(series.items()))


def _write_labels(parent: Path, part: str, name: str, faces: list[SynthFace | None]) -> None:
    codes = [emotion_code(face, {**dict.fromkeys(EMOTIONS, OTHER), **CODES}) for face in faces]
    values = [
        "-5,-5"
        if f is None
        else f"{round_to(f.valence, DIGITS):.3f},{round_to(f.arousal, DIGITS):.3f}"
        for f in faces
    ]
    units = [
        ",".join(
            _unit_text(np.nan if face is None else is_active(face, unit))
            for unit in AFFWILD2_ACTION_UNITS
        )
        for face in faces
    ]
    for task, heading, lines in (
        ("EXPR_Set", ",".join(AFFWILD2_NAMES), [str(code) for code in codes]),
        ("VA_Set", "valence,arousal", values),
        ("AU_Set", ",".join(f"AU{unit}" for unit in AFFWILD2_ACTION_UNITS), units),
    ):
        write_text(parent / task / part / f"{name}.txt", "\n".join([heading, *lines]) + "\n")


def _unit_text(value: float) -> str:
    return str(NO_EMOTION) if np.isnan(value) else f"{value:.0f}"


def _labels(faces: list[SynthFace | None]) -> WrittenLabels:
    return per_frame_labels(faces, emotions=CODES, digits=DIGITS, units=AFFWILD2_ACTION_UNITS)
