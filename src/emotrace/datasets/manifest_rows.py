"""From the rows of one clip in a manifest to its labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.datasets.annotators import combine_ratings, label_votes
from emotrace.datasets.label_files import label_error, parse_decimal
from emotrace.datasets.records import NO_EMOTION, VOTE_NAMES, FrameLabels, make_frame_labels
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.datasets.annotators import RatingRule, VoteRule
    from emotrace.errors import DatasetError

_UNIT: Final = re.compile(r"au([0-9]+)(_intensity)?")
_FRAME_ONLY: Final = ("timestamp", "valence", "arousal")


def table_error(
    path: Path, line: int, *, expected: str, got: str | None = None, found: str = "nothing"
) -> DatasetError:
    """Return the error for a row of a manifest; the arguments are those of `label_error`."""
    return label_error(
        path, line, expected=expected, got=got, found=found, remedy="correct the table"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a manifest; empty cells are not in `values`."""

    path: Path
    line: int
    """1-based; of a Parquet table, the row."""
    values: Mapping[str, str]

    def number(self, column: str, *, low: float, high: float) -> float | None:
        """Return a cell as a number in [`low`, `high`], or None where it is empty.

        Raises:
            DatasetError: It is no number, or outside.
        """
        text = self.values.get(column)
        if text is None:
            return None
        return parse_decimal(text, self.path, self.line, what=column, low=low, high=high)

    def frame(self) -> int | None:
        """Return the frame number, or None for a row about the whole clip.

        Raises:
            DatasetError: It is no whole number from 0 on.
        """
        text = self.values.get("frame")
        if text is None:
            return None
        if not re.fullmatch(r"0|[1-9][0-9]{0,8}", text):
            raise table_error(
                self.path, self.line, expected="frame, a whole number from 0 on", got=text
            )
        return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinedLabels:
    """What all rows of one clip say together."""

    emotion: str | None
    frame_labels: FrameLabels | None


def one_value(rows: Sequence[Row], column: str) -> str | None:
    """Return what the rows of one clip say in a column that is about the clip.

    Raises:
        DatasetError: They do not agree.
    """
    found: str | None = None
    for row in rows:
        value = row.values.get(column)
        if value is not None and found not in (None, value):
            raise table_error(
                row.path,
                row.line,
                expected=f"{column} {found!r} in all rows of the clip",
                got=value,
            )
        found = value if value is not None else found
    return found


def combine_rows(
    rows: Sequence[Row], *, frame_rate: float | None, votes: VoteRule, ratings: RatingRule
) -> CombinedLabels:
    """Put together what the annotators of one clip say of it and of its frames.

    Raises:
        UsageError: There is no rule of that name.
        DatasetError: A cell is wrong, or one annotator labels the same twice.
    """
    annotators = list(dict.fromkeys(row.values.get("annotator", "") for row in rows))
    frames = sorted({frame for row in rows if (frame := row.frame()) is not None})
    place = {frame: column for column, frame in enumerate(frames)}
    seen: dict[tuple[int | None, str], int] = {}
    of_clip: list[Row] = []
    of_frames: list[Row] = []
    for row in rows:
        frame, annotator = row.frame(), row.values.get("annotator", "")
        before = seen.setdefault((frame, annotator), row.line)
        if before != row.line:
            where = "the clip" if frame is None else f"frame {frame}"
            by = f" by {annotator}" if annotator else ""
            expected = f"one label of {where}{by}, the one in line {before}"
            raise table_error(row.path, row.line, expected=expected, found="another")
        (of_clip if frame is None else of_frames).append(row)
    for row in of_clip:
        for column in row.values:
            if column in _FRAME_ONLY or _UNIT.fullmatch(column):
                raise table_error(
                    row.path,
                    row.line,
                    expected=f"a frame number beside {column}",
                    found="an empty cell",
                )
    labels = None
    if of_frames:
        columns = [place[row.frame() or 0] for row in of_frames]
        table = _Table(
            rows=of_frames, columns=columns, annotators=annotators, frames=np.array(frames)
        )
        labels = table.combine(frame_rate=frame_rate, votes=votes, ratings=ratings)
    return CombinedLabels(emotion=_clip_emotion(of_clip, votes), frame_labels=labels)


