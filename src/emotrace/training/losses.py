"""Losses: what is known of a batch against what a network says of it.

The losses of the zoo take outputs as `emotrace.models.architecture.split_outputs` gives them, and
targets of the same shape `(..., values)` in which NaN says "no label". What has no label adds
nothing, and a batch without any label has a loss of 0 that still leads back to the outputs: tasks
may be mixed in any way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from torch import Tensor

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LossName = Literal["cross_entropy", "mse", "ccc", "sigmoid"]
LOSS_NAMES: Final[tuple[LossName, ...]] = ("cross_entropy", "mse", "ccc", "sigmoid")


def prior_adjusted_cross_entropy(logits: Tensor, shares: Tensor, log_prior: Tensor) -> Tensor:
    """Cross-entropy of soft labels with the training prior added to the logits.

    Logit adjustment after Menon et al. (2021, arXiv:2007.07314, equation 10 with tau = 1): as the
    loss adds the logarithm of how often each class is met in training, the logits themselves learn
    what is left, the evidence in the picture, as if all classes were equally common. Soft labels
    (shares of votes) take the place of the paper's hard ones.

    Args:
        logits: `(batch, classes)`.
        shares: `(batch, classes)`, each row summing to 1, or to 0 where there is no label: such a
            row adds nothing.
        log_prior: `(classes,)`: logarithm of each class's share of the labels as sampled.

    Returns:
        Scalar: the mean over the rows that have a label (0 if none has).
    """
    log_probabilities = torch.log_softmax(logits.float() + log_prior, dim=1)
    weights = shares.sum(dim=1)
    total = -(shares * log_probabilities).sum()
    return total / weights.sum().clamp_min(1.0)


def cross_entropy(
    logits: Tensor,
    shares: Tensor,
    *,
    weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of soft or hard labels.

    Args:
        logits: `(..., classes)`.
        shares: `(..., classes)`: each row sums to 1 (one-hot for a hard label), or holds a NaN
            where there is no label.
        weights: `(...)`: of each sample, with a mean of 1 over the training set.
        label_smoothing: Share of every label that is spread evenly over all classes (Szegedy et al.
            2016, arXiv:1512.00567, section 7).

    Returns:
        Scalar: the (weighted) sum over the labelled samples divided by their number.
    """
    logits, shares = _same_shape(logits, shares)
    known = ~shares.isnan().any(dim=-1)
    target = torch.where(known.unsqueeze(-1), shares, 0.0)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / shares.shape[-1]
    losses = -(target * torch.log_softmax(logits, dim=-1)).sum(dim=-1)
    return _mean(losses, known, weights)


def mean_squared_error(
    outputs: Tensor, targets: Tensor, *, weights: Tensor | None = None
) -> Tensor:
    """Mean squared error over the values that are known.

    Args:
        outputs: `(..., values)`.
        targets: `(..., values)`, NaN where there is no label.
        weights: `(...)`: of each sample.
    """
    outputs, targets = _same_shape(outputs, targets)
    known = ~targets.isnan()
    losses = (outputs - torch.where(known, targets, 0.0)).square()
    return _mean(
        losses, known, None if weights is None else weights.unsqueeze(-1).expand_as(losses)
    )


def concordance(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return Lin's concordance correlation coefficient of each value (Lin 1989, Biometrics 45).

    Over the whole of what is given, all leading axes together, with the moments of the population
    (divided by n):

        2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y)) ** 2)

    Where the truth is constant its covariance with anything is 0, so that the coefficient is 0
    however near the outputs come, and gives no gradient; it is 1 where they equal it, and outputs
    that are the truth score exactly 1 everywhere. Without any label it is NaN.

    Args:
        outputs: `(..., values)`.
        targets: `(..., values)`, NaN where there is no label.

    Returns:
        `(values,)`, float32.
    """
    outputs, targets = _same_shape(outputs, targets)
    values = outputs.shape[-1]
    outputs, targets = outputs.reshape(-1, values), targets.reshape(-1, values)
    known = ~targets.isnan()
    count = known.sum(dim=0)
    divisor = count.clamp_min(1)
    x = torch.where(known, outputs, 0.0)
    y = torch.where(known, targets, 0.0)
    mean_x, mean_y = x.sum(dim=0) / divisor, y.sum(dim=0) / divisor
    x = torch.where(known, x - mean_x, 0.0)
    y = torch.where(known, y - mean_y, 0.0)
    covariance = (x * y).sum(dim=0) / divisor
    spread = (x * x).sum(dim=0) / divisor + (y * y).sum(dim=0) / divisor
    distance = spread + (mean_x - mean_y).square()
    # Two equal constants have a distance of 0; they agree, but the quotient would be 0 / 0.
    agree = distance == 0
    quotient = 2 * covariance / torch.where(agree, 1.0, distance)
    found = torch.where(agree, 1.0, quotient)
    return torch.where(count > 0, found, torch.nan)


def ccc_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return 1 less the mean concordance of the values that have labels (see `concordance`).

    tzirakis2021 and rangulov2020: `1 - (CCC_valence + CCC_arousal) / 2`. A value
    whose truth is constant in the batch adds its whole share of 1 and no gradient: batches must be
    long enough for the truth to change (`count_constant` tells).

    Args:
        outputs: `(..., values)`.
        targets: `(..., values)`, NaN where there is no label.
    """
    found = concordance(outputs, targets)
    known = ~found.isnan()
    losses = torch.where(known, 1 - found, 0.0)
    return losses.sum() / known.sum().clamp_min(1)


