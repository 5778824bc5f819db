"""FER2013: 35,887 grey faces of 48 x 48 pixels from the web, seven expressions.

On disk one file, as the Kaggle challenge's page describes it::

    fer2013.csv       emotion,pixels,Usage
                      0,70 80 82 72 ... 84,Training

`emotion` is 0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral; `pixels` are 2,304
values from 0 to 255, row by row; `Usage` is Training (28,709), PublicTest (3,589) or PrivateTest
(3,589): train, validation and test here, as in the challenge. It does not say who is who.

Source: Goodfellow et al. (2013, arXiv:1307.0414).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.datasets.findings import Findings
from emotrace.datasets.label_files import label_error, wrong_folder
from emotrace.datasets.records import ClipRecord, ImageRef, Partition
from emotrace.errors import DatasetError
from emotrace.labels import FER2013_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

NAME: Final = "fer2013"
TITLE: Final = "FER2013"
FILE_NAME: Final = "fer2013.csv"
HEADING: Final = "emotion,pixels,Usage"
IMAGE_SIZE_PX: Final = 48
USAGES: Final[dict[str, Partition]] = {
    "Training": "train",
    "PublicTest": "validation",
    "PrivateTest": "test",
}
CODES: Final = tuple(FER2013_NAMES.values())
"""Our names, at the position of FER2013's code."""

_PIXELS: Final = re.compile(rb"[0-9]{1,3}( [0-9]{1,3})*")
_EXPECTED_ROW: Final = "a code from 0 to 6, pixels and Training, PublicTest or PrivateTest"


def read_fer2013(root: str | Path, *, findings: Findings | None = None) -> list[ClipRecord]:
    """Read every row; the pixels stay in the file until `ImageRef.read`.

    Args:
        root: The file `fer2013.csv`, or the folder that holds it.
        findings: Where problems go; the first is raised unless given.

    Raises:
        DatasetError: There is no such file, or a row of it is damaged.
    """
    path, findings = find_fer2013(root), findings or Findings()
    records = []
    for row, (offset, line) in enumerate(_rows(path)):
        with findings.per_clip():
            records.append(_read_row(path, row, offset, line))
    return records


def find_fer2013(root: str | Path) -> Path:
    """Return the path of `fer2013.csv`: `root` itself, or in it or its folder `fer2013`.

    Raises:
        DatasetError: There is none; the message says what was looked for.
    """
    root = Path(root)
    candidates = (root / FILE_NAME, root / "fer2013" / FILE_NAME)
    for path in (root, *candidates):
        if path.is_file():
            return path
    if root.is_dir():
        raise wrong_folder(
            root, title=TITLE, looked_for=[str(p.relative_to(root)) for p in candidates]
        )
    raise DatasetError(
        f"expected {FILE_NAME}, or the folder that holds it, at {root}; got nothing; "
        "give the folder that the archive was unpacked into"
    )


def _rows(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each row's place in the file and its bytes."""
    with path.open("rb") as file:
        heading = file.readline()
        if heading.rstrip(b"\r\n") != HEADING.encode():
            got = heading[:60].decode("utf-8", "replace").rstrip()
            raise label_error(path, 1, expected=f"the heading {HEADING}", got=got)
        offset = len(heading)
        for line in file:
            yield offset, line
            offset += len(line)


def _read_row(path: Path, row: int, offset: int, line: bytes) -> ClipRecord:
    code, _, rest = line.rstrip(b"\r\n").partition(b",")
    pixels, _, usage = rest.rpartition(b",")
    partition = USAGES.get(usage.decode("utf-8", "replace"))
    is_code = len(code) == 1 and code in b"0123456"
    # Counting spaces costs little and finds lost or joined pixels; values are checked on reading.
    if not is_code or partition is None or pixels.count(b" ") != IMAGE_SIZE_PX**2 - 1:
        raise label_error(
            path,
            row + 2,
            expected=_EXPECTED_ROW,
            found=f"{code[:9]!r}, {pixels.count(b' ') + 1} pixels, {usage[:20]!r}",
        )
    return ClipRecord(
        clip_id=f"{row:05d}",
        dataset=NAME,
        media=ImageRef(path=path, position=offset, decode=decode_pixels),
        partition=partition,
        emotion=CODES[int(code)],
    )


def decode_pixels(path: Path, offset: int) -> NDArray[np.uint8]:
    """Decode the picture of the row that starts at byte `offset`: `(48, 48)`, uint8, grey.

    Raises:
        DatasetError: Its pixels are not 2,304 values from 0 to 255; the message names the line.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            line = file.readline()
    except OSError as error:
        raise DatasetError(f"expected to read {path}; got: {error.strerror or error}") from error
    text = line.partition(b",")[2].rpartition(b",")[0]
    values = np.zeros(0, np.int64)
    if _PIXELS.fullmatch(text):
        values = np.fromstring(text, np.int64, sep=" ")
    if len(values) != IMAGE_SIZE_PX**2 or values.max() > 255:
        words = text.split(b" ")
        bad = next((w for w in words if not w.isdigit() or len(w) > 3 or int(w) > 255), b"")
        with path.open("rb") as file:
            number = file.read(offset).count(b"\n") + 1
        raise label_error(
            path,
            number,
            expected=f"{IMAGE_SIZE_PX**2} pixels from 0 to 255",
            found=f"{len(words)} with {bad[:20]!r}",
        )
    return values.astype(np.uint8).reshape(IMAGE_SIZE_PX, IMAGE_SIZE_PX)
