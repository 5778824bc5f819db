"""The GRU with one bias, against ONNX's own operator for it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from emotrace.models.one_bias_gru import OneBiasGru
from emotrace.runtime import import_onnxruntime

FEATURES, WIDTH, STEPS, BATCH = 4, 3, 6, 2


def onnx_gru(layer: OneBiasGru, inputs: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """ONNX's GRU: gates in the same order, `linear_before_reset = 0`, no recurrent bias."""
    weights = {
        "w": layer.weight_ih.detach().numpy()[None],
        "r": layer.weight_hh.detach().numpy()[None],
        "b": np.concatenate([layer.bias.detach().numpy(), np.zeros(3 * WIDTH, np.float32)])[None],
    }
    graph = helper.make_graph(
        [
            helper.make_node(
                "GRU",
                ["x", "w", "r", "b", "", "h"],
                ["y"],
                hidden_size=WIDTH,
                linear_before_reset=0,
            )
        ],
        "gru",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [STEPS, BATCH, FEATURES]),
            helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, BATCH, WIDTH]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [STEPS, 1, BATCH, WIDTH])],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = import_onnxruntime().InferenceSession(model.SerializeToString())
    feeds = {"x": inputs.transpose(0, 1).contiguous().numpy(), "h": state[None].numpy()}
    return torch.from_numpy(session.run(None, feeds)[0][:, 0]).transpose(0, 1)


def test_it_is_the_gru_that_resets_before_the_product() -> None:
    torch.manual_seed(0)
    layer = OneBiasGru(FEATURES, WIDTH)
    torch.nn.init.uniform_(layer.bias, -1, 1)
    inputs, state = torch.randn(BATCH, STEPS, FEATURES), torch.randn(BATCH, WIDTH)
    with torch.inference_mode():
        states, last = layer(inputs, state)
    torch.testing.assert_close(states, onnx_gru(layer, inputs, state), rtol=1e-5, atol=1e-6)
    assert torch.equal(states[:, -1], last)


@pytest.mark.parametrize(("features", "width", "count"), [(1024, 5, 15_450), (4, 3, 72)])
def test_parameters_are_those_of_one_bias(features: int, width: int, count: int) -> None:
    assert sum(p.numel() for p in OneBiasGru(features, width).parameters()) == count
