"""The folder of a run: everything that it takes to repeat it, and to use what came of it."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import lightning
import numpy as np
import torch

from emotrace.errors import TrainingError
from emotrace.models.zoo import find_architecture
from emotrace.storage import atomic_path
from emotrace.training.run_folders import RUN_FILE, git_commit
from emotrace.training.targets import HeadTargets
from emotrace.training.zoo.checkpoints import (
    BEST_CHECKPOINT,
    CHECKPOINT_FOLDER,
    LAST_CHECKPOINT,
    read_checkpoint,
    require_architecture,
)
from emotrace.training.zoo.recipe import ZooRecipe, recipe_from_json
from emotrace.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emotrace.models.architecture import Architecture, Network

RUN_FORMAT: Final = 1
_NETWORK_PREFIX: Final = "network."


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What `run.json` says."""

    recipe: ZooRecipe
    heads: tuple[HeadTargets, ...]
    """What each value of each head stands for."""
    architecture: Architecture
    everything: dict[str, Any]
    """As written."""


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A network that a run has trained, ready for use."""

    network: Network
    """In evaluation mode, on the CPU."""
    record: RunRecord
    checkpoint: Path
    epochs_done: int


def write_run(
    folder: Path,
    recipe: ZooRecipe,
    heads: tuple[HeadTargets, ...],
    facts: Mapping[str, Any],
    **more: Any,
) -> None:
    """Write `run.json`.

    Raises:
        OutputError: The system refuses the write.
    """
    record = {
        "format": RUN_FORMAT,
        "architecture": recipe.architecture,
        "recipe": recipe.to_json(),
        "heads": [target.to_json() for target in heads],
        "data": dict(facts),
        "versions": {
            "emotrace": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning": lightning.__version__,
            "numpy": np.__version__,
        },
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads()},
        "git_commit": git_commit(),
        **more,
    }
    with atomic_path(folder / RUN_FILE) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read_run(folder: str | Path, *, architecture: Architecture | None = None) -> RunRecord:
    """Read `run.json`.

    Args:
        folder: Of the run.
        architecture: The zoo's row, where it is none of this version's table.

    Raises:
        TrainingError: It is missing, damaged, or of another version.
    """
    path = Path(folder) / RUN_FILE
    try:
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        name, of_recipe, heads = record["architecture"], record["recipe"], record["heads"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise TrainingError(
            f"expected the run of a network of the zoo in {folder}, with {RUN_FILE}; got: {reason}"
        ) from error
    row = architecture or find_architecture(name)
    return RunRecord(
        recipe=recipe_from_json(of_recipe, row.options),
        heads=tuple(HeadTargets.from_json(target) for target in heads),
        architecture=row,
        everything=record,
    )


def load_trained(
    folder: str | Path, *, which: str = "best", architecture: Architecture | None = None
) -> TrainedNetwork:
    """Rebuild the network of a run.

    Args:
        folder: Of the run.
        which: `best` by validation (the last where nothing was validated), or `last`.
        architecture: As `read_run` says.

    Raises:
        TrainingError: The run or its checkpoint is missing, damaged, or of another architecture.
    """
    record = read_run(folder, architecture=architecture)
    checkpoints = Path(folder) / CHECKPOINT_FOLDER
    path = checkpoints / BEST_CHECKPOINT
    if which != "best" or not path.exists():
        path = checkpoints / LAST_CHECKPOINT
    state = read_checkpoint(path)
    require_architecture(state, record.architecture.name, path)
    network = record.architecture.build(record.recipe.options)
    load_network_state(network, state["state_dict"], path)
    return TrainedNetwork(
        network=network.eval(), record=record, checkpoint=path, epochs_done=int(state["epoch"]) + 1
    )


def load_network_state(network: Network, state: Mapping[str, Any], path: Path) -> None:
    """Put a checkpoint's weights into a network, all of them.

    Raises:
        TrainingError: They are another network's.
    """
    weights = {
        name.removeprefix(_NETWORK_PREFIX): value
        for name, value in state.items()
        if name.startswith(_NETWORK_PREFIX)
    }
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[:3]]
        raise TrainingError(
            f"expected weights of the recipe's network in {path}; got others: {' '.join(lines)}"
        ) from error
