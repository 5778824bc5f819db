"""Write clips as CK+ lies on disk: neutral to peak, a label for the peak alone.

The layout and its source stand in `emotrace.datasets.ckplus`. A clip is cut at its peak, because a
CK+ sequence ends there; a clip without a label gets no emotion file, as 266 of CK+'s have none.
Pictures are grey, as most of CK+'s are.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.labels import CKPLUS_ACTION_UNITS, CKPLUS_CODES
from emotrace.synth.layouts.written import (
    ACTIVE_FROM,
    NO_EMOTION,
    LeftOut,
    SubjectNames,
    WrittenClip,
    WrittenLabels,
    face_of,
    to_grey,
    write_picture,
    write_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from emotrace.synth.layouts.written import Outcome
    from emotrace.synth.truth import SynthClip, SynthFace

CODES: Final = {name: code for code, name in CKPLUS_CODES.items()}
GRADES: Final = 5
_LAST: Final = 999


def write_ckplus(clips: Iterable[SynthClip], root: Path) -> Iterator[Outcome]:
    """Write clips under `cohn-kanade-images`, `Emotion` and `FACS`.

    Yields:
        For each clip, what a reader must give back.

    Raises:
        OutputError: A file cannot be written.
    """
    names = SubjectNames([f"S{number:03d}" for number in range(1, _LAST + 1)])
    sequences: Counter[str] = Counter()
    for clip in clips:
        subject = names.name(clip.subject)
        if subject is None or sequences[subject] == _LAST:
            yield LeftOut(source_id=clip.clip_id, reason="CK+ numbers people and sequences to 999")
            continue
        sequences[subject] += 1
        yield _write_clip(clip, root, subject, f"{sequences[subject]:03d}")


def _write_clip(clip: SynthClip, root: Path, subject: str, sequence: str) -> WrittenClip:
    stem = f"{subject}_{sequence}"
    folder = root / "cohn-kanade-images" / subject / sequence
    peak: tuple[int, SynthFace] | None = None
    written = []
    for frame in clip.frames():
        path = folder / f"{stem}_{frame.index + 1:08d}.png"
        write_picture(path, to_grey(frame.image_rgb))
        written.append(path)
        face = face_of(frame, clip.subject)
        if face is not None and (peak is None or face.intensity > peak[1].intensity):
            peak = (frame.index, face)
    # The peak is known only when all has been drawn; drawing twice would take longer.
    count = len(written) if peak is None else peak[0] + 1
    for path in written[count:]:
        path.unlink()
    last = f"{stem}_{count:08d}"
    if clip.emotion is not None:
        write_text(
            root / "Emotion" / subject / sequence / f"{last}_emotion.txt",
            f"   {CODES[clip.emotion]:.7e}\n",
        )
    labels = None
    if peak is not None:
        grades = _grades(peak[1])
        lines = [f"   {unit:.7e}   {grade:.7e}\n" for unit, grade in grades.items() if grade]
        facs = root / "FACS" / subject / sequence / f"{last}_facs.txt"
        write_text(facs, "".join(lines))
        labels = _labels(peak[0], grades)
    return WrittenClip(
        source_id=clip.clip_id,
        clip_id=stem,
        subject=subject,
        partition=None,
        emotion=clip.emotion,
        frame_count=count,
        labels=labels,
    )


def _grades(face: SynthFace) -> dict[int, int]:
    """Return FACS grades: 1 to 5 for A to E, 0 for a unit that is not active."""
    return {
        unit: min(max(math.floor(value * GRADES + 0.5), 1), GRADES) if value >= ACTIVE_FROM else 0
        for unit, value in sorted(face.action_units.items())
        if unit in CKPLUS_ACTION_UNITS
    }


def _labels(frame: int, grades: dict[int, int]) -> WrittenLabels:
    nothing = np.full(1, np.nan, np.float32)
    return WrittenLabels(
        frame_index=np.array([frame], np.int64),
        emotion=np.full(1, NO_EMOTION, np.int8),
        valence=nothing,
        arousal=nothing,
        action_units={u: np.array([g > 0], np.float32) for u, g in grades.items()},
        action_unit_intensities={u: np.array([g / GRADES], np.float32) for u, g in grades.items()},
    )
