"""Refit the face head of a trained `CompactNet` on real pictures without a face, and its threshold.

In training, the head only ever sees not-faces that are made from faces or drawn. What it must
refuse in videos are detectors' false alarms: sleeves, curtains, foliage, one eye. The trunk stays
as it is, and with it every expression; the head alone (one weight for each pooled feature, and a
bias) is fitted again by logistic regression with a penalty on the squared weights, both classes
counting alike. That takes seconds once the features are there.

Faces and not-faces are changed by the same augmentation, so that neither a shifted box nor a dark
or blurred picture speaks for or against a face. The threshold comes last, from faces that took no
part in the fit: the face probability that at most a given share of them fall below, as they are and
changed in each of the ways in which footage is worse than photographs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch
from torch import nn

from emotrace.errors import TrainingError, UsageError
from emotrace.training.augmentation import augment
from emotrace.training.recipe import (
    MODERATE_AUGMENTATION,
    NO_AUGMENTATION,
    AugmentationSettings,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.models.compact import CompactNet

PooledFeatures = Callable[["NDArray[np.float32]"], "NDArray[np.float32]"]
"""Takes pictures `(n, 1, size, size)` in [0, 1], gives what the face head sees: `(n, width)`."""

_BATCH: Final = 256
PERTURBATIONS: Final[dict[str, AugmentationSettings]] = {
    "shift": replace(NO_AUGMENTATION, shift_fraction=0.1),
    "scale": replace(NO_AUGMENTATION, scale=(0.8, 1.25)),
    "roll": replace(NO_AUGMENTATION, rotation_degrees=20.0),
    "low_resolution": replace(
        NO_AUGMENTATION, low_resolution_probability=1.0, lowest_resolution_px=24
    ),
    "blur": replace(NO_AUGMENTATION, blur_probability=1.0),
    "gamma": replace(NO_AUGMENTATION, gamma=(0.5, 2.0)),
    "side_light": replace(NO_AUGMENTATION, side_light_probability=1.0),
}
"""What footage does to a face, one at a time: the threshold must let such faces pass too. `jpeg` is
done beside them, by a codec."""
_JPEG_QUALITY: Final = 30


@dataclass(frozen=True, kw_only=True)
class FaceHeadSettings:
    """How the head is fitted and its threshold chosen."""

    augmentations: tuple[AugmentationSettings, ...] = field(
        default_factory=lambda: (MODERATE_AUGMENTATION, AugmentationSettings())
    )
    """Each picture is seen as it is and once with each of these."""
    penalty: float = 1e-3
    """On the squared weights of the standardised features, beside the mean log loss."""
    most_faces_lost: float = 0.005
    """Share of validation faces that may fall below the threshold."""
    most_threshold: float = 0.5
    """A picture that is rather a face than not is never refused, however clear-cut the rest."""

    def __post_init__(self) -> None:
        if not 0 <= self.most_faces_lost < 1:
            raise UsageError(f"expected most_faces_lost in [0, 1); got {self.most_faces_lost}")
        if self.penalty <= 0:
            raise UsageError(f"expected penalty above 0; got {self.penalty}")


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceHeadFit:
    """A fitted face head."""

    weight: NDArray[np.float32]
    """`(width,)`: of each pooled feature."""
    bias: float
    threshold: float
    """Face probability below which a single picture is refused."""
    held_out: dict[str, float]
    """Measured on pictures that took no part in the fit; ready for JSON. `faces_lost` (as they
    are), `faces_lost_shift`, ... (each change), `not_faces_refused`, and the counts."""
    learnt_from: dict[str, int] = field(default_factory=dict)
    """How many pictures without a face came from what, where that is known."""

    def log_odds(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the log odds that pictures show a face from their `(n, width)` features."""
        values: NDArray[np.float64] = features.astype(np.float64) @ self.weight + self.bias
        return values


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceFeatures:
    """What the head sees of the faces: to be used with one set of not-faces after another."""

    train: NDArray[np.float32]
    """`(n, width)`: as they are and augmented."""
    validation: dict[str, NDArray[np.float32]]
    """`(m, width)` each: `as_is`, and each change of `PERTURBATIONS`."""


