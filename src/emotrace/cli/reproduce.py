"""`emotrace reproduce`: a paper's experiments, its tables and figures, ours beside theirs."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 -- tyro reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Literal, Self

import tyro

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.terminal import (
    print_error,
    print_note,
    printable,
    progress_console,
    result_console,
)
from emotrace.cli.train import training_packages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emotrace.papers.reproduce import Reproduction
    from emotrace.training.zoo.recipe import MachineSettings

PROGRAM = "emotrace reproduce"
DESCRIPTION = """\
Run a paper's experiments and write its tables and figures, ours beside theirs.

DIR gets report.html (one file that needs no other), report.md, report.json, and
the run behind each number. Stopped or killed, the same command goes on where it
was. What a missing data set is needed for is left out, and the page says how to
get it. A manifest of your own videos can take the place of any data set.

Examples:
  emotrace reproduce abdullah2020 --synthetic --scale smoke -o demo/abdullah2020
  emotrace reproduce rangulov2020 --data ckplus=CK+/ jaffe=JAFFE/ --scale full \\
    -o reproductions/rangulov2020
  emotrace reproduce salinas2018 --data ckplus=my_videos/manifest.csv -o out
"""


@dataclass(frozen=True, kw_only=True)
class _MachineArguments:
    threads: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """CPU threads; 0 leaves torch's choice."""
    precision: Literal["32", "bf16"] = "32"
    """bf16: products in bfloat16; faster where the processor or accelerator has it."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """What trains."""


@dataclass(frozen=True, kw_only=True)
class _DisplayArguments:
    quiet: Switch = False
    """Print errors and the page's place only."""
    debug: Debug = False


@dataclass(frozen=True, kw_only=True)
class ReproduceArguments:
    """The words after `emotrace reproduce`."""

    paper: Annotated[
        Literal["rangulov2020", "salinas2018", "tzirakis2021", "abdullah2020"],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="PAPER"),
    ]
    """rangulov2020, salinas2018, tzirakis2021 or abdullah2020."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DIR")]
    """Where everything goes; made where missing."""
    data: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="NAME=ROOT...", help_behavior_hint="(default: none)"),
    ] = ()
    """The paper's data sets (and weights) you have; ROOT may be a manifest (docs/datasets.md)."""
    synthetic: Switch = False
    """Draw the data sets that are not given; every number from them says so."""
    scale: Literal["smoke", "small", "full"] = "small"
    """smoke: minutes, shows that all of it runs; small: an hour or so on two cores; full: the
    paper's settings."""
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Another number: other weights, other drawn people."""
    publish: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: none)")
    ] = None
    """Also write the page here, to be kept without the runs."""
    machine: _MachineArguments = field(default_factory=_MachineArguments)
    display: _DisplayArguments = field(default_factory=_DisplayArguments)


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code: 1 if an experiment failed.

    Raises:
        UsageError: No data is given, or DIR holds another reproduction.
        OutputError: DIR cannot be written to.
        TrainingError: What training needs is not installed.
    """
    arguments = parse_arguments(ReproduceArguments, argv, program=PROGRAM, description=DESCRIPTION)
    with training_packages():
        from emotrace.papers.catalogue import find_paper
        from emotrace.papers.pages import publish_pages
        from emotrace.papers.reproduce import reproduce
        from emotrace.papers.supply import parse_data
        from emotrace.papers.workshop import Order
    order = Order(
        paper=find_paper(arguments.paper),
        scale=arguments.scale,
        out=arguments.out,
        data=parse_data(arguments.data),
        synthetic=arguments.synthetic,
        seed=arguments.seed,
        machine=_machine(arguments.machine),
    )
    try:
        with _Progress(is_shown=not arguments.display.quiet) as progress:
            done = reproduce(order, on_step=progress.begin, tell=progress.tell)
    except KeyboardInterrupt:
        print_note(
            f"stopped: what is done is kept in {arguments.out}; the same command goes on from there"
        )
        return 130
    if arguments.publish is not None:
        publish_pages(order.paper, done.results, arguments.publish)
    _show(done)
    return 1 if done.failed else 0


def _machine(arguments: _MachineArguments) -> MachineSettings:
    from emotrace.training.zoo.recipe import MachineSettings

    return MachineSettings(
        threads=arguments.threads,
        precision=arguments.precision,
        accelerator=arguments.accelerator,
        # The largest steps take hours: a kill should cost minutes.
        checkpoint_every_steps=200,
    )


def _show(done: Reproduction) -> None:
    for step in done.failed:
        print_error(f"{step.key}: {step.reason}")
    reasons: dict[str, list[str]] = {}
    for step in done.skipped:
        reasons.setdefault(step.reason.rpartition(": ")[2] or step.reason, []).append(step.key)
    for reason, keys in reasons.items():
        listed = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
        print_note(f"left out {listed}: {reason}")
    console = result_console()
    finished = sum(step.outcome == "done" for step in done.results.values())
    console.print(f"{finished} of {len(done.results)} experiments done: {printable(done.pages[0])}")


class _Progress:
    """The step and a bar on a terminal; a line for each step elsewhere."""

    def __init__(self, *, is_shown: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        console = progress_console()
        self._is_terminal = is_shown and sys.stderr.isatty() and console.is_terminal
        self._is_shown = is_shown
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            disable=not self._is_terminal,
            transient=True,
        )
        self._steps = self._bars.add_task("experiments", total=None)
        self._within = self._bars.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, key: str, number: int, total: int) -> None:
        """Show which step is begun."""
        if self._is_shown and not self._is_terminal:
            print_note(f"{number} of {total}: {key}")
        self._bars.update(self._steps, completed=number - 1, total=total)
        self._bars.update(self._within, description=key, completed=0, total=None)

    def tell(self, what: str, done: int, total: int) -> None:
        """Show how far the step is."""
        self._bars.update(self._within, description=what, completed=done, total=total)
