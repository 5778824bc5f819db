"""Weights of others for trainings to begin with: the user's file, or timm's download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emotrace.errors import DownloadError
from emotrace.models.timm_backbones import create_backbone
from emotrace.models.weight_files import read_weights
from emotrace.papers.supply import DataNotGivenError
from emotrace.storage import atomic_path, ensure_folder

if TYPE_CHECKING:
    from torch import Tensor

    from emotrace.papers.plan import StartingWeights
    from emotrace.papers.workshop import Workshop


def fetch_weights(step: StartingWeights, workshop: Workshop) -> dict[str, Any]:
    """Put a step's weights into its file.

    Raises:
        DataNotGivenError: The user gave none, and they cannot be downloaded.
        InputError: The user's file cannot be read.
        OutputError: They cannot be written.
    """
    from safetensors.torch import save

    paper, given = workshop.order.paper, workshop.order.data.get(step.weights)
    weights = next(one for one in paper.weights if one.name == step.weights)
    if given is not None:
        tensors = read_weights(given)
    elif step.backbone:
        tensors = _download(step, weights.obtain)
    else:
        raise DataNotGivenError(_how_to_get(step, weights.obtain))
    path = workshop.weights(step.key)
    ensure_folder(path.parent)
    with atomic_path(path) as partial:
        partial.write_bytes(save({name: value.clone() for name, value in tensors.items()}))
    return {
        "weights": step.weights,
        "source": f"timm {step.backbone}" if given is None else given.name,
        "tensors": len(tensors),
        "values": sum(value.numel() for value in tensors.values()),
    }


def _download(step: StartingWeights, obtain: str) -> dict[str, Tensor]:
    try:
        network = create_backbone(
            step.backbone, input_channels=3, input_size_px=224, pretrained=True
        )
    except DownloadError as error:
        raise DataNotGivenError(
            f"{_how_to_get(step, obtain)} (the weights of {step.backbone} could not be downloaded)"
        ) from error
    found: dict[str, Tensor] = network.state_dict()
    return found


def _how_to_get(step: StartingWeights, obtain: str) -> str:
    return f"{step.weights} is not given; {obtain}; then --data {step.weights}=FILE"
