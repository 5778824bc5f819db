"""Oulu-CASIA NIR-VIS: six posed expressions of 80 people, two cameras, three lights.

On disk, as the code that reads the archives `OriginalImg` and `PreProcess_Img` has it::

    OriginalImg/VL/Strong/P001/Anger/000.jpeg, 001.jpeg, ...          320 x 240 px
    PreProcess_Img/VL_Acropped/Strong/P001/Anger/000.jpeg, ...        the face, cropped and aligned

`VL` is the visible-light camera, `NI` the near-infrared one; the lights are `Strong`, `Weak` and
`Dark`. A sequence runs from neutral to the peak. 80 x 6 sequences for each camera and light.

Source: Zhao, Huang, Taini, Li and Pietikainen (2011), Image and Vision Computing 29(9), 607-619.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from emotrace.datasets.findings import Findings
from emotrace.datasets.label_files import require_folder, wrong_folder
from emotrace.datasets.records import ClipRecord
from emotrace.errors import DatasetError, UsageError
from emotrace.labels import OULU_CASIA_NAMES

NAME: Final = "oulu-casia"
TITLE: Final = "Oulu-CASIA"
CAMERAS: Final = ("VL", "NI")
LIGHTS: Final = ("Strong", "Weak", "Dark")
FRAME_RATE: Final = 25.0
"""25 frames a second (Zhao et al., 2011); the pictures carry no times."""
ORIGINAL: Final = "OriginalImg"

_CROPPED_FOLDERS: Final = ("PreProcess_Img", "PreProcessImg", "PreProcess")
_PICTURE: Final = re.compile(r"([0-9]{3})\.jpe?g")
_SUBJECT: Final = re.compile(r"P[0-9]{3}")


def read_oulu_casia(
    root: str | Path,
    *,
    images: Literal["original", "cropped"] = "original",
    findings: Findings | None = None,
) -> list[ClipRecord]:
    """Read every sequence of every camera and light; `condition` is `VL/Strong` and so on.

    Args:
        root: The folder that holds `OriginalImg` or `PreProcess_Img`, or what lies in one of them.
        images: Whole pictures, or the set's own crops.
        findings: Where problems go; the first is raised unless given.

    Raises:
        UsageError: `images` is neither of the two.
        DatasetError: The folder is another, or a sequence in it is damaged.
    """
    root, findings = Path(root), findings or Findings()
    parents: tuple[str, ...]
    if images == "original":
        parents, ending = ("", ORIGINAL), ""
    elif images == "cropped":
        parents, ending = ("", *_CROPPED_FOLDERS), "_Acropped"
    else:
        raise UsageError(f"expected images to be original or cropped; got {images!r}")
    looked_for = [f"{Path(parent, f'VL{ending}', 'Strong')}/" for parent in parents]
    require_folder(root, title=TITLE, looked_for=looked_for)
    records = []
    for parent in parents:
        for camera in CAMERAS:
            for light in LIGHTS:
                folder = root / parent / f"{camera}{ending}" / light
                records += _read_condition(folder, f"{camera}/{light}", findings)
    if not records and not findings.problems:
        raise wrong_folder(root, title=TITLE, looked_for=looked_for)
    return records


def _read_condition(folder: Path, condition: str, findings: Findings) -> list[ClipRecord]:
    if not folder.is_dir():
        return []
    records = []
    for subject in sorted(path for path in folder.iterdir() if _SUBJECT.fullmatch(path.name)):
        for sequence in sorted(path for path in subject.iterdir() if path.is_dir()):
            with findings.per_clip():
                records.append(_read_sequence(sequence, condition))
    return records


def _read_sequence(folder: Path, condition: str) -> ClipRecord:
    subject = folder.parent.name
    if folder.name not in OULU_CASIA_NAMES:
        raise DatasetError(
            f"{folder}: expected a folder named {', '.join(OULU_CASIA_NAMES)}; "
            f"got {folder.name!r}; restore it from the data set's archive"
        )
    numbers = {}
    for path in folder.iterdir():
        if match := _PICTURE.fullmatch(path.name):
            numbers[int(match[1])] = path
    pictures = tuple(numbers[number] for number in sorted(numbers))
    first = min(numbers, default=0)
    missing = next((n for n in range(first, first + len(numbers)) if n not in numbers), None)
    if not pictures or first > 1 or missing is not None:
        got = "no picture at all" if not pictures else f"none numbered {missing or 0:03d}"
        raise DatasetError(
            f"{folder}: expected pictures 000.jpeg, 001.jpeg, ... without a gap; got {got}; "
            "restore them from the data set's archive"
        )
    return ClipRecord(
        clip_id=f"{condition.replace('/', '_')}_{subject}_{folder.name}",
        dataset=NAME,
        media=pictures,
        subject=subject,
        session=folder.name,
        condition=condition,
        emotion=OULU_CASIA_NAMES[folder.name],
        frame_rate=FRAME_RATE,
    )
