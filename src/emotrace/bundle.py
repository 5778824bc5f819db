"""Bundles: a model with its spec and its card; how pixels become predictions.

A bundle holds no pickles and no code. `spec.json` states everything that turns a face crop into
probabilities: the crop's geometry, size and colour, the model's outputs, their temperatures, and
the priors. This module is the one place that applies it, in training's evaluation as in `analyze`.

**The prior.** The network's expression outputs are *balanced* logits z: the evidence in the picture
if all expressions were equally common. Probabilities are softmax(z / temperature + log prior), so
how common each expression is taken to be is a visible setting: `training` (as in the training data,
best on more of the same), `uniform` (best average recall), `default` (the bundle's own tempered
one), or your own shares. With several expression outputs (label sets) their probabilities are mixed
by the weights that the spec states for that prior.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from emotrace.bundle_spec import (
    CARD_FILE,
    MODEL_FILE,
    SPEC_FILE,
    BundleSpec,
    read_spec,
)
from emotrace.errors import BundleError, UsageError
from emotrace.runtime import import_onnxruntime
from emotrace.storage import home_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGED_FOLDER: Final = Path(__file__).parent / "bundles"
DEFAULT_BUNDLE: Final = "default"

PriorChoice = str | Mapping[str, float]
"""`training`, `default`, `uniform`, or a share for every label."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CropPredictions:
    """What a bundle says of n crops."""

    probabilities: NDArray[np.float32]
    """`(n, labels)`, rows summing to 1."""
    face_probabilities: NDArray[np.float32] | None
    """`(n,)`: that the crop shows a face at all; None where the bundle does not say."""
    valence_arousal: NDArray[np.float32] | None
    """`(n, 2)` in [-1, 1]; None where the bundle has no such output."""


