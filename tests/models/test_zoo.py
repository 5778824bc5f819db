"""The contract that every row of the zoo keeps; a new row is tested free."""

from __future__ import annotations

import dataclasses
import re
import typing
from typing import TYPE_CHECKING, Any

import pytest
import torch
import tyro
from torch import nn
from torch.nn import functional

from emotrace.errors import UsageError
from emotrace.models.architecture import (
    Architecture,
    Head,
    HeadKind,
    InputKind,
    SequenceNetwork,
    example_shape,
    split_outputs,
)
from emotrace.models.cost import count_parameters, measure_cost
from emotrace.models.option_docs import describe_options
from emotrace.models.zoo import ARCHITECTURES, find_architecture
from tests.models.small_options import (
    HEAVY,
    SMALL,
    build_small,
    build_used,
    dropping_fields,
    is_sequence,
    outputs_of,
    random_inputs,
    small_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from emotrace.models.architecture import Network

every_row = pytest.mark.parametrize("row", ARCHITECTURES, ids=lambda row: row.name)


def built(rows: Iterable[Architecture]) -> list[Any]:
    return [
        pytest.param(row, id=row.name, marks=[pytest.mark.slow] if row.name in HEAVY else [])
        for row in rows
    ]


every_network = pytest.mark.parametrize("row", built(ARCHITECTURES))
every_sequence_network = pytest.mark.parametrize(
    "row", built(row for row in ARCHITECTURES if is_sequence(row))
)


# --- the table -----------------------------------------------------------------------------------


def test_names_are_unique_and_made_for_a_command_line() -> None:
    names = [row.name for row in ARCHITECTURES]
    assert len(set(names)) == len(names) > 0
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)
    assert set(SMALL) <= set(names)


def test_a_row_is_found_by_name_and_a_typo_gets_a_hint() -> None:
    assert find_architecture("rangulov2020-gru3").published_parameters == 204_102
    with pytest.raises(UsageError, match="did you mean rangulov2020-gru3"):
        find_architecture("rangulov2020-gru-3")
    with pytest.raises(UsageError, match="there are: "):
        find_architecture("qqq")


@every_row
def test_a_row_says_what_it_is_in_a_line(row: Architecture) -> None:
    assert row.paper
    assert 0 < len(row.summary) <= 100
    assert "\n" not in row.summary


@every_row
def test_options_are_frozen_documented_and_fit_a_command_line(row: Architecture) -> None:
    options = row.options()
    assert dataclasses.is_dataclass(options)
    field = dataclasses.fields(options)[0]
    assert all(field.kw_only for field in dataclasses.fields(options))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(options, field.name, None)
    undocumented = [field.name for field in describe_options(row.options) if not field.text]
    assert undocumented == []
    assert set(typing.get_type_hints(row.options)) >= {f.name for f in dataclasses.fields(options)}
    assert tyro.cli(row.options, args=[]) == options


@every_row
def test_options_say_the_shape_of_the_input(row: Architecture) -> None:
    shape = example_shape(row, row.options())
    lengths = {
        InputKind.IMAGE: 3,
        InputKind.CLIP: 4,
        InputKind.IMAGE_SEQUENCE: 4,
        InputKind.VECTOR_SEQUENCE: 2,
    }
    assert len(shape) == lengths[row.kind]
    assert min(shape) >= 1


@every_row
def test_the_published_count_of_parameters_is_met_to_the_last_unit(row: Architecture) -> None:
    cost = measure_cost(row)
    if row.published_parameters is not None:
        assert cost.parameters == row.published_parameters
    with torch.device("meta"):
        network = row.build(row.options())
    assert cost.parameters == count_parameters(network) > 0
    assert cost.multiply_adds > 0


# --- what goes in and comes out ------------------------------------------------------------------


