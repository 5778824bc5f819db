"""Any number of trained models side by side, on the frames that all of them were measured on.

Each network is run over its own test side. What is compared is what these have in common: frames of
people that no network learned from, as far as each one's split proves that.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.errors import UsageError
from emotrace.models.architecture import Head, HeadKind
from emotrace.training.zoo.comparison import compare_predictions
from emotrace.training.zoo.evaluation import choose_unit, score_predictions
from emotrace.training.zoo.predictions import cut_predictions, group_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emotrace.training.model_predictions import ModelPredictions
    from emotrace.training.zoo.evaluation import Unit
    from emotrace.training.zoo.predictions import SetPredictions

_COMPARED_KINDS: Final = (HeadKind.CATEGORICAL, HeadKind.CONTINUOUS)


def compare_models(
    models: Sequence[ModelPredictions],
    *,
    all_pairs: bool = False,
    unit: Unit = "auto",
    repeats: int = 1000,
) -> dict[str, Any]:
    """Score models on the frames that they share, and test their differences.

    Where one knows more classes than another, it chooses among those that all know.

    Args:
        models: At least two, each with a name of its own.
        all_pairs: Compare each with each; else each with the first.
        unit: What is drawn for intervals.
        repeats: Bootstrap draws.

    Returns:
        JSON-ready: `frames`, `videos` and `intervals_over` of what is compared; `models`, each with
        its `scores` (see `score_predictions`); `differences`, one for each pair (see
        `compare_predictions`; `first` less `second`); `notices`: what a reader must know.

    Raises:
        UsageError: There are fewer than two, or they share no frames, or differ in their truth.
    """
    if len(models) < 2:
        raise UsageError(f"expected at least two models to compare; got {len(models)}")
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise UsageError(f"expected different models to compare; got {', '.join(names)}")
    numbered = _number_alike(models)
    matched, notices = _match_classes(models, numbered)
    shared, of_sizes = _cut_to_shared(models, matched)
    notices = [*_split_notices(models), *of_sizes, *notices]
    drawn = choose_unit(shared[0], unit)
    groups = len(set(group_names(shared[0], drawn).tolist()))
    pairs = list(combinations(range(len(models)), 2))
    pairs = [(b, a) for a, b in pairs if all_pairs or a == 0]
    differences: list[dict[str, Any]] = []
    if groups < 2:
        notices.append(f"no differences are tested: there is one {drawn} only to draw from")
    else:
        for at, base in pairs:
            found = _difference(shared[at], shared[base], unit=drawn, repeats=repeats)
            pair = {"first": models[at].name, "second": models[base].name}
            differences.append({**found, **pair})
    if len(differences) > 1:
        notices.append(
            f"{len(differences)} pairs are tested, and p is not corrected for that: of many "
            "differences, some are below 0.05 by chance"
        )
    return {
        "frames": len(shared[0].rows),
        "videos": len(set(shared[0].videos.tolist())),
        "groups": groups,
        "intervals_over": drawn,
        "models": [
            {**model.to_json(), "scores": score_predictions(said, unit=drawn, repeats=repeats)}
            for model, said in zip(models, shared, strict=True)
        ],
        "differences": differences,
        "notices": notices,
    }


# --- the same frames -----------------------------------------------------------------------------


def _number_alike(models: Sequence[ModelPredictions]) -> list[SetPredictions]:
    """Give equal frames equal row numbers, where caches differ: by video, frame and face."""
    if len({model.fingerprint for model in models}) == 1:
        return [model.predictions for model in models]
    if len({model.datasets for model in models}) > 1:
        made_of = "; ".join(f"{model.name}: {', '.join(model.datasets)}" for model in models)
        raise UsageError(
            f"expected models measured on the same data set; got {made_of}; measure all of them on "
            "one (--data)"
        )
    keys = [_keys_of(model) for model in models]
    _, number = np.unique(np.concatenate(keys), return_inverse=True)
    parts = np.split(number, np.cumsum([len(key) for key in keys])[:-1])
    found = []
    for model, rows in zip(models, parts, strict=True):
        if len(np.unique(rows)) < len(rows):
            raise UsageError(
                f"expected each frame once; {model.name} has several of one name, so that its "
                "frames cannot be found in another cache; measure all models on one (--data)"
            )
        order = np.argsort(rows)
        found.append(replace(cut_predictions(model.predictions, order), rows=rows[order]))
    return found


def _keys_of(model: ModelPredictions) -> NDArray[np.str_]:
    said = model.predictions
    if said.places is None:
        raise UsageError(f"expected predictions of {model.name} that know their frames")
    columns = zip(
        said.videos.tolist(), said.places.frame.tolist(), said.places.face.tolist(), strict=True
    )
    return np.asarray([f"{video}\n{frame}\n{face}" for video, frame, face in columns], np.str_)


def _cut_to_shared(
    models: Sequence[ModelPredictions], said: Sequence[SetPredictions]
) -> tuple[list[SetPredictions], list[str]]:
    rows = said[0].rows
    for other in said[1:]:
        rows = np.intersect1d(rows, other.rows)
    sizes = [f"{model.name} {len(own.rows)}" for model, own in zip(models, said, strict=True)]
    if not len(rows):
        raise UsageError(
            f"expected models that were measured on some of the same frames; got none in common "
            f"({', '.join(sizes)} frames); compare models of one split, or folds of one number"
        )
    shared = [cut_predictions(own, np.flatnonzero(np.isin(own.rows, rows))) for own in said]
    if all(len(own.rows) == len(rows) for own in said):
        return shared, []
    videos = len(set(shared[0].videos.tolist()))
    notice = (
        f"the models were measured on different frames ({', '.join(sizes)}): only the {len(rows)} "
        f"that all share are compared here, of {videos} videos"
    )
    return shared, [notice]


def _split_notices(models: Sequence[ModelPredictions]) -> list[str]:
    """Say where splits differ and what that leaves unproven, and what is known of each model."""
    notices = [notice for model in models for notice in model.notices]
    splits = {model.predictions.split for model in models if model.is_run}
    if len(splits) > 1:
        notices.append("the splits differ: the networks learned from different people")
        if any("not known" in split for split in splits):
            notices.append(
                "NOT PROVEN that no network learned from the people it is compared on: the data "
                "does not say who is seen, and the splits differ"
            )
    return notices


# --- the same classes ----------------------------------------------------------------------------


def _match_classes(
    models: Sequence[ModelPredictions], said: Sequence[SetPredictions]
) -> tuple[list[SetPredictions], list[str]]:
    """Let models with more classes than others choose among those that all know."""
    found, notices = list(said), []
    names = {target.head.name for own in said for target in own.heads if _is_classes(target.head)}
    for head in sorted(names):
        known = [_classes_of(own, head) for own in said]
        least = min((classes for classes in known if classes), key=len)
        for at, classes in enumerate(known):
            if classes is None or classes == least:
                continue
            if not set(least) <= set(classes):
                raise UsageError(
                    f"expected models of which one knows all classes of the other; "
                    f"{models[at].name} knows {', '.join(classes)}, another {', '.join(least)}"
                )
            if len(classes) > len(least):
                notices.append(
                    f"{models[at].name} knows {len(classes)} classes and chooses here among "
                    f"{len(least)}: {', '.join(least)}"
                )
            found[at] = _with_classes(found[at], head, least)
    return found, notices


def _is_classes(head: Head) -> bool:
    return head.kind is HeadKind.CATEGORICAL


def _classes_of(said: SetPredictions, head: str) -> tuple[str, ...] | None:
    for target in said.heads:
        if target.head.name == head and _is_classes(target.head):
            return target.names
    return None


def _with_classes(said: SetPredictions, head: str, names: tuple[str, ...]) -> SetPredictions:
    """Return predictions of some classes only; frames of others lose their label."""
    at = [(_classes_of(said, head) or ()).index(name) for name in names]
    truth = said.targets[head][:, at].copy()
    truth[np.abs(truth.sum(axis=1) - 1) > 1e-4] = np.nan
    heads = tuple(
        replace(target, head=replace(target.head, size=len(names)), names=names)
        if target.head.name == head
        else target
        for target in said.heads
    )
    return replace(
        said,
        heads=heads,
        outputs={**said.outputs, head: said.outputs[head][:, at]},
        targets={**said.targets, head: truth},
    )


def _difference(
    first: SetPredictions, second: SetPredictions, *, unit: Unit, repeats: int
) -> dict[str, Any]:
    kinds = [
        {target.head.name for target in own.heads if target.head.kind in _COMPARED_KINDS}
        for own in (first, second)
    ]
    if not kinds[0] & kinds[1]:
        return {"frames": 0, "intervals_over": unit, "heads": {}}
    return compare_predictions(first, second, unit=unit, repeats=repeats)
