"""The recipe of the default bundle: a complete training configuration as one typed value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Final

import tyro

from emotrace.errors import UsageError
from emotrace.models.compact_options import CompactNetOptions

_SIZE_STEP_PX: Final = 16


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """Random changes made to each training face; see `emotrace.training.augmentation`.

    The ranges cover what detectors and cameras do to a face in video: badly placed and tilted
    boxes, low resolution, blur, exposure, light from one side.
    """

    scale: tuple[float, float] = (0.83, 1.2)
    rotation_degrees: float = 16.0
    shift_fraction: float = 0.09
    """Of the picture's side, each way."""
    shear_degrees: float = 5.0
    flip_probability: float = 0.5
    contrast: tuple[float, float] = (0.7, 1.3)
    brightness: float = 0.15
    gamma: tuple[float, float] = (0.6, 1.7)
    side_light_probability: float = 0.12
    blur_probability: float = 0.1
    low_resolution_probability: float = 0.15
    lowest_resolution_px: int = 16
    noise_probability: float = 0.1
    jpeg_probability: float = 0.0
    jpeg_quality: tuple[int, int] = (20, 70)
    """Of the JPEG that a face is sent through, as footage comes through a codec."""
    erase_probability: float = 0.3
    erase_fraction: tuple[float, float] = (0.15, 0.4)
    """Side of the erased box as a share of the picture's."""
    mixup_probability: float = 0.3
    mixup_alpha: float = 0.3
    """Of the Beta distribution (Zhang et al. 2018, arXiv:1710.09412)."""


NO_AUGMENTATION: Final = AugmentationSettings(
    scale=(1.0, 1.0),
    rotation_degrees=0.0,
    shift_fraction=0.0,
    shear_degrees=0.0,
    flip_probability=0.0,
    contrast=(1.0, 1.0),
    brightness=0.0,
    gamma=(1.0, 1.0),
    side_light_probability=0.0,
    blur_probability=0.0,
    low_resolution_probability=0.0,
    noise_probability=0.0,
    erase_probability=0.0,
    mixup_probability=0.0,
)
"""Leaves every face as it is: where changes are to be made one at a time, begin here."""

MODERATE_AUGMENTATION: Final = AugmentationSettings(
    scale=(0.9, 1.12),
    rotation_degrees=12.0,
    shift_fraction=0.06,
    shear_degrees=3.0,
    contrast=(0.8, 1.2),
    brightness=0.1,
    gamma=(0.7, 1.45),
    side_light_probability=0.07,
    blur_probability=0.07,
    low_resolution_probability=0.1,
    noise_probability=0.05,
    jpeg_probability=0.2,
    erase_probability=0.2,
    mixup_probability=0.15,
)
"""For most of a training: what `AugmentationSettings` does by itself leaves the network short of
what it can learn from the faces (docs/decisions/0011)."""

