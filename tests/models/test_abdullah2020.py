"""abdullah2020's two networks: features of the last dense layer, dropout that acts, the LSTM."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from emotrace.errors import UsageError
from emotrace.models.abdullah2020_lstm import LstmOptions, build_lstm
from emotrace.models.abdullah2020_xception import XceptionOptions, build_xception
from emotrace.models.composition import PictureNetwork
from emotrace.models.cost import count_parameters

XCEPTION = 22_855_952 - 2_049 * 1_000
"""As in Table 3 of Chollet (2017), less the classifier on 2,048 values."""


@pytest.fixture(scope="module")
def network() -> PictureNetwork:
    torch.manual_seed(0)
    return build_xception(XceptionOptions(input_size_px=32, dense_width=24))


def test_parts_and_their_sizes() -> None:
    with torch.device("meta"):
        grey = build_xception(XceptionOptions())
        colour = build_xception(XceptionOptions(input_channels=3, dense_width=0))
    assert count_parameters(colour.extractor) == XCEPTION
    assert colour.extractor.feature_size == 2_048
    assert count_parameters(grey.extractor) == XCEPTION - 2 * 32 * 9 + 2_049 * 512
    assert [(head.name, head.size) for head in grey.heads] == [("expression", 7)]


def test_features_are_the_last_dense_layers_values(network: PictureNetwork) -> None:
    network.eval()
    faces = torch.rand(3, 1, 32, 32)
    with torch.inference_mode():
        pooled = network.extractor.get_submodule("pooled")(faces)
        dense = network.extractor.get_submodule("dense")
        assert isinstance(dense, nn.Conv2d)
        weight = dense.weight[:, :, 0, 0]
        expected = nn.functional.linear(pooled, weight, dense.bias).relu()
        features = network.features(faces)
        torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
        assert features.shape == (3, 24)
        assert torch.equal(network.head(features), network(faces))


def test_dropout_acts_on_the_features_in_training_only(network: PictureNetwork) -> None:
    """timm's own network of this name has thrown its dropout away in some releases."""
    features = torch.rand(64, 24) + 1
    with torch.no_grad():
        network.train()
        dropped = network.dropout(features)
        share = float((dropped == 0).float().mean())
        assert share == pytest.approx(0.5, abs=0.05)
        torch.testing.assert_close(dropped[dropped != 0], 2 * features[dropped != 0])
        faces = torch.rand(4, 1, 32, 32)
        # Batch norm aside, which sees the same batch each time, only dropout can differ.
        assert torch.equal(network.features(faces), network.features(faces))
        assert not torch.equal(network(faces), network(faces))
        network.eval()
        assert torch.equal(network(faces), network(faces))


def test_the_smallest_picture_has_a_result_and_a_smaller_one_is_refused() -> None:
    torch.manual_seed(0)
    network = build_xception(XceptionOptions(input_size_px=7, dense_width=8)).eval()
    with torch.inference_mode():
        assert bool(torch.isfinite(network(torch.rand(1, 1, 7, 7))).all())
    with pytest.raises(UsageError, match="expected input_size_px of 7 or more; got 6"):
        XceptionOptions(input_size_px=6)
    with pytest.raises(UsageError, match="expected dense_width of 0 or more; got -1"):
        XceptionOptions(dense_width=-1)


def test_a_narrow_network_has_the_same_layers_with_fewer_channels() -> None:
    torch.manual_seed(0)
    options = XceptionOptions(input_size_px=32, dense_width=0, width_multiplier=0.25)
    narrow = build_xception(options)
    with torch.device("meta"):
        whole = build_xception(XceptionOptions(input_size_px=32, dense_width=0))
    kinds = [[type(layer) for layer in network.modules()] for network in (narrow, whole)]
    assert kinds[0] == kinds[1]
    assert narrow.extractor.feature_size == 512
    # Nearly all weights are of 1 x 1 convolutions, which are narrower on both sides.
    share = count_parameters(narrow.extractor) / count_parameters(whole.extractor)
    assert share == pytest.approx(0.25**2, rel=0.1)
    narrow.train()
    outputs = narrow(torch.rand(4, 1, 32, 32))
    assert outputs.shape == (4, 7)
    outputs.sum().backward()
    gradients = [weight.grad for weight in narrow.parameters()]
    assert all(found is not None and bool(torch.isfinite(found).all()) for found in gradients)
    for wrong in (0.0, 1.5):
        with pytest.raises(UsageError, match="expected width_multiplier above 0 and up to 1"):
            XceptionOptions(width_multiplier=wrong)
    with pytest.raises(UsageError, match="expected width_multiplier of 1 with pretrained"):
        XceptionOptions(width_multiplier=0.5, pretrained=True)


def test_one_lstm_layer_on_the_features_of_the_other_network() -> None:
    options = LstmOptions()
    assert options.features == XceptionOptions().dense_width
    network = build_lstm(options)
    assert count_parameters(network) == 4 * 256 * (512 + 256 + 2) + 257 * 7
    assert [tuple(part.shape) for part in network.initial_state(2)] == [(2, 1, 256)] * 2
    assert network.dropout.p == 0.5
