"""Whom a run knows: people that it learned from, and people that it was chosen by.

Scores on either are too good. A run's record names both, so that they are found in other data of
the same data set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emotrace.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.training.zoo_predictions import SetPredictions
    from emotrace.training.zoo_run import TrainedNetwork
    from emotrace.training.zoo_sources import OpenData

_SHOWN: Final = 3


def require_strangers(
    name: str | Path,
    trained: TrainedNetwork,
    data: OpenData,
    datasets: list[str],
    predictions: SetPredictions,
) -> list[str]:
    """Refuse to score a run on people or clips that it knows; say what is not proven.

    People whom a run was chosen by may be scored where a validation side is asked for by name.

    Args:
        name: Of the run, for messages.
        trained: The run.
        data: Data that it did not learn from.
        datasets: Names of the data sets in it.
        predictions: What the run says of it.

    Returns:
        What is not proven, in plain words.

    Raises:
        DatasetError: Somebody is known to the run.
    """
    facts = trained.record.everything["data"]
    if not set(facts["dataset"]) & set(datasets):
        return []  # names of people and clips say nothing across data sets
    split = facts["split"]
    if not isinstance(split, str):
        sides = split["sides"]
        _require_others(
            f"people that the run {name} did not learn from",
            side="training",
            clips=set(sides["train"]),
            people=facts.get("train_subjects"),
            data=data,
            predictions=predictions,
            remedy="choose a protocol that leaves them out",
        )
        chosen_by = trained.record.recipe.data.validate_on
        if predictions.side != "validation":
            _require_others(
                f"people that the run {name} was not chosen by",
                side=chosen_by,
                clips=set(sides[chosen_by]),
                people=facts.get("validation_subjects"),
                data=data,
                predictions=predictions,
                remedy="scores on them are too good; choose a protocol that leaves them out, or "
                "one with them on its validation side and ask for that by name (--split "
                "validation)",
            )
    if "" in predictions.subjects.tolist() or isinstance(split, str):
        notice = (
            f"{name}: NOT PROVEN that it did not learn from these people: it learned from the same "
            "data set, which does not say who is seen"
        )
        return [notice]
    return []


def _require_others(
    expected: str,
    *,
    side: str,
    clips: set[str],
    people: list[str] | None,
    data: OpenData,
    predictions: SetPredictions,
    remedy: str,
) -> None:
    """Refuse predictions of the people or clips of a side of a run's split."""
    if people is None:
        people = _people_of(clips, data)
    known = set(people) & set(predictions.subjects.tolist())
    shown = sorted(known or clips & set(predictions.videos.tolist()))
    if shown:
        names = f"{', '.join(shown[:_SHOWN])}{', ...' if len(shown) > _SHOWN else ''}"
        raise DatasetError(
            f"expected {expected}; got {len(shown)} {'people' if known else 'clips'} in common "
            f"with its {side} side ({names}); {remedy}"
        )


def _people_of(clips: set[str], data: OpenData) -> list[str]:
    """Return who is seen in clips, by the data at hand: an old run does not say."""
    videos = zip(data.names.videos, data.names.subjects, strict=True)
    return sorted({subject for clip, subject in videos if clip in clips and subject})
