"""A run's curves, confusion matrices and samples, to CSV and TensorBoard as they come about."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from lightning.pytorch.callbacks import Callback
from torch.utils.tensorboard import SummaryWriter

from emotrace.storage import atomic_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import lightning
    from numpy.typing import NDArray

    from emotrace.training.zoo.module import ZooModule

TRAIN_CURVE: Final = "train_curve.csv"
VALIDATION_CURVE: Final = "validation_curve.csv"
CONFUSION_FOLDER: Final = "confusion"
SAMPLES_FILE: Final = "samples.png"
_CELL_PX: Final = 24
_SAMPLES: Final = 8
_SAMPLE_FRAMES: Final = 8


class CurveWriter(Callback):
    """Writes every step's losses and every validation's measures.

    A resumed run drops what was written after its checkpoint and writes it again.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._board: SummaryWriter | None = None

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *others: Any
    ) -> None:
        """Open the files when it is known where training goes on."""
        del module
        if self._board is not None or not trainer.is_global_zero:
            return
        epoch, batch = trainer.current_epoch, int(others[1])
        _keep_rows(self._folder / TRAIN_CURVE, lambda e, b: (e, b) < (epoch, batch))
        _keep_rows(self._folder / VALIDATION_CURVE, lambda e, _: e < epoch)
        self._board = SummaryWriter(
            str(self._folder / "tensorboard"), purge_step=self._batches_before(trainer, batch)
        )

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *others: Any
    ) -> None:
        """Write a step."""
        if self._board is None:
            return
        of_zoo: ZooModule = module  # type: ignore[assignment]
        batch = int(others[2])
        at = self._batches_before(trainer, batch)
        place = {"epoch": trainer.current_epoch, "batch": batch, "step": trainer.global_step}
        _append_row(self._folder / TRAIN_CURVE, {**place, **of_zoo.last_step})
        for name, value in of_zoo.last_step.items():
            self._board.add_scalar(f"train/{name}", value, at)
        if of_zoo.sample_pictures is not None and not (self._folder / SAMPLES_FILE).exists():
            grid = sample_grid(of_zoo.sample_pictures.numpy())
            _write_png(self._folder / SAMPLES_FILE, grid)
            self._board.add_image("samples", grid, at, dataformats="HWC")

    def on_validation_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Write an epoch's measures."""
        if self._board is None:
            return
        of_zoo: ZooModule = module  # type: ignore[assignment]
        epoch = trainer.current_epoch
        at = self._batches_before(trainer, int(trainer.num_training_batches)) - 1
        row = {"epoch": epoch, "batch": -1, "step": trainer.global_step}
        _append_row(self._folder / VALIDATION_CURVE, {**row, **of_zoo.last_validation})
        for name, value in of_zoo.last_validation.items():
            self._board.add_scalar(f"validation/{name}", value, at)
        for name, counts in of_zoo.last_confusions.items():
            labels = next(t.names for t in of_zoo.heads if t.head.name == name)
            path = self._folder / CONFUSION_FOLDER / f"{name}-epoch-{epoch:03d}.csv"
            write_confusion(path, counts, labels)
            picture = confusion_picture(counts)
            self._board.add_image(f"confusion/{name}", picture, at, dataformats="HWC")
        self._board.flush()

    def teardown(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str
    ) -> None:
        """Close the files."""
        del trainer, module, stage
        if self._board is not None:
            self._board.close()
            self._board = None

    @staticmethod
    def _batches_before(trainer: lightning.Trainer, batch: int) -> int:
        return trainer.current_epoch * int(trainer.num_training_batches) + batch


def _append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row; the first one's names make the heading."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def _keep_rows(path: Path, is_kept: Callable[[int, int], bool]) -> None:
    """Drop the rows whose epoch and batch are not to be kept, and any half-written one."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = list(reader.fieldnames or ())
        rows = [row for row in reader if None not in row.values() and None not in row]
    kept = [row for row in rows if is_kept(int(row["epoch"]), int(row["batch"]))]
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)


def write_confusion(path: Path, counts: NDArray[np.int64], labels: tuple[str, ...]) -> None:
    """Write a confusion matrix as CSV: rows are the truth, columns the prediction.

    Raises:
        OutputError: The system refuses the write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["truth", *labels])
        writer.writerows([label, *row] for label, row in zip(labels, counts.tolist(), strict=True))


def confusion_picture(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw a confusion matrix: `(side, side, 3)`, the darker the larger a share of its row."""
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    grey = np.round(255 * (1 - counts / total)).astype(np.uint8)
    large = np.kron(grey, np.ones((_CELL_PX, _CELL_PX), np.uint8))
    return np.repeat(large[..., None], 3, axis=2)


def sample_grid(clips: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Lay out the first clips, a row each: `(height, width, 3)`.

    Args:
        clips: `(n, frames, channels, size, size)` in [0, 1].
    """
    chosen = clips[:_SAMPLES, :_SAMPLE_FRAMES]
    rows, frames, channels, size, _ = chosen.shape
    grid = chosen.transpose(0, 3, 1, 4, 2).reshape(rows * size, frames * size, channels)
    bytes_ = np.round(255 * np.clip(grid, 0, 1)).astype(np.uint8)
    return np.repeat(bytes_, 3, axis=2) if channels == 1 else bytes_


def _write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    import cv2

    with atomic_path(path) as partial:
        cv2.imwrite(str(partial), np.ascontiguousarray(picture[..., ::-1]))
