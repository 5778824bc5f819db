"""Whom a run knows: people that it learned from, and people that it was chosen by.

Scores on either are too good. A run's record names both, so that they are found in other data of
the same data set. A run knows through others, too: through the network that made its vectors, and
through the one whose weights it began with. Both pass on what their own records say.

Not followed: files of weights, and bundles but those of `emotrace train default`, which say nothing
of people (notices say NOT PROVEN); networks for images in general (ImageNet), which are taken to
know nobody; and the same people or pictures under the names of two data sets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from emotrace.bundle_spec import read_spec
from emotrace.datasets import manifest
from emotrace.datasets.catalogue import DATASETS
from emotrace.datasets.items import SideName  # noqa: TC001 -- from_plain reads types at run time
from emotrace.errors import BundleError, DatasetError
from emotrace.training.plain_values import from_plain, to_plain
from emotrace.training.run_folders import RUN_FILE
from emotrace.training.starting import IMAGENET, place_of
from emotrace.training.zoo.checkpoints import CHECKPOINT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from emotrace.training.zoo.predictions import SetPredictions
    from emotrace.training.zoo.recipe import DataSettings
    from emotrace.training.zoo.run import TrainedNetwork
    from emotrace.training.zoo.sources import OpenData

_SHOWN: Final = 3
_PUBLISHED: Final = frozenset(DATASETS) - {manifest.NAME}
"""Data sets whose makers named the people: a name is one person, in whichever cache."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Who is on a side of a run's split."""

    clips: tuple[str, ...]
    people: tuple[str, ...] | None
    """None: a run of an older version does not say; its clips do."""


@dataclass(frozen=True, kw_only=True)
class Acquaintances:
    """Whom one network learned from and was chosen by."""

    network: str
    """What to call it."""
    datasets: tuple[str, ...]
    fingerprint: str
    """Of the data; names are the same people's where this is the same."""
    split: str
    """How the data was divided."""
    chosen_on: SideName
    """The side that it was chosen by."""
    learned: Group | None
    """None: pictures without names (FER+), as of `chosen`."""
    chosen: Group | None


