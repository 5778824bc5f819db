"""The default network as an ONNX file: batch norm folded in, weights in 16 bits, equal to torch."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from emotrace.errors import TrainingError
from emotrace.models.onnx_export import drop_traces, try_both_exporters, write_onnx
from emotrace.runtime import import_onnxruntime

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.models.compact import CompactNetOutput

FERPLUS_OUTPUT: Final = "ferplus_logits"
FER2013_OUTPUT: Final = "fer2013_logits"
FACE_OUTPUT: Final = "face_logit"
OUTPUT_NAMES: Final = (FERPLUS_OUTPUT, FER2013_OUTPUT, FACE_OUTPUT)
_ONNX_TOLERANCE: Final = 1e-4
_HALF_PRECISION_FROM: Final = 256
"""Values; what is smaller stays as it is."""


def fuse_and_round(network: nn.Module) -> nn.Module:
    """Fold batch norm into the convolutions before it and round the weights to half precision.

    The rounded values fit 16 bits, in which they are then stored: half the file, and the error (2
    ** -11 of each weight) is far below what training leaves to chance. Arithmetic stays in 32 bits.
    """
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for at in range(len(module) - 1):
                first, second = module[at], module[at + 1]
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    module[at] = fuse_conv_bn_eval(first, second)
                    module[at + 1] = nn.Identity()
    for parameter in network.parameters():
        parameter.data = parameter.data.half().float()
    return network


def _store_in_half_precision(path: Path) -> None:
    """Rewrite the model's large weights as 16-bit values that are widened when it is loaded."""
    model = onnx.load(str(path))
    graph = model.graph
    casts = []
    for weight in list(graph.initializer):
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _HALF_PRECISION_FROM:
            continue
        narrow = onnx.numpy_helper.from_array(values.astype(np.float16), f"{weight.name}_half")
        casts.append(
            onnx.helper.make_node("Cast", [narrow.name], [weight.name], to=onnx.TensorProto.FLOAT)
        )
        graph.initializer.remove(weight)
        graph.initializer.append(narrow)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    drop_traces(model)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def export_onnx(network: nn.Module, path: Path, size_px: int) -> None:
    """Write the network as ONNX: `faces` in, any batch size; three outputs.

    Raises:
        TrainingError: No exporter of torch takes the network, or ONNX disagrees with torch.
    """
    plain = network.to(memory_format=torch.contiguous_format)

    def export(*, is_new: bool) -> None:
        write_onnx(
            plain,
            (torch.zeros(2, 1, size_px, size_px),),
            path,
            input_names=["faces"],
            output_names=OUTPUT_NAMES,
            is_new=is_new,
        )
        # Of another batch than the example had, which shows whether any will do.
        pictures = np.random.default_rng(0).integers(0, 256, (3, size_px, size_px), dtype=np.uint8)
        compare_with_torch(network, pictures, _tried(path, pictures))

    try_both_exporters("the default network", export)
    _store_in_half_precision(path)


def _tried(path: Path, pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    try:
        return run_onnx(path, pictures)
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise TrainingError(
            f"expected onnxruntime to run the exported model; got {error}"
        ) from error


def run_onnx(model: Path, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return what an exported model says of grey pictures, `(n, size, size)`, by output name."""
    onnxruntime = import_onnxruntime()
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    parts = [
        session.run(names, {"faces": images[at : at + 256, None].astype(np.float32) / 255})
        for at in range(0, len(images), 256)
    ]
    return {name: np.concatenate(values) for name, *values in zip(names, *parts, strict=True)}


def compare_with_torch(
    network: nn.Module, images: NDArray[np.uint8], logits: dict[str, NDArray[np.float32]]
) -> None:
    """Refuse a model whose ONNX form says something else than torch does.

    Raises:
        TrainingError: An output differs by more than 1e-4.
    """
    with torch.inference_mode():
        faces = torch.from_numpy(images[:, None].astype(np.float32) / 255)
        expected: CompactNetOutput = network(faces)
    for name, value in zip(OUTPUT_NAMES, expected, strict=True):
        gap = float(np.abs(logits[name] - value.numpy()).max())
        if not gap <= _ONNX_TOLERANCE:  # also where it is not a number
            raise TrainingError(
                f"expected ONNX to equal torch to {_ONNX_TOLERANCE} in {name}; got {gap:.2g}"
            )
