"""The default network's ONNX file says what torch says, whichever exporter writes it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from emotrace.errors import TrainingError
from emotrace.models.compact import CompactNet
from emotrace.training.default_onnx import (
    OUTPUT_NAMES,
    compare_with_torch,
    export_onnx,
    fuse_and_round,
)
from tests.training.tiny import TINY_NETWORK


def shaken_net(**changes: Any) -> nn.Module:
    """A network whose batch norms do something, as after training."""
    torch.manual_seed(0)
    network = CompactNet(dataclasses.replace(TINY_NETWORK, **changes))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean = torch.randn_like(module.bias) * 0.1
                module.running_var = torch.rand_like(module.bias) + 0.5
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    return network.eval()


def test_folding_batch_norm_changes_nothing_but_rounding() -> None:
    network = shaken_net()
    fused = fuse_and_round(network)
    norms = [name for name, module in fused.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms == ["stem.0"]  # before its convolution: padding forbids folding it
    faces = torch.rand(4, 1, 48, 48)
    with torch.inference_mode():
        for before, after in zip(network(faces), fused(faces), strict=True):
            torch.testing.assert_close(after, before, atol=5e-3, rtol=5e-3)
    for parameter in fused.parameters():
        assert torch.equal(parameter, parameter.half().float())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.stem[1:])  # type: ignore[index]


def run_file(path: Path, faces: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(list(OUTPUT_NAMES), {"faces": faces.numpy()})
    return found


def export_by(
    route: str, network: nn.Module, path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[bool]:
    """Export with the newer exporter, or the older one because the newer one fails.

    Returns:
        Which exporters were asked; True is the newer one.
    """
    plain, asked = torch.onnx.export, []

    def ask(*arguments: Any, dynamo: bool, **settings: Any) -> None:
        asked.append(dynamo)
        if dynamo and route == "older":
            raise torch.onnx.OnnxExporterError("batch norm")
        plain(*arguments, dynamo=dynamo, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(torch.onnx, "export", ask)
        export_onnx(network, path, 48)
    return asked


@pytest.mark.slow
def test_both_exporters_write_what_torch_says_for_any_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = fuse_and_round(shaken_net())
    newer, older = tmp_path / "newer.onnx", tmp_path / "older.onnx"
    assert export_by("newer", network, newer, monkeypatch) == [True]
    assert export_by("older", network, older, monkeypatch) == [True, False]
    for count in (1, 2, 5):
        faces = torch.rand(count, 1, 48, 48)
        with torch.inference_mode():
            expected = network(faces)
        for ours, theirs, truth in zip(
            run_file(newer, faces), run_file(older, faces), expected, strict=True
        ):
            np.testing.assert_allclose(ours, truth.numpy(), atol=1e-5)
            np.testing.assert_allclose(theirs, truth.numpy(), atol=1e-5)
    for path in (newer, older):
        assert str(Path.cwd()).encode() not in path.read_bytes()
        assert b"site-packages" not in path.read_bytes()
        model = onnx.load(str(path))
        onnx.checker.check_model(model, full_check=True)
        large = [t for t in model.graph.initializer if int(np.prod(t.dims)) >= 256]
        assert large
        assert {tensor.data_type for tensor in large} == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize("changes", [{"standardised": True}, {"first_stride": 1}])
def test_faces_are_the_same_bit_for_bit_in_any_batch(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    network = fuse_and_round(shaken_net(**changes))
    path = tmp_path / "model.onnx"
    export_onnx(network, path, 48)
    faces = torch.rand(9, 1, 48, 48) * torch.rand(9, 1, 1, 1)
    together = run_file(path, faces)
    with torch.inference_mode():
        expected = network(faces)
    for ours, truth in zip(together, expected, strict=True):
        np.testing.assert_allclose(ours, truth.numpy(), atol=1e-5)
    for size in (1, 2, 4):
        parts = [run_file(path, faces[at : at + size]) for at in range(0, len(faces), size)]
        for ours, *found in zip(together, *parts, strict=True):
            np.testing.assert_array_equal(np.concatenate(found), ours)


def test_a_file_that_does_not_run_is_refused_from_both_exporters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def broken(*arguments: Any, dynamo: bool, **_: Any) -> None:
        asked.append(dynamo)
        Path(arguments[2]).write_bytes(b"no model")

    monkeypatch.setattr(torch.onnx, "export", broken)
    with pytest.raises(
        TrainingError,
        match=r"expected the default network to export to ONNX; got expected onnxruntime to run "
        r"the exported model; .*with the older exporter: expected onnxruntime",
    ):
        export_onnx(fuse_and_round(shaken_net()), tmp_path / "model.onnx", 48)
    assert asked == [True, False]


def test_onnx_that_disagrees_with_torch_is_refused() -> None:
    network = fuse_and_round(shaken_net())
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    with torch.inference_mode():
        output = network(torch.from_numpy(images[:, None].astype(np.float32) / 255))
    logits = {name: value.numpy().copy() for name, value in output._asdict().items()}
    compare_with_torch(network, images, logits)
    logits["fer2013_logits"][1, 2] += 2e-4
    with pytest.raises(
        TrainingError, match=r"ONNX to equal torch to 0\.0001 in fer2013_logits; got"
    ):
        compare_with_torch(network, images, logits)
    logits["fer2013_logits"][1, 2] = np.nan
    with pytest.raises(TrainingError, match="in fer2013_logits; got nan"):
        compare_with_torch(network, images, logits)
