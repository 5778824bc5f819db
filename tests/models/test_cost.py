"""Multiply-adds, against a count by hand and a count by layer."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from emotrace.models.architecture import Architecture, SequenceNetwork, example_shape
from emotrace.models.cost import (
    build_without_weights,
    count_multiply_adds,
    count_parameters,
    measure_cost,
)
from emotrace.models.one_bias_gru import OneBiasGru
from emotrace.models.zoo import ARCHITECTURES, find_architecture
from tests.models.small_options import is_sequence, outputs_of

BY_LAYER = [row for row in ARCHITECTURES if row.name.startswith(("salinas2018", "rangulov2020"))]


def count_by_layer(row: Architecture) -> int:
    """Kernel size times values for each layer that is met, for one step of a sequence."""
    options = row.options()
    network = row.build(options).eval()
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            total += output.numel() * module.in_channels * math.prod(module.kernel_size)
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features
        elif isinstance(module, nn.RNNBase):
            total += sum(w.numel() for name, w in module.named_parameters() if "weight" in name)
        elif isinstance(module, OneBiasGru):
            total += module.weight_ih.numel() + module.weight_hh.numel()

    for module in network.modules():
        module.register_forward_hook(count)
    shape = example_shape(row, options)
    if is_sequence(row):
        shape = (1, *shape[1:])
    with torch.inference_mode():
        outputs_of(network, torch.zeros(1, *shape))
    return total


@pytest.mark.parametrize("row", BY_LAYER, ids=lambda row: row.name)
def test_the_count_is_that_of_the_layers(row: Architecture) -> None:
    assert measure_cost(row).multiply_adds == count_by_layer(row)


def test_the_single_frame_network_by_hand() -> None:
    convolutions = (
        96 * 54**2 * 3 * 11**2
        + 256 * 23**2 * 96 * 5**2
        + 384 * 9**2 * 256 * 3**2
        + 384 * 7**2 * 384 * 3**2
        + 256 * 5**2 * 384 * 3**2
    )
    dense = 1024 * 4096 + 4096 * 4096 + 4096 * 8
    cost = measure_cost(find_architecture("salinas2018-single-frame"))
    assert cost.multiply_adds == convolutions + dense == 606_448_768


def test_a_clip_counts_whole_and_a_sequence_by_the_step() -> None:
    single = measure_cost(find_architecture("salinas2018-single-frame")).multiply_adds
    late = measure_cost(find_architecture("salinas2018-late-fusion")).multiply_adds
    dense = 1024 * 4096 + 4096 * 4096 + 4096 * 8
    assert late == 2 * (single - dense) + dense + 1024 * 4096
    recurrent = measure_cost(find_architecture("salinas2018-recurrent")).multiply_adds
    assert recurrent == single - dense + 3 * 5 * (1024 + 5) + 5 * 6


def test_attention_counts_with_both_of_its_products() -> None:
    with torch.device("meta"):
        layer: Any = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        counted = count_multiply_adds(layer, torch.zeros(1, 5, 32))
    projections, attention = 5 * (4 * 32 * 32 + 2 * 32 * 64), 2 * 5 * 5 * 32
    assert counted == projections + attention


def test_what_is_not_trained_is_no_parameter() -> None:
    row = find_architecture("rangulov2020-rnn")
    network = build_without_weights(row, row.options())
    assert isinstance(network, SequenceNetwork)
    # One bias, as in Keras: torch's second one is held at zero.
    assert count_parameters(network) == 300 * 100 + 100 * 100 + 100 + 202
    assert sum(p.numel() for p in network.parameters()) == count_parameters(network) + 100


def test_counting_leaves_the_network_as_it_was() -> None:
    row = find_architecture("rangulov2020-cnn")
    network = build_without_weights(row, row.options()).train()
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    first = count_multiply_adds(network, torch.zeros(1, 1, 96, 96, device="meta"))
    assert network.training
    assert count_multiply_adds(network, torch.zeros(2, 1, 96, 96, device="meta")) == 2 * first
