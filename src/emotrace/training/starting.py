"""How a training starts: fresh weights or those of another, and which parts stay as they are."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from emotrace.bundle_spec import MODEL_FILE
from emotrace.errors import InputError, UsageError
from emotrace.models.initialisation import (
    initialise_from_file,
    initialise_from_imagenet,
    initialise_from_weights,
)
from emotrace.training.processes import evaluate_batch_norms
from emotrace.training.zoo_checkpoints import BEST_CHECKPOINT, CHECKPOINT_FOLDER, LAST_CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from emotrace.models.architecture import Architecture, Network
    from emotrace.models.initialisation import InitialisationReport
    from emotrace.training.zoo_recipe import StartSettings, ZooRecipe

IMAGENET: Final = "imagenet"
"""In the place of a path: the weights that timm downloads for its backbones."""
_HALF_SUFFIX: Final = "_half"
"""Of weights that a bundle keeps in 16 bits (`emotrace.training.export`)."""


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
    reports = _initialise(network, recipe.start) if is_fresh else ()
    freeze_parts(network, recipe.start.frozen)
    return network, reports


def _initialise(network: Network, start: StartSettings) -> tuple[InitialisationReport, ...]:
    if start.initialise_from is None:
        return ()
    if str(start.initialise_from) == IMAGENET:
        return initialise_from_imagenet(network)
    path = _weight_file(Path(start.initialise_from))
    chosen = start.initialise_part or start.initialise_into
    source_prefix = _prefix(start.initialise_part) if chosen else None
    prefix = _prefix(start.initialise_into) if chosen else None
    if path.suffix == ".onnx":
        return (
            initialise_from_weights(
                network,
                read_onnx_weights(path),
                source=str(path),
                source_prefix=source_prefix,
                prefix=prefix,
            ),
        )
    return (initialise_from_file(network, path, source_prefix=source_prefix, prefix=prefix),)


def _prefix(part: str) -> str:
    return f"{part.rstrip('.')}." if part else ""


def _weight_file(path: Path) -> Path:
    """Return the file of weights in a run or a bundle; a file is its own."""
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


def read_onnx_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights of an ONNX model by the names that they had in torch.

    A bundle's batch norms are folded into the convolutions before them: those weights are the
    product, and the norm's own are not there.

    Raises:
        InputError: The file is missing or no model.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(str(path))
    except (OSError, DecodeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"expected an ONNX model at {path}; got: {reason}") from error
    found: dict[str, Tensor] = {}
    for weight in model.graph.initializer:
        values = np.array(onnx.numpy_helper.to_array(weight))
        if values.dtype in (np.float32, np.float16):
            name = weight.name.removesuffix(_HALF_SUFFIX)
            found[name] = torch.from_numpy(values.astype(np.float32))
    return found


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
