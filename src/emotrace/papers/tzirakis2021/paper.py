"""Tzirakis, Boros, Hajiyev and Schuller (2021): ResNet-50 + LSTM, pre-trained and fine-tuned.

Source: "Facial emotion recognition using deep residual networks in real-world environments",
called tzirakis2021: Tables 2 to 5. A network is pre-trained on frames of which annotators say the
emotion, windows of rare emotions repeated; RECOLA's valence and arousal are then learned from four
starts, and the predictions post-processed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emotrace.papers.plan import (
    Comparison,
    Computation,
    Paper,
    PaperDataset,
    PaperWeights,
    Preparation,
    Scoring,
    StartingWeights,
    Training,
)
from emotrace.papers.tzirakis2021.counts import count_frames, count_resampled
from emotrace.papers.tzirakis2021.recipes import (
    AFFWILD2,
    COUNTS,
    IMAGENET,
    OTHER_MODEL,
    OURS,
    PRETRAINED,
    REALEYES,
    RECOLA,
    RESAMPLED,
    SIZES,
    STARTS,
    crops,
    fine_tuning,
    other_model,
    pretraining,
    run_keys,
)
from emotrace.papers.tzirakis2021.report import write_report
from emotrace.synth.plans import SetSettings

if TYPE_CHECKING:
    from emotrace.papers.plan import ScaleName, Step
    from emotrace.papers.tzirakis2021.recipes import Scale


def _drawn(
    *, clips: int, seconds: float, seed: int, rate_hz: float = 25.0
) -> tuple[SetSettings, ...]:
    """Return a set of clips of one face, just large enough to be found.

    Each data set has a seed, and so people, of its own: pre-training shall not know whom
    fine-tuning is measured on.
    """
    drawn = SetSettings(
        clips=clips, seconds=seconds, frame_rate=rate_hz, width=112, height=112, seed=seed
    )
    return (drawn,)


DATASETS: Final = (
    PaperDataset(
        name="realeyes",
        layout="manifest",
        role="pre-training. RealEyes' data is private: any manifest of videos whose frames have "
        "emotions takes its place, best with several annotators",
        synthetic={
            "smoke": _drawn(clips=24, seconds=1.6, seed=1),
            "small": _drawn(clips=80, seconds=3.84, rate_hz=12.5, seed=1),
        },
    ),
    PaperDataset(
        name="recola",
        role="fine-tuning and Table 5",
        synthetic={
            "smoke": _drawn(clips=10, seconds=3.0, seed=0),
            "small": _drawn(clips=25, seconds=5.76, seed=0),
        },
    ),
    PaperDataset(
        name="affwild2",
        role="another affect model to begin with, in the place of AffWildNet",
        synthetic={
            "smoke": _drawn(clips=5, seconds=2.0, seed=2),
            "small": _drawn(clips=15, seconds=5.76, seed=2),
        },
    ),
)
_IMAGENET: Final = PaperWeights(
    name="imagenet",
    title="ImageNet weights of the ResNet",
    role="the second start of Table 5; pre-training begins with them too",
    obtain="timm downloads them where there is a network, or take a file (.safetensors, .pt) of "
    "its names",
    licence="timm's model card says",
)
_WINDOWS: Final = "windows"
"""Training and testing both see sequences of 150 frames (section 5.2)."""
_SCORES: Final = (
    Scoring(key="test", over=_WINDOWS),
    Scoring(key="validation", side="validation", over=_WINDOWS),
    Scoring(key="test-processed", over=_WINDOWS, post_process=True),
    Scoring(key="validation-processed", side="validation", over=_WINDOWS, post_process=True),
)


def plan(scale: ScaleName) -> tuple[Step, ...]:
    """Return the paper's steps at a scale."""
    size = SIZES[scale]
    return (
        *_pretraining(size),
        *(step for start in STARTS for step in _fine_tuning(size, start)),
        *(
            Comparison(
                key=f"comparison/ours-{start}",
                first=run_keys(OURS, size)[0],
                second=run_keys(start, size)[0],
                over=_WINDOWS,
                post_process=True,
            )
            for start in STARTS
            if start != OURS
        ),
    )


def _pretraining(size: Scale) -> tuple[Step, ...]:
    """Return the data, Tables 2 to 4, and the networks to begin with."""
    validation = (Scoring(key="validation", side="validation", over=_WINDOWS),)
    return (
        Preparation(
            key=REALEYES,
            dataset="realeyes",
            settings=crops(size, detector=size.detector),
            options=(("votes", "winner-takes-all"),),
        ),
        Computation(key=COUNTS, of=(REALEYES,), compute=count_frames),
        Computation(key=RESAMPLED, of=(REALEYES,), compute=count_resampled),
        Preparation(
            key=RECOLA,
            dataset="recola",
            settings=crops(size, detector=size.detector),
            selections=("frames-labelled",),
        ),
        Preparation(
            key=AFFWILD2,
            dataset="affwild2",
            settings=crops(size, detector="none"),
            options=(("task", "valence-arousal"), ("media", "crops")),
            manifest_detector=size.detector,
        ),
        StartingWeights(key=IMAGENET, weights=_IMAGENET.name, backbone=size.backbone),
        Training(
            key=PRETRAINED,
            data=REALEYES,
            recipe=pretraining(size),
            start=IMAGENET,
            start_is_optional=True,
            scores=validation,
        ),
        Training(key=OTHER_MODEL, data=AFFWILD2, recipe=other_model(size), scores=validation),
    )


def _fine_tuning(size: Scale, start: str) -> tuple[Training, ...]:
    """Return all runs of one start; only the first is measured after post-processing."""
    return tuple(
        Training(
            key=key,
            data=RECOLA,
            recipe=fine_tuning(size, start=start, number=number),
            start=STARTS[start],
            scores=_SCORES if number == 0 else _SCORES[:2],
        )
        for number, key in enumerate(run_keys(start, size))
    )


TZIRAKIS2021: Final = Paper(
    name="tzirakis2021",
    title="Facial emotion recognition using deep residual networks in real-world environments",
    citation="P. Tzirakis, D. Boros, E. Hajiyev and B. W. Schuller (2021)",
    datasets=DATASETS,
    weights=(_IMAGENET,),
    plan=plan,
    report=write_report,
    scales={
        "smoke": "a ResNet of 0.4 million weights on faces of 32 px, sequences of 10 frames, "
        "2 epochs: shows that all of it runs, says nothing about accuracy.",
        "small": "a ResNet of 0.4 million weights on faces of 48 px, an LSTM of 64 units, batches "
        "of 8 sequences of 12 frames, a learning rate of 0.001; 8 epochs of pre-training and up "
        "to 12 of fine-tuning; three runs of each start.",
        "full": "the paper's network and settings; three runs of each start instead of one.",
    },
)
"""The paper."""
