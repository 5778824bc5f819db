"""`emotrace synth`: synthetic face videos of which everything is known."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path  # noqa: TC003 -- tyro reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar, get_args

import tyro

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.terminal import (
    print_json,
    print_note,
    printable,
    progress_console,
    result_console,
)
from emotrace.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from rich.progress import Progress

    from emotrace.synth.plans import SetSettings
    from emotrace.synth.truth import SynthClip, SynthFrame

NameT = TypeVar("NameT", bound=str)

PROGRAM = "emotrace synth"
DESCRIPTION = """\
Draw videos of faces that nobody has, with everything in them known.

Each clip comes with a table of its truth: for every frame and face the box, the
id, the share that is visible, action units, expression, valence and arousal. The
same command always writes the same clips. --layout writes them as a real data set
lies on disk, so that its reader and the training can be tried without it.

Examples:
  emotrace synth faces
  emotrace synth crowd --people 3 --seconds 20 --size 1280x720 --cuts 2
  emotrace synth smiles --emotion happiness --clips 40 --subjects 10 --frames
  emotrace synth my_ckplus --layout ckplus --clips 80
"""


@dataclass(frozen=True, kw_only=True)
class _ContentArguments:
    clips: Annotated[int, tyro.conf.arg(metavar="N")] = 8
    """How many clips."""
    people: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """How many people are in a picture; they cross and hide one another."""
    subjects: Annotated[
        int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: as many as needed)")
    ] = None
    """How many different people there are."""
    emotion: Annotated[
        str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: all)")
    ] = None
    """An expression, all in turn, or free: valence and arousal wander, the face follows."""
    dynamics: Annotated[
        str | None,
        tyro.conf.arg(metavar="KIND", help_behavior_hint="(default: pulse)"),
    ] = None
    """How it runs in time: onset, offset, pulse, slow, fast or hold."""
    cuts: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Cuts in each clip of several people."""
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Another number: other people, who do other things."""


@dataclass(frozen=True, kw_only=True)
class _PictureArguments:
    seconds: Annotated[float, tyro.conf.arg(metavar="S")] = 3.0
    """Length of each clip."""
    rate: Annotated[float, tyro.conf.arg(metavar="N")] = 25.0
    """Frames per second."""
    size: Annotated[str, tyro.conf.arg(metavar="WxH")] = "320x240"
    """Of the pictures, in pixels."""
    light: Annotated[
        str | None,
        tyro.conf.arg(metavar="KIND", help_behavior_hint="(default: normal)"),
    ] = None
    """normal, strong, weak or dark."""
    noise: Annotated[float, tyro.conf.arg(metavar="X")] = 2.0
    """Of the camera: standard deviation, of 255."""
    blur: Annotated[float, tyro.conf.arg(metavar="PX")] = 0.0
    """Standard deviation in pixels."""
    jpeg: Annotated[
        int | None, tyro.conf.arg(metavar="QUALITY", help_behavior_hint="(default: none)")
    ] = None
    """Compress each picture so before it is written, 1 to 100."""
    grey: Switch = False
    """A grey camera."""


@dataclass(frozen=True, kw_only=True)
class _WritingArguments:
    layout: Annotated[
        str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: none)")
    ] = None
    """Write as a data set lies on disk: ckplus, jaffe, oulu-casia, affwild2, ..."""
    frames: Switch = False
    """PNG pictures in a folder for each clip instead of videos."""
    csv: Switch = False
    """The truth as CSV instead of Parquet."""
    overwrite: Switch = False
    """Write into a folder that holds files already; those of the same name are replaced."""


@dataclass(frozen=True, kw_only=True)
class _DisplayArguments:
    json: Switch = False
    """Print what was written as JSON on stdout, and nothing else there."""
    quiet: Switch = False
    """Print errors only."""
    debug: Debug = False


@dataclass(frozen=True, kw_only=True)
class SynthArguments:
    """The words after `emotrace synth`."""

    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """The folder to write to."""
    content: _ContentArguments = field(default_factory=_ContentArguments)
    picture: _PictureArguments = field(default_factory=_PictureArguments)
    writing: _WritingArguments = field(default_factory=_WritingArguments)
    display: _DisplayArguments = field(default_factory=_DisplayArguments)


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code.

    Raises:
        UsageError: A flag or value cannot work.
        OutputError: Something cannot be written, or would mix with other files.
    """
    arguments = parse_arguments(SynthArguments, argv, program=PROGRAM, description=DESCRIPTION)
    settings = settings_from(arguments)
    from emotrace.synth.plans import frame_count, plan_set

    layout = arguments.writing.layout
    each = frame_count(settings, layout=layout)
    clips = plan_set(settings, layout=layout)
    with _Bar(settings.clips * each, is_shown=not arguments.display.quiet) as bar:
        watched = (bar.watch(clip) for clip in clips)
        if layout is not None:
            report = _write_as(layout, watched, arguments)
        else:
            report = _write_plain(watched, arguments, settings)
    if arguments.display.json:
        print_json(report)
    elif not arguments.display.quiet:
        console = result_console()
        console.print(
            f"{len(report['clips'])} clips, {report['frames']} frames: {printable(arguments.out)}"
        )
    return 0


def parse_size(text: str) -> tuple[int, int]:
    """Turn the value of `--size` into width and height.

    Raises:
        UsageError: It is no size.

    >>> parse_size("640x360")
    (640, 360)
    """
    match = re.fullmatch(r"(\d{1,5})\s*[xX*]\s*(\d{1,5})", text.strip())
    if match is None:
        raise UsageError(f"expected --size like 640x360; got {text!r}")
    return int(match[1]), int(match[2])


