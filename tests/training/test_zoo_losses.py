"""The losses of the zoo against independent references and what they are meant to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from emotrace.errors import UsageError
from emotrace.metrics import concordance_correlation
from emotrace.models.architecture import Head, HeadKind, split_outputs
from emotrace.training.losses import (
    LossTerm,
    ccc_loss,
    concordance,
    count_constant,
    cross_entropy,
    mean_squared_error,
    multi_task_loss,
    sigmoid_cross_entropy,
)

SEEDS = st.integers(0, 2**32 - 1)
NAN = float("nan")


def series(seed: int, rows: int = 40, values: int = 2) -> tuple[Tensor, Tensor]:
    generator = np.random.default_rng(seed)
    truth = generator.normal(0.1, 0.4, (rows, values))
    said = 0.6 * truth + generator.normal(0.05, 0.3, (rows, values))
    return torch.from_numpy(said.astype(np.float32)), torch.from_numpy(truth.astype(np.float32))


# --- concordance ---------------------------------------------------------------------------------


@settings(max_examples=30)
@given(SEEDS)
def test_concordance_is_that_of_the_metrics_and_of_lins_own_words(seed: int) -> None:
    said, truth = series(seed)
    found = concordance(said, truth)
    for at in range(2):
        x, y = said[:, at].numpy().astype(np.float64), truth[:, at].numpy().astype(np.float64)
        assert float(found[at]) == pytest.approx(concordance_correlation(y, x), abs=1e-5)
        # Lin (1989): 1 less the expected squared distance over that of independent series.
        independent = np.mean((x[:, None] - y[None, :]) ** 2)
        assert float(found[at]) == pytest.approx(1 - np.mean((x - y) ** 2) / independent, abs=1e-5)


@settings(max_examples=50)
@given(SEEDS, st.sampled_from([1e-3, 1.0, 1e3]), st.integers(1, 60))
def test_a_perfect_prediction_loses_exactly_nothing(seed: int, scale: float, rows: int) -> None:
    _, truth = series(seed, rows)
    truth = truth * scale
    truth[rows // 2, 0] = NAN
    assert float(ccc_loss(torch.nan_to_num(truth, nan=9.0), truth)) == 0.0
    steps = torch.stack([truth, truth.flip(0)])
    assert float(ccc_loss(torch.nan_to_num(steps, nan=9.0), steps)) == 0.0


def test_it_is_taken_over_the_whole_of_what_is_given_and_not_over_rows() -> None:
    said, truth = series(3, 60)
    loss = ccc_loss(said.view(4, 15, 2), truth.view(4, 15, 2))
    torch.testing.assert_close(loss, ccc_loss(said, truth))
    by_row = torch.stack(
        [ccc_loss(said.view(4, 15, 2)[k], truth.view(4, 15, 2)[k]) for k in range(4)]
    )
    assert abs(float(by_row.mean() - loss)) > 0.005


def test_a_truth_that_does_not_change_scores_nothing_and_teaches_nothing() -> None:
    said, truth = series(1, 10)
    truth[:, 0] = 0.25
    said.requires_grad_()
    found = concordance(said, truth)
    assert float(found[0].detach()) == 0.0
    loss = ccc_loss(said, truth)
    assert float(loss.detach()) == pytest.approx(0.5 + 0.5 * (1 - float(found[1].detach())))
    torch.autograd.backward(loss)
    assert said.grad is not None
    assert not said.grad[:, 0].any()
    assert said.grad[:, 1].any()
    assert count_constant(truth) == 1
    # Equal constants agree; another constant does not.
    constant = torch.full((10, 2), 0.25)
    assert float(ccc_loss(constant, constant)) == 0.0
    assert float(ccc_loss(constant + 0.1, constant)) == 1.0


def test_constants_are_counted_among_what_is_known() -> None:
    truth = torch.tensor([[0.5, 0.5, NAN], [NAN, 0.5, NAN], [0.6, 0.5, 1.0]])
    assert count_constant(truth) == 1  # a single label is no constant


@settings(max_examples=20)
@given(SEEDS)
def test_its_gradient_is_that_of_finite_differences(seed: int) -> None:
    said, truth = series(seed, 7)
    truth[2, 1] = NAN
    parameters = (said.double().requires_grad_(),)

    def loss(values: Tensor) -> Tensor:
        # In float64 throughout, with the definition's own words.
        total = values.new_zeros(())
        for at in range(2):
            known = ~truth[:, at].isnan()
            x, y = values[known, at], truth[known, at].double()
            covariance = ((x - x.mean()) * (y - y.mean())).mean()
            distance = (x - y).square().mean() + 2 * covariance
            total = total + (1 - 2 * covariance / distance) / 2
        return total

    (expected,) = torch.autograd.grad(loss(parameters[0]), parameters)
    (found,) = torch.autograd.grad(ccc_loss(parameters[0], truth), parameters)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)


# --- the others ----------------------------------------------------------------------------------


@settings(max_examples=30)
@given(SEEDS, st.sampled_from([0.0, 0.1]))
def test_cross_entropy_is_torchs_over_what_has_labels(seed: int, smoothing: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(9, 5, generator=generator)
    hard = torch.randint(5, (9,), generator=generator)
    shares = F.one_hot(hard, 5).float()
    shares[[1, 4]] = NAN
    known = [0, 2, 3, 5, 6, 7, 8]
    expected = F.cross_entropy(logits[known], hard[known], label_smoothing=smoothing)
    torch.testing.assert_close(cross_entropy(logits, shares, label_smoothing=smoothing), expected)
    soft = torch.rand(9, 5, generator=generator)
    soft = soft / soft.sum(dim=1, keepdim=True)
    torch.testing.assert_close(cross_entropy(logits, soft), F.cross_entropy(logits, soft))


def test_weights_multiply_and_do_not_divide() -> None:
    logits, shares = torch.randn(4, 3), torch.eye(3)[[0, 1, 2, 0]]
    weights = torch.tensor([2.0, 0.0, 1.0, 1.0])
    each = F.cross_entropy(logits, shares, reduction="none")
    torch.testing.assert_close(
        cross_entropy(logits, shares, weights=weights), (each * weights).sum() / 4
    )
    labels = (torch.rand(4, 3) > 0.5).float()
    of_labels = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    torch.testing.assert_close(
        sigmoid_cross_entropy(logits, labels, weights=weights),
        (of_labels * weights[:, None]).sum() / 12,
    )
    torch.testing.assert_close(
        mean_squared_error(logits, labels, weights=weights),
        ((logits - labels).square() * weights[:, None]).sum() / 12,
    )


@settings(max_examples=20)
@given(SEEDS)
def test_single_unknown_labels_and_values_add_nothing(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(6, 4, generator=generator)
    truth = torch.randint(2, (6, 4), generator=generator).float()
    truth[torch.rand(6, 4, generator=generator) < 0.4] = NAN
    known = ~truth.isnan()
    if not known.any():
        return
    torch.testing.assert_close(
        sigmoid_cross_entropy(outputs, truth),
        F.binary_cross_entropy_with_logits(outputs[known], truth[known]),
    )
    torch.testing.assert_close(
        mean_squared_error(outputs, truth), F.mse_loss(outputs[known], truth[known])
    )
    # Whatever stands where nothing is known, infinity too, changes nothing.
    outputs[~known] = float("inf")
    assert bool(torch.isfinite(sigmoid_cross_entropy(outputs, truth)))
    assert bool(torch.isfinite(mean_squared_error(outputs, truth)))


def test_half_precision_is_widened() -> None:
    said, truth = series(2)
    for loss in (ccc_loss, mean_squared_error, sigmoid_cross_entropy):
        found = loss(said.bfloat16(), truth)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, loss(said.bfloat16().float(), truth))


# --- several tasks -------------------------------------------------------------------------------

HEADS = (
    Head(name="expression", kind=HeadKind.CATEGORICAL, size=3),
    Head(name="valence_arousal", kind=HeadKind.CONTINUOUS, size=2),
    Head(name="action_units", kind=HeadKind.MULTI_LABEL, size=4),
)
TERMS = (
    LossTerm(head="expression", loss="cross_entropy", label_smoothing=0.1),
    LossTerm(head="valence_arousal", loss="ccc", weight=0.5),
    LossTerm(head="action_units", loss="sigmoid", weight=2.0),
)


def tasks(seed: int = 0, rows: int = 12) -> tuple[Tensor, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(rows, 9, generator=generator)
    return outputs, {
        "expression": torch.eye(3)[torch.randint(3, (rows,), generator=generator)],
        "valence_arousal": torch.randn(rows, 2, generator=generator),
        "action_units": torch.randint(2, (rows, 4), generator=generator).float(),
    }


def test_the_sum_is_that_of_its_parts_by_weight() -> None:
    outputs, targets = tasks()
    of_heads = split_outputs(outputs, HEADS)
    total, parts = multi_task_loss(of_heads, targets, TERMS)
    expected = {
        "expression": cross_entropy(outputs[:, :3], targets["expression"], label_smoothing=0.1),
        "valence_arousal": ccc_loss(outputs[:, 3:5], targets["valence_arousal"]),
        "action_units": sigmoid_cross_entropy(outputs[:, 5:], targets["action_units"]),
    }
    for name, value in expected.items():
        torch.testing.assert_close(parts[name], value)
    weighted = expected["expression"] + expected["valence_arousal"] / 2
    torch.testing.assert_close(total, weighted + 2 * expected["action_units"])


def test_a_task_without_labels_moves_only_the_others() -> None:
    outputs, targets = tasks()
    outputs.requires_grad_()
    targets["expression"][:] = NAN
    del targets["action_units"]
    total, parts = multi_task_loss(split_outputs(outputs, HEADS), targets, TERMS)
    torch.autograd.backward(total)
    assert set(parts) == {"expression", "valence_arousal"}
    assert float(parts["expression"].detach()) == 0
    assert outputs.grad is not None
    assert not outputs.grad[:, :3].any()
    assert outputs.grad[:, 3:5].any()
    assert not outputs.grad[:, 5:].any()


def test_a_batch_without_any_label_goes_backward_and_moves_nothing() -> None:
    outputs, targets = tasks()
    outputs.requires_grad_()
    nothing = {name: torch.full_like(values, NAN) for name, values in targets.items()}
    for known in (nothing, {}):
        total, _ = multi_task_loss(split_outputs(outputs, HEADS), known, TERMS)
        (gradient,) = torch.autograd.grad(total, outputs)
        assert float(total.detach()) == 0
        assert not gradient.any()


def test_what_does_not_fit_is_refused() -> None:
    outputs, targets = tasks()
    of_heads = split_outputs(outputs, HEADS)
    with pytest.raises(UsageError, match=r"action_units.; got one for 'pain'"):
        multi_task_loss(of_heads, targets, [LossTerm(head="pain", loss="mse")])
    with pytest.raises(UsageError, match=r"of the outputs' shape \(12, 3\); got \(12, 2\)"):
        cross_entropy(of_heads["expression"], targets["valence_arousal"])
    with pytest.raises(UsageError, match="expected a loss out of cross_entropy, mse"):
        LossTerm(head="expression", loss="hinge")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="weight of 0 or more for a; got -1"):
        LossTerm(head="a", loss="mse", weight=-1)
    with pytest.raises(UsageError, match=r"label_smoothing in \[0, 1\); got 1"):
        LossTerm(head="a", loss="cross_entropy", label_smoothing=1)
