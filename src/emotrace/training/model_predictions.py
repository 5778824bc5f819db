"""What a model says of held-out data, be it the run of a network of the zoo or a bundle.

On a run's own data its own split holds; on other data nobody may be seen whom it learned from or
was chosen by (`emotrace.training.known_people`). What a bundle learned from, only its maker knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotrace.bundle import load_bundle
from emotrace.errors import DatasetError, UsageError
from emotrace.models.architecture import InputKind
from emotrace.training.bundle_predictions import predict_bundle
from emotrace.training.examples import require_row_shape
from emotrace.training.feature_cache import is_feature_cache, open_features
from emotrace.training.known_people import require_strangers
from emotrace.training.own_data import load_own_data, open_own_data
from emotrace.training.run_folders import is_run
from emotrace.training.targets import TargetSettings
from emotrace.training.zoo.predictions import predict_run_on, predict_side
from emotrace.training.zoo.recipe import ZooRecipe
from emotrace.training.zoo.run import TrainedNetwork, load_trained
from emotrace.training.zoo.sources import data_fingerprint, open_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emotrace.training.zoo.predictions import ScoredSide, SetPredictions
    from emotrace.training.zoo.recipe import DataSettings
    from emotrace.training.zoo.sources import OpenData

RunLoader = Callable[[str | Path], TrainedNetwork]


@dataclass(frozen=True, kw_only=True)
class ScoringRequest:
    """On what models are scored."""

    data: DataSettings | None = None
    """The data, and how it is divided for models that no run of it divides; None: each run's own
    data."""
    is_split_chosen: bool = False
    """The user names a protocol."""
    side: ScoredSide = "test"
    prior: str = "default"
    """Of bundles."""
    targets: TargetSettings = field(default_factory=TargetSettings)
    """Which labels bundles are scored on, and what to do about labels that a model does not know;
    a run is scored on the labels that it learned."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelPredictions:
    """A model and what it says."""

    name: str
    """As it was named."""
    is_run: bool
    predictions: SetPredictions
    datasets: tuple[str, ...]
    fingerprint: str
    """Of the data: rows have the same numbers only where this is the same."""
    parameters: int | None
    epochs: int | None
    """After which the weights were taken; None for bundles."""
    notices: tuple[str, ...] = ()
    """What a reader of the scores should know."""

    def to_json(self) -> dict[str, Any]:
        """Return what is known of the model."""
        return {
            "name": self.name,
            "kind": "run" if self.is_run else "bundle",
            "predicted_by": self.predictions.title,
            "epochs": self.epochs,
            "parameters": self.parameters,
            "datasets": list(self.datasets),
            "data_sha256": self.fingerprint,
            "split": self.predictions.split,
            "notices": list(self.notices),
        }


def predict_models(
    models: Sequence[str | Path],
    request: ScoringRequest,
    *,
    load_run: RunLoader = load_trained,
) -> list[ModelPredictions]:
    """Have models predict the same data, as far as their splits allow.

    Bundles follow the split of the first run that learned from the data, where there is one and
    the user names no other.

    Args:
        models: Folders of runs, names or folders of bundles.
        request: What to predict.
        load_run: Makes a network of a run's folder.

    Raises:
        UsageError: Bundles without data; other data without a word on what to score of it; or a
            protocol for data that a run has divided already.
        DatasetError: Data is not there, has changed, has no such side or no labels on it, or shows
            somebody that a run learned from or, but on a validation side, was chosen by.
        TrainingError, BundleError: There is no such run or bundle.
    """
    runs = [load_run(model) if is_run(model) else None for model in models]
    for_bundles = request
    if None in runs and not request.is_split_chosen and request.side != "whole":
        for_bundles = replace(request, data=_split_of_runs(runs, request))
    found = []
    for model, trained in zip(models, runs, strict=True):
        if trained is None:
            found.append(_predict_bundle(model, for_bundles))
        else:
            found.append(_predict_run(model, trained, request))
        if not len(found[-1].predictions.rows):
            raise DatasetError(
                f"expected labels on the {request.side} side to score {model} on; no frame of it "
                "has one that the model predicts; choose another side, protocol or data set"
            )
    return found


def _split_of_runs(
    runs: Sequence[TrainedNetwork | None], request: ScoringRequest
) -> DataSettings | None:
    """Return the split of the first run that learned from the data, at the data's place."""
    for trained in filter(None, runs):
        own = trained.record.recipe.data
        if request.data is None:
            return replace(own, data=_pictures_of(own.data))
        if _fingerprint(trained) == data_fingerprint(request.data.data):
            return replace(own, data=request.data.data)
    return request.data


def _pictures_of(path: Path) -> Path:
    """Return the crop cache that vectors were made of: bundles look at pictures.

    Raises:
        DatasetError: It is not where it was.
    """
    if not is_feature_cache(path):
        return path
    crops = Path(open_features(path).record["source"])
    if not crops.exists():
        raise DatasetError(
            f"expected the crop cache that the vectors in {path} were made of at {crops}, for the "
            "bundle to look at; there is nothing; give its place (--data)"
        )
    return crops


def _fingerprint(trained: TrainedNetwork) -> str:
    return str(trained.record.everything["data"]["sha256"])