def _vote_column(row: Row) -> int | None:
    name = row.values.get("emotion")
    if name is None:
        return None
    if name not in VOTE_NAMES:
        raise table_error(
            row.path, row.line, expected=f"emotion, one of {', '.join(VOTE_NAMES)}", got=name
        )
    return VOTE_NAMES.index(name)


def _clip_emotion(rows: Sequence[Row], rule: VoteRule) -> str | None:
    votes = np.zeros((1, len(VOTE_NAMES)), np.int16)
    for row in rows:
        column = _vote_column(row)
        if column is not None:
            votes[0, column] += 1
    label = int(label_votes(votes, rule)[0])
    return None if label == NO_EMOTION else EMOTIONS[label]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """The frame rows of one clip, each with its place among the frames."""

    rows: Sequence[Row]
    columns: Sequence[int]
    """The place of each row's frame in `frames`."""
    annotators: Sequence[str]
    frames: NDArray[np.int64]

    def combine(
        self, *, frame_rate: float | None, votes: VoteRule, ratings: RatingRule
    ) -> FrameLabels:
        counts = np.zeros((len(self.frames), len(VOTE_NAMES)), np.int16)
        for row, column in zip(self.rows, self.columns, strict=True):
            vote = _vote_column(row)
            if vote is not None:
                counts[column, vote] += 1
        names = {name for row in self.rows for name in row.values}
        units: dict[int, NDArray[np.float32]] = {}
        intensities: dict[int, NDArray[np.float32]] = {}
        for name in sorted(names):
            match = _UNIT.fullmatch(name)
            if match:
                values = _mean(self._ratings(name, low=0))
                (intensities if match[2] else units)[int(match[1])] = (
                    values.astype(np.float32) if match[2] else _more_than_half(values)
                )
        return make_frame_labels(
            self.frames,
            frame_rate=frame_rate,
            timestamp_seconds=self._timestamps(),
            emotion=label_votes(counts, votes),
            valence=combine_ratings(self._ratings("valence"), ratings).astype(np.float32),
            arousal=combine_ratings(self._ratings("arousal"), ratings).astype(np.float32),
            action_units=units,
            action_unit_intensities=intensities,
            votes=counts if len(self.annotators) > 1 and counts.any() else None,
        )

    def _ratings(self, name: str, *, low: float = -1) -> NDArray[np.float64]:
        """Return `(annotators, frames)`, NaN where a cell is empty."""
        values = np.full((len(self.annotators), len(self.frames)), np.nan)
        index = {annotator: i for i, annotator in enumerate(self.annotators)}
        is_active = name.startswith("au") and not name.endswith("_intensity")
        for row, column in zip(self.rows, self.columns, strict=True):
            value = row.number(name, low=low, high=1)
            if value is None:
                continue
            if is_active and value not in (0, 1):
                raise table_error(
                    row.path, row.line, expected=f"{name}, 0 or 1", got=row.values[name]
                )
            values[index[row.values.get("annotator", "")], column] = value
        return values

    def _timestamps(self) -> NDArray[np.float64] | None:
        seconds = np.full(len(self.frames), np.nan)
        for row, column in zip(self.rows, self.columns, strict=True):
            value = row.number("timestamp", low=0, high=1e9)
            if value is None:
                continue
            if not np.isnan(seconds[column]) and seconds[column] != value:
                expected = f"the timestamp {seconds[column]:g} of frame {self.frames[column]}"
                raise table_error(row.path, row.line, expected=expected, found=f"{value:g}")
            seconds[column] = value
        if np.isnan(seconds).all():
            return None
        if np.isnan(seconds).any() or np.any(np.diff(seconds) <= 0):
            raise table_error(
                self.rows[0].path,
                self.rows[0].line,
                expected="a timestamp for every frame of the clip, or none, that rise",
                found="others",
            )
        return seconds


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return combine_ratings(values, "mean")


def _more_than_half(shares: NDArray[np.float64]) -> NDArray[np.float32]:
    """Turn shares of annotators into 1, 0, or NaN for as many on either side."""
    undecided = np.isnan(shares) | (shares == 0.5)
    return np.where(undecided, np.nan, shares > 0.5).astype(np.float32)
