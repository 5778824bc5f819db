"""CK+, the extended Cohn-Kanade set: 593 posed sequences from neutral to peak, 123 people.

On disk, as the set's ReadMe and the code that reads it have it (among others the loaders
`hcai_datasets/hcai_ckplus` and `sucv/phd2`)::

    cohn-kanade-images/S005/001/S005_001_00000001.png ... S005_001_00000011.png
    Emotion/S005/001/S005_001_00000011_emotion.txt   one number  `   3.0000000e+00`
    FACS/S005/001/S005_001_00000011_facs.txt         lines  `   9.0000000e+00   0.0000000e+00`

Only 327 of the sequences have an emotion file; it is named after the last picture, the peak. Codes:
0 neutral, 1 anger, 2 contempt, 3 disgust, 4 fear, 5 happy, 6 sadness, 7 surprise. A FACS line is an
action unit and its intensity: 1 to 5 for A to E, 0 for a unit that is there but was not graded.

Source: Lucey, Cohn, Kanade, Saragih, Ambadar and Matthews (2010), CVPR Workshops, 94-101.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np

from emotrace.datasets.findings import Findings
from emotrace.datasets.label_files import (
    label_error,
    read_lines,
    require_folder,
    visible_files,
    wrong_folder,
)
from emotrace.datasets.records import ClipRecord, FrameLabels, make_frame_labels
from emotrace.errors import DatasetError
from emotrace.labels import CKPLUS_ACTION_UNITS, CKPLUS_CODES

NAME: Final = "ckplus"
TITLE: Final = "CK+"
IMAGES: Final = "cohn-kanade-images"
EMOTION: Final = "Emotion"
FACS: Final = "FACS"
FRAME_RATE: Final = 30.0
"""NTSC video (Kanade, Cohn and Tian, 2000); the pictures carry no times."""
MAX_INTENSITY: Final = 5
"""E, the end of FACS's scale."""

_PICTURE: Final = re.compile(r"(S[0-9]{3})_([0-9]{3})_([0-9]{8})\.png")
_SUBJECT: Final = re.compile(r"S[0-9]{3}")
_SEQUENCE: Final = re.compile(r"[0-9]{3}")
_LAST_UNIT: Final = 99


def read_ckplus(root: str | Path, *, findings: Findings | None = None) -> list[ClipRecord]:
    """Read every sequence, those without a label too (their `emotion` is None).

    Args:
        root: The folder that holds `cohn-kanade-images`.
        findings: Where problems go; the first is raised unless given.

    Raises:
        DatasetError: The folder is another, or a file in it is damaged.
    """
    root, findings = Path(root), findings or Findings()
    looked_for = (f"{IMAGES}/S005/001/*.png", f"{EMOTION}/", f"{FACS}/")
    require_folder(root, title=TITLE, looked_for=looked_for)
    subjects = _folders(root / IMAGES, _SUBJECT)
    if not subjects:
        raise wrong_folder(root, title=TITLE, looked_for=looked_for)
    records = []
    sequences = [path for subject in subjects for path in _folders(subject, _SEQUENCE)]
    for sequence in sequences:
        with findings.per_clip():
            record = _read_sequence(root, sequence, findings)
            if record is not None:
                records.append(record)
    _find_strays(root, {(path.parent.name, path.name) for path in sequences}, findings)
    return records


def _folders(parent: Path, name: re.Pattern[str]) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if name.fullmatch(path.name) and path.is_dir())


def _read_sequence(root: Path, folder: Path, findings: Findings) -> ClipRecord | None:
    subject, sequence = folder.parent.name, folder.name
    pictures = _pictures(folder, findings)
    if not pictures:
        findings.note(f"no pictures in {folder}")
        return None
    label_file = _label_file(root / EMOTION, folder, pictures, "_emotion.txt")
    facs_file = _label_file(root / FACS, folder, pictures, "_facs.txt")
    return ClipRecord(
        clip_id=f"{subject}_{sequence}",
        dataset=NAME,
        media=pictures,
        subject=subject,
        session=sequence,
        emotion=_read_emotion(label_file) if label_file else None,
        frame_labels=_read_facs(facs_file, len(pictures) - 1) if facs_file else None,
        frame_rate=FRAME_RATE,
    )


