"""How far training is, on stderr: a bar on a terminal, else a line for each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    import lightning


class TrainingProgress(Callback):
    """One bar for the whole run: batches, and what the module says of itself.

    Where stderr is no terminal (a log, a job on a cluster) each epoch gets a line instead, under
    the number that the curves give it.

    Args:
        newest: Says the newest loss and what was last measured on validation.
    """

    def __init__(self, newest: Callable[[Any], str]) -> None:
        super().__init__()
        self._newest = newest
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
        self._bars.update(self._task, completed=done, said=self._newest(module))

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Say where no bar does what an epoch, now validated, came to."""
        if self._bars is None and trainer.is_global_zero:
            self._console.print(f"epoch {trainer.current_epoch}: {self._newest(module)}")

    def teardown(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str
    ) -> None:
        """Take the bar away."""
        del trainer, module, stage
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
