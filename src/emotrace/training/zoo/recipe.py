"""The recipe for any architecture of the zoo: a complete training configuration as one value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path  # noqa: TC003 -- types are read at run time, by tyro and from_plain
from typing import Annotated, Any, Final, Literal

import tyro

from emotrace.errors import UsageError
from emotrace.training.clip_augmentation import ClipAugmentation
from emotrace.training.plain_values import from_plain, to_plain
from emotrace.training.sampling import SamplingSettings
from emotrace.training.stretches import ExampleWindows
from emotrace.training.targets import TargetSettings

Protocol = Literal[
    "auto", "official", "holdout", "k-fold", "leave-one-subject-out", "actor-folds", "random"
]
PROTOCOLS: Final[tuple[Protocol, ...]] = (
    "auto",
    "official",
    "holdout",
    "k-fold",
    "leave-one-subject-out",
    "actor-folds",
    "random",
)


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which data, and how it is divided."""

    data: Annotated[Path, tyro.conf.arg(metavar="PATH")]
    """A crop cache of `emotrace prepare`, vectors made of one, or the folder of ferplus.parquet."""
    protocol: Protocol = "auto"
    """How train, validation and test are divided; auto: the data set's official parts where it
    has any (a test part, if a test_share is asked for), else held-out subjects."""
    fold: int = 1
    """Which one of the protocol's splits, from 1."""
    folds: int = 5
    """How many k-fold makes."""
    validation_share: float = 0.2
    """Of the subjects (holdout, leave-one-subject-out) or clips (random), for choosing."""
    test_share: float = 0.0
    """Of the subjects (holdout) or clips (random), for measuring."""
    split_seed: int = 0
    """Of the protocols that draw."""
    leaks: Literal["refuse", "drop-pictures", "allow"] = "refuse"
    """What to do about people or pictures on two sides: refuse; leave pictures out of the side
    that is learned from; train all the same and say so in every result."""
    validate_on: Literal["validation", "test"] = "validation"
    """The side that is looked at after each epoch (salinas2018 chooses on the test subject)."""
    missing_faces: Literal["default", "break", "drop_clip"] = "default"
    """What a missed face costs; default: what the cache was prepared with."""

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise UsageError(
                f"expected a protocol out of {', '.join(PROTOCOLS)}; got {self.protocol!r}"
            )
        if self.fold < 1:
            raise UsageError(f"expected fold from 1; got {self.fold}")
        for name in ("validation_share", "test_share"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"expected {name} in [0, 1); got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """How weights follow the gradient."""

    optimiser: Literal["sgd", "adam", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    """Peak."""
    momentum: float = 0.9
    """Of sgd (Nesterov's form off, as in the papers)."""
    weight_decay: float = 1e-2
    """Not of biases, nor of anything else with one axis."""
    schedule: Literal["constant", "cosine", "one-cycle", "plateau"] = "cosine"
    """constant; half a cosine to 0; rise and fall (Smith 2018, arXiv:1803.09820); a tenth whenever
    validation has not improved for plateau_patience epochs."""
    warmup_share: float = 0.0
    """Of all steps: the rate rises from 0. One-cycle rises for 0.3 unless given."""
    plateau_patience: int = 5
    plateau_factor: float = 0.1
    gradient_clip_norm: float = 0.0
    """Longer gradients are shortened to it; 0: never."""

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise UsageError(f"expected learning_rate above 0; got {self.learning_rate}")
        for name in ("momentum", "warmup_share"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"expected {name} in [0, 1); got {getattr(self, name)}")
        for name in ("weight_decay", "gradient_clip_norm"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"expected {name} of 0 or more; got {getattr(self, name)}")
        if self.plateau_patience < 1 or not 0 < self.plateau_factor < 1:
            raise UsageError(
                "expected plateau_patience of 1 or more and plateau_factor in (0, 1); got "
                f"{self.plateau_patience} and {self.plateau_factor}"
            )


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """What is made small. Heads without a word here get the usual loss of their kind."""

    continuous_loss: Literal["ccc", "mse"] = "ccc"
    """Of heads of plain values (valence and arousal)."""
    label_smoothing: float = 0.0
    """Of expressions."""
    sample_weighting: Literal["none", "reciprocal"] = "none"
    """reciprocal: each sample weighs 1 / (samples of its class), 1 on average (tzirakis2021)."""
    head_weights: tuple[float, ...] = ()
    """Of each head's loss in the sum, in the network's order; all 1 unless given."""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"expected label_smoothing in [0, 1); got {self.label_smoothing}")
        if any(not weight >= 0 for weight in self.head_weights):
            raise UsageError(f"expected head_weights of 0 or more; got {self.head_weights}")


@dataclass(frozen=True, kw_only=True)
class StoppingSettings:
    """What is called better, and when to stop."""

    monitor: str = "auto"
    """The validation measure that decides; auto: the first head's (unweighted recall of
    expressions, mean CCC of values, mean F1 of labels). `loss` is one too."""
    patience: int = 0
    """Epochs without a better one before training stops; 0: never."""

    def __post_init__(self) -> None:
        if self.patience < 0:
            raise UsageError(f"expected patience of 0 or more epochs; got {self.patience}")


@dataclass(frozen=True, kw_only=True)
class StartSettings:
    """Where weights come from, and which are not trained."""

    initialise_from: Annotated[
        Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: fresh weights)")
    ] = None
    """A run, a checkpoint (.ckpt, .pt, .safetensors), a bundle, an .onnx file, or `imagenet`. What
    fits by name and shape is taken; initialisation.txt in the run's folder says what."""
    initialise_into: str = ""
    """The part of the network that those weights are for (extractor); found unless given."""
    initialise_part: str = ""
    """The part of the file that is taken (network.extractor); found unless given."""
    frozen: tuple[str, ...] = ()
    """Parts of the network that are not trained, by name (extractor)."""


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """What it runs on. Nothing here changes a result but precision and rounding."""

    precision: Literal["32", "bf16"] = "32"
    """bf16: products in bfloat16, on the CPU too."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    """Accelerators, or processes on the CPU, that share each batch."""
    workers: int = 0
    """Processes that read ahead, for each device."""
    threads: int = 0
    """CPU threads of each process; 0 leaves torch's choice."""
    checkpoint_every_steps: int = 0
    """Also keep the state in the middle of an epoch, every so many steps; 0: after epochs only."""

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise UsageError(f"expected devices of 1 or more; got {self.devices}")
        for name in ("workers", "threads", "checkpoint_every_steps"):
            if getattr(self, name) < 0:
                raise UsageError(f"expected {name} of 0 or more; got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class ZooRecipe:
    """How a network of the zoo is trained: everything that decides the outcome."""

    architecture: Annotated[str, tyro.conf.Suppress]
    """Name of the zoo's row."""
    options: Any
    """Of the row's own kind."""
    data: DataSettings
    targets: TargetSettings = field(default_factory=TargetSettings)
    windows: ExampleWindows = field(default_factory=ExampleWindows)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    augmentation: Annotated[ClipAugmentation, tyro.conf.Suppress] = field(
        default_factory=ClipAugmentation
    )
    """Random changes to pictures; `emotrace.training.clip_augmentation.AUGMENTATIONS` has sets."""
    losses: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    stopping: StoppingSettings = field(default_factory=StoppingSettings)
    start: StartSettings = field(default_factory=StartSettings)
    machine: MachineSettings = field(default_factory=MachineSettings)
    epochs: int = 30
    batch_size: int = 32
    """Examples in a batch of all devices together."""
    accumulation: int = 1
    """Batches whose gradients are added up for one step of the optimiser."""
    seed: int = 0
    """Of fresh weights, order, augmentation and dropout."""

    def __post_init__(self) -> None:
        """Refuse values that cannot train.

        Raises:
            UsageError: Naming the field, what was expected and what was got.
        """
        for name in ("epochs", "batch_size", "accumulation"):
            if getattr(self, name) < 1:
                raise UsageError(f"expected {name} of 1 or more; got {getattr(self, name)}")
        if self.seed < 0:
            raise UsageError(f"expected a seed of 0 or more; got {self.seed}")

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        plain: dict[str, Any] = to_plain(self)
        return plain


def recipe_from_json(record: dict[str, Any], options: type[Any]) -> ZooRecipe:
    """Rebuild a recipe.

    Args:
        record: What `ZooRecipe.to_json` gave.
        options: The kind of the architecture's options.

    Raises:
        TrainingError: It is of another version.
    """
    plain = dict(record)
    made = from_plain(options, plain.pop("options", {}), where="recipe.options")
    # Rebuilt without its options first: their type is the row's to know.
    recipe: ZooRecipe = from_plain(ZooRecipe, {**plain, "options": None})
    return replace(recipe, options=made)
