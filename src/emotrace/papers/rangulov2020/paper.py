"""rangulov2020's experiments: expressions of CK+ and JAFFE, valence and arousal of Aff-Wild2.

Source: D. Rangulov and M. Fahim, "Emotion Recognition on large video dataset based on Convolutional
Feature Extractor and Recurrent Neural Network" (2020), sections IV to VI. Recipes are in
`emotrace.papers.rangulov2020.recipes`, counts and comparisons in
`emotrace.papers.rangulov2020.measures`, the page in `emotrace.papers.rangulov2020.report`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emotrace.datasets.cropping import CropSettings
from emotrace.datasets.prepare import PrepareSettings
from emotrace.faces import CropGeometry
from emotrace.papers.plan import (
    Computation,
    Paper,
    PaperDataset,
    Preparation,
    Scoring,
    Training,
    Vectors,
)
from emotrace.papers.rangulov2020 import measures
from emotrace.papers.rangulov2020.recipes import (
    NUMBERS,
    frame_recipe,
    recurrent_recipe,
    still_recipe,
)
from emotrace.papers.rangulov2020.report import write_report
from emotrace.synth.plans import SetSettings
from emotrace.training.sampling import SamplingSettings
from emotrace.training.zoo.recipe import LossSettings

if TYPE_CHECKING:
    from emotrace.papers.plan import ScaleName, Step
    from emotrace.training.zoo.recipe import ZooRecipe

VECTORS: Final = "affwild2-vectors"
_VALIDATION: Final = (Scoring(key="validation", side="validation"),)
"""The only side of Aff-Wild2 with labels that is not learned from."""


def plan(scale: ScaleName) -> tuple[Step, ...]:
    """Return everything that the paper did, at a scale."""
    return (*_preparations(scale), *_stills(scale), *_frames(scale), *_recurrent(scale))


def _preparations(scale: ScaleName) -> tuple[Step, ...]:
    return (
        Preparation(
            key=measures.CKPLUS_FACES,
            dataset="ckplus",
            settings=_crops(scale, "haar"),
            selections=("first-and-three-peak-frames",),
            otherwise=(("labelled",),),
        ),
        Preparation(key=measures.JAFFE_FACES, dataset="jaffe", settings=_crops(scale, "haar")),
        Preparation(
            key=measures.AFFWILD2_FACES,
            dataset="affwild2",
            settings=_crops(scale, "none"),
            options=(("task", "valence-arousal"), ("media", "crops")),
            manifest_detector="auto",
        ),
        Computation(
            key="counts/ckplus", of=(measures.CKPLUS_FACES,), compute=measures.count_ckplus
        ),
        Computation(key="counts/jaffe", of=(measures.JAFFE_FACES,), compute=measures.count_jaffe),
        Computation(key="subsets", of=(measures.AFFWILD2_FACES,), compute=measures.draw_subsets),
    )


def _crops(scale: ScaleName, detector: str) -> PrepareSettings:
    numbers = NUMBERS[scale]
    return PrepareSettings(
        cropping=CropSettings(
            crop=CropGeometry(size_px=numbers.face_px), color="grey", detector=detector
        ),
        workers=numbers.workers,
    )


def _stills(scale: ScaleName) -> tuple[Step, ...]:
    return (
        Training(key=measures.STILLS, data=measures.CKPLUS_FACES, recipe=still_recipe(scale)),
        Computation(key="counts/sides", of=(measures.STILLS,), compute=measures.count_sides),
        Computation(
            key="stills/jaffe",
            of=(measures.STILLS, measures.JAFFE_FACES, "counts/sides"),
            compute=measures.measure_on_jaffe,
        ),
    )


def _frames(scale: ScaleName) -> tuple[Step, ...]:
    return (
        _frame_training(measures.WHOLE, frame_recipe(scale)),
        _frame_training(
            measures.WHOLE_MSE, frame_recipe(scale, losses=LossSettings(continuous_loss="mse"))
        ),
        _frame_training(measures.VALENCE, frame_recipe(scale, head="valence")),
        _frame_training(measures.AROUSAL, frame_recipe(scale, head="arousal")),
        _frame_training(
            measures.SUBSET, frame_recipe(scale, sampling=SamplingSettings(density="midpoint"))
        ),
        Computation(key="measures/frames", of=measures.FRAME_RUNS, compute=measures.measure_frames),
    )


def _frame_training(key: str, recipe: ZooRecipe) -> Training:
    return Training(key=key, data=measures.AFFWILD2_FACES, recipe=recipe, scores=_VALIDATION)


def _recurrent(scale: ScaleName) -> tuple[Step, ...]:
    trainings = tuple(
        Training(
            key=key,
            data=VECTORS,
            recipe=recurrent_recipe(scale, architecture),
            scores=_VALIDATION,
        )
        for key, architecture in (
            (measures.SIMPLE, "rangulov2020-rnn"),
            (measures.GRU1, "rangulov2020-gru1"),
            (measures.GRU3, "rangulov2020-gru3"),
        )
    )
    return (
        Vectors(key=VECTORS, run=measures.SUBSET, data=measures.AFFWILD2_FACES),
        *trainings,
        Computation(
            key="measures/recurrent",
            of=measures.RECURRENT_RUNS,
            compute=measures.measure_recurrent,
        ),
    )


RANGULOV2020: Final = Paper(
    name="rangulov2020",
    title=(
        "Emotion recognition on large video dataset based on convolutional feature extractor and "
        "recurrent neural network"
    ),
    citation="Denis Rangulov and Muhammad Fahim (2020), Innopolis University",
    datasets=(
        PaperDataset(
            name="ckplus",
            role="expressions of stills: learned from and measured on",
            synthetic={
                "smoke": (SetSettings(clips=64, subjects=8, seconds=0.24, width=160, height=160),),
                "small": (SetSettings(clips=240, subjects=30, seconds=0.4, width=160, height=160),),
            },
        ),
        PaperDataset(
            name="jaffe",
            role="expressions of stills: measured on only",
            # With a seed of its own: else its people would be those of CK+.
            synthetic={
                "smoke": (SetSettings(clips=28, subjects=4, width=160, height=160, seed=1),),
                "small": (SetSettings(clips=70, subjects=10, width=160, height=160, seed=1),),
            },
        ),
        PaperDataset(
            name="affwild2",
            role="valence and arousal of video frames",
            synthetic={
                "smoke": (
                    SetSettings(
                        clips=10, subjects=10, seconds=12.0, frame_rate=5.0, width=128, height=128
                    ),
                ),
                "small": (
                    SetSettings(
                        clips=40, subjects=40, seconds=15.0, frame_rate=8.0, width=128, height=128
                    ),
                ),
            },
        ),
    ),
    plan=plan,
    report=write_report,
    scales={
        "smoke": (
            "faces of 32 px, networks of a few filters, 2 or 3 epochs, sequences of 8 frames: it "
            "shows that all of it runs, and its numbers mean nothing"
        ),
        "small": (
            "faces of 40 px, an eighth of the paper's filters and a third of its recurrent units, "
            "the maximum instead of the mean of each quadrant, up to 40 epochs on CK+, 20 on "
            "Aff-Wild2 (the CNN at a fifth of the paper's rate), sequences of 25 frames"
        ),
        "full": "the paper's settings: faces of 96 px, 100 epochs, sequences of 100 frames",
    },
)