@every_network
@pytest.mark.parametrize("batch", [1, 3])
def test_outputs_are_the_heads_side_by_side(row: Architecture, batch: int) -> None:
    network = build_used(row)
    with torch.inference_mode():
        outputs = outputs_of(network, random_inputs(row, small_options(row), batch, steps=3))
    steps = (3,) if is_sequence(row) else ()
    assert outputs.shape == (batch, *steps, network.outputs)
    assert bool(torch.isfinite(outputs).all())
    parts = split_outputs(outputs, network.heads)
    assert len(parts) == len(network.heads) > 0
    assert torch.equal(torch.cat([parts[head.name] for head in network.heads], -1), outputs)
    assert isinstance(network, SequenceNetwork) is is_sequence(row)


@every_network
def test_a_seed_repeats_the_weights_and_another_does_not(row: Architecture) -> None:
    options = small_options(row)
    weights = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        weights.append(nn.utils.parameters_to_vector(row.build(options).parameters()))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@every_network
def test_in_evaluation_a_batch_of_one_is_its_row_of_a_larger_batch(row: Architecture) -> None:
    network = build_used(row)
    inputs = random_inputs(row, small_options(row), batch=4)
    with torch.inference_mode():
        together = outputs_of(network, inputs)
        for at in range(4):
            alone = outputs_of(network, inputs[at : at + 1])
            # Rounding only (in float64 there is no gap), but Xception's 36 convolutions add it up.
            torch.testing.assert_close(alone[0], together[at], rtol=1e-4, atol=5e-5)
        assert not torch.allclose(together[0], together[1], rtol=1e-4, atol=1e-5)


@every_network
def test_gradients_reach_every_trainable_parameter(row: Architecture) -> None:
    network = build_used(row).train()
    outputs = outputs_of(network, random_inputs(row, small_options(row), batch=6))
    torch.manual_seed(2)
    torch.autograd.backward((outputs - torch.randn_like(outputs)).square().sum())
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool((parameter.grad != 0).any()), name


@every_network
def test_dropout_acts_in_training_and_not_in_evaluation(row: Architecture) -> None:
    names = dropping_fields(row)
    assert names, "expected an option whose name begins with `drop`"
    inputs = random_inputs(row, small_options(row), batch=8)

    def differs(network: Network) -> bool:
        return not torch.equal(outputs_of(network, inputs), outputs_of(network, inputs))

    with torch.no_grad():
        for name in names:
            network = build_small(row, **{name: 0.5})
            assert differs(network.train()), name
            assert not differs(network.eval()), name
            plain = build_small(row)
            plain.load_state_dict(network.state_dict())
            plain.eval()
            torch.testing.assert_close(outputs_of(network, inputs), outputs_of(plain, inputs))
        assert not differs(build_small(row).train())


# --- streaming -----------------------------------------------------------------------------------


