"""Salinas Ventalló (2018): six ways to see a sequence of faces, on CK+ and Oulu-CASIA.

Source: "Spatio-Temporal Emotion Recognition", called salinas2018: sections V to VII, Tables I to
VIII. Each network learns one example of every sequence, its end; the held-out person is measured on
as the text says: every frame (Single Frame), every block of five (3D Convolution), the end alone
(the others), and for Late Fusion also every pair of frames, the vote that section VII proposes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from emotrace.datasets.cropping import CropSettings
from emotrace.datasets.prepare import PrepareSettings
from emotrace.faces import CropGeometry
from emotrace.models.zoo import find_architecture
from emotrace.papers.plan import (
    UNPLACED,
    Computation,
    CrossValidation,
    Paper,
    PaperDataset,
    Preparation,
    Scoring,
    Source,
    Training,
)
from emotrace.papers.salinas2018.numbers import (
    ALL_FACES,
    BLOCKS,
    CLASSES,
    FINAL,
    NETWORKS,
    PARAMETERS,
    WHOLE_FRAMES,
    faces_key,
    run_key,
)
from emotrace.papers.salinas2018.report import write_report
from emotrace.papers.salinas2018.sizes import count_parameters
from emotrace.synth.plans import SetSettings
from emotrace.training.stretches import ExampleWindows
from emotrace.training.targets import TargetSettings
from emotrace.training.zoo.recipe import DataSettings, OptimiserSettings, ZooRecipe

if TYPE_CHECKING:
    from emotrace.papers.plan import ScaleName, Step

_LATE_FUSION_SPACING: Final = 14
"""From the fifteenth frame counted from the end to the last one."""
_CHOSEN: Final = ("labelled", "no-contempt")
_LONG: Final = "at-least-15-frames"
_WHEN_NOTHING_IS_LEFT: Final = (_CHOSEN, ("no-contempt",))
"""Sequences of three pictures, videos, labels for frames alone: what can be learned still is."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What a scale makes smaller."""

    input_size_px: int
    filters: tuple[int, int, int, int, int]
    dense_width: int
    norm_momentum: float
    """Of the batch norms: Keras's needs some 1,000 steps of training."""
    epochs: int
    batch_size: int
    learning_rate: float
    folds: int
    """People who are held out in turn; 0 for everybody."""
    detector: str
    search_every: int
    workers: int
    subjects: int
    """People drawn for each data set."""
    dim_subjects: int
    """Of Oulu-CASIA's, those who are drawn in weak and dark light too."""
    frames: int
    """Pictures of a drawn sequence; those after the peak are left out."""
    width: int
    height: int
    """Of a drawn picture."""


FULL: Final = Scale(
    input_size_px=170,
    filters=(96, 256, 384, 384, 256),
    dense_width=4096,
    norm_momentum=0.01,
    epochs=200,
    batch_size=32,
    learning_rate=1e-5,
    folds=0,
    detector="lbp",
    search_every=1,
    workers=0,
    subjects=10,
    dim_subjects=4,
    frames=22,
    width=320,
    height=240,
)
"""The paper's; the last five are of drawn data only."""
SMALL: Final = replace(
    FULL,
    input_size_px=128,
    filters=(8, 16, 24, 24, 16),
    dense_width=64,
    norm_momentum=0.1,
    epochs=20,
    batch_size=4,
    learning_rate=1e-3,
    folds=5,
    search_every=5,
    workers=1,
    subjects=8,
    dim_subjects=2,
    width=160,
    height=120,
)
SMOKE: Final = replace(
    SMALL,
    filters=(4, 8, 8, 8, 8),
    dense_width=16,
    epochs=2,
    batch_size=8,
    folds=2,
    detector="haar",
    subjects=3,
    dim_subjects=1,
    frames=20,
)
SCALES: Final[dict[ScaleName, Scale]] = {"smoke": SMOKE, "small": SMALL, "full": FULL}


def plan(scale: ScaleName) -> tuple[Step, ...]:
    """Return the steps."""
    size = SCALES[scale]
    return (
        Computation(key=PARAMETERS, of=(), compute=count_parameters),
        *_preparations(size),
        *(_folds(network, name, size) for name in BLOCKS for network in NETWORKS),
        CrossValidation(
            key=f"{WHOLE_FRAMES}/ckplus",
            data=f"{WHOLE_FRAMES}/ckplus-pictures",
            recipe=recipe("single-frame", size),
            folds=size.folds,
            scores=_scores("single-frame"),
            weights="last",
        ),
        Training(
            key=FINAL,
            data=ALL_FACES,
            recipe=recipe("late-fusion", size),
            scores=_scores("late-fusion"),
            weights="last",
        ),
    )


