"""Aff-Wild2 as the ABAW challenges hand it out: 564 videos from the web, labelled frame by frame.

On disk, as the challenges' pages and the code of their participants have it::

    annotations/VA_Set/Train_Set/1-30-1280x720.txt      valence,arousal       0.602,0.389
    annotations/EXPR_Set/Validation_Set/video10_1_left.txt   Neutral,Anger,...     4
    annotations/AU_Set/Train_Set/5-60-1920x1080-1.txt   AU1,AU2,...           0,0,1,0,...
    cropped_aligned/1-30-1280x720/00001.jpg ...         faces, 112 x 112 px; lost frames are missing
    batch1/1-30-1280x720.mp4, batch2/...                the videos

Later years name the folders `VA_Estimation_Challenge`, `EXPR_Classification_Challenge` and
`AU_Detection_Challenge`. The first line of a label file is a heading; line 2 is frame 0, picture
`00001.jpg`. No label: -5 for valence and arousal, -1 for expressions and action units. Expressions:
0 neutral, 1 anger, 2 disgust, 3 fear, 4 happiness, 5 sadness, 6 surprise, 7 other (from the third
challenge on; here no label of ours). Where two people are annotated, each has files of their own
that end in `_left` or `_right`. The labels of the test part are not handed out.

The set does not say who is who: `subject` is None and `session` is the recording, so that two
people of one video, and numbered pieces of one recording (`5-60-1920x1080-1` to `-4`), stay
together. The official parts share nobody.

Sources: Kollias and Zafeiriou (2019, arXiv:1811.07770); Kollias (2022, arXiv:2202.10659).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import numpy as np

from emotrace.datasets.findings import Findings
from emotrace.datasets.label_files import (
    label_error,
    parse_code,
    parse_table,
    read_lines,
    require_folder,
    visible_files,
    wrong_folder,
)
from emotrace.datasets.records import NO_EMOTION, ClipRecord, Partition, make_frame_labels
from emotrace.errors import DatasetError, UsageError
from emotrace.labels import AFFWILD2_ACTION_UNITS, AFFWILD2_CODES, AFFWILD2_NAMES, EMOTIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NumberT = TypeVar("_NumberT", np.int8, np.float32)

NAME: Final = "affwild2"
TITLE: Final = "Aff-Wild2"
NO_VALUE: Final = -5.0
NO_CODE: Final = -1
FIRST_ACTION_UNITS: Final = (1, 2, 4, 6, 12, 15, 20, 25)
"""Of the first challenge (2020)."""
VALUES_HEADING: Final = "valence,arousal"
EXPRESSION_HEADING: Final = ",".join(AFFWILD2_NAMES)
CROPS: Final = "cropped_aligned"

Task = Literal["all", "expression", "valence-arousal", "action-units"]
Media = Literal["auto", "crops", "videos"]

_TASK_FOLDERS: Final[dict[str, tuple[str, ...]]] = {
    "expression": ("EXPR_Set", "Expression_Set", "EXPR_Classification_Challenge"),
    "valence-arousal": ("VA_Set", "VA_Estimation_Challenge"),
    "action-units": ("AU_Set", "AU_Detection_Challenge"),
}
_PARTITION_FOLDERS: Final[dict[str, Partition]] = {
    "Train_Set": "train",
    "Training_Set": "train",
    "Validation_Set": "validation",
}
_VIDEO_FOLDERS: Final = (
    *("videos", "batch1", "batch2", "batch3", "videos/batch1", "videos/batch2", "videos/batch3"),
    *("videos/videos", "."),
)
_PICTURE: Final = re.compile(r"([0-9]{5})\.jpg")
_SIDE: Final = re.compile(r"(.+)_(left|right)")
# Numbered pieces of one recording: 5-60-1920x1080-1 to -4, video10_1.
_PART: Final = re.compile(
    r"(?P<whole>[0-9]+-[0-9]{2}-[0-9]+x[0-9]+(?=-)|video[0-9]+(?=_))[-_][0-9]+"
)
_RATE: Final = re.compile(r"[0-9]+-([0-9]{2})-[0-9]+x[0-9]+(-[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _LabelFiles:
    partition: Partition
    of_task: dict[str, Path]


def read_affwild2(
    root: str | Path,
    *,
    task: Task = "all",
    media: Media = "auto",
    findings: Findings | None = None,
) -> list[ClipRecord]:
    """Read every annotated person of every video of the training and validation parts.

    Args:
        root: The folder that holds `annotations`, and `cropped_aligned` or the videos.
        task: Which labels. With `all`, the files of one name are put together.
        media: The challenge's cropped faces, or the videos; `auto` takes the crops where they are.
        findings: Where problems go; the first is raised unless given.

    Raises:
        UsageError: An option has a value that it does not know.
        DatasetError: The folder is another, or a label file is damaged or lacks its pictures.
    """
    root, findings = Path(root), findings or Findings()
    tasks = tuple(_TASK_FOLDERS) if task == "all" else (task,)
    if not set(tasks) <= set(_TASK_FOLDERS) or media not in ("auto", "crops", "videos"):
        raise UsageError(
            f"expected task to be all, {', '.join(_TASK_FOLDERS)} and media to be auto, crops or "
            f"videos; got {task!r} and {media!r}"
        )
    looked_for = [f"annotations/{_TASK_FOLDERS[name][0]}/Train_Set/*.txt" for name in tasks]
    require_folder(root, title=TITLE, looked_for=looked_for)
    label_files = _find_label_files(root, tasks, findings)
    if not label_files and not findings.problems:
        raise wrong_folder(root, title=TITLE, looked_for=looked_for)
    if media == "auto":
        media = "crops" if (root / CROPS).is_dir() else "videos"
    videos = _find_videos(root) if media == "videos" else {}
    records = []
    for name, files in sorted(label_files.items()):
        with findings.per_clip():
            record = _read_clip(root, name, files, videos if media == "videos" else None)
            _compare_lengths(record, findings)
            records.append(record)
    return records


def _compare_lengths(record: ClipRecord, findings: Findings) -> None:
    """Note pictures after the last label: of the real set some files are a line or two short."""
    if record.media_frame_index is None or record.frame_labels is None:
        return
    beyond = int((record.media_frame_index >= len(record.frame_labels)).sum())
    if beyond:
        findings.note(
            f"{record.clip_id}: {beyond} pictures after the last of {len(record.frame_labels)} "
            "labelled frames"
        )


def _find_label_files(
    root: Path, tasks: tuple[str, ...], findings: Findings
) -> dict[str, _LabelFiles]:
    found: dict[str, _LabelFiles] = {}
    parents = [root, root / "annotations", *sorted(root.glob("*nnotations")), root / "Annotations"]
    for task in tasks:
        folders = [parent / name for parent in parents for name in _TASK_FOLDERS[task]]
        folder = next((path for path in folders if path.is_dir()), None)
        if folder is None:
            continue
        for part in sorted(path for path in folder.iterdir() if path.is_dir()):
            if part.name not in _PARTITION_FOLDERS:
                findings.note(f"a folder with another name than Train_Set, Validation_Set: {part}")
                continue
            for path in visible_files(part, "*.txt"):
                partition = _PARTITION_FOLDERS[part.name]
                files = found.setdefault(path.stem, _LabelFiles(partition=partition, of_task={}))
                if files.partition != partition:
                    findings.add(
                        f"expected {path.name} in one part for all tasks; got it in "
                        f"{files.partition} and, for {task}, in {partition}; read one task alone"
                    )
                files.of_task[task] = path
    return found


def _find_videos(root: Path) -> dict[str, Path]:
    folders = [root / name for name in _VIDEO_FOLDERS]
    return {
        path.stem: path
        for folder in folders
        if folder.is_dir()
        for path in visible_files(folder, "*.*")
        if path.suffix.lower() in (".mp4", ".avi")
    }


def _read_clip(
    root: Path, name: str, files: _LabelFiles, videos: dict[str, Path] | None
) -> ClipRecord:
    side = _SIDE.fullmatch(name)
    video_name = side[1] if side else name
    part = _PART.fullmatch(video_name)
    pictures: Path | tuple[Path, ...]
    numbers = None
    if videos is None:
        pictures, numbers = _crops(root / CROPS / name)
    else:
        video = videos.get(name) or videos.get(video_name)
        if video is None:
            raise DatasetError(
                f"expected the video {video_name}.mp4 in {root}, in videos, batch1 or batch2; "
                "got none; unpack the videos there"
            )
        pictures = video
    rate = _RATE.fullmatch(video_name)
    frame_rate = float(rate[1]) if rate else None
    emotion = _read_expressions(files.of_task.get("expression"))
    values = _read_values(files.of_task.get("valence-arousal"))
    units = _read_action_units(files.of_task.get("action-units"))
    arrays = [emotion, *(values or ()), *units.values()]
    count = max(len(array) for array in arrays if array is not None)
    return ClipRecord(
        clip_id=name,
        dataset=NAME,
        media=pictures,
        media_frame_index=numbers,
        session=part["whole"] if part else video_name,
        condition=side[2] if side else None,
        partition=files.partition,
        frame_labels=make_frame_labels(
            np.arange(count, dtype=np.int64),
            frame_rate=frame_rate,
            emotion=None if emotion is None else _extended(emotion, count, NO_EMOTION),
            valence=None if values is None else _extended(values[0], count, np.nan),
            arousal=None if values is None else _extended(values[1], count, np.nan),
            action_units={unit: _extended(array, count, np.nan) for unit, array in units.items()},
        ),
        frame_rate=frame_rate,
    )


def _extended(array: NDArray[_NumberT], count: int, fill: float) -> NDArray[_NumberT]:
    """Lengthen a task's labels to those of the longest: files of one video may differ by lines."""
    return np.concatenate([array, np.full(count - len(array), fill, array.dtype)])


