"""`emotrace train`: train a model from a recipe, one sub-verb for each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from emotrace.cli.verbs import Verb, VerbTable, run_verb
from emotrace.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

TRAINING_PACKAGES = frozenset(
    {"torch", "torchvision", "lightning", "timm", "torchmetrics", "sklearn", "tensorboard"}
    | {"onnx", "onnxscript", "PIL"}
)
"""What the extra `train` of pyproject.toml brings, by import name."""


def _run_default(argv: Sequence[str]) -> int:
    from emotrace.cli.train_default import run

    return run(argv)


_VERBS = VerbTable(
    program="emotrace train",
    description='Train a model from a recipe. Needs: pip install "emotrace[train]"',
    verbs={
        "default": Verb(summary="the network of the default bundle, on FER+", run=_run_default),
    },
    examples="  emotrace train default --data data/ferplus --run runs/first --export my_bundle\n",
)


def run(argv: Sequence[str]) -> int:
    """Run `emotrace train` and return its exit code.

    Raises:
        TrainingError: The packages for training are missing, or training cannot start or go on.
        EmotraceError: As the recipe's verb says.
    """
    try:
        return run_verb(_VERBS, argv, out=sys.stdout, err=sys.stderr)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in TRAINING_PACKAGES:
            raise
        raise TrainingError(
            f"expected the packages for training; {missing} is not installed; "
            'run: pip install "emotrace[train]"'
        ) from error
