"""`emotrace datasets`: the data sets that emotrace reads, and what is there of one of them."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 -- tyro reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.prepare import parse_options
from emotrace.cli.terminal import (
    print_error,
    print_json,
    printable,
    progress_console,
    result_console,
    wrapped,
)
from emotrace.cli.verbs import HELP_FLAGS, Verb, VerbTable, run_verb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from rich.console import Console
    from rich.progress import TaskID

    from emotrace.datasets.catalogue import DatasetEntry
    from emotrace.datasets.checks import DatasetCheck

PROGRAM = "emotrace datasets"
LIST_DESCRIPTION = """\
List the data sets that emotrace reads: size, labels, licence, how to obtain.

Examples:
  emotrace datasets
  emotrace datasets list --json
"""
CHECK_DESCRIPTION = """\
Say what is there of a data set, what is missing or damaged, and the class counts.

Reads every label file. With --decode, every picture too, which takes long.
The exit code is 1 where something is damaged.

Examples:
  emotrace datasets check ckplus CK+/
  emotrace datasets check affwild2 Aff-Wild2/ --option task=expression
  emotrace datasets check manifest my_videos/ --decode
"""
MAX_LINES_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class _ListArguments:
    json: Switch = False
    """Print JSON."""
    debug: Debug = False


@dataclass(frozen=True, kw_only=True)
class _CheckArguments:
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """A name in `emotrace datasets`."""
    root: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ROOT")]
    """The folder that holds the data set."""
    option: Annotated[
        list[str], tyro.conf.arg(metavar="NAME=VALUE...", help_behavior_hint="(default: none)")
    ] = field(default_factory=list)
    """Options of the data set's own reader, such as channel=song for ravdess."""
    decode: Switch = False
    """Decode every picture, to find damaged ones."""
    json: Switch = False
    """Print JSON."""
    debug: Debug = False


def run(argv: Sequence[str]) -> int:
    """Run `emotrace datasets`, which lists them unless told otherwise; return the exit code.

    Raises:
        EmotraceError: As the sub-verb says.
    """
    if not argv or (argv[0].startswith("-") and argv[0] not in HELP_FLAGS):
        return run_list(argv)
    return run_verb(_VERBS, argv, out=sys.stdout, err=sys.stderr)


def run_list(argv: Sequence[str]) -> int:
    """Run `emotrace datasets list`."""
    arguments = parse_arguments(
        _ListArguments, argv, program=f"{PROGRAM} list", description=LIST_DESCRIPTION
    )
    from emotrace.datasets.catalogue import DATASETS

    if arguments.json:
        print_json([_entry_as_json(entry) for entry in DATASETS.values()])
        return 0
    console = result_console()
    for entry in DATASETS.values():
        console.print(f"{entry.name}: {entry.title}", style="bold")
        for head, text in (
            ("size:    ", entry.size),
            ("labels:  ", entry.labels),
            ("licence: ", entry.licence),
            ("obtain:  ", entry.obtain),
            ("on disk: ", entry.layout),
            ("paper:   ", entry.paper),
        ):
            console.print(wrapped(console, text, head=f"  {head}"))
    return 0


def run_check(argv: Sequence[str]) -> int:
    """Run `emotrace datasets check`; 1 where something is damaged.

    Raises:
        UsageError: There is no such data set or option.
        DatasetError: The folder is not this data set.
    """
    arguments = parse_arguments(
        _CheckArguments, argv, program=f"{PROGRAM} check", description=CHECK_DESCRIPTION
    )
    options = parse_options(arguments.option)
    from emotrace.datasets.checks import check_dataset

    with _ProgressBar() as progress:
        check = check_dataset(
            arguments.name,
            arguments.root,
            decode=arguments.decode,
            progress=progress.show,
            **options,
        )
    if arguments.json:
        print_json(_check_as_json(check))
    else:
        _show_check(check)
    return 1 if check.problems else 0


class _ProgressBar:
    """Shows how far the decoding is, on a terminal only."""

    def __enter__(self) -> Self:
        from rich.progress import Progress

        console = progress_console()
        self._bars = Progress(console=console, transient=True) if console.is_terminal else None
        self._task: TaskID | None = None
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self, done: int, total: int) -> None:
        """Show that `done` of `total` clips are decoded."""
        if self._bars is None:
            return
        if self._task is None:
            self._task = self._bars.add_task("decoding", total=total)
        self._bars.update(self._task, completed=done)


def _show_check(check: DatasetCheck) -> None:
    console = result_console()
    facts: list[tuple[str, str]] = [
        ("data set", f"{check.name} in {check.root}"),
        ("clips", f"{check.clip_count:,}"),
        ("frames", _frames(check)),
        ("people", f"{check.subject_count:,}" if check.subject_count else "not named"),
        ("parts", _counts(check.partitions) or "none"),
        ("conditions", _counts(check.conditions) or "none"),
        ("clip labels", _counts(check.clip_emotions)),
    ]
    if check.labelled_frames:
        facts += [
            ("labelled frames", f"{check.labelled_frames:,}"),
            ("frame labels", _counts(check.frame_emotions) or "none"),
            ("with valence and arousal", f"{check.valence_arousal_frames:,}"),
        ]
        units = {f"AU{unit}": count for unit, count in check.action_units.items()}
        facts.append(("active units", _counts(units) or "none"))
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        console.print(wrapped(console, value, head=f"{name:<{width}}  "))
    _show_lines(console, "missing", check.missing)
    _show_lines(console, "note", check.notes)
    for problem in check.problems[:MAX_LINES_SHOWN]:
        print_error(problem)
    if len(check.problems) > MAX_LINES_SHOWN:
        print_error(f"{len(check.problems) - MAX_LINES_SHOWN} more; --json lists all")
    if check.is_complete:
        console.print("nothing is missing, nothing damaged")


def _frames(check: DatasetCheck) -> str:
    if check.is_decoded:
        return f"{check.picture_count:,}, all decoded"
    counted = f"{check.picture_count:,} pictures, " if check.picture_count else ""
    return f"{counted}not decoded (--decode does, and counts those of videos)"


def _show_lines(console: Console, head: str, lines: Sequence[str]) -> None:
    for line in lines[:MAX_LINES_SHOWN]:
        console.print(wrapped(console, line, head=f"{head}: "))
    if len(lines) > MAX_LINES_SHOWN:
        console.print(f"{head}: {len(lines) - MAX_LINES_SHOWN} more; --json lists all")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{printable(name)} {count:,}" for name, count in counts.items())


def _entry_as_json(entry: DatasetEntry) -> dict[str, Any]:
    fields = (item.name for item in dataclasses.fields(entry))
    return {name: getattr(entry, name) for name in fields if name != "read"}


def _check_as_json(check: DatasetCheck) -> dict[str, Any]:
    values: dict[str, Any] = {
        item.name: getattr(check, item.name) for item in dataclasses.fields(check)
    }
    convert: dict[str, Callable[[Any], Any]] = {
        "root": str,
        "missing": list,
        "problems": list,
        "notes": list,
        "action_units": lambda counts: {str(unit): count for unit, count in counts.items()},
    }
    values = {name: convert.get(name, lambda value: value)(v) for name, v in values.items()}
    return {**values, "is_complete": check.is_complete}


_VERBS = VerbTable(
    program=PROGRAM,
    description="Data sets of faces that show expressions: readers, facts, checks.",
    verbs={
        "list": Verb(summary="size, labels, licence, how to obtain", run=run_list),
        "check": Verb(summary="what is there, missing or damaged; class counts", run=run_check),
    },
    examples="  emotrace datasets list\n  emotrace datasets check ckplus CK+/\n",
)
