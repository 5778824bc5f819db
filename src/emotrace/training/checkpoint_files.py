"""Reading what a training left on disk, whichever recipe it followed."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import torch

from emotrace.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path


def read_state(path: Path, needed: AbstractSet[str], *, of: str) -> dict[str, Any]:
    """Read a checkpoint without running any code in it.

    Args:
        path: Of the file.
        needed: Entries that it must have.
        of: What it is a checkpoint of, for the message where one is missing.

    Raises:
        TrainingError: It is missing, damaged, or lacks an entry.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        missing = needed - set(state)
    except (OSError, EOFError, RuntimeError, TypeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(f"expected a checkpoint at {path}; got: {reason}") from error
    if missing:
        lacking = ", ".join(sorted(missing))
        raise TrainingError(f"expected a checkpoint of {of} at {path}; it lacks {lacking}")
    return dict(state)
