"""`emotrace train`: train a model from a recipe, one sub-verb for each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from emotrace.cli.extras import extra_packages
from emotrace.cli.verbs import HELP_FLAGS, Verb, VerbTable, run_verb
from emotrace.errors import TrainingError, UsageError
from emotrace.training import INSTALL_TRAINING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

TRAINING_PACKAGES = frozenset(
    {"torch", "torchvision", "lightning", "timm", "torchmetrics", "sklearn", "tensorboard"}
    | {"onnx", "onnxscript", "PIL"}
)
"""What the extra `train` of pyproject.toml brings, by import name."""


def training_packages() -> AbstractContextManager[None]:
    """Say in one line what to install where an import within finds no training package.

    Raises:
        TrainingError: One of `TRAINING_PACKAGES` is not installed.
    """
    return extra_packages(
        "training", TRAINING_PACKAGES, install=INSTALL_TRAINING, error_kind=TrainingError
    )


def _run_default(argv: Sequence[str]) -> int:
    from emotrace.cli.train_default import run

    return run(argv)


def _run_features(argv: Sequence[str]) -> int:
    from emotrace.cli.train_features import run

    return run(argv)


def _name_one(_: Sequence[str]) -> int:
    raise UsageError(
        "expected a network's name in the place of ARCHITECTURE; 'emotrace models' lists them"
    )


_VERBS = VerbTable(
    program="emotrace train",
    description=(
        f"Train a model from a recipe. Needs, in the checkout: {INSTALL_TRAINING}\n\n"
        "ARCHITECTURE is any network that 'emotrace models' lists; its help shows the\n"
        "network's own options too."
    ),
    verbs={
        "default": Verb(summary="the network of the default bundle, on FER+", run=_run_default),
        "features": Verb(summary="vectors of a trained network, to train on", run=_run_features),
        "ARCHITECTURE": Verb(summary="any network of the zoo, on any data", run=_name_one),
    },
    examples=(
        "  emotrace train default --data data/ferplus --run runs/first --export my_bundle\n"
        "  emotrace train compact-gru --data caches/ravdess --run runs/gru --steps 16\n"
        "  emotrace train rangulov2020-gru3 --help\n"
    ),
)


def run(argv: Sequence[str]) -> int:
    """Run `emotrace train` and return its exit code.

    Raises:
        TrainingError: The packages for training are missing, or training cannot start or go on.
        EmotraceError: As the recipe's verb says.
    """
    with training_packages():
        if argv and _may_be_network(argv[0]):
            from emotrace.cli.train_zoo import run as run_zoo

            # Only looking a network up needs the zoo, and so torch.
            return run_zoo(argv[0], argv[1:])
        return run_verb(_VERBS, argv, out=sys.stdout, err=sys.stderr)


def _may_be_network(word: str) -> bool:
    """Say whether a first word is neither a verb, nor one misspelt, nor a flag."""
    import difflib

    if word in _VERBS.verbs or word in HELP_FLAGS or word.startswith("-"):
        return False
    return not difflib.get_close_matches(word, _VERBS.verbs, n=1, cutoff=0.75)
