"""Which networks the benchmark on time trains, on how much data, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from dynamics_clips import EXPRESSIONS_SHOWN, ORDERS, Pictures
from emotrace.models.zoo import find_architecture
from emotrace.synth import ACTION_UNITS
from emotrace.training.clip_augmentation import ClipAugmentation
from emotrace.training.stretches import ExampleWindows
from emotrace.training.targets import LabelSource, TargetSettings
from emotrace.training.zoo.recipe import (
    DataSettings,
    MachineSettings,
    OptimiserSettings,
    StartSettings,
    ZooRecipe,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


CLASSES: Final = len(ORDERS)
FEATURES: Final = 64
TRUNK: Final = {
    "input_size_px": 40,
    "stem_width": 8,
    "widths": (16, 32, FEATURES),
    "blocks": (1, 1, 1),
}
"""The compact trunk, narrow enough for one core."""
MIRRORED: Final = ClipAugmentation(
    flip_probability=0.5, brightness=(0.8, 1.25), contrast=(0.8, 1.25)
)
OVER_TIME: Final = {"width": 64, "features": FEATURES}


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A network of a task, and how it is trained."""

    name: str
    architecture: str
    options: Mapping[str, Any]
    epochs: int
    sees_time: bool
    labels: LabelSource = "condition"
    learns_from: Literal["clips", "stills"] = "clips"
    reads: str = ""
    """The contender whose features it is trained on; empty: pictures."""
    starts_from: str = ""
    """The contender whose extractor it begins with; empty: fresh weights."""
    augmentation: ClipAugmentation = field(default_factory=ClipAugmentation)
    windows: ExampleWindows = field(default_factory=ExampleWindows)
    batch_size: int = 64
    learning_rate: float = 2e-3
    is_measured: bool = True
    """False: it only makes features for others."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Networks that are trained on the same clips."""

    name: str
    baseline: str
    """The contender that the others' differences are taken from."""
    control: str
    """One that has all that the others have but time; their differences are taken from it too."""
    contenders: tuple[Contender, ...]
    """In the order of training: what makes features comes before what reads them."""


@dataclass(frozen=True, kw_only=True)
class People:
    """Who is drawn for a task, and how."""

    clips: tuple[int, int, int]
    """Subjects to learn from, to choose by, to measure on."""
    stills: tuple[int, int, int]
    """Other people, for networks that make features; nobody is measured on."""
    clip_pictures: Pictures
    still_pictures: Pictures


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is drawn and learned."""

    orders: People
    affect: People
    epoch_share: float = 1.0
    """Of every contender's epochs."""
    seeds: tuple[int, ...] = (0,)


_ORDER_PICTURES: Final = {
    "clip_pictures": Pictures(noise=4.0),
    "still_pictures": Pictures(noise=4.0, frames=8, frame_rate=4.0, population=1),
}
_AFFECT_PICTURES: Final = {
    "clip_pictures": Pictures(size_px=48, noise=4.0, frames=40, frame_rate=5.0, population=2),
    "still_pictures": Pictures(size_px=48, noise=4.0, frames=8, frame_rate=1.0, population=3),
}
SCALES: Final = {
    "quick": Scale(
        orders=People(clips=(50, 6, 20), stills=(200, 20, 0), **_ORDER_PICTURES),
        affect=People(clips=(150, 15, 20), stills=(300, 30, 0), **_AFFECT_PICTURES),
    ),
    "full": Scale(
        orders=People(clips=(100, 55, 40), stills=(400, 30, 0), **_ORDER_PICTURES),
        affect=People(clips=(600, 40, 60), stills=(2000, 60, 0), **_AFFECT_PICTURES),
        seeds=(0, 1, 2),
    ),
}

_WHOLE_CLIP: Final = ExampleWindows(steps=16, stride=16)
_PIECES: Final = ExampleWindows(steps=40, stride=40)


def _on_vectors(name: str, kind: str, **options: Any) -> Contender:
    return Contender(
        name=name,
        architecture=f"vectors-{kind}",
        options={"classes": CLASSES, **OVER_TIME, **options},
        epochs=30,
        sees_time=options.get("kernel") != 1,
        reads="expression-cnn",
        windows=_WHOLE_CLIP,
        batch_size=16,
    )


_ORDERS: Final = (
    Contender(
        name="frame-cnn",
        architecture="compact",
        augmentation=MIRRORED,
        options={**TRUNK, "classes": CLASSES},
        epochs=3,
        sees_time=False,
    ),
    Contender(
        name="expression-cnn",
        architecture="compact",
        augmentation=MIRRORED,
        options={**TRUNK, "classes": 1 + len(EXPRESSIONS_SHOWN)},
        epochs=10,
        sees_time=False,
        labels="emotion",
        learns_from="stills",
        is_measured=False,
    ),
    # A convolution of one step: all that the others have, but no past.
    _on_vectors("vectors-one-step", "tcn", kernel=1),
    _on_vectors("vectors-gru", "gru"),
    _on_vectors("vectors-tcn", "tcn"),
    _on_vectors("vectors-transformer", "transformer"),
    Contender(
        name="compact-gru",
        architecture="compact-gru",
        augmentation=MIRRORED,
        options={**TRUNK, "classes": CLASSES, "width": 64},
        epochs=24,
        sees_time=True,
        starts_from="expression-cnn",
        windows=_WHOLE_CLIP,
        batch_size=8,
    ),
)


def _affect_on_vectors(name: str, kind: str, **options: Any) -> Contender:
    return Contender(
        name=name,
        architecture=f"vectors-{kind}",
        options={"heads": ("valence_arousal",), **OVER_TIME, **options},
        epochs=30,
        sees_time=options.get("kernel") != 1,
        labels="emotion",
        reads="frame-cnn",
        windows=_PIECES,
        batch_size=16,
    )


_AFFECT: Final = (
    Contender(
        name="frame-cnn",
        architecture="compact",
        augmentation=MIRRORED,
        options={
            **TRUNK,
            "input_size_px": 48,
            "heads": ("valence_arousal", "action_units"),
            "action_units": len(ACTION_UNITS),
        },
        epochs=12,
        sees_time=False,
        labels="emotion",
        learns_from="stills",
    ),
    _affect_on_vectors("vectors-one-step", "tcn", kernel=1),
    _affect_on_vectors("vectors-gru", "gru"),
)

TASKS: Final = tuple(
    Task(name=name, baseline="frame-cnn", control="vectors-one-step", contenders=contenders)
    for name, contenders in (("orders", _ORDERS), ("affect", _AFFECT))
)


def recipe_for(contender: Contender, data: Path, scale: Scale, seed: int, runs: Path) -> ZooRecipe:
    """Build a contender's recipe; `runs` holds those of the seed that came before."""
    return ZooRecipe(
        architecture=contender.architecture,
        options=find_architecture(contender.architecture).options(**contender.options),
        data=DataSettings(data=data, protocol="official"),
        targets=TargetSettings(labels=contender.labels),
        windows=contender.windows,
        augmentation=contender.augmentation,
        optimiser=OptimiserSettings(
            learning_rate=contender.learning_rate, warmup_share=0.1, gradient_clip_norm=1.0
        ),
        start=StartSettings(
            initialise_from=runs / contender.starts_from if contender.starts_from else None
        ),
        machine=MachineSettings(accelerator="cpu", threads=1),
        epochs=max(1, round(contender.epochs * scale.epoch_share)),
        batch_size=contender.batch_size,
        seed=seed,
    )