class Bundle:
    """A loaded bundle, ready to predict. Make one with `load_bundle`."""

    def __init__(self, folder: Path, spec: BundleSpec, card: str, prior: PriorChoice, threads: int):
        self.folder = folder
        self.spec = spec
        self.card = card
        """The model card, Markdown."""
        self.prior_name, self.prior = _resolve_prior(spec, prior)
        self._log_prior = np.log(np.maximum(self.prior, 1e-9))
        self._session = _open_session(folder / MODEL_FILE, threads)
        self._output_names = [output.name for output in self._session.get_outputs()]
        _check_session(self._session, spec, folder)

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.spec.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the probabilities' columns, in order."""
        return self.spec.labels

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
            UsageError: A picture has another shape or type.
        """
        return self.predict(images).probabilities

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> CropPredictions:
        """Predict everything that the bundle knows of face crops; see `predict_crops`."""
        count = len(images)
        if count == 0:
            pixels = np.zeros((0, 1, self.spec.input_size_px, self.spec.input_size_px), np.float32)
        else:
            pixels = np.stack([self._prepare(image, at) for at, image in enumerate(images)])
        return self.predict_pixels(pixels)

    def predict_pixels(self, pixels: NDArray[np.float32]) -> CropPredictions:
        """Predict from pictures that are prepared already: `(n, 1, size, size)`, grey in [0, 1]."""
        spec = self.spec
        if len(pixels) == 0:
            return CropPredictions(
                probabilities=np.zeros((0, len(spec.labels)), np.float32),
                face_probabilities=np.zeros(0, np.float32) if spec.face_output else None,
                valence_arousal=(
                    np.zeros((0, 2), np.float32) if spec.valence_arousal_output else None
                ),
            )
        values = self._session.run(self._output_names, {spec.input_name: pixels})
        outputs = dict(zip(self._output_names, values, strict=True))
        face = valence_arousal = None
        if spec.face_output:
            # The logistic function as a tanh, which cannot overflow.
            face = 0.5 * (1 + np.tanh(0.5 * outputs[spec.face_output].reshape(-1)))
        if spec.valence_arousal_output:
            valence_arousal = np.clip(outputs[spec.valence_arousal_output], -1, 1)
        return CropPredictions(
            probabilities=mix_expressions(
                spec,
                {o.name: outputs[o.name] for o in spec.expression_outputs},
                self._log_prior,
                self.prior_name,
            ),
            face_probabilities=face,
            valence_arousal=valence_arousal,
        )

    def describe(self) -> dict[str, Any]:
        """Return what a result should say of the bundle that made it, ready for JSON."""
        return {
            "name": self.spec.name,
            "version": self.spec.version,
            "sha256": self.spec.model_sha256,
            "labels": list(self.spec.labels),
            "prior": self.prior_name,
            "prior_shares": dict(
                zip(self.spec.labels, (round(float(p), 6) for p in self.prior), strict=True)
            ),
            "training_data": self.spec.training_data,
            "licence": self.spec.licence,
        }

    def _prepare(self, image: NDArray[np.uint8], position: int) -> NDArray[np.float32]:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise UsageError(
                f"expected crop {position} to be (height, width, 3) uint8, not empty; "
                f"got shape {image.shape}, type {image.dtype}"
            )
        size = self.spec.input_size_px
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        if grey.shape != (size, size):
            # INTER_AREA averages when shrinking (no aliasing); linear is the better one when
            # growing.
            shrinks = min(grey.shape) > size
            grey = cv2.resize(
                grey, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            )
        return (grey.astype(np.float32) / np.float32(255))[np.newaxis]


def mix_expressions(
    spec: BundleSpec,
    logits: Mapping[str, NDArray[np.float32]],
    log_prior: NDArray[np.float64],
    prior_name: str,
) -> NDArray[np.float32]:
    """Turn the balanced logits of each expression output into one set of probabilities.

    Args:
        spec: Names the outputs, their labels, temperatures and weights.
        logits: By output name, `(n, labels of that output)`.
        log_prior: `(labels,)`.
        prior_name: Chooses the weights.

    Returns:
        `(n, labels)` float32, rows summing to 1.
    """
    total: NDArray[np.float64] | None = None
    complete: NDArray[np.float64] | None = None
    for output in spec.expression_outputs:
        at = [spec.labels.index(name) for name in output.labels]
        part = _softmax(logits[output.name].astype(np.float64) / output.temperature + log_prior[at])
        whole = np.zeros((len(part), len(spec.labels)))
        if complete is None:
            whole[:, at] = part
            complete = whole
        else:
            # Labels that this output lacks keep the mass that the complete output gives them.
            lacking = [i for i in range(len(spec.labels)) if i not in at]
            whole[:, lacking] = complete[:, lacking]
            whole[:, at] = part * (1 - complete[:, lacking].sum(axis=1, keepdims=True))
        weight = output.weight_under(prior_name)
        total = weight * whole if total is None else total + weight * whole
    if total is None:
        raise BundleError(f"expected an expression output in the spec of {spec.name}; got none")
    mixed: NDArray[np.float32] = (total / total.sum(axis=1, keepdims=True)).astype(np.float32)
    return mixed


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
    return result


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


def _resolve_prior(spec: BundleSpec, prior: PriorChoice) -> tuple[str, NDArray[np.float64]]:
    """Return the prior's name and its shares in the order of the labels."""
    count = len(spec.labels)
    if isinstance(prior, str):
        if prior == "uniform":
            return prior, np.full(count, 1 / count)
        if prior not in spec.priors:
            choices = ", ".join([*spec.priors, "uniform"])
            raise UsageError(
                f"expected a prior out of {choices}, or a share for each expression; got {prior!r}"
            )
        shares = np.asarray(spec.priors[prior], np.float64)
        return prior, shares / shares.sum()
    missing = [name for name in spec.labels if name not in prior]
    unknown = [name for name in prior if name not in spec.labels]
    if missing or unknown:
        raise UsageError(
            f"expected a prior share for each of {', '.join(spec.labels)}; "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        )
    shares = np.asarray([float(prior[name]) for name in spec.labels])
    if not np.all(np.isfinite(shares)) or np.any(shares < 0) or shares.sum() <= 0:
        raise UsageError(f"expected prior shares of 0 or more, not all 0; got {dict(prior)}")
    return "custom", shares / shares.sum()


def _check_session(session: Any, spec: BundleSpec, folder: Path) -> None:
    """Refuse a model that does not have the input and the outputs that its spec names."""
    size = spec.input_size_px
    wanted: dict[str, tuple[int, ...]] = {spec.input_name: (1, size, size)}
    wanted |= {output.name: (len(output.labels),) for output in spec.expression_outputs}
    wanted |= {name: (1,) for name in (spec.face_output,) if name}
    wanted |= {name: (2,) for name in (spec.valence_arousal_output,) if name}
    nodes = (*session.get_inputs(), *session.get_outputs())
    # Of one picture, without the batch; a single value may have no axis of its own.
    found = {node.name: tuple(node.shape[1:]) or (1,) for node in nodes}
    for name, shape in wanted.items():
        if found.get(name) != shape:
            have = ", ".join(f"{other!r} {theirs}" for other, theirs in found.items())
            raise BundleError(
                f"expected the model in {folder} to have {name!r} of shape {shape} a picture; "
                f"it has {have}; the bundle is damaged: get it again"
            )


def _open_session(model: Path, threads: int) -> Any:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads sleep: decoding and tracking need the cores meanwhile.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many unrelated types
        reason = " ".join(str(error).split())[:200]
        raise BundleError(
            f"expected a model that onnxruntime can load in {model}; got: {reason}"
        ) from error
