"""Lightning without the hints that do not apply to our trainings."""

from __future__ import annotations

import contextlib
import logging
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def quiet_lightning(*ignored: str) -> Iterator[None]:
    """Silence hints that do not apply, while a trainer is made and trains.

    Args:
        ignored: Patterns of further warnings, which do not apply to this training only.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Lightning's own use of torch's internals.
        warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*")
        # Whole batches are read at a time: workers are a choice.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        for pattern in ignored:
            warnings.filterwarnings("ignore", pattern)
        yield
