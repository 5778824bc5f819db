"""FER+: ten annotators' votes for FER2013's pictures, as Microsoft's two csv files.

On disk, as the repository `microsoft/FERPlus` has it: `fer2013new.csv` beside `fer2013.csv`, row
for row::

    fer2013new.csv    Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,
                      contempt,unknown,NF
                      Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0

`NF` is "not a face". Rows without an image name were thrown out by its authors and are left out
here (35,710 remain). The ten votes of a row add up to 10, but for one published row.

Also here: `ferplus.parquet`, the same votes and pictures in one file (`emotrace.datasets.ferplus`).

Source: Barsoum, Zhang, Canton Ferrer and Zhang (2016, arXiv:1608.01041).
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast

import cv2
import numpy as np
import pyarrow.parquet as pq

from emotrace.datasets.fer2013 import IMAGE_SIZE_PX, USAGES, read_fer2013
from emotrace.datasets.ferplus import argmax_labels, find_ferplus, majority_labels
from emotrace.datasets.findings import Findings
from emotrace.datasets.label_files import label_error, parse_code, read_lines
from emotrace.datasets.records import (
    NO_EMOTION,
    PARTITIONS,
    VOTE_NAMES,
    ClipRecord,
    FrameLabels,
    ImageRef,
    Partition,
)
from emotrace.errors import DatasetError, UsageError
from emotrace.labels import EMOTIONS, FERPLUS_VOTE_COLUMNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME: Final = "ferplus-csv"
PARQUET_NAME: Final = "ferplus"
TITLE: Final = "FER+"
FILE_NAME: Final = "fer2013new.csv"
VOTE_COLUMNS: Final = (*FERPLUS_VOTE_COLUMNS, "unknown", "NF")
HEADING: Final = ",".join(("Usage", "Image name", *VOTE_COLUMNS))
VOTES: Final = 10
PUBLISHED_WITH_NINE: Final = "fer0010406.png"
"""The one row of the published file whose votes add up to 9."""

Protocol = Literal["majority", "argmax"]

# Shared by all of the 35,710 records: arrays inside a record must not be written to anyway.
_FIRST_FRAME: Final = np.zeros(1, np.int64)
_NO_VALUE: Final = np.full(1, np.nan, np.float32)
_ONE_LABEL: Final = {
    code: np.array([code], np.int8) for code in (NO_EMOTION, *range(len(EMOTIONS)))
}
_IMAGE_NAME: Final = re.compile(r"fer([0-9]{7})\.png")
_OURS_TO_COLUMN: Final = (
    *(tuple(FERPLUS_VOTE_COLUMNS.values()).index(name) for name in EMOTIONS),
    len(EMOTIONS),
    len(EMOTIONS) + 1,
)


def read_ferplus_csv(
    root: str | Path, *, protocol: Protocol = "majority", findings: Findings | None = None
) -> list[ClipRecord]:
    """Read every row that has an image name.

    Args:
        root: The folder that holds both files.
        protocol: How votes become the label (`emotrace.datasets.ferplus`); with `majority`, rows
            without one keep their votes and have no `emotion`.
        findings: Where problems go; the first is raised unless given.

    Raises:
        UsageError: There is no such protocol.
        DatasetError: A file is missing or damaged, or their rows do not belong together.
    """
    root, findings = Path(root), findings or Findings()
    _check_protocol(protocol)
    votes_file = root / FILE_NAME
    if not votes_file.is_file():
        raise DatasetError(
            f"expected {FILE_NAME} (and fer2013.csv beside it) in {root}; got none; "
            "give the folder that holds both"
        )
    pictures = {int(record.clip_id): record for record in read_fer2013(root, findings=findings)}
    kept, votes = [], []
    last = -1
    lines = read_lines(votes_file)
    _check_heading(votes_file, lines)
    for row, line in enumerate(lines[1:]):
        with findings.per_clip():
            words = line.split(",")
            usage, name = _check_row(votes_file, row, words, last)
            if not name:
                continue
            last = int(cast("re.Match[str]", _IMAGE_NAME.fullmatch(name))[1])
            picture = pictures.get(row)
            if picture is None or picture.partition != usage:
                got = "no such row" if picture is None else f"a row of {picture.partition}"
                raise label_error(
                    votes_file,
                    row + 2,
                    expected=f"the row of {usage} in fer2013.csv too",
                    found=got,
                )
            votes.append(_votes(votes_file, row, name, words[2:]))
            kept.append((name.removesuffix(".png"), picture))
    if len(lines) - 1 != len(pictures) and not findings.problems:
        findings.add(
            f"expected as many rows in {votes_file} as in fer2013.csv; got {len(lines) - 1} and "
            f"{len(pictures)}; restore both files from their archives"
        )
    table = np.array(votes, np.int16).reshape(-1, VOTES)
    labels = _labels(table, protocol)
    return [
        _record(
            NAME, clip_id, cast("ImageRef", picture.media), picture.partition, table[i], labels[i]
        )
        for i, (clip_id, picture) in enumerate(kept)
    ]


def read_ferplus_parquet(
    root: str | Path, *, protocol: Protocol = "majority", findings: Findings | None = None
) -> list[ClipRecord]:
    """Read every row of `ferplus.parquet`; the pictures stay in it until `ImageRef.read`.

    Args:
        root: The file, or the folder that holds it.
        protocol: As for `read_ferplus_csv`.
        findings: Where problems go; the first is raised unless given.

    Raises:
        UsageError: There is no such protocol.
        DatasetError: There is no such file, or it is damaged.
    """
    findings = findings or Findings()
    _check_protocol(protocol)
    path = find_ferplus(root)
    columns = [f"votes_{name}" for name in (*FERPLUS_VOTE_COLUMNS, "unknown", "not_face")]
    try:
        data = pq.read_table(path, columns=["file", "split", *columns])
    except (OSError, ValueError) as error:
        raise DatasetError(f"expected the FER+ table in {path}; got: {error}") from error
    published = np.stack([data[name].to_numpy() for name in columns], axis=1)
    table = published[:, _OURS_TO_COLUMN].astype(np.int16)
    labels = _labels(table, protocol)
    records = []
    for row, (name, split) in enumerate(
        zip(data["file"].to_pylist(), data["split"].to_pylist(), strict=True)
    ):
        with findings.per_clip():
            if split not in PARTITIONS:
                raise DatasetError(
                    f"{path}, row {row}: expected a split out of {', '.join(PARTITIONS)}; "
                    f"got {split!r}"
                )
            _check_total(path, row + 1, name, int(table[row].sum()))
            media = ImageRef(path=path, position=row, decode=decode_parquet_image)
            clip_id = name.removesuffix(".png")
            records.append(_record(PARQUET_NAME, clip_id, media, split, table[row], labels[row]))
    return records


def decode_parquet_image(path: Path, row: int) -> NDArray[np.uint8]:
    """Decode the picture of row `row`: `(48, 48)`, uint8, grey.

    Raises:
        DatasetError: It does not decode; the message names the row.
    """
    blob = _image_column(path)[row].as_py()
    image = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None or image.shape != (IMAGE_SIZE_PX, IMAGE_SIZE_PX):
        got = "no image" if image is None else str(image.shape)
        raise DatasetError(f"{path}, row {row}: expected a 48 x 48 image; got {got}")
    return np.asarray(image, np.uint8)


# The file has one row group, so that one picture costs as much to reach as all: they are kept.
@functools.lru_cache(maxsize=1)
def _image_column(path: Path):  # type: ignore[no-untyped-def]
    return pq.read_table(path, columns=["image"])["image"].combine_chunks()


def _record(
    dataset: str,
    clip_id: str,
    media: ImageRef,
    partition: Partition | None,
    votes: NDArray[np.int16],
    label: int,
) -> ClipRecord:
    return ClipRecord(
        clip_id=clip_id,
        dataset=dataset,
        media=media,
        partition=partition,
        emotion=EMOTIONS[label] if label != NO_EMOTION else None,
        frame_labels=FrameLabels(
            frame_index=_FIRST_FRAME,
            emotion=_ONE_LABEL[label],
            valence=_NO_VALUE,
            arousal=_NO_VALUE,
            votes=votes[None, :],
        ),
    )


def _check_protocol(protocol: str) -> None:
    if protocol not in ("majority", "argmax"):
        raise UsageError(f"expected protocol to be majority or argmax; got {protocol!r}")


def _labels(table: NDArray[np.int16], protocol: Protocol) -> NDArray[np.int64]:
    if not len(table):
        return np.zeros(0, np.int64)
    votes = table.astype(np.int64)
    return majority_labels(votes) if protocol == "majority" else argmax_labels(votes)


def _check_heading(path: Path, lines: list[str]) -> None:
    if not lines or lines[0] != HEADING:
        raise label_error(path, 1, expected=f"the heading {HEADING}", got=lines[0] if lines else "")


def _check_row(path: Path, row: int, words: list[str], last: int) -> tuple[Partition, str]:
    """Check all but the votes of one row; return its part and image name."""
    line = row + 2
    if len(words) != 2 + len(VOTE_NAMES):
        raise label_error(
            path, line, expected=f"{2 + len(VOTE_NAMES)} columns", found=f"{len(words)}"
        )
    if words[0] not in USAGES:
        raise label_error(path, line, expected=f"one of {', '.join(USAGES)}", got=words[0])
    match = _IMAGE_NAME.fullmatch(words[1])
    if words[1] and (not match or int(match[1]) <= last):
        expected = f"an image name like fer0000032.png after number {last}, or none"
        raise label_error(path, line, expected=expected, got=words[1])
    return USAGES[words[0]], words[1]


def _votes(path: Path, row: int, name: str, words: list[str]) -> list[int]:
    line = row + 2
    codes = range(VOTES + 1)
    votes = [parse_code(word, path, line, what="votes", codes=codes) for word in words]
    _check_total(path, line, name, sum(votes))
    return [votes[column] for column in _OURS_TO_COLUMN]


def _check_total(path: Path, line: int, name: str, total: int) -> None:
    if total != VOTES and (name, total) != (PUBLISHED_WITH_NINE, VOTES - 1):
        raise label_error(path, line, expected=f"{VOTES} votes for {name}", found=f"{total}")
