"""`emotrace bundles`: the trained models that this machine has, and files for an offline one."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 -- tyro reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.terminal import (
    print_error,
    print_json,
    print_note,
    printable,
    result_console,
    wrapped,
)
from emotrace.cli.verbs import Verb, VerbTable, run_verb
from emotrace.errors import DownloadError, EmotraceError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emotrace.bundle import Bundle
    from emotrace.bundle_spec import BundleSpec

PROGRAM = "emotrace bundles"

LIST_DESCRIPTION = """\
List the bundles (trained models) that this machine has.

Examples:
  emotrace bundles list
  emotrace bundles list --json
"""
INFO_DESCRIPTION = """\
Show a bundle's specification and model card; verify that its model is whole.

Examples:
  emotrace bundles info default
  emotrace bundles info my_bundle/ --json
"""
DOWNLOAD_DESCRIPTION = """\
Fetch the files of the face detectors yunet and lbp now, not on first use.

Bundles ship inside the package and need no download.

What this machine has already is copied into DIR, not fetched.

For a machine without a network:
  1. on one that has it: emotrace bundles download --to DIR
  2. copy DIR over, and set EMOTRACE_HOME to where it lies there

Examples:
  emotrace bundles download
  emotrace bundles download yunet --to usb_stick/emotrace
"""


@dataclass(frozen=True, kw_only=True)
class _ListArguments:
    json: Switch = False
    """Print JSON."""
    debug: Debug = False


@dataclass(frozen=True, kw_only=True)
class _InfoArguments:
    bundle: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME|PATH")]
    """A name in `emotrace bundles list`, or a bundle's folder."""
    json: Switch = False
    """Print JSON."""
    debug: Debug = False


@dataclass(frozen=True, kw_only=True)
class _DownloadArguments:
    names: Annotated[
        list[str],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="[NAME...]", help_behavior_hint="(default: all)"),
    ] = field(default_factory=list)
    """What to fetch: yunet, lbp."""
    to: Annotated[
        Path | None,
        tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: EMOTRACE_HOME)"),
    ] = None
    """The folder to fetch into."""
    debug: Debug = False


def run(argv: Sequence[str]) -> int:
    """Run `emotrace bundles` and return its exit code.

    Raises:
        EmotraceError: As the sub-verb says.
    """
    return run_verb(_VERBS, argv, out=sys.stdout, err=sys.stderr)


def run_list(argv: Sequence[str]) -> int:
    """Run `emotrace bundles list`; a damaged bundle is a line on stderr and exit code 1."""
    arguments = parse_arguments(
        _ListArguments, argv, program=f"{PROGRAM} list", description=LIST_DESCRIPTION
    )
    from emotrace.bundle import find_bundles
    from emotrace.bundle_spec import read_spec

    specs: dict[Path, BundleSpec] = {}
    problems: list[EmotraceError] = []
    for folder in find_bundles():
        try:
            specs[folder] = read_spec(folder)
        except EmotraceError as error:
            problems.append(error)
    if arguments.json:
        print_json([_spec_as_json(folder, spec) for folder, spec in specs.items()])
    elif specs:
        _show_table(specs)
    else:
        result_console().print("no bundles: install emotrace again (pip install --force-reinstall)")
    for problem in problems:
        print_error(problem)
    return 1 if problems or not specs else 0


def run_info(argv: Sequence[str]) -> int:
    """Run `emotrace bundles info`.

    Raises:
        BundleError: There is no such bundle, or it is damaged.
    """
    arguments = parse_arguments(
        _InfoArguments, argv, program=f"{PROGRAM} info", description=INFO_DESCRIPTION
    )
    from emotrace.bundle import load_bundle

    # Loading verifies the model's hash and that it runs with the outputs that the spec names.
    bundle = load_bundle(arguments.bundle)
    if arguments.json:
        print_json({**_spec_as_json(bundle.folder, bundle.spec), "verified": True})
    else:
        _show_info(bundle)
    return 0


