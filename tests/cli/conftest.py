"""What the tests of the command line share: a tiny bundle, small media files, a way to call it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from emotrace.bundle_spec import (
    CARD_FILE,
    MODEL_FILE,
    SPEC_FILE,
    BundleSpec,
    ExpressionOutput,
)
from emotrace.bundle_spec import spec_to_json as to_json
from emotrace.cli.app import main
from emotrace.faces.crop import CropGeometry
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Said:
    """What a call left behind."""

    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.strip()]


Call = Callable[..., Said]


def forget_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the modules for training imported anew, until the test is over.

    Their packages hold them as attributes too; importing anew would leave those for good.
    """
    names = [name for name in sys.modules if name.startswith("emotrace.training.")]
    for name in names:
        parent, _, child = name.rpartition(".")
        if hasattr(sys.modules[parent], child):
            held = getattr(sys.modules[parent], child)
            monkeypatch.setattr(sys.modules[parent], child, held)
    for name in names:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in this process."""

    def run(*words: object) -> Said:
        code = main([str(word) for word in words])
        captured = capfd.readouterr()
        return Said(code, captured.out, captured.err)

    return run


def call_process(*words: object, env: dict[str, str] | None = None) -> Said:
    """Run the command line in a process of its own, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "emotrace.cli.app", *map(str, words)],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose model says the more `happiness` the brighter the crop."""
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    folder.mkdir()
    weights = np.zeros((1, len(EMOTIONS)), np.float32)
    weights[0, EMOTIONS.index("happiness")] = 4.0
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 1, 48, 48])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(EMOTIONS)])],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    (folder / MODEL_FILE).write_bytes(content)
    (folder / CARD_FILE).write_text("# Tiny\n\nFor tests.\n", encoding="utf-8")
    shares = tuple(1 / len(EMOTIONS) for _ in EMOTIONS)
    spec = BundleSpec(
        name="tiny",
        version="0",
        description="brightness is happiness",
        labels=EMOTIONS,
        temporal="none",
        crop=CropGeometry(),
        input_name="pixels",
        input_size_px=48,
        expression_outputs=(
            ExpressionOutput(
                name="logits",
                labels=EMOTIONS,
                temperature=1.0,
                weights={"default": 1.0, "training": 1.0, "uniform": 1.0, "custom": 1.0},
            ),
        ),
        face_output=None,
        valence_arousal_output=None,
        priors={"default": shares, "training": shares},
        training_data="nothing",
        licence="none",
        model_sha256=hashlib.sha256(content).hexdigest(),
        results={},
    )
    (folder / SPEC_FILE).write_text(json.dumps(to_json(spec)), encoding="utf-8")
    return folder


def write_video(path: Path, *, frames: int = 12) -> Path:
    """Write a grey video without a face."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(frames):
            picture = np.full((64, 96, 3), 40 + 10 * (index % 20), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """Write half a second of silence as an MP4 without pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        for start in range(0, 24_000, 1024):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 48_000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
