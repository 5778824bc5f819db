"""Several tasks at once: which heads, where their values lie, and that they do not mix."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from emotrace.errors import UsageError
from emotrace.models.architecture import HeadKind, split_outputs
from emotrace.models.compact_networks import CompactMultitaskOptions, build_compact
from emotrace.models.multi_task import PointwiseLinear, TaskLayers, TaskOptions, make_heads


def test_heads_come_in_the_order_asked_for() -> None:
    options = TaskOptions(
        heads=("valence_arousal", "expression", "action_units", "emotions", "arousal"),
        classes=7,
        action_units=8,
    )
    assert [(head.name, head.kind, head.size) for head in make_heads(options)] == [
        ("valence_arousal", HeadKind.CONTINUOUS, 2),
        ("expression", HeadKind.CATEGORICAL, 7),
        ("action_units", HeadKind.MULTI_LABEL, 8),
        ("emotions", HeadKind.MULTI_LABEL, 7),
        ("arousal", HeadKind.CONTINUOUS, 1),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": ()}, "one or more tasks, each once"),
        ({"heads": ("expression", "expression")}, "one or more tasks, each once"),
        ({"heads": ("gaze",)}, "expected heads out of expression, .*; got 'gaze'"),
        ({"classes": 0}, "expected classes of 1 or more; got 0"),
    ],
)
def test_tasks_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TaskOptions(**changes)


@pytest.mark.parametrize("layer", [nn.Linear, PointwiseLinear])
def test_each_task_has_its_stretch_of_the_outputs(layer: type[nn.Module]) -> None:
    heads = make_heads(TaskOptions(heads=("expression", "valence_arousal"), classes=3))
    layers = TaskLayers(4, heads, layer)
    features = torch.rand(2, 4)
    parts = split_outputs(layers(features), heads)
    for name, part in parts.items():
        assert torch.equal(part, layers[name](features))


def test_a_pointwise_layer_is_a_linear_one() -> None:
    pointwise, linear = PointwiseLinear(6, 3), nn.Linear(6, 3)
    linear.load_state_dict(
        {"weight": pointwise.weight.detach()[:, :, 0, 0], "bias": pointwise.bias}
    )
    features = torch.rand(5, 6)
    torch.testing.assert_close(pointwise(features), linear(features))


def test_a_task_without_labels_leaves_its_layer_alone_and_trains_the_trunk() -> None:
    torch.manual_seed(0)
    options = CompactMultitaskOptions(stem_width=4, widths=(8,), blocks=(1,), drop_path=0)
    network = build_compact(options)
    parts = split_outputs(network(torch.rand(3, 1, 48, 48)), network.heads)
    assert {name: part.shape[1] for name, part in parts.items()} == {
        "expression": 8,
        "action_units": 12,
        "valence_arousal": 2,
    }
    torch.autograd.backward(parts["action_units"].square().sum())
    for name, parameter in network.named_parameters():
        moved = parameter.grad is not None and bool(parameter.grad.any())
        assert moved is (name.startswith("extractor.") or "action_units" in name), name
