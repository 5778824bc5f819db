"""Abdullah, Ahmad and Han (2020): Xception on FER2013, an LSTM over its features on RAVDESS.

Source: "Facial Expression Recognition in Videos: An CNN-LSTM based Model for Video Classification",
called abdullah2020: sections III to V, Figs. 3 and 4. The random 80:10:10 split of the clips shares
every actor between its sides; the five usual folds of held-out actors stand beside it.

Where the text says nothing (optimiser, rate, batch, the LSTM's width, dropout), the values here are
ours; the page lists them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from emotrace.datasets.cropping import CropSettings
from emotrace.datasets.prepare import PrepareSettings
from emotrace.datasets.protocols import PAPER_SHARES
from emotrace.faces import CropGeometry
from emotrace.models.zoo import find_architecture
from emotrace.papers.abdullah2020.keys import (
    ANSWERS_ACTORS,
    ANSWERS_RANDOM,
    FACES,
    FEATURES,
    LEAK,
    LSTM_ACTORS,
    LSTM_RANDOM,
    SINGLE_ACTORS,
    SINGLE_RANDOM,
    STILLS,
    TIME_ACTORS,
    TIME_RANDOM,
    XCEPTION,
)
from emotrace.papers.abdullah2020.report import write_report
from emotrace.papers.abdullah2020.scales import DATASETS, FER2013, RAVDESS, SAYS, SCALES, Scale
from emotrace.papers.answers import answer_videos, compare_answers, predict_folds, predict_run
from emotrace.papers.plan import (
    UNPLACED,
    Computation,
    CrossValidation,
    Paper,
    Preparation,
    Scoring,
    Training,
    Vectors,
)
from emotrace.training.clip_augmentation import AUGMENTATIONS
from emotrace.training.stretches import ExampleWindows
from emotrace.training.targets import TargetSettings
from emotrace.training.zoo.evaluation import score_predictions
from emotrace.training.zoo.recipe import (
    DataSettings,
    LossSettings,
    OptimiserSettings,
    StoppingSettings,
    ZooRecipe,
)

if TYPE_CHECKING:
    from emotrace.papers.plan import ScaleName, Step
    from emotrace.papers.workshop import Workshop
    from emotrace.training.zoo.predictions import SetPredictions

CLASSES: Final = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
"""Of FER2013 and, with calm as neutral, of RAVDESS."""


def plan(scale: ScaleName) -> tuple[Step, ...]:
    """Return the steps at a scale."""
    size = SCALES[scale]
    draws = [_draw(size, number) for number in range(size.draws)]
    return (
        Preparation(
            key=STILLS,
            dataset=FER2013,
            settings=_crops(size, detector="none"),
            manifest_detector=size.detector,
        ),
        Training(
            key=XCEPTION,
            data=STILLS,
            recipe=_xception(size),
            scores=(Scoring(key="validation", side="validation"), Scoring(key="test")),
        ),
        Preparation(
            key=FACES,
            dataset=RAVDESS,
            settings=_crops(size, detector=size.detector),
            options=(("modality", "video-only"), ("channel", "both"), ("neutral", "calm")),
        ),
        Vectors(key=FEATURES, run=XCEPTION, data=FACES),
        *draws,
        CrossValidation(
            key=LSTM_ACTORS, data=FEATURES, recipe=_lstm(size, _ACTORS), otherwise="k-fold"
        ),
        Training(
            key=SINGLE_RANDOM,
            data=FEATURES,
            recipe=_single(size, _random(0)),
            scores=(Scoring(key="test", over="windows"),),
        ),
        CrossValidation(
            key=SINGLE_ACTORS,
            data=FEATURES,
            recipe=_single(size, _ACTORS),
            otherwise="k-fold",
            scores=(Scoring(key="test", over="windows"),),
        ),
        Computation(key=ANSWERS_RANDOM, of=tuple(one.key for one in draws), compute=answers_random),
        Computation(key=ANSWERS_ACTORS, of=(LSTM_ACTORS,), compute=answers_actors),
        Computation(key=LEAK, of=(*(one.key for one in draws), LSTM_ACTORS), compute=leak),
        Computation(key=TIME_RANDOM, of=(LSTM_RANDOM[0], SINGLE_RANDOM), compute=time_random),
        Computation(key=TIME_ACTORS, of=(LSTM_ACTORS, SINGLE_ACTORS), compute=time_actors),
    )


# --- recipes -------------------------------------------------------------------------------------

_ACTORS: Final = replace(UNPLACED, protocol="actor-folds")
_TARGETS: Final = TargetSettings(class_names=CLASSES, ignore_other_labels=True)
_STOPPING: Final = StoppingSettings(monitor="expression_accuracy")


def _random(number: int) -> DataSettings:
    """Return the paper's random division of the clips; the actors leak, and results say so."""
    _, validation, test = PAPER_SHARES
    return replace(
        UNPLACED,
        protocol="random",
        validation_share=validation,
        test_share=test,
        split_seed=number,
        leaks="allow",
    )


