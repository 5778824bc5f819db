"""What rangulov2020 shows besides scores: counts of pictures, histograms, differences.

Each function does a `Computation` of the plan in `emotrace.papers.rangulov2020.paper`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.datasets.cache import open_cache
from emotrace.datasets.density import RANGULOV2020_SUBSETS, downsample_by_density
from emotrace.labels import EMOTIONS
from emotrace.metrics import concordance_over_shuffled_batches, paired_moments
from emotrace.metrics.bootstrap import draw_groups, percentile_interval, summarize_differences
from emotrace.models.zoo import find_architecture
from emotrace.papers.charts import draw_affect_histograms
from emotrace.papers.plan import place
from emotrace.papers.rangulov2020.recipes import CLASSES, frame_recipe
from emotrace.papers.sides import SidePredictions
from emotrace.training.zoo.data import load_data
from emotrace.training.zoo.evaluation import plain, score_predictions, truth_and_top
from emotrace.training.zoo.predictions import predict_run_on
from emotrace.training.zoo.recipe import DataSettings
from emotrace.training.zoo.sources import open_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from emotrace.metrics import PairedMoments
    from emotrace.papers.workshop import Workshop
    from emotrace.training.zoo.predictions import SetPredictions

CKPLUS_FACES: Final = "ckplus-faces"
JAFFE_FACES: Final = "jaffe-faces"
AFFWILD2_FACES: Final = "affwild2-faces"
STILLS: Final = "stills/cnn"
WHOLE: Final = "frames/whole"
WHOLE_MSE: Final = "frames/whole-mse"
VALENCE: Final = "frames/valence-alone"
AROUSAL: Final = "frames/arousal-alone"
SUBSET: Final = "frames/subset-3"
SIMPLE: Final = "recurrent/simple"
GRU1: Final = "recurrent/gru-1"
GRU3: Final = "recurrent/gru-3"

FRAME_RUNS: Final = (WHOLE, WHOLE_MSE, VALENCE, AROUSAL, SUBSET)
RECURRENT_RUNS: Final = (SUBSET, SIMPLE, GRU1, GRU3)
VALUES: Final = ("valence", "arousal")
_PICTURES_OF_A_SEQUENCE: Final = 4
_REPEATS: Final = 1000

FRAME_PAIRS: Final[dict[str, tuple[tuple[str, str], tuple[str, str]]]] = {
    "both-against-one": ((WHOLE, WHOLE), (VALENCE, AROUSAL)),
    "ccc-against-mse": ((WHOLE, WHOLE), (WHOLE_MSE, WHOLE_MSE)),
    "subset-against-whole": ((SUBSET, SUBSET), (WHOLE, WHOLE)),
}
"""The run that predicts valence and the one that predicts arousal, of the first and the second."""
RECURRENT_PAIRS: Final[dict[str, tuple[tuple[str, str], tuple[str, str]]]] = {
    "simple-against-cnn": ((SIMPLE, SIMPLE), (SUBSET, SUBSET)),
    "gru-1-against-cnn": ((GRU1, GRU1), (SUBSET, SUBSET)),
    "gru-3-against-cnn": ((GRU3, GRU3), (SUBSET, SUBSET)),
    "gru-1-against-simple": ((GRU1, GRU1), (SIMPLE, SIMPLE)),
    "gru-3-against-gru-1": ((GRU3, GRU3), (GRU1, GRU1)),
}


# --- stills --------------------------------------------------------------------------------------


def count_ckplus(workshop: Workshop) -> dict[str, Any]:
    """Count CK+'s sequences, and its pictures with a face; see `_count`."""
    return _count(workshop, CKPLUS_FACES)


def count_jaffe(workshop: Workshop) -> dict[str, Any]:
    """Count JAFFE's pictures; see `_count`."""
    return _count(workshop, JAFFE_FACES)


def _count(workshop: Workshop, key: str) -> dict[str, Any]:
    """Count clips before and after the selection, and pictures of each class with a face."""
    left = dict(workshop.facts(key)["clips_left"][0])
    cache = open_cache(workshop.cache(key))
    clip, labels = cache.frames.clip, cache.emotion_labels()
    clips = len(cache.clip_ids)
    pictures = np.bincount(clip, minlength=clips)
    neutral = np.bincount(clip[labels == EMOTIONS.index("neutral")], minlength=clips)
    seen = labels[cache.has_crop]
    by_class = {name: int((seen == EMOTIONS.index(name)).sum()) for name in CLASSES}
    return {
        "clips_read": left["read"],
        "clips": clips,
        "subjects": len({name for name in cache.clips["subject"] if name}),
        "clips_without_neutral_picture": int((neutral == 0).sum()),
        "clips_of_fewer_than_four_pictures": int((pictures < _PICTURES_OF_A_SEQUENCE).sum()),
        "pictures": int(pictures.sum()),
        "pictures_without_face": int((~cache.has_crop).sum()),
        "by_class": by_class,
    }


