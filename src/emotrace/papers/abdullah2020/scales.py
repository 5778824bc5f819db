"""How much of abdullah2020 is done at each scale, and what is drawn where its data is not there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from emotrace.papers.plan import PaperDataset
from emotrace.synth.plans import SetSettings

if TYPE_CHECKING:
    from emotrace.papers.plan import ScaleName

FER2013: Final = "fer2013"
RAVDESS: Final = "ravdess"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What a scale makes smaller; everything else is the same at all of them."""

    face_px: int
    """Side of a face."""
    detector: str
    """Finds RAVDESS' faces."""
    workers: int
    """Processes that cut faces out; 0: one for each core."""
    xception_width: float
    """Share of Xception's channels."""
    augmentation: str
    """Of the stills, by name."""
    cnn_epochs: int
    cnn_batch: int
    cnn_rate: float
    """Learning rate at its peak."""
    dense_width: int
    """Features of a frame."""
    lstm_epochs: int
    lstm_batch: int
    """Videos."""
    lstm_width: int
    video_frames: int
    """Of a video at most: more are cut into pieces in training."""
    single_batch: int
    """Frames in a batch of the network that sees frames alone: about as many as `lstm_batch`
    videos have."""
    draws: int
    """Random splits. The first one is the paper's; the others make the difference surer."""


SCALES: Final[dict[ScaleName, Scale]] = {
    "smoke": Scale(
        face_px=32,
        detector="haar",
        workers=1,
        xception_width=0.25,
        augmentation="rangulov2020",
        cnn_epochs=2,
        cnn_batch=8,
        cnn_rate=3e-3,
        dense_width=32,
        lstm_epochs=6,
        lstm_batch=8,
        lstm_width=16,
        video_frames=8,
        single_batch=64,
        draws=1,
    ),
    "small": Scale(
        face_px=48,
        detector="haar",
        workers=1,
        xception_width=0.25,
        augmentation="none",
        cnn_epochs=20,
        cnn_batch=32,
        cnn_rate=3e-3,
        dense_width=128,
        lstm_epochs=40,
        lstm_batch=16,
        lstm_width=64,
        video_frames=16,
        single_batch=256,
        draws=5,
    ),
    "full": Scale(
        face_px=48,
        detector="auto",
        workers=0,
        xception_width=1.0,
        augmentation="rangulov2020",
        cnn_epochs=330,
        cnn_batch=64,
        cnn_rate=1e-3,
        dense_width=512,
        lstm_epochs=240,
        lstm_batch=32,
        lstm_width=256,
        video_frames=160,
        single_batch=3520,
        draws=5,
    ),
}


def _clips(actors: int, takes: int, seconds: float) -> tuple[SetSettings, ...]:
    """Draw so many RAVDESS clips of each actor and expression.

    The layout gives a person's first four neutral clips to RAVDESS' own neutral, which the paper
    leaves out, and the next ones to its calm: so four that cost nothing come first.
    """
    whole = SetSettings(
        clips=7 * takes * actors, subjects=actors, seconds=seconds, width=128, height=128
    )
    left_out = replace(whole, clips=4 * actors, emotion="neutral", seconds=0.04)
    return (left_out, whole)


DATASETS: Final = (
    PaperDataset(
        name=FER2013,
        role="Xception learns expressions from stills",
        # With a seed of its own: else its people would be the actors of RAVDESS.
        synthetic={
            "smoke": (SetSettings(clips=70, width=112, height=112, seed=1),),
            "small": (SetSettings(clips=1400, width=112, height=112, seed=1),),
        },
    ),
    PaperDataset(
        name=RAVDESS,
        role="the LSTM learns expressions of whole videos",
        synthetic={
            "smoke": _clips(actors=10, takes=1, seconds=0.24),
            "small": _clips(actors=24, takes=2, seconds=0.48),
        },
    ),
)

SAYS: Final[dict[ScaleName, str]] = {
    "smoke": "A few epochs of small networks on a handful of faces of 32 px: shows that all of it "
    "runs, says nothing about accuracy.",
    "small": "Xception with a quarter of its channels, 128 features, for 20 epochs (on 840 faces "
    "where they are drawn); an LSTM of 64 units for 40 epochs (on 336 clips of 12 frames of 24 "
    "people where they are drawn); five random splits and all five folds of actors.",
    "full": "The paper's 330 and 240 epochs on all of FER2013 and RAVDESS, faces of 48 px; five "
    "random splits, of which the first is the paper's, and all five folds of actors.",
}
"""Each scale in a sentence."""