# --- runs ----------------------------------------------------------------------------------------


def _predict_run(
    name: str | Path, trained: TrainedNetwork, request: ScoringRequest
) -> ModelPredictions:
    record = trained.record
    own = record.recipe.data
    path = own.data if request.data is None else request.data.data
    if not path.exists():
        raise DatasetError(
            f"expected the data that the run {name} learned from at {path}; there is nothing; give "
            "its place"
        )
    fingerprint = data_fingerprint(path)
    notices: tuple[str, ...] = ()
    if fingerprint == _fingerprint(trained):
        if request.is_split_chosen or request.side == "whole":
            raise UsageError(
                f"expected no protocol, nor everything, for data that the run {name} learned from; "
                f"its own split holds: {own.protocol}, fold {own.fold}; leave them away"
            )
        recipe = replace(record.recipe, data=replace(own, data=_in_own_form(path, trained)))
        data = load_own_data(trained, open_own_data(trained, recipe))
        predictions = predict_side(trained, side=request.side, data=data)
        facts = record.everything["data"]
        datasets = facts["dataset"]
        if "LEAKS" in predictions.split:
            notices = (f"{name}: ITS SPLIT LEAKS, so that its scores are too good",)
        if request.side == own.validate_on:
            notices += (f"{name}: was chosen by the side that it is scored on: too good scores",)
    elif request.data is None:
        raise DatasetError(
            f"expected the data that the run {name} learned from at {path}; it has changed since; "
            "train again, or give data that it did not learn from"
        )
    else:
        predictions, datasets, notices = _predict_elsewhere(name, trained, request.data, request)
    return ModelPredictions(
        name=str(name),
        is_run=True,
        predictions=predictions,
        datasets=tuple(datasets),
        fingerprint=fingerprint,
        parameters=sum(weights.numel() for weights in trained.network.parameters()),
        epochs=trained.epochs_done,
        notices=notices,
    )


def _in_own_form(path: Path, trained: TrainedNetwork) -> Path:
    """Return where the run's own data lies if `path` has its frames in a form it does not take.

    Vectors keep the tables of the crops that they were made of: both are the same data.
    """
    own = trained.record.recipe.data.data
    takes_vectors = trained.record.architecture.kind is InputKind.VECTOR_SEQUENCE
    if is_feature_cache(path) is takes_vectors or not own.exists():
        return path
    return own if data_fingerprint(own) == _fingerprint(trained) else path


def _predict_elsewhere(
    name: str | Path, trained: TrainedNetwork, settings: DataSettings, request: ScoringRequest
) -> tuple[SetPredictions, list[str], tuple[str, ...]]:
    """Run a network over data that it did not learn from, and prove that as far as can be."""
    if not request.is_split_chosen and request.side != "whole":
        raise UsageError(
            f"expected the data that the run {name} learned from, "
            f"{trained.record.recipe.data.data}; {settings.data} is other data (or has changed): "
            "ask for everything of it (--whole), or for one side of a protocol (--protocol)"
        )
    recipe = replace(trained.record.recipe, data=settings)
    data = open_data(recipe, whole=request.side == "whole")
    predictions = predict_run_on(
        trained, data, side=request.side, ignore_other_labels=request.targets.ignore_other_labels
    )
    notices = require_strangers(name, trained, data, predictions)
    return predictions, data.datasets, (*notices, *_framing_notices(name, trained, data))


def _framing_notices(name: str | Path, trained: TrainedNetwork, data: OpenData) -> list[str]:
    """Say where crops show more or less of a face than those that were learned from."""
    learned = trained.record.everything["data"].get("crop")
    if data.cache is None or not learned:
        return []
    given = data.cache.manifest["cropping"]["crop"]
    other = [
        f"{key} {given[key]}, not {learned[key]}"
        for key in ("scale", "offset_x", "offset_y", "align")
        if given.get(key) != learned.get(key)
    ]
    return [
        f"{name}: crops are framed otherwise than those it learned from: {', '.join(other)}"
    ] * (bool(other))


# --- bundles -------------------------------------------------------------------------------------


def _predict_bundle(name: str | Path, request: ScoringRequest) -> ModelPredictions:
    bundle = load_bundle(name)
    settings = request.data
    if settings is None:
        raise UsageError(
            f"expected data to score the bundle {name} on; it keeps none; give a crop cache "
            "(--data)"
        )
    recipe = ZooRecipe(architecture="", options=None, data=settings)
    data = open_data(recipe, whole=request.side == "whole")
    require_row_shape(InputKind.IMAGE, data.source.row_shape, data.path)
    predictions = predict_bundle(
        name, settings, side=request.side, targets=request.targets, prior=request.prior
    )
    cost = bundle.spec.results.get("cost", {})
    notice = (
        f"{name}: a bundle does not say whom it learned from, so that nothing proves these people "
        f"new to it (its training data: {_short(bundle.spec.training_data)})"
    )
    return ModelPredictions(
        name=str(name),
        is_run=False,
        predictions=predictions,
        datasets=tuple(data.datasets),
        fingerprint=data.fingerprint,
        parameters=cost.get("parameters"),
        epochs=None,
        notices=(notice,),
    )


def _short(text: str, most: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
