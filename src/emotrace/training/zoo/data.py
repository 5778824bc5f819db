"""From a recipe to examples: cut the data, divide it, match its labels with the network's heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.datasets.balancing import (
    OversamplingSettings,
    class_counts,
    oversample_windows,
    reciprocal_weights,
    sample_weights,
)
from emotrace.datasets.density import downsample_by_density
from emotrace.datasets.windows import WindowSettings
from emotrace.errors import TrainingError, UsageError
from emotrace.models.architecture import HeadKind, InputKind
from emotrace.training.examples import Examples, require_examples, require_row_shape
from emotrace.training.known_people import Known, known_by_vectors, meet
from emotrace.training.stretches import (
    Found,
    cut_stretches,
    cut_windows,
    keep_ends,
    spaced_sum,
)
from emotrace.training.targets import head_targets, match_heads
from emotrace.training.zoo.sources import open_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emotrace.datasets.items import SideName
    from emotrace.models.architecture import Head
    from emotrace.training.stretches import ExampleWindows
    from emotrace.training.targets import HeadTargets
    from emotrace.training.zoo.recipe import ZooRecipe
    from emotrace.training.zoo.sources import OpenData

USUAL_SEQUENCE_STEPS: Final = 16
"""Steps of a sequence where neither the recipe nor the network says."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ZooData:
    """The examples of a run."""

    train: Examples
    sides: dict[SideName, Examples]
    """Validation and test, as far as there are any."""
    heads: tuple[HeadTargets, ...]
    facts: dict[str, Any]
    """What a record of the run says of them: path, fingerprint, split, counts."""
    notices: tuple[str, ...]
    """The split, and what is left out, in plain words."""
    cutter: Cutter

    def whole(self, side: SideName) -> Examples:
        """Return every stretch without a gap of a side of sequences, from beginning to end."""
        return self.cutter.place_whole(self.sides[side], side)

    def labelled_rows(self, side: SideName) -> NDArray[np.int64]:
        """Return the rows of a side that have some label, also where no face was found."""
        return np.flatnonzero(self.cutter.rows_of(side) & self.cutter.has_target)


def load_data(
    recipe: ZooRecipe,
    *,
    kind: InputKind,
    heads: Sequence[Head],
    matched: Sequence[HeadTargets] | None = None,
    opened: OpenData | None = None,
    known: Known | None = None,
) -> ZooData:
    """Build the examples of a recipe for a network.

    Args:
        recipe: Data, split, windows, labels.
        kind: What the network takes.
        heads: What it gives.
        matched: What each value of each head stands for, where that is settled (by the run that a
            network comes from).
        opened: The data, open already, to score and not to learn from: of its training side nothing
            is asked.
        known: Whom the network knows through the weights that it began with. Of data that is not
            open yet, the split is held against them, and against whom the maker of vectors knows.

    Raises:
        DatasetError: The data is not there, damaged, leaks, or has labels outside the set.
        UsageError: The data, the network and the recipe do not fit one another.
        TrainingError: Nothing is left to learn from.
    """
    data, known = opened, known or Known()
    if data is None:
        data = open_data(recipe)
        known = known.join(known_by_vectors(data.source))
        data = meet(data, known, recipe.data)
    require_row_shape(kind, data.source.row_shape, data.path)
    chosen = tuple(matched or match_heads(heads, data.labels, recipe.targets))
    targets = head_targets(chosen, data.labels, recipe.targets)
    nothing = np.empty(0, np.int64)
    blank = Examples(
        kind=kind,
        source=data.source,
        names=data.names,
        targets=targets,
        classes=_balanced_classes(chosen, targets, len(data.labels.classes)),
        first=nothing,
        steps=nothing,
        spacing=recipe.windows.spacing,
        target_offset=recipe.windows.target_offset,
        last_only=recipe.windows.step_targets == "last",
    )
    cutter = Cutter(data, recipe, kind, targets)
    train = cutter.place(blank, "train", is_training=True)
    if opened is None:
        require_examples(train, "learn from")
        train = _weighed(_sampled(train, data, recipe), recipe)
    sides: dict[SideName, Examples] = {}
    for side in ("validation", "test"):
        if len(data.split.sides.get(side, ())):
            sides[side] = cutter.place(blank, side, is_training=False)
    return ZooData(
        train=train,
        sides=sides,
        heads=chosen,
        facts=_facts(data, train, sides, chosen, recipe) | {"known_through": known.to_json()},
        notices=(data.split.describe(), *cutter.losses(train)),
        cutter=cutter,
    )


