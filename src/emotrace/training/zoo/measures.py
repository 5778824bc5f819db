"""How good outputs are, head by head: what validation after each epoch looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import torch

from emotrace.errors import UsageError, did_you_mean
from emotrace.metrics import accuracy, confusion_matrix, macro_f1, unweighted_average_recall
from emotrace.models.architecture import HeadKind
from emotrace.training.losses import concordance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from emotrace.training.targets import HeadTargets

LOSS_MEASURE: Final = "loss"
_SMALLER_IS_BETTER: Final = ("loss", "rmse")


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """The measure that decides which epoch is best."""

    name: str
    """`expression_uar`, `valence_arousal_ccc`, `loss`, ..."""
    mode: Literal["max", "min"]

    def is_better(self, value: float, best: float | None) -> bool:
        """Say whether a value beats the best so far; NaN beats nothing."""
        if not np.isfinite(value):
            return False
        if best is None:
            return True
        return value > best if self.mode == "max" else value < best


def measure_names(heads: Sequence[HeadTargets]) -> tuple[str, ...]:
    """Return every measure of a network's heads, the loss last."""
    names: list[str] = []
    for target in heads:
        head = target.head
        if head.kind is HeadKind.CATEGORICAL:
            names += [f"{head.name}_{what}" for what in ("uar", "accuracy", "macro_f1")]
        elif head.kind is HeadKind.MULTI_LABEL:
            names += [f"{head.name}_{what}" for what in ("f1", "accuracy")]
        else:
            names += [f"{head.name}_ccc", f"{head.name}_rmse"]
            names += [f"{column}_ccc" for column in target.names if len(target.names) > 1]
    return (*names, LOSS_MEASURE)


def choose_monitor(name: str, heads: Sequence[HeadTargets]) -> Monitor:
    """Return the measure of a name; `auto` is the first head's.

    Raises:
        UsageError: There is none of that name; the message lists them.
    """
    names = measure_names(heads)
    chosen = names[0] if name == "auto" else name.removeprefix("validation_")
    if chosen not in names:
        hint = did_you_mean(chosen, names)
        raise UsageError(f"expected monitor to be one of {', '.join(names)}; got {name!r}{hint}")
    is_small = chosen.endswith(_SMALLER_IS_BETTER)
    return Monitor(name=chosen, mode="min" if is_small else "max")


def measure_heads(
    outputs: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    heads: Sequence[HeadTargets],
) -> dict[str, float]:
    """Score outputs over everything that has a label; NaN where nothing has.

    Args:
        outputs: Head to `(n, values)`: raw, as the network gives them.
        targets: Head to `(n, values)`, NaN where there is no label.
        heads: What the values are.

    Returns:
        By the names of `measure_names`, without the loss.
    """
    found: dict[str, float] = {}
    for target in heads:
        name = target.head.name
        values, truth = outputs[name].float(), targets[name].float()
        if target.head.kind is HeadKind.CATEGORICAL:
            known, predicted = top_classes(values, truth)
            classes = len(target.names)
            found[f"{name}_uar"] = unweighted_average_recall(known, predicted, classes)
            found[f"{name}_accuracy"] = accuracy(known, predicted)
            found[f"{name}_macro_f1"] = macro_f1(known, predicted, classes)
        elif target.head.kind is HeadKind.MULTI_LABEL:
            found[f"{name}_f1"], found[f"{name}_accuracy"] = _label_scores(values, truth)
        else:
            found |= _value_scores(target, values, truth)
    return found


def top_classes(logits: Tensor, shares: Tensor) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the true and the predicted class of every row that has a label."""
    known = ~shares.isnan().any(dim=-1)
    truth: NDArray[np.int64] = shares[known].argmax(dim=-1).cpu().numpy()
    predicted: NDArray[np.int64] = logits[known].argmax(dim=-1).cpu().numpy()
    return truth, predicted


def confusion(logits: Tensor, shares: Tensor, classes: int) -> NDArray[np.int64]:
    """Count `(classes, classes)`: rows are the truth, columns the prediction."""
    truth, predicted = top_classes(logits, shares)
    return confusion_matrix(truth, predicted, classes)


def _label_scores(logits: Tensor, truth: Tensor) -> tuple[float, float]:
    """Return the mean F1 over labels that occur, and the share of labels that are right."""
    known = ~truth.isnan()
    says, is_so = (logits > 0) & known, (truth > 0.5) & known
    hits = (says & is_so).sum(dim=0).double()
    both = (says.sum(dim=0) + is_so.sum(dim=0)).double()
    scores = 2 * hits[both > 0] / both[both > 0]
    right = ((says == is_so) & known).sum().double() / known.sum()
    return float(scores.mean()), float(right)


def _value_scores(target: HeadTargets, values: Tensor, truth: Tensor) -> dict[str, float]:
    ccc = concordance(values.double(), truth.double())
    known = ~truth.isnan()
    error = torch.where(known, values - truth, 0.0).square().sum() / known.sum()
    name = target.head.name
    found = {f"{name}_ccc": float(ccc.nanmean()), f"{name}_rmse": float(error.sqrt())}
    if len(target.names) > 1:
        found |= {
            f"{column}_ccc": float(value) for column, value in zip(target.names, ccc, strict=True)
        }
    return found