def _crops(size: Scale, *, detector: str) -> PrepareSettings:
    cropping = CropSettings(
        crop=CropGeometry(size_px=size.face_px), color="grey", detector=detector
    )
    return PrepareSettings(cropping=cropping, workers=size.workers)


def _xception(size: Scale) -> ZooRecipe:
    row = find_architecture("abdullah2020-xception")
    return ZooRecipe(
        architecture=row.name,
        options=row.options(
            heads=("expression",),
            classes=len(CLASSES),
            input_size_px=size.face_px,
            dense_width=size.dense_width,
            width_multiplier=size.xception_width,
        ),
        # The official parts where the data has any: public test to choose, private test to measure.
        data=replace(UNPLACED, validation_share=0.1, test_share=0.1, leaks="drop-pictures"),
        targets=_TARGETS,
        augmentation=AUGMENTATIONS[size.augmentation],
        losses=LossSettings(label_smoothing=0.1),
        optimiser=OptimiserSettings(
            optimiser="adamw",
            learning_rate=size.cnn_rate,
            weight_decay=0.05,
            schedule="one-cycle",
            gradient_clip_norm=1.0,
        ),
        stopping=_STOPPING,
        epochs=size.cnn_epochs,
        batch_size=size.cnn_batch,
    )


def _lstm(size: Scale, data: DataSettings) -> ZooRecipe:
    row = find_architecture("abdullah2020-lstm")
    return ZooRecipe(
        architecture=row.name,
        options=row.options(
            heads=("expression",),
            classes=len(CLASSES),
            features=size.dense_width,
            width=size.lstm_width,
        ),
        data=data,
        targets=_TARGETS,
        windows=ExampleWindows(steps=size.video_frames, keep_short=True),
        optimiser=OptimiserSettings(
            optimiser="adam", learning_rate=1e-3, weight_decay=0.0, schedule="constant"
        ),
        stopping=_STOPPING,
        epochs=size.lstm_epochs,
        batch_size=size.lstm_batch,
    )


def _single(size: Scale, data: DataSettings) -> ZooRecipe:
    """Return the same network on single frames: it has nothing to remember."""
    return replace(
        _lstm(size, data),
        windows=ExampleWindows(steps=1, keep_short=True),
        batch_size=size.single_batch,
    )


def _draw(size: Scale, number: int) -> Training:
    return Training(
        key=LSTM_RANDOM[number],
        data=FEATURES,
        recipe=_lstm(size, _random(number)),
        scores=(Scoring(key="validation", side="validation"), Scoring(key="test")),
    )


# --- computations --------------------------------------------------------------------------------


def answers_random(workshop: Workshop) -> dict[str, Any]:
    """Score the LSTM's answer for each video, under the paper's random split."""
    key = LSTM_RANDOM[0]
    sides = {side: predict_run(workshop, key, side=side) for side in ("validation", "test")}
    return _scored(sides)


def answers_actors(workshop: Workshop) -> dict[str, Any]:
    """Score the LSTM's answer for each video, its actor held out."""
    sides = {
        side: predict_folds(workshop, LSTM_ACTORS, side=side) for side in ("validation", "test")
    }
    return _scored(sides)


def leak(workshop: Workshop) -> dict[str, Any]:
    """Compare random splits with held-out actors, on the very same videos."""
    held_out = answer_videos(predict_folds(workshop, LSTM_ACTORS, side="test"), by="last_frame")
    draws = [
        answer_videos(predict_run(workshop, key, side="test"), by="last_frame")
        for key in LSTM_RANDOM
        if workshop.results.is_done(key)
    ]
    return compare_answers([(draw, held_out) for draw in draws])


def time_random(workshop: Workshop) -> dict[str, Any]:
    """Compare the sequence with single frames, under the paper's random split."""
    whole = predict_run(workshop, LSTM_RANDOM[0], side="test")
    single = predict_run(workshop, SINGLE_RANDOM, side="test", over="windows")
    return _time(whole, single)


def time_actors(workshop: Workshop) -> dict[str, Any]:
    """Compare the sequence with single frames, actors held out."""
    whole = predict_folds(workshop, LSTM_ACTORS, side="test")
    single = predict_folds(workshop, SINGLE_ACTORS, side="test", over="windows")
    return _time(whole, single)


def _time(whole: SetPredictions, single: SetPredictions) -> dict[str, Any]:
    first = answer_videos(whole, by="last_frame")
    return compare_answers([(first, answer_videos(single, by="summed_probabilities"))])


def _scored(sides: dict[str, SetPredictions]) -> dict[str, Any]:
    return {
        "scores": {
            side: score_predictions(answer_videos(found, by="last_frame"))
            for side, found in sides.items()
        }
    }


ABDULLAH2020: Final = Paper(
    name="abdullah2020",
    title="Facial expression recognition in videos: a CNN-LSTM for video classification",
    citation="M. Abdullah, M. Ahmad and D. Han (2020)",
    datasets=DATASETS,
    plan=plan,
    report=write_report,
    scales=SAYS,
)
"""The paper."""
