"""Any network of the zoo as an ONNX file, with one naming for all.

Inputs are `faces` (pictures, clips and sequences of pictures) or `vectors`, outputs are `outputs`.
A sequence network also takes `state_0`, `state_1`, ... and gives `state_0_out`, `state_1_out`, ...:
whoever runs it feeds zeros of the states' shape first, then what came out. The batch may be of any
size. The number of steps of a sequence is fixed when it is exported, because torch's exporter
writes recurrent layers out step by step (torch 2.15 does so even where time is declared dynamic):
1, the default, is what frame-by-frame analysis needs; a run over any number of frames is that many
calls.

torch has two exporters. The newer one is tried first; where it fails, or writes something else than
the network says, the older one writes the file: torch 2.6's newer one, with today's onnxscript,
takes no batch norm and fixes the batch of some networks.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from emotrace.errors import TrainingError, UsageError
from emotrace.models.architecture import InputKind, SequenceNetwork, example_shape
from emotrace.runtime import import_onnxruntime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.models.architecture import Architecture, Network, State

FACES_INPUT: Final = "faces"
VECTORS_INPUT: Final = "vectors"
OUTPUTS: Final = "outputs"
ONNX_TOLERANCE: Final = 1e-4
"""Largest difference to torch that outputs may have, as `scaled_gap` measures it."""
STATE_TOLERANCE: Final = 1e-3
"""The same of states. Those behind a deep network differ more by rounding alone: the cells of an
LSTM on a random ResNet-50 by 2e-4 between torch in 32 and in 64 bits, its outputs by 4e-6."""
_EXAMPLE_BATCH: Final = 2
"""Not 1, which the exporter would take for a size that never changes."""
_OLDER_OPSET: Final = 17
"""Of the older exporter: the last whose operators torch 2.6 knows all of, by its own table."""
_VECTOR_AXES: Final = 3


NAME_SCOPES: Final = "pkg.torch.onnx.name_scopes"
"""Of a node of the newer exporter: the names of the modules around it, the innermost last but one;
`emotrace.models.onnx_weights` reads it."""


class Export(Protocol):
    """Writes an ONNX file with one of torch's exporters and makes sure of it."""

    def __call__(self, *, is_new: bool) -> None:
        """Do so with the newer exporter or the older one."""


