"""How a training starts: fresh weights or those of another, and which parts stay as they are."""

from __future__ import annotations

import difflib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from emotrace.bundle import find_bundles
from emotrace.bundle_spec import MODEL_FILE
from emotrace.errors import InputError, UsageError
from emotrace.models.architecture import example_shape
from emotrace.models.folded_norms import pass_folded_norms, settle_norms
from emotrace.models.initialisation import (
    initialise_from_file,
    initialise_from_imagenet,
    initialise_from_weights,
)
from emotrace.models.onnx_weights import read_onnx_weights
from emotrace.training.processes import evaluate_batch_norms
from emotrace.training.zoo.checkpoints import BEST_CHECKPOINT, CHECKPOINT_FOLDER, LAST_CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor, nn

    from emotrace.models.architecture import Architecture, Network
    from emotrace.models.initialisation import InitialisationReport
    from emotrace.training.zoo.recipe import ZooRecipe

IMAGENET: Final = "imagenet"
"""In the place of a path: the weights that timm downloads for its backbones."""
_RENAMED: Final = "onnx::"
"""What torch's older exporter calls weights that it rewrites."""
_SETTLING_BATCHES: Final = 8
"""Of training, whose values folded batch norms take mean and deviation from."""


def build_network(
    recipe: ZooRecipe, row: Architecture, *, is_fresh: bool = True
) -> tuple[Network, tuple[InitialisationReport, ...]]:
    """Build a recipe's network with its first weights.

    Args:
        recipe: Options, where weights come from, what is frozen.
        row: The architecture.
        is_fresh: Take the weights; not where a checkpoint of the run will be loaded.

    Returns:
        The network, and what was taken from where; nothing for fresh weights.

    Raises:
        UsageError: Too little of the weights fits, or there is no part of a name.
        InputError: The weights cannot be read.
    """
    network = row.build(recipe.options)
    reports = _initialise(network, recipe, row) if is_fresh else ()
    freeze_parts(network, recipe.start.frozen)
    return network, reports


def settle_folded_norms(
    network: Network,
    reports: Sequence[InitialisationReport],
    inputs: Iterable[Tensor],
) -> None:
    """Give batch norms that were folded in a bundle mean and deviation of a few training batches.

    Args:
        network: As `build_network` gave it, changed in place.
        reports: Likewise.
        inputs: Prepared batches of training; only the first ones are drawn.
    """
    names = [norm.name for report in reports for norm in report.folded_norms]
    if names:
        settle_norms(network, names, itertools.islice(inputs, _SETTLING_BATCHES))


def _initialise(
    network: Network, recipe: ZooRecipe, row: Architecture
) -> tuple[InitialisationReport, ...]:
    start = recipe.start
    if start.initialise_from is None:
        return ()
    if str(start.initialise_from) == IMAGENET:
        return initialise_from_imagenet(network)
    path = _weight_file(Path(start.initialise_from))
    chosen = start.initialise_part or start.initialise_into
    source_prefix = _prefix(start.initialise_part) if chosen else None
    prefix = _prefix(start.initialise_into) if chosen else None
    if path.suffix == ".onnx":
        example = torch.zeros(1, *example_shape(row, recipe.options))
        return (_initialise_from_onnx(network, path, source_prefix, prefix, example),)
    return (initialise_from_file(network, path, source_prefix=source_prefix, prefix=prefix),)


def _initialise_from_onnx(
    network: Network, path: Path, source_prefix: str | None, prefix: str | None, example: Tensor
) -> InitialisationReport:
    weights = read_onnx_weights(path)
    try:
        report = initialise_from_weights(
            network, weights, source=str(path), source_prefix=source_prefix, prefix=prefix
        )
    except UsageError as error:
        if any(name.startswith(_RENAMED) for name in weights):
            raise UsageError(
                f"expected weights by the names that they had in training; torch's older exporter "
                f"has renamed those in {path}; give the run or the checkpoint that it was made of"
            ) from error
        raise
    return pass_folded_norms(network, weights, report, example)


def _prefix(part: str) -> str:
    return f"{part.rstrip('.')}." if part else ""


def place_of(path: Path) -> Path:
    """Return the folder of the bundle that is named where nothing lies at a path; else the path."""
    if path.exists():
        return path
    return {folder.name: folder for folder in find_bundles()}.get(str(path), path)


def _weight_file(path: Path) -> Path:
    """Return the file of weights in a run or a bundle, which may be named; a file is its own."""
    path = place_of(path)
    if not path.is_dir():
        return path
    candidates = (
        path / CHECKPOINT_FOLDER / BEST_CHECKPOINT,
        path / CHECKPOINT_FOLDER / LAST_CHECKPOINT,
        path / MODEL_FILE,
    )
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    names = ", ".join(str(candidate.relative_to(path)) for candidate in candidates)
    raise InputError(f"expected weights to start from in {path}: one of {names}; found none")


def freeze_parts(network: nn.Module, parts: Sequence[str]) -> None:
    """Take parts of a network out of training, by the beginnings of their names.

    Raises:
        UsageError: There is no part of a name, or nothing is left to train.
    """
    names = [name for name, _ in network.named_modules() if name]
    for part in parts:
        if part not in names:
            near = difflib.get_close_matches(part, names, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {_top(names)}"
            raise UsageError(f"expected a part of the network to freeze; got {part!r}; {hint}")
        for parameter in network.get_submodule(part).parameters():
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UsageError(f"expected something to train; frozen {', '.join(parts)} leaves nothing")


def hold_frozen_parts(network: nn.Module, parts: Sequence[str]) -> None:
    """Keep the batch norms of frozen parts from following the data; call when training begins."""
    for part in parts:
        evaluate_batch_norms(network.get_submodule(part))


def _top(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
