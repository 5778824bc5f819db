"""How far training is, on stderr: a bar on a terminal, else a line for each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    import lightning

    from emotrace.training.zoo_module import ZooModule


class TrainingProgress(Callback):
    """One bar for the whole run: batches, the newest loss, the newest validation.

    Where stderr is no terminal (a log, a job on a cluster) each epoch gets a line instead, under
    the number that the curves give it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bars: Progress | None = None
        self._task: Any = None

    def on_train_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Draw the bar."""
        if not trainer.is_global_zero or not self._console.is_terminal:
            return
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}"),
            console=self._console,
            transient=True,
        )
        total = int(trainer.num_training_batches) * int(trainer.max_epochs or 1)
        self._task = self._bars.add_task("training", total=total, said="")
        self._bars.start()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *others: Any
    ) -> None:
        """Move it on."""
        if self._bars is None:
            return
        done = trainer.current_epoch * int(trainer.num_training_batches) + int(others[2]) + 1
        self._bars.update(self._task, completed=done, said=_newest(module))

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Say where no bar does what an epoch, now validated, came to."""
        if self._bars is None and trainer.is_global_zero:
            self._console.print(f"epoch {trainer.current_epoch}: {_newest(module)}")

    def teardown(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str
    ) -> None:
        """Take the bar away."""
        del trainer, module, stage
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


def _newest(module: lightning.LightningModule) -> str:
    """Say the last batch's loss and what was last measured on validation."""
    of_zoo: ZooModule = module  # type: ignore[assignment]
    name = of_zoo.monitor.name
    seen = of_zoo.last_validation.get(name)
    measured = "" if seen is None else f"  {name} {seen:.4f}"
    return f"loss {of_zoo.last_step['loss']:.4f}{measured}"