class _Flat(nn.Module):
    """A network with its state as plain arguments and results, which is what ONNX has."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        if not isinstance(self.network, SequenceNetwork):
            return (self.network(inputs),)
        outputs, after = self.network(inputs, state)
        return (outputs, *after)


def state_names(count: int) -> tuple[list[str], list[str]]:
    """Return the names of `count` states, going in and coming out.

    >>> state_names(2)
    (['state_0', 'state_1'], ['state_0_out', 'state_1_out'])
    """
    before = [f"state_{at}" for at in range(count)]
    return before, [f"{name}_out" for name in before]


def export_onnx(
    network: Network, architecture: Architecture, options: Any, path: Path, *, steps: int = 1
) -> None:
    """Write a network as ONNX and make sure that it says what torch says.

    Args:
        network: Built from `options`; on the CPU. Left as it is.
        architecture: Its row of the zoo.
        options: Those it was built from.
        path: The file; the folder must be there.
        steps: Steps of a sequence that one call takes; no other kind has steps.

    Raises:
        UsageError: `steps` is below 1, or given for a network that has none.
        TrainingError: No exporter of torch takes the network, or ONNX differs from torch by more
            than 1e-4 in the outputs or 1e-3 in a state.
    """
    is_sequence = isinstance(network, SequenceNetwork)
    if steps < 1 or (steps > 1 and not is_sequence):
        raise UsageError(
            f"expected steps of 1 or more for a sequence, 1 for {architecture.name}; got {steps}"
            if not is_sequence
            else f"expected steps of 1 or more; got {steps}"
        )

    def export(*, is_new: bool) -> None:
        _write(network, architecture, options, path, steps=steps, is_new=is_new)
        _check(network, architecture, options, path, steps=steps)

    was_training = network.training
    network.eval()
    try:
        try_both_exporters(architecture.name, export)
    finally:
        network.train(was_training)
    model = onnx.load(str(path))
    drop_traces(model)
    path.write_bytes(model.SerializeToString())


def try_both_exporters(name: str, export: Export) -> None:
    """Export with torch's newer exporter, and where that fails with its older one.

    Args:
        name: The network's, for the message.
        export: Writes a file with the exporter that it is told and makes sure of the result.

    Raises:
        TrainingError: Both failed.
    """
    failures: list[Exception] = []
    for is_new in (True, False):
        try:
            export(is_new=is_new)
        except (torch.onnx.OnnxExporterError, TrainingError) as error:
            failures.append(error)
        else:
            return
    raise TrainingError(
        f"expected {name} to export to ONNX; got {_first_line(failures[0])}; with the "
        f"older exporter: {_first_line(failures[1])}"
    ) from failures[0]


def drop_traces(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes of the source of each node: it names folders of this machine.

    The name of the module that a node came from stays, by which weights are found again.
    """
    graph = model.graph
    nodes = [*graph.node, *(node for function in model.functions for node in function.node)]
    for part in (model, graph, *graph.value_info, *graph.input, *graph.output, *model.functions):
        del part.metadata_props[:]
    for node in nodes:
        scopes = [item.value for item in node.metadata_props if item.key == NAME_SCOPES]
        del node.metadata_props[:]
        for value in scopes:
            node.metadata_props.add(key=NAME_SCOPES, value=value)


def _write(
    network: Network,
    architecture: Architecture,
    options: Any,
    path: Path,
    *,
    steps: int,
    is_new: bool,
) -> None:
    inputs, state = _example(network, architecture, options, steps, batch=_EXAMPLE_BATCH)
    before, after = state_names(len(state))
    write_onnx(
        _Flat(network),
        (inputs, *state),
        path,
        input_names=[input_name(architecture), *before],
        output_names=[OUTPUTS, *after],
        is_new=is_new,
    )


def write_onnx(
    module: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    *,
    input_names: Sequence[str],
    output_names: Sequence[str],
    is_new: bool,
) -> None:
    """Write a module as ONNX, in evaluation, for any batch; compare the result with torch after.

    Args:
        module: Its `forward` takes one tensor; what follows goes to a variadic argument.
        example: What it takes; the first axis of each is the batch, of 2 or more (a 1 would be
            taken for a size that never changes).
        path: The file; the folder must be there.
        input_names: In the file, one for each of `example`.
        output_names: In the file.
        is_new: Whether torch's newer exporter (torch.export) writes it, or its older one
            (TorchScript).

    Raises:
        torch.onnx.OnnxExporterError: The exporter does not take the module.
    """
    how: dict[str, Any]
    if is_new:
        batch = torch.export.Dim("batch")
        # By place: torch 2.6 would have them named as the file's inputs, later ones as arguments.
        first, *more = ({0: batch} for _ in example)
        shapes = (first, tuple(more)) if more else (first,)
        how = {"dynamo": True, "dynamic_shapes": shapes, "external_data": False}
    else:
        axes = {name: {0: "batch"} for name in (*input_names, *output_names)}
        how = {"dynamo": False, "dynamic_axes": axes, "opset_version": _OLDER_OPSET}
    with _quiet_exporter():
        torch.onnx.export(
            # In evaluation too, or the older exporter would put all of it into training after.
            module.eval(),
            example,
            str(path),
            input_names=list(input_names),
            output_names=list(output_names),
            verbose=False,
            **how,
        )


