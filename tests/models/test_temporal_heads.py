"""Layers over time: against plain references, in pieces, and how far back they see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from emotrace.errors import UsageError
from emotrace.models.temporal_attention import AttentiveGru
from emotrace.models.temporal_convolution import CausalConvolutions
from emotrace.models.temporal_heads import (
    Temporal,
    TemporalLayers,
    TemporalOptions,
    make_temporal,
)
from emotrace.models.temporal_transformer import CausalTransformer
from emotrace.models.temporal_window import keep_past, windows_of

if TYPE_CHECKING:
    from torch import Tensor

KINDS: tuple[Temporal, ...] = get_args(Temporal)
FEATURES = 5
BACK = {"gru": None, "lstm": None, "tcn": 13, "transformer": 7, "gru-attention": None}
"""Steps that a step of `small` sees, itself included: two blocks of kernel 3 see 1 + 4 + 8; two
layers of window 4 see 1 + 3 + 3; recurrent ones see all."""


def small(kind: Temporal, **changes: Any) -> TemporalLayers:
    torch.manual_seed(0)
    options = {"width": 8, "layers": 2, "window": 4, "attention_heads": 2, "kernel": 3} | changes
    return make_temporal(FEATURES, TemporalOptions(temporal=kind, **options)).eval()


def steps_of(batch: int, time: int) -> Tensor:
    return torch.randn(batch, time, FEATURES, generator=torch.Generator().manual_seed(1))


def run(layers: TemporalLayers, inputs: Tensor) -> Tensor:
    with torch.inference_mode():
        return layers(inputs, layers.initial_state(len(inputs)))[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10)
@given(pieces=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_pieces_of_any_lengths_give_the_whole(kind: Temporal, pieces: list[int]) -> None:
    layers, inputs = small(kind), steps_of(2, sum(pieces))
    with torch.inference_mode():
        state, found = layers.initial_state(2), []
        shapes = [part.shape for part in state]
        for piece in torch.split(inputs, pieces, dim=1):
            outputs, state = layers(piece, state)
            assert [part.shape for part in state] == shapes
            found.append(outputs)
    torch.testing.assert_close(torch.cat(found, 1), run(layers, inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_beginning_is_all_zeros_and_the_output_has_the_width_it_says(kind: Temporal) -> None:
    layers = small(kind)
    assert all(not bool(part.any()) for part in layers.initial_state(3))
    assert run(layers, steps_of(3, 6)).shape == (3, 6, layers.output_width)


@pytest.mark.parametrize("kind", KINDS)
def test_how_far_back_a_step_sees(kind: Temporal) -> None:
    layers, inputs = small(kind), steps_of(1, 20)
    changed = inputs.clone()
    changed[:, 3] += 1
    gap = (run(layers, inputs) - run(layers, changed)).abs().amax(dim=(0, 2))
    assert not bool(gap[:3].any())
    seen = BACK[kind] or 17
    assert bool((gap[3 : 3 + min(seen, 17)] > 0).all())
    assert not bool(gap[3 + seen :].any())


@pytest.mark.parametrize("kind", ["tcn", "transformer"])
def test_where_a_sequence_is_cut_makes_no_difference(kind: Temporal) -> None:
    """Only distances count, not places: whoever joins a video late sees the same in the end."""
    layers, inputs = small(kind), steps_of(1, 30)
    seen = BACK[kind]
    assert seen is not None
    late = run(layers, inputs[:, 8:])
    torch.testing.assert_close(late[:, seen:], run(layers, inputs)[:, 8 + seen :])
    assert not torch.allclose(late[:, 0], run(layers, inputs)[:, 8])


def test_convolutions_are_those_over_a_sequence_padded_on_the_left() -> None:
    layers = small("tcn")
    assert isinstance(layers, CausalConvolutions)
    inputs = steps_of(2, 11)
    with torch.no_grad():
        values = layers.enter(inputs).transpose(1, 2)
        for position, block in enumerate(layers.blocks):
            branch = values
            for name in ("first", "second"):
                convolution = block.get_submodule(name)
                weight, bias = convolution.weight, convolution.bias
                assert isinstance(weight, torch.Tensor)
                assert isinstance(bias, torch.Tensor)
                padded = functional.pad(branch, (2 * 2**position, 0))
                branch = functional.conv1d(padded, weight, bias, dilation=2**position).relu()
            values = (values + branch).relu()
    torch.testing.assert_close(run(layers, inputs), values.transpose(1, 2))
    assert layers.receptive_field == 13


def test_attention_is_the_full_one_under_a_banded_mask() -> None:
    layers = small("transformer")
    assert isinstance(layers, CausalTransformer)
    torch.manual_seed(3)
    for block in layers.blocks:
        torch.nn.init.normal_(block.get_parameter("distance"))
    inputs, time, heads = steps_of(2, 9), 9, 2
    back = torch.arange(time)[:, None] - torch.arange(time)  # steps from a query back to a key
    inside = (back >= 0) & (back < 4)
    with torch.no_grad():
        steps = layers.enter(inputs)
        for block in layers.blocks:
            normed = block.get_submodule("before_attention")(steps)
            query, key, value = (
                block.get_submodule(name)(normed).unflatten(-1, (heads, -1)).transpose(1, 2)
                for name in ("query", "key", "value")
            )
            # The last place of a window is the step itself.
            bias = block.get_parameter("distance")[:, (3 - back).clamp(0, 3)]
            mask = torch.where(inside, bias, -torch.inf)
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            steps = steps + block.get_submodule("leave")(mixed.transpose(1, 2).flatten(2))
            steps = steps + block.get_submodule("inner")(steps)
        expected = layers.norm(steps)
    torch.testing.assert_close(run(layers, inputs), expected, rtol=1e-5, atol=1e-6)


def test_additive_attention_is_that_of_its_equation() -> None:
    layers = small("gru-attention")
    assert isinstance(layers, AttentiveGru)
    inputs = steps_of(1, 7)
    with torch.no_grad():
        states = layers.recurrent(inputs, layers.recurrent.initial_state(1))[0][0]
        expected = []
        for t in range(7):
            past = states[max(0, t - 3) : t + 1]
            scores = [
                layers.score.weight[0]
                @ torch.tanh(layers.of_present(states[t]) + layers.of_past.weight @ state)
                for state in past
            ]
            weights = torch.softmax(torch.stack(scores), 0)
            expected.append(torch.cat([states[t], weights @ past]))
    found = run(layers, inputs)[0]
    torch.testing.assert_close(found, torch.stack(expected))
    torch.testing.assert_close(found[0, :8], found[0, 8:])  # at first there is only itself


@pytest.mark.parametrize("kind", ["gru", "lstm", "tcn", "transformer", "gru-attention"])
def test_dropout_between_layers_acts_in_training_only(kind: Temporal) -> None:
    torch.manual_seed(0)
    options = TemporalOptions(temporal=kind, width=8, layers=2)
    layers, inputs = make_temporal(FEATURES, options, dropout=0.5), steps_of(2, 5)
    assert torch.equal(run(layers.eval(), inputs), run(layers, inputs))
    assert not torch.equal(run(layers.train(), inputs), run(layers, inputs))


def test_windows_of_two_axes() -> None:
    past, steps = torch.arange(2.0).reshape(1, 2, 1), torch.arange(2.0, 6.0).reshape(1, 4, 1)
    windows = windows_of(past, steps, 3)
    assert windows.shape == (1, 4, 3, 1)
    assert windows[0, :, :, 0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert keep_past(past, steps).flatten().tolist() == [4, 5]
    assert keep_past(past, steps[:, :1]).flatten().tolist() == [1, 2]


def test_a_window_of_one_sees_the_present_only() -> None:
    layers, inputs = small("transformer", window=1), steps_of(1, 4)
    alone = torch.cat([run(layers, step) for step in torch.split(inputs, 1, dim=1)], dim=1)
    torch.testing.assert_close(run(layers, inputs), alone)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temporal": "rnn"}, "expected temporal out of gru, lstm, .*; got 'rnn'"),
        ({"width": 0}, "expected width of 1 or more; got 0"),
        ({"window": -1}, "expected window of 1 or more"),
        ({"temporal": "transformer", "width": 30}, "4 attention_heads divide; got 30"),
    ],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TemporalOptions(**changes)
