"""Write clips as our own manifest: one table, and a video for each clip.

The table's columns stand in `emotrace.datasets.manifest`. It alone of all layouts holds everything
that is known of the clip's person: a row for the clip's label, and one for each frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.labels import EMOTIONS
from emotrace.synth.layouts.written import (
    LeftOut,
    WrittenClip,
    WrittenLabels,
    face_of,
    is_active,
    per_frame_labels,
    write_text,
)
from emotrace.video import VideoWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from emotrace.synth.layouts.written import Outcome
    from emotrace.synth.truth import SynthClip, SynthFace

COLUMNS: Final = (
    *("media", "clip", "subject", "session", "condition", "partition", "frame_rate"),
    *("frame", "timestamp", "annotator", "emotion", "valence", "arousal"),
)
DIGITS: Final = 6
CODES: Final = {name: code for code, name in enumerate(EMOTIONS)}


def write_manifest(clips: Iterable[SynthClip], root: Path) -> Iterator[Outcome]:
    """Write `manifest.csv` and the videos under `media`; frames without the face get no row.

    Yields:
        For each clip, what a reader must give back.

    Raises:
        OutputError: A file cannot be written.
    """
    rows: list[dict[str, str]] = []
    for clip in clips:
        media = f"media/{clip.clip_id}.mp4"
        faces = _write_video(clip, root / media)
        labels, shown = _labels(faces)
        if not shown and clip.emotion is None:
            yield LeftOut(source_id=clip.clip_id, reason="nothing is known of it")
            continue
        about = {
            "media": media,
            "clip": clip.clip_id,
            "subject": clip.subject,
            "condition": clip.dynamics,
            "partition": clip.partition or "",
            "frame_rate": repr(clip.frame_rate),
        }
        rows.append({**about, "emotion": clip.emotion or ""})
        rows += [
            {**about, **_frame_row(frame, face, clip.frame_rate)} for frame, face in shown.items()
        ]
        yield WrittenClip(
            source_id=clip.clip_id,
            clip_id=clip.clip_id,
            subject=clip.subject,
            partition=clip.partition,
            emotion=clip.emotion,
            frame_count=len(faces),
            labels=labels if shown else None,
        )
    units = dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)
    columns = (*COLUMNS, *units)
    lines = [",".join(row.get(name, "") for name in columns) for row in rows]
    write_text(root / "manifest.csv", "\n".join([",".join(columns), *lines]) + "\n")


def _write_video(clip: SynthClip, path: Path) -> list[SynthFace | None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    faces = []
    with VideoWriter(path, width=clip.width, height=clip.height) as writer:
        for frame in clip.frames():
            writer.write(frame.image_rgb, frame.timestamp_seconds)
            faces.append(face_of(frame, clip.subject))
    return faces


def _frame_row(frame: int, face: SynthFace, frame_rate: float) -> dict[str, str]:
    row = {
        "frame": str(frame),
        "timestamp": repr(frame / frame_rate),
        "emotion": face.emotion,
        "valence": f"{face.valence:.{DIGITS}f}",
        "arousal": f"{face.arousal:.{DIGITS}f}",
    }
    for unit, intensity in sorted(face.action_units.items()):
        row[f"au{unit}"] = f"{is_active(face, unit):.0f}"
        row[f"au{unit}_intensity"] = f"{intensity:.{DIGITS}f}"
    return row


def _labels(faces: list[SynthFace | None]) -> tuple[WrittenLabels, dict[int, SynthFace]]:
    shown = {frame: face for frame, face in enumerate(faces) if face is not None}
    labels = per_frame_labels(
        list(shown.values()),
        emotions=CODES,
        digits=DIGITS,
        units=sorted({unit for face in shown.values() for unit in face.action_units}),
        intensity_digits=DIGITS,
    )
    return (
        WrittenLabels(
            frame_index=np.array(list(shown), np.int64),
            emotion=labels.emotion,
            valence=labels.valence,
            arousal=labels.arousal,
            action_units=labels.action_units,
            action_unit_intensities=labels.action_unit_intensities,
        ),
        shown,
    )
