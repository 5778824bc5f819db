"""What is known of the expressions in the shared clips, for the benchmarks that import it.

Read off the clips' own README: seven generated faces that act the expression in their file's name,
a man who is neutral and then smiles (three times, in files of different kinds), and a woman who
cries and then laughs. The other clips hold faces of whose expressions nothing is known.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStretch:
    """A stretch of a clip in which its main face is known to show one expression."""

    clip: str
    emotion: str
    start_seconds: float = 0.0
    end_seconds: float = 1e9


GENERATED = tuple(
    KnownStretch(clip=f"generated_{word}.mp4", emotion=emotion)
    for word, emotion in (
        ("angry", "anger"),
        ("disgust", "disgust"),
        ("fear", "fear"),
        ("happy", "happiness"),
        ("neutral", "neutral"),
        ("sadness", "sadness"),
        ("surprise", "surprise"),
    )
)
"""Generated faces; one expression throughout."""

FILMED = (
    *(
        KnownStretch(
            clip=clip, emotion=emotion, start_seconds=offset + start, end_seconds=offset + end
        )
        for clip, offset in (
            ("single_face.mp4", 0.0),
            ("face_noface.mov", 0.0),
            ("noface_face.mov", 3.945),
        )
        for emotion, start, end in (("neutral", 0.0, 0.4), ("happiness", 1.0, 2.3))
    ),
    KnownStretch(clip="crying_then_laughing.mp4", emotion="sadness", end_seconds=2.4),
    KnownStretch(clip="crying_then_laughing.mp4", emotion="happiness", start_seconds=11.0),
)
"""Real people. The README gives the turn to the smile as "about 0.5 s" and "about 9 to 10 s": what
lies around it is left out. From 2.5 to 9 s a hand covers the crying woman's face."""

KNOWN = (*GENERATED, *FILMED)
