"""Train a network of the zoo: from a recipe to a run folder that says all it takes to repeat it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy

from emotrace.errors import TrainingError, UsageError
from emotrace.models.zoo import find_architecture
from emotrace.storage import ensure_folder
from emotrace.training.known_people import known_by_start, known_through
from emotrace.training.processes import join_batch_norms
from emotrace.training.progress import TrainingProgress
from emotrace.training.quiet import quiet_lightning
from emotrace.training.sampling import evaluation_loader, training_loader
from emotrace.training.starting import build_network, settle_folded_norms
from emotrace.training.zoo.checkpoints import (
    BEST_CHECKPOINT,
    CHECKPOINT_FOLDER,
    LAST_CHECKPOINT,
    AtomicCheckpointIO,
    RunKeeper,
    read_checkpoint,
    require_architecture,
)
from emotrace.training.zoo.curves import CurveWriter
from emotrace.training.zoo.data import load_data
from emotrace.training.zoo.launch import launch_processes, other_process
from emotrace.training.zoo.module import ZooModule, network_inputs
from emotrace.training.zoo.run import read_run, write_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emotrace.models.architecture import Architecture, Network
    from emotrace.models.initialisation import InitialisationReport
    from emotrace.training.sampling import StepLoader
    from emotrace.training.zoo.data import ZooData
    from emotrace.training.zoo.recipe import ZooRecipe


INITIALISATION_FILE: Final = "initialisation.txt"
_HINTS: Final = (
    # Parts that are frozen, or kept as they are.
    ".*module.* in eval mode.*",
    # A split without a validation side is a choice.
    ".*but have no `val_dataloader`.*",
)


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """What came of a training."""

    run: Path
    last: Path
    """The checkpoint of the last epoch."""
    best: Path | None
    """The one that validation chose; None where nothing was validated."""
    monitor: str
    best_value: float | None
    best_epoch: int | None
    """From 0."""
    epochs_done: int
    notices: tuple[str, ...]
    """What was lost, taken or odd, in plain words."""


def fit_zoo(
    recipe: ZooRecipe,
    run_folder: str | Path,
    *,
    resume: bool = False,
    show_progress: bool = False,
    architecture: Architecture | None = None,
) -> FitReport:
    """Train a network and leave checkpoints, curves and a record in `run_folder`.

    Args:
        recipe: Everything that decides the outcome.
        run_folder: Made where missing.
        resume: Go on from the last checkpoint in `run_folder`, if there is one.
        show_progress: Draw a progress bar on stderr.
        architecture: The row, where it is none of the zoo's table.

    Raises:
        DatasetError: The data is not there or damaged, has labels outside the set, or leaks: within
            its split, or through networks that this one builds on.
        UsageError: Recipe, network and data do not fit one another.
        TrainingError: The run folder holds another run, or the loss stops being finite.
        OutputError: A checkpoint cannot be written; the last one stays.
    """
    row = architecture or find_architecture(recipe.architecture)
    if not isinstance(recipe.options, row.options):
        raise UsageError(
            f"expected options of {row.name!r} ({row.options.__name__}) in its recipe; got "
            f"{type(recipe.options).__name__}"
        )
    folder = ensure_folder(Path(run_folder))
    _require_own_run(folder, recipe, row, resume=resume)
    arguments = (recipe, folder, row, resume, show_progress)
    if recipe.machine.devices > 1 and not other_process():
        report: FitReport = launch_processes(_fit_here, arguments, count=recipe.machine.devices)
        return report
    return _fit_here(*arguments)


def _require_own_run(folder: Path, recipe: ZooRecipe, row: Architecture, *, resume: bool) -> None:
    """Refuse a folder with another run, and a checkpoint of another architecture."""
    last = folder / CHECKPOINT_FOLDER / LAST_CHECKPOINT
    if not last.exists():
        return
    if not resume:
        raise TrainingError(
            f"expected an empty run folder; {folder} holds a run already; "
            "give --resume to go on with it, or choose another folder"
        )
    require_architecture(read_checkpoint(last), recipe.architecture, last)
    before = read_run(folder, architecture=row).everything["recipe"]
    now = recipe.to_json()
    other = sorted(name for name in now if name != "machine" and now[name] != before.get(name))
    if other:
        raise TrainingError(
            f"expected the recipe of the run in {folder} to go on with it; it has other "
            f"{', '.join(other)} ({before.get(other[0])} there, {now[other[0]]} now); give the "
            "same, or choose another run folder"
        )


def _fit_here(
    recipe: ZooRecipe, folder: Path, row: Architecture, resume: bool, show_progress: bool
) -> FitReport:
    """Train in this process, alone or as one of several."""
    machine = recipe.machine
    lightning.seed_everything(recipe.seed, verbose=False)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    last = folder / CHECKPOINT_FOLDER / LAST_CHECKPOINT
    goes_on = resume and last.exists()
    # A run that goes on has its weights; what it began with may be gone.
    network, starts = build_network(recipe, row, is_fresh=not goes_on)
    notices = [str(report).partition("\n")[0] for report in starts]
    before = read_run(folder, architecture=row).everything if goes_on else None
    known = known_through(before) if before else known_by_start(recipe.start.initialise_from)
    data = load_data(recipe, kind=row.kind, heads=network.heads, known=known)
    if before:
        _require_same_data(folder, before["data"], data)
    rank, processes = other_process() or (0, 1)
    loader = _training_loader(recipe, data, rank, processes)
    _settle(network, starts, loader, recipe, row)
    if processes > 1:
        join_batch_norms(network)
    module = ZooModule(
        network,
        recipe,
        kind=row.kind,
        heads=data.heads,
        examples=data.train,
        steps_total=recipe.epochs * len(loader) // recipe.accumulation,
    )
    if rank == 0 and not goes_on:
        write_run(folder, recipe, data.heads, data.facts, notices=[*notices, *data.notices])
        _write_starts(folder, starts)
    keeper = RunKeeper(last.parent, recipe)
    with quiet_lightning(*_HINTS):
        trainer = _trainer(recipe, folder, keeper, show_progress=show_progress, processes=processes)
        trainer.fit(
            module,
            loader,
            _validation_loader(recipe, data, rank, processes),
            ckpt_path=str(last) if goes_on else None,
            weights_only=True,
        )
    return FitReport(
        run=folder,
        last=last,
        best=last.with_name(BEST_CHECKPOINT) if keeper.best_epoch is not None else None,
        monitor=module.monitor.name,
        best_value=keeper.best_value,
        best_epoch=keeper.best_epoch,
        epochs_done=trainer.current_epoch,
        notices=(*notices, *data.notices, *_oddities(module)),
    )


def _settle(
    network: Network,
    starts: Sequence[InitialisationReport],
    loader: StepLoader,
    recipe: ZooRecipe,
    row: Architecture,
) -> None:
    """Fit batch norms that a bundle had folded to the first batches of training."""
    if any(report.folded_norms for report in starts):
        batches = (loader.examples[positions] for positions in loader.batches(0))
        inputs = (network_inputs(batch.inputs, row.kind, recipe.options) for batch in batches)
        settle_folded_norms(network, starts, inputs)


def _write_starts(folder: Path, starts: Sequence[InitialisationReport]) -> None:
    """Write what was taken from other weights, where anything was."""
    if starts:
        text = "\n\n".join(str(report) for report in starts)
        (folder / INITIALISATION_FILE).write_text(f"{text}\n", encoding="utf-8")


def _require_same_data(folder: Path, before: Mapping[str, Any], data: ZooData) -> None:
    """Refuse to go on with data that has changed: the curve would be neither's."""
    made_by = (before.get("extractor") or {}).get("extractor")
    is_others = made_by not in (None, data.facts["extractor"].get("extractor"))
    if is_others or before.get("sha256") != data.facts["sha256"]:
        raise TrainingError(
            f"expected the data of the run in {folder} to go on with it; {data.facts['path']} has "
            "changed since; choose another run folder"
        )


