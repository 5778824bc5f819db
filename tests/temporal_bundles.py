"""Temporal bundles so small that their answers can be worked out by hand."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from emotrace.bundle_memory import RecurrentSpec, StateSpec, WindowSpec, temporal_kind
from emotrace.bundle_spec import (
    CARD_FILE,
    MODEL_FILE,
    SPEC_FILE,
    BundleSpec,
    ExpressionOutput,
    spec_to_json,
)
from emotrace.faces.crop import CropGeometry
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.bundle_memory import MemorySpec

SIZE_PX = 8
KEEP = 0.5
"""Share of its state that the recurrent model keeps from step to step."""
WEIGHTS = np.linspace(-2, 2, len(EMOTIONS) + 2, dtype=np.float32)[np.newaxis]
"""`(1, 10)`: from the state (or the mean of the window) to eight logits, valence and arousal."""


def write_bundle(folder: Path, model: onnx.ModelProto, spec: BundleSpec) -> Path:
    """Write a bundle's three files."""
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    folder.mkdir(parents=True)
    (folder / MODEL_FILE).write_bytes(content)
    (folder / CARD_FILE).write_text("# Made\n\nFor tests.\n", encoding="utf-8")
    spec = dataclasses.replace(spec, model_sha256=hashlib.sha256(content).hexdigest())
    (folder / SPEC_FILE).write_text(json.dumps(spec_to_json(spec)), encoding="utf-8")
    return folder


def make_spec(memory: MemorySpec | None, **changes: Any) -> BundleSpec:
    """Eight plain logits, then valence and arousal, in one output."""
    shares = tuple(1 / len(EMOTIONS) for _ in EMOTIONS)
    values: dict[str, Any] = {
        "name": "made",
        "version": "0",
        "description": "brightness, remembered",
        "labels": EMOTIONS,
        "temporal": temporal_kind(memory),
        "crop": CropGeometry(size_px=SIZE_PX),
        "input_name": "faces",
        "input_size_px": SIZE_PX,
        "expression_outputs": (
            ExpressionOutput(
                name="expression",
                labels=EMOTIONS,
                temperature=1.0,
                weights={"custom": 1.0},
                output="outputs",
                balanced=False,
            ),
        ),
        "face_output": None,
        "valence_arousal_output": "outputs",
        "valence_arousal_start": len(EMOTIONS),
        "priors": {"training": shares, "default": shares},
        "training_data": "nothing",
        "licence": "none",
        "model_sha256": "",
        "memory": memory,
    }
    return BundleSpec(**(values | changes))


def model_of(nodes: Sequence[Any], inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    """Make a model of float inputs and outputs by shape, and the weights `weights`."""
    axes = helper.make_tensor("pixel_axes", TensorProto.INT64, [3], [2, 3, 4])
    step = helper.make_tensor("step_axis", TensorProto.INT64, [1], [1])
    keep = helper.make_tensor("keep", TensorProto.FLOAT, [], [KEEP])
    weights = helper.make_tensor("weights", TensorProto.FLOAT, WEIGHTS.shape, WEIGHTS.ravel())
    graph = helper.make_graph(
        list(nodes),
        "made",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [axes, step, keep, weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def recurrent_bundle(folder: Path, *, frame_seconds: float | None = None, **changes: Any) -> Path:
    """The state is half of itself and the brightness of the crop; outputs are weights of it."""
    model = model_of(
        [
            helper.make_node("ReduceMean", ["faces", "pixel_axes"], ["brightness"], keepdims=0),
            helper.make_node("Mul", ["state_0", "keep"], ["kept"]),
            helper.make_node("Add", ["kept", "brightness"], ["state_0_out"]),
            helper.make_node("MatMul", ["state_0_out", "weights"], ["flat"]),
            helper.make_node("Unsqueeze", ["flat", "step_axis"], ["outputs"]),
        ],
        {"faces": ["n", 1, 1, SIZE_PX, SIZE_PX], "state_0": ["n", 1]},
        {"outputs": ["n", 1, WEIGHTS.shape[1]], "state_0_out": ["n", 1]},
    )
    memory = RecurrentSpec(
        states=(StateSpec(name="state_0", output="state_0_out", shape=(1,)),),
        frame_seconds=frame_seconds,
    )
    return write_bundle(folder, model, make_spec(memory, **changes))


def window_bundle(
    folder: Path,
    *,
    frames: int = 3,
    frame_seconds: float | None = None,
    frame_step: int = 1,
    **changes: Any,
) -> Path:
    """Outputs are weights of the sum of the crops' brightness, the newest counting most."""
    model = model_of(
        [
            helper.make_node("ReduceMean", ["faces", "pixel_axes"], ["brightness"], keepdims=0),
            helper.make_node("MatMul", ["brightness", "powers"], ["mean"]),
            helper.make_node("MatMul", ["mean", "weights"], ["outputs"]),
        ],
        {"faces": ["n", frames, 1, SIZE_PX, SIZE_PX]},
        {"outputs": ["n", WEIGHTS.shape[1]]},
    )
    powers = helper.make_tensor("powers", TensorProto.FLOAT, [frames, 1], window_weights(frames))
    model.graph.initializer.append(powers)
    memory = WindowSpec(frames=frames, frame_seconds=frame_seconds, frame_step=frame_step)
    return write_bundle(folder, model, make_spec(memory, **changes))


def window_weights(frames: int) -> NDArray[np.float64]:
    """How much each crop of the window counts, the oldest first: all differ."""
    return np.array([3.0 ** (at + 1 - frames) for at in range(frames)])


def flat_crop(level: float) -> NDArray[np.uint8]:
    """A crop of one brightness, 0 to 255."""
    return np.full((SIZE_PX, SIZE_PX, 3), round(level), np.uint8)


def brightness_of(level: float) -> float:
    """What the model sees of `flat_crop(level)`."""
    return round(level) / 255


def expected_outputs(state: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probabilities and the valence and arousal that follow from a state."""
    values = WEIGHTS[0].astype(np.float64) * state
    logits = values[: len(EMOTIONS)]
    shares = np.exp(logits - logits.max())
    return shares / shares.sum(), np.clip(values[len(EMOTIONS) :], -1, 1)
