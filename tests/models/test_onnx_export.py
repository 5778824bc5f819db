"""Every network of the zoo as ONNX: names, numbers, any batch, states in and out."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from emotrace.errors import TrainingError, UsageError
from emotrace.models import onnx_export
from emotrace.models.architecture import InputKind, SequenceNetwork
from emotrace.models.onnx_export import ONNX_TOLERANCE, export_onnx, scaled_gap
from emotrace.models.zoo import ARCHITECTURES, find_architecture
from emotrace.runtime import import_onnxruntime
from tests.models.small_options import (
    build_used,
    is_sequence,
    outputs_of,
    random_inputs,
    small_options,
)

if TYPE_CHECKING:
    from pathlib import Path

    from emotrace.models.architecture import Architecture, Network

# An export takes seconds: these two stand for the rest where slow tests are left out.
QUICK = {("salinas2018-slow-fusion", 1), ("rangulov2020-rnn", 1)}
BATCH = 3
STEPS = 6


def forms() -> list[Any]:
    """Each row in one step, each sequence in several too."""
    found = []
    for row in ARCHITECTURES:
        for steps in (1, 3) if is_sequence(row) else (1,):
            marks = [] if (row.name, steps) in QUICK else [pytest.mark.slow]
            found.append(pytest.param(row, steps, id=f"{row.name}-{steps}", marks=marks))
    return found


def run_onnx(row: Architecture, network: Network, path: Path, inputs: torch.Tensor) -> Any:
    """Outputs of the file: a sequence in as many calls as it takes, from zeros, states fed back."""
    session = import_onnxruntime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    first, *states = session.get_inputs()
    assert first.name == ("vectors" if row.kind is InputKind.VECTOR_SEQUENCE else "faces")
    assert [output.name for output in session.get_outputs()] == [
        "outputs",
        *(f"{state.name}_out" for state in states),
    ]
    assert [state.name for state in states] == [f"state_{at}" for at in range(len(states))]
    assert all(isinstance(value.shape[0], str) for value in (first, *states))  # any batch
    if not isinstance(network, SequenceNetwork):
        assert states == []
        return session.run(None, {"faces": inputs.numpy()})[0]
    steps = first.shape[1]
    zeros = [np.zeros((len(inputs), *state.shape[1:]), np.float32) for state in states]
    for ours, theirs in zip(zeros, network.initial_state(len(inputs)), strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())
    parts, memory = [], zeros
    for piece in inputs.numpy().reshape(len(inputs), -1, steps, *inputs.shape[2:]).swapaxes(0, 1):
        feeds = {state.name: value for state, value in zip(states, memory, strict=True)}
        outputs, *memory = session.run(None, {first.name: piece, **feeds})
        parts.append(outputs)
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize(("row", "steps"), forms())
def test_onnx_says_what_torch_says(row: Architecture, steps: int, tmp_path: Path) -> None:
    network, options = build_used(row), small_options(row)
    path = tmp_path / "model.onnx"
    export_onnx(network, row, options, path, steps=steps)
    inputs = random_inputs(row, options, batch=BATCH, steps=STEPS)
    with torch.inference_mode():
        expected = outputs_of(network, inputs).numpy()
    found = run_onnx(row, network, path, inputs)
    assert found.shape == expected.shape
    assert float(np.abs(found - expected).max()) < ONNX_TOLERANCE
    assert float(np.abs(expected[0] - expected[1]).max()) > 10 * ONNX_TOLERANCE
    assert b"site-packages" not in path.read_bytes()  # no folders of whoever exported it


def test_where_the_newer_exporter_fails_the_older_one_writes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, asked = torch.onnx.export, []

    def only_older(*arguments: Any, dynamo: bool, **settings: Any) -> None:
        asked.append(dynamo)
        if dynamo:
            raise torch.onnx.OnnxExporterError("no")
        plain(*arguments, dynamo=False, **settings)

    monkeypatch.setattr(torch.onnx, "export", only_older)
    row = find_architecture("rangulov2020-cnn-gru1")
    network, options = build_used(row), small_options(row)
    export_onnx(network, row, options, tmp_path / "model.onnx")
    assert asked == [True, False]
    assert not network.training
    inputs = random_inputs(row, options, batch=BATCH, steps=STEPS)
    found = run_onnx(row, network, tmp_path / "model.onnx", inputs)
    with torch.inference_mode():
        assert float(np.abs(found - outputs_of(network, inputs).numpy()).max()) < ONNX_TOLERANCE


def test_what_is_no_number_is_a_gap() -> None:
    values, broken = np.zeros(2, np.float32), np.array([0.0, np.nan], np.float32)
    for ours, theirs in ((values, broken), (broken, values), (broken, broken)):
        assert not scaled_gap(ours, theirs) <= ONNX_TOLERANCE


def test_steps_are_for_sequences(tmp_path: Path) -> None:
    for name, steps in (("rangulov2020-cnn", 2), ("rangulov2020-rnn", 0)):
        row = find_architecture(name)
        with pytest.raises(UsageError, match=f"expected steps of 1 .*got {steps}"):
            export_onnx(build_used(row), row, small_options(row), tmp_path / "x", steps=steps)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("gaps", "words"),
    [
        ((2e-4, 0.0), "0.0001 in the outputs of rangulov2020-rnn; got a difference of 0.0002"),
        ((0.0, 2e-3), "0.001 in the states of"),
        ((float("nan"), 0.0), "in the outputs"),
    ],
)
def test_an_export_that_differs_is_refused_and_the_network_left_as_it_was(
    gaps: tuple[float, float], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noisy_export(*_: object, **__: object) -> None:
        warnings.warn("of the exporter's own", UserWarning, stacklevel=1)
        assert logging.getLogger("torch.onnx").level == logging.CRITICAL

    monkeypatch.setattr(torch.onnx, "export", noisy_export)
    monkeypatch.setattr(onnx_export, "_largest_gaps", lambda *_: gaps)
    row = find_architecture("rangulov2020-rnn")
    network = build_used(row).train()
    before = logging.getLogger("torch.onnx").level
    with pytest.raises(TrainingError, match=f"expected ONNX to equal torch to .*{words}"):
        export_onnx(network, row, small_options(row), tmp_path / "x")
    assert network.training
    assert logging.getLogger("torch.onnx").level == before
