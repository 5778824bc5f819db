"""`emotrace train ARCHITECTURE`: any network of the zoo. Imports the packages for training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 -- tyro reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.table import Table

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.terminal import print_note, printable, result_console
from emotrace.models.zoo import find_architecture
from emotrace.training.clip_augmentation import AUGMENTATIONS
from emotrace.training.sampling import SamplingSettings
from emotrace.training.stretches import ExampleWindows
from emotrace.training.targets import TargetSettings
from emotrace.training.zoo.recipe import (
    DataSettings,
    LossSettings,
    MachineSettings,
    OptimiserSettings,
    StartSettings,
    StoppingSettings,
    ZooRecipe,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emotrace.models.architecture import Architecture
    from emotrace.training.zoo.fit import FitReport

DESCRIPTION = """\
Train {name}: {summary}.

DATA is a crop cache of 'emotrace prepare', the folder of ferplus.parquet, or,
for networks on vectors, what 'emotrace train features' made of a cache. RUN
gets checkpoints, curves and all it takes to repeat the run.

Examples:
  emotrace train {name} --data caches/ravdess --run runs/first
  emotrace train {name} --data caches/ravdess --run runs/first --resume
  emotrace train {name} --data caches/ck --run runs/s01 \\
    --protocol leave-one-subject-out --fold 1 --epochs 200 --augment modern
"""
Augmentation = Literal["none", "rangulov2020", "tzirakis2021", "modern"]


@dataclass(frozen=True, kw_only=True)
class _RunArguments:
    run: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Where the run is kept; made where missing."""
    resume: Switch = False
    """Go on from the last checkpoint in --run."""
    export: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: none)")
    ] = None
    """Make a bundle of the best epoch's network here."""
    skip_test: Switch = False
    """Do not measure the best epoch on the test side at the end."""
    quiet: Switch = False
    """Say nothing of the progress."""
    debug: Debug = False
    augment: Augmentation = "none"
    """Random changes to pictures: those of a paper, or a stronger mixture."""
    epochs: int = 30
    """How often the training side is gone through."""
    batch_size: int = 32
    """Examples in a batch of all devices together."""
    accumulation: int = 1
    """Batches whose gradients are added up for one step of the optimiser."""
    seed: int = 0
    """Of fresh weights, order, augmentation and dropout."""


_VOTES = {"maximum_probability": "videos by vote", "summed_probabilities": "videos by sum"}
_GROUPS: tuple[tuple[str, type[Any]], ...] = (
    ("targets", TargetSettings),
    ("windows", ExampleWindows),
    ("sampling", SamplingSettings),
    ("losses", LossSettings),
    ("optimiser", OptimiserSettings),
    ("stopping", StoppingSettings),
    ("start", StartSettings),
    ("machine", MachineSettings),
)
"""Fields of the recipe that are groups of flags, in the order of the help."""


def argument_class(row: Architecture) -> type[Any]:
    """Make the data class whose fields are the flags of an architecture."""
    made = [
        ("data", DataSettings, dataclasses.MISSING),
        ("network", row.options, field(default_factory=row.options)),
        *((name, kind, field(default_factory=kind)) for name, kind in _GROUPS),
    ]
    return dataclasses.make_dataclass(
        "ZooArguments",
        [item[:2] if item[2] is dataclasses.MISSING else item for item in made],
        bases=(_RunArguments,),
        frozen=True,
        kw_only=True,
    )


def recipe_from(arguments: Any, row: Architecture) -> ZooRecipe:
    """Make the recipe of parsed arguments."""
    return ZooRecipe(
        architecture=row.name,
        options=arguments.network,
        data=arguments.data,
        augmentation=AUGMENTATIONS[arguments.augment],
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        accumulation=arguments.accumulation,
        seed=arguments.seed,
        **{name: getattr(arguments, name) for name, _ in _GROUPS},
    )


