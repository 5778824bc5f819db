"""How each kind of step is done: from its definition to plain facts."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.datasets.cache import open_cache
from emotrace.datasets.prepare import prepare_dataset
from emotrace.errors import DatasetError
from emotrace.papers.plan import (
    Comparison,
    Computation,
    CrossValidation,
    Preparation,
    StartingWeights,
    Training,
    Vectors,
    place,
)
from emotrace.papers.pooling import (
    decide_videos,
    last_of_videos,
    pool_predictions,
)
from emotrace.papers.sides import SidePredictions, uses_gpu
from emotrace.papers.supply import MANIFEST, supply
from emotrace.papers.weights import fetch_weights
from emotrace.training.extractors import load_extractor
from emotrace.training.feature_cache import extract_features
from emotrace.training.zoo.checkpoints import CHECKPOINT_FOLDER, LAST_CHECKPOINT
from emotrace.training.zoo.comparison import compare_predictions
from emotrace.training.zoo.evaluation import score_predictions
from emotrace.training.zoo.fit import fit_zoo
from emotrace.training.zoo.predictions import predict_run_on
from emotrace.training.zoo.recipe import DataSettings
from emotrace.training.zoo.run import load_trained
from emotrace.training.zoo.sources import open_data
from emotrace.training.zoo.split import count_folds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emotrace.datasets.prepare import PrepareSettings
    from emotrace.papers.plan import Scoring, Step
    from emotrace.papers.workshop import Workshop
    from emotrace.training.zoo.predictions import SetPredictions
    from emotrace.training.zoo.recipe import MachineSettings, ZooRecipe
    from emotrace.training.zoo.run import TrainedNetwork

FOLD_FOLDER: Final = "fold-{:03d}"
_REPEATS: Final = 1000


def do_step(
    step: Step, workshop: Workshop, tell: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """Do a step whose needs are done; returns its facts.

    Args:
        step: Of the plan.
        workshop: Where.
        tell: Called with what is going on, how much of it is done, and how much there is.

    Raises:
        EmotraceError: It cannot be done.
    """
    if isinstance(step, Preparation):
        return _prepare(step, workshop, tell)
    if isinstance(step, Training):
        return _train(step, workshop, tell)
    if isinstance(step, CrossValidation):
        return _cross_validate(step, workshop, tell)
    if isinstance(step, Vectors):
        return _make_vectors(step, workshop, tell)
    if isinstance(step, Comparison):
        sides = [_compared(key, step, workshop) for key in (step.first, step.second)]
        return compare_predictions(sides[0], sides[1], repeats=_REPEATS)
    if isinstance(step, StartingWeights):
        tell(f"fetching {step.weights}", 0, 1)
        return fetch_weights(step, workshop)
    if isinstance(step, Computation):
        return step.compute(workshop)
    raise TypeError(f"expected a kind of step; got {type(step).__name__}")


def _prepare(
    step: Preparation, workshop: Workshop, tell: Callable[[str, int, int], None]
) -> dict[str, Any]:
    paper = workshop.order.paper
    supplies = [supply(workshop, paper.dataset(one.dataset), progress=tell) for one in step.sources]
    chosen = [found.read(one) for found, one in zip(supplies, step.sources, strict=True)]
    records = [record for one in chosen for record in one.records]
    if step.joined:
        records = [
            replace(record, clip_id=f"{found.name}/{record.clip_id}")
            for found, one in zip(supplies, chosen, strict=True)
            for record in one.records
        ]
    folder = workshop.cache(step.key)
    what = f"finding faces in {' and '.join(one.dataset for one in step.sources)}"
    begin = time.perf_counter()
    report = prepare_dataset(
        records,
        folder,
        settings=_settings_for(step, supplies[0].reader),
        progress=lambda at: tell(what, at.clips_done, at.clips_total),
    )
    seconds = time.perf_counter() - begin
    cache = open_cache(folder)
    lost = np.add(cache.clips["missed_count"], cache.clips["tracked_count"])
    emotions = Counter(record.emotion or "none" for record in records)
    facts = report.to_json()
    del facts["out"]
    return {
        **facts,
        "dataset": " and ".join(one.dataset for one in step.sources),
        "reader": " and ".join(found.reader for found in supplies),
        "root": " and ".join(
            "drawn" if found.origin == "synthetic" else found.root.name for found in supplies
        ),
        "selections": list(chosen[0].selections),
        "clips_left": [[list(pair) for pair in one.left] for one in chosen],
        "other_selections": [notice for one in chosen for notice in one.notices],
        "subjects": len({record.subject for record in records if record.subject}),
        "clips_by_emotion": dict(sorted(emotions.items())),
        "clips_usable": len(set(cache.frames.clip[cache.has_crop].tolist())),
        "clips_without_tracking": int((lost == 0).sum()),
        "seconds_preparing": None if report.clips_done_before else round(seconds, 3),
    }


def _settings_for(step: Preparation, reader: str) -> PrepareSettings:
    """Return how faces are found: a manifest in a data set's place may hold whole pictures."""
    if reader != MANIFEST or not step.manifest_detector:
        return step.settings
    cropping = replace(step.settings.cropping, detector=step.manifest_detector)
    return replace(step.settings, cropping=cropping)