def _crops(folder: Path) -> tuple[tuple[Path, ...], NDArray[np.int64]]:
    numbered = {}
    if folder.is_dir():
        for path in folder.iterdir():
            if match := _PICTURE.fullmatch(path.name):
                numbered[int(match[1])] = path
    if not numbered or 0 in numbered:
        got = "none" if not numbered else "00000.jpg"
        raise DatasetError(
            f"expected pictures 00001.jpg, 00002.jpg, ... in {folder}; got {got}; "
            f"unpack {CROPS} there, or read the videos"
        )
    order = sorted(numbered)
    return tuple(numbered[n] for n in order), np.array(order, np.int64) - 1


def _data_lines(path: Path, headings: tuple[str, ...]) -> list[str]:
    lines = read_lines(path)
    if not lines or lines[0] not in headings:
        raise label_error(
            path, 1, expected=f"the heading {headings[0]!r}", got=lines[0] if lines else ""
        )
    if len(lines) == 1:
        raise label_error(path, 2, expected="a label for each frame", found="nothing")
    return lines[1:]


def _read_expressions(path: Path | None) -> NDArray[np.int8] | None:
    if path is None:
        return None
    lines = _data_lines(path, (EXPRESSION_HEADING, ",".join(AFFWILD2_NAMES[:-1])))
    codes = (NO_CODE, *AFFWILD2_CODES)
    to_ours = {
        code: NO_EMOTION if name is None else EMOTIONS.index(name)
        for code, name in AFFWILD2_CODES.items()
    } | {NO_CODE: NO_EMOTION}
    return np.array(
        [
            to_ours[parse_code(line, path, number, what="an expression", codes=codes)]
            for number, line in enumerate(lines, start=2)
        ],
        np.int8,
    )


