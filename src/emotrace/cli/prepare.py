"""`emotrace prepare`: a data set's faces, cut out once into a cache that training reads."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 -- tyro reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from emotrace.cli.arguments import Debug, Switch, check_least, parse_arguments
from emotrace.cli.terminal import (
    print_error,
    print_json,
    print_note,
    printable,
    progress_console,
    result_console,
    wrapped,
)
from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emotrace.datasets.prepare import PrepareProgress, PrepareReport, PrepareSettings

PROGRAM = "emotrace prepare"
DESCRIPTION = """\
Find, follow and cut out a data set's faces, once, for training to read.

OUT gets a cache: the crops, with true times, gaps, detection scores, labels.
It says what was lost; losses.csv names the clips. Stopped or killed, the same
command goes on where it was; corrected labels need no new crops.

Examples:
  emotrace prepare ravdess RAVDESS/ caches/ravdess
  emotrace prepare ckplus CK+/ caches/ck --select no-contempt last-10-frames \\
    --detector lbp --size 170 --missing-faces drop-clip
  emotrace prepare affwild2 Aff-Wild2/ caches/aw --detector none --grey
  emotrace prepare manifest my_videos/ caches/mine --faces all --workers 4
"""
MAX_FAILURES_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class _ClipArguments:
    select: Annotated[
        list[str], tyro.conf.arg(metavar="NAME...", help_behavior_hint="(default: all clips)")
    ] = field(default_factory=list)
    """The papers' selections: labelled, no-contempt, at-least-15-frames, last-N-frames,
    first-and-three-peak-frames, strong-light, visible-light; applied in this order."""
    option: Annotated[
        list[str], tyro.conf.arg(metavar="NAME=VALUE...", help_behavior_hint="(default: none)")
    ] = field(default_factory=list)
    """Options of the data set's own reader, such as channel=song for ravdess."""
    match_labels: Literal["frame", "time"] = "frame"
    """How a label finds its frame: by number, or by the nearest time."""


@dataclass(frozen=True, kw_only=True)
class _CropArguments:
    size: Annotated[int, tyro.conf.arg(metavar="PX")] = 96
    """Width and height of the crops."""
    scale: Annotated[float, tyro.conf.arg(metavar="FACTOR")] = 1.0
    """Side of the crops in face squares: 1 frames a face as FER2013 does, 1.3 shows more."""
    align: Literal["none", "eyes"] = "none"
    """eyes turns faces until the eyes are level, where the detector gives landmarks."""
    grey: Switch = False
    """Keep grey crops: a third of the space."""


@dataclass(frozen=True, kw_only=True)
class _FaceArguments:
    detector: Literal["auto", "yunet", "haar", "lbp", "none"] = "auto"
    """Face detector; none: the pictures are face crops already and are only resized."""
    detect_every: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Look for faces in every N-th frame and follow them in between: faster."""
    search_every: Annotated[int, tyro.conf.arg(metavar="N")] = 5
    """Search the whole picture in every N-th frame; in between look only around
    known faces. 1 finds a further face at once, slower."""
    faces: Literal["subject", "all"] = "subject"
    """The face that the labels are about (the most prominent one), or everybody's."""
    missing_faces: Literal["break", "drop-clip"] = "break"
    """What a missed face costs: windows end there, or its whole clip."""


@dataclass(frozen=True, kw_only=True)
class _DisplayArguments:
    json: Switch = False
    """Print what was made and lost as JSON on stdout."""
    quiet: Switch = False
    """Print errors only."""
    debug: Debug = False


