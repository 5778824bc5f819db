"""RAVDESS: 24 actors speak and sing two sentences in eight expressions; video without sound here.

On disk, as the set's own description on Zenodo (record 1188976) has it::

    Actor_01/02-01-06-01-02-01-01.mp4         or Video_Speech_Actor_01/Actor_01/...

The seven fields of a name: modality (01 sound and video, 02 video only, 03 sound only), channel (01
speech, 02 song), expression (01 neutral, 02 calm, 03 happy, 04 sad, 05 angry, 06 fearful, 07
disgust, 08 surprised), intensity (01 normal, 02 strong; neutral is never strong), statement,
repetition, actor (odd: male). Song has no disgust and no surprise.

Source: Livingstone and Russo (2018), PLoS ONE 13(5), e0196391.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from emotrace.datasets.findings import Findings
from emotrace.datasets.label_files import require_folder, visible_files, wrong_folder
from emotrace.datasets.records import ClipRecord
from emotrace.errors import DatasetError, UsageError
from emotrace.labels import RAVDESS_CALM, RAVDESS_CODES

NAME: Final = "ravdess"
TITLE: Final = "RAVDESS"
ACTORS: Final = 24
FRAME_RATE: Final = 30_000 / 1_001
"""29.97 frames a second (Livingstone and Russo, 2018)."""
CHANNELS: Final = {1: "speech", 2: "song"}
INTENSITIES: Final = {1: "normal", 2: "strong"}

Modality = Literal["video-only", "audio-video"]
Channel = Literal["speech", "song", "both"]
Neutral = Literal["both", "calm", "neutral"]

_MODALITIES: Final[dict[str, int]] = {"audio-video": 1, "video-only": 2}
_NAME: Final = re.compile(r"-".join([r"([0-9]{2})"] * 7) + r"\.mp4")
_SONG_HAS_NOT: Final = (7, 8)
_NEUTRAL: Final = 1


def read_ravdess(
    root: str | Path,
    *,
    modality: Modality = "video-only",
    channel: Channel = "speech",
    neutral: Neutral = "both",
    findings: Findings | None = None,
) -> list[ClipRecord]:
    """Read every clip; `condition` is `speech/normal` and so on.

    Args:
        root: The folder that holds `Actor_01` or `Video_Speech_Actor_01`, and so on.
        modality: Which of the two copies of each clip.
        channel: What is performed.
        neutral: Calm is neutral to us. `calm` leaves the set's own neutral out, as abdullah2020
            does; `neutral` leaves calm out.
        findings: Where problems go; the first is raised unless given.

    Raises:
        UsageError: An option has a value that it does not know.
        DatasetError: The folder is another, or a name in it is not of the set.
    """
    root, findings = Path(root), findings or Findings()
    for name, value, known in (
        ("modality", modality, tuple(_MODALITIES)),
        ("channel", channel, (*CHANNELS.values(), "both")),
        ("neutral", neutral, ("both", "calm", "neutral")),
    ):
        if value not in known:
            raise UsageError(f"expected {name} to be one of {', '.join(known)}; got {value!r}")
    looked_for = ("Actor_01/02-01-06-01-02-01-01.mp4", "Video_Speech_Actor_01/Actor_01/")
    require_folder(root, title=TITLE, looked_for=looked_for)
    folders = [
        *sorted(root.glob("Actor_[0-9][0-9]")),
        *sorted(root.glob("Video_*/Actor_[0-9][0-9]")),
    ]
    clips: dict[str, tuple[Path, tuple[int, ...]]] = {}
    for path in (path for folder in folders for path in visible_files(folder, "*.mp4")):
        with findings.per_clip():
            fields = _fields(path)
            if path.stem in clips:
                raise DatasetError(
                    f"expected {path.name} once; got {clips[path.stem][0]} and {path}; "
                    "remove one of them"
                )
            clips[path.stem] = (path, fields)
    if not clips and not findings.problems:
        raise wrong_folder(root, title=TITLE, looked_for=looked_for)
    left_out = {"both": 0, "calm": _NEUTRAL, "neutral": RAVDESS_CALM}[neutral]
    return [
        _record(path, fields)
        for path, fields in clips.values()
        if fields[0] == _MODALITIES[modality]
        and channel in ("both", CHANNELS[fields[1]])
        and fields[2] != left_out
    ]


def _record(path: Path, fields: tuple[int, ...]) -> ClipRecord:
    return ClipRecord(
        clip_id=path.stem,
        dataset=NAME,
        media=path,
        subject=f"Actor_{fields[6]:02d}",
        session=f"statement {fields[4]}, repetition {fields[5]}",
        condition=f"{CHANNELS[fields[1]]}/{INTENSITIES[fields[3]]}",
        emotion=RAVDESS_CODES[fields[2]],
        frame_rate=FRAME_RATE,
    )


def _fields(path: Path) -> tuple[int, ...]:
    """Split a name into its seven numbers and check each."""
    match = _NAME.fullmatch(path.name)
    if not match:
        raise DatasetError(
            f"{path}: expected seven two-digit fields as in 02-01-06-01-02-01-12.mp4; "
            f"got {path.name}; restore the file from the data set's archive"
        )
    fields = tuple(int(group) for group in match.groups())
    known = (
        ("modality", (1, 2, 3)),
        ("channel", tuple(CHANNELS)),
        ("expression", tuple(RAVDESS_CODES)),
        ("intensity", tuple(INTENSITIES)),
        ("statement", (1, 2)),
        ("repetition", (1, 2)),
        ("actor", (int(path.parent.name.removeprefix("Actor_")),)),
    )
    for value, (name, allowed) in zip(fields, known, strict=True):
        if value not in allowed:
            listed = ", ".join(f"{code:02d}" for code in allowed)
            raise DatasetError(
                f"{path}: expected the {name} to be one of {listed}; got {value:02d}; "
                "restore the file from the data set's archive"
            )
    is_odd = (fields[2] == _NEUTRAL and fields[3] != 1) or (
        CHANNELS[fields[1]] == "song" and fields[2] in _SONG_HAS_NOT
    )
    if is_odd:
        raise DatasetError(
            f"{path}: expected no strong neutral, and no disgust or surprise in song; "
            f"got {path.name}; restore the file from the data set's archive"
        )
    return fields