def count_constant(targets: Tensor) -> int:
    """Count the values of `(..., values)` whose known labels are all equal (and two or more)."""
    flat = targets.detach().reshape(-1, targets.shape[-1])
    known = ~flat.isnan()
    high = torch.where(known, flat, -torch.inf).amax(dim=0)
    low = torch.where(known, flat, torch.inf).amin(dim=0)
    return int(((high == low) & (known.sum(dim=0) > 1)).sum())


def sigmoid_cross_entropy(
    logits: Tensor, targets: Tensor, *, weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy of labels of which any may hold, each by itself (tzirakis2021, equation 1).

    The paper weighs "each sample based on the reciprocal of the number of frames of each emotion":
    `emotrace.datasets.balancing.sample_weights` gives `weights`.

    Args:
        logits: `(..., labels)`.
        targets: `(..., labels)` in [0, 1], NaN where it is not known whether a label holds.
        weights: `(...)`: of each sample, with a mean of 1 over the training set.

    Returns:
        Scalar: the (weighted) sum over the known labels divided by their number.
    """
    logits, targets = _same_shape(logits, targets)
    known = ~targets.isnan()
    losses = F.binary_cross_entropy_with_logits(
        logits, torch.where(known, targets, 0.0), reduction="none"
    )
    return _mean(
        losses, known, None if weights is None else weights.unsqueeze(-1).expand_as(losses)
    )


@dataclass(frozen=True, kw_only=True)
class LossTerm:
    """One task's part of a loss."""

    head: str
    """The network's head, by name."""
    loss: LossName
    weight: float = 1.0
    """What its loss is multiplied by in the sum."""
    label_smoothing: float = 0.0
    """Of `cross_entropy`."""

    def __post_init__(self) -> None:
        if self.loss not in LOSS_NAMES:
            raise UsageError(f"expected a loss out of {', '.join(LOSS_NAMES)}; got {self.loss!r}")
        if not self.weight >= 0:
            raise UsageError(f"expected a weight of 0 or more for {self.head}; got {self.weight}")
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"expected label_smoothing in [0, 1); got {self.label_smoothing}")


def multi_task_loss(
    outputs: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    terms: Sequence[LossTerm],
    *,
    weights: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum the losses of several tasks, each over the samples that have its labels.

    Args:
        outputs: Head to `(..., values)`, as `split_outputs` gives them.
        targets: Head to the same shape, NaN where there is no label; a head that is not there has
            no labels at all in this batch.
        terms: One for each task.
        weights: `(...)`: of each sample; does not touch `ccc`, which is no sum over samples.

    Returns:
        The sum of weight times loss, and each task's loss by head, unweighted.

    Raises:
        UsageError: A term names a head that the outputs lack.
    """
    # 0, but of the outputs: a batch without any label must go backward like every other.
    total = torch.cat([values.flatten()[:1].float() for values in outputs.values()]).sum() * 0.0
    parts: dict[str, Tensor] = {}
    for term in terms:
        if term.head not in outputs:
            raise UsageError(
                f"expected losses for the network's heads ({', '.join(outputs)}); "
                f"got one for {term.head!r}"
            )
        if term.head not in targets:
            continue
        part = _term_loss(term, outputs[term.head], targets[term.head], weights)
        parts[term.head] = part
        total = total + term.weight * part
    return total, parts


def _term_loss(term: LossTerm, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    if term.loss == "cross_entropy":
        return cross_entropy(
            outputs, targets, weights=weights, label_smoothing=term.label_smoothing
        )
    if term.loss == "mse":
        return mean_squared_error(outputs, targets, weights=weights)
    if term.loss == "sigmoid":
        return sigmoid_cross_entropy(outputs, targets, weights=weights)
    return ccc_loss(outputs, targets)


def _same_shape(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Widen both to float32: half precision keeps too few digits for sums over a batch."""
    if outputs.shape != targets.shape:
        raise UsageError(
            f"expected targets of the outputs' shape {tuple(outputs.shape)}; "
            f"got {tuple(targets.shape)}"
        )
    return outputs.float(), targets.float()


def _mean(losses: Tensor, known: Tensor, weights: Tensor | None) -> Tensor:
    # Not a product with the mask: a loss that is not finite must not reach what has no label.
    kept = torch.where(known, losses, 0.0)
    if weights is not None:
        kept = kept * weights
    return kept.sum() / known.sum().clamp_min(1)
