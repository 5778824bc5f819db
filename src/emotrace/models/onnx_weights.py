"""The weights of an exported network, by the names that they had in torch.

An exporter keeps most names and rewrites some weights: a batch norm is multiplied into the
convolution before it, which leaves a bias beside that convolution's weight; a linear layer over
time becomes a product with the transposed weight; the layers of a GRU or an LSTM become single
tensors with their gates in another order. These are turned back, for the files that torch's newer
exporter writes: it notes which module every node came from.

The batch norms themselves are gone: `emotrace.models.folded_norms` makes up for them.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from emotrace.errors import InputError
from emotrace.models.onnx_export import NAME_SCOPES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    Arrays = dict[str, NDArray[np.float32]]

_HALF_SUFFIX: Final = "_half"
"""Of weights that a bundle keeps in 16 bits (`emotrace.training.export`)."""
_FOLDED_SUFFIX: Final = ".weight_bias"
"""Of the bias that the exporter adds where it folds a batch norm into a layer."""
_GATES: Final = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 2, 3, 1)}
"""torch's gates by their places in ONNX: z r h there is r z n here, i o f c is i f g o."""


def read_onnx_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights of an ONNX model as float32, by the names that they had in torch.

    What cannot be told by name keeps the file's own.

    Raises:
        InputError: The file is missing or no model.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(str(path))
    except (OSError, DecodeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"expected an ONNX model at {path}; got: {reason}") from error
    stored: Arrays = {}
    for weight in model.graph.initializer:
        values = np.array(onnx.numpy_helper.to_array(weight))
        if values.dtype in (np.float32, np.float16):
            name = weight.name.removesuffix(_HALF_SUFFIX)
            stored[name] = values.astype(np.float32)
    found = _turned_back(model.graph.node, stored)
    return {name: torch.from_numpy(values) for name, values in found.items()}


def _turned_back(nodes: Any, stored: Arrays) -> Arrays:
    """Replace rewritten weights by torch's own; the others stay, in their order."""
    replaced: dict[str, Arrays] = {}
    layers: dict[str, int] = defaultdict(int)
    for node in nodes:
        module = _module_of(node)
        if node.op_type in _GATES and module:
            known = [stored.get(name) for name in node.input[1:4]]
            if known[0] is not None and known[1] is not None and len(known[0]) == 1:
                torch_names = _recurrent(node.op_type, f"{module}.", layers[module], known)
                layers[module] += 1
                replaced |= {name: {} for name in node.input[2:4]}
                replaced[node.input[1]] = torch_names
        elif node.op_type == "MatMul" and _is_linear(node) and _is_nameless(node.input[1], stored):
            replaced[node.input[1]] = {f"{module}.weight": stored[node.input[1]].T.copy()}
    turned: Arrays = {}
    for name, values in stored.items():
        if name in replaced:
            turned |= replaced[name]
        elif not values.ndim and "." not in name:
            continue  # a number of the exporter's own
        elif name.endswith(_FOLDED_SUFFIX):
            turned[f"{name.removesuffix(_FOLDED_SUFFIX)}.bias"] = values
        else:
            turned[name] = values
    return turned


def _scopes_of(node: Any) -> list[str]:
    """Return what surrounds a node, the operation last; nothing where it is not noted."""
    noted: Mapping[str, str] = {item.key: item.value for item in node.metadata_props}
    return list(ast.literal_eval(noted.get(NAME_SCOPES, "[]")))


def _module_of(node: Any) -> str:
    """Return the name of the module that a node came from; empty where it is not noted."""
    scopes = _scopes_of(node)
    return scopes[-2] if len(scopes) > 1 else ""


def _is_linear(node: Any) -> bool:
    """Whether a product is that of a linear layer; those of a recurrent one are written out too."""
    scopes = _scopes_of(node)
    return len(scopes) > 1 and scopes[-1].startswith("linear")


def _is_nameless(name: str, stored: Arrays) -> bool:
    """Whether a matrix has a name that the exporter made up: torch's have dots."""
    return name in stored and stored[name].ndim == 2 and "." not in name


def _recurrent(
    kind: str, start: str, layer: int, known: list[NDArray[np.float32] | None]
) -> Arrays:
    """Return torch's tensors of a recurrent layer in one direction."""
    gates = _GATES[kind]

    def reordered(values: NDArray[np.float32]) -> NDArray[np.float32]:
        pieces = np.split(values, len(gates))
        return np.concatenate([pieces[at] for at in gates])

    of_input, of_state, biases = known
    found: Arrays = {}
    for name, values in (("weight_ih", of_input), ("weight_hh", of_state)):
        if values is not None:
            found[f"{start}{name}_l{layer}"] = reordered(values[0])
    if biases is not None:
        for name, values in zip(("bias_ih", "bias_hh"), np.split(biases[0], 2), strict=True):
            found[f"{start}{name}_l{layer}"] = reordered(values)
    return found
