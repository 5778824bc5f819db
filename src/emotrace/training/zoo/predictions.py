"""What a trained network says of one side of a data set, row by row.

Sequence networks run over each stretch without a gap from its beginning to its end, carrying their
state: exactly what `analyze` would have them say. Where their steps lie several frames apart, they
run once from each of a stretch's first frames, so that every frame is a step once. Those that were
taught by the last step of a window can be run over windows instead, each from the beginning, as in
rangulov2020.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import torch
from torch import Tensor

from emotrace.datasets.windows import fill_unreached
from emotrace.errors import DatasetError, UsageError
from emotrace.models.architecture import (
    HeadKind,
    SequenceNetwork,
    SequenceOutput,
    split_outputs,
)
from emotrace.training.own_data import load_own_data, open_own_data, require_same_extractor
from emotrace.training.sampling import SamplingSettings, evaluation_loader
from emotrace.training.zoo.data import load_data
from emotrace.training.zoo.module import as_inputs, run_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from emotrace.datasets.items import SideName
    from emotrace.training.examples import Examples, RowNames
    from emotrace.training.targets import HeadTargets
    from emotrace.training.zoo.data import ZooData
    from emotrace.training.zoo.run import TrainedNetwork
    from emotrace.training.zoo.sources import OpenData

Over = Literal["auto", "stretches", "windows"]
ScoredSide = Literal["validation", "test", "whole"]
"""What predictions are made of: a side of a split, or everything."""
_ALWAYS_THERE: Final = frozenset({"valence", "arousal"})
"""Columns that every data set has, if only empty."""
_PIECE_STEPS: Final = 32
"""Steps that a sequence network is given at a time; its state goes from one piece to the next."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RowPlaces:
    """Where n rows lie in their videos."""

    frame: NDArray[np.int64]
    """`(n,)`: frame number."""
    face: NDArray[np.int64]
    """`(n,)`: number of the face."""
    seconds: NDArray[np.float64]
    """`(n,)`: presentation time; NaN where it is not known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SetPredictions:
    """Outputs and truth of n rows (frames or pictures)."""

    title: str
    """What predicted them."""
    side: SideName | ScoredSide
    heads: tuple[HeadTargets, ...]
    rows: NDArray[np.int64]
    """`(n,)`: rows of the data, rising."""
    videos: NDArray[np.str_]
    """`(n,)`: names."""
    subjects: NDArray[np.str_]
    """`(n,)`: names; empty where it is not known who is seen."""
    outputs: Mapping[str, NDArray[np.float32]]
    """Head to `(n, values)`, raw; NaN where the network could not predict."""
    targets: Mapping[str, NDArray[np.float32]]
    """Head to `(n, values)`, NaN where there is no label."""
    split: str
    """How the data was divided, and what that proves."""
    places: RowPlaces | None = None
    """Where the rows lie; None where nobody asked."""


def predict_side(
    trained: TrainedNetwork,
    *,
    side: SideName = "test",
    data: ZooData | None = None,
    over: Over = "auto",
    batch_size: int = 16,
    device: str | torch.device = "cpu",
) -> SetPredictions:
    """Run a trained network over one side of its data.

    Frames with a label that the network cannot predict (without a face, before a first window is
    full) stay in the result: values are filled between their neighbours and held at the ends, as in
    rangulov2020; classes stay unpredicted, and scores say how many.

    Args:
        trained: What a run left.
        side: `validation` or `test`.
        data: Its data, where that is open already; else the run's own recipe is followed, and the
            data must be what the run learned from.
        over: `stretches` from beginning to end; `windows` as in training; `auto`: windows for
            networks taught by the last step of one, else stretches.
        batch_size: Examples at a time; no output depends on it but for rounding.
        device: Where it runs.

    Raises:
        DatasetError: The data is not there, has changed, or has no such side; or one whom a network
            knows that the run builds on.
        UsageError: Its vectors have become another network's.
    """
    record = trained.record
    data = data or load_own_data(trained, open_own_data(trained, record.recipe))
    if side not in data.sides or not len(data.sides[side]):
        raise DatasetError(
            f"expected a {side} side of the split to measure on; there is {data.notices[0]}; "
            "choose another side or protocol"
        )
    examples = data.sides[side]
    if over == "auto":
        over = "windows" if examples.last_only else "stretches"
    network = trained.network.eval().to(device)
    with torch.inference_mode():
        if isinstance(network, SequenceNetwork) and over == "stretches":
            rows, outputs = _run_stretches(
                network, data.whole(side), record.recipe.options, batch_size, device
            )
        else:
            rows, outputs = _run_examples(
                network, examples, record.recipe.options, batch_size, device
            )
    title = f"{record.recipe.architecture}, {trained.checkpoint.name}"
    return _collect(title, side, data, rows, split_outputs(outputs, trained.network.heads))


def predict_run_on(
    trained: TrainedNetwork,
    data: OpenData,
    *,
    side: ScoredSide,
    ignore_other_labels: bool = False,
    over: Over = "auto",
) -> SetPredictions:
    """Run a trained network over data that it did not learn from.

    Heads for which the data has no columns (action units) are left out.

    Args:
        trained: What a run left.
        data: Opened with `whole` for the side `whole`, else with a protocol that has the side.
        side: What to predict.
        ignore_other_labels: Take labels that the network does not know for missing.
        over: As `predict_side` says.

    Raises:
        DatasetError: There is no such side, or a label that the network does not know.
        UsageError: The data does not fit the network, or holds another network's vectors.
    """
    record = trained.record
    require_same_extractor(trained, data)
    settings = replace(
        record.recipe.targets,
        ignore_other_labels=ignore_other_labels or record.recipe.targets.ignore_other_labels,
    )
    known = [
        target
        for target in record.heads
        if target.is_of_classes or set(target.names) <= {*data.labels.columns, *_ALWAYS_THERE}
    ]
    loaded = load_data(
        replace(record.recipe, targets=settings, sampling=SamplingSettings()),
        kind=record.architecture.kind,
        heads=trained.network.heads,
        matched=known,
        opened=data,
    )
    found = predict_side(trained, side="test" if side == "whole" else side, data=loaded, over=over)
    return replace(found, side=side)


def places_of(names: RowNames, rows: NDArray[np.int64]) -> RowPlaces:
    """Return where rows of the data lie in their videos."""
    seconds = np.full(len(rows), np.nan) if names.seconds is None else names.seconds[rows]
    return RowPlaces(
        frame=names.frame[rows].astype(np.int64),
        face=names.face[rows].astype(np.int64),
        seconds=np.asarray(seconds, np.float64),
    )


def _run_examples(
    network: Any, examples: Examples, options: Any, batch_size: int, device: str | torch.device
) -> tuple[NDArray[np.int64], Tensor]:
    """Return the rows that examples predict and the outputs for them."""
    found: list[Tensor] = []
    for batch in evaluation_loader(examples, batch_size=batch_size):
        inputs = as_inputs(batch.inputs.to(device), examples.kind, options)
        outputs = run_network(network, inputs[:, 0] if _is_still(examples) else inputs)
        found.append(outputs.float().cpu())
    outputs = torch.cat(found)
    if not examples.is_sequence:
        return examples.target_rows, outputs
    if examples.last_only:
        last = torch.from_numpy(examples.steps - 1)
        return examples.target_rows, outputs[torch.arange(len(outputs)), last]
    step = np.arange(outputs.shape[1])
    is_own = step < examples.steps[:, None]
    rows = examples.first[:, None] + step * examples.spacing + examples.target_offset
    return rows[is_own], outputs[torch.from_numpy(is_own)]


def _is_still(examples: Examples) -> bool:
    return examples.kind.value == "image"


def _run_stretches(
    network: SequenceNetwork,
    examples: Examples,
    options: Any,
    batch_size: int,
    device: str | torch.device,
) -> tuple[NDArray[np.int64], Tensor]:
    """Run over whole stretches in pieces, with the state in between."""
    # Alike lengths together: a batch goes on until its longest stretch ends.
    order = np.argsort(-examples.steps, kind="stable")
    rows: list[NDArray[np.int64]] = []
    outputs: list[Tensor] = []
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        first, steps = examples.first[chosen], examples.steps[chosen]
        state = network.initial_state(len(chosen))
        for begin in range(0, int(steps.max()), _PIECE_STEPS):
            step = np.arange(begin, min(begin + _PIECE_STEPS, int(steps.max())))
            # Past a stretch's end its last row is given again; nothing of that is kept.
            read = first[:, None] + np.minimum(step, steps[:, None] - 1) * examples.spacing
            given = examples.source.read(read.reshape(-1))
            shaped = given.reshape(*read.shape, *examples.source.row_shape)
            inputs = as_inputs(torch.from_numpy(shaped).to(device), examples.kind, options)
            said: SequenceOutput = network(inputs, state)
            state = said.state
            is_own = step < steps[:, None]
            said_of = first[:, None] + step * examples.spacing + examples.target_offset
            rows.append(said_of[is_own])
            outputs.append(said.outputs.float().cpu()[torch.from_numpy(is_own)])
    return np.concatenate(rows), torch.cat(outputs)


def _collect(
    title: str,
    side: SideName,
    data: ZooData,
    rows: NDArray[np.int64],
    outputs: Mapping[str, Tensor],
) -> SetPredictions:
    """Lay outputs beside the truth of every labelled row of the side."""
    examples, names = data.sides[side], data.sides[side].names
    labelled = data.labelled_rows(side)
    found: dict[str, NDArray[np.float32]] = {}
    for target in data.heads:
        name = target.head.name
        of_rows = np.full((len(names.video), target.head.size), np.nan, np.float32)
        of_rows[rows] = outputs[name].numpy()
        if target.head.kind is HeadKind.CONTINUOUS:
            known = np.isfinite(of_rows).all(axis=1)
            # By video: a frame without a face lies between those of the one that has labels.
            of_rows = fill_unreached(of_rows, known, names.video, names.frame).astype(np.float32)
        found[name] = of_rows[labelled]
    return SetPredictions(
        title=title,
        side=side,
        heads=data.heads,
        rows=labelled,
        videos=np.asarray(names.videos, np.str_)[names.video[labelled]],
        subjects=_subjects(names)[names.video[labelled]],
        outputs=found,
        targets={name: values[labelled] for name, values in examples.targets.items()},
        split=data.notices[0],
        places=places_of(names, labelled),
    )


def _subjects(names: RowNames) -> NDArray[np.str_]:
    return np.asarray([name or "" for name in names.subjects], np.str_)


def align(first: SetPredictions, second: SetPredictions) -> tuple[SetPredictions, SetPredictions]:
    """Return both, cut to the rows and heads that they share.

    Raises:
        UsageError: They are of different data: rows have other names or other truth.
    """
    both, at_first, at_second = np.intersect1d(first.rows, second.rows, return_indices=True)
    names = [target.head.name for target in first.heads]
    heads = tuple(target for target in second.heads if target.head.name in names)
    cut = (cut_predictions(first, at_first), cut_predictions(second, at_second))
    same = (
        len(both) > 0
        and bool(heads)
        and np.array_equal(cut[0].videos, cut[1].videos)
        and all(
            np.array_equal(
                cut[0].targets[target.head.name], cut[1].targets[target.head.name], equal_nan=True
            )
            for target in heads
        )
    )
    if not same:
        raise UsageError(
            f"expected predictions of the same frames with the same labels; {first.title} and "
            f"{second.title} share none or differ in their truth; measure both on one data set and "
            "side, with the same classes"
        )
    return cut[0], cut[1]


def cut_predictions(predictions: SetPredictions, at: NDArray[np.int64]) -> SetPredictions:
    """Return some of the rows, by position."""
    places = predictions.places
    if places is not None:
        places = RowPlaces(frame=places.frame[at], face=places.face[at], seconds=places.seconds[at])
    return replace(
        predictions,
        rows=predictions.rows[at],
        videos=predictions.videos[at],
        subjects=predictions.subjects[at],
        outputs={name: values[at] for name, values in predictions.outputs.items()},
        targets={name: values[at] for name, values in predictions.targets.items()},
        places=places,
    )


def group_names(predictions: SetPredictions, unit: Literal["video", "subject"]) -> NDArray[np.str_]:
    """Return `(n,)`: what is drawn again for intervals.

    Raises:
        UsageError: It is not known who is seen.
    """
    if unit == "video":
        return predictions.videos
    if not all(predictions.subjects.tolist()):
        raise UsageError(
            "expected to know the subject of every video for intervals over subjects; some are not "
            "known; draw videos instead"
        )
    return predictions.subjects
