"""The typed records that every data set's reader gives, whatever lies on disk.

A data set is a list of `ClipRecord`s: a video, a sequence of pictures or one picture, with what is
known of it. Labels are read at once, pictures never: a record holds paths, or `ImageRef`s where
pictures lie inside a table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Partition = Literal["train", "validation", "test"]
"""The official part of a data set."""

PARTITIONS: Final[tuple[Partition, ...]] = ("train", "validation", "test")

NO_EMOTION: Final = -1
"""What `FrameLabels.emotion` holds where a frame has no label."""

VOTE_NAMES: Final = (*EMOTIONS, "unknown", "not_face")
"""Columns of `FrameLabels.votes`: the eight emotions in our order, then the two others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """One picture inside a file that holds many, read on demand."""

    path: Path
    """The file that holds it."""
    position: int
    """Where in the file: as `decode` understands it (a byte offset, a row)."""
    decode: Callable[[Path, int], NDArray[np.uint8]] = field(repr=False)
    """A function of a module, so that records travel between processes."""

    def read(self) -> NDArray[np.uint8]:
        """Return the picture: `(height, width)`, uint8, grey.

        Raises:
            DatasetError: It does not decode; the message names file and place.
        """
        return self.decode(self.path, self.position)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameLabels:
    """The labels of n frames of one clip, in the order of time."""

    frame_index: NDArray[np.int64]
    """`(n,)`: 0-based frame number in the clip, rising."""
    timestamp_seconds: NDArray[np.float64] | None = None
    """`(n,)`, or None where the data set states neither times nor a frame rate."""
    emotion: NDArray[np.int8]
    """`(n,)`: index into `EMOTIONS`, or -1 for no label (or one that ours do not have)."""
    valence: NDArray[np.float32]
    """`(n,)` in [-1, 1]; NaN for no label."""
    arousal: NDArray[np.float32]
    """`(n,)` in [-1, 1]; NaN for no label."""
    action_units: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    """FACS number to `(n,)`: 1 the unit is active, 0 it is not, NaN for no label."""
    action_unit_intensities: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    """FACS number to `(n,)` in [0, 1], share of the scale's end; NaN where it was not coded."""
    votes: NDArray[np.int16] | None = None
    """`(n, 10)`: how many annotators chose each of `VOTE_NAMES`; None for a set without."""

    def __post_init__(self) -> None:
        count = len(self.frame_index)
        columns: list[tuple[str, NDArray[np.generic] | None]] = [
            ("timestamp_seconds", self.timestamp_seconds),
            ("emotion", self.emotion),
            ("valence", self.valence),
            ("arousal", self.arousal),
            ("votes", self.votes),
            *((f"action unit {unit}", values) for unit, values in self.action_units.items()),
            *((f"intensity of {u}", values) for u, values in self.action_unit_intensities.items()),
        ]
        for name, values in columns:
            if values is not None and len(values) != count:
                raise UsageError(
                    f"expected {count} values of {name}, as many as frame numbers; "
                    f"got {len(values)}"
                )
        if not count:
            return
        # Sets of single pictures make tens of thousands of these: no arithmetic for one frame.
        if self.frame_index[0] < 0 or (count > 1 and np.any(np.diff(self.frame_index) <= 0)):
            raise UsageError("expected frame numbers from 0 on that rise; got others")

    def __len__(self) -> int:
        return len(self.frame_index)


def make_frame_labels(
    frame_index: NDArray[np.int64],
    *,
    frame_rate: float | None = None,
    timestamp_seconds: NDArray[np.float64] | None = None,
    emotion: NDArray[np.int8] | None = None,
    valence: NDArray[np.float32] | None = None,
    arousal: NDArray[np.float32] | None = None,
    action_units: Mapping[int, NDArray[np.float32]] | None = None,
    action_unit_intensities: Mapping[int, NDArray[np.float32]] | None = None,
    votes: NDArray[np.int16] | None = None,
) -> FrameLabels:
    """Build `FrameLabels`; what is not given is "no label".

    Args:
        frame_index: `(n,)`: frame numbers.
        frame_rate: Frames per second, from which times follow where none are given.
        timestamp_seconds: `(n,)`.
        emotion: `(n,)`: index into `EMOTIONS` or -1.
        valence: `(n,)` in [-1, 1] or NaN.
        arousal: `(n,)` in [-1, 1] or NaN.
        action_units: FACS number to `(n,)`: 0, 1 or NaN.
        action_unit_intensities: FACS number to `(n,)` in [0, 1] or NaN.
        votes: `(n, 10)`: counts for `VOTE_NAMES`.

    Raises:
        UsageError: The lengths differ, or the frame numbers do not rise.
    """
    count = len(frame_index)
    if timestamp_seconds is None and frame_rate is not None:
        timestamp_seconds = frame_index / frame_rate
    return FrameLabels(
        frame_index=frame_index,
        timestamp_seconds=timestamp_seconds,
        emotion=np.full(count, NO_EMOTION, np.int8) if emotion is None else emotion,
        valence=np.full(count, np.nan, np.float32) if valence is None else valence,
        arousal=np.full(count, np.nan, np.float32) if arousal is None else arousal,
        action_units=action_units or {},
        action_unit_intensities=action_unit_intensities or {},
        votes=votes,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipRecord:
    """One video, sequence or picture of a data set, and what is known of it."""

    clip_id: str
    """Unique in the data set."""
    dataset: str
    """The data set's name in the catalogue."""
    media: Path | tuple[Path, ...] | ImageRef
    """A video file; or pictures in the order of time; or one picture inside a table."""
    media_frame_index: NDArray[np.int64] | None = None
    """`(pictures,)`: frame number in the clip of each picture; None for 0, 1, 2, ..."""
    subject: str | None = None
    """Who is seen; None where the data set does not say."""
    session: str | None = None
    """What was recorded together: clips of one session must not be split apart."""
    condition: str | None = None
    """How it was recorded, in the data set's own words: `VL/Strong`, `speech/normal`."""
    partition: Partition | None = None
    """The official part, where there is one."""
    emotion: str | None = None
    """One of `EMOTIONS`: the label of the whole clip."""
    frame_labels: FrameLabels | None = None
    frame_rate: float | None = None
    """Frames per second, as the data set's documentation states it; None for its container's."""

    @property
    def frame_count(self) -> int | None:
        """Number of pictures; None for a video, which must be decoded to know."""
        if isinstance(self.media, tuple):
            return len(self.media)
        return 1 if isinstance(self.media, ImageRef) else None

    def picture_frame_index(self) -> NDArray[np.int64]:
        """Return `(pictures,)`: the frame number of each picture.

        Raises:
            UsageError: The clip is a video.
        """
        if self.media_frame_index is not None:
            return self.media_frame_index
        count = self.frame_count
        if count is None:
            raise UsageError(
                f"expected a clip of pictures; {self.clip_id} is the video {self.media}"
            )
        return np.arange(count, dtype=np.int64)

    def media_paths(self) -> tuple[Path, ...]:
        """Return every file that the clip's pictures lie in."""
        if isinstance(self.media, tuple):
            return self.media
        if isinstance(self.media, ImageRef):
            return (self.media.path,)
        return (self.media,)
