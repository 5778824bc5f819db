"""`emotrace train default`: the flags and the call. Imports the packages for training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 -- tyro reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import tyro

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.terminal import print_note, printable, result_console
from emotrace.training.recipe import DefaultRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "emotrace train default"
DESCRIPTION = """\
Train the default bundle's network from scratch, on FER+ and FER2013's labels.

Three other runs come first and teach it (--teachers, --teachers-from).

The run's folder gets checkpoints, curves and all it takes to repeat it.

Examples:
  emotrace train default --data data/ferplus --run runs/first
  emotrace train default --data data/ferplus --run runs/first --resume
  emotrace train default --data data/ferplus --run runs/alone --teachers 0
  emotrace train default --data data/ferplus --run runs/long --epochs 60 \\
    --export my_bundle --footage videos/
"""


@dataclass(frozen=True, kw_only=True)
class TrainArguments:
    """The words after `emotrace train default`."""

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The folder that holds ferplus.parquet, or the file."""
    run: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Where the run is kept; made where missing."""
    resume: Switch = False
    """Go on from the last checkpoint in --run."""
    export: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: none)")
    ] = None
    """Make a bundle of the trained network here."""
    footage: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: none)")
    ] = None
    """Videos and pictures: what detectors take for faces in them, where none is, teaches the bundle
    of --export to refuse it (beside synthetic scenes, which are always used)."""
    teachers_from: Annotated[
        tuple[Path, ...], tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: train them)")
    ] = ()
    """Finished runs that teach, instead of the runs that are trained first for it (--teachers), in
    'teachers' in --run."""
    quiet: Switch = False
    """Say nothing of how far it is."""
    debug: Debug = False
    recipe: DefaultRecipe = field(default_factory=DefaultRecipe)


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code.

    Raises:
        UsageError: A flag or value cannot work.
        EmotraceError: Training cannot start or go on.
    """
    arguments = parse_arguments(TrainArguments, argv, program=PROGRAM, description=DESCRIPTION)
    from emotrace.training.export import export_run
    from emotrace.training.teaching import fit_taught

    try:
        checkpoint = fit_taught(
            arguments.recipe,
            arguments.data,
            arguments.run,
            teachers=arguments.teachers_from,
            resume=arguments.resume,
            show_progress=not arguments.quiet,
            tell=None if arguments.quiet else print_note,
        )
    except (KeyboardInterrupt, SystemExit):  # Lightning turns Ctrl-C into SystemExit
        print_note(
            f"stopped: the checkpoints so far are kept in {arguments.run}; "
            "the same command with --resume goes on from the last"
        )
        return 130
    console = result_console()
    console.print(f"trained: {printable(checkpoint)}")
    if arguments.export is not None:
        from emotrace.training.face_head_refit import footage_in, refit_from

        export_run(
            arguments.run,
            arguments.export,
            data_root=arguments.data,
            name=arguments.export.name,
            refit_face_head=refit_from(
                arguments.data,
                footage_in(arguments.footage) if arguments.footage is not None else (),
                seed=arguments.recipe.seed,
                tell=None if arguments.quiet else print_note,
            ),
        )
        place = printable(arguments.export)
        console.print(f"bundle: {place}; use it with: emotrace analyze INPUT --bundle {place}")
    return 0
