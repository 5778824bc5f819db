"""From the folder of a run to a bundle, with what the run knows of its data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emotrace.errors import DatasetError, TrainingError, UsageError
from emotrace.faces.crop import CropGeometry
from emotrace.models.architecture import InputKind, SequenceNetwork
from emotrace.models.join import join_extractor
from emotrace.training.extractors import NetworkExtractor
from emotrace.training.zoo.evaluation import evaluate_trained
from emotrace.training.zoo.export import EXPRESSION_HEAD, BundleFacts, export_zoo_bundle
from emotrace.training.zoo.run import load_trained

if TYPE_CHECKING:
    from emotrace.datasets.items import SideName
    from emotrace.models.architecture import Architecture, Network
    from emotrace.training.zoo.run import RunRecord, TrainedNetwork

NO_LICENCE: Final = "not stated; what the training data allows decides"
_FERPLUS_CROP: Final = CropGeometry()


def export_zoo_run(
    run_folder: str | Path,
    folder: str | Path,
    *,
    name: str | None = None,
    extractor_run: str | Path | None = None,
    licence: str = NO_LICENCE,
    which: str = "best",
    measure: bool = True,
    architecture: Architecture | None = None,
    extractor_architecture: Architecture | None = None,
) -> Path:
    """Make a bundle of a run of the zoo.

    Args:
        run_folder: What `fit_zoo` left.
        folder: Made where missing.
        name: The bundle's; its folder's unless given.
        extractor_run: For a network on vectors: the run whose network made them.
        licence: Of the weights.
        which: `best` by validation, or `last`.
        measure: Score it on the test side, where there is one, for its card.
        architecture: The run's row, where it is none of the zoo's table.
        extractor_architecture: Likewise of the extractor's run.

    Returns:
        `folder`.

    Raises:
        TrainingError: The run is missing or damaged, or ONNX does not say what torch says.
        UsageError: The network has no place in a bundle, or its extractor is missing or another.
        OutputError: The bundle cannot be written.
    """
    trained = load_trained(run_folder, which=which, architecture=architecture)
    record = trained.record
    network, row, options = _whole(trained, extractor_run, extractor_architecture)
    facts = record.everything["data"]
    bundle = export_zoo_bundle(
        network,
        row,
        options,
        folder,
        BundleFacts(
            name=name or Path(folder).name,
            labels={target.head.name: target.names for target in record.heads},
            crop=_crop(facts),
            training_data=_training_data(facts),
            licence=licence,
            training_prior=_prior(record),
            frame_seconds=_frame_seconds(record, network),
            frame_step=record.recipe.windows.spacing,
            results=_results(trained) if measure else {},
        ),
    )
    return Path(bundle)


def _whole(
    trained: TrainedNetwork,
    extractor_run: str | Path | None,
    extractor_architecture: Architecture | None,
) -> tuple[Network, Architecture, Any]:
    """Return the network over pictures: the run's own, or behind the extractor of its vectors."""
    record = trained.record
    if record.architecture.kind is not InputKind.VECTOR_SEQUENCE:
        return trained.network, record.architecture, record.recipe.options
    made_by = record.everything["data"].get("extractor") or {}
    if extractor_run is None:
        raise UsageError(
            f"expected the run of the network that made the vectors ({made_by.get('description')}) "
            f"to make a bundle of {record.architecture.name!r}; give it as the extractor"
        )
    pictures = load_trained(extractor_run, architecture=extractor_architecture)
    options = pictures.record.recipe.options
    own = NetworkExtractor(pictures.network, options, name=str(extractor_run))
    if made_by.get("extractor") != own.fingerprint:
        raise UsageError(
            f"expected the network that made the vectors, {made_by.get('description')}; the one in "
            f"{extractor_run} has other weights"
        )
    if not isinstance(trained.network, SequenceNetwork):
        raise TrainingError(f"expected {record.architecture.name!r} to build a sequence network")
    network, row = join_extractor(
        pictures.network,
        pictures.record.architecture,
        options,
        trained.network,
        record.architecture,
        record.recipe.options,
    )
    return network, row, options


def _crop(facts: dict[str, Any]) -> CropGeometry:
    return CropGeometry(**facts["crop"]) if facts["crop"] else _FERPLUS_CROP


def _training_data(facts: dict[str, Any]) -> str:
    count = facts["examples"]["train"]
    return f"{', '.join(facts['dataset'])}: {count:,} training examples"


def _prior(record: RunRecord) -> dict[str, float] | None:
    shares: dict[str, float] | None = record.everything["data"]["class_shares"].get(EXPRESSION_HEAD)
    if shares is None or min(shares.values()) <= 0:
        return None  # a class that training never saw has no prior
    return shares


def _frame_seconds(record: RunRecord, network: Network) -> float | None:
    seconds: float | None = record.everything["data"]["frame_seconds"]
    is_timed = isinstance(network, SequenceNetwork) or record.architecture.kind is InputKind.CLIP
    return seconds * record.recipe.windows.spacing if seconds and is_timed else None


def _results(trained: TrainedNetwork) -> dict[str, Any]:
    """Return scores on the test side, or where there is none on the one that chose the weights."""
    sides: tuple[SideName, ...] = ("test", "validation")
    for side in sides:
        try:
            return {side: evaluate_trained(trained, side=side)}
        except (DatasetError, UsageError):
            continue
    return {}