def _check(
    network: Network, architecture: Architecture, options: Any, path: Path, *, steps: int
) -> None:
    """Refuse a file that takes or says something else than the network.

    Raises:
        TrainingError: Other inputs, or values further off than the tolerances.
    """
    # Of another batch than the export had, which shows whether any will do.
    inputs, state = _example(network, architecture, options, steps, batch=_EXAMPLE_BATCH + 1)
    try:
        gaps = _largest_gaps(network, architecture, path, inputs, state)
    except TrainingError:
        raise
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise TrainingError(
            f"expected onnxruntime to run the exported model; got {_first_line(error)}"
        ) from error
    for what, gap, tolerance in zip(
        ("outputs", "states"), gaps, (ONNX_TOLERANCE, STATE_TOLERANCE), strict=True
    ):
        if not gap <= tolerance:  # also where it is not a number
            raise TrainingError(
                f"expected ONNX to equal torch to {tolerance} in the {what} of "
                f"{architecture.name}; got a difference of {gap:.2g}"
            )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Hide what the exporter says of its own internals; the result is compared with torch's."""
    names = ("torch.onnx", "torch._guards", "onnxscript", "onnx_ir")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def input_name(architecture: Architecture) -> str:
    """Return the name of the exported model's first input."""
    is_vector = architecture.kind is InputKind.VECTOR_SEQUENCE
    return VECTORS_INPUT if is_vector else FACES_INPUT


def _example(
    network: Network, architecture: Architecture, options: Any, steps: int, *, batch: int
) -> tuple[Tensor, State]:
    shape = example_shape(architecture, options)
    if not isinstance(network, SequenceNetwork):
        return _smooth(batch, *shape), ()
    return _smooth(batch, steps, *shape[1:]), network.initial_state(batch)


def _smooth(*shape: int) -> Tensor:
    """Return soft patterns in [0, 1], noise for vectors.

    Noise for pictures too would not do: deep features average it out, all pictures look the same.
    """
    generator = torch.Generator().manual_seed(0)
    is_picture = len(shape) > _VECTOR_AXES
    coarse = (*shape[:-2], *(min(side, 4) for side in shape[-2:])) if is_picture else shape
    values = torch.rand(coarse, generator=generator)
    if not is_picture:
        return values
    pictures = functional.interpolate(values.flatten(0, -4), shape[-2:], mode="bilinear")
    return pictures.reshape(shape)


def _largest_gaps(
    network: Network, architecture: Architecture, path: Path, inputs: Tensor, state: State
) -> tuple[float, float]:
    """Return how far ONNX is from torch, in outputs and in states.

    A sequence is gone on with once, each from its own states, so that a wrong one is seen.
    """
    onnxruntime = import_onnxruntime()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    flat = _Flat(network)
    names = [input_name(architecture), *state_names(len(state))[0]]
    found = [value.name for value in session.get_inputs()]
    if found != names:
        raise TrainingError(f"expected the exported model to take {names}; it takes {found}")
    memory = [tensor.numpy() for tensor in state]
    of_outputs, of_states = [], [0.0]
    for _ in range(2 if state else 1):
        feeds = dict(zip(names, (inputs.numpy(), *memory), strict=True))
        theirs, *memory = session.run(None, feeds)
        with torch.inference_mode():
            ours, *state = flat(inputs, *state)
        of_outputs.append(scaled_gap(ours.numpy(), theirs))
        of_states += [scaled_gap(s.numpy(), m) for s, m in zip(state, memory, strict=True)]
    return float(np.max(of_outputs)), float(np.max(of_states))


def scaled_gap(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Return the largest difference, of values above 1 as a share of the largest one.

    Of large values 32 bits have no more than so many digits. What is not a number stays so.

    >>> round(scaled_gap(np.array([0.5, 0.25]), np.array([0.5, 0.75])), 3)
    0.5
    >>> round(scaled_gap(np.array([10.0, 50.0]), np.array([10.0, 50.5])), 3)
    0.01
    """
    return float(np.abs(ours - theirs).max() / np.maximum(1.0, np.abs(ours).max()))
