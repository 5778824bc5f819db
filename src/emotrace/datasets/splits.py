"""A data set divided into train, validation and test, and the proof that they share nothing.

A `Split` hands out its sides only when it has been checked: `split.train` of a split with somebody
on both sides raises. Whoever wants that split all the same says so (`allow_leaks`), and then every
description of it says so too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np

from emotrace.datasets.items import SIDES, SideName, SplitItems, name_codes
from emotrace.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from emotrace.datasets.items import Spans

LeakKind = Literal["subject", "session", "duplicate", "window"]

_SHOWN_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Something that is on two sides of a split."""

    kind: LeakKind
    """`subject`, `session`; `duplicate`: equal pictures; `window`: overlapping stretches."""
    sides: tuple[SideName, SideName]
    count: int
    """Subjects, sessions or different pictures; for windows, those of the first side."""
    examples: tuple[str, ...]
    """Some of their names."""

    def __str__(self) -> str:
        what = {
            "subject": "subject",
            "session": "session",
            "duplicate": "picture",
            "window": "overlapping window",
        }[self.kind]
        more = ", ..." if self.count > len(self.examples) else ""
        return (
            f"{self.count} {what}{'' if self.count == 1 else 's'} in both {self.sides[0]} and "
            f"{self.sides[1]} ({', '.join(self.examples)}{more})"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """One way to divide items into train, validation and test.

    Reading a side checks the split first; `describe` and `to_json` belong beside every result.

    Raises:
        UsageError: An item is on two sides, or a position is none of the items'.
    """

    protocol: str
    """What made it: `leave-one-subject-out`."""
    fold: str
    """Which one of the protocol's splits: `subject S005`; empty where there is only one."""
    items: SplitItems
    sides: Mapping[SideName, NDArray[np.int64]]
    """Positions of the items, unchecked: read `train`, `validation` and `test` instead."""
    allow_leaks: bool = False
    """The user wants it although it leaks."""
    remarks: tuple[str, ...] = ()
    """What was left out to make it, in plain words."""

    def __post_init__(self) -> None:
        joined = np.concatenate([self._side(name) for name in SIDES])
        if len(joined) and not (joined.min() >= 0 and joined.max() < len(self.items)):
            raise UsageError(f"expected positions from 0 to {len(self.items) - 1} in a split")
        if len(np.unique(joined)) != len(joined):
            raise UsageError(f"expected each item on one side at most ({self.title}); got two")

    @property
    def title(self) -> str:
        """Protocol and fold."""
        return f"{self.protocol}, {self.fold}" if self.fold else self.protocol

    @property
    def train(self) -> NDArray[np.int64]:
        """Positions of the items to learn from.

        Raises:
            DatasetError: As `verified` says.
        """
        return self._verified_side("train")

    @property
    def validation(self) -> NDArray[np.int64]:
        """Positions of the items to choose by; may be empty.

        Raises:
            DatasetError: As `verified` says.
        """
        return self._verified_side("validation")

    @property
    def test(self) -> NDArray[np.int64]:
        """Positions of the items to measure on; may be empty.

        Raises:
            DatasetError: As `verified` says.
        """
        return self._verified_side("test")

    def _verified_side(self, name: SideName) -> NDArray[np.int64]:
        self.verified()
        return self._side(name)

    def _side(self, name: SideName) -> NDArray[np.int64]:
        return np.sort(np.asarray(self.sides.get(name, ()), np.int64))

    @cached_property
    def _side_of(self) -> NDArray[np.int8]:
        """`(n,)`: position in `SIDES`, -1 for items left out."""
        side_of = np.full(len(self.items), -1, np.int8)
        for code, name in enumerate(SIDES):
            side_of[self._side(name)] = code
        return side_of

    @cached_property
    def _leaks(self) -> tuple[Leak, ...]:
        return tuple(_find_leaks(self.items, self._side_of))

    def leaks(self) -> list[Leak]:
        """Return everything that is on two sides: subjects, sessions, pictures, windows."""
        return list(self._leaks)

    def unproven(self) -> list[str]:
        """Return what cannot be checked because the data set does not tell, in plain words."""
        used = self._side_of >= 0
        gaps = []
        unknown = int(np.sum(used & (self.items.subject_codes < 0)))
        if unknown:
            gaps.append(f"the subject of {unknown} of {int(used.sum())} items is not known")
        if self.items.content is None:
            gaps.append("pictures were not compared")
        return gaps

    def verified(self, *, allow_leaks: bool = False) -> Self:
        """Return the split if nothing is on two of its sides.

        Args:
            allow_leaks: Return it all the same; it then names its leaks wherever it is described.

        Raises:
            DatasetError: Something is on two sides and leaks are not allowed.
        """
        if allow_leaks and not self.allow_leaks:
            return replace(self, allow_leaks=True)
        if self._leaks and not self.allow_leaks:
            raise DatasetError(
                f"expected nothing on two sides of the split {self.title!r}; got "
                f"{'; '.join(str(leak) for leak in self._leaks)}; choose a protocol that holds "
                "subjects out, or allow leaks (results will say so)"
            )
        return self

    def without_shared_pictures(self) -> Self:
        """Return the split without items that hold a picture of a more precious side.

        Items with a picture that is also in test leave train and validation; those with a picture
        that is also in validation leave train. Other leaks stay.
        """
        content = self.items.shared_content
        if content is None:
            return self
        sides = {name: self._side(name) for name in SIDES}
        remarks = list(self.remarks)
        pairs: tuple[tuple[SideName, SideName], ...] = (
            ("test", "train"),
            ("test", "validation"),
            ("validation", "train"),
        )
        for keeper, loser in pairs:
            kept = content.hashes[np.isin(content.item, sides[keeper])]
            shared = np.unique(content.item[np.isin(content.hashes, kept)])
            lost = np.isin(sides[loser], shared)
            if lost.any():
                sides[loser] = sides[loser][~lost]
                remarks.append(
                    f"{int(lost.sum())} items left out of {loser}: their pictures are in {keeper}"
                )
        return replace(self, sides=sides, remarks=tuple(remarks))

    def describe(self) -> str:
        """Return one line for every result: protocol, sizes, what is proven and what is not."""
        sizes = ", ".join(
            f"{len(self._side(name))} {name}" for name in SIDES if len(self._side(name))
        )
        parts = [f"{self.title}: {sizes} items", *self.remarks]
        if self._leaks:
            said = "LEAKS ALLOWED" if self.allow_leaks else "LEAKS"
            parts.append(f"{said}: {'; '.join(str(leak) for leak in self._leaks)}")
        parts += [f"not proven: {gap}" for gap in self.unproven()]
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain values, with the ids of each side's items."""
        return {
            "protocol": self.protocol,
            "fold": self.fold,
            "sides": {name: [self.items.item_ids[at] for at in self._side(name)] for name in SIDES},
            "leaks": [
                {"kind": leak.kind, "sides": list(leak.sides), "count": leak.count}
                for leak in self._leaks
            ],
            "leaks_allowed": self.allow_leaks,
            "not_proven": self.unproven(),
            "remarks": list(self.remarks),
        }


def _find_leaks(items: SplitItems, side_of: NDArray[np.int8]) -> Iterator[Leak]:
    sessions = tuple(sorted({name for name in items.sessions or () if name is not None}))
    # A known subject says more than a session, whose name may be another person's as well.
    session_codes = np.where(
        items.subject_codes < 0, name_codes(items.sessions, sessions, len(items)), -1
    )
    for a, b in combinations(range(len(SIDES)), 2):
        if not (np.any(side_of == a) and np.any(side_of == b)):
            continue
        pair = (SIDES[a], SIDES[b])
        named: tuple[tuple[LeakKind, NDArray[np.int64], tuple[str, ...]], ...] = (
            ("subject", items.subject_codes, items.subject_names),
            ("session", session_codes, sessions),
        )
        for kind, codes, names in named:
            shared = _shared(codes, side_of, a, b)
            shared = shared[shared >= 0]
            if len(shared):
                shown = tuple(names[code] for code in shared[:_SHOWN_EXAMPLES])
                yield Leak(kind=kind, sides=pair, count=len(shared), examples=shown)
        content = items.shared_content
        if content is not None:
            hashes, owners = content.hashes, content.item
            shared = _shared(hashes, side_of[owners], a, b)
            if len(shared):
                first = owners[np.isin(hashes, shared[:_SHOWN_EXAMPLES])]
                shown = tuple(items.item_ids[at] for at in np.unique(first)[:_SHOWN_EXAMPLES])
                yield Leak(kind="duplicate", sides=pair, count=len(shared), examples=shown)
        if items.spans is not None:
            over = _overlapping(items.spans, side_of == a, side_of == b)
            if len(over):
                shown = tuple(items.item_ids[at] for at in over[:_SHOWN_EXAMPLES])
                yield Leak(kind="window", sides=pair, count=len(over), examples=shown)


def _shared(codes: NDArray[Any], side_of: NDArray[np.int8], a: int, b: int) -> NDArray[Any]:
    return np.intersect1d(codes[side_of == a], codes[side_of == b])


def _overlapping(
    spans: Spans, is_a: NDArray[np.bool_], is_b: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the positions of those of a that share a frame with one of b.

    Of the b's in the same recording, those that begin by the end of an a, less those that end
    before it begins, overlap it: two counts by bisection instead of comparing all pairs.
    """
    _, source = np.unique(np.asarray(spans.source), return_inverse=True)
    low = int(min(spans.first_frame.min(), 0))
    step = int(spans.last_frame.max()) - low + 1
    begin = source * step + (spans.first_frame - low)
    end = source * step + (spans.last_frame - low)
    begins_b, ends_b = np.sort(begin[is_b]), np.sort(end[is_b])
    begun = np.searchsorted(begins_b, end[is_a], side="right")
    ended = np.searchsorted(ends_b, begin[is_a], side="left")
    positions: NDArray[np.int64] = np.flatnonzero(is_a)[begun > ended]
    return positions