def _preparations(size: Scale) -> tuple[Preparation, ...]:
    faces = PrepareSettings(
        cropping=CropSettings(
            crop=CropGeometry(size_px=size.input_size_px),
            color="rgb",
            detector=size.detector,
            search_every=size.search_every,
        ),
        workers=size.workers,
        missing_faces="drop_clip",
    )
    pictures = replace(faces, cropping=replace(faces.cropping, detector="none"))
    of_ckplus: dict[str, Any] = {
        "dataset": "ckplus",
        "selections": (*_CHOSEN, _LONG),
        "otherwise": _WHEN_NOTHING_IS_LEFT,
    }
    of_oulu: dict[str, Any] = {
        "dataset": "oulu-casia",
        # Only Oulu-CASIA has such lights: a manifest in its place is taken as it is.
        "otherwise": ((*_CHOSEN, _LONG), *_WHEN_NOTHING_IS_LEFT),
    }
    return (
        Preparation(key=faces_key("ckplus"), settings=faces, **of_ckplus),
        Preparation(
            key=faces_key("oulu-casia"),
            settings=faces,
            selections=(*_CHOSEN, "strong-light", _LONG),
            **of_oulu,
        ),
        Preparation(key=f"{WHOLE_FRAMES}/ckplus-pictures", settings=pictures, **of_ckplus),
        Preparation(
            key=ALL_FACES,
            settings=faces,
            **of_ckplus,
            joined=(Source(selections=(*_CHOSEN, "visible-light", _LONG), **of_oulu),),
        ),
    )


def _folds(network: str, dataset: str, size: Scale) -> CrossValidation:
    return CrossValidation(
        key=run_key(network, dataset),
        data=faces_key(dataset),
        recipe=recipe(network, size),
        folds=size.folds,
        scores=_scores(network),
        weights="last",
    )


_WINDOWS: Final[dict[str, ExampleWindows]] = {
    "single-frame": ExampleWindows(ends_only="train", detected_only=True),
    "early-fusion": ExampleWindows(ends_only="always", detected_only=True),
    "late-fusion": ExampleWindows(
        spacing=_LATE_FUSION_SPACING, ends_only="train", detected_only=True
    ),
    "slow-fusion": ExampleWindows(ends_only="always", detected_only=True),
    "conv3d": ExampleWindows(ends_only="train", detected_only=True),
    "recurrent": ExampleWindows(
        steps=5, step_targets="last", ends_only="always", detected_only=True
    ),
}
"""Training sees the end of each sequence; so does measuring, unless the network votes."""


def _scores(network: str) -> tuple[Scoring, ...]:
    if network in ("single-frame", "conv3d"):
        return (Scoring(key="test", keeps_decisions=True),)
    end = Scoring(key="test", rows="last", keeps_decisions=True)
    if network == "late-fusion":
        return (end, Scoring(key="pairs", keeps_decisions=True))
    return (end,)


def recipe(network: str, size: Scale) -> ZooRecipe:
    """Return how a network is trained: all alike, as section VI-A has it.

    The side that is looked at after each epoch is the held-out person, for the curves; nothing is
    chosen by it, as the weights of the last epoch are measured.
    """
    row = find_architecture(f"salinas2018-{network}")
    own = {} if network == "recurrent" else {"dense_width": size.dense_width}
    return ZooRecipe(
        architecture=row.name,
        options=row.options(
            classes=len(CLASSES),
            input_size_px=size.input_size_px,
            filters=size.filters,
            norm_momentum=size.norm_momentum,
            **own,
        ),
        data=DataSettings(data=UNPLACED.data, protocol="leave-one-subject-out", validate_on="test"),
        targets=TargetSettings(class_names=CLASSES, ignore_other_labels=True),
        windows=_WINDOWS[network],
        optimiser=OptimiserSettings(
            optimiser="adam",
            learning_rate=size.learning_rate,
            weight_decay=0.0,
            schedule="constant",
        ),
        epochs=size.epochs,
        batch_size=size.batch_size,
    )


def _drawn_ckplus(size: Scale) -> tuple[SetSettings, ...]:
    # Eight expressions each: neutral and contempt are there to be left out.
    return (_drawn(size, clips=8 * size.subjects, seed=0),)


def _drawn_oulu(size: Scale) -> tuple[SetSettings, ...]:
    # A second sequence of a person and an expression goes to the next light.
    return (
        _drawn(size, clips=6 * size.subjects, seed=1, light="strong"),
        _drawn(size, clips=6 * size.dim_subjects, seed=1, light="weak"),
        _drawn(size, clips=6 * size.dim_subjects, seed=1, light="dark"),
    )


def _drawn(size: Scale, **more: Any) -> SetSettings:
    rate = 25.0
    return SetSettings(
        seconds=size.frames / rate,
        frame_rate=rate,
        width=size.width,
        height=size.height,
        **more,
    )


SALINAS2018: Final = Paper(
    name="salinas2018",
    title="Spatio-Temporal Emotion Recognition",
    citation="X. Salinas Ventalló, master's thesis report, 2018",
    datasets=(
        PaperDataset(
            name="ckplus",
            role="comparing the networks; part of the final model's data",
            synthetic={scale: _drawn_ckplus(size) for scale, size in SCALES.items()},
        ),
        PaperDataset(
            name="oulu-casia",
            role="comparing the networks (strong light); the final model (all lights)",
            synthetic={scale: _drawn_oulu(size) for scale, size in SCALES.items()},
        ),
    ),
    plan=plan,
    report=write_report,
    scales={
        "smoke": "two people held out, two epochs, pictures of 128 x 128, tiny networks, faces "
        "found by the Haar cascade: it shows that all of it runs, no more",
        "small": "five people held out, 20 epochs at 1e-3 in batches of 4, pictures of 128 x 128, "
        "networks of 20,000 to 50,000 parameters whose batch norms settle ten times as fast",
        "full": "the paper's settings: everybody held out in turn, 200 epochs at 1e-5 in batches "
        "of 32, pictures of 170 x 170, networks of 4 to 29 million parameters",
    },
)
