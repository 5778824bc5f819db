"""RECOLA: pairs of people talk over video; valence and arousal rated by six annotators at 40 ms.

Two shapes on disk. As the AVEC 2015 and 2016 challenges handed it out (the challenge's own script
that computes the gold standard reads these)::

    ratings_individual/arousal/train_1.csv      time;FM1 ;FM2 ;FM3 ;FF1 ;FF2 ;FF3   0.00;0.03;...
    ratings_gold_standard/arousal/train_1.arff  @data ... train_1,0.00,0.069541
    recordings_video/train_1.mp4                train_1 to _9, dev_1 to _9, test_1 to _9

The test part has no ratings.
As the authors hand it out::

    RECOLA-Annotation/emotional_behaviour/arousal/P16.csv       the same csv
    RECOLA-Video-recordings/P16.mp4

FM1 to FF3 are the annotators (three men, three women). 5 minutes are 7,501 ratings and 25 frames a
second, so that rating i is frame i.

The authors' shape names no parts; `PARTITION` is the split of all 46 recordings that Trigeorgis et
al. (2016) and tzirakis2021's toolkit use: 16 to train, 15 to validate, 15 to test.

Sources: Ringeval, Sonderegger, Sauer and Lalanne (2013), EmoSPACE; Valstar et al. (2016), AVEC.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from emotrace.datasets.annotators import RatingRule, combine_ratings
from emotrace.datasets.findings import Findings
from emotrace.datasets.label_files import (
    label_error,
    parse_decimal,
    parse_table,
    read_lines,
    require_folder,
    visible_files,
    wrong_folder,
)
from emotrace.datasets.records import ClipRecord, FrameLabels, Partition, make_frame_labels
from emotrace.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME: Final = "recola"
TITLE: Final = "RECOLA"
FRAME_RATE: Final = 25.0
STEP_SECONDS: Final = 0.04
ANNOTATORS: Final = ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")
DIMENSIONS: Final = ("arousal", "valence")
INDIVIDUAL: Final = "ratings_individual"
GOLD: Final = "ratings_gold_standard"
AVEC_VIDEOS: Final = "recordings_video"
ORIGINAL_RATINGS: Final = "RECOLA-Annotation/emotional_behaviour"
ORIGINAL_VIDEOS: Final = "RECOLA-Video-recordings"
PARTITION: Final[dict[Partition, tuple[int, ...]]] = {
    "train": (15, 16, 17, 18, 21, 23, 25, 37, 39, 41, 46, 50, 51, 55, 56, 60),
    "validation": (14, 19, 24, 26, 28, 30, 34, 40, 42, 43, 44, 45, 52, 64, 65),
    "test": (13, 20, 22, 32, 38, 47, 48, 49, 53, 54, 57, 58, 59, 62, 63),
}
"""Participants of each part (see the head of this module)."""
AVEC_PARTS: Final[dict[str, Partition]] = {"train": "train", "dev": "validation", "test": "test"}
ARFF_ATTRIBUTES: Final = ("Instance_name string", "frameTime numeric", "GoldStandard numeric")

GoldStandard = Literal["auto", "provided", "evaluator-weighted", "mean"]

_AVEC_NAME: Final = re.compile(r"(train|dev|test)_([0-9]+)")
_ORIGINAL_NAME: Final = re.compile(r"P([0-9]{2})")
_HEADING: Final = re.compile(";".join(["time", *(f"{name} ?" for name in ANNOTATORS)]))
_RATING_FOLDERS: Final = (INDIVIDUAL, ORIGINAL_RATINGS)
_VIDEO_FOLDERS: Final = (AVEC_VIDEOS, ORIGINAL_VIDEOS, "Video_recordings_MP4")
_VIDEO_ENDINGS: Final = (".mp4", ".avi")
_HALF_TICK_SECONDS: Final = 0.0005


def read_recola(
    root: str | Path,
    *,
    gold_standard: GoldStandard = "auto",
    findings: Findings | None = None,
) -> list[ClipRecord]:
    """Read every recording; one without ratings (AVEC's test part) has no `frame_labels`.

    Args:
        root: The folder that holds `ratings_individual` or `RECOLA-Annotation`, and the videos.
        gold_standard: How six annotators become one label: as the challenge provides it in its
            arff files, by the evaluator weighted estimator over each recording (Grimm and Kroschel,
            2005; tzirakis2021), or by their mean. `auto` takes what is provided, and where nothing
            is, the estimator.
        findings: Where problems go; the first is raised unless given.

    Raises:
        UsageError: `gold_standard` has a value that it does not know.
        DatasetError: The folder is another, or a file in it is damaged.
    """
    root, findings = Path(root), findings or Findings()
    if gold_standard not in ("auto", "provided", "evaluator-weighted", "mean"):
        raise UsageError(
            "expected gold_standard to be auto, provided, evaluator-weighted or mean; "
            f"got {gold_standard!r}"
        )
    looked_for = (f"{INDIVIDUAL}/arousal/train_1.csv", f"{ORIGINAL_RATINGS}/arousal/P16.csv")
    require_folder(root, title=TITLE, looked_for=looked_for)
    rating_folders = [root / name for name in (*_RATING_FOLDERS, GOLD) if (root / name).is_dir()]
    if not rating_folders:
        raise wrong_folder(root, title=TITLE, looked_for=looked_for)
    videos = {
        path.stem: path
        for name in _VIDEO_FOLDERS
        if (root / name).is_dir()
        for path in visible_files(root / name, "*.*")
        if path.suffix.lower() in _VIDEO_ENDINGS
    }
    rated = {
        path.stem
        for folder in rating_folders
        for dimension in DIMENSIONS
        for path in visible_files(folder / dimension, "*.*")
        if path.suffix in (".csv", ".arff")
    }
    names = sorted(rated | set(videos), key=_sort_key)
    records = []
    for name in names:
        if not _AVEC_NAME.fullmatch(name) and not _ORIGINAL_NAME.fullmatch(name):
            if name in rated and not name.endswith("_all"):
                findings.add(f"expected ratings named train_1 or P16 in {root}; got {name}")
            continue
        with findings.per_clip():
            records.append(_read_recording(root, name, videos, gold_standard, findings))
    return records


def _sort_key(name: str) -> tuple[str, int]:
    stem, digits = re.fullmatch(r"(.*?)([0-9]*)", name).groups()  # type: ignore[union-attr]
    return stem, int(digits or 0)


def _read_recording(
    root: Path,
    name: str,
    videos: dict[str, Path],
    gold_standard: GoldStandard,
    findings: Findings,
) -> ClipRecord:
    if name not in videos:
        raise DatasetError(
            f"expected the video {name}.mp4 in {root}, in {' or '.join(_VIDEO_FOLDERS)}; got none; "
            "unpack the videos there"
        )
    partition = _partition(name)
    labels = _read_labels(root, name, gold_standard)
    if labels is None and partition != "test":
        # The challenge labels its two open parts whole; of the authors' recordings some have none.
        if _AVEC_NAME.fullmatch(name) or gold_standard == "provided":
            place = GOLD if gold_standard == "provided" else f"{INDIVIDUAL} or {GOLD}"
            raise DatasetError(
                f"expected ratings of {name} in {root}, in {place}; got none; restore them from "
                "the data set's archive, or choose another gold_standard"
            )
        findings.note(f"no ratings of {name}")
    return ClipRecord(
        clip_id=name,
        dataset=NAME,
        media=videos[name],
        subject=name,
        partition=partition,
        frame_labels=labels,
        frame_rate=FRAME_RATE,
    )


def _partition(name: str) -> Partition | None:
    if match := _AVEC_NAME.fullmatch(name):
        return AVEC_PARTS[match[1]]
    number = int(name.removeprefix("P"))
    return next((part for part, numbers in PARTITION.items() if number in numbers), None)


def _read_labels(root: Path, name: str, gold_standard: GoldStandard) -> FrameLabels | None:
    series: dict[str, NDArray[np.float64]] = {}
    for dimension in DIMENSIONS:
        provided = root / GOLD / dimension / f"{name}.arff"
        individual = [root / folder / dimension / f"{name}.csv" for folder in _RATING_FOLDERS]
        ratings = next((path for path in individual if path.is_file()), None)
        if gold_standard == "provided" or (gold_standard == "auto" and provided.is_file()):
            if provided.is_file():
                series[dimension] = read_arff_ratings(provided)
        elif ratings is not None:
            rule: RatingRule = "mean" if gold_standard == "mean" else "evaluator-weighted"
            series[dimension] = combine_ratings(read_individual_ratings(ratings), rule)
    if not series:
        return None
    lengths = {dimension: len(values) for dimension, values in series.items()}
    if len(lengths) != len(DIMENSIONS) or len(set(lengths.values())) != 1:
        raise DatasetError(
            f"expected as many ratings of arousal as of valence for {name} in {root}; got "
            f"{', '.join(f'{n} of {d}' for d, n in lengths.items())}; "
            "restore the files from the data set's archive"
        )
    return make_frame_labels(
        np.arange(lengths["arousal"], dtype=np.int64),
        frame_rate=FRAME_RATE,
        valence=series["valence"].astype(np.float32),
        arousal=series["arousal"].astype(np.float32),
    )


def read_individual_ratings(path: Path) -> NDArray[np.float64]:
    """Read one csv of individual ratings: `(6 annotators, n)`, one value for each 40 ms.

    Raises:
        DatasetError: The file is damaged; the message names the line.
    """
    lines = read_lines(path)
    if not lines or not _HEADING.fullmatch(lines[0]):
        heading = ";".join(["time", *ANNOTATORS])
        raise label_error(path, 1, expected=f"the heading {heading}", got=lines[0] if lines else "")
    if len(lines) == 1:
        raise label_error(path, 2, expected="a rating for each 40 ms")
    cells = [line.partition(";") for line in lines[1:]]
    for row, (time, _, _) in enumerate(cells):
        _check_time(time, path, row + 2, row=row)
    ratings = [rest for _, _, rest in cells]
    return parse_table(ratings, path, 2, names=ANNOTATORS, separator=";", low=-1, high=1).T


def read_arff_ratings(path: Path) -> NDArray[np.float64]:
    """Read one arff of the gold standard: `(n,)`, one value for each 40 ms.

    Raises:
        DatasetError: The file is damaged; the message names the line.
    """
    lines = read_lines(path)
    attributes = []
    start = None
    for number, line in enumerate(lines, start=1):
        word, _, rest = line.partition(" ")
        if word.lower() == "@attribute":
            attributes.append(rest)
        elif word.lower() == "@data" and not rest:
            start = number
            break
        elif line and word.lower() != "@relation":
            raise label_error(path, number, expected="@relation, @attribute or @data", got=line)
    if tuple(attributes) != ARFF_ATTRIBUTES or start is None:
        expected = f"the attributes {', '.join(ARFF_ATTRIBUTES)}, then @data"
        raise label_error(path, start, expected=expected, got=", ".join(attributes))
    values: list[float] = []
    for number, line in enumerate(lines[start:], start=start + 1):
        if not line and not values:
            continue
        words = line.split(",")
        if len(words) != 3 or words[0].strip("'") != path.stem:
            expected = f"{path.stem}, a time and a rating"
            raise label_error(path, number, expected=expected, got=line)
        _check_time(words[1], path, number, row=len(values))
        values.append(_rating(words[2], path, number))
    if not values:
        raise label_error(path, None, expected="a rating for each 40 ms", found="nothing")
    return np.array(values, np.float64)


def _rating(text: str, path: Path, line: int) -> float:
    return parse_decimal(text, path, line, what="a rating", low=-1, high=1)


def _check_time(text: str, path: Path, line: int, *, row: int) -> None:
    expected = row * STEP_SECONDS
    seconds = parse_decimal(text, path, line, what="a time in seconds", low=0, high=1e6)
    if abs(seconds - expected) > _HALF_TICK_SECONDS:
        raise label_error(path, line, expected=f"the time {expected:.2f} s", got=text)
