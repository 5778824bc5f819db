"""What a network's heads are taught: one column of numbers for every value of every head.

A data set knows some of a frame's expression, valence, arousal, action units; a network has heads.
`match_heads` decides which label each value of a head stands for, once for a run; `head_targets`
then lays the labels out as the losses take them, NaN where there is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from emotrace.datasets.ferplus import majority_labels, vote_shares
from emotrace.errors import DatasetError, UsageError
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS
from emotrace.models.architecture import Head, HeadKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from emotrace.datasets.cache import CropCache
    from emotrace.datasets.ferplus import FerPlusSplit

LabelSource = Literal["emotion", "votes", "condition", "fer2013"]
"""`emotion`: the expression; `votes`: the shares of its annotators' votes, where there are any;
`condition`: the condition under which a clip was recorded, in the data set's own words;
`fer2013`: FER2013's own label (FER+ only)."""

_ACTION_UNIT: Final = re.compile(r"au_\d\d")
_SHOWN: Final = 3


@dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """Which labels are learned."""

    labels: LabelSource = "emotion"
    """What classes are: the expression, its votes, the condition of the recording."""
    class_names: tuple[str, ...] = ()
    """The classes, in the order of the outputs; those that the data has unless given."""
    value_names: tuple[str, ...] = ()
    """Columns that a head of plain values learns, in order: valence, arousal, au_12_intensity."""
    unit_names: tuple[str, ...] = ()
    """Action units that a head of labels learns, in order: au_01, au_02; those that the data has
    unless given."""
    ignore_other_labels: bool = False
    """Treat labels that are none of the classes as missing, instead of refusing the data."""

    def __post_init__(self) -> None:
        for name in ("class_names", "value_names", "unit_names"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise UsageError(f"expected each of {name} once; got {', '.join(values)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class RowLabels:
    """What is known of n rows (frames or pictures)."""

    class_names: tuple[str, ...]
    """Every class that a row may have."""
    classes: NDArray[np.int64]
    """`(n,)`: position in `class_names`, -1 for none."""
    shares: NDArray[np.float32] | None = None
    """`(n, len(class_names))`: shares of votes; a row without any is all 0."""
    columns: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """`valence`, `arousal`, `au_NN`, `au_NN_intensity`: `(n,)`, NaN for no label."""
    missing_classes: str = ""
    """What to tell a head of classes where the data has none of the kind that was asked for."""


@dataclass(frozen=True, kw_only=True)
class HeadTargets:
    """What each value of a head stands for."""

    head: Head
    names: tuple[str, ...]
    """A class, a column or an action unit for each value."""

    @property
    def is_of_classes(self) -> bool:
        """Its values are classes: one of which holds, or any of which may."""
        return self.head.kind is not HeadKind.CONTINUOUS and not self.is_of_units

    @property
    def is_of_units(self) -> bool:
        """Its values are action units."""
        return _is_of_units(self.head)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as a run's record keeps them."""
        head = self.head
        return {"name": head.name, "kind": head.kind.value, "values": list(self.names)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> HeadTargets:
        """Rebuild what `to_json` gave."""
        names = tuple(str(name) for name in record["values"])
        head = Head(name=record["name"], kind=HeadKind(record["kind"]), size=len(names))
        return cls(head=head, names=names)


def labels_of_cache(cache: CropCache, source: LabelSource) -> RowLabels:
    """Collect what a crop cache knows of its frames; faces that labels are not about have none.

    Raises:
        DatasetError: FER2013's labels are asked for.
    """
    frames = cache.frames
    columns = {"valence": frames.valence, "arousal": frames.arousal, **frames.action_units}
    if source == "condition":
        conditions = cache.clips["condition"]
        names = tuple(sorted({name for name in conditions if name is not None}))
        of_clip = np.array([-1 if c is None else names.index(c) for c in conditions], np.int64)
        classes = of_clip[frames.clip]
    elif source in ("emotion", "votes"):
        names, classes = EMOTIONS, cache.emotion_labels()
    else:
        raise DatasetError(
            f"expected FER+ for the labels 'fer2013'; {cache.folder} is a crop cache; its labels "
            "are 'emotion', 'votes' or 'condition'"
        )
    shares, missing = None, ""
    if not names:
        missing = (
            f"expected clips with a condition in {cache.folder}; none has one; learn 'emotion'"
        )
    elif source == "votes":
        if frames.votes is None:
            missing = f"expected annotators' votes in {cache.folder}; it has none; learn 'emotion'"
        else:
            shares = vote_shares(np.maximum(frames.votes, 0).astype(np.int64))
    classes = np.where(frames.is_subject, classes, -1)
    return RowLabels(
        class_names=names,
        classes=classes,
        shares=shares,
        columns=columns,
        missing_classes=missing,
    )


def labels_of_ferplus(split: FerPlusSplit, source: LabelSource) -> RowLabels:
    """Collect what FER+ knows of its pictures.

    Raises:
        UsageError: FER+ has no such labels.
    """
    if source == "fer2013":
        return RowLabels(class_names=FER2013_EMOTIONS, classes=split.fer2013_labels)
    if source == "condition":
        raise UsageError("expected the labels 'emotion', 'votes' or 'fer2013' of FER+; got others")
    return RowLabels(
        class_names=EMOTIONS,
        classes=majority_labels(split.votes),
        shares=vote_shares(split.votes) if source == "votes" else None,
    )


def match_heads(
    heads: Sequence[Head], labels: RowLabels, settings: TargetSettings
) -> tuple[HeadTargets, ...]:
    """Decide what each value of each head stands for.

    Args:
        heads: The network's.
        labels: Of the rows that are learned from.
        settings: What the user chose.

    Raises:
        UsageError: A head has more or fewer values than there are labels for it.
        DatasetError: There are no labels at all for any head, or no classes for a head of them.
    """
    matched = tuple(
        HeadTargets(head=head, names=_names_for(head, labels, settings)) for head in heads
    )
    for target in matched:
        if len(target.names) != target.head.size:
            raise UsageError(
                f"expected as many values in the head {target.head.name!r} as it has labels, "
                f"{len(target.names)} ({', '.join(target.names) or 'none in the data'}); the "
                f"network gives {target.head.size}; change the network's number of outputs or name "
                "the labels"
            )
    found = head_targets(matched, labels, settings)
    if not any(np.isfinite(values).any() for values in found.values()):
        raise DatasetError(
            "expected labels for at least one of the network's heads "
            f"({', '.join(head.name for head in heads)}); the data has none for any"
        )
    return matched


def occurring_classes(labels: RowLabels) -> tuple[str, ...]:
    """Return the classes that at least one row has."""
    present = np.unique(labels.classes[labels.classes >= 0])
    return tuple(labels.class_names[at] for at in present)


def _names_for(head: Head, labels: RowLabels, settings: TargetSettings) -> tuple[str, ...]:
    if head.kind is HeadKind.CONTINUOUS:
        if settings.value_names:
            return settings.value_names
        return ("valence", "arousal") if head.size == 2 else (head.name,)
    if _is_of_units(head):
        units = sorted(name for name in labels.columns if _ACTION_UNIT.fullmatch(name))
        return settings.unit_names or tuple(units)
    _require_classes(labels)
    if settings.class_names:
        return settings.class_names
    occurring = occurring_classes(labels)
    for candidate in (occurring, labels.class_names, FER2013_EMOTIONS):
        if len(candidate) == head.size and set(occurring) <= set(candidate):
            return candidate
    return occurring


def _is_of_units(head: Head) -> bool:
    return head.kind is HeadKind.MULTI_LABEL and "unit" in head.name


def head_targets(
    matched: Sequence[HeadTargets], labels: RowLabels, settings: TargetSettings
) -> dict[str, NDArray[np.float32]]:
    """Lay labels out for the losses.

    Returns:
        Head to `(n, values)`, NaN where there is no label.

    Raises:
        DatasetError: A row has a label that is none of the classes, or the data has no classes of
            the kind that a head is to learn.
        UsageError: A head is to learn a column that the data does not have.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for target in matched:
        head = target.head
        if target.is_of_classes:
            found[head.name] = _class_shares(target, labels, settings)
        else:
            found[head.name] = _columns(target, labels)
    return found


def _columns(target: HeadTargets, labels: RowLabels) -> NDArray[np.float32]:
    missing = [name for name in target.names if name not in labels.columns]
    # Every set has valence and arousal, if only empty; FER+ has no columns at all.
    if missing and not set(missing) <= {"valence", "arousal"}:
        have = ", ".join(labels.columns) or "none"
        raise UsageError(
            f"expected columns of the data for the head {target.head.name!r}; it lacks "
            f"{', '.join(missing)}; it has: {have}"
        )
    blank = np.full(len(labels.classes), np.nan, np.float32)
    return np.stack([labels.columns.get(name, blank) for name in target.names], axis=1)


def _class_shares(
    target: HeadTargets, labels: RowLabels, settings: TargetSettings
) -> NDArray[np.float32]:
    _require_classes(labels)
    at = [_position(name, labels.class_names) for name in target.names]
    place = np.full(len(labels.class_names) + 1, -1, np.int64)
    place[at] = np.arange(len(at))
    # The last place, which -1 finds, is that of rows without a label.
    own = place[labels.classes]
    strangers = (own < 0) & (labels.classes >= 0)
    if strangers.any() and not settings.ignore_other_labels:
        raise DatasetError(_strangers_message(target, labels, strangers))
    rows = np.full((len(own), len(at)), np.nan, np.float32)
    known = np.flatnonzero(own >= 0)
    rows[known] = 0
    rows[known, own[known]] = 1
    if labels.shares is not None:
        shares = labels.shares[:, at]
        total = shares.sum(axis=1, keepdims=True)
        has_votes = total[:, 0] > 0
        rows[has_votes] = (shares / np.maximum(total, 1e-9))[has_votes]
    return rows


def _require_classes(labels: RowLabels) -> None:
    if labels.missing_classes:
        raise DatasetError(labels.missing_classes)


def _position(name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise UsageError(f"expected class names out of {', '.join(names)}; got {name!r}")
    return names.index(name)


def _strangers_message(target: HeadTargets, labels: RowLabels, strangers: NDArray[np.bool_]) -> str:
    codes, counts = np.unique(labels.classes[strangers], return_counts=True)
    shown = ", ".join(
        f"{labels.class_names[code]} in {count} rows"
        for code, count in list(zip(codes, counts, strict=True))[:_SHOWN]
    )
    more = ", ..." if len(codes) > _SHOWN else ""
    return (
        f"expected labels out of {', '.join(target.names)} for the head {target.head.name!r}; got "
        f"{shown}{more}; give the network more classes, leave those clips out when preparing, or "
        "have other labels ignored"
    )
