"""What a bundle says of one side of a data set, as it ships: what `analyze` would say of the crops.

With `emotrace.training.zoo.evaluation.score_predictions` a bundle is scored on any crop cache, and
with `emotrace.training.zoo.comparison.compare_predictions` set against another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.analysis.temporal import TrackPredictor
from emotrace.bundle import load_bundle
from emotrace.datasets.windows import fill_unreached
from emotrace.errors import DatasetError, UsageError
from emotrace.faces.crop import CropGeometry
from emotrace.models.architecture import Head, HeadKind
from emotrace.training.targets import HeadTargets, TargetSettings, head_targets
from emotrace.training.zoo.predictions import SetPredictions, places_of
from emotrace.training.zoo.recipe import ZooRecipe
from emotrace.training.zoo.sources import open_data

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.bundle import Bundle, CropPredictions
    from emotrace.datasets.items import SideName
    from emotrace.training.zoo.predictions import ScoredSide
    from emotrace.training.zoo.recipe import DataSettings
    from emotrace.training.zoo.sources import OpenData

_BATCH: Final = 256
_LEAST_PROBABILITY: Final = 1e-12
_USUAL_RATE: Final = 25.0
"""Frames a second where a data set states no times."""
_FRAMING: Final = ("scale", "offset_x", "offset_y", "align")


def predict_bundle(
    name_or_path: str | Path,
    data: DataSettings,
    *,
    side: ScoredSide = "test",
    targets: TargetSettings | None = None,
    prior: str = "default",
) -> SetPredictions:
    """Run a bundle over one side of a data set.

    Args:
        name_or_path: The bundle.
        data: A crop cache or FER+, and how it is divided; the protocol must be the one that the
            bundle's training kept to, or its test side was learned from.
        side: `validation`, `test`, or `whole`: everything, for data that the bundle never saw.
        targets: Where labels come from; classes are the bundle's own.
        prior: How common each expression is taken to be.

    Returns:
        Logarithms of the bundle's probabilities in the place of logits; values as they are, filled
        between their neighbours where no face was found.

    Raises:
        BundleError: There is no such bundle.
        DatasetError: The data is not there, has no such side, or has labels outside the set.
        UsageError: The bundle predicts nothing that the data has labels for.
    """
    bundle = load_bundle(name_or_path, prior=prior)
    heads = _heads_of(bundle)
    settings = replace(targets or TargetSettings(), class_names=bundle.labels)
    recipe = ZooRecipe(architecture="", options=None, data=data, targets=settings)
    opened = open_data(recipe, whole=side == "whole")
    asked: SideName = "test" if side == "whole" else side
    if not len(opened.split.sides.get(asked, ())):
        raise DatasetError(
            f"expected a {side} side of the split to measure on; there is "
            f"{opened.split.describe()}; choose another side or protocol, or score everything "
            "(--whole) where the bundle saw none of it in training"
        )
    truth = head_targets(heads, opened.labels, settings)
    has_label = np.any([np.isfinite(values).any(axis=1) for values in truth.values()], axis=0)
    labelled = np.flatnonzero(opened.rows_of(asked) & has_label)
    said = _run(bundle, opened, asked)
    said = {name: values for name, values in said.items() if name in truth}
    names = opened.names
    for target in heads:
        if target.head.kind is HeadKind.CONTINUOUS:
            values = said[target.head.name]
            known = np.isfinite(values).all(axis=1)
            filled = fill_unreached(values, known, names.video, names.frame)
            said[target.head.name] = filled.astype(np.float32)
    video = names.video[labelled]
    return SetPredictions(
        title=f"{bundle.spec.name} {bundle.spec.version}, prior {bundle.prior_name}",
        side=side,
        heads=heads,
        rows=labelled,
        videos=np.asarray(names.videos, np.str_)[video],
        subjects=np.asarray([name or "" for name in names.subjects], np.str_)[video],
        outputs={name: values[labelled] for name, values in said.items()},
        targets={name: values[labelled] for name, values in truth.items()},
        split="; ".join([opened.split.describe(), *_framing_notes(bundle, opened)]),
        places=places_of(names, labelled),
    )


def _heads_of(bundle: Bundle) -> tuple[HeadTargets, ...]:
    heads = []
    if bundle.labels:
        head = Head(name="expression", kind=HeadKind.CATEGORICAL, size=len(bundle.labels))
        heads.append(HeadTargets(head=head, names=bundle.labels))
    if bundle.spec.valence_arousal_output:
        head = Head(name="valence_arousal", kind=HeadKind.CONTINUOUS, size=2)
        heads.append(HeadTargets(head=head, names=("valence", "arousal")))
    if not heads:
        raise UsageError(
            f"expected a bundle that predicts expressions or valence and arousal; "
            f"{bundle.spec.name} predicts neither"
        )
    return tuple(heads)


def _run(bundle: Bundle, data: OpenData, side: SideName) -> dict[str, NDArray[np.float32]]:
    """Return each head's values for all rows of the data; NaN for rows that were not predicted."""
    rows = np.flatnonzero(data.rows_of(side))
    if data.cache is not None:
        subject = data.cache.frames.is_subject
        rows = rows[subject[rows] | (data.cache.frames.face_id[rows] == 0)]
    found = _Collected(bundle, len(data.labels.classes))
    if bundle.spec.memory is None:
        seen = rows if data.cache is None else rows[data.cache.has_crop[rows]]
        for start in range(0, len(seen), _BATCH):
            chosen = seen[start : start + _BATCH]
            found.keep(chosen, bundle.predict(_rgb(data.source.read(chosen))))
        return found.heads
    if data.cache is None:
        raise UsageError("expected a bundle of single pictures for FER+, which has no videos")
    _run_tracks(bundle, data, rows, found)
    return found.heads


