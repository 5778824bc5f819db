"""Losses."""

from __future__ import annotations

import torch
from torch import Tensor


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
