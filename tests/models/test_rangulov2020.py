"""rangulov2020: the frame network and its variants, the recurrent layers, both as one."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch.nn import functional

from emotrace.errors import UsageError
from emotrace.models.architecture import HeadKind
from emotrace.models.cost import build_without_weights, count_parameters
from emotrace.models.rangulov2020_cnn import AUTHORS_CODE, RANGULOV2020_CNN, Cnn, CnnOptions
from emotrace.models.rangulov2020_joint import RANGULOV2020_CNN_GRU3, Joint
from emotrace.models.rangulov2020_parts import RecurrentLayers
from emotrace.models.rangulov2020_recurrent import (
    RANGULOV2020_GRU1,
    RANGULOV2020_GRU3,
    RANGULOV2020_RNN,
    Recurrent,
)
from tests.models.small_options import build_used, small_options


def count(row: Any, options: Any) -> int:
    return count_parameters(build_without_weights(row, options))


def test_parameters_of_the_frame_network() -> None:
    convolutions = 64 * 25 + 128 * 64 * 25 + 256 * 128 * 25
    rest = 2 + 300 * (1024 + 1)  # input norm, dense layer
    options = CnnOptions()
    assert count(RANGULOV2020_CNN, options) == convolutions + 448 + rest + 8 * 301
    authors = dataclasses.replace(AUTHORS_CODE, head="valence_arousal")
    assert count(RANGULOV2020_CNN, authors) == convolutions + rest + 2 * 301


def test_parameters_of_each_recurrent_layer() -> None:
    assert count(RANGULOV2020_RNN, RANGULOV2020_RNN.options()) == 40_100 + 202
    assert count(RANGULOV2020_GRU1, RANGULOV2020_GRU1.options()) == 120_600 + 202
    with torch.device("meta"):
        layers = RecurrentLayers(300, "gru", (100, 100, 50)).layers
    assert [count_parameters(layer) for layer in layers] == [120_600, 60_600, 22_800]
    assert count(RANGULOV2020_GRU3, RANGULOV2020_GRU3.options()) == 204_102


@pytest.mark.parametrize(
    ("head", "kind", "size"),
    [
        ("expression", HeadKind.CATEGORICAL, 5),
        ("valence_arousal", HeadKind.CONTINUOUS, 2),
        ("valence", HeadKind.CONTINUOUS, 1),
        ("arousal", HeadKind.CONTINUOUS, 1),
    ],
)
@pytest.mark.parametrize("row", [RANGULOV2020_CNN, RANGULOV2020_GRU1, RANGULOV2020_CNN_GRU3])
def test_heads(row: Any, head: str, kind: HeadKind, size: int) -> None:
    options = dataclasses.replace(row.options(), head=head, classes=5)
    network = build_without_weights(row, options)
    assert [(found.name, found.kind, found.size) for found in network.heads] == [(head, kind, size)]
    assert network.outputs == size


def test_features_are_what_the_head_reads() -> None:
    network = build_used(RANGULOV2020_CNN)
    assert isinstance(network, Cnn)
    images = torch.rand(3, 1, 32, 32)
    with torch.inference_mode():
        features = network.features(images)
        assert features.shape == (3, 24)
        torch.testing.assert_close(network.head(features), network(images))
        network.train()
        # Dropout is behind the features: what a recurrent network is trained on is whole.
        assert bool((network.features(images) >= 0).all())


def test_the_papers_picture_becomes_300_values() -> None:
    network = Cnn(CnnOptions()).eval()
    with torch.inference_mode():
        assert network.features(torch.rand(1, 1, 96, 96)).shape == (1, 300)


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize(("padding", "side"), [("all", 24), ("first", 18)])
def test_quadrant_pooling_keeps_a_value_of_each_quadrant(
    pooling: Any, padding: Any, side: int
) -> None:
    options = CnnOptions(
        padding=padding, quadrant_pooling=pooling, filters=(2, 3, 4), dense_width=5
    )
    network = Cnn(options).eval()
    *before, pool, flatten, _, _ = network.trunk
    with torch.inference_mode():
        pictures = torch.nn.Sequential(*before)(torch.rand(2, 1, 96, 96))
        assert pictures.shape == (2, 4, side, side)
        half = side // 2
        quadrants = [
            pictures[:, :, down : down + half, across : across + half].flatten(2)
            for down in (0, half)
            for across in (0, half)
        ]
        reduced = [q.mean(-1) if pooling == "average" else q.amax(-1) for q in quadrants]
        torch.testing.assert_close(flatten(pool(pictures)), torch.stack(reduced, -1).flatten(1))


def test_the_dense_layer_is_rectified_unless_told() -> None:
    torch.manual_seed(0)
    images = torch.rand(4, 1, 96, 96)
    with torch.inference_mode():
        assert bool((Cnn(CnnOptions()).eval().features(images) >= 0).all())
        assert bool((Cnn(AUTHORS_CODE).eval().features(images) < 0).any())


def test_convolution_biases_are_an_option() -> None:
    names = [name for name, _ in Cnn(AUTHORS_CODE).trunk.named_parameters()]
    assert sum(name.endswith("bias") for name in names) == 2  # input norm, dense layer
    names = [name for name, _ in Cnn(CnnOptions()).trunk.named_parameters()]
    assert sum(name.endswith("bias") for name in names) == 5


@pytest.mark.parametrize(("padding", "smallest"), [("all", 8), ("first", 32)])
def test_pictures_too_small_for_quadrants_are_refused(padding: Any, smallest: int) -> None:
    with pytest.raises(UsageError, match=f"input_size_px of {smallest} or more"):
        CnnOptions(padding=padding, input_size_px=smallest - 1)
    options = CnnOptions(padding=padding, input_size_px=smallest, filters=(2, 2, 2))
    assert Cnn(options).eval()(torch.rand(1, 1, smallest, smallest)).shape == (1, 8)


@pytest.mark.parametrize(
    "changes", [{"widths": ()}, {"widths": (100, 0)}, {"features": 0}, {"dropout": -0.1}]
)
def test_recurrent_options_that_cannot_be_built_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"expected {next(iter(changes))}"):
        dataclasses.replace(RANGULOV2020_GRU3.options(), **changes)


def test_a_simple_layer_adds_and_squashes() -> None:
    network = build_used(RANGULOV2020_RNN)
    assert isinstance(network, Recurrent)
    (layer,) = network.recurrent.layers
    inputs = torch.rand(2, 3, 12)
    state = torch.zeros(2, 10)
    weights = dict(layer.named_parameters())
    assert not bool(weights["bias_hh_l0"].any())
    with torch.inference_mode():
        found = network(inputs).outputs
        for step in range(3):
            state = torch.tanh(
                functional.linear(inputs[:, step], weights["weight_ih_l0"], weights["bias_ih_l0"])
                + functional.linear(state, weights["weight_hh_l0"])
            )
            torch.testing.assert_close(network.head(state), found[:, step])


def test_the_joint_network_is_the_frame_network_and_then_the_recurrent_one() -> None:
    """Weights of both, trained apart, load by name."""
    options = small_options(RANGULOV2020_CNN_GRU3)
    frames = build_used(RANGULOV2020_CNN)
    over_time = build_used(RANGULOV2020_GRU3, features=options.dense_width)
    joint = Joint(options).eval()
    assert isinstance(frames, Cnn)
    assert isinstance(over_time, Recurrent)
    weights = {
        **{name: w for name, w in frames.state_dict().items() if name.startswith("trunk.")},
        **over_time.state_dict(),
    }
    joint.load_state_dict(weights, strict=True)
    clips = torch.rand(2, 4, 1, 32, 32)
    with torch.inference_mode():
        features = torch.stack([frames.features(clips[:, at]) for at in range(4)], dim=1)
        expected = over_time(features)
        found = joint(clips)
    torch.testing.assert_close(found.outputs, expected.outputs, rtol=1e-4, atol=1e-5)
    assert [state.shape for state in found.state] == [(2, 10), (2, 9), (2, 8)]
