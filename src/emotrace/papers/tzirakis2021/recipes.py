"""tzirakis2021's trainings: the network, how it is pre-trained and fine-tuned, at each scale.

Source: sections 3 to 5. Where the text says nothing (the LSTM's width, how long it was pre-trained,
how often a window is repeated), the values are those of the table of departures on the page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from emotrace.datasets.cropping import CropSettings
from emotrace.datasets.prepare import PrepareSettings
from emotrace.faces import CropGeometry
from emotrace.labels import EMOTIONS
from emotrace.models.zoo import find_architecture
from emotrace.papers.plan import UNPLACED
from emotrace.training.clip_augmentation import AUGMENTATIONS
from emotrace.training.sampling import SamplingSettings
from emotrace.training.stretches import ExampleWindows
from emotrace.training.targets import TargetSettings
from emotrace.training.zoo.recipe import (
    LossSettings,
    OptimiserSettings,
    StartSettings,
    StoppingSettings,
    ZooRecipe,
)

if TYPE_CHECKING:
    from emotrace.models.multi_task import Task
    from emotrace.papers.plan import ScaleName
    from emotrace.training.zoo.recipe import DataSettings

REALEYES: Final = "faces/realeyes"
RECOLA: Final = "faces/recola"
AFFWILD2: Final = "faces/affwild2"
COUNTS: Final = "counts/realeyes"
RESAMPLED: Final = "counts/resampled"
IMAGENET: Final = "imagenet"
PRETRAINED: Final = "pretraining/realeyes"
OTHER_MODEL: Final = "pretraining/affwild2"

STARTS: Final[dict[str, str]] = {
    "random": "",
    "imagenet": IMAGENET,
    "affwild2": OTHER_MODEL,
    "ours": PRETRAINED,
}
"""Table 5's rows, and the step whose weights each begins with."""
OURS: Final = "ours"

EXTRACTOR_ONLY: Final = StartSettings(
    initialise_part="network.extractor", initialise_into="extractor"
)
"""Table 5 compares starts of the ResNet-50: the LSTM always begins afresh."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What a scale makes smaller; the defaults are the paper's."""

    backbone: str = "resnet50"
    face_px: int = 150
    width: int = 256
    steps: int = 150
    """Frames of a sequence, and of a window that is repeated."""
    batch_size: int = 2
    """Sequences; where they are short, more of them make a batch's statistics as sure."""
    epochs: int = 300
    patience: int = 20
    pretraining_epochs: int = 300
    pretraining_patience: int = 20
    learning_rate: float = 4e-5
    repeats: int = 3
    """Runs of each start: one alone says nothing of how sure a number of epochs is."""
    detector: str = "auto"
    workers: int = 0


SIZES: Final[dict[ScaleName, Scale]] = {
    "smoke": Scale(
        backbone="test_resnet",
        face_px=32,
        width=16,
        steps=10,
        epochs=2,
        patience=2,
        pretraining_epochs=2,
        pretraining_patience=0,
        learning_rate=1e-3,
        repeats=1,
        detector="haar",
        workers=1,
    ),
    "small": Scale(
        backbone="test_resnet",
        face_px=48,
        width=64,
        steps=12,
        batch_size=8,
        epochs=12,
        patience=5,
        pretraining_epochs=8,
        pretraining_patience=0,
        learning_rate=1e-3,
        detector="haar",
        workers=1,
    ),
    "full": Scale(),
}


def run_keys(start: str, size: Scale) -> tuple[str, ...]:
    """Return the keys of all runs of a start; the first is the one that tables show.

    >>> run_keys("ours", Scale(repeats=2))
    ('recola/ours', 'recola/ours-2')
    """
    more = (f"recola/{start}-{number}" for number in range(2, size.repeats + 1))
    return (f"recola/{start}", *more)


def crops(size: Scale, *, detector: str) -> PrepareSettings:
    """Return how faces are found and cut out (section 4.2)."""
    cropping = CropSettings(crop=CropGeometry(size_px=size.face_px), color="rgb", detector=detector)
    return PrepareSettings(cropping=cropping, workers=size.workers)


def pretraining(size: Scale) -> ZooRecipe:
    """Return how the network learns emotions of which several may hold (sections 4.2 to 4.4)."""
    holdout = replace(UNPLACED, protocol="holdout", validation_share=0.2)
    recipe = _recipe(size, head="emotions", data=holdout)
    return replace(
        recipe,
        targets=TargetSettings(class_names=EMOTIONS),
        sampling=SamplingSettings(sampling="oversample", oversampling_window=size.steps),
        augmentation=AUGMENTATIONS["tzirakis2021"],
        losses=LossSettings(sample_weighting="reciprocal"),
        stopping=StoppingSettings(patience=size.pretraining_patience),
        epochs=size.pretraining_epochs,
    )


def other_model(size: Scale) -> ZooRecipe:
    """Return how the network that stands in for AffWildNet learns valence and arousal."""
    recipe = _recipe(size, head="valence_arousal", data=UNPLACED)
    stopping = StoppingSettings(patience=size.pretraining_patience)
    return replace(recipe, stopping=stopping, epochs=size.pretraining_epochs)


def fine_tuning(size: Scale, *, start: str, number: int) -> ZooRecipe:
    """Return how a start learns RECOLA (section 5.2).

    Args:
        size: The scale.
        start: One of `STARTS`.
        number: Of the run, from 0; each has fresh weights and an order of its own.
    """
    # The official parts where the test part is labelled; else held-out people.
    data = replace(UNPLACED, validation_share=0.2, test_share=0.2)
    recipe = _recipe(size, head="valence_arousal", data=data)
    from_run = STARTS[start] in (OTHER_MODEL, PRETRAINED)
    return replace(recipe, start=EXTRACTOR_ONLY if from_run else StartSettings(), seed=number)


def _recipe(size: Scale, *, head: Task, data: DataSettings) -> ZooRecipe:
    row = find_architecture("tzirakis2021")
    return ZooRecipe(
        architecture=row.name,
        options=row.options(
            heads=(head,),
            classes=len(EMOTIONS),
            backbone=size.backbone,
            input_size_px=size.face_px,
            width=size.width,
        ),
        data=data,
        windows=ExampleWindows(steps=size.steps, stride=size.steps, keep_short=True),
        optimiser=OptimiserSettings(
            optimiser="adam",
            learning_rate=size.learning_rate,
            weight_decay=0.0,
            schedule="constant",
        ),
        stopping=StoppingSettings(patience=size.patience),
        epochs=size.epochs,
        batch_size=size.batch_size,
    )