@dataclass(frozen=True, kw_only=True)
class PrepareArguments:
    """The words after `emotrace prepare`."""

    dataset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """A name in `emotrace datasets`."""
    root: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ROOT")]
    """Where the data set lies."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """The cache's folder."""
    clips: _ClipArguments = field(default_factory=_ClipArguments)
    crop: _CropArguments = field(default_factory=_CropArguments)
    finding: _FaceArguments = field(default_factory=_FaceArguments)
    workers: Annotated[
        int, tyro.conf.arg(metavar="N", help_behavior_hint="(default: one per core)")
    ] = 0
    """Processes. The cache does not depend on it."""
    overwrite: Switch = False
    """Replace a cache that was made with other settings."""
    display: _DisplayArguments = field(default_factory=_DisplayArguments)


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code: 1 if a clip could not be read.

    Raises:
        UsageError: There is no such data set, selection or option, or a value cannot work.
        DatasetError: The data set is not there or damaged, or OUT holds another cache.
        EmotraceError: The detector cannot be had, or OUT cannot be written.
    """
    arguments = parse_arguments(PrepareArguments, argv, program=PROGRAM, description=DESCRIPTION)
    options = parse_options(arguments.clips.option)
    from emotrace.datasets.catalogue import read_dataset
    from emotrace.datasets.prepare import prepare_dataset

    settings = _settings_from(arguments)
    shows = arguments.display
    records = read_dataset(
        arguments.dataset, arguments.root, selections=arguments.clips.select, **options
    )
    try:
        with nullcontext() if shows.quiet else _ProgressBar() as hook:
            report = prepare_dataset(
                records,
                arguments.out,
                settings=settings,
                overwrite=arguments.overwrite,
                progress=hook,
            )
    except KeyboardInterrupt:
        print_note(
            f"stopped: finished clips are kept in {arguments.out}; "
            "the same command again does the rest"
        )
        return 130
    if shows.json:
        print_json(report.to_json())
    elif not shows.quiet:
        _show(report)
    for clip, error in report.failures[:MAX_FAILURES_SHOWN]:
        print_error(f"{clip}: {error}")
    if len(report.failures) > MAX_FAILURES_SHOWN:
        hidden = len(report.failures) - MAX_FAILURES_SHOWN
        print_error(f"{hidden} more clips failed: see {report.out / 'losses.csv'}")
    return 1 if report.failures else 0


def parse_options(texts: Sequence[str]) -> dict[str, str]:
    """Turn `NAME=VALUE` words into a reader's options; dashes in names count as underscores.

    Raises:
        UsageError: A word has no `=`, or a name comes twice.

    >>> parse_options(["gold-standard=provided"])
    {'gold_standard': 'provided'}
    """
    options: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or not name:
            raise UsageError(f"expected --option NAME=VALUE; got {text!r}")
        if name in options:
            raise UsageError(f"expected each --option once; got {name} twice")
        options[name] = value.strip()
    return options


def _settings_from(arguments: PrepareArguments) -> PrepareSettings:
    from emotrace.datasets.cropping import CropSettings
    from emotrace.datasets.prepare import PrepareSettings
    from emotrace.faces import CropGeometry

    crop, finding = arguments.crop, arguments.finding
    check_least(1, detect_every=finding.detect_every, search_every=finding.search_every)
    return PrepareSettings(
        cropping=CropSettings(
            crop=CropGeometry(size_px=crop.size, scale=crop.scale, align=crop.align),
            color="grey" if crop.grey else "rgb",
            detector=finding.detector,
            detect_every=finding.detect_every,
            search_every=finding.search_every,
            faces=finding.faces,
        ),
        workers=arguments.workers,
        match_labels=arguments.clips.match_labels,
        missing_faces="drop_clip" if finding.missing_faces == "drop-clip" else "break",
    )


class _ProgressBar:
    """A bar over clips on stderr; nothing where that is no terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        console = progress_console()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bars.add_task("clips", total=None, left="")

    def __enter__(self) -> Callable[[PrepareProgress], None]:
        self._bars.start()
        return self._advance

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def _advance(self, progress: PrepareProgress) -> None:
        left = progress.seconds_left
        self._bars.update(
            self._task,
            completed=progress.clips_done,
            total=progress.clips_total,
            left="" if left is None else f"{left / 60:.0f} min left",
        )


def _show(report: PrepareReport) -> None:
    console = result_console()
    before = f", {report.clips_done_before} done before" if report.clips_done_before else ""
    console.print(
        f"{_many(report.clip_count, 'clip')}{before}: {_many(report.face_count, 'face crop')} in "
        f"{_many(report.frame_count, 'frame')}"
    )
    for line in loss_lines(report):
        console.print(f"  {line}")
    console.print(wrapped(console, report.out, head="  cache in "))
    for notice in report.notices:
        console.print(wrapped(console, notice, head="  note: "), style="yellow")


def loss_lines(report: PrepareReport) -> list[str]:
    """Say in a few lines what was lost; nothing where nothing was."""
    lines = []
    if report.missed_count:
        share = report.missed_count / max(report.frame_count, 1)
        lines.append(
            f"lost: {_many(report.missed_count, 'frame')} without the face ({share:.1%}), the "
            f"longest stretch {_many(report.longest_gap, 'frame')}; windows break there"
        )
        dropped = report.clips_with_gaps + report.clips_without_face
        lines.append(
            f"{_many(dropped, 'clip')} with a missed face ({report.clips_without_face} without "
            "any): --missing-faces drop-clip leaves them out"
        )
    if report.tracked_count:
        lines.append(f"{_many(report.tracked_count, 'face')} followed where none was detected")
    if report.other_face_count:
        lines.append(f"{_many(report.other_face_count, 'sight')} of other people")
    if report.unmatched_label_count:
        lines.append(
            f"lost: {_many(report.unmatched_label_count, 'label')} of frames that do not exist; "
            "if times are right where numbers are not, try --match-labels time"
        )
    if report.failures:
        lines.append(f"lost: {_many(len(report.failures), 'clip')} that cannot be read")
    if lines:
        lines.append(f"by clip: {printable(report.out / 'losses.csv')}")
    return lines


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
