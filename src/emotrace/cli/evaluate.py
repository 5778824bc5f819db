"""`emotrace evaluate`: score a bundle on a data set, as it ships."""

from __future__ import annotations

import contextlib
import platform
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.table import Table

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.terminal import print_json, print_note, progress_console, result_console
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROGRAM = "emotrace evaluate"
DESCRIPTION = """\
Score a bundle on held-out faces, under each of its priors.

Accuracy comes with its 95 % bootstrap interval over images. Two protocols are
in use on FER+ that must not be compared; n tells them apart.

Examples:
  emotrace evaluate default ferplus data/
  emotrace evaluate default ferplus data/ --robustness --out scores
  emotrace evaluate my_bundle/ ferplus data/ --json
"""


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments:
    """The words after `emotrace evaluate`."""

    bundle: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="BUNDLE")]
    """A name in `emotrace bundles list`, or a bundle's folder."""
    dataset: Annotated[Literal["ferplus"], tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """ferplus: FER+ votes and FER2013 labels."""
    root: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ROOT")]
    """Where the data set lies: the folder that holds ferplus.parquet, or the file."""
    split: Literal["validation", "test"] = "test"
    """Which part to score."""
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: none)")
    ] = None
    """Also write the numbers, pictures and a page with both here."""
    robustness: Switch = False
    """Also score faces that are badly framed, lit or coded: 15 times the work, minutes."""
    json: Switch = False
    """Print JSON."""
    debug: Debug = False


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code.

    Raises:
        BundleError: There is no such bundle, or it predicts other expressions.
        DatasetError: The data is not there.
        OutputError: `--out` cannot be written to.
        TrainingError: `--out` is given and what draws the pictures is not installed.
    """
    arguments = parse_arguments(EvaluateArguments, argv, program=PROGRAM, description=DESCRIPTION)
    from emotrace.bundle import load_bundle
    from emotrace.storage import ensure_folder
    from emotrace.training import evaluation, scoring

    if arguments.out is not None:
        # Before the work, not after it.
        from emotrace.training.charts import require_matplotlib

        require_matplotlib()
        ensure_folder(arguments.out)
    with _progress(arguments.robustness) as advance:
        results = evaluation.evaluate_ferplus(
            arguments.bundle,
            arguments.root,
            split=arguments.split,
            robustness=arguments.robustness,
            advance=advance,
        )
    speed = scoring.measure_speed(load_bundle(arguments.bundle))
    results["speed"] = {**speed, "processor": _processor()}
    if arguments.json:
        print_json(results)
    else:
        _show(results)
    if arguments.out is not None:
        from emotrace.training.evaluation_page import write_evaluation

        for path in write_evaluation(results, arguments.out):
            print_note(f"wrote {path}")
    return 0


@contextlib.contextmanager
def _progress(is_long: bool) -> Iterator[Callable[[], None] | None]:
    """Draw a bar on a terminal while robustness is measured; nothing otherwise."""
    if not (is_long and sys.stderr.isatty()):
        yield None
        return
    from rich.progress import Progress

    from emotrace.training.robustness import CONDITIONS

    with Progress(console=progress_console(), transient=True) as progress:
        task = progress.add_task("robustness", total=len(CONDITIONS) + 1)
        yield lambda: progress.advance(task)


def _processor() -> str:
    """Name the processor: milliseconds mean nothing without it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _show(results: dict[str, Any]) -> None:
    from emotrace.training.result_tables import all_tables, plain_facts

    console = result_console()
    for table in all_tables(results):
        console.print(table.title, style="bold")
        shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for place, column in enumerate(table.head):
            # Eight whole names would be too wide for a terminal.
            name = column[:5] if column in EMOTIONS else column
            shown.add_column(name, justify="left" if place == 0 else "right", no_wrap=True)
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
        console.print(textwrap.fill(table.note, 78), style="dim")
        console.print()
    for line in plain_facts(results):
        console.print(textwrap.fill(line, 78, subsequent_indent="  "))
