"""`emotrace train features`: feature vectors of a crop cache, made once by a trained network."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 -- tyro reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.terminal import print_note, printable, progress_console, result_console

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAM = "emotrace train features"
DESCRIPTION = """\
Make a feature vector of every crop of a cache, once, with a trained network.

The recurrent part then trains on vectors, many times faster than on pictures.
OUT says which network and which crops they are of, and is refused with others.
Stopped or killed, the same command goes on where it was.

Examples:
  emotrace train features runs/stills caches/ravdess vectors/ravdess
  emotrace train features default caches/ravdess vectors/outputs
  emotrace train vectors-gru --data vectors/ravdess --run runs/gru
"""


@dataclass(frozen=True, kw_only=True)
class FeatureArguments:
    """The words after `emotrace train features`."""

    extractor: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="EXTRACTOR")]
    """The folder of a run of 'emotrace train', or a bundle's name or folder."""
    cache: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CACHE")]
    """A crop cache of 'emotrace prepare'."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """Where the vectors go."""
    batch_size: int = 64
    """Crops at a time."""
    device: str = "cpu"
    """Where a run's network computes: cpu, cuda."""
    overwrite: Switch = False
    """Replace vectors of another network or of other crops."""
    quiet: Switch = False
    """Draw no progress bar."""
    debug: Debug = False


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code.

    Raises:
        EmotraceError: The network or the cache is not there, or OUT holds other vectors.
    """
    arguments = parse_arguments(FeatureArguments, argv, program=PROGRAM, description=DESCRIPTION)
    from emotrace.training.extractors import load_extractor
    from emotrace.training.feature_cache import extract_features

    extractor = load_extractor(arguments.extractor, device=arguments.device)
    shows = not arguments.quiet and sys.stderr.isatty()
    try:
        with _Bar() if shows else nullcontext() as progress:
            report = extract_features(
                extractor,
                arguments.cache,
                arguments.out,
                batch_size=arguments.batch_size,
                overwrite=arguments.overwrite,
                progress=progress,
            )
    except KeyboardInterrupt:
        print_note("stopped: the same command again does the rest")
        return 130
    before = f", {report.rows_before:,} of them made before" if report.rows_before else ""
    result_console().print(
        f"{report.rows:,} vectors of {report.features} values{before}, of "
        f"{printable(extractor.description)}: {printable(report.folder)}"
    )
    return 0


class _Bar:
    """A progress bar on stderr."""

    def __init__(self) -> None:
        from rich.progress import Progress

        self._bars = Progress(console=progress_console(), transient=True)
        self._task: Any = self._bars.add_task("vectors", total=None)

    def __enter__(self) -> Callable[[int, int], None]:
        self._bars.start()
        return self._advance

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def _advance(self, done: int, total: int) -> None:
        self._bars.update(self._task, completed=done, total=total)
