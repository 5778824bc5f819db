"""The manifest: emotrace's own table for people's own data, CSV or Parquet.

One row for a clip, for a frame, or for one annotator's label of either. Columns (`media` is
required, all others may be missing or empty)::

    media       video file, picture, or folder of pictures; relative to the manifest
    clip        the clip's name; the text of `media` unless given
    subject, session, condition          free text
    partition   train, validation or test
    frame_rate  frames per second, for pictures
    frame       0-based frame number; empty for a label of the whole clip
    timestamp   seconds
    annotator   who labelled; empty where there is one label only
    emotion     anger, contempt, disgust, fear, happiness, neutral, sadness, surprise;
                annotators may also say unknown or not_face
    valence, arousal                     -1 to 1
    au1, au2, ...                        1 the action unit is active, 0 it is not
    au1_intensity, ...                   0 to 1

A column of another name is an error, so that no misspelt label is lost in silence. What several
annotators say is put together by majority or by winner takes all, and by the evaluator weighted
estimator over each clip (`emotrace.datasets.annotators`).
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow.parquet as pq

from emotrace.datasets.findings import Findings
from emotrace.datasets.label_files import visible_files, wrong_folder
from emotrace.datasets.manifest_rows import (
    Row,
    combine_rows,
    one_value,
    table_error,
)
from emotrace.datasets.records import PARTITIONS, ClipRecord
from emotrace.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emotrace.datasets.annotators import RatingRule, VoteRule
    from emotrace.datasets.records import Partition

NAME: Final = "manifest"
TITLE: Final = "a manifest"
FILE_NAMES: Final = ("manifest.parquet", "manifest.csv")
COLUMNS: Final = (
    *("media", "clip", "subject", "session", "condition", "partition", "frame_rate"),
    *("frame", "timestamp", "annotator", "emotion", "valence", "arousal"),
)
"""In the order in which emotrace writes them; action units follow."""

PICTURE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_UNIT_COLUMN: Final = re.compile(r"au[1-9][0-9]?(_intensity)?")


def read_manifest(
    root: str | Path,
    *,
    votes: VoteRule = "majority",
    ratings: RatingRule = "evaluator-weighted",
    findings: Findings | None = None,
) -> list[ClipRecord]:
    """Read every clip of a manifest, in the order of first mention.

    Args:
        root: The table, or the folder that holds `manifest.parquet` or `manifest.csv`.
        votes: How several annotators' emotions become one.
        ratings: How several annotators' valence and arousal become one.
        findings: Where problems go; the first is raised unless given.

    Raises:
        UsageError: There is no rule of that name.
        DatasetError: There is no manifest, or a row of it is wrong; the message names it.
    """
    path, findings = find_manifest(root), findings or Findings()
    clips: dict[str, list[Row]] = {}
    for row in _read_rows(path):
        with findings.per_clip():
            media = row.values.get("media")
            if not media:
                raise table_error(
                    path, row.line, expected="a path in the column media", found="an empty cell"
                )
            clips.setdefault(row.values.get("clip") or media, []).append(row)
    records = []
    for clip_id, rows in clips.items():
        with findings.per_clip():
            records.append(_read_clip(path, clip_id, rows, votes, ratings))
    return records


def find_manifest(root: str | Path) -> Path:
    """Return the path of the table: `root` itself, or `manifest.parquet` or `.csv` in it.

    Raises:
        DatasetError: There is none; the message says what was looked for.
    """
    root = Path(root)
    for candidate in (root, *(root / name for name in FILE_NAMES)):
        if candidate.is_file():
            return candidate
    if root.is_dir():
        raise wrong_folder(
            root,
            title=TITLE,
            looked_for=FILE_NAMES,
            remedy="write manifest.csv there, with the columns that docs/datasets.md explains",
        )
    raise DatasetError(
        f"expected a manifest, or a folder with {' or '.join(FILE_NAMES)}, at {root}; got nothing; "
        "give the table's path"
    )


def _read_rows(path: Path) -> Iterator[Row]:
    if path.suffix == ".parquet":
        yield from _read_parquet(path)
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            heading = next(reader, [])
            _check_columns(path, heading)
            for words in reader:
                if not words:
                    continue
                if len(words) != len(heading):
                    raise table_error(
                        path,
                        reader.line_num,
                        expected=f"{len(heading)} columns",
                        found=f"{len(words)}",
                    )
                values = {name: word for name, word in zip(heading, words, strict=True) if word}
                yield Row(path=path, line=reader.line_num, values=values)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"expected a table of comma-separated text in {path}; got: {error}"
        ) from error


def _read_parquet(path: Path) -> Iterator[Row]:
    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"expected a Parquet table in {path}; got: {error}") from error
    _check_columns(path, table.column_names)
    for number, row in enumerate(table.to_pylist(), start=1):
        values = {name: str(value) for name, value in row.items() if value not in (None, "")}
        yield Row(path=path, line=number, values=values)


def _check_columns(path: Path, names: Sequence[str]) -> None:
    for name in names:
        if name not in COLUMNS and not _UNIT_COLUMN.fullmatch(name):
            expected = f"columns out of {', '.join(COLUMNS)}, au1, au1_intensity, au2, ..."
            raise table_error(path, 1, expected=expected, got=name)
    if len(set(names)) != len(names) or "media" not in names:
        expected = "a column media, and each column once"
        raise table_error(path, 1, expected=expected, got=", ".join(names))


def _read_clip(
    path: Path, clip_id: str, rows: list[Row], votes: VoteRule, ratings: RatingRule
) -> ClipRecord:
    media = path.parent / str(one_value(rows, "media"))
    rate_row = next((row for row in rows if "frame_rate" in row.values), rows[0])
    one_value(rows, "frame_rate")
    frame_rate = rate_row.number("frame_rate", low=1e-3, high=1e6)
    partition = one_value(rows, "partition")
    if partition is not None and partition not in PARTITIONS:
        row = next(row for row in rows if "partition" in row.values)
        raise table_error(path, row.line, expected=f"one of {', '.join(PARTITIONS)}", got=partition)
    combined = combine_rows(rows, frame_rate=frame_rate, votes=votes, ratings=ratings)
    return ClipRecord(
        clip_id=clip_id,
        dataset=NAME,
        media=_media(path, rows[0].line, media),
        subject=one_value(rows, "subject"),
        session=one_value(rows, "session"),
        condition=one_value(rows, "condition"),
        partition=_as_partition(partition),
        emotion=combined.emotion,
        frame_labels=combined.frame_labels,
        frame_rate=frame_rate,
    )


def _as_partition(name: str | None) -> Partition | None:
    return next((part for part in PARTITIONS if part == name), None)


def _media(path: Path, line: int, media: Path) -> Path | tuple[Path, ...]:
    if media.is_dir():
        pictures = tuple(
            item for item in visible_files(media, "*.*") if item.suffix.lower() in PICTURE_ENDINGS
        )
        if pictures:
            return pictures
    elif media.is_file():
        return (media,) if media.suffix.lower() in PICTURE_ENDINGS else media
    got = "a folder without pictures" if media.is_dir() else "nothing"
    raise table_error(
        path, line, expected=f"a video, a picture or a folder of pictures at {media}", found=got
    )