def run_download(argv: Sequence[str]) -> int:
    """Run `emotrace bundles download`; goes on with the rest where one file cannot be had.

    Raises:
        UsageError: A name is not one of those that can be fetched.
    """
    arguments = parse_arguments(
        _DownloadArguments, argv, program=f"{PROGRAM} download", description=DOWNLOAD_DESCRIPTION
    )
    from emotrace.bundle import find_bundles
    from emotrace.faces.download import DETECTOR_FILES, ensure_file, is_available
    from emotrace.storage import HOME_VARIABLE, home_folder

    shipped = [folder.name for folder in find_bundles()]
    for name in arguments.names:
        if name not in DETECTOR_FILES and name not in shipped:
            known = ", ".join([*DETECTOR_FILES, *shipped])
            raise UsageError(f"expected names out of {known}; got {name!r}")
    folder = arguments.to or home_folder()
    console = result_console()
    for name in [name for name in shipped if name in arguments.names or not arguments.names]:
        console.print(f"{name}: a bundle that is here already; nothing to fetch")
    failures, is_offline = 0, False
    for name, file in DETECTOR_FILES.items():
        if arguments.names and name not in arguments.names:
            continue
        was_there = is_available(file, folder=folder)
        is_at_home = is_available(file)
        try:
            path = ensure_file(file, folder=arguments.to, copy_from=home_folder())
        except DownloadError as error:
            print_error(error)
            failures += 1
            is_offline |= not isinstance(error.__cause__, OutputError)
            continue
        state = "copied" if is_at_home else "fetched"
        state = "already there" if was_there else f"{state}, {_size(file.size_bytes)}"
        console.print(f"{name}: {state}: {printable(path)} (licence: {file.licence})")
    if is_offline:
        print_note(
            f"without a network: run '{PROGRAM} download --to DIR' on a machine that has one, copy "
            f"DIR to this one and set {HOME_VARIABLE} to it here"
        )
    if arguments.to is not None and not failures:
        console.print(
            f"copy {printable(folder)} to the other machine and set {HOME_VARIABLE} to it there"
        )
    return 1 if failures else 0


def measured_accuracy(results: Mapping[str, Any]) -> str:
    """Return a spec's accuracy on FER+'s test split under the default prior, or a dash.

    >>> measured_accuracy({"test": {"priors": {"default": {"majority": {"accuracy": 0.853}}}}})
    '85.3% (FER+ test)'
    >>> measured_accuracy({})
    '-'
    """
    try:
        accuracy = float(results["test"]["priors"]["default"]["majority"]["accuracy"])
    except (KeyError, TypeError, ValueError):  # a bundle from elsewhere may measure other things
        return "-"
    return f"{accuracy:.1%} (FER+ test)"


def _show_table(specs: Mapping[Path, BundleSpec]) -> None:
    console = result_console()
    rows = [("name", "version", "expressions", "size", "accuracy")]
    rows += [
        (
            printable(folder.name),
            printable(spec.version),
            str(len(spec.labels)),
            _size(_folder_bytes(folder)),
            measured_accuracy(spec.results),
        )
        for folder, spec in specs.items()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    heading, *lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    console.print(heading, style="bold")
    for line, spec in zip(lines, specs.values(), strict=True):
        console.print(line)
        console.print(wrapped(console, spec.training_data, head="  trained on: "))
        console.print(wrapped(console, spec.licence, head="  licence:    "))


def _show_info(bundle: Bundle) -> None:
    from emotrace.bundle_memory import describe_memory
    from emotrace.bundle_outputs import VOTES_PRIOR

    console = result_console()
    spec = bundle.spec
    facts: list[tuple[str, object]] = [
        ("bundle", f"{spec.name} {spec.version}"),
        ("folder", bundle.folder),
        ("model", f"{_size(_folder_bytes(bundle.folder))}, verified: sha256 {bundle.hash}"),
        ("what", spec.description),
        ("expressions", ", ".join(spec.labels) or "none"),
        ("valence, arousal", "predicted" if spec.valence_arousal_output else "derived"),
        ("in time", describe_memory(spec.memory)),
        ("input", f"{spec.input_size_px} x {spec.input_size_px} px, {spec.colour}"),
        ("trained on", spec.training_data),
        ("licence", spec.licence),
        ("accuracy", measured_accuracy(spec.results)),
    ]
    facts += [(f"{item.name} (from Python)", ", ".join(item.labels)) for item in spec.other_outputs]
    for name, shares in spec.priors.items():
        if name == VOTES_PRIOR:  # says nothing of how common each is
            continue
        each = (f"{label} {share:.1%}" for label, share in zip(spec.labels, shares, strict=True))
        facts.append((f"prior {name}", ", ".join(each)))
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        console.print(wrapped(console, value, head=f"{name:<{width}}  "))
    console.print()
    if console.is_terminal:
        from rich.markdown import Markdown

        console.print(Markdown(bundle.card), soft_wrap=False)
    else:
        console.print(bundle.card)


def _spec_as_json(folder: Path, spec: BundleSpec) -> dict[str, Any]:
    from emotrace.bundle_spec import spec_to_json

    return {"folder": str(folder), "size_bytes": _folder_bytes(folder), **spec_to_json(spec)}


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


_VERBS = VerbTable(
    program=PROGRAM,
    description="Bundles are trained models: a network, its specification and its model card.",
    verbs={
        "list": Verb(summary="the bundles that this machine has", run=run_list),
        "info": Verb(summary="one bundle's specification, results and model card", run=run_info),
        "download": Verb(summary="fetch what a machine without a network needs", run=run_download),
    },
    examples=(
        "  emotrace bundles list\n"
        "  emotrace bundles info default\n"
        "  emotrace bundles download --to usb_stick/emotrace\n"
    ),
)
