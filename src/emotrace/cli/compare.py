"""`emotrace compare`: training runs and bundles side by side, with paired tests."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 -- tyro reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.result_display import show_tables
from emotrace.cli.scoring_flags import SplitArguments, Unit, scoring_request
from emotrace.cli.terminal import print_json, print_note, result_console
from emotrace.cli.train import training_packages
from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "emotrace compare"
DESCRIPTION = """\
Put training runs and bundles side by side, on the faces that all were scored on.

Each run is scored on the test side of its own split; what is compared is what
these sides share, so that no run is compared on people that it learned from.
Differences are paired: the same people (or videos) are drawn again for both.

A bundle follows the split of the first run, or that of --data.

Examples:
  emotrace compare runs/gru runs/lstm
  emotrace compare runs/gru runs/lstm runs/conv3d --all-pairs --out comparison
  emotrace compare runs/gru bundles/gru default
  emotrace compare default my_bundle/ --data caches/ck --whole
"""


@dataclass(frozen=True, kw_only=True)
class CompareArguments:
    """The words after `emotrace compare`."""

    models: Annotated[
        list[str],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="RUN...", help_behavior_hint="(two or more)"),
    ]
    """Folders of runs; names or folders of bundles."""
    data: Annotated[
        Path | None, tyro.conf.arg(metavar="CACHE", help_behavior_hint="(default: the runs' own)")
    ] = None
    """A crop cache for all of them; bundles need it where there is no run."""
    split: Annotated[Literal["validation", "test"], tyro.conf.arg(aliases=["--side"])] = "test"
    """Which side to score."""
    data_split: SplitArguments = field(default_factory=SplitArguments)
    unit: Unit = "auto"
    """What is drawn again for intervals; auto: people, or videos where not all are known."""
    prior: str = "default"
    """How common bundles take each expression to be."""
    labels: Literal["emotion", "votes", "condition"] = "emotion"
    """What bundles are scored on; a run is scored on what it learned."""
    ignore_other_labels: Switch = False
    """Leave out faces with a label that a model does not know."""
    all_pairs: Switch = False
    """Compare each with each; else each with the first."""
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: none)")
    ] = None
    """Also write comparison.md and comparison.json here."""
    json: Switch = False
    """Print JSON."""
    debug: Debug = False


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code.

    Raises:
        UsageError: Fewer than two models, one of them twice, or models with nothing in common.
        TrainingError, BundleError: There is no such run or bundle.
        DatasetError: The data is not there, has changed, or shows people whom a run learned from or
            was chosen by.
        OutputError: `--out` cannot be written to.
    """
    arguments = parse_arguments(CompareArguments, argv, program=PROGRAM, description=DESCRIPTION)
    names = arguments.models
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(
            f"expected two or more different models; got {', '.join(names) or 'none'} "
            f"(see '{PROGRAM} --help')"
        )
    from emotrace.storage import ensure_folder

    with training_packages():
        from emotrace.training.model_predictions import predict_models
        from emotrace.training.run_comparison import compare_models

    request = scoring_request(
        arguments.data,
        arguments.data_split,
        side=arguments.split,
        prior=arguments.prior,
        labels=arguments.labels,
        ignore_other_labels=arguments.ignore_other_labels,
    )
    if arguments.out is not None:
        ensure_folder(arguments.out)
    found = compare_models(
        predict_models(names, request), all_pairs=arguments.all_pairs, unit=arguments.unit
    )
    if arguments.json:
        print_json(found)
    else:
        _show(found)
    if arguments.out is not None:
        from emotrace.training.score_files import write_comparison

        for path in write_comparison(found, arguments.out):
            print_note(f"wrote {path}")
    return 0


def _show(found: dict[str, Any]) -> None:
    from emotrace.training.score_tables import comparison_tables

    console = result_console()
    for notice in found["notices"]:
        print_note(f"note: {notice}")
    show_tables(console, comparison_tables(found))
    splits = {model["split"] for model in found["models"]}
    for split in sorted(splits):
        console.print(textwrap.fill(f"split: {split}", 78, subsequent_indent="  "))