def run(name: str, argv: Sequence[str]) -> int:
    """Run the verb for one architecture and return its exit code.

    Raises:
        UsageError: There is no such architecture, or a flag or value cannot work.
        EmotraceError: Training cannot start or go on.
    """
    row = find_architecture(name)
    arguments = parse_arguments(
        argument_class(row),
        argv,
        program=f"emotrace train {name}",
        description=DESCRIPTION.format(name=name, summary=row.summary),
    )
    from emotrace.training.data_options import fit_options
    from emotrace.training.zoo.fit import fit_zoo

    given = {word.removeprefix("--").partition("=")[0].replace("-", "_") for word in argv}
    recipe, notices = fit_options(recipe_from(arguments, row), row, given=given)
    for notice in notices:
        print_note(f"note: {notice}")
    try:
        report = fit_zoo(
            recipe,
            arguments.run,
            resume=arguments.resume,
            show_progress=not arguments.quiet,
        )
    except (KeyboardInterrupt, SystemExit):  # Lightning turns Ctrl-C into SystemExit
        print_note(
            f"stopped: the checkpoints so far are kept in {arguments.run}; "
            "the same command with --resume goes on from the last"
        )
        return 130
    _show(report)
    if not arguments.skip_test:
        _measure(report)
    if arguments.export is not None:
        _export(report, arguments.export)
    return 0


def _show(report: FitReport) -> None:
    console = result_console()
    for notice in report.notices:
        print_note(f"note: {notice}")
    console.print(f"trained for {report.epochs_done} epochs: {printable(report.run)}")
    if report.best is not None and report.best_epoch is not None:
        console.print(
            f"best by validation: epoch {report.best_epoch}, counted from 0 as in its curves; "
            f"{report.monitor} {report.best_value:.4f}"
        )


def _measure(report: FitReport) -> None:
    """Score the best epoch on the test side, where the split has one, once."""
    from emotrace.analysis.tables import write_json
    from emotrace.errors import DatasetError
    from emotrace.training.zoo.evaluation import evaluate_trained
    from emotrace.training.zoo.run import load_trained

    try:
        scores = evaluate_trained(load_trained(report.run), side="test")
    except DatasetError:
        return  # the split has no test side
    path = write_json(report.run / "evaluation.json", scores)
    show_scores(scores)
    result_console().print(f"all numbers: {printable(path)}")


def show_scores(scores: dict[str, Any]) -> None:
    """Print the scores of `emotrace.training.zoo.evaluation.score_predictions`."""
    console = result_console()
    table = Table(
        "head", "n", "measure", "value", f"95 % over {scores['intervals_over']}s", box=None
    )
    for name, head in scores["heads"].items():
        if "accuracy" in head:
            _add_classes(table, name, head)
            for rule, of_videos in head.get("videos", {}).items():
                _add_classes(table, f"{name}, {_VOTES[rule]}", of_videos)
        elif "mean_f1" in head:
            table.add_row(name, str(head["n"]), "mean F1", _number(head["mean_f1"]), "")
        else:
            _add_values(table, head)
    console.print(f"{scores['side']} side: {scores['split']}")
    console.print(table)


def _add_classes(table: Table, name: str, scores: dict[str, Any]) -> None:
    intervals = scores["intervals_95"] or {}
    for measure, title in (
        ("accuracy", "accuracy"),
        ("unweighted_average_recall", "UAR"),
        ("macro_f1", "macro F1"),
    ):
        table.add_row(
            name,
            str(scores["n"]),
            title,
            _number(scores[measure]),
            _interval(intervals.get(measure)),
        )


def _add_values(table: Table, columns: dict[str, Any]) -> None:
    for column, scores in columns.items():
        if not scores["n"]:
            continue
        drawn = scores.get("over_subjects", scores)
        for measure, title in (("ccc", "CCC"), ("rmse", "RMSE"), ("pearson", "Pearson")):
            table.add_row(
                column,
                str(scores["n"]),
                title,
                _number(scores[measure]["whole_set"]),
                _interval(drawn[measure]["whole_set_interval"]),
            )


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _interval(ends: Sequence[float | None] | None) -> str:
    return "" if ends is None or None in ends else f"{ends[0]:.3f} to {ends[1]:.3f}"


def _export(report: FitReport, folder: Path) -> None:
    from emotrace.cli.export import print_bundle
    from emotrace.training.run_export import export_zoo_run

    print_bundle(export_zoo_run(report.run, folder))
