"""Write clips as Oulu-CASIA lies on disk: neutral to peak, one sequence for each light.

The layout and its source stand in `emotrace.datasets.oulu_casia`. There is one sequence of each
person and expression for a camera and a light: a second clip of the same goes to the next light,
a seventh has no place. Neutral, contempt and clips without a label have none either.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from emotrace.labels import OULU_CASIA_NAMES
from emotrace.synth.layouts.written import (
    LeftOut,
    SubjectNames,
    WrittenClip,
    face_of,
    write_picture,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from emotrace.synth.layouts.written import Outcome
    from emotrace.synth.truth import SynthClip

NAMES: Final = {ours: theirs for theirs, ours in OULU_CASIA_NAMES.items()}
CONDITIONS: Final = tuple(
    (camera, light) for camera in ("VL", "NI") for light in ("Strong", "Weak", "Dark")
)
_MOST_PICTURES: Final = 1000
"""Names have three digits."""


def write_oulu_casia(clips: Iterable[SynthClip], root: Path) -> Iterator[Outcome]:
    """Write clips under `OriginalImg`.

    Yields:
        For each clip, what a reader must give back.

    Raises:
        OutputError: A file cannot be written.
    """
    subjects = SubjectNames([f"P{number:03d}" for number in range(1, 1000)])
    taken: Counter[tuple[str, str]] = Counter()
    for clip in clips:
        reason = None
        subject = subjects.name(clip.subject)
        if clip.emotion not in NAMES:
            reason = f"Oulu-CASIA has no sequences of {clip.emotion}"
        elif subject is None or clip.frame_count > _MOST_PICTURES:
            reason = "Oulu-CASIA numbers people to 999 and pictures to 999"
        elif taken[subject, clip.emotion] == len(CONDITIONS):
            reason = f"Oulu-CASIA has {len(CONDITIONS)} sequences of one person and expression"
        if reason is not None or subject is None or clip.emotion is None:
            yield LeftOut(source_id=clip.clip_id, reason=str(reason))
            continue
        camera, light = CONDITIONS[taken[subject, clip.emotion]]
        taken[subject, clip.emotion] += 1
        name = NAMES[clip.emotion]
        folder = root / "OriginalImg" / camera / light / subject / name
        yield WrittenClip(
            source_id=clip.clip_id,
            clip_id=f"{camera}_{light}_{subject}_{name}",
            subject=subject,
            partition=None,
            emotion=clip.emotion,
            frame_count=_write_to_peak(clip, folder),
        )


def _write_to_peak(clip: SynthClip, folder: Path) -> int:
    """Write the pictures up to the peak; return how many."""
    written = []
    strongest = -1.0
    count = 0
    for frame in clip.frames():
        path = folder / f"{frame.index:03d}.jpeg"
        write_picture(path, frame.image_rgb)
        written.append(path)
        face = face_of(frame, clip.subject)
        if face is not None and face.intensity > strongest:
            strongest, count = face.intensity, len(written)
    count = count or len(written)
    for path in written[count:]:
        path.unlink()
    return count