def _train(
    step: Training, workshop: Workshop, tell: Callable[[str, int, int], None]
) -> dict[str, Any]:
    recipe = _placed(step.recipe, workshop, step.data)
    has_start = bool(step.start) and workshop.results.is_done(step.start)
    if has_start:
        start = replace(recipe.start, initialise_from=workshop.start_of(step.start))
        recipe = replace(recipe, start=start)
    facts = _fit(recipe, workshop.run(step.key), lambda done, of: tell(step.key, done, of))
    facts["started_from"] = step.start if has_start else "fresh weights"
    trained = load_trained(workshop.run(step.key), which=step.weights)
    sides = SidePredictions(trained, machine=workshop.order.machine)
    facts["scores"] = {
        score.key: _measure(trained, score, workshop, sides) for score in step.scores
    }
    return facts


def _placed(recipe: ZooRecipe, workshop: Workshop, data: str, **changes: Any) -> ZooRecipe:
    order = workshop.order
    placed = place(recipe, workshop.data_of(data), **changes)
    return replace(placed, machine=order.machine, seed=recipe.seed + order.seed)


def _fit(recipe: ZooRecipe, folder: Path, tell: Callable[[int, int], None]) -> dict[str, Any]:
    """Train, or go on; say how long it took where it was done in one go."""
    was_begun = (folder / CHECKPOINT_FOLDER / LAST_CHECKPOINT).exists()
    tell(0, recipe.epochs)
    begin, work_begins = time.perf_counter(), time.process_time()
    report = fit_zoo(recipe, folder, resume=True)
    seconds, work = time.perf_counter() - begin, time.process_time() - work_begins
    is_all_here = not was_begun and _is_of_processor(recipe.machine)
    trained = load_trained(folder)
    tell(recipe.epochs, recipe.epochs)
    parameters = sum(value.numel() for value in trained.network.parameters() if value.requires_grad)
    return {
        "architecture": recipe.architecture,
        "parameters": parameters,
        "epochs_done": report.epochs_done,
        "epochs_planned": recipe.epochs,
        "best_epoch": None if report.best_epoch is None else report.best_epoch + 1,
        "monitor": report.monitor,
        "best_value": report.best_value,
        "seconds": None if was_begun else round(seconds, 3),
        "processor_seconds": round(work, 3) if is_all_here else None,
        "examples": trained.record.everything["data"]["examples"],
        "notices": list(report.notices),
    }


def _is_of_processor(machine: MachineSettings) -> bool:
    """Say whether this process does all the work: its own time is then the same under any load."""
    return not uses_gpu(machine) and machine.devices == 1 and not machine.workers


