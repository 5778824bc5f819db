"""From a run folder to a bundle: ONNX, calibration on validation, measured results, the card."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch
from torch import Tensor, nn

from emotrace.bundle_spec import (
    CARD_FILE,
    MODEL_FILE,
    SPEC_FILE,
    BundleSpec,
    ExpressionOutput,
    spec_to_json,
)
from emotrace.datasets.ferplus import (
    argmax_labels,
    cast_shares,
    load_ferplus,
    majority_labels,
    vote_shares,
)
from emotrace.faces.crop import CropGeometry
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS
from emotrace.storage import atomic_path, ensure_folder
from emotrace.training.calibration import TrainingShares, Validation, calibrate
from emotrace.training.card import write_card
from emotrace.training.default_onnx import (
    FACE_OUTPUT,
    FER2013_OUTPUT,
    FERPLUS_OUTPUT,
    compare_with_torch,
    export_onnx,
    fuse_and_round,
    run_onnx,
)
from emotrace.training.evaluation import evaluate_ferplus
from emotrace.training.face_head import with_face_head
from emotrace.training.fit import load_finished_network
from emotrace.training.recipe_record import read_run, recipe_from_record
from emotrace.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from emotrace.datasets.ferplus import FerPlusSplit
    from emotrace.models.compact import CompactNet
    from emotrace.models.compact_options import CompactNetOptions
    from emotrace.training.face_head import FaceHeadFit
    from emotrace.training.recipe import DefaultRecipe

_NOT_IN_SPEC: Final = ("curves", "cost")
"""Of the evaluation: points for pictures, and what is stated beside it."""
_LICENCE: Final = (
    "weights: Apache-2.0, as the code; trained on FER2013 images, which were collected by web "
    "search and carry no clear licence (FER+ labels: MIT)"
)


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """What a network weighs and does for one face."""

    parameters: int
    multiply_adds: int
    """Of its convolutions."""


def export_run(
    run_folder: str | Path,
    bundle_folder: str | Path,
    *,
    data_root: str | Path | None = None,
    name: str = "default",
    align: Literal["none", "eyes"] = "eyes",
    refit_face_head: Callable[[CompactNet], FaceHeadFit] | None = None,
) -> Path:
    """Make a bundle of a finished run.

    Temperatures, mixture weights, priors and the `uncertain` threshold are fitted on the validation
    split (`emotrace.training.calibration`); the test split is scored once, at the end, through the
    finished bundle.

    Args:
        run_folder: What `fit` left.
        bundle_folder: Made where missing.
        data_root: The folder with `ferplus.parquet`; the run's own where not given.
        name: The bundle's.
        align: Whether crops are levelled by the eyes; see `CropGeometry`.
        refit_face_head: Fits another face head to the averaged network that it is given (see
            `emotrace.training.face_head`); its threshold becomes the bundle's. Without it the head
            that was trained beside the others stays, and the bundle states no threshold.

    Returns:
        `bundle_folder`.

    Raises:
        TrainingError: The run is missing or unfinished, or ONNX disagrees with torch.
        DatasetError: The data is not there.
        OutputError: The bundle cannot be written.
    """
    run_folder = Path(run_folder)
    record = read_run(run_folder)
    recipe = recipe_from_record(record["recipe"])
    network = load_finished_network(recipe, run_folder)
    root = Path(data_root) if data_root is not None else Path(record["data"]["path"])
    validation, train = load_ferplus(root, "validation"), load_ferplus(root, "train")
    folder = ensure_folder(Path(bundle_folder))
    cost = measure_cost(network, recipe.network)
    face_head = refit_face_head(network) if refit_face_head is not None else None
    whole = with_face_head(network, face_head) if face_head is not None else network
    logits = _write_model(whole, recipe, folder / MODEL_FILE, validation)
    spec = replace(
        _describe(name, recipe, folder / MODEL_FILE, faces=len(train), align=align),
        face_threshold=face_head.threshold if face_head is not None else None,
    )
    spec, found = calibrate(spec, as_validation(validation, logits), training_shares(train))
    results: dict[str, Any] = {
        "validation": found,
        **(
            {"face_head": {**face_head.held_out, "learnt_from": face_head.learnt_from}}
            if face_head is not None
            else {}
        ),
        "training": _training_facts(recipe, record),
        "cost": {"parameters": cost.parameters, "multiply_adds": cost.multiply_adds},
    }
    _write_spec(folder, spec)
    (folder / CARD_FILE).write_text("", encoding="utf-8")  # a bundle must have one to load
    test = evaluate_ferplus(folder, root, robustness=True)
    test = {key: value for key, value in test.items() if key not in _NOT_IN_SPEC}
    spec = replace(spec, results={"test": test, **results})
    _write_spec(folder, spec)
    with atomic_path(folder / CARD_FILE) as partial:
        partial.write_text(write_card(spec), encoding="utf-8")
    return folder


def _write_model(
    network: nn.Module, recipe: DefaultRecipe, model: Path, validation: FerPlusSplit
) -> dict[str, NDArray[np.float32]]:
    """Write a network as ONNX, compare the two, and return what it says of the validation split."""
    fused = fuse_and_round(network)
    with atomic_path(model) as partial:
        export_onnx(fused, partial, recipe.network.input_size_px)
    logits = run_onnx(model, validation.images)
    compare_with_torch(fused, validation.images[:64], {k: v[:64] for k, v in logits.items()})
    return logits


def _training_facts(recipe: DefaultRecipe, record: dict[str, Any]) -> dict[str, Any]:
    """Return what a bundle says of the run that it came from."""
    return {
        "epochs": recipe.epochs_total,
        "seed": recipe.seed,
        "recipe": record["recipe"],
        "teachers": record.get("teachers", []),
        "data_sha256": record["data"]["sha256"],
        "git_commit": record.get("git_commit"),
        # What a reader must know of a run that differs from its recipe.
        **({"note": record["note"]} if "note" in record else {}),
    }


def _describe(
    name: str, recipe: DefaultRecipe, model: Path, *, faces: int, align: Literal["none", "eyes"]
) -> BundleSpec:
    """Return the spec of a network before anything is fitted on validation."""
    size = recipe.network.input_size_px
    return BundleSpec(
        name=name,
        version=__version__,
        description=(
            f"CompactNet: a small residual network for {size} x {size} grey faces, trained from "
            "scratch on FER+ votes and FER2013 labels"
        ),
        labels=EMOTIONS,
        temporal="none",
        crop=CropGeometry(size_px=size, align=align),
        input_name="faces",
        input_size_px=size,
        expression_outputs=(
            ExpressionOutput(name=FERPLUS_OUTPUT, labels=EMOTIONS, temperature=1, weights={}),
            ExpressionOutput(
                name=FER2013_OUTPUT, labels=FER2013_EMOTIONS, temperature=1, weights={}
            ),
        ),
        face_output=FACE_OUTPUT,
        valence_arousal_output=None,
        priors={},
        training_data=f"FER+ votes and FER2013 labels, training split ({faces:,} faces)",
        licence=_LICENCE,
        model_sha256=hashlib.sha256(model.read_bytes()).hexdigest(),
    )


def as_validation(split: FerPlusSplit, logits: dict[str, NDArray[np.float32]]) -> Validation:
    """Return what `calibrate` asks of a split, with the network's logits for its faces."""
    at = np.array([EMOTIONS.index(name) for name in FER2013_EMOTIONS])
    return Validation(
        logits=logits,
        vote_shares=vote_shares(split.votes),
        cast_shares=cast_shares(split.votes),
        majority=majority_labels(split.votes),
        argmax=argmax_labels(split.votes),
        fer2013=np.where(split.fer2013_labels >= 0, at[split.fer2013_labels], -1),
    )