def count_sides(workshop: Workshop) -> dict[str, Any]:
    """Count the pictures of each class on each side of the split of CK+ (Table II)."""
    trained = workshop.trained(STILLS)
    data = load_data(
        trained.record.recipe,
        kind=trained.record.architecture.kind,
        heads=trained.network.heads,
        matched=trained.record.heads,
    )
    sides = {"train": data.train, **data.sides}
    names = trained.record.heads[0].names
    counts = {
        side: np.bincount(examples.example_classes, minlength=len(names)).tolist()
        for side, examples in sides.items()
    }
    return {
        "split": data.notices[0],
        "by_class": {
            side: dict(zip(names, values, strict=True)) for side, values in counts.items()
        },
    }


def measure_on_jaffe(workshop: Workshop) -> dict[str, Any]:
    """Measure the CNN that learned CK+ on all of JAFFE, and which classes draw its errors.

    A step of its own, and no score of the training: who has CK+ alone still gets CK+'s.
    """
    trained = workshop.trained(STILLS)
    recipe = replace(trained.record.recipe, data=DataSettings(data=workshop.data_of(JAFFE_FACES)))
    found = predict_run_on(
        trained, open_data(recipe, whole=True), side="whole", ignore_other_labels=True
    )
    learned = workshop.facts("counts/sides")["by_class"]["train"]
    return {
        "scores": {"jaffe": score_predictions(found, repeats=_REPEATS)},
        "errors": _errors_by_class(found, learned),
    }


def _errors_by_class(found: SetPredictions, learned: Mapping[str, int]) -> dict[str, Any]:
    """Set how often a class is said wrongly beside how often it was learned.

    The paper sees that the two go together (section VI-A). Pearson's correlation over the classes;
    its interval draws whole people again.
    """
    target = found.heads[0]
    truth, top, known = truth_and_top(found, target)
    said = top >= 0
    has_people = all(found.subjects.tolist())
    people = np.asarray(found.subjects if has_people else found.videos)[known]
    names, person = np.unique(people[said], return_inverse=True)
    wrong = np.zeros((len(names), len(target.names)), np.int64)
    is_wrong = top[said] != truth[said]
    np.add.at(wrong, (person[is_wrong], top[said][is_wrong]), 1)
    counts = np.array([learned[name] for name in target.names], np.float64)
    low = high = None
    if len(names) > 1:
        draws = draw_groups(len(names), _REPEATS, 0)
        drawn = np.array([_correlation(counts, wrong[chosen].sum(axis=0)) for chosen in draws])
        low, high = (plain(end) for end in percentile_interval(drawn, 0.95))
    return {
        "n": int(said.sum()),
        "people": len(names) if has_people else 0,
        "correlation": plain(_correlation(counts, wrong.sum(axis=0))),
        "interval_95": None if low is None else [low, high],
        "said_wrongly": dict(zip(target.names, wrong.sum(axis=0).tolist(), strict=True)),
        "shown": dict(
            zip(target.names, np.bincount(truth, minlength=len(counts)).tolist(), strict=True)
        ),
    }


def _correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    moments = paired_moments(first.astype(np.float64), second.astype(np.float64))
    return float(moments.pearson()[0])


# --- Aff-Wild2 -----------------------------------------------------------------------------------


def draw_subsets(workshop: Workshop) -> dict[str, Any]:
    """Count what is left of the training side in each of the three subsets, and draw Fig. 3.

    The seed is that of the training, so that the third subset is the one that is learned from.
    """
    recipe = place(frame_recipe(workshop.order.scale), workshop.data_of(AFFWILD2_FACES))
    row = find_architecture(recipe.architecture)
    heads = row.build(recipe.options).heads
    examples = load_data(recipe, kind=row.kind, heads=heads).train
    labels = examples.targets["valence_arousal"][examples.target_rows]
    seed = recipe.seed + workshop.order.seed
    subsets = {
        f"subset {number}": downsample_by_density(
            labels[:, 0], labels[:, 1], reference=reference, seed=seed
        )
        for number, reference in RANGULOV2020_SUBSETS.items()
    }
    first = subsets["subset 1"]
    figure = draw_affect_histograms(
        [(name, subset.after) for name, subset in subsets.items()] + [("whole set", first.before)],
        title="Valence and arousal of the frames that are learned from",
        is_synthetic=workshop.results[AFFWILD2_FACES].origin == "synthetic",
    )
    return {
        "figure": workshop.save_figure("subsets", figure),
        "frames": len(labels),
        "frames_without_both": first.unlabelled_count,
        "frames_both_zero": first.zero_count,
        "largest_bin": int(first.before.counts.max()),
        "mean_bin": round(float(first.before.counts.mean()), 3),
        "kept": {name: len(subset.kept) for name, subset in subsets.items()},
    }


def measure_frames(workshop: Workshop) -> dict[str, Any]:
    """Compare outputs, losses and training sets of the CNN, frame by frame."""
    return _measure(workshop, FRAME_RUNS, FRAME_PAIRS)


