"""tzirakis2021's chain on predictions of a data set: fitted on one side, applied to another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from emotrace.analysis.post_processing import (
    AffectPostProcessing,
    PostProcessing,
    fit_chain,
    resample_evenly,
)
from emotrace.analysis.post_processing.timing import even_step, rows_of_groups
from emotrace.analysis.smoothing import SHORTEST_EXPRESSION_SECONDS
from emotrace.errors import UsageError
from emotrace.models.architecture import HeadKind
from emotrace.training.zoo.comparison import compare_predictions
from emotrace.training.zoo.evaluation import score_predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.analysis.post_processing import ChainSettings
    from emotrace.training.zoo.evaluation import Unit
    from emotrace.training.zoo.predictions import SetPredictions

Dimension = Literal["valence", "arousal"]
DIMENSIONS: Final[tuple[Dimension, ...]] = ("valence", "arousal")
_USUAL_RATE: Final = 25.0
"""Frames a second where a data set states no times."""
_SAME_STEP: Final = 0.01
"""Videos whose steps differ by no more than this share are of one rate."""


def fit_affect_chain(
    predictions: SetPredictions, *, settings: ChainSettings | None = None
) -> AffectPostProcessing:
    """Find the chain for valence and for arousal, each step kept only if it raises their CCC.

    Where a face is away or without labels for more than half a second, a new series begins.

    Args:
        predictions: Of recordings that the model did not learn from, nor will be measured on.
        settings: What to try.

    Raises:
        UsageError: There are no predictions of valence or arousal with labels.
    """
    chains: dict[str, PostProcessing] = {}
    for dimension in DIMENSIONS:
        series = _series_of(predictions, dimension)
        if series is not None and np.isfinite(series.truth).sum() > 1:
            chains[dimension] = _fit(series, settings)
    if not chains:
        raise UsageError(
            "expected predictions of valence or arousal with labels, to fit post-processing on; "
            f"{predictions.title} has none on the {predictions.side} side"
        )
    videos = len(set(predictions.videos.tolist()))
    return AffectPostProcessing(
        valence=chains.get("valence"),
        arousal=chains.get("arousal"),
        fitted_on=f"{predictions.title}; {predictions.side} side, {videos} videos",
    )


def apply_affect_chain(
    predictions: SetPredictions, post_processing: AffectPostProcessing
) -> SetPredictions:
    """Return predictions with processed valence and arousal, cut off at -1 and 1 as in a timeline.

    A dimension without a chain stays as it is.
    """
    outputs = dict(predictions.outputs)
    for dimension in DIMENSIONS:
        chain = getattr(post_processing, dimension)
        series = _series_of(predictions, dimension)
        if chain is None or series is None:
            continue
        processed = chain.apply_at_times(series.said, series.seconds, series.group)
        changed = outputs[series.head].copy()
        changed[series.rows, series.column] = np.clip(processed, -1.0, 1.0)
        outputs[series.head] = changed
    return replace(predictions, title=f"{predictions.title}, post-processed", outputs=outputs)


def score_affect_chain(
    predictions: SetPredictions,
    post_processing: AffectPostProcessing,
    *,
    unit: Unit = "auto",
    repeats: int = 1000,
) -> dict[str, Any]:
    """Score predictions after a chain that was fitted elsewhere, and what it changed.

    Returns:
        JSON-ready: the chain, `scores` of the processed values by head, and `against_raw`: the
        paired differences, where there are two videos to draw from.
    """
    processed = apply_affect_chain(predictions, post_processing)
    heads = tuple(head for head in predictions.heads if head.head.kind is HeadKind.CONTINUOUS)
    processed, raw = replace(processed, heads=heads), replace(predictions, heads=heads)
    scores = score_predictions(processed, unit=unit, repeats=repeats)
    against = None
    if len(set(predictions.videos.tolist())) > 1:
        against = compare_predictions(processed, raw, unit=unit, repeats=repeats)
    return {
        "chain": post_processing.to_json(),
        "look_ahead_seconds": round(post_processing.look_ahead_seconds, 6),
        "scores": scores,
        "against_raw": against,
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Series:
    """One dimension of the rows that are predicted, video by video and face by face, in time."""

    head: str
    column: int
    rows: NDArray[np.int64]
    """`(n,)`: positions among the predictions."""
    truth: NDArray[np.float64]
    said: NDArray[np.float64]
    seconds: NDArray[np.float64]
    group: NDArray[np.int64]


def _series_of(predictions: SetPredictions, dimension: Dimension) -> _Series | None:
    """Return a dimension's series; None where it is not predicted at all."""
    for target in predictions.heads:
        if target.head.kind is HeadKind.CONTINUOUS and dimension in target.names:
            break
    else:
        return None
    name, column = target.head.name, target.names.index(dimension)
    said = predictions.outputs[name][:, column].astype(np.float64)
    video, face, seconds = _times(predictions)
    rows = np.flatnonzero(np.isfinite(said))
    if not len(rows):
        return None
    rows = rows[np.lexsort((seconds[rows], face[rows], video[rows]))]
    is_new = np.ones(len(rows), np.bool_)
    is_new[1:] = (np.diff(video[rows]) != 0) | (np.diff(face[rows]) != 0)
    steps = np.where(is_new, np.nan, np.diff(seconds[rows], prepend=np.nan))
    if np.isfinite(steps).any():
        is_new |= steps > np.nanmedian(steps) + SHORTEST_EXPRESSION_SECONDS
    return _Series(
        head=name,
        column=column,
        rows=rows,
        truth=predictions.targets[name][rows, column].astype(np.float64),
        said=said[rows],
        seconds=seconds[rows],
        group=np.cumsum(is_new),
    )


def _times(
    predictions: SetPredictions,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return each row's video, face and time; a video of unknown times has 25 frames a second."""
    places = predictions.places
    if places is None:
        raise UsageError("expected predictions that know the times of their frames; got others")
    _, video = np.unique(predictions.videos, return_inverse=True)
    seconds = places.seconds.copy()
    unknown = np.isin(video, video[~np.isfinite(seconds)])
    seconds[unknown] = places.frame[unknown] / _USUAL_RATE
    return video.astype(np.int64), places.face, seconds


def _fit(series: _Series, settings: ChainSettings | None) -> PostProcessing:
    groups = [series.seconds[rows] for rows in rows_of_groups(series.group, len(series.group))]
    steps = np.concatenate([np.diff(times) for times in groups])
    usual = float(np.median(steps)) if len(steps) else 1.0 / _USUAL_RATE
    own = [even_step(times) for times in groups if len(times) > 1]
    if all(step is not None and abs(step / usual - 1) <= _SAME_STEP for step in own):
        return fit_chain(series.truth, series.said, series.group, 1.0 / usual, settings=settings)
    values, _, group = resample_evenly(
        np.stack([series.truth, series.said], axis=1),
        series.seconds,
        series.group,
        rate_hz=1.0 / usual,
    )
    return fit_chain(values[:, 0], values[:, 1], group, 1.0 / usual, settings=settings)
