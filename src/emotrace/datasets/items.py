"""What a protocol divides (clips, pictures, windows), and what tells of things in common."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SideName = Literal["train", "validation", "test"]
SIDES: Final[tuple[SideName, ...]] = ("train", "validation", "test")


def content_hash(image: NDArray[np.uint8]) -> int:
    """Return 64 bits that equal pictures share: same shape, same pixels.

    Two different pictures out of three million agree by accident with a probability of 2e-7.

    >>> a = np.zeros((2, 3), np.uint8)
    >>> content_hash(a) == content_hash(a.copy()), content_hash(a) == content_hash(a.T)
    (True, False)
    """
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=8)
    digest.update(np.ascontiguousarray(image).tobytes())
    return int.from_bytes(digest.digest(), "little")


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """Which pictures the items hold: one entry for each picture of each item."""

    item: NDArray[np.int64]
    """`(pictures,)`: position of the item."""
    hashes: NDArray[np.uint64]
    """`(pictures,)`: `content_hash` of the picture."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Spans:
    """Where in its recording each item lies; for items that may overlap, such as windows."""

    source: tuple[str, ...]
    """Name of each item's recording."""
    first_frame: NDArray[np.int64]
    """`(n,)`."""
    last_frame: NDArray[np.int64]
    """`(n,)`, inclusive; the frame that is to be predicted counts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitItems:
    """The n things that a protocol divides (clips, pictures or windows), and what tells of leaks.

    What is not given cannot be proven; `Split.unproven` says so.

    Raises:
        UsageError: The lengths differ, or an id occurs twice.
    """

    item_ids: tuple[str, ...]
    """Unique names."""
    subjects: tuple[str | None, ...] | None = None
    """Who is seen; None where the data set does not say."""
    sessions: tuple[str | None, ...] | None = None
    """What was recorded together; stands in for the subject where that is not known. Names may
    repeat between known subjects (CK+ counts each person's sequences from 001)."""
    partitions: tuple[SideName | None, ...] | None = None
    """The official side of each item."""
    labels: NDArray[np.int64] | None = None
    """`(n,)`: a class from 0, or -1 for none; for stratification."""
    content: Content | None = None
    spans: Spans | None = None

    def __post_init__(self) -> None:
        count = len(self.item_ids)
        if len(set(self.item_ids)) != count:
            twice = Counter(self.item_ids).most_common(1)[0][0]
            raise UsageError(f"expected items with unique ids; {twice!r} occurs twice")
        columns: list[tuple[str, Any]] = [
            ("subjects", self.subjects),
            ("sessions", self.sessions),
            ("partitions", self.partitions),
            ("labels", self.labels),
        ]
        if self.spans is not None:
            columns += [
                ("spans.source", self.spans.source),
                ("spans.first_frame", self.spans.first_frame),
                ("spans.last_frame", self.spans.last_frame),
            ]
            if np.any(self.spans.last_frame < self.spans.first_frame):
                raise UsageError("expected spans that end at or after their first frame")
        for name, values in columns:
            if values is not None and len(values) != count:
                raise UsageError(f"expected {count} {name}, one an item; got {len(values)}")
        if self.content is not None:
            items = self.content.item
            if len(items) != len(self.content.hashes):
                raise UsageError(
                    f"expected a hash for each of {len(items)} pictures; "
                    f"got {len(self.content.hashes)}"
                )
            if len(items) and not (items.min() >= 0 and items.max() < count):
                raise UsageError(f"expected the pictures' items to be from 0 to {count - 1}")

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def subject_names(self) -> tuple[str, ...]:
        """The known subjects, sorted."""
        return tuple(sorted({name for name in self.subjects or () if name is not None}))

    @cached_property
    def subject_codes(self) -> NDArray[np.int64]:
        """`(n,)`: position in `subject_names`, -1 for an unknown subject."""
        return name_codes(self.subjects, self.subject_names, len(self))

    @cached_property
    def shared_content(self) -> Content | None:
        """Those entries of `content` whose picture several items hold: only they can leak.

        Found once for all splits of the items; leaving one subject out makes one for each subject.
        """
        if self.content is None:
            return None
        order = np.lexsort((self.content.item, self.content.hashes))
        hashes, items = self.content.hashes[order], self.content.item[order]
        if not len(hashes):
            return self.content
        starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
        lengths = np.diff(np.append(starts, len(hashes)))
        # Within a picture the items are sorted: they differ if the first and the last do.
        several = items[starts] != items[starts + lengths - 1]
        chosen = np.repeat(several, lengths)
        return Content(item=items[chosen], hashes=hashes[chosen])


def name_codes(
    names: Sequence[str | None] | None, known: Sequence[str], count: int
) -> NDArray[np.int64]:
    """Return `(count,)`: each name's position among the known ones, -1 for None."""
    if names is None:
        return np.full(count, -1, np.int64)
    position = {name: code for code, name in enumerate(known)}
    return np.array([-1 if n is None else position[n] for n in names], np.int64).reshape(count)
