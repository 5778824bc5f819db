"""The recipe of the default bundle: a complete training configuration as one typed value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final

import tyro

from emotrace.errors import UsageError
from emotrace.models.compact_options import CompactNetOptions


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """Random changes made to each training face; see `emotrace.training.augmentation`.

    The ranges cover what detectors and cameras do to a face in video: badly placed and tilted
    boxes, low resolution, blur, exposure, light from one side.
    """

    scale: tuple[float, float] = (0.82, 1.22)
    rotation_degrees: float = 16.0
    shift_fraction: float = 0.1
    """Of the picture's side, each way."""
    shear_degrees: float = 6.0
    flip_probability: float = 0.5
    contrast: tuple[float, float] = (0.7, 1.3)
    brightness: float = 0.15
    gamma: tuple[float, float] = (0.6, 1.7)
    side_light_probability: float = 0.15
    blur_probability: float = 0.15
    low_resolution_probability: float = 0.2
    lowest_resolution_px: int = 16
    noise_probability: float = 0.1
    erase_probability: float = 0.3
    erase_fraction: tuple[float, float] = (0.15, 0.4)
    """Side of the erased box as a share of the picture's."""
    mixup_probability: float = 0.4
    mixup_alpha: float = 0.3
    """Of the Beta distribution (Zhang et al. 2018, arXiv:1710.09412)."""


MILD_AUGMENTATION: Final = AugmentationSettings(
    scale=(0.9, 1.12),
    rotation_degrees=10.0,
    shift_fraction=0.06,
    shear_degrees=3.0,
    contrast=(0.8, 1.2),
    brightness=0.1,
    gamma=(0.75, 1.35),
    side_light_probability=0.08,
    blur_probability=0.08,
    low_resolution_probability=0.1,
    noise_probability=0.05,
    erase_probability=0.1,
    mixup_probability=0.0,
)
"""For the last epochs: nearer to the faces that will be met, no two of them mixed."""


@dataclass(frozen=True, kw_only=True)
class DefaultRecipe:
    """How the default bundle is trained: FER+ votes and FER2013 labels, from scratch.

    The weights that are kept are the exponential moving average at the end of the schedule: a fixed
    rule, so no epoch is chosen by looking at results.
    """

    network: CompactNetOptions = field(default_factory=CompactNetOptions)
    """The shape of the network."""
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    """Random changes to the faces."""
    epochs: int = 20
    """Of each cycle; each draws as many faces as the training set has."""
    cycles: int = 1
    """Times the learning rate falls to zero; each further cycle starts at `restart_factor` of the
    one before (warm restarts, Loshchilov and Hutter 2017, arXiv:1608.03983)."""
    restart_factor: float = 0.5
    """Peak of a cycle's learning rate as a share of the previous cycle's."""
    refine_epochs: int = 8
    """After the cycles: epochs with `refine_augmentation`, from `refine_factor` of the peak
    learning rate down to zero (strong augmentation first, faces nearly as they are last; He et al.
    2019, arXiv:1909.09148)."""
    refine_factor: float = 0.3
    """Learning rate at which refinement starts, as a share of `learning_rate`."""
    refine_augmentation: Annotated[AugmentationSettings, tyro.conf.Suppress] = field(
        default_factory=lambda: MILD_AUGMENTATION
    )
    """Random changes to the faces while refining. Not a flag: those of `augmentation` have the same
    names; change it from Python."""
    batch_size: int = 128
    """Faces in one step, pictures without a face not counted."""
    learning_rate: float = 0.1
    """Peak of the first cycle; reached after `warmup_epochs`, then a half cosine to zero."""
    warmup_epochs: float = 1.0
    momentum: float = 0.9
    """Of stochastic gradient descent, Nesterov's form."""
    weight_decay: float = 5e-4
    """Of convolution weights; not of batch norm nor biases."""
    gradient_clip_norm: float = 5.0
    """Longer gradients are shortened to it."""
    average_decay: float = 0.998
    """Of the moving average of the weights, per step (an epoch has about 223)."""
    balance_power: float = 0.5
    """An image is drawn in proportion to the mean over its votes of (share of the emotion in the
    training set) ** -balance_power: 0 draws all alike, 1 meets the emotions about equally often."""
    fer2013_weight: float = 0.5
    """Of the FER2013 head's loss beside the FER+ head's 1."""
    face_weight: float = 0.2
    """Of the face head's loss."""
    not_face_fraction: float = 0.08
    """Of each batch: pictures without a face, made by `emotrace.training.not_faces`."""
    mixed_precision: bool = True
    """bfloat16 autocast, on the CPU too."""
    seed: int = 0
    """Of weights, sampling and augmentation."""
    threads: int = 0
    """CPU threads for torch; 0 leaves torch's choice."""

    @property
    def epochs_total(self) -> int:
        """Epochs of all cycles and of the refinement."""
        return self.epochs * self.cycles + self.refine_epochs

    def augmentation_at(self, epoch: int) -> AugmentationSettings:
        """Return what is done to the faces in an epoch, counted from 0."""
        is_refining = epoch >= self.epochs * self.cycles
        return self.refine_augmentation if is_refining else self.augmentation

    def __post_init__(self) -> None:
        """Refuse values that cannot train.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        for name in ("epochs", "cycles", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise UsageError(f"expected {name} above 0; got {getattr(self, name)}")
        if not 0 <= self.not_face_fraction < 1:
            raise UsageError(f"expected not_face_fraction in [0, 1); got {self.not_face_fraction}")