LIGHT_AUGMENTATION: Final = AugmentationSettings(
    scale=(0.93, 1.08),
    rotation_degrees=8.0,
    shift_fraction=0.04,
    shear_degrees=2.0,
    contrast=(0.85, 1.15),
    brightness=0.08,
    gamma=(0.75, 1.35),
    side_light_probability=0.05,
    blur_probability=0.05,
    low_resolution_probability=0.08,
    noise_probability=0.03,
    jpeg_probability=0.15,
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

    network: CompactNetOptions = field(default_factory=lambda: CompactNetOptions(dropout=0.1))
    """The shape of the network."""
    augmentation: AugmentationSettings = field(default_factory=lambda: MODERATE_AUGMENTATION)
    """Random changes to the faces."""
    epochs: int = 50
    """Each draws as many faces as the training set has."""
    refine_epochs: int = 12
    """The last of them (all, where there are no more), with `refine_augmentation`: strong changes
    first, faces nearly as they are last (He et al. 2019, arXiv:1909.09148)."""
    refine_augmentation: Annotated[AugmentationSettings, tyro.conf.Suppress] = field(
        default_factory=lambda: LIGHT_AUGMENTATION
    )
    """Random changes to the faces while refining. Not a flag: those of `augmentation` have the same
    names; change it from Python."""
    polish_epochs: int = 0
    """After those: a second fall of the learning rate, from `polish_factor` of its peak to zero (a
    warm restart; Loshchilov and Hutter 2017, arXiv:1608.03983). Its last `refine_epochs` have
    `polish_augmentation`, those before them `augmentation` and polishing's codec."""
    polish_factor: float = 0.2
    polish_augmentation: Annotated[AugmentationSettings, tyro.conf.Suppress] = field(
        default_factory=lambda: LIGHT_AUGMENTATION
    )
    """Random changes to the faces while polishing; not a flag, as `refine_augmentation`."""
    first_size_px: int = 32
    """Side of the faces in the first epochs; it grows in steps of 16 (each stage of the network
    halves it) to the network's own. Small faces cost less (32 x 32 half the time of 48 x 48) and
    teach the coarse things first (progressive resizing; Tan and Le 2021, arXiv:2104.00298)."""
    growing_share: float = 0.32
    """Of the epochs: when the faces have reached the network's own size."""
    batch_size: int = 128
    """Faces in one step, pictures without a face not counted."""
    learning_rate: float = 0.1
    """Peak; reached after `warmup_epochs`, then a half cosine to zero over `epochs`."""
    warmup_epochs: float = 1.0
    momentum: float = 0.9
    """Of stochastic gradient descent, Nesterov's form."""
    weight_decay: float = 5e-4
    """Of convolution weights; not of batch norm nor biases."""
    gradient_clip_norm: float = 5.0
    """Longer gradients are shortened to it."""
    average_decay: float = 0.998
    """Of the moving average of the weights, per step (an epoch has about 223)."""
    balance_power: float = 0.2
    """An image is drawn in proportion to the mean over its votes of (share of the emotion in the
    training set) ** -balance_power: 0 draws all alike, 1 meets the emotions about equally often."""
    fer2013_weight: float = 0.5
    """Of the FER2013 head's loss beside the FER+ head's 1."""
    teachers: int = 3
    """Runs of this recipe, from other seeds and without teachers, that teach it; 0 for none."""
    teacher_share: float = 0.6
    """Of each label: what the teachers answer instead; see `emotrace.training.teaching`."""
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
        """Epochs, those of polishing included."""
        return self.epochs + self.polish_epochs

    def augmentation_at(self, epoch: int) -> AugmentationSettings:
        """Return what is done to the faces in an epoch, counted from 0."""
        if epoch >= max(self.epochs, self.epochs_total - self.refine_epochs):
            return self.polish_augmentation
        if epoch >= self.epochs:
            polishing = self.polish_augmentation
            return replace(
                self.augmentation,
                jpeg_probability=polishing.jpeg_probability,
                jpeg_quality=polishing.jpeg_quality,
            )
        is_refining = epoch >= self.epochs - self.refine_epochs
        return self.refine_augmentation if is_refining else self.augmentation

    def size_px_at(self, epoch: int) -> int:
        """Return the side of the faces in an epoch, counted from 0."""
        full = self.network.input_size_px
        smaller = range(self.first_size_px, full, _SIZE_STEP_PX)
        growing = self.growing_share * self.epochs
        if epoch >= growing or not smaller:
            return full
        return smaller[int(epoch / growing * len(smaller))]

    def __post_init__(self) -> None:
        """Refuse values that cannot train.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        for name in ("epochs", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise UsageError(f"expected {name} above 0; got {getattr(self, name)}")
        if not 0 <= self.not_face_fraction < 1:
            raise UsageError(f"expected not_face_fraction in [0, 1); got {self.not_face_fraction}")
        if not 0 < self.teacher_share <= 1:
            raise UsageError(f"expected teacher_share in (0, 1]; got {self.teacher_share}")
        for name in ("refine_epochs", "polish_epochs", "teachers"):
            if getattr(self, name) < 0:
                raise UsageError(f"expected {name} of at least 0; got {getattr(self, name)}")
        full = self.network.input_size_px
        if self.first_size_px not in range(_SIZE_STEP_PX, full + 1, _SIZE_STEP_PX):
            raise UsageError(
                f"expected first_size_px to be a multiple of {_SIZE_STEP_PX} up to {full}; "
                f"got {self.first_size_px}"
            )
        if not 0 <= self.growing_share <= 1:
            raise UsageError(f"expected growing_share in [0, 1]; got {self.growing_share}")
