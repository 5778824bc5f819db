"""The record that a run of the default recipe leaves, read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from emotrace.errors import TrainingError
from emotrace.models.compact_options import CompactNetOptions
from emotrace.training.recipe import AugmentationSettings, DefaultRecipe
from emotrace.training.run_folders import RUN_FILE

if TYPE_CHECKING:
    from pathlib import Path


def read_run(run_folder: Path) -> dict[str, Any]:
    """Read a run's record.

    Raises:
        TrainingError: It is missing or damaged.
    """
    try:
        value: dict[str, Any] = json.loads((run_folder / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TrainingError(f"expected {RUN_FILE} in {run_folder}; got: {reason}") from error
    return value


def recipe_from_record(record: dict[str, Any]) -> DefaultRecipe:
    """Rebuild the recipe that `run.json` holds."""

    def tupled(values: dict[str, Any]) -> dict[str, Any]:
        return {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }

    try:
        plain = dict(record)
        # Runs from before there were teachers had none.
        plain.setdefault("teachers", 0)
        network = CompactNetOptions(**tupled(plain.pop("network")))
        augmentation = AugmentationSettings(**tupled(plain.pop("augmentation")))
        refining = AugmentationSettings(**tupled(plain.pop("refine_augmentation")))
        polishing = AugmentationSettings(**tupled(plain.pop("polish_augmentation")))
        return DefaultRecipe(
            network=network,
            augmentation=augmentation,
            refine_augmentation=refining,
            polish_augmentation=polishing,
            **plain,
        )
    except (KeyError, TypeError) as error:
        raise TrainingError(
            f"expected the recipe of this version of emotrace in {RUN_FILE}; got another: {error}"
        ) from error
