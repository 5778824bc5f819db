"""Run a recipe: from a data set to a run folder that says all it takes to repeat it."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from emotrace.datasets.ferplus import find_ferplus, load_ferplus
from emotrace.errors import TrainingError
from emotrace.storage import atomic_path, ensure_folder
from emotrace.training.batches import (
    FaceDataset,
    evaluation_loader,
    sampling_priors,
    sampling_weights,
    training_loader,
)
from emotrace.training.checkpoint_files import read_state
from emotrace.training.module import ExpressionModule
from emotrace.training.progress import TrainingProgress
from emotrace.training.quiet import quiet_lightning
from emotrace.training.run_folders import RUN_FILE, git_commit
from emotrace.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emotrace.models.compact import CompactNet
    from emotrace.training.recipe import DefaultRecipe
    from emotrace.training.teaching import Teacher

LAST_CHECKPOINT = "last.ckpt"
_HINTS: Final = (
    # A run whose folder was moved goes on from the checkpoint in it all the same.
    "The dirpath has changed from",
    # A run that goes on writes into its own folder.
    ".*directory .* exists and is not empty.*",
)


def fit(
    recipe: DefaultRecipe,
    data_root: str | Path,
    run_folder: str | Path,
    *,
    teachers: Sequence[Teacher] = (),
    resume: bool = False,
    show_progress: bool = True,
) -> Path:
    """Train the default network and leave its checkpoints and curves in `run_folder`.

    Chooses nothing by results: the averaged weights at the end of the schedule are the outcome.

    Args:
        recipe: Everything that decides the outcome.
        data_root: The folder that holds `ferplus.parquet`, or the file.
        run_folder: Made where missing; `run.json`, `checkpoints/`, `csv/` and `tensorboard/` go in.
        teachers: Finished networks that answer for every face beside its label
            (`emotrace.training.teaching.fit_taught` finds or trains them).
        resume: Go on from the last checkpoint in `run_folder`, if there is one.
        show_progress: Draw a bar on a terminal; where stderr is none, write a line each epoch.

    Returns:
        The path of the last checkpoint.

    Raises:
        DatasetError: The data is not there or damaged.
        TrainingError: The run folder holds another run, the recipe wants teachers and there are
            none, or the loss stops being finite.
    """
    if recipe.teachers and not teachers:
        raise TrainingError(
            f"expected teachers, as the recipe wants {recipe.teachers}; got none; use fit_taught"
        )
    folder = ensure_folder(Path(run_folder))
    checkpoints = folder / "checkpoints"
    last = checkpoints / LAST_CHECKPOINT
    if last.exists() and not resume:
        raise TrainingError(
            f"expected an empty run folder; {folder} holds a run already; "
            "give --resume to go on with it, or choose another folder"
        )
    lightning.seed_everything(recipe.seed, verbose=False)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    train = FaceDataset(load_ferplus(data_root, "train"))
    if len(train) < recipe.batch_size:
        raise TrainingError(
            f"expected a batch_size of at most {len(train)}, the number of training images; "
            f"got {recipe.batch_size}"
        )
    validation = FaceDataset(load_ferplus(data_root, "validation"))
    weights = sampling_weights(train, recipe.balance_power)
    priors = sampling_priors(train, weights)
    steps_per_epoch = len(train) // recipe.batch_size
    _write_run(
        folder,
        recipe,
        data_root,
        priors_sampled=[p.tolist() for p in priors],
        teachers=[teacher.facts for teacher in teachers],
    )
    module = ExpressionModule(
        recipe,
        priors,
        recipe.epochs_total * steps_per_epoch,
        teachers=[teacher.network for teacher in teachers],
    )
    callbacks: list[lightning.Callback] = [_checkpointing(checkpoints)]
    if show_progress:
        callbacks.append(TrainingProgress(_newest))
    with quiet_lightning(*_HINTS):
        trainer = lightning.Trainer(
            max_epochs=recipe.epochs_total,
            accelerator="auto",
            precision="bf16-mixed" if recipe.mixed_precision else "32-true",
            gradient_clip_val=recipe.gradient_clip_norm,
            logger=[
                CSVLogger(folder, name=None, version=_csv_folder(last)),
                TensorBoardLogger(folder, name=None, version="tensorboard"),
            ],
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=min(50, steps_per_epoch),
            use_distributed_sampler=False,
        )
        trainer.fit(
            module,
            training_loader(train, weights, recipe),
            evaluation_loader(validation),
            ckpt_path=str(last) if last.exists() else None,
            weights_only=True,
        )
    return last


def _csv_folder(last: Path) -> str:
    """Name the folder of the curve: a run that goes on gets one of its own.

    Lightning's logger deletes the file that it finds in its folder.
    """
    return f"csv-from-epoch-{count_epochs(last)}" if last.exists() else "csv"


def _checkpointing(folder: Path) -> ModelCheckpoint:
    """Keep the newest state after each epoch (with `save_top_k=0` there is no `last.ckpt`)."""
    return ModelCheckpoint(
        folder,
        filename="epoch-{epoch:03d}",
        auto_insert_metric_name=False,
        save_last=True,
        save_top_k=1,
        monitor=None,
        save_on_train_epoch_end=True,
        # In a folder that was moved or copied, Lightning would leave `last.ckpt` as it was and
        # count on in `last-v1.ckpt`.
        enable_version_counter=False,
    )


def load_averaged_network(recipe: DefaultRecipe, checkpoint: Path) -> CompactNet:
    """Rebuild the averaged network of a run, ready for evaluation on the CPU.

    Raises:
        TrainingError: The checkpoint is missing or is of another architecture.
    """
    return _averaged_network(recipe, _read_checkpoint(checkpoint), checkpoint)


def _averaged_network(recipe: DefaultRecipe, state: dict[str, Any], checkpoint: Path) -> CompactNet:
    from emotrace.models.compact import CompactNet

    prefix = "averaged.module."
    weights = {
        name.removeprefix(prefix): value
        for name, value in state["state_dict"].items()
        if name.startswith(prefix)
    }
    network = CompactNet(recipe.network)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise TrainingError(
            f"expected weights of the recipe's network in {checkpoint}; got others: {first}"
        ) from error
    return network.eval()


def count_epochs(checkpoint: Path) -> int:
    """Return how many epochs the run of a checkpoint has done.

    Raises:
        TrainingError: The checkpoint is missing or damaged.
    """
    return _epochs_done(_read_checkpoint(checkpoint))


def _epochs_done(state: dict[str, Any]) -> int:
    return int(state["epoch"]) + 1


def load_finished_network(recipe: DefaultRecipe, run_folder: Path) -> CompactNet:
    """Load the averaged network of a run that has come to its end.

    Raises:
        TrainingError: The checkpoint is missing or damaged, or epochs are left.
    """
    checkpoint = run_folder / "checkpoints" / LAST_CHECKPOINT
    state = _read_checkpoint(checkpoint)
    network = _averaged_network(recipe, state, checkpoint)
    done = _epochs_done(state)
    if done < recipe.epochs_total:
        raise TrainingError(
            f"expected a finished run of {recipe.epochs_total} epochs in {run_folder}; "
            f"it has done {done}; go on with --resume"
        )
    return network


def _read_checkpoint(path: Path) -> dict[str, Any]:
    return read_state(path, {"state_dict", "epoch"}, of="a training")


def hash_data(data_root: str | Path) -> str:
    """Return the SHA-256 of the data's file, as a run's record holds it."""
    return hashlib.sha256(find_ferplus(data_root).read_bytes()).hexdigest()


def _write_run(folder: Path, recipe: DefaultRecipe, data_root: str | Path, **more: Any) -> None:
    path = find_ferplus(data_root)
    record = {
        "recipe": asdict(recipe),
        "data": {
            "path": str(path.resolve()),
            "bytes": path.stat().st_size,
            "sha256": hash_data(data_root),
        },
        "versions": {
            "emotrace": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning": lightning.__version__,
            "numpy": np.__version__,
        },
        "git_commit": git_commit(),
        **more,
    }
    with atomic_path(folder / RUN_FILE) as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n")


def _newest(module: ExpressionModule) -> str:
    """Say the last batch's loss and the accuracy that was last measured on validation."""
    return f"loss {module.last_loss:.4f}  validation accuracy {module.last_accuracy:.2%}"