def network_features(network: CompactNet) -> PooledFeatures:
    """Return the function that computes a network's pooled features (in evaluation mode)."""

    def compute(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = []
        with torch.inference_mode():
            for at in range(0, len(pictures), _BATCH):
                batch = torch.from_numpy(pictures[at : at + _BATCH])
                parts.append(network.trunk(network.stem(batch)).mean(dim=(2, 3)).numpy())
        width = network.face_head.in_channels
        return np.concatenate(parts) if parts else np.zeros((0, width), np.float32)

    return compute


def fit_face_head(
    network: CompactNet,
    faces: NDArray[np.uint8],
    not_faces: NDArray[np.uint8],
    *,
    validation_faces: NDArray[np.uint8],
    seed: int,
    settings: FaceHeadSettings | None = None,
) -> FaceHeadFit:
    """Refit the face head of a network and choose its threshold.

    Args:
        network: Trained, in evaluation mode; it is not changed (see `with_face_head`).
        faces: `(n, size, size)`, uint8 grey, for the fit.
        not_faces: `(m, size, size)`, uint8 grey; every fifth one is held out.
        validation_faces: For the threshold; none of them in `faces`.
        seed: Of the augmentation.
        settings: How.

    Raises:
        UsageError: The network is in training mode, or a set of pictures is empty or of another
            shape.
    """
    if network.training:
        raise UsageError("expected a network in evaluation mode; got one in training: call eval()")
    settings = settings or FaceHeadSettings()
    features = network_features(network)
    known = face_features(features, faces, validation_faces, seed=seed, settings=settings)
    held_out = is_held_out(len(not_faces))
    return fit_head(
        known,
        augmented_features(features, not_faces[~held_out], seed=seed + 1, settings=settings),
        features(as_pictures(not_faces[held_out])),
        settings=settings,
    )


def is_held_out(count: int) -> NDArray[np.bool_]:
    """Return `(count,)`: which pictures without a face take no part in the fit, every fifth."""
    held_out: NDArray[np.bool_] = np.arange(count) % 5 == 4
    return held_out


def with_face_head(network: CompactNet, fit: FaceHeadFit) -> CompactNet:
    """Return a copy of a network with the fitted face head in place of its own."""
    network = copy.deepcopy(network)
    head = network.face_head
    if not isinstance(head, nn.Conv2d) or head.in_channels != len(fit.weight):
        raise UsageError(
            f"expected a fit of {head.in_channels} weights for this network; got {len(fit.weight)}"
        )
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(fit.weight).view_as(head.weight))
        if head.bias is not None:
            head.bias.fill_(fit.bias)
    return network


def face_features(
    features: PooledFeatures,
    faces: NDArray[np.uint8],
    validation_faces: NDArray[np.uint8],
    *,
    seed: int,
    settings: FaceHeadSettings,
) -> FaceFeatures:
    """Compute the features of faces for the fit and for the threshold; see `fit_face_head`."""
    for name, pictures in (("faces", faces), ("validation_faces", validation_faces)):
        if not len(pictures):
            raise UsageError(f"expected at least one picture in {name}; got none")
    whole = as_pictures(validation_faces)
    validation = {"as_is": features(whole)}
    for place, (name, change) in enumerate(PERTURBATIONS.items()):
        changed = _augmented(whole, change, seed=1000 * (seed + 1) + place)
        validation[name] = features(changed)
    validation["jpeg"] = features(as_pictures(_through_jpeg(validation_faces)))
    train = augmented_features(features, faces, seed=seed, settings=settings)
    return FaceFeatures(train=train, validation=validation)


def augmented_features(
    features: PooledFeatures,
    pictures: NDArray[np.uint8],
    *,
    seed: int,
    settings: FaceHeadSettings,
) -> NDArray[np.float32]:
    """Compute the features of pictures as they are and once with each augmentation.

    Returns:
        `(n * (1 + augmentations), width)`: all as they are first, then all of each augmentation.
    """
    whole = as_pictures(pictures)
    parts = [features(whole)]
    for place, change in enumerate(settings.augmentations):
        parts.append(features(_augmented(whole, change, seed=1000 * seed + place)))
    return np.concatenate(parts)