def settings_from(arguments: SynthArguments) -> SetSettings:
    """Turn the words of the verb into what is to be drawn.

    Raises:
        UsageError: A value cannot work.
    """
    from emotrace.synth.camera import LIGHT_NAMES, CameraSettings
    from emotrace.synth.dynamics import DYNAMICS
    from emotrace.synth.plans import EmotionChoice, SetSettings

    content, picture, writing = arguments.content, arguments.picture, arguments.writing
    if writing.layout is not None and (writing.frames or writing.csv or writing.overwrite):
        raise UsageError(
            "expected --layout without --frames, --csv and --overwrite: a data set is written as "
            "it lies, into a new folder"
        )
    if content.seed < 0:
        raise UsageError(f"expected --seed from 0; got {content.seed}")
    width, height = parse_size(picture.size)
    return SetSettings(
        clips=content.clips,
        people=content.people,
        subjects=content.subjects,
        emotion=_known("--emotion", content.emotion, get_args(EmotionChoice)),
        dynamics=_known("--dynamics", content.dynamics, DYNAMICS),
        seconds=picture.seconds,
        frame_rate=picture.rate,
        width=width,
        height=height,
        cuts=content.cuts,
        light=_known("--light", picture.light, LIGHT_NAMES),
        camera=CameraSettings(
            noise=picture.noise,
            blur_px=picture.blur,
            jpeg_quality=picture.jpeg,
            is_grey=picture.grey,
        ),
        seed=content.seed,
    )


def _known(flag: str, word: str | None, names: tuple[NameT, ...]) -> NameT | None:
    # tyro could check this, but lists the names in another order each time, and None among them.
    if word is None:
        return None
    for name in names:
        if name == word:
            return name
    raise UsageError(f"expected {flag} to be one of {', '.join(names)}; got {word!r}")


def _write_plain(
    clips: Iterable[SynthClip], arguments: SynthArguments, settings: SetSettings
) -> dict[str, Any]:
    from emotrace.storage import atomic_path
    from emotrace.synth.write import write_frames, write_video

    out = arguments.out
    if not arguments.writing.overwrite and out.is_dir() and any(out.iterdir()):
        raise OutputError(
            f"expected a new or empty folder; {out} holds files already; "
            "choose another, or add --overwrite"
        )
    from emotrace.version import __version__

    kind: Literal["csv", "parquet"] = "csv" if arguments.writing.csv else "parquet"
    written: list[dict[str, Any]] = []
    for clip in clips:
        if arguments.writing.frames:
            media = out / clip.clip_id
            truth = write_frames(clip, media, truth=kind)
        else:
            media = out / f"{clip.clip_id}.mp4"
            truth = write_video(clip, media, truth=kind)
        written.append(
            {
                "clip": clip.clip_id,
                "subject": clip.subject,
                "emotion": clip.emotion,
                "dynamics": clip.dynamics,
                "partition": clip.partition,
                "frames": clip.frame_count,
                "media": media.name,
                "truth": truth.relative_to(out).as_posix(),
            }
        )
    record = {"emotrace": __version__, "settings": asdict(settings), "clips": written}
    with atomic_path(out / "synth.json") as partial:
        partial.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    return {"clips": written, "frames": sum(one["frames"] for one in written)}


def _write_as(layout: str, clips: Iterable[SynthClip], arguments: SynthArguments) -> dict[str, Any]:
    from emotrace.synth.layouts import LAYOUTS, LeftOut, Outcome, write_layout

    if layout not in LAYOUTS:
        raise UsageError(f"expected --layout to be one of {', '.join(LAYOUTS)}; got {layout!r}")

    def tell(outcome: Outcome) -> None:
        if isinstance(outcome, LeftOut) and not arguments.display.quiet:
            print_note(f"left out {outcome.source_id}: {outcome.reason}")

    outcomes = write_layout(layout, clips, arguments.out, on_outcome=tell)
    written = [one for one in outcomes if not isinstance(one, LeftOut)]
    return {
        "layout": layout,
        "clips": [
            {
                "clip": one.source_id,
                "name": one.clip_id,
                "subject": one.subject,
                "emotion": one.emotion,
                "partition": one.partition,
                "frames": one.frame_count,
            }
            for one in written
        ],
        "left_out": [
            {"clip": one.source_id, "reason": one.reason}
            for one in outcomes
            if isinstance(one, LeftOut)
        ],
        "frames": sum(one.frame_count for one in written),
    }


class _Bar:
    """A progress bar over all frames, on stderr; nothing where that is no terminal."""

    def __init__(self, total: int, *, is_shown: bool) -> None:
        self._total = total
        self._done = 0
        self._bar: Progress | None = None
        console = progress_console()
        if is_shown and sys.stderr.isatty() and not console.is_dumb_terminal:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("frames", total=total)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def watch(self, clip: SynthClip) -> SynthClip:
        """Return a clip whose frames move the bar as they are drawn."""

        def frames() -> Iterator[SynthFrame]:
            for frame in clip.frames():
                yield frame
                self._done += 1
                if self._bar is not None:
                    # A layout that draws a clip twice does not push the bar over its end.
                    self._bar.update(self._task, completed=min(self._done, self._total))

        return replace(clip, render=frames)
