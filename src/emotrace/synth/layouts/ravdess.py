"""Write clips as RAVDESS lies on disk: video-only speech, named by seven fields.

The layout and its source stand in `emotrace.datasets.ravdess`. An actor performs each expression in
two intensities, two statements and two repetitions: further clips have no place (those of neutral
go on as calm), nor have contempt, clips without a label and a 25th person.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from emotrace.labels import RAVDESS_CALM, RAVDESS_CODES
from emotrace.synth.layouts.written import LeftOut, SubjectNames, WrittenClip
from emotrace.video import VideoWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from emotrace.synth.layouts.written import Outcome
    from emotrace.synth.truth import SynthClip

ACTORS: Final = 24
_NEUTRAL: Final = 1


def _takes(emotion: str | None) -> list[str]:
    """Return the middle fields (expression to repetition) that an expression has, in order."""
    return [
        f"{code:02d}-{intensity:02d}-{statement:02d}-{repetition:02d}"
        for code in sorted(RAVDESS_CODES, key=lambda code: code == RAVDESS_CALM)
        if RAVDESS_CODES[code] == emotion
        for intensity in ((1,) if code == _NEUTRAL else (1, 2))
        for statement in (1, 2)
        for repetition in (1, 2)
    ]


def write_ravdess(clips: Iterable[SynthClip], root: Path) -> Iterator[Outcome]:
    """Write clips under `Actor_01` to `Actor_24`.

    Yields:
        For each clip, what a reader must give back.

    Raises:
        OutputError: A file cannot be written.
    """
    actors = SubjectNames([f"Actor_{number:02d}" for number in range(1, ACTORS + 1)])
    taken: Counter[tuple[str, str | None]] = Counter()
    for clip in clips:
        takes = _takes(clip.emotion)
        if not takes:
            reason = f"RAVDESS has no expression {clip.emotion}"
            yield LeftOut(source_id=clip.clip_id, reason=reason)
            continue
        actor = actors.name(clip.subject)
        if actor is None or taken[actor, clip.emotion] == len(takes):
            reason = f"RAVDESS has {ACTORS} actors and {len(takes)} clips of {clip.emotion} each"
            yield LeftOut(source_id=clip.clip_id, reason=reason)
            continue
        stem = f"02-01-{takes[taken[actor, clip.emotion]]}-{actor.removeprefix('Actor_')}"
        taken[actor, clip.emotion] += 1
        (root / actor).mkdir(parents=True, exist_ok=True)
        with VideoWriter(
            root / actor / f"{stem}.mp4", width=clip.width, height=clip.height
        ) as writer:
            for frame in clip.frames():
                writer.write(frame.image_rgb, frame.timestamp_seconds)
        yield WrittenClip(
            source_id=clip.clip_id,
            clip_id=stem,
            subject=actor,
            partition=None,
            emotion=clip.emotion,
            frame_count=writer.frame_count,
        )
