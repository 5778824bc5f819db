"""Post-processing fitted on one side of a data set and measured on another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emotrace.analysis.post_processing import AffectPostProcessing, PostProcessing
from emotrace.errors import UsageError
from emotrace.training.affect_chains import (
    apply_affect_chain,
    fit_affect_chain,
    score_affect_chain,
)
from emotrace.training.zoo.predictions import RowPlaces, SetPredictions
from tests.training.test_zoo_evaluation import CLASSES, VALUES

RATE = 25.0
FRAMES = 200
LATE = 10
"""Frames by which the annotations follow the predictions."""


def recordings(seed: int, *, videos: int = 4, jitter: float = 0.0) -> SetPredictions:
    """Valence is predicted 0.2 too high, half as wide, 0.4 s early; arousal is not annotated."""
    rng = np.random.default_rng(seed)
    curve = np.cumsum(rng.normal(0, 0.05, (videos, FRAMES + LATE)), axis=1)
    curve = np.clip(curve - curve.mean(axis=1, keepdims=True), -0.7, 0.7)
    truth, said = curve[:, :FRAMES], 0.5 * curve[:, LATE:] + 0.2
    count = videos * FRAMES
    seconds = np.tile(np.arange(FRAMES) / RATE, videos) + rng.uniform(0, jitter, count)
    blank = np.full(count, np.nan)
    return SetPredictions(
        title="made",
        side="validation",
        heads=(VALUES,),
        rows=np.arange(count),
        videos=np.repeat([f"v{at}" for at in range(videos)], FRAMES),
        subjects=np.full(count, ""),
        outputs={
            "valence_arousal": np.stack([said.ravel(), np.zeros(count)], 1).astype(np.float32)
        },
        targets={"valence_arousal": np.stack([truth.ravel(), blank], 1).astype(np.float32)},
        split="made",
        places=RowPlaces(
            frame=np.tile(np.arange(FRAMES), videos), face=np.ones(count, int), seconds=seconds
        ),
    )


@pytest.mark.parametrize("jitter", [0.0, 0.012], ids=["even times", "uneven times"])
def test_what_is_wrong_with_predictions_is_found_and_mended_elsewhere(jitter: float) -> None:
    chain = fit_affect_chain(recordings(0, jitter=jitter))
    assert chain.arousal is None
    assert chain.fitted_on == "made; validation side, 4 videos"
    assert chain.valence is not None
    assert chain.valence.shift_seconds == pytest.approx(LATE / RATE, abs=0.05)
    assert chain.valence.bias == pytest.approx(-0.2, abs=0.05)
    assert chain.valence.scale == pytest.approx(2.0, abs=0.2)
    test = replace(recordings(1, jitter=jitter), side="test")
    found = score_affect_chain(test, chain, repeats=50)
    ccc = found["against_raw"]["heads"]["valence_arousal"]["valence"]["ccc"]
    assert ccc["first"] > 0.9 > 0.7 > ccc["second"]
    assert ccc["interval_95"][0] > 0
    assert (
        found["scores"]["heads"]["valence_arousal"]["valence"]["ccc"]["whole_set"] == ccc["first"]
    )
    assert AffectPostProcessing.from_json(found["chain"]) == chain
    assert found["look_ahead_seconds"] == pytest.approx(chain.look_ahead_seconds, abs=1e-6)


def test_processing_is_that_of_each_video_and_starts_afresh_after_a_gap() -> None:
    chain = PostProcessing(rate_hz=RATE, shift_seconds=0.4)
    said = recordings(0, videos=2)
    keep = np.ones(2 * FRAMES, np.bool_)
    keep[50:70] = False  # 0.8 s of the first video
    said = replace(
        said,
        rows=said.rows[keep],
        videos=said.videos[keep],
        subjects=said.subjects[keep],
        outputs={name: values[keep] for name, values in said.outputs.items()},
        targets={name: values[keep] for name, values in said.targets.items()},
        places=RowPlaces(
            frame=said.places.frame[keep],  # type: ignore[union-attr]
            face=said.places.face[keep],  # type: ignore[union-attr]
            seconds=said.places.seconds[keep],  # type: ignore[union-attr]
        ),
    )
    raw = said.outputs["valence_arousal"][:, 0]
    done = apply_affect_chain(said, AffectPostProcessing(valence=chain)).outputs["valence_arousal"]
    for part in (slice(0, 50), slice(50, 180), slice(180, 380)):
        np.testing.assert_allclose(done[part, 0], chain.apply(raw[part], rate_hz=RATE), atol=1e-6)
    np.testing.assert_array_equal(done[:, 1], said.outputs["valence_arousal"][:, 1])
    unknown = replace(said.places, seconds=np.full(380, np.nan))  # type: ignore[type-var]
    again = apply_affect_chain(
        replace(said, places=unknown), AffectPostProcessing(valence=chain)
    ).outputs["valence_arousal"]
    np.testing.assert_allclose(again, done, atol=1e-6)


def test_without_values_or_labels_there_is_nothing_to_fit() -> None:
    said = recordings(0)
    blank = np.full_like(said.targets["valence_arousal"], np.nan)
    unlabelled = replace(said, targets={"valence_arousal": blank})
    for nothing in (unlabelled, replace(said, heads=(CLASSES,))):
        with pytest.raises(UsageError, match="predictions of valence or arousal with labels"):
            fit_affect_chain(nothing)
