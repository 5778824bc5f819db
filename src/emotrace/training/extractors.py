"""Frozen networks as makers of feature vectors."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from emotrace.bundle import load_bundle
from emotrace.errors import EmotraceError, UsageError
from emotrace.training.known_people import Known, known_by_bundle, known_by_run
from emotrace.training.pictures import prepare_pictures
from emotrace.training.run_folders import RUN_FILE
from emotrace.training.zoo.run import load_trained

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from emotrace.bundle import Bundle
    from emotrace.models.architecture import Architecture, Network


class Extractor(Protocol):
    """Makes a vector of each crop."""

    @property
    def description(self) -> str:
        """What it is, in one line."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that its vectors follow from."""

    @property
    def known(self) -> Known:
        """Whom it learned from and was chosen by."""

    def extract(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map `(k, height, width, channels)` uint8 crops to `(k, features)`."""


class NetworkExtractor:
    """A network's `features`, as they are in evaluation.

    Args:
        network: Any with a method `features` that maps pictures to `(batch, features)`.
        options: Its options: size and channels of its pictures.
        name: What to call it.
        device: Where it runs.
        known: Whom it learned from and was chosen by; None: nobody says. Weights that were drawn
            at random, or learned from images in general, know nobody: `Known()`.

    Raises:
        UsageError: The network has no features to give.
    """

    def __init__(
        self,
        network: Network,
        options: Any,
        *,
        name: str,
        device: str | torch.device = "cpu",
        known: Known | None = None,
    ) -> None:
        features: Callable[[Tensor], Tensor] | None = getattr(network, "features", None)
        if features is None or not hasattr(options, "input_size_px"):
            raise UsageError(
                f"expected a network that makes features of pictures; {name} does not; choose one "
                "with an extractor"
            )
        self._features = features
        self._network = network.eval().to(device)
        self._options, self._device = options, torch.device(device)
        self.description = name
        self.fingerprint = _hash_network(network, options)
        self.known = known or Known(unknown=(f"nobody says whom {name} knows",))

    @torch.inference_mode()
    def extract(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map crops to features."""
        self._network.eval()
        pictures = prepare_pictures(
            torch.from_numpy(crops).to(self._device).unsqueeze(1),
            channels=self._options.input_channels,
            size_px=self._options.input_size_px,
        )
        found: NDArray[np.float32] = self._features(pictures[:, 0]).float().cpu().numpy()
        return found


class BundleExtractor:
    """All raw outputs of a bundle's model, side by side: a bundle has no other features.

    Raises:
        UsageError: The bundle needs more than one picture to say something.
    """

    def __init__(self, bundle: Bundle) -> None:
        if bundle.spec.memory is not None:
            raise UsageError(
                "expected a bundle that predicts each picture by itself to make features; "
                f"{bundle.spec.name} is {bundle.spec.temporal!r} in time"
            )
        self._bundle = bundle
        self.description = f"outputs of the bundle {bundle.spec.name} {bundle.spec.version}"
        self.fingerprint = bundle.spec.model_sha256
        self.known = known_by_bundle(bundle.folder) or Known(
            unknown=(f"the bundle {bundle.spec.name} does not say whom it learned from",)
        )

    def extract(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map crops to outputs."""
        rgb = np.broadcast_to(crops, (*crops.shape[:3], 3))
        outputs = self._bundle.score_pixels(self._bundle.prepare(list(rgb)))
        parts = [values.reshape(len(crops), -1) for values in outputs.values()]
        return np.concatenate(parts, axis=1).astype(np.float32)


def load_extractor(
    name_or_path: str | Path,
    *,
    device: str | torch.device = "cpu",
    architecture: Architecture | None = None,
) -> Extractor:
    """Load an extractor: the folder of a run of the zoo, or a bundle's name or folder.

    Raises:
        TrainingError, BundleError: There is none, or it is damaged.
        UsageError: It makes no features of pictures.
    """
    path = Path(name_or_path)
    if (path / RUN_FILE).is_file():
        trained = load_trained(path, architecture=architecture)
        recipe = trained.record.recipe
        return NetworkExtractor(
            trained.network,
            recipe.options,
            name=f"{recipe.architecture}, {trained.checkpoint.name} of epoch {trained.epochs_done}",
            device=device,
            known=known_by_run(path, trained.record.everything),
        )
    try:
        return BundleExtractor(load_bundle(name_or_path))
    except EmotraceError as error:
        raise type(error)(
            f"expected the folder of a run or a bundle to make features; {error}"
        ) from error


def _hash_network(network: Network, options: Any) -> str:
    digest = hashlib.sha256(f"{type(network).__qualname__} {options!r}".encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(
            value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()
