"""Examples to learn from: pictures, clips, sequences of pictures or of vectors, with their targets.

One kind of examples serves all networks. Whatever lies below (a crop cache, FER+, vectors that an
extractor made) is a source of rows, one a frame; an example is a few rows of it, and its targets
are those of some row: the picture's own, the clip's last frame's, each step's. A whole batch is
read at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from emotrace.errors import TrainingError, UsageError
from emotrace.models.architecture import InputKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from emotrace.datasets.cache import CropCache
    from emotrace.datasets.ferplus import FerPlusSplit


class ExampleBatch(NamedTuple):
    """A batch, as it comes from the data: pictures are still bytes."""

    inputs: Tensor
    """`(batch, [time,] height, width, channels)` uint8, or `(batch, time, features)` float32."""
    targets: dict[str, Tensor]
    """Head to `(batch, [time,] values)` float32, NaN where there is no label. Steps only for
    sequences; a clip has the targets of one row."""
    weights: Tensor
    """`(batch, [time])` float32: of each sample in the loss."""
    positions: Tensor
    """`(batch,)`: which examples these are."""


class RowSource(Protocol):
    """Where rows come from."""

    @property
    def row_shape(self) -> tuple[int, ...]:
        """`(height, width, channels)` or `(features,)` of a row."""

    def read(self, rows: ArrayLike) -> NDArray[Any]:
        """Read `(k,)` rows, in their order: `(k, *row_shape)`, uint8 pictures or float32."""


class CacheSource:
    """The crops of a crop cache."""

    def __init__(self, cache: CropCache) -> None:
        self._cache = cache

    @property
    def row_shape(self) -> tuple[int, ...]:
        """`(height, width, channels)`."""
        return self._cache.crop_shape

    def read(self, rows: ArrayLike) -> NDArray[Any]:
        """Read crops."""
        return self._cache.read(rows)


class PictureSource:
    """Pictures in memory: a part of FER+."""

    def __init__(self, split: FerPlusSplit) -> None:
        self._images = split.images[..., np.newaxis]

    @property
    def row_shape(self) -> tuple[int, ...]:
        """`(height, width, 1)`."""
        height, width, channels = self._images.shape[1:]
        return height, width, channels

    def read(self, rows: ArrayLike) -> NDArray[Any]:
        """Copy pictures."""
        return self._images[np.asarray(rows, np.int64)]


@dataclass(frozen=True, kw_only=True, eq=False)
class RowNames:
    """What rows are called in messages, and whose they are."""

    videos: Sequence[str]
    """Names of clips or files."""
    video: NDArray[np.integer[Any]]
    """`(rows,)`: position in `videos`."""
    frame: NDArray[np.integer[Any]]
    """`(rows,)`: frame number in the video."""
    face: NDArray[np.integer[Any]]
    """`(rows,)`: number of the face in the video."""
    subjects: Sequence[str | None]
    """Who is seen in each video; None where that is not known."""
    seconds: NDArray[np.float64] | None = None
    """`(rows,)`: presentation time, NaN where it is not known; None for pictures."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples(Dataset[ExampleBatch]):
    """n examples over the rows of a source."""

    kind: InputKind
    source: RowSource
    names: RowNames
    targets: Mapping[str, NDArray[np.float32]]
    """Head to `(rows, values)`, NaN where there is no label."""
    classes: NDArray[np.int64]
    """`(rows,)`: the class by which examples are balanced, -1 for none."""
    first: NDArray[np.int64]
    """`(n,)`: the first row of each example."""
    steps: NDArray[np.int64]
    """`(n,)`: how many rows each has; all alike but for sequences that are evaluated whole."""
    spacing: int = 1
    """Rows from one step to the next."""
    target_offset: int = 0
    """The row that is predicted, counted from the step's own."""
    last_only: bool = False
    """Of a sequence, only the last step has a target."""
    row_weights: NDArray[np.float32] | None = None
    """`(rows,)`: weight of each row's labels in the loss; all 1 where not given."""
    repeats: NDArray[np.int64] | None = field(default=None)
    """`(n,)`: how often each example comes in an epoch of oversampled data."""

    def __len__(self) -> int:
        return len(self.first)

    @property
    def is_sequence(self) -> bool:
        """Each step has an output of its own."""
        return self.kind in (InputKind.IMAGE_SEQUENCE, InputKind.VECTOR_SEQUENCE)

    @cached_property
    def longest(self) -> int:
        """Steps of the longest example, and so of every batch."""
        return int(self.steps.max(initial=1))

    @property
    def target_rows(self) -> NDArray[np.int64]:
        """`(n,)`: the row that the last step of each example predicts."""
        return self.first + (self.steps - 1) * self.spacing + self.target_offset

    @property
    def rows_with_targets(self) -> NDArray[np.int64]:
        """`(k,)`: every row that an example is taught by, as often as it is: each step's or one."""
        if not self.is_sequence or self.last_only:
            return self.target_rows
        number = np.arange(int(self.steps.sum())) - np.repeat(
            np.cumsum(self.steps) - self.steps, self.steps
        )
        return np.repeat(self.first, self.steps) + number * self.spacing + self.target_offset

    @property
    def example_classes(self) -> NDArray[np.int64]:
        """`(n,)`: the class of each example, that of its last target; -1 for none."""
        return self.classes[self.target_rows]

    def name(self, position: int) -> str:
        """Return what to call an example in a message: its clip and frames."""
        first = int(self.first[position])
        last = first + (int(self.steps[position]) - 1) * self.spacing
        names = self.names
        video = names.videos[int(names.video[first])]
        start, end = int(names.frame[first]), int(names.frame[last])
        face = int(names.face[first])
        who = f" face {face}" if face > 1 else ""
        return f"{video}{who} frame{f' {start}' if start == end else f's {start}-{end}'}"

    def __getitem__(self, positions: int | Sequence[int]) -> ExampleBatch:
        """Read a batch: the examples at `positions`.

        Sequences that are shorter than the longest are filled up at their end with their last row;
        what fills has no targets. So all batches are alike, in every process.
        """
        at = np.atleast_1d(np.asarray(positions, np.int64))
        longest = self.longest
        step = np.minimum(np.arange(longest), self.steps[at][:, None] - 1)
        rows = self.first[at][:, None] + step * self.spacing
        read = self.source.read(rows.reshape(-1)).reshape(*rows.shape, *self.source.row_shape)
        targets, weights = self._targets(rows, np.arange(longest) < self.steps[at][:, None])
        if not self.is_sequence:
            targets = {name: values[:, -1] for name, values in targets.items()}
            weights = weights[:, -1]
        if self.kind is InputKind.IMAGE:
            read = read[:, 0]
        return ExampleBatch(
            inputs=torch.from_numpy(read),
            targets={name: torch.from_numpy(values) for name, values in targets.items()},
            weights=torch.from_numpy(np.ascontiguousarray(weights)),
            positions=torch.from_numpy(at),
        )

    def _targets(
        self, rows: NDArray[np.int64], is_own: NDArray[np.bool_]
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
        if self.last_only:
            is_last = np.zeros_like(is_own)
            is_last[np.arange(len(rows)), is_own.sum(axis=1) - 1] = True
            is_own = is_last
        # Only steps that are asked for look at a row: the one after a clip's end is another's.
        wanted = np.where(is_own, rows + self.target_offset, rows)
        found = {}
        for name, values in self.targets.items():
            taken = values[wanted]
            taken[~is_own] = np.nan
            found[name] = taken
        if self.row_weights is None:
            return found, np.ones(rows.shape, np.float32)
        return found, self.row_weights[wanted]

    def select(self, positions: NDArray[np.int64]) -> Examples:
        """Return the examples at `positions`, in that order."""
        repeats = None if self.repeats is None else self.repeats[positions]
        return replace(
            self, first=self.first[positions], steps=self.steps[positions], repeats=repeats
        )


def names_of_cache(cache: CropCache) -> RowNames:
    """Return what the rows of a crop cache are called."""
    frames = cache.frames
    return RowNames(
        videos=cache.clip_ids,
        video=frames.clip,
        frame=frames.frame,
        face=frames.face_id,
        subjects=cache.clips["subject"],
        seconds=frames.timestamp_seconds,
    )


def names_of_pictures(split: FerPlusSplit) -> RowNames:
    """Return what the pictures of FER+ are called; nobody knows who is seen."""
    count = len(split)
    return RowNames(
        videos=split.files,
        video=np.arange(count),
        frame=np.zeros(count, np.int64),
        face=np.ones(count, np.int64),
        subjects=(None,) * count,
    )


def require_row_shape(kind: InputKind, shape: tuple[int, ...], where: object) -> None:
    """Refuse vectors for a network that takes pictures, and the other way round.

    Raises:
        UsageError: Saying which data fits.
    """
    if (kind is InputKind.VECTOR_SEQUENCE) == (len(shape) == 1):
        return
    if len(shape) == 1:
        raise UsageError(
            f"expected pictures for a network of the kind {kind.value!r}; {where} holds feature "
            "vectors; give the crop cache that they were made of"
        )
    raise UsageError(
        f"expected feature vectors for a network of the kind {kind.value!r}; {where} holds "
        "pictures; make vectors of them with an extractor first"
    )


def require_examples(examples: Examples, what: str) -> None:
    """Refuse to go on without a single example.

    Raises:
        TrainingError: Saying what may be the matter.
    """
    if len(examples):
        return
    raise TrainingError(
        f"expected examples to {what}; got none: no stretch of frames with a face and a label is "
        "long enough; choose a shorter window or smaller spacing, or check the split"
    )
