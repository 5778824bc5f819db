"""`emotrace export`: make a bundle of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 -- tyro reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.terminal import printable, result_console
from emotrace.cli.train import training_packages
from emotrace.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "emotrace export"
DESCRIPTION = """\
Make a bundle of what 'emotrace train ARCHITECTURE' left in a run's folder.

The bundle is kept only if it says what the trained network says. The network
of the default bundle is exported with 'emotrace train default --export'.

Examples:
  emotrace export runs/first -o bundles/mine
  emotrace export runs/gru -o bundles/gru --extractor runs/stills
"""


@dataclass(frozen=True, kw_only=True)
class ExportArguments:
    """The words after `emotrace export`."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DIR")]
    """The bundle's folder; made where missing."""
    name: Annotated[
        str | None, tyro.conf.arg(help_behavior_hint="(default: the folder's name)")
    ] = None
    """What the bundle is called."""
    extractor: Annotated[
        Path | None, tyro.conf.arg(metavar="RUN", help_behavior_hint="(default: none)")
    ] = None
    """For a network on vectors: the run whose network made them."""
    licence: Annotated[
        str | None, tyro.conf.arg(help_behavior_hint="(default: said to be not stated)")
    ] = None
    """Licence of the weights; what the training data allows."""
    checkpoint: Literal["best", "last"] = "best"
    """The best epoch by validation, or the last."""
    skip_test: Switch = False
    """Do not measure it on held-out data for its card."""
    debug: Debug = False


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code.

    Raises:
        TrainingError: The packages for training or the run are missing, or ONNX disagrees.
        EmotraceError: The network has no place in a bundle, or the bundle cannot be written.
    """
    arguments = parse_arguments(ExportArguments, argv, program=PROGRAM, description=DESCRIPTION)
    with training_packages():
        from emotrace.training.run_export import NO_LICENCE, export_zoo_run
    made = export_zoo_run(
        arguments.run,
        arguments.out,
        name=arguments.name,
        extractor_run=arguments.extractor,
        licence=arguments.licence or NO_LICENCE,
        which=arguments.checkpoint,
        measure=not arguments.skip_test,
    )
    print_bundle(made)
    return 0


def print_bundle(folder: Path) -> None:
    """Say where a bundle is, and what runs it."""
    from emotrace.analysis.columns import ExpressionColumns
    from emotrace.bundle_spec import read_spec

    spec = read_spec(folder)
    place = printable(folder)
    use = f"use it with: emotrace analyze INPUT --bundle {place}"
    # Valence and arousal alone run beside the default bundle.
    if spec.labels or spec.valence_arousal_output is None:
        try:
            ExpressionColumns(spec)
        except BundleError:
            predicted = ", ".join(spec.labels or [item.name for item in spec.other_outputs])
            use = (
                f"the tables of 'emotrace analyze' have no columns for all that it predicts "
                f"({predicted}); use it from Python: emotrace.analysis.temporal.TrackPredictor"
            )
    result_console().print(f"bundle: {place}; {use}")