def _measure(
    trained: TrainedNetwork, score: Scoring, workshop: Workshop, sides: SidePredictions
) -> dict[str, Any]:
    chains: dict[str, Any] | None = None
    if score.elsewhere:
        found = _predict_whole(trained, workshop.data_of(score.elsewhere), score)
    elif score.post_process:
        found, chains = sides.processed(score.side, score.over)
    else:
        found = sides.of(score.side, score.over)
    scores = _score(found, score)
    return scores if chains is None else {**scores, "post_processing": chains}


def _score(found: SetPredictions, score: Scoring) -> dict[str, Any]:
    if score.rows == "last":
        found = last_of_videos(found)
    scores = score_predictions(found, repeats=_REPEATS)
    return {**scores, "decisions": decide_videos(found)} if score.keeps_decisions else scores


def _predict_whole(trained: TrainedNetwork, data: Path, score: Scoring) -> SetPredictions:
    """Run over everything of another data set; labels that the network has none for are missing."""
    recipe = replace(trained.record.recipe, data=DataSettings(data=data))
    opened = open_data(recipe, whole=True)
    return predict_run_on(trained, opened, side="whole", ignore_other_labels=True, over=score.over)


def _compared(key: str, step: Comparison, workshop: Workshop) -> SetPredictions:
    sides = SidePredictions(workshop.trained(key), machine=workshop.order.machine)
    if step.post_process:
        return sides.processed(step.side, step.over)[0]
    return sides.of(step.side, step.over)


def _cross_validate(
    step: CrossValidation, workshop: Workshop, tell: Callable[[str, int, int], None]
) -> dict[str, Any]:
    recipe = _fitting(step, _placed(step.recipe, workshop, step.data))
    items = open_data(recipe).split.items
    total = count_folds(items, recipe.data)
    count = min(step.folds or total, total)
    folds: list[dict[str, Any]] = []
    found: dict[str, list[SetPredictions]] = {score.key: [] for score in step.scores}
    for number in range(1, count + 1):
        folder = workshop.run(step.key) / FOLD_FOLDER.format(number)
        own = place(recipe, recipe.data.data, fold=number)
        tell(step.key, number - 1, count)
        facts = _fit(own, folder, lambda *_: None)
        trained = load_trained(folder, which=step.weights)
        sides = SidePredictions(trained, machine=workshop.order.machine)
        for score in step.scores:
            predictions = sides.of(score.side, score.over)
            found[score.key].append(predictions)
        people = sorted(set(predictions.subjects.tolist()))
        folds.append({"fold": number, "test_subjects": people, **facts})
    tell(step.key, count, count)
    seconds = [fold["seconds"] for fold in folds if fold["seconds"] is not None]
    return {
        "architecture": recipe.architecture,
        "parameters": folds[0]["parameters"],
        "folds": folds,
        "folds_of_protocol": total,
        "seconds_per_fold": float(np.mean(seconds)) if seconds else None,
        "epochs_planned": recipe.epochs,
        "scores": {
            score.key: _score(pool_predictions(found[score.key]), score) for score in step.scores
        },
    }


def _fitting(step: CrossValidation, recipe: ZooRecipe) -> ZooRecipe:
    """Return the recipe, with the step's other protocol where its own does not fit the data."""
    if step.otherwise is None:
        return recipe
    try:
        open_data(recipe)
    except DatasetError:
        return place(recipe, recipe.data.data, protocol=step.otherwise)
    return recipe


def _make_vectors(
    step: Vectors, workshop: Workshop, tell: Callable[[str, int, int], None]
) -> dict[str, Any]:
    extractor = load_extractor(workshop.run(step.run))
    report = extract_features(
        extractor,
        workshop.cache(step.data),
        workshop.vectors(step.key),
        overwrite=True,
        progress=lambda done, of: tell(f"vectors of {step.data}", done, of),
    )
    return {"rows": report.rows, "features": report.features, "extractor": extractor.description}
