"""Bundles: a model with its spec and its card; how pixels become predictions.

A bundle holds no pickles and no code. `spec.json` states everything that turns a face crop into
probabilities: the crop's geometry, size and colour, the model's outputs, their temperatures, and
the priors. This module is the one place that applies it, in training's evaluation as in `analyze`.

How common each expression is taken to be is a visible setting: see `emotrace.bundle_prior`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from emotrace.bundle_memory import RecurrentSpec
from emotrace.bundle_outputs import VOTES_PRIOR
from emotrace.bundle_prior import (
    AS_TRAINED,
    PriorChoice,
    mix_expressions,
    resolve_prior,
    softmax,
)
from emotrace.bundle_session import check_session, open_session
from emotrace.bundle_spec import (
    CARD_FILE,
    MODEL_FILE,
    SPEC_FILE,
    BundleSpec,
    read_spec,
)
from emotrace.errors import BundleError, UsageError
from emotrace.storage import home_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from emotrace.bundle_outputs import OtherOutput

__all__ = [
    "AS_TRAINED",
    "DEFAULT_BUNDLE",
    "PACKAGED_FOLDER",
    "Bundle",
    "CropPredictions",
    "PriorChoice",
    "find_bundles",
    "load_bundle",
    "mix_expressions",
]

PACKAGED_FOLDER: Final = Path(__file__).parent / "bundles"
DEFAULT_BUNDLE: Final = "default"


@dataclass(frozen=True, kw_only=True, eq=False)
class CropPredictions:
    """What a bundle says of n crops."""

    probabilities: NDArray[np.float32]
    """`(n, labels)`, rows summing to 1."""
    face_probabilities: NDArray[np.float32] | None
    """`(n,)`: that the crop shows a face at all; None where the bundle does not say."""
    valence_arousal: NDArray[np.float32] | None
    """`(n, 2)` in [-1, 1]; None where the bundle has no such output."""
    others: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """What else the bundle predicts (`BundleSpec.other_outputs`), by name: `(n, labels of that
    output)`, probabilities where it is categorical or multi-label."""


class Bundle:
    """A loaded bundle, ready to predict. Make one with `load_bundle`."""

    def __init__(self, folder: Path, spec: BundleSpec, card: str, prior: PriorChoice, threads: int):
        self.folder = folder
        self.spec = spec
        self.card = card
        """The model card, Markdown."""
        self.prior_name, self.prior = resolve_prior(spec, prior)
        self._log_prior = np.log(np.maximum(self.prior, 1e-9))
        self._session = open_session(folder / MODEL_FILE, threads)
        self._output_names = [output.name for output in self._session.get_outputs()]
        check_session(self._session, spec, folder)

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.spec.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the probabilities' columns, in order."""
        return self.spec.labels

    @property
    def uncertain_threshold(self) -> float | None:
        """Confidence below which a prediction is uncertain; None where that cannot be said.

        Under the prior `votes` it cannot: the confidence is then a share of annotators.
        """
        return None if self.prior_name == VOTES_PRIOR else self.spec.uncertain_threshold

    @property
    def hash(self) -> str:
        """SHA-256 of the model file, hexadecimal."""
        return self.spec.model_sha256

    def predict_crops(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Predict the expression of face crops.

        Args:
            images: RGB face crops, each `(height, width, 3)`, uint8, of any size; best cut as
                `emotrace.faces.extract_crop` does with `spec.crop`.

        Returns:
            `(n, labels)` float32 probabilities, rows summing to 1; `(0, labels)` for no images.

        Raises:
            UsageError: A picture has another shape or type, or the bundle is a temporal one.
        """
        return self.predict(images).probabilities

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> CropPredictions:
        """Predict everything that the bundle knows of face crops; see `predict_crops`."""
        return self.predict_pixels(self.prepare(images))

    def prepare(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Turn face crops, as `predict_crops` takes them, into what `predict_pixels` takes."""
        if not len(images):
            size = self.spec.input_size_px
            return np.zeros((0, self.spec.input_channels, size, size), np.float32)
        return np.stack([self._prepare(image, at) for at, image in enumerate(images)])

    def predict_pixels(self, pixels: NDArray[np.float32]) -> CropPredictions:
        """Predict from pictures that are prepared already.

        Args:
            pixels: `(n, channels, size, size)`, grey or RGB as `spec.colour` says, in [0, 1].

        Raises:
            UsageError: The bundle is a temporal one.
        """
        if self.spec.memory is not None:
            raise UsageError(
                f"expected a bundle that predicts each crop by itself; {self.name} is "
                f"{self.spec.temporal!r} in time: "
                "give it a track's crops with emotrace.analysis.temporal.TrackPredictor"
            )
        return self.interpret(self.score_pixels(pixels)) if len(pixels) else self.predict_nothing()

    def predict_nothing(self) -> CropPredictions:
        """Return what there is to say of no crops: arrays of no rows."""
        spec = self.spec
        return CropPredictions(
            probabilities=np.zeros((0, len(spec.labels)), np.float32),
            face_probabilities=np.zeros(0, np.float32) if spec.face_output else None,
            valence_arousal=(np.zeros((0, 2), np.float32) if spec.valence_arousal_output else None),
            others={
                item.name: np.zeros((0, len(item.labels)), np.float32)
                for item in spec.other_outputs
            },
        )

    def score_pixels(
        self, pixels: NDArray[np.float32], states: Sequence[NDArray[np.float32]] = ()
    ) -> dict[str, NDArray[np.float32]]:
        """Return the model's own outputs, by name.

        Args:
            pixels: `(n, channels, size, size)` in [0, 1]: one picture of each of n tracks; for a
                bundle with a window `(n, frames, channels, size, size)`, the newest picture last.
            states: What a recurrent bundle remembers of the n tracks, in the order of its spec,
                each `(n, *shape)`.

        Returns:
            Each output `(n, values)`; the new states under the names of their outputs.

        Raises:
            UsageError: Another number of states than the bundle has.
        """
        memory = self.spec.memory
        if not isinstance(memory, RecurrentSpec):
            values = self._session.run(self._output_names, {self.spec.input_name: pixels})
            return dict(zip(self._output_names, values, strict=True))
        if len(states) != len(memory.states):
            raise UsageError(
                f"expected {len(memory.states)} states for the recurrent bundle {self.name}; "
                f"got {len(states)}; emotrace.analysis.temporal.TrackPredictor keeps them"
            )
        feed = {state.name: value for state, value in zip(memory.states, states, strict=True)}
        feed[self.spec.input_name] = pixels[:, np.newaxis]
        values = self._session.run(self._output_names, feed)
        carried = {state.output for state in memory.states}
        return {
            name: value if name in carried else value[:, -1]
            for name, value in zip(self._output_names, values, strict=True)
        }

    def interpret(self, outputs: Mapping[str, NDArray[np.float32]]) -> CropPredictions:
        """Turn what `score_pixels` returned into predictions under this bundle's prior.

        With several priors to compare, the model need run only once.
        """
        spec = self.spec
        face = valence_arousal = None
        if spec.face_output:
            # The logistic function as a tanh, which cannot overflow.
            face = 0.5 * (1 + np.tanh(0.5 * outputs[spec.face_output].reshape(-1)))
        if spec.valence_arousal_output:
            start = spec.valence_arousal_start or 0
            affect = outputs[spec.valence_arousal_output][:, start : start + 2]
            valence_arousal = np.clip(affect, -1, 1)
        logits = {
            item.name: outputs[item.output or item.name][:, item.start :][:, : len(item.labels)]
            for item in spec.expression_outputs
        }
        rows = len(next(iter(outputs.values())))
        return CropPredictions(
            probabilities=(
                mix_expressions(spec, logits, self._log_prior, self.prior_name)
                if logits
                else np.zeros((rows, 0), np.float32)
            ),
            face_probabilities=face,
            valence_arousal=valence_arousal,
            others={
                item.name: _say_other(item, outputs[item.output]) for item in spec.other_outputs
            },
        )

    def describe(self) -> dict[str, Any]:
        """Return what a result should say of the bundle that made it, ready for JSON."""
        shares = {
            label: round(float(share), 6)
            for label, share in zip(self.spec.labels, self.prior, strict=True)
        }
        return {
            "name": self.spec.name,
            "version": self.spec.version,
            "sha256": self.spec.model_sha256,
            "labels": list(self.spec.labels),
            "prior": self.prior_name,
            "prior_shares": None if self.prior_name == AS_TRAINED else shares,
            "training_data": self.spec.training_data,
            "licence": self.spec.licence,
            "face_threshold": self.spec.face_threshold,
            "uncertain_threshold": self.uncertain_threshold,
        }

    def _prepare(self, image: NDArray[np.uint8], position: int) -> NDArray[np.float32]:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise UsageError(
                f"expected crop {position} to be (height, width, 3) uint8, not empty; "
                f"got shape {image.shape}, type {image.dtype}"
            )
        size = self.spec.input_size_px
        pixels: NDArray[Any] = np.ascontiguousarray(image)
        if self.spec.colour == "grey":
            pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        if pixels.shape[:2] != (size, size):
            # INTER_AREA averages when shrinking (no aliasing); linear is the better one when
            # growing.
            shrinks = min(pixels.shape[:2]) > size
            pixels = cv2.resize(
                pixels, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            )
        return np.moveaxis(
            pixels.reshape(size, size, -1).astype(np.float32) / np.float32(255), 2, 0
        )


def _say_other(item: OtherOutput, values: NDArray[np.float32]) -> NDArray[np.float32]:
    mine = values[:, item.start : item.start + len(item.labels)]
    if item.kind == "continuous":
        return mine
    if item.kind == "categorical":
        return softmax(mine.astype(np.float64)).astype(np.float32)
    said: NDArray[np.float32] = 0.5 * (1 + np.tanh(0.5 * mine))
    return said


def load_bundle(
    name_or_path: str | Path = DEFAULT_BUNDLE,
    *,
    prior: PriorChoice = "default",
    threads: int = 1,
) -> Bundle:
    """Load a bundle and verify it.

    Args:
        name_or_path: The name of a bundle that this machine has (`find_bundles`), or a folder.
        prior: How common each expression is taken to be; see the module's text. Your own shares are
            scaled to sum to 1.
        threads: CPU threads for the model.

    Raises:
        BundleError: There is no such bundle, or it is damaged.
        UsageError: The prior does not fit.

    >>> bundle = load_bundle(prior="uniform")
    >>> bundle.labels
    ('anger', 'contempt', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'surprise')
    >>> bundle.predict_crops([np.zeros((60, 60, 3), np.uint8)]).shape
    (1, 8)
    """
    if threads < 1:
        raise UsageError(f"expected threads of at least 1; got {threads}")
    folder = _locate(name_or_path)
    spec = read_spec(folder)
    model = folder / MODEL_FILE
    try:
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
        card = (folder / CARD_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(
            f"expected {MODEL_FILE} and {CARD_FILE} in the bundle {folder}; got: {error}"
        ) from error
    if digest != spec.model_sha256:
        raise BundleError(
            f"expected sha256 {spec.model_sha256} for {model}; got {digest}; "
            "the bundle is damaged: get it again"
        )
    return Bundle(folder, spec, card, prior, threads)


def find_bundles() -> list[Path]:
    """Return the folders of all bundles that this machine has: packaged ones, then downloaded."""
    found: dict[str, Path] = {}
    for parent in (PACKAGED_FOLDER, home_folder() / "bundles"):
        if parent.is_dir():
            for folder in sorted(parent.iterdir()):
                if (folder / SPEC_FILE).is_file():
                    found.setdefault(folder.name, folder)
    return list(found.values())


def _locate(name_or_path: str | Path) -> Path:
    folders = find_bundles()
    if isinstance(name_or_path, str):
        for folder in folders:
            if folder.name == name_or_path:
                return folder
    path = Path(name_or_path)
    if path.is_dir():
        return path
    names = ", ".join(folder.name for folder in folders) or "none"
    raise BundleError(
        f"expected a bundle's name or folder; got {str(name_or_path)!r}; this machine has: {names}"
    )