@every_sequence_network
@pytest.mark.parametrize("pieces", [(1, 1, 1, 1, 1), (2, 3), (4, 1)])
def test_a_sequence_in_pieces_gives_the_result_of_the_whole(
    row: Architecture, pieces: tuple[int, ...]
) -> None:
    network = build_used(row)
    assert isinstance(network, SequenceNetwork)
    inputs = random_inputs(row, small_options(row), batch=2, steps=sum(pieces))
    with torch.inference_mode():
        whole = network(inputs)
        state, found = network.initial_state(2), []
        for piece in torch.split(inputs, list(pieces), dim=1):
            outputs, state = network(piece, state)
            found.append(outputs)
    torch.testing.assert_close(torch.cat(found, 1), whole.outputs, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(state, whole.state, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@every_sequence_network
def test_the_past_counts_and_the_future_does_not(row: Architecture) -> None:
    network = build_used(row)
    inputs = random_inputs(row, small_options(row), batch=1, steps=4)
    changed = inputs.clone()
    changed[:, 1] = 1 - changed[:, 1]
    with torch.inference_mode():
        before, after = outputs_of(network, inputs)[0], outputs_of(network, changed)[0]
    torch.testing.assert_close(before[0], after[0], rtol=1e-4, atol=1e-5)
    # Not at every later step: a rectifier may shut, a convolution may look past it.
    assert bool(((before - after)[2:].abs() > 1e-6).any())


@every_sequence_network
def test_a_state_begins_with_the_batch_and_rows_do_not_mix(row: Architecture) -> None:
    network = build_used(row)
    assert isinstance(network, SequenceNetwork)
    inputs = random_inputs(row, small_options(row), batch=3, steps=2)
    with torch.inference_mode():
        _, state = network(inputs)
        assert {tensor.shape[0] for tensor in (*state, *network.initial_state(3))} == {3}
        assert [t.shape for t in network.initial_state(3)] == [t.shape for t in state]
        order = [2, 0, 1]
        moved = network(inputs[order], tuple(tensor[order] for tensor in state)).outputs
        plain = network(inputs, state).outputs
    torch.testing.assert_close(moved, plain[order], rtol=1e-4, atol=1e-5)


# --- learning ------------------------------------------------------------------------------------


def eight_clips(row: Architecture, options: Any) -> Tensor:
    """Smooth patterns, one for each clip, that brighten by an amount of their own in time."""
    shape = example_shape(row, options)
    generator = torch.Generator().manual_seed(5)
    if row.kind is InputKind.VECTOR_SEQUENCE:
        return torch.randn(8, 4, shape[-1], generator=generator)
    steps = {InputKind.IMAGE: 1, InputKind.CLIP: shape[0], InputKind.IMAGE_SEQUENCE: 3}[row.kind]
    *_, channels, height, width = shape
    coarse = torch.rand(8, channels, 4, 4, generator=generator)
    pictures = functional.interpolate(coarse, (height, width), mode="bilinear")
    slopes = torch.linspace(0.6, 1.0, steps).reshape(1, -1, 1, 1, 1)
    clips = pictures[:, None] * slopes
    return clips[:, 0] if row.kind is InputKind.IMAGE else clips


def targets_for(head: Head) -> Tensor:
    generator = torch.Generator().manual_seed(6)
    if head.kind is HeadKind.CATEGORICAL:
        return torch.arange(8) % head.size
    values = torch.rand(8, head.size, generator=generator)
    return (values > 0.5).float() if head.kind is HeadKind.MULTI_LABEL else values - 0.5


def loss_and_hits(head: Head, part: Tensor) -> tuple[Tensor, Tensor]:
    target = targets_for(head)
    if head.kind is HeadKind.CATEGORICAL:
        return functional.cross_entropy(part, target), part.argmax(-1) == target
    if head.kind is HeadKind.MULTI_LABEL:
        loss = functional.binary_cross_entropy_with_logits(part, target)
        return loss, ((part > 0) == (target > 0.5)).all(-1)
    return functional.mse_loss(part, target), ((part - target).abs() < 0.1).all(-1)


@every_network
def test_eight_clips_are_learnt_by_heart(row: Architecture) -> None:
    network = build_small(row)
    clips = eight_clips(row, small_options(row))
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            # A paper's slow average would still be on its way after the few steps taken here.
            module.momentum = 0.2
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)

    def judge() -> tuple[Tensor, float]:
        outputs = outputs_of(network, clips)
        last = outputs[:, -1] if is_sequence(row) else outputs
        parts = split_outputs(last, network.heads)
        judged = [loss_and_hits(head, parts[head.name]) for head in network.heads]
        hits = torch.stack([hit for _, hit in judged]).all(0)
        return torch.stack([loss for loss, _ in judged]).sum(), float(hits.float().mean())

    share = 0.0
    for step in range(400):
        network.train()
        optimiser.zero_grad()
        torch.autograd.backward(judge()[0])
        optimiser.step()
        if step % 20 == 19:
            network.eval()
            with torch.no_grad():
                share = judge()[1]
            if share == 1.0:
                break
    assert share == 1.0