def _run_tracks(bundle: Bundle, data: OpenData, rows: NDArray[np.int64], found: _Collected) -> None:
    """Step through every video frame by frame, as `analyze` does."""
    if data.cache is None:
        return
    frames, has_crop = data.cache.frames, data.cache.has_crop
    predictor = TrackPredictor(bundle)
    for clip in np.unique(frames.clip[rows]):
        predictor.start()
        own = rows[frames.clip[rows] == clip]
        for number in np.unique(frames.frame[own]):
            here = own[(frames.frame[own] == number) & has_crop[own]]
            time = float(frames.timestamp_seconds[own[frames.frame[own] == number][0]])
            said = predictor.step(
                _rgb(data.source.read(here)) if len(here) else [],
                frames.face_id[here].tolist(),
                time if np.isfinite(time) else float(number) / _USUAL_RATE,
                is_cut=bool(frames.is_cut[own[frames.frame[own] == number]].any()),
            )
            if len(here):
                found.keep(here, said)


class _Collected:
    """Predictions as they come, by row."""

    def __init__(self, bundle: Bundle, rows: int) -> None:
        self.heads = {
            "expression": np.full((rows, len(bundle.labels)), np.nan, np.float32),
            "valence_arousal": np.full((rows, 2), np.nan, np.float32),
        }

    def keep(self, rows: NDArray[np.int64], said: CropPredictions) -> None:
        """Take note of what was said of rows."""
        probabilities = np.maximum(said.probabilities, _LEAST_PROBABILITY)
        self.heads["expression"][rows] = np.log(probabilities)
        if said.valence_arousal is not None:
            self.heads["valence_arousal"][rows] = said.valence_arousal


def _rgb(crops: NDArray[Any]) -> list[NDArray[np.uint8]]:
    colour = np.broadcast_to(crops, (*crops.shape[:3], 3))
    return [np.ascontiguousarray(picture) for picture in colour]


def _framing_notes(bundle: Bundle, data: OpenData) -> list[str]:
    """Say where the crops show more or less of a face than the bundle was made for."""
    if data.cache is None:
        return []
    cut = CropGeometry(**data.cache.manifest["cropping"]["crop"])
    wanted = bundle.spec.crop
    other = [
        f"{name} {getattr(cut, name)}, not {getattr(wanted, name)}"
        for name in _FRAMING
        if getattr(cut, name) != getattr(wanted, name)
    ]
    return [f"crops are framed otherwise than the bundle's: {', '.join(other)}"] if other else []