def training_shares(split: FerPlusSplit) -> TrainingShares:
    """Return how common the expressions are in a split, by its votes and by FER2013's labels."""
    votes = vote_shares(split.votes)
    labels = split.fer2013_labels[split.fer2013_labels >= 0]
    counts = np.bincount(labels, minlength=len(FER2013_EMOTIONS))
    return TrainingShares(
        ferplus=votes.sum(axis=0) / votes.sum(), fer2013=counts / max(1, counts.sum())
    )


def measure_cost(network: nn.Module, options: CompactNetOptions) -> NetworkCost:
    """Count parameters, and multiply-adds of the convolutions for one picture."""
    multiply_adds = 0

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal multiply_adds
        if isinstance(module, nn.Conv2d):
            per_value = module.in_channels // module.groups * int(np.prod(module.kernel_size))
            multiply_adds += output[0].numel() * per_value

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    with torch.inference_mode():
        size = options.input_size_px
        network(torch.zeros(1, options.input_channels, size, size))
    for hook in hooks:
        hook.remove()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return NetworkCost(parameters=parameters, multiply_adds=multiply_adds)


def _write_spec(folder: Path, spec: BundleSpec) -> None:
    with atomic_path(folder / SPEC_FILE) as partial:
        partial.write_text(json.dumps(spec_to_json(spec), indent=1) + "\n", encoding="utf-8")
