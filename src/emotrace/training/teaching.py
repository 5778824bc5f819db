"""Teachers: finished runs that answer for every face beside its label.

A face has about ten annotators' votes, or FER2013's one label; both are noisy. Several networks
together are better than any of them: on validation the mean answer of three kindred ones chose as
most annotators did for 88.5 % of the faces, where each alone did for 87.5 to 87.7 %. A network that
learns from labels and their answers together takes over much of that at no cost in use
(distillation, Hinton et al. 2015, arXiv:1503.02531). The teachers are shown the very pictures that
the network learns from, changed at random and mixed, and not the plain ones once: what they say of
faces that they never saw is what is worth learning (Beyer et al. 2022, arXiv:2106.05237). Each
answers for its part of every batch, so that together they add one forward pass to a step.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emotrace.errors import TrainingError, UsageError
from emotrace.training.fit import (
    LAST_CHECKPOINT,
    count_epochs,
    fit,
    hash_data,
    load_finished_network,
)
from emotrace.training.recipe_record import read_run, recipe_from_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from emotrace.training.recipe import DefaultRecipe

TEACHERS_FOLDER: Final = "teachers"
"""In a run's folder: the runs that are its teachers, unless others are named."""
_SEEDS_APART: Final = 1000
"""So that no teacher begins as a network of the next seeds would."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Teacher:
    """A finished run that teaches another."""

    network: nn.Module
    """Its averaged network."""
    facts: dict[str, Any]
    """Its folder's name, checkpoint (SHA-256) and recipe, for the record of the run it teaches."""


def fit_taught(
    recipe: DefaultRecipe,
    data_root: str | Path,
    run_folder: str | Path,
    *,
    teachers: Sequence[str | Path] = (),
    resume: bool = False,
    show_progress: bool = True,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Train the teachers, where the recipe wants some and none are named, and then the network.

    Args:
        recipe: Everything that decides the outcome. Teachers that are trained here have the same
            recipe, without teachers of their own and with other seeds.
        data_root: As `fit`.
        run_folder: As `fit`; teachers that are trained here are kept in `teachers/` within it.
        teachers: Folders of finished runs that teach instead.
        resume: As `fit`; of the teachers as well.
        show_progress: As `fit`.
        tell: Told which network is trained next.

    Returns:
        The path of the last checkpoint.

    Raises:
        UsageError: Teachers are named, and the recipe wants none.
        DatasetError: The data is not there or damaged.
        TrainingError: As `fit`; a teacher is missing or unfinished, or was trained on other data.
    """
    folders = [Path(folder) for folder in teachers]
    if folders and not recipe.teachers:
        raise UsageError(f"expected no teachers, as the recipe wants 0; got {len(folders)}")
    if not folders:
        folders = [Path(run_folder) / TEACHERS_FOLDER / f"{n}" for n in range(recipe.teachers)]
        for number, folder in enumerate(folders, start=1):
            own = replace(recipe, teachers=0, seed=recipe.seed + _SEEDS_APART * number)
            if not (resume and _is_finished(folder, own)):
                _tell(tell, f"teacher {number} of {recipe.teachers}, in {folder}")
                fit(own, data_root, folder, resume=resume, show_progress=show_progress)
    taught_by = load_teachers(folders, data_root)
    if taught_by:
        _tell(tell, f"the network itself, taught by {len(taught_by)}")
    return fit(
        recipe,
        data_root,
        run_folder,
        teachers=taught_by,
        resume=resume,
        show_progress=show_progress,
    )


def _tell(tell: Callable[[str], None] | None, what: str) -> None:
    if tell is not None:
        tell(what)


def _is_finished(run: Path, recipe: DefaultRecipe) -> bool:
    checkpoint = run / "checkpoints" / LAST_CHECKPOINT
    return checkpoint.exists() and count_epochs(checkpoint) >= recipe.epochs_total


def load_teachers(runs: Sequence[Path], data_root: str | Path) -> list[Teacher]:
    """Load finished runs as teachers.

    Raises:
        DatasetError: The data is not there.
        TrainingError: A run is missing or unfinished, of another recipe, or was trained on other
            data, in which faces of our validation or test split may be.
    """
    own = hash_data(data_root)
    return [_load_teacher(run, own) for run in runs]


def _load_teacher(run: Path, data_sha256: str) -> Teacher:
    record = read_run(run)
    recipe = recipe_from_record(record["recipe"])
    if record["data"]["sha256"] != data_sha256:
        raise TrainingError(
            f"expected a teacher that was trained on this data; {run} was trained on other data, "
            "and may know faces that the new network is measured on"
        )
    checkpoint = run / "checkpoints" / LAST_CHECKPOINT
    return Teacher(
        network=load_finished_network(recipe, run),
        facts={
            "run": run.name,
            "checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
            "recipe": record["recipe"],
        },
    )
