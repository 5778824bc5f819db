"""How rangulov2020's networks are trained, at each scale.

Source: section IV (networks, preprocessing) and section V (training). SGD with momentum 0.9, a
constant rate of 0.01 and weight decay 1e-5; batches of 64 for the CNN and 128 for the recurrent
networks; 100 epochs with early stopping, whose patience the paper does not give.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from emotrace.models.zoo import find_architecture
from emotrace.papers.plan import UNPLACED, place
from emotrace.training.clip_augmentation import AUGMENTATIONS
from emotrace.training.sampling import SamplingSettings
from emotrace.training.stretches import ExampleWindows
from emotrace.training.targets import TargetSettings
from emotrace.training.zoo.recipe import (
    LossSettings,
    OptimiserSettings,
    StoppingSettings,
    ZooRecipe,
)

if TYPE_CHECKING:
    from emotrace.papers.plan import ScaleName

CNN: Final = "rangulov2020-cnn"
CLASSES: Final = (
    "neutral",
    "anger",
    "contempt",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
)
"""In the order of Table II."""
OPTIMISER: Final = OptimiserSettings(
    optimiser="sgd",
    learning_rate=0.01,
    momentum=0.9,
    weight_decay=1e-5,
    schedule="constant",
)


@dataclass(frozen=True, kw_only=True)
class ScaleNumbers:
    """What differs from scale to scale."""

    face_px: int
    """Side of a crop."""
    filters: tuple[int, int, int]
    features: int
    """Values that a picture becomes."""
    quadrant_pooling: Literal["average", "max"]
    """The authors' code takes the mean. At a few filters the means of faces differ so little that
    thousands of steps teach nothing; the largest values do."""
    still_epochs: int
    frame_epochs: int
    recurrent_epochs: int
    still_patience: int
    """Epochs without a better one before training on CK+ stops; the paper does not say how many."""
    patience: int
    """The same on Aff-Wild2, whose epochs have a hundred times as many steps."""
    still_batch: int
    frame_batch: int
    frame_learning_rate: float
    """Of the CNN on Aff-Wild2. At the paper's, small networks run away under the CCC
    loss: their outputs grow from epoch to epoch."""
    recurrent_batch: int
    window: int
    """Frames of a sequence."""
    stride: int
    """Frames from one sequence to the next."""
    one_layer: tuple[int, ...]
    three_layers: tuple[int, ...]
    held_out_share: float
    """Of CK+'s people, to choose the epoch by, and as many again to measure on."""
    workers: int
    """Processes that find faces; 0: one for each core."""


NUMBERS: Final[dict[ScaleName, ScaleNumbers]] = {
    "smoke": ScaleNumbers(
        face_px=32,
        filters=(4, 8, 8),
        features=16,
        quadrant_pooling="max",
        still_epochs=3,
        frame_epochs=2,
        recurrent_epochs=2,
        still_patience=3,
        patience=2,
        still_batch=16,
        frame_batch=16,
        frame_learning_rate=0.002,
        recurrent_batch=32,
        window=8,
        stride=1,
        one_layer=(8,),
        three_layers=(8, 8, 4),
        held_out_share=0.25,
        workers=1,
    ),
    "small": ScaleNumbers(
        face_px=40,
        filters=(8, 16, 32),
        features=64,
        quadrant_pooling="max",
        still_epochs=40,
        frame_epochs=20,
        recurrent_epochs=20,
        still_patience=10,
        patience=6,
        still_batch=16,
        frame_batch=32,
        frame_learning_rate=0.002,
        recurrent_batch=64,
        window=25,
        stride=1,
        one_layer=(32,),
        three_layers=(32, 32, 16),
        held_out_share=0.2,
        workers=1,
    ),
    "full": ScaleNumbers(
        face_px=96,
        filters=(64, 128, 256),
        features=300,
        quadrant_pooling="average",
        still_epochs=100,
        frame_epochs=100,
        recurrent_epochs=100,
        still_patience=30,
        patience=10,
        still_batch=64,
        frame_batch=64,
        frame_learning_rate=0.01,
        recurrent_batch=128,
        window=100,
        stride=1,
        one_layer=(100,),
        three_layers=(100, 100, 50),
        held_out_share=0.1,
        workers=0,
    ),
}


def still_recipe(scale: ScaleName) -> ZooRecipe:
    """Return how the CNN learns CK+'s eight expressions: no augmentation, people held out."""
    numbers = NUMBERS[scale]
    recipe = ZooRecipe(
        architecture=CNN,
        options=_cnn_options(numbers, head="expression", classes=len(CLASSES)),
        data=UNPLACED,
        targets=TargetSettings(class_names=CLASSES),
        optimiser=OPTIMISER,
        stopping=StoppingSettings(patience=numbers.still_patience),
        epochs=numbers.still_epochs,
        batch_size=numbers.still_batch,
    )
    share = numbers.held_out_share
    return place(
        recipe, UNPLACED.data, protocol="holdout", validation_share=share, test_share=share
    )


def frame_recipe(
    scale: ScaleName,
    *,
    head: str = "valence_arousal",
    losses: LossSettings | None = None,
    sampling: SamplingSettings | None = None,
) -> ZooRecipe:
    """Return how the CNN learns Aff-Wild2's frames, one by one."""
    numbers = NUMBERS[scale]
    return ZooRecipe(
        architecture=CNN,
        options=_cnn_options(numbers, head=head),
        data=UNPLACED,
        augmentation=AUGMENTATIONS["rangulov2020"],
        losses=losses or LossSettings(),
        sampling=sampling or SamplingSettings(),
        optimiser=replace(OPTIMISER, learning_rate=numbers.frame_learning_rate),
        stopping=StoppingSettings(patience=numbers.patience),
        epochs=numbers.frame_epochs,
        batch_size=numbers.frame_batch,
    )


def recurrent_recipe(scale: ScaleName, architecture: str) -> ZooRecipe:
    """Return how a recurrent network learns windows of the CNN's features.

    A window ends at frame t and is taught frame t + 1 (Fig. 5); a frame without a label is a gap
    (section IV-B).
    """
    numbers = NUMBERS[scale]
    row = find_architecture(architecture)
    widths = numbers.three_layers if architecture.endswith("gru3") else numbers.one_layer
    return ZooRecipe(
        architecture=architecture,
        options=row.options(features=numbers.features, widths=widths),
        data=UNPLACED,
        windows=ExampleWindows(
            steps=numbers.window,
            stride=numbers.stride,
            target_offset=1,
            step_targets="last",
            labelled_inputs=True,
        ),
        optimiser=OPTIMISER,
        stopping=StoppingSettings(patience=numbers.patience),
        epochs=numbers.recurrent_epochs,
        batch_size=numbers.recurrent_batch,
    )


def _cnn_options(numbers: ScaleNumbers, **more: Any) -> Any:
    return find_architecture(CNN).options(
        input_size_px=numbers.face_px,
        filters=numbers.filters,
        dense_width=numbers.features,
        quadrant_pooling=numbers.quadrant_pooling,
        **more,
    )
