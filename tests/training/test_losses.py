"""The loss against torch's own cross-entropy and against what it is meant to do."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.training.losses import prior_adjusted_cross_entropy

SEEDS = st.integers(0, 2**32 - 1)


def draw(seed: int, rows: int = 6, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(seed)
    logits = torch.from_numpy(generator.normal(0, 3, (rows, classes)).astype(np.float32))
    shares = torch.from_numpy(generator.dirichlet(np.ones(classes), rows).astype(np.float32))
    return logits, shares


@settings(deadline=None)
@given(SEEDS)
def test_under_a_uniform_prior_it_is_plain_cross_entropy(seed: int) -> None:
    logits, shares = draw(seed)
    torch.testing.assert_close(
        prior_adjusted_cross_entropy(logits, shares, torch.full((4,), 0.25).log()),
        torch.nn.functional.cross_entropy(logits, shares),
    )


@settings(deadline=None)
@given(SEEDS)
def test_rows_without_a_label_add_nothing(seed: int) -> None:
    logits, shares = draw(seed)
    log_prior = torch.tensor([0.1, 0.2, 0.3, 0.4]).log()
    more = torch.cat([shares, torch.zeros(3, 4)])
    torch.testing.assert_close(
        prior_adjusted_cross_entropy(torch.cat([logits, logits[:3] * 7]), more, log_prior),
        prior_adjusted_cross_entropy(logits, shares, log_prior),
    )


def test_without_any_label_the_loss_is_zero_and_moves_nothing() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    loss = prior_adjusted_cross_entropy(logits, torch.zeros(3, 4), torch.full((4,), 0.25).log())
    torch.autograd.backward(loss)
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not bool(logits.grad.any())


@settings(deadline=None)
@given(SEEDS)
def test_its_gradient_is_what_is_predicted_under_the_prior_less_what_was_voted(seed: int) -> None:
    logits, shares = draw(seed)
    logits.requires_grad_()
    prior = torch.tensor([0.7, 0.1, 0.1, 0.1])
    torch.autograd.backward(prior_adjusted_cross_entropy(logits, shares, prior.log()))
    weighted = torch.exp(logits.detach()) * prior
    predicted = weighted / weighted.sum(dim=1, keepdim=True)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, (predicted - shares) / 6, atol=1e-6, rtol=1e-4)


def test_where_labels_follow_the_prior_balanced_logits_are_already_best() -> None:
    """Pictures that say nothing: the loss must leave the logits equal, whatever the prior."""
    prior = torch.tensor([0.6, 0.3, 0.1])
    logits = torch.zeros(10, 3, requires_grad=True)
    shares = torch.eye(3).repeat_interleave(torch.tensor([6, 3, 1]), dim=0)
    torch.autograd.backward(prior_adjusted_cross_entropy(logits, shares, prior.log()))
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.sum(dim=0), torch.zeros(3), atol=1e-6, rtol=0)
    # Plain cross-entropy would push the common class up.
    torch.autograd.backward(torch.nn.functional.cross_entropy(logits, shares))
    assert float(logits.grad.sum(dim=0)[0]) < -0.1


def test_half_precision_logits_are_widened() -> None:
    logits, shares = draw(1)
    flat = torch.zeros(4)
    loss = prior_adjusted_cross_entropy(logits.bfloat16(), shares, flat)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(
        loss, prior_adjusted_cross_entropy(logits.bfloat16().float(), shares, flat)
    )
