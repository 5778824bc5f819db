"""A progress bar for training, on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    import lightning

    from emotrace.training.zoo_module import ZooModule


class TrainingProgress(Callback):
    """One bar for the whole run: batches, the newest loss, the newest validation."""

    def __init__(self) -> None:
        super().__init__()
        self._bars: Progress | None = None
        self._task: Any = None

    def on_train_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Draw the bar."""
        if not trainer.is_global_zero:
            return
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[said]}"),
            console=Console(stderr=True, highlight=False),
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
        of_zoo: ZooModule = module  # type: ignore[assignment]
        done = trainer.current_epoch * int(trainer.num_training_batches) + int(others[2]) + 1
        name = of_zoo.monitor.name
        seen = of_zoo.last_validation.get(name)
        said = f"loss {of_zoo.last_step['loss']:.4f}"
        if seen is not None:
            said += f"  {name} {seen:.4f}"
        self._bars.update(self._task, completed=done, said=said)

    def teardown(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str
    ) -> None:
        """Take the bar away."""
        del trainer, module, stage
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
