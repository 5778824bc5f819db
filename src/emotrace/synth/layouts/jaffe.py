"""Write clips as JAFFE lies on disk: one grey TIFF of 256 x 256 px for each, at the peak.

The layout and its source stand in `emotrace.datasets.jaffe`. JAFFE has ten people, nine repetitions
at most in a name, and no contempt; what does not fit is left out.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from emotrace.labels import JAFFE_CODES
from emotrace.synth.layouts.written import (
    LeftOut,
    SubjectNames,
    WrittenClip,
    crop_square,
    peak_face,
    to_grey,
    write_picture,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from emotrace.synth.layouts.written import Outcome
    from emotrace.synth.truth import SynthClip

SUBJECTS: Final = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
CODES: Final = {name: code for code, name in JAFFE_CODES.items()}
_SIZE_PX: Final = 256
_MOST: Final = 9
_SQUARE_SCALE: Final = 1.5
"""JAFFE shows head and hair with some room around."""


def write_jaffe(clips: Iterable[SynthClip], root: Path) -> Iterator[Outcome]:
    """Write one picture for each clip.

    Yields:
        For each clip, what a reader must give back.

    Raises:
        OutputError: A file cannot be written.
    """
    names = SubjectNames(SUBJECTS)
    repetitions: Counter[str] = Counter()
    number = 0
    for clip in clips:
        if clip.emotion not in CODES:
            yield LeftOut(source_id=clip.clip_id, reason=f"JAFFE has no label for {clip.emotion}")
            continue
        subject = names.name(clip.subject)
        kind = f"{subject}.{CODES[clip.emotion]}"
        if subject is None or repetitions[kind] == _MOST:
            reason = f"JAFFE has {len(SUBJECTS)} people and {_MOST} pictures of one expression"
            yield LeftOut(source_id=clip.clip_id, reason=reason)
            continue
        peak = peak_face(clip)
        if peak is None:
            yield LeftOut(source_id=clip.clip_id, reason="no frame shows the face")
            continue
        repetitions[kind] += 1
        number += 1
        stem = f"{kind}{repetitions[kind]}.{number}"
        frame, face = peak
        crop = crop_square(frame.image_rgb, face.box_xywh_px, size_px=_SIZE_PX, scale=_SQUARE_SCALE)
        write_picture(root / f"{stem}.tiff", to_grey(crop))
        yield WrittenClip(
            source_id=clip.clip_id,
            clip_id=stem,
            subject=subject,
            partition=None,
            emotion=clip.emotion,
            frame_count=1,
        )