def _training_loader(recipe: ZooRecipe, data: ZooData, rank: int, processes: int) -> StepLoader:
    return training_loader(
        data.train,
        recipe.sampling,
        batch_size=recipe.batch_size,
        accumulation=recipe.accumulation,
        seed=recipe.seed,
        workers=recipe.machine.workers,
        rank=rank,
        processes=processes,
    )


def _validation_loader(recipe: ZooRecipe, data: ZooData, rank: int, processes: int) -> Any:
    """Return the loader of the side that is looked at after each epoch; None without one."""
    examples = data.sides.get(recipe.data.validate_on)
    if examples is None or not len(examples):
        return None
    return evaluation_loader(
        examples,
        batch_size=recipe.batch_size,
        workers=recipe.machine.workers,
        rank=rank,
        processes=processes,
    )


def _trainer(
    recipe: ZooRecipe,
    folder: Path,
    keeper: RunKeeper,
    *,
    show_progress: bool,
    processes: int,
) -> lightning.Trainer:
    machine = recipe.machine
    callbacks: list[lightning.Callback] = [CurveWriter(folder)]
    if show_progress:
        callbacks.append(TrainingProgress(_newest))
    return lightning.Trainer(
        default_root_dir=folder,
        max_epochs=recipe.epochs,
        accelerator=machine.accelerator,
        devices=machine.devices,
        strategy=DDPStrategy() if processes > 1 else "auto",
        precision="bf16-mixed" if machine.precision == "bf16" else "32-true",
        accumulate_grad_batches=recipe.accumulation,
        gradient_clip_val=recipe.optimiser.gradient_clip_norm or None,
        callbacks=[*callbacks, keeper],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _oddities(module: ZooModule) -> list[str]:
    if not module.constant_truths:
        return []
    said = (
        f"in {module.constant_truths:,} batches the truth of a value did not change: its CCC is 0 "
        "there and teaches nothing; take longer windows or larger batches"
    )
    return [said]


def _newest(module: ZooModule) -> str:
    """Say the last batch's loss and what was last measured on validation."""
    name = module.monitor.name
    seen = module.last_validation.get(name)
    measured = "" if seen is None else f"  {name} {seen:.4f}"
    return f"loss {module.last_step['loss']:.4f}{measured}"