def steps_of(kind: InputKind, options: Any, windows: ExampleWindows) -> int:
    """Return how many steps an example has.

    Raises:
        UsageError: The network takes clips of another length.
    """
    if kind is InputKind.IMAGE:
        return 1
    if kind is InputKind.CLIP:
        frames = int(options.frames)
        if windows.steps not in (0, frames):
            raise UsageError(
                f"expected examples of {frames} steps, as many frames as the network takes; got "
                f"{windows.steps}"
            )
        return frames
    return windows.steps or USUAL_SEQUENCE_STEPS


class Cutter:
    """Cuts the rows of each side into examples, and knows what that leaves out."""

    def __init__(
        self,
        data: OpenData,
        recipe: ZooRecipe,
        kind: InputKind,
        targets: dict[str, NDArray[np.float32]],
    ) -> None:
        self._data, self._kind = data, kind
        self._windows = recipe.windows
        self._steps = steps_of(kind, recipe.options, recipe.windows)
        self.has_target: NDArray[np.bool_] = np.any(
            [np.isfinite(values).any(axis=1) for values in targets.values()], axis=0
        )
        """`(rows,)`: the row has some label."""

    def rows_of(self, side: SideName) -> NDArray[np.bool_]:
        """Return `(rows,)`: the row belongs to a side of the split."""
        return self._data.rows_of(side)

    def place_whole(self, blank: Examples, side: SideName) -> Examples:
        """Return the whole stretches of a side."""
        if self._data.cache is None:
            raise UsageError("expected sequences to run over; FER+ has none")
        found = cut_stretches(self._data.cache, self._windows, has_target=self.has_target)
        kept = self._data.rows_of(side)[found.first]
        return replace(blank, first=found.first[kept], steps=found.steps[kept])

    def place(self, blank: Examples, side: SideName, *, is_training: bool) -> Examples:
        """Return the examples of a side."""
        is_own = self._data.rows_of(side)
        found = self._cut(blank, is_training=is_training)
        kept = is_own[found.first]
        return replace(blank, first=found.first[kept], steps=found.steps[kept])

    def _cut(self, blank: Examples, *, is_training: bool) -> Found:
        data, windows, steps = self._data, self._windows, self._steps
        if data.cache is None:
            if self._kind is not InputKind.IMAGE:
                raise UsageError(
                    f"expected a network of single pictures for FER+, which has no sequences; got "
                    f"one of the kind {self._kind.value!r}"
                )
            first = np.flatnonzero(self.has_target)
            return Found(first=first, steps=np.ones(len(first), np.int64))
        every_step = blank.is_sequence and not blank.last_only
        # What is measured is neither thinned nor measured twice.
        if every_step and (windows.keep_short or not is_training):
            found = cut_stretches(data.cache, windows, has_target=self.has_target, longest=steps)
        else:
            found = cut_windows(
                data.cache,
                windows,
                steps=steps,
                has_target=self.has_target,
                any_step=every_step,
                stride=None if is_training else 1,
            )
        is_cut = windows.ends_only == "always" or (is_training and windows.ends_only == "train")
        return keep_ends(found, data.cache, spacing=windows.spacing) if is_cut else found

    def losses(self, train: Examples) -> list[str]:
        """Say in plain words what of the training side no example holds."""
        is_own = self._data.rows_of("train") & self.has_target
        reached = np.zeros(len(is_own), np.bool_)
        span = (int(train.steps.max(initial=1)) - 1) * train.spacing + 1
        if train.is_sequence and not train.last_only:
            edges = np.zeros(len(is_own) + train.spacing, np.int64)
            begin = train.first + train.target_offset
            np.add.at(edges, begin, 1)
            np.add.at(edges, begin + train.steps * train.spacing, -1)
            reached = spaced_sum(edges, train.spacing)[: len(is_own)] > 0
        else:
            reached[train.target_rows] = True
        lost = is_own & ~reached
        if not lost.any():
            return []
        video = self._data.names.video
        whole = np.setdiff1d(np.unique(video[is_own]), np.unique(video[is_own & reached]))
        text = (
            f"{int(lost.sum()):,} of {int(is_own.sum()):,} labelled training frames are learned "
            f"by no example ({len(whole):,} clips lose all): each takes {span} frames in a row"
            + ("" if self._windows.ends_only == "never" else ", and ends where its clip does")
        )
        return [text]


def _balanced_classes(
    heads: Sequence[HeadTargets], targets: dict[str, NDArray[np.float32]], rows: int
) -> NDArray[np.int64]:
    """Return `(rows,)`: the class in the first head of classes, -1 for none."""
    for target in heads:
        if target.is_of_classes:
            shares = targets[target.head.name]
            known = np.asarray(np.isfinite(shares).all(axis=1), np.bool_)
            top = np.where(known[:, None], shares, -1).argmax(axis=1)
            return np.where(known, top, -1).astype(np.int64)
    return np.full(rows, -1, np.int64)


