"""Flags that verbs which score models share: how data is divided, what is drawn for intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from emotrace.cli.arguments import Switch  # noqa: TC001 -- tyro reads the annotations
from emotrace.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.training.model_predictions import ScoringRequest
    from emotrace.training.targets import LabelSource

Unit = Literal["auto", "subject", "video"]


@dataclass(frozen=True, kw_only=True)
class SplitArguments:
    """What of the data is scored, where no run has divided it."""

    whole: Switch = False
    """Score everything: for data of which the model never saw anybody."""
    protocol: Literal[
        "auto", "official", "holdout", "k-fold", "leave-one-subject-out", "actor-folds", "random"
    ] = "auto"
    """How data is divided; auto: as the run did, else official parts, else held-out subjects."""
    fold: int = 1
    """Which one of the protocol's splits, from 1."""
    folds: int = 5
    """How many k-fold makes."""
    validation_share: float = 0.2
    """Of the subjects (holdout) or clips (random), for choosing."""
    test_share: float = 0.0
    """Of the subjects (holdout) or clips (random), for measuring."""
    split_seed: int = 0
    """Of the protocols that draw."""


def scoring_request(
    root: Path | None,
    split: SplitArguments,
    *,
    side: Literal["validation", "test"] = "test",
    prior: str = "default",
    labels: LabelSource = "emotion",
    ignore_other_labels: bool = False,
) -> ScoringRequest:
    """Turn flags into what the library is asked for.

    Args:
        root: Of the data; None: each run's own.
        split: How it is divided.
        side: Which side.
        prior: Of bundles.
        labels: Of bundles.
        ignore_other_labels: Labels that a model does not know are missing ones.

    Raises:
        UsageError: A protocol and everything are asked for, or data is missing for either.
    """
    from emotrace.training.model_predictions import ScoringRequest
    from emotrace.training.targets import TargetSettings
    from emotrace.training.zoo.recipe import DataSettings

    is_chosen = split not in (SplitArguments(), SplitArguments(whole=True))
    if is_chosen and split.whole:
        raise UsageError("expected --whole or a --protocol with its flags; got both")
    if split.whole and side != "test":
        raise UsageError(f"expected --whole or a side; got --whole and the {side} side")
    if root is None and split != SplitArguments():
        raise UsageError("expected --data with --whole, --protocol and their like; it is missing")
    data = None
    if root is not None:
        data = DataSettings(
            data=root,
            protocol=split.protocol,
            fold=split.fold,
            folds=split.folds,
            validation_share=split.validation_share,
            test_share=split.test_share,
            split_seed=split.split_seed,
            # A side that is scored keeps every picture; those that it shares leave the others.
            leaks="drop-pictures",
        )
    return ScoringRequest(
        data=data,
        is_split_chosen=is_chosen,
        side="whole" if split.whole else side,
        prior=prior,
        targets=TargetSettings(labels=labels, ignore_other_labels=ignore_other_labels),
    )