def _pictures(folder: Path, findings: Findings) -> tuple[Path, ...]:
    pictures, numbers = [], []
    for path in visible_files(folder, "*.png"):
        match = _PICTURE.fullmatch(path.name)
        if not match or match[1] != folder.parent.name or match[2] != folder.name:
            findings.note(f"a picture with another name than its folder: {path}")
            continue
        pictures.append(path)
        numbers.append(int(match[3]))
    # Some sequences of the original set carry time codes in place of 1, 2, 3, ...; only a sequence
    # that starts at 1 is known to have lost a picture where a number is missing.
    if numbers and numbers[0] == 1 and numbers != list(range(1, len(numbers) + 1)):
        missing = next(n for n in range(1, numbers[-1]) if n not in set(numbers))
        raise DatasetError(
            f"expected the pictures of {folder} to be numbered without a gap; got none with number "
            f"{missing:08d}; restore it from the data set's archive"
        )
    return tuple(pictures)


def _label_file(parent: Path, folder: Path, pictures: tuple[Path, ...], ending: str) -> Path | None:
    """Find the one label file of a sequence; it is named after the peak, the last picture."""
    files = visible_files(parent / folder.parent.name / folder.name, "*.txt")
    if not files:
        return None
    expected = f"{pictures[-1].stem}{ending}"
    if len(files) > 1 or files[0].name != expected:
        raise DatasetError(
            f"expected one label file {expected} in {files[0].parent}, named after the last "
            f"picture of {folder}; got {', '.join(path.name for path in files)}"
        )
    return files[0]


def _numbers(line: str, path: Path, line_number: int, *, count: int, expected: str) -> list[int]:
    """Parse whole numbers in the form that MATLAB's `save -ascii` gives them."""
    words = line.split()
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    # Writing each value back must give the same characters, so that no damage passes as a number.
    is_intact = [f"{value:.7e}" for value in values] == words and len(words) == count
    if not is_intact or any(not value.is_integer() for value in values):
        raise label_error(path, line_number, expected=expected, got=line)
    return [int(value) for value in values]


def _read_emotion(path: Path) -> str:
    lines = read_lines(path)
    expected = "one code from 0 to 7 as in `   3.0000000e+00`"
    if len(lines) != 1:
        raise label_error(
            path, None, expected=f"one line with {expected}", found=f"{len(lines)} lines"
        )
    (code,) = _numbers(lines[0], path, 1, count=1, expected=expected)
    if code not in CKPLUS_CODES:
        raise label_error(path, 1, expected=expected, got=lines[0])
    return CKPLUS_CODES[code]


def _read_facs(path: Path, peak: int) -> FrameLabels:
    """Read the units of the peak frame."""
    active: dict[int, float] = dict.fromkeys(CKPLUS_ACTION_UNITS, 0.0)
    graded: dict[int, float] = dict.fromkeys(CKPLUS_ACTION_UNITS, 0.0)
    seen = set()
    expected = (
        "an action unit and its intensity from 0 to 5 as in `   9.0000000e+00   0.0000000e+00`"
    )
    for number, line in enumerate(read_lines(path), start=1):
        unit, grade = _numbers(line, path, number, count=2, expected=expected)
        if not 1 <= unit <= _LAST_UNIT or not 0 <= grade <= MAX_INTENSITY:
            raise label_error(path, number, expected=expected, got=line)
        if unit in seen:
            raise label_error(path, number, expected="each action unit once", got=line)
        seen.add(unit)
        active[unit] = 1.0
        graded[unit] = grade / MAX_INTENSITY if grade else np.nan
    return make_frame_labels(
        np.array([peak], np.int64),
        frame_rate=FRAME_RATE,
        action_units={unit: np.array([v], np.float32) for unit, v in active.items()},
        action_unit_intensities={unit: np.array([v], np.float32) for unit, v in graded.items()},
    )


def _find_strays(root: Path, sequences: set[tuple[str, str]], findings: Findings) -> None:
    """Find labels of sequences that have no pictures."""
    for parent in (root / EMOTION, root / FACS):
        if not parent.is_dir():
            findings.note(f"no folder {parent}: its labels are missing")
            continue
        for path in visible_files(parent, "*/*/*.txt"):
            if (path.parent.parent.name, path.parent.name) not in sequences:
                findings.add(
                    f"expected pictures in {root / IMAGES} for {path}; got none; restore them "
                    "from the data set's archive"
                )