def measure_recurrent(workshop: Workshop) -> dict[str, Any]:
    """Compare the CNN alone with recurrent layers on its features, and these with one another."""
    return _measure(workshop, RECURRENT_RUNS, RECURRENT_PAIRS)


def _measure(
    workshop: Workshop,
    runs: tuple[str, ...],
    pairs: Mapping[str, tuple[tuple[str, str], tuple[str, str]]],
) -> dict[str, Any]:
    found = {}
    batches: dict[str, Any] = {}
    for key in runs:
        trained = workshop.trained(key)
        sides = SidePredictions(trained, machine=workshop.order.machine)
        columns = _columns(sides.of("validation"))
        size = trained.record.recipe.batch_size
        found[key] = columns
        batches[key] = {
            name: {
                "n": len(column.rows),
                "batch_size": size,
                "ccc": plain(
                    concordance_over_shuffled_batches(column.truth, column.said, batch_size=size)
                ),
            }
            for name, column in columns.items()
        }
    return {
        "over_shuffled_batches": batches,
        "differences": {
            name: compare_columns(_pick(found, first), _pick(found, second))
            for name, (first, second) in pairs.items()
        },
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """One value's predictions."""

    rows: NDArray[np.int64]
    """`(n,)`: of the data, rising."""
    truth: NDArray[np.float32]
    said: NDArray[np.float32]
    videos: NDArray[np.str_]


def _columns(predictions: SetPredictions) -> dict[str, Column]:
    """Take the values of all heads apart; rows without a label or a prediction are left out."""
    found = {}
    for target in predictions.heads:
        for at, name in enumerate(target.names):
            truth = predictions.targets[target.head.name][:, at]
            said = predictions.outputs[target.head.name][:, at]
            known = np.isfinite(truth) & np.isfinite(said)
            found[name] = Column(
                rows=predictions.rows[known],
                truth=truth[known],
                said=said[known],
                videos=predictions.videos[known],
            )
    return found


def _pick(found: Mapping[str, Mapping[str, Column]], runs: tuple[str, str]) -> tuple[Column, ...]:
    return tuple(found[run][name] for run, name in zip(runs, VALUES, strict=True))


def compare_columns(first: tuple[Column, ...], second: tuple[Column, ...]) -> dict[str, Any]:
    """Compare two networks (or pairs of them) in valence and arousal, on the frames of both.

    Args:
        first: Valence and arousal of one; the two may come from different networks.
        second: Of the other.

    Returns:
        JSON-ready: `ccc` and `rmse`, each with the difference first - second in `valence`,
        `arousal` and the `mean` of both, with intervals of 95 % from drawing whole videos again.
        Without intervals where there is one video.
    """
    rows = first[0].rows
    for column in (*first[1:], *second):
        rows = np.intersect1d(rows, column.rows)
    moments = [[_moments_of(column, rows) for column in side] for side in (first, second)]
    videos = len(moments[0][0].count)
    everything = np.arange(videos)[None]
    draws = draw_groups(videos, _REPEATS, 0) if videos > 1 else None
    found: dict[str, Any] = {"n": len(rows), "videos": videos}
    for measure in ("ccc", "rmse"):
        whole = _pooled(moments, everything, measure)
        drawn = None if draws is None else _pooled(moments, draws, measure)
        found[measure] = _differences(whole, drawn, videos)
    return found


def _pooled(
    moments: list[list[PairedMoments]], draws: NDArray[np.int64], measure: str
) -> NDArray[np.float64]:
    """Return `(2 sides, 2 values, draws)`: a measure over all rows of the drawn videos."""
    return np.array([[one.pooled(draws).measure(measure) for one in side] for side in moments])


def _moments_of(column: Column, rows: NDArray[np.int64]) -> PairedMoments:
    at = np.searchsorted(column.rows, rows)
    return paired_moments(column.truth[at], column.said[at], column.videos[at])


def _differences(
    whole: NDArray[np.float64], drawn: NDArray[np.float64] | None, videos: int
) -> dict[str, Any]:
    """Summarize `(2 sides, 2 values, 1)` and `(2 sides, 2 values, draws)`."""
    found: dict[str, Any] = {}
    for at, name in enumerate((*VALUES, "mean")):
        ones, others = (_of_value(side, at)[0] for side in whole)
        interval, p_value = None, None
        if drawn is not None:
            one, other = (_of_value(side, at) for side in drawn)
            paired = summarize_differences(
                one - other, first=ones, second=others, group_count=videos, level=0.95
            )
            interval, p_value = [plain(paired.low), plain(paired.high)], plain(paired.p_value)
        found[name] = {
            "first": plain(ones),
            "second": plain(others),
            "difference": plain(ones - others),
            "interval_95": interval,
            "p": p_value,
        }
    return found


def _of_value(side: NDArray[np.float64], at: int) -> NDArray[np.float64]:
    """Return a value's row of `(2 values, n)`, or the mean of both."""
    values: NDArray[np.float64] = side.mean(axis=0) if at == len(VALUES) else side[at]
    return values
