"""Weights from files: safetensors, a Lightning checkpoint, a plain state dict. No code is run.

What a file is is told by its first bytes and not by its name. Pickled files are read with torch's
`weights_only=True`, which builds tensors and plain containers and nothing else.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from emotrace.errors import InputError

_SAFETENSORS_HEADER: Final = slice(8, 9)
"""A safetensors file begins with 8 bytes of length, which may look like another file's first."""
_TORCH_STARTS: Final = (b"PK\x03\x04", b"\x80")
"""How torch's files begin: since version 1.6 as a zip archive, before as a pickle."""
_WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "network", "weights")
"""Keys below which checkpoints of Lightning (the first) and others keep their tensors."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU.

    Raises:
        InputError: The file is not there, is damaged, holds no tensors, or would need code to be
            run to read it.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise InputError(f"expected a file of weights at {path}; got {_one_line(error)}") from error
    if start[_SAFETENSORS_HEADER] != b"{" and start.startswith(_TORCH_STARTS):
        return _tensors_of(_read_pickled(path), path)
    return _read_safetensors(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"expected a safetensors file, a Lightning checkpoint or a torch state dict at {path}; "
            f"got none of them: {_one_line(error)}"
        ) from error
    if not tensors:
        raise InputError(f"expected tensors in {path}; got an empty safetensors file")
    return tensors


def _read_pickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # What it then cannot read is an error, and what it can is right.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"expected nothing but tensors and plain values in {path}; got objects that would run "
            f"code when read ({_one_line(error)}); save its state_dict alone, or as safetensors"
        ) from error
    except (OSError, EOFError, RuntimeError, ValueError, TypeError) as error:
        raise InputError(
            f"expected a checkpoint that torch can read at {path}; got a damaged one or another "
            f"kind: {_one_line(error)}"
        ) from error


def _tensors_of(content: Any, path: Path) -> dict[str, Tensor]:
    """Find the state dict: below one of the usual keys, or the content itself."""
    keyed = content if isinstance(content, dict) else {}
    for found in (*(keyed.get(key) for key in _WRAPPERS), keyed):
        tensors = _only_tensors(found)
        if tensors:
            return tensors
    got = f"the keys {sorted(map(str, keyed))[:8]}" if keyed else type(content).__name__
    raise InputError(
        f"expected tensors by name in {path}, or below one of {', '.join(_WRAPPERS)}; got {got}"
    )


def _only_tensors(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        return {}
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
