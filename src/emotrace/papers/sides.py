"""What a trained network says of the sides of its data, each predicted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from emotrace.errors import TrainingError
from emotrace.papers.pooling import post_process
from emotrace.training.zoo.predictions import predict_side

if TYPE_CHECKING:
    from emotrace.datasets.items import SideName
    from emotrace.training.zoo.predictions import Over, SetPredictions
    from emotrace.training.zoo.recipe import MachineSettings
    from emotrace.training.zoo.run import TrainedNetwork


def uses_gpu(machine: MachineSettings) -> bool:
    """Say whether what runs on this machine runs on its accelerator."""
    return machine.accelerator != "cpu" and torch.cuda.is_available()


class SidePredictions:
    """Predictions of one network: several scores of a side need not run it several times.

    Args:
        trained: The network.
        machine: Where it was trained; it predicts on the accelerator where there is one.
    """

    def __init__(self, trained: TrainedNetwork, *, machine: MachineSettings) -> None:
        self._trained = trained
        self._device = "cuda" if uses_gpu(machine) else "cpu"
        self._found: dict[tuple[SideName, Over], SetPredictions] = {}

    def of(self, side: SideName, over: Over = "auto") -> SetPredictions:
        """Return what it says of a side.

        Raises:
            DatasetError: The data is not there, has changed, or has no such side.
        """
        if (side, over) not in self._found:
            self._found[side, over] = predict_side(
                self._trained, side=side, over=over, device=self._device
            )
        return self._found[side, over]

    def processed(
        self, side: SideName, over: Over = "auto"
    ) -> tuple[SetPredictions, dict[str, Any]]:
        """Return a side after tzirakis2021's chain, fitted on the validation side, and the chain.

        Raises:
            DatasetError: As `of` says.
            TrainingError: The data has no times, or the network predicts no values.
        """
        seconds = self._trained.record.everything["data"].get("frame_seconds")
        if not seconds:
            raise TrainingError(
                "expected data with times, which post-processing needs (its windows are in "
                "seconds); the data of this run has none"
            )
        by = self.of("validation", over)
        return post_process(self.of(side, over), by=by, frame_seconds=float(seconds))
