"""tzirakis2021's network: its parts, its heads, what its weights start from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from torch import nn

from emotrace.models.architecture import HeadKind
from emotrace.models.cost import count_parameters, measure_cost
from emotrace.models.tzirakis2021 import TZIRAKIS2021, Tzirakis2021Options, build_tzirakis2021

if TYPE_CHECKING:
    from torch import Tensor

RESNET50 = 25_557_032 - 2_049 * 1_000
"""As published by torchvision and timm, less the classifier on 2,048 values."""


def lstm_layer(features: int, width: int) -> int:
    return 4 * width * (features + width + 2)


def test_parts_and_their_sizes() -> None:
    with torch.device("meta"):
        network = build_tzirakis2021(Tzirakis2021Options())
    assert network.extractor.feature_size == 2_048
    assert count_parameters(network.extractor) == RESNET50
    assert count_parameters(network.temporal) == lstm_layer(2_048, 256) + lstm_layer(256, 256)
    assert count_parameters(network) == RESNET50 + 2_361_344 + 526_336 + 514
    assert [tuple(part.shape) for part in network.initial_state(3)] == [(3, 2, 256)] * 2
    assert measure_cost(TZIRAKIS2021).parameters == count_parameters(network)


def test_the_paper_has_two_sets_of_heads() -> None:
    with torch.device("meta"):
        values = build_tzirakis2021(Tzirakis2021Options())
        labels = build_tzirakis2021(Tzirakis2021Options(heads=("emotions",)))
    assert [(h.name, h.kind, h.size) for h in values.heads] == [
        ("valence_arousal", HeadKind.CONTINUOUS, 2)
    ]
    assert [(h.name, h.kind, h.size) for h in labels.heads] == [
        ("emotions", HeadKind.MULTI_LABEL, 8)
    ]


def test_grey_changes_the_first_convolution_only() -> None:
    with torch.device("meta"):
        grey = build_tzirakis2021(Tzirakis2021Options(input_channels=1))
        colour = build_tzirakis2021(Tzirakis2021Options())
    theirs = colour.state_dict()
    changed = [
        name for name, value in grey.state_dict().items() if value.shape != theirs[name].shape
    ]
    assert changed == ["extractor.backbone.conv1.weight"]


def test_weights_start_by_the_rule_of_xavier() -> None:
    torch.manual_seed(0)
    network = build_tzirakis2021(Tzirakis2021Options(width=16))
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 53
    for convolution in convolutions:
        area = convolution.kernel_size[0] * convolution.kernel_size[1]
        fans = area * (convolution.in_channels + convolution.out_channels)
        bound = math.sqrt(6 / fans)
        largest = float(convolution.weight.detach().abs().max())
        assert 0.95 < largest / bound < 1 + 1e-6
    for name, parameter in network.named_parameters():
        last = name.rpartition(".")[2]
        if last.startswith("bias"):
            assert not bool(parameter.any()), name
        elif parameter.dim() == 1:
            assert bool((parameter == 1).all()), name  # no block starts as the identity


def test_pretrained_weights_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    fetched = timm.create_model("resnet50").state_dict()

    def fetch(*_: Any, **__: Any) -> dict[str, Tensor]:
        return dict(fetched)

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fetch)
    network = build_tzirakis2021(Tzirakis2021Options(pretrained=True, width=16))
    for name, value in network.extractor.state_dict().items():
        assert torch.equal(value, fetched[name.removeprefix("backbone.")]), name
    assert not bool(network.temporal.get_parameter("lstm.bias_ih_l0").any())


def test_another_resnet_makes_it_small() -> None:
    network = build_tzirakis2021(
        Tzirakis2021Options(backbone="test_resnet", input_size_px=32, width=8)
    )
    assert count_parameters(network) < 500_000
    outputs = network(torch.rand(2, 3, 3, 32, 32)).outputs
    assert outputs.shape == (2, 3, 2)
