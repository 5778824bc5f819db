"""Predictions of folds as one set, and of one set after tzirakis2021's chain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from emotrace.analysis.post_processing import AffectPostProcessing, fit_chain
from emotrace.bundle_prior import softmax
from emotrace.errors import TrainingError
from emotrace.models.architecture import HeadKind
from emotrace.training.zoo.evaluation import VOTES as VOTE_RULES
from emotrace.training.zoo.predictions import RowPlaces, cut_predictions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from emotrace.training.zoo.predictions import SetPredictions


def pool_predictions(folds: Sequence[SetPredictions]) -> SetPredictions:
    """Put the held-out predictions of several folds together, in the order of the data's rows.

    Args:
        folds: Of one network trained several times; no row is in two of them.

    Raises:
        TrainingError: There are none, or a row comes twice: it would count twice.
    """
    if not folds:
        raise TrainingError("expected predictions of at least one fold; got none")
    first = folds[0]
    rows = np.concatenate([fold.rows for fold in folds])
    if len(np.unique(rows)) != len(rows):
        raise TrainingError("expected every frame on the test side of one fold; one is in two")
    order = np.argsort(rows, kind="stable")
    heads = [target.head.name for target in first.heads]
    splits = len(folds)
    return replace(
        first,
        title=f"{first.title}, {splits} folds",
        rows=rows[order],
        videos=np.concatenate([fold.videos for fold in folds])[order],
        subjects=np.concatenate([fold.subjects for fold in folds])[order],
        outputs={
            name: np.concatenate([fold.outputs[name] for fold in folds])[order] for name in heads
        },
        targets={
            name: np.concatenate([fold.targets[name] for fold in folds])[order] for name in heads
        },
        places=_pool_places(folds, order),
        split=first.split if splits == 1 else f"{splits} folds pooled; the first: {first.split}",
    )


def _pool_places(folds: Sequence[SetPredictions], order: NDArray[np.int64]) -> RowPlaces | None:
    places = [fold.places for fold in folds if fold.places is not None]
    if len(places) < len(folds):
        return None
    return RowPlaces(
        frame=np.concatenate([one.frame for one in places])[order],
        face=np.concatenate([one.face for one in places])[order],
        seconds=np.concatenate([one.seconds for one in places])[order],
    )


def last_of_videos(predictions: SetPredictions) -> SetPredictions:
    """Return the last frame of each video alone: where a posed expression has its apex."""
    videos = predictions.videos
    is_last = np.append(videos[1:] != videos[:-1], True)[: len(videos)]
    return cut_predictions(predictions, np.flatnonzero(is_last))


def decide_videos(predictions: SetPredictions, head: str = "expression") -> dict[str, list[str]]:
    """Return what is said of each video that has one class and one prediction at least.

    Args:
        predictions: Of one side, or of several folds.
        head: Of classes.

    Returns:
        `videos`, `subjects`, `truth`, and both votes by their names; no video where the network has
        no such head.
    """
    found: dict[str, list[str]] = {
        name: [] for name in ("videos", "subjects", "truth", *VOTE_RULES)
    }
    target = next((one for one in predictions.heads if one.head.name == head), None)
    if target is None:
        return found
    logits = predictions.outputs[head].astype(np.float64)
    shares = predictions.targets[head]
    usable = np.isfinite(logits).all(axis=1) & np.isfinite(shares).all(axis=1)
    for video in dict.fromkeys(predictions.videos.tolist()):
        rows = np.flatnonzero((predictions.videos == video) & usable)
        classes = set(shares[rows].argmax(axis=1).tolist())
        if len(classes) != 1:
            continue
        probabilities = softmax(logits[rows])
        found["videos"].append(video)
        found["subjects"].append(str(predictions.subjects[rows[0]]))
        found["truth"].append(target.names[classes.pop()])
        for rule, vote in VOTE_RULES.items():
            found[rule].append(target.names[vote(probabilities)])
    return found


def post_process(
    predictions: SetPredictions, *, by: SetPredictions, frame_seconds: float
) -> tuple[SetPredictions, dict[str, Any]]:
    """Fit the chain on validation predictions and apply it unchanged.

    Args:
        predictions: What it is applied to.
        by: What it is fitted on.
        frame_seconds: From one frame to the next.

    Returns:
        The processed predictions, and each value's chain as JSON.

    Raises:
        TrainingError: The network predicts no values.
    """
    outputs = dict(predictions.outputs)
    chains: dict[str, Any] = {}
    rate = 1.0 / frame_seconds
    for target in predictions.heads:
        if target.head.kind is not HeadKind.CONTINUOUS:
            continue
        name = target.head.name
        processed = outputs[name].astype(np.float64)
        for at, value in enumerate(target.names):
            chain = fit_chain(by.targets[name][:, at], by.outputs[name][:, at], by.videos, rate)
            processed[:, at] = chain.apply(processed[:, at], predictions.videos, rate_hz=rate)
            chains[value] = AffectPostProcessing(valence=chain).to_json()["valence"]
        outputs[name] = processed.astype(np.float32)
    if not chains:
        raise TrainingError("expected a network that predicts values, to post-process; got none")
    return replace(predictions, outputs=outputs), chains


def kept_steps(chain: Mapping[str, Any]) -> str:
    """Say which steps of a chain were kept, with their values."""
    kept = [
        f"{step['name']} {step['value']:.3g}" for step in chain.get("steps", ()) if step["is_kept"]
    ]
    return ", ".join(kept) or "none"
