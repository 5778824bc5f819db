"""JAFFE, Japanese female facial expression: 213 grey pictures of 10 women, 7 posed expressions.

On disk, as the set's README describes the names (person, expression and its repetition, running
number)::

    KA.AN1.39.tiff   KA.AN2.40.tiff   ...   YM.SU3.66.tiff        256 x 256 px, grey

in one folder, or in a folder `jaffe` (or `jaffedbase`) inside it. Codes: NE neutral, HA happiness,
SA sadness, SU surprise, AN anger, DI disgust, FE fear.

Source: Lyons, Akamatsu, Kamachi and Gyoba (1998), Face and Gesture Recognition, 200-205.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from emotrace.datasets.findings import Findings
from emotrace.datasets.label_files import require_folder, visible_files, wrong_folder
from emotrace.datasets.records import ClipRecord
from emotrace.labels import JAFFE_CODES

NAME: Final = "jaffe"
TITLE: Final = "JAFFE"
IMAGE_SIZE_PX: Final = 256
FOLDERS: Final = (".", "jaffe", "jaffedbase")
SUBJECTS: Final = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")

_PICTURE: Final = re.compile(r"([A-Z]{2})\.([A-Z]{2})([0-9])\.([0-9]{1,3})\.tiff?")


def read_jaffe(root: str | Path, *, findings: Findings | None = None) -> list[ClipRecord]:
    """Read every picture as a clip of one frame.

    Args:
        root: The folder that holds the pictures, or their folder `jaffe`.
        findings: Where problems go; the first is raised unless given.

    Raises:
        DatasetError: The folder is another, or a picture's name is not of the set.
    """
    root, findings = Path(root), findings or Findings()
    looked_for = ("KA.AN1.39.tiff", "jaffe/KA.AN1.39.tiff")
    require_folder(root, title=TITLE, looked_for=looked_for)
    candidates = [
        visible_files(folder, "*.tif*")
        for folder in (root / name for name in FOLDERS)
        if folder.is_dir()
    ]
    pictures = next((paths for paths in candidates if paths), [])
    if not pictures:
        raise wrong_folder(root, title=TITLE, looked_for=looked_for)
    records = []
    for path in pictures:
        with findings.per_clip():
            records.append(_read_picture(path, findings))
    return [record for record in records if record is not None]


def _read_picture(path: Path, findings: Findings) -> ClipRecord | None:
    match = _PICTURE.fullmatch(path.name)
    if not match or match[1] not in SUBJECTS or match[2] not in JAFFE_CODES:
        findings.add(
            f"{path}: expected a name like KA.AN1.39.tiff with a person out of "
            f"{', '.join(SUBJECTS)} and an expression out of {', '.join(JAFFE_CODES)}; got "
            f"{path.name}; restore the file from the data set's archive"
        )
        return None
    return ClipRecord(
        clip_id=path.stem,
        dataset=NAME,
        media=(path,),
        subject=match[1],
        emotion=JAFFE_CODES[match[2]],
    )