@dataclass(frozen=True, kw_only=True)
class Known:
    """Whom a network knows, by itself and through others; nobody unless given."""

    met: tuple[Acquaintances, ...] = ()
    unknown: tuple[str, ...] = ()
    """What does not say whom it learned from, in plain words."""

    def join(self, other: Known) -> Known:
        """Return both, each entry once."""
        return Known(
            met=tuple(dict.fromkeys((*self.met, *other.met))),
            unknown=tuple(dict.fromkeys((*self.unknown, *other.unknown))),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Known:
        """Rebuild from what `to_json` gave.

        Raises:
            TrainingError: It is of another version.
        """
        known: Known = from_plain(cls, record, where="known")
        return known


# --- what records say ----------------------------------------------------------------------------


def known_by_run(folder: Path, everything: dict[str, Any]) -> Known:
    """Return whom a run knows.

    Args:
        folder: Its own, for its name.
        everything: What its `run.json` says.
    """
    name = f"{everything['architecture']} of the run {folder.resolve().name}"
    return Known(met=(_own_acquaintances(everything, name),)).join(known_through(everything))


def known_through(everything: dict[str, Any]) -> Known:
    """Return whom a run knows through others, by what its `run.json` says.

    Of an older version's record nothing is known but where it began; what the maker of its vectors
    knows, the vectors may say (`known_by_vectors`).
    """
    recorded = everything["data"].get("known_through")
    if recorded is not None:
        return Known.from_json(recorded)
    start = everything["recipe"].get("start", {}).get("initialise_from")
    if start in (None, IMAGENET):
        return Known()
    return Known(unknown=(f"an older run does not say whom the weights from {start} know",))


def known_behind(everything: dict[str, Any], source: object) -> Known:
    """Return whom a run knows through others, where the rows that it reads may be vectors."""
    return known_through(everything).join(known_by_vectors(source))


def known_by_start(start: Path | None) -> Known:
    """Return whom the weights know that a training begins with.

    Args:
        start: A run, a checkpoint in its folder, another file or bundle, `imagenet`, or None.
    """
    if start is None or str(start) == IMAGENET:
        return Known()
    of_bundle = known_by_bundle(start)
    if of_bundle is not None:
        return of_bundle
    is_checkpoint = start.is_file() and start.resolve().parent.name == CHECKPOINT_FOLDER
    folder = start.resolve().parents[1] if is_checkpoint else start
    try:
        return known_by_run(folder, json.loads((folder / RUN_FILE).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return Known(unknown=(f"the weights from {start} do not say whom they know",))


def known_by_bundle(start: Path) -> Known | None:
    """Return whom a bundle of `emotrace train default` knows: FER+'s, who have no names.

    None: it is none of those; what other bundles learned from, their specs do not say.
    """
    try:
        spec = read_spec(place_of(start))
        training: dict[str, Any] = dict(spec.results["training"])
        fingerprint, recipe = training["data_sha256"], training["recipe"]
    except (BundleError, KeyError, TypeError):
        return None
    if "ferplus_classes" not in recipe.get("network", {}):
        return None
    met = Acquaintances(
        network=f"the bundle {spec.name}",
        datasets=("ferplus",),
        fingerprint=str(fingerprint),
        split="official",
        chosen_on="validation",
        learned=None,
        chosen=None,
    )
    return Known(met=(met,))


def known_by_vectors(source: object) -> Known:
    """Return whom the maker of vectors knows; nobody for rows that are no vectors."""
    record: dict[str, Any] | None = getattr(source, "record", None)
    if record is None:
        return Known()
    if "known" in record:
        return Known.from_json(record["known"])
    text = (
        f"the vectors of {record['description']} do not say whom it knows, as an older version "
        "made them (the same 'emotrace train features' again adds it)"
    )
    return Known(unknown=(text,))


def _own_acquaintances(everything: dict[str, Any], name: str) -> Acquaintances:
    facts, split = everything["data"], everything["data"]["split"]
    chosen_on: SideName = everything["recipe"]["data"].get("validate_on", "validation")
    if isinstance(split, str):
        learned = chosen = None
        title = split.partition(":")[0]
    else:
        learned = _group(split["sides"]["train"], facts.get("train_subjects"))
        chosen = _group(split["sides"][chosen_on], facts.get("validation_subjects"))
        title = ", ".join(word for word in (split["protocol"], split["fold"]) if word)
    return Acquaintances(
        network=name,
        datasets=tuple(facts["dataset"]),
        fingerprint=facts["sha256"],
        split=title,
        chosen_on=chosen_on,
        learned=learned,
        chosen=chosen,
    )


def _group(clips: list[str], people: list[str] | None) -> Group:
    return Group(clips=tuple(clips), people=None if people is None else tuple(people))


# --- before training -----------------------------------------------------------------------------


def meet(data: OpenData, known: Known, settings: DataSettings) -> OpenData:
    """Hold the split of data against whom the networks know that a run on it builds on.

    Nobody may be measured on whom one of them learned from or was chosen by, nor be chosen by whom
    one learned from. Names prove who somebody is within the same data, and within a published data
    set; elsewhere those of other data may be namesakes, and the split says NOT PROVEN.

    Args:
        data: As it is divided.
        known: Whom those networks know.
        settings: What to do about leaks.

    Returns:
        The data; its split says what is not proven, and what leaks where that is allowed.

    Raises:
        DatasetError: Somebody is known, and that is not allowed.
    """
    leaks: list[str] = []
    doubts = [f"NOT PROVEN who is new: {text}" for text in known.unknown]
    splits: list[str] = []
    for one in known.met:
        shared = set(one.datasets) & set(data.datasets)
        if not shared:
            continue  # names of people and clips say nothing across data sets
        found = list(_find_known(one, data, settings))
        if found and (one.fingerprint == data.fingerprint or shared & _PUBLISHED):
            leaks += found
            splits.append(one.split)
        elif found:
            doubts += [f"NOT PROVEN to be mere namesakes: {text}" for text in found]
        elif one.learned is None or None in (data.split.items.subjects or (None,)):
            doubts.append(
                f"NOT PROVEN who is new to {one.network}: it learned from the same data set, which "
                "does not say who is seen"
            )
    if leaks and settings.leaks != "allow":
        raise DatasetError(
            "expected nobody to choose by or to measure on whom a network knows that the run "
            f"builds on; got {'; '.join(leaks)}; divide the data as that network's was "
            f"({' / '.join(dict.fromkeys(splits))}), learn from another data set, or allow leaks "
            "(results will say so)"
        )
    remarks = (*(f"LEAKS ALLOWED: {leak}" for leak in leaks), *doubts)
    if not remarks:
        return data
    split = replace(data.split, remarks=(*data.split.remarks, *remarks))
    return replace(data, split=split)


def _find_known(one: Acquaintances, data: OpenData, settings: DataSettings) -> Iterator[str]:
    """Yield in plain words who of a split's sides is known to a network."""
    items = data.split.items
    sides: tuple[SideName, ...] = ("test", "validation")
    for side in sides:
        at = data.split.sides.get(side, ())
        clips = {items.item_ids[item] for item in at}
        people = {items.subjects[item] or "" for item in at} if items.subjects else set()
        groups = [(one.learned, "learned from")]
        # What is chosen by may be chosen by twice.
        if side == "test" and settings.validate_on != "test":
            groups.append((one.chosen, "was chosen by"))
        for group, how in groups:
            shared = _shared(group, people, clips, data)
            if shared is not None:
                who = f"{shared.amount} of the {side} side ({shared.names})"
                yield f"{who} that {one.network} {how}"


# --- before scoring ------------------------------------------------------------------------------


def require_strangers(
    name: str | Path,
    trained: TrainedNetwork,
    data: OpenData,
    predictions: SetPredictions,
) -> list[str]:
    """Refuse to score a run on people or clips that it knows; say what is not proven.

    People whom a run was chosen by may be scored where a validation side is asked for by name. The
    same holds of the networks that it builds on.

    Args:
        name: Of the run, for messages.
        trained: The run.
        data: Data that it did not learn from.
        predictions: What the run says of it.

    Returns:
        What is not proven, in plain words.

    Raises:
        DatasetError: Somebody is known to the run.
    """
    everything = trained.record.everything
    own = _own_acquaintances(everything, f"the run {name}")
    through = known_behind(everything, data.source)
    notices = [f"{name}: NOT PROVEN who is new to it: {text}" for text in through.unknown]
    for one in (own, *through.met):
        if not set(one.datasets) & set(data.datasets):
            continue  # names of people and clips say nothing across data sets
        who = one.network if one is own else f"{one.network}, which the run {name} builds on,"
        _require_others(
            one.learned,
            f"people that {who} did not learn from",
            side="training",
            data=data,
            predictions=predictions,
            remedy="choose a protocol that leaves them out",
        )
        if predictions.side != "validation":
            _require_others(
                one.chosen,
                f"people that {who} was not chosen by",
                side=one.chosen_on,
                data=data,
                predictions=predictions,
                remedy="scores on them are too good; choose a protocol that leaves them out, or "
                "one with them on its validation side and ask for that by name (--split "
                "validation)",
            )
        if "" in predictions.subjects.tolist() or one.learned is None:
            notices.append(
                f"{name}: NOT PROVEN that {'it' if one is own else one.network} did not learn from "
                "these people: it learned from the same data set, which does not say who is seen"
            )
    return notices


def _require_others(
    group: Group | None,
    expected: str,
    *,
    side: str,
    data: OpenData,
    predictions: SetPredictions,
    remedy: str,
) -> None:
    """Refuse predictions of the people or clips of a side of a network's split."""
    people, clips = set(predictions.subjects.tolist()), set(predictions.videos.tolist())
    shared = _shared(group, people, clips, data)
    if shared is not None:
        raise DatasetError(
            f"expected {expected}; got {shared.amount} in common with its {side} side "
            f"({shared.names}); {remedy}"
        )


class _Shared(NamedTuple):
    amount: str
    """`2 people`, `1 clips`."""
    names: str
    """Some of them."""


def _shared(
    group: Group | None, people: set[str], clips: set[str], data: OpenData
) -> _Shared | None:
    """Find who of a group is among people, or else what among clips; None for nobody."""
    if group is None:
        return None
    known = set(_people_of(group, data)) & people
    shown = sorted(known or set(group.clips) & clips)
    if not shown:
        return None
    names = f"{', '.join(shown[:_SHOWN])}{', ...' if len(shown) > _SHOWN else ''}"
    return _Shared(f"{len(shown)} {'people' if known else 'clips'}", names)


def _people_of(group: Group, data: OpenData) -> set[str]:
    """Return who is in a group, by the data at hand where an old run does not say."""
    if group.people is not None:
        return set(group.people)
    clips = set(group.clips)
    videos = zip(data.names.videos, data.names.subjects, strict=True)
    return {subject for clip, subject in videos if clip in clips and subject}