def _read_values(path: Path | None) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    if path is None:
        return None
    table = parse_table(
        _data_lines(path, (VALUES_HEADING,)),
        path,
        2,
        names=VALUES_HEADING.split(","),
        separator=",",
        low=-1,
        high=1,
        missing=NO_VALUE,
    ).astype(np.float32)
    return table[:, 0], table[:, 1]


def _read_action_units(path: Path | None) -> dict[int, NDArray[np.float32]]:
    if path is None:
        return {}
    headings = {
        ",".join(f"AU{unit}" for unit in units): units
        for units in (AFFWILD2_ACTION_UNITS, FIRST_ACTION_UNITS)
    }
    lines = _data_lines(path, tuple(headings))
    units = headings[read_lines(path)[0]]
    to_value = {"0": 0.0, "1": 1.0, str(NO_CODE): np.nan}
    rows = []
    for number, line in enumerate(lines, start=2):
        words = line.split(",")
        if len(words) != len(units) or not all(word in to_value for word in words):
            expected = f"{len(units)} codes out of 0, 1 and {NO_CODE}"
            raise label_error(path, number, expected=expected, got=line)
        rows.append([to_value[word] for word in words])
    table = np.array(rows, np.float32)
    return {unit: table[:, column] for column, unit in enumerate(units)}