def _sampled(train: Examples, data: OpenData, recipe: ZooRecipe) -> Examples:
    """Leave out or repeat examples, as the recipe's sampling says."""
    sampling = recipe.sampling
    if sampling.density != "none":
        values = train.targets.get("valence_arousal")
        if values is None or values.shape[1] != 2:
            raise UsageError(
                "expected a head 'valence_arousal' of two values to sample by density; the "
                f"network has {', '.join(train.targets)}"
            )
        known = values[train.target_rows]
        subset = downsample_by_density(
            known[:, 0], known[:, 1], reference=sampling.density, seed=recipe.seed
        )
        train = train.select(subset.kept)
        require_examples(train, "learn from after sampling by density")
    if sampling.sampling != "oversample":
        return train
    if data.cache is None:
        raise UsageError("expected videos to oversample windows of; FER+ has none")
    classes = np.where(data.rows_of("train"), train.classes, -1)
    windows = data.cache.windows(
        WindowSettings(length=sampling.oversampling_window, stride=sampling.oversampling_window)
    )
    chosen = oversample_windows(
        classes,
        windows.first[data.rows_of("train")[windows.first]],
        classes=int(classes.max(initial=0)) + 1,
        settings=OversamplingSettings(
            window_length=sampling.oversampling_window,
            stride=sampling.oversampling_window,
            repeats=sampling.oversampling_repeats,
        ),
    )
    times = np.bincount(chosen.rows, minlength=len(classes))
    return replace(train, repeats=times[train.target_rows].astype(np.int64))


def _weighed(train: Examples, recipe: ZooRecipe) -> Examples:
    """Give each row the weight of its class; those without a class keep 1."""
    if recipe.losses.sample_weighting == "none":
        return train
    met = train.classes[train.rows_with_targets]
    classes = int(train.classes.max(initial=-1)) + 1
    if not (met >= 0).any():
        raise TrainingError(
            "expected classes to weigh samples by; none of the training examples has one; choose "
            "sample_weighting none"
        )
    weights = reciprocal_weights(class_counts(met, classes))
    of_rows = sample_weights(train.classes, weights)
    return replace(train, row_weights=np.where(train.classes >= 0, of_rows, 1.0).astype(np.float32))


def _facts(
    data: OpenData,
    train: Examples,
    sides: dict[SideName, Examples],
    heads: Sequence[HeadTargets],
    recipe: ZooRecipe,
) -> dict[str, Any]:
    made_by = getattr(data.source, "record", {})
    return {
        "path": str(data.path.resolve()),
        "sha256": data.fingerprint,
        "examples": {"train": len(train)} | {side: len(found) for side, found in sides.items()},
        "split": data.split.to_json() if data.cache is not None else data.split.describe(),
        "crop": None if data.cache is None else data.cache.manifest["cropping"]["crop"],
        "dataset": data.datasets,
        "extractor": {name: made_by[name] for name in ("description", "extractor") if made_by},
        "frame_seconds": _frame_seconds(data),
        "class_shares": _class_shares(train, heads, recipe),
        "train_subjects": _subjects_of(data, "train"),
        "validation_subjects": _subjects_of(data, recipe.data.validate_on),
    }


def _subjects_of(data: OpenData, side: SideName) -> list[str]:
    """Return everybody who is on a side, as far as that is known."""
    subjects = data.split.items.subjects or ()
    items = np.asarray(data.split.sides.get(side, ()), np.int64).tolist()
    return sorted({subjects[at] or "" for at in items if subjects} - {""})


def _frame_seconds(data: OpenData) -> float | None:
    """Return the usual time from one frame to the next; None where no times are known."""
    if data.cache is None:
        return None
    frames = data.cache.frames
    step = np.diff(frames.timestamp_seconds)[np.diff(frames.clip) == 0]
    step = step[np.isfinite(step) & (step > 0)]
    return round(float(np.median(step)), 6) if len(step) else None


def _class_shares(
    train: Examples, heads: Sequence[HeadTargets], recipe: ZooRecipe
) -> dict[str, dict[str, float]]:
    """Return how often each class is met in training, as drawn, by the last target of examples."""
    found = {}
    for target in heads:
        if target.head.kind is not HeadKind.CATEGORICAL:
            continue
        shares = train.targets[target.head.name][train.target_rows]
        times = np.ones(len(shares)) if train.repeats is None else train.repeats
        met: NDArray[np.float64] = np.nansum(shares * times[:, None], axis=0, dtype=np.float64)
        if recipe.sampling.sampling == "classes":
            met = np.where(met > 0, met ** (1.0 - recipe.sampling.balance_power), 0.0)
        met = met / max(met.sum(), 1e-12)
        found[target.head.name] = {
            name: round(float(share), 6) for name, share in zip(target.names, met, strict=True)
        }
    return found