def fit_head(
    faces: FaceFeatures,
    not_faces: NDArray[np.float32],
    held_out_not_faces: NDArray[np.float32],
    *,
    settings: FaceHeadSettings | None = None,
) -> FaceHeadFit:
    """Fit the head on features and choose its threshold.

    Args:
        faces: See `face_features`.
        not_faces: `(m, width)`, as they are and augmented.
        held_out_not_faces: `(k, width)`: to say how many of them are refused; may be empty.
        settings: How.

    Raises:
        UsageError: There are no not-faces, or features of another width.
        TrainingError: The fit gave no finite weights.
    """
    settings = settings or FaceHeadSettings()
    if not_faces.ndim != 2 or not len(not_faces) or not_faces.shape[1] != faces.train.shape[1]:
        raise UsageError(
            f"expected features of not-faces of shape (n, {faces.train.shape[1]}), n above 0; "
            f"got {not_faces.shape}"
        )
    weight, bias = _logistic_regression(faces.train, not_faces, settings.penalty)
    if not (np.all(np.isfinite(weight)) and np.isfinite(bias)):
        raise TrainingError("expected finite weights of the face head; got others: is the network?")
    fit = FaceHeadFit(weight=weight.astype(np.float32), bias=bias, threshold=0.0, held_out={})
    said = {name: _sigmoid(fit.log_odds(part)) for name, part in faces.validation.items()}
    threshold = min(
        settings.most_threshold,
        *(_lowest_kept(values, settings.most_faces_lost) for values in said.values()),
    )
    refused = _sigmoid(fit.log_odds(held_out_not_faces)) < threshold
    held_out = {
        "faces": float(len(said["as_is"])),
        "faces_lost": float(np.mean(said["as_is"] < threshold)),
        **{
            f"faces_lost_{name}": float(np.mean(values < threshold))
            for name, values in said.items()
            if name != "as_is"
        },
        "not_faces": float(len(refused)),
    }
    if len(refused):
        held_out["not_faces_refused"] = float(np.mean(refused))
    return replace(fit, threshold=threshold, held_out=held_out)


def as_pictures(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn `(n, size, size)` uint8 into `(n, 1, size, size)` in [0, 1]."""
    if images.ndim != 3 or images.dtype != np.uint8:
        raise UsageError(
            f"expected grey pictures (n, size, size), uint8; got {images.shape}, {images.dtype}"
        )
    return images[:, None].astype(np.float32) / np.float32(255)


def _augmented(
    pictures: NDArray[np.float32], settings: AugmentationSettings, *, seed: int
) -> NDArray[np.float32]:
    generator = torch.Generator().manual_seed(seed)
    parts = [
        # Some changes draw one strength for a whole batch: small batches draw many.
        augment(torch.from_numpy(pictures[at : at + 64]), settings, generator).numpy()
        for at in range(0, len(pictures), 64)
    ]
    return np.concatenate(parts) if parts else pictures


def _through_jpeg(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    made = np.empty_like(images)
    for at, image in enumerate(images):
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        made[at] = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
    return made


def _lowest_kept(values: NDArray[np.float64], most_lost: float) -> float:
    """Return the highest threshold below which at most a share `most_lost` of the values lie."""
    return float(np.sort(values)[int(most_lost * len(values))])


def _sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = 0.5 * (1 + np.tanh(0.5 * log_odds))
    return result


def _logistic_regression(
    faces: NDArray[np.float32], not_faces: NDArray[np.float32], penalty: float
) -> tuple[NDArray[np.float64], float]:
    """Fit weights and bias for features as they are; each class has half of the weight."""
    both = torch.from_numpy(np.concatenate([faces, not_faces])).double()
    truth = torch.zeros(len(both), dtype=torch.float64)
    truth[: len(faces)] = 1
    share = torch.full_like(truth, 0.5 / len(not_faces))
    share[: len(faces)] = 0.5 / len(faces)
    mean = share @ both
    # A feature that never varies says nothing; it must not divide by 0.
    scale = (share @ (both - mean) ** 2).sqrt().clamp_min(1e-6)
    both = (both - mean) / scale
    weight = torch.zeros(both.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=500, tolerance_grad=1e-8, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        log_loss = nn.functional.binary_cross_entropy_with_logits(
            both @ weight + bias, truth, weight=share, reduction="sum"
        )
        value: torch.Tensor = log_loss + penalty * (weight @ weight)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    slope = (weight / scale).detach()
    return slope.numpy(), float(bias.detach() - slope @ mean)
