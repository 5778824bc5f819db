"""Keeping a run's state: whole or not at all, the newest and the best, and when to stop."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO

from emotrace.errors import OutputError, TrainingError
from emotrace.storage import atomic_path
from emotrace.training.checkpoint_files import read_state

if TYPE_CHECKING:
    import lightning

    from emotrace.training.zoo.module import ZooModule
    from emotrace.training.zoo.recipe import ZooRecipe

CHECKPOINT_FOLDER: Final = "checkpoints"
LAST_CHECKPOINT: Final = "last.ckpt"
BEST_CHECKPOINT: Final = "best.ckpt"
_NEEDED: Final = frozenset({"state_dict", "epoch", "emotrace_architecture"})


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it: a full disk costs none that is there."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: The system refuses the write; the one before stays as it was.
        """
        _ = storage_options
        target = Path(path)
        # In memory first: torch's own writer turns a full disk into errors of its own kind.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(target) as partial:
                partial.write_bytes(buffer.getbuffer())
        except OSError as error:
            raise OutputError(f"expected to write {target}; got: {error.strerror}") from error
        except OutputError as error:
            kept = "the checkpoint before it is kept" if target.exists() else "there is none yet"
            raise OutputError(f"{error}; {kept}; --resume goes on from the last") from error


class RunKeeper(Callback):
    """Keeps the newest state and the best one, and stops when nothing gets better.

    Args:
        folder: The run's checkpoints.
        recipe: How often, by which measure, how patiently.
    """

    def __init__(self, folder: Path, recipe: ZooRecipe) -> None:
        super().__init__()
        self._folder = folder
        self._every = recipe.machine.checkpoint_every_steps
        self._accumulation = recipe.accumulation
        self._patience = recipe.stopping.patience
        self.best_value: float | None = None
        self.best_epoch: int | None = None
        self._waited = 0
        self._is_over = False

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of this."""
        return {
            "best_value": self.best_value,
            "best_epoch": self.best_epoch,
            "waited": self._waited,
            "is_over": self._is_over,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.best_value, self.best_epoch = state_dict["best_value"], state_dict["best_epoch"]
        self._waited, self._is_over = state_dict["waited"], state_dict["is_over"]

    def on_train_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """A run that stopped early is over, also when it is resumed."""
        if self._is_over:
            trainer.should_stop = True

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *others: Any
    ) -> None:
        """Keep the state in the middle of an epoch."""
        del module
        done = int(others[2]) + 1
        if not self._every or done == trainer.num_training_batches or done % self._accumulation:
            return
        if trainer.global_step % self._every == 0:
            trainer.save_checkpoint(self._folder / LAST_CHECKPOINT)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Keep the state of the epoch, and once more where it is the best one."""
        is_best = self._judge(module, trainer.current_epoch)
        if self._patience and self._waited >= self._patience:
            self._is_over = True
        # The best one first: killed in between, the run does this epoch again and keeps it again.
        if is_best:
            trainer.save_checkpoint(self._folder / BEST_CHECKPOINT, weights_only=True)
        trainer.save_checkpoint(self._folder / LAST_CHECKPOINT)
        if self._is_over:
            trainer.should_stop = True

    def _judge(self, module: Any, epoch: int) -> bool:
        of_zoo: ZooModule = module
        if not of_zoo.last_validation:
            return False
        value = of_zoo.last_validation[of_zoo.monitor.name]
        if of_zoo.monitor.is_better(value, self.best_value):
            self.best_value, self.best_epoch, self._waited = value, epoch, 0
            return True
        self._waited += 1
        return False


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a run, without running any code in it.

    Raises:
        TrainingError: It is missing, damaged, or none of a network of the zoo.
    """
    return read_state(path, _NEEDED, of="a network of the zoo")


def require_architecture(state: dict[str, Any], name: str, path: Path) -> None:
    """Refuse a checkpoint of another architecture.

    Raises:
        TrainingError: Naming both.
    """
    got = state["emotrace_architecture"]
    if got != name:
        raise TrainingError(
            f"expected a checkpoint of the architecture {name!r} at {path}; got one of {got!r}; "
            "choose another run folder, or start from it with initialise_from"
        )
