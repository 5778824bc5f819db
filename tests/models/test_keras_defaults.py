"""Weights at the start, as Keras draws them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from emotrace.models.keras_defaults import initialise_as_keras
from emotrace.models.one_bias_gru import OneBiasGru


def check_glorot(weight: Tensor, fan_in: int, fan_out: int) -> None:
    limit = math.sqrt(6 / (fan_in + fan_out))
    assert float(weight.abs().max()) <= limit
    assert float(weight.std()) == pytest.approx(limit / math.sqrt(3), rel=0.1)
    assert float(weight.mean()) == pytest.approx(0, abs=limit / 10)


def test_kernels_are_glorot_uniform_over_their_whole_field() -> None:
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(8, 16, 5, bias=False),
        nn.Conv3d(4, 6, (3, 5, 5), bias=False),
        nn.Linear(64, 32, bias=False),
    )
    network = nn.Sequential(*layers)
    initialise_as_keras(network)
    flat, deep, linear = (parameter.detach() for parameter in network.parameters())
    check_glorot(flat, 8 * 25, 16 * 25)
    check_glorot(deep, 4 * 75, 6 * 75)
    check_glorot(linear, 64, 32)


@pytest.mark.parametrize("layer", [nn.GRU(40, 12), OneBiasGru(40, 12)], ids=["torch", "one-bias"])
def test_recurrent_kernels_are_orthogonal_and_biases_zero(layer: nn.Module) -> None:
    torch.manual_seed(0)
    initialise_as_keras(layer)
    for name, parameter in layer.named_parameters():
        values = parameter.detach()
        if "weight_hh" in name:
            torch.testing.assert_close(values.T @ values, torch.eye(12), rtol=0, atol=1e-5)
        elif "weight_ih" in name:
            check_glorot(values, 40, 36)
        else:
            assert not bool(values.any()), name


def test_norms_stay_at_scale_one_and_shift_zero() -> None:
    norm = nn.BatchNorm2d(4)
    initialise_as_keras(nn.Sequential(norm))
    assert torch.equal(norm.weight.detach(), torch.ones(4))
    assert torch.equal(norm.bias.detach(), torch.zeros(4))
