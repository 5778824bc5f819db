"""`emotrace analyze`: videos and pictures in, tables of predictions out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from emotrace.cli.arguments import Debug, Switch, check_least, parse_arguments
from emotrace.cli.signals import exit_code_of
from emotrace.cli.terminal import print_error, print_json, print_note, result_console
from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emotrace.analysis.one_input import OutputChoice
    from emotrace.analysis.outcomes import BatchReport
    from emotrace.analysis.settings import AnalysisSettings

PROGRAM = "emotrace analyze"
DESCRIPTION = """\
Follow faces through videos and predict their expressions, frame by frame.

Each input gets a folder of its own in the results:
  timeline.parquet   one row per frame and face: box, expression, probabilities
  segments.parquet   stretches of a face with one predicted expression
  summary.json       the input, each face's shares of time, settings, versions

A bad input does not stop the others; the same command again skips what is done.

Exit codes:
  0 all done; 1 an input failed or its end is missing; 2 wrong usage
  130 interrupted (Ctrl-C); 143 terminated

Examples:
  emotrace analyze interview.mp4
  emotrace analyze recordings/ -o results --csv --report --jobs 4
  emotrace analyze '*.mov' photo.jpg --all
  emotrace analyze long.mp4 --detect-every 5 --threads 2
  emotrace analyze talk.mp4 --prior uniform --bundle my_bundle/
"""
PRIOR_NAMES = ("default", "training", "uniform", "votes", "fer2013")
PRIOR_SUM_TOLERANCE = 0.011
"""Eight shares given with two decimals may miss 1 by 0.01 through honest rounding."""


@dataclass(frozen=True, kw_only=True)
class _OutputArguments:
    csv: Switch = False
    """The tables as CSV too: timeline.csv, segments.csv."""
    video: Switch = False
    """annotated.mp4: the video with boxes and predictions drawn in."""
    report: Switch = False
    """report.html: an interactive page that opens in any browser."""
    subtitles: Switch = False
    """subtitles.vtt: the predictions as subtitles for any player."""
    openface: Switch = False
    """openface.csv: a table with OpenFace's column names."""
    pyfeat: Switch = False
    """pyfeat.csv: a table with py-feat's column names."""
    all: Switch = False
    """All of these."""
    overwrite: Switch = False
    """Analyse inputs again whose results are there already."""


@dataclass(frozen=True, kw_only=True)
class _ModelArguments:
    detector: Literal["auto", "yunet", "haar", "lbp"] = "auto"
    """Face detector; auto is yunet, or haar where yunet's file is missing."""
    detect_every: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Look for faces in every N-th frame and follow them in between: faster."""
    search_every: Annotated[int, tyro.conf.arg(metavar="N")] = 5
    """Search the whole picture in every N-th frame; in between look only around
    known faces. 1 finds a further face at once, slower."""
    bundle: Annotated[str, tyro.conf.arg(metavar="NAME|PATH")] = "default"
    """Model: a name in `emotrace bundles list`, or a bundle's folder."""
    prior: Annotated[str, tyro.conf.arg(metavar="PRIOR")] = "default"
    """How common each is: default, training, uniform, or your own
    "anger=0.1,contempt=...". Its card says if a bundle has votes and fer2013 too."""
    keep_rejected: Switch = False
    """Keep what the model takes for no face; summary.json counts it."""
    smoothing: Annotated[
        float | None,
        tyro.conf.arg(metavar="SECONDS", help_behavior_hint="(default: 0.2)"),
    ] = None
    """Average predictions over so long before segments are cut; probabilities stay raw."""
    no_smoothing: Switch = False
    """Cut segments from the predictions as they are."""
    neutral_baseline: Switch = False
    """Take each face's own resting expression out of segments and smoothed columns:
    how it looks in the most neutral quarter of its time."""
    neutral_from: Annotated[
        str | None, tyro.conf.arg(metavar="START-END", help_behavior_hint="")
    ] = None
    """The same: how it looks in these seconds (0-5), in which you know it to be at rest."""
    post_process: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
    ] = None
    """Columns processed_valence, processed_arousal, by what `evaluate --save-chain FILE` kept."""
    fill_gaps: Switch = False
    """filled.parquet: valence and arousal in every frame of a face, interpolated over gaps."""
    vote: Literal["none", "maximum", "sum"] = "none"
    """Show one expression for the clip, by most frames or summed probabilities."""


@dataclass(frozen=True, kw_only=True)
class _SpeedArguments:
    jobs: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Inputs analysed at the same time, each with its share of the cores."""
    batch_size: Annotated[int, tyro.conf.arg(metavar="N")] = 16
    """Faces in one call of the model. Results do not depend on it."""
    threads: Annotated[
        int, tyro.conf.arg(metavar="N", help_behavior_hint="(default: 0, one per core)")
    ] = 0
    """CPU threads. Results do not depend on it."""


@dataclass(frozen=True, kw_only=True)
class _DisplayArguments:
    json: Switch = False
    """Print what was done as JSON on stdout, and nothing else there."""
    quiet: Switch = False
    """Print errors only."""
    debug: Debug = False


@dataclass(frozen=True, kw_only=True)
class AnalyzeArguments:
    """The words after `emotrace analyze`."""

    inputs: Annotated[
        list[str],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="INPUT...", help_behavior_hint="(one or more)"),
    ]
    """Videos, pictures, folders (and all in them), or patterns like '*.mp4'."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DIR")] = Path("emotrace-out")
    """Where the results go, a folder for each input."""
    output: _OutputArguments = field(default_factory=_OutputArguments)
    model: _ModelArguments = field(default_factory=_ModelArguments)
    speed: _SpeedArguments = field(default_factory=_SpeedArguments)
    display: _DisplayArguments = field(default_factory=_DisplayArguments)


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code: 1 if any input failed or is damaged.

    Raises:
        UsageError: A flag, a value or an input cannot work.
        EmotraceError: Nothing could be done at all (no such bundle, no place to write).
    """
    arguments = parse_arguments(AnalyzeArguments, argv, program=PROGRAM, description=DESCRIPTION)
    if not arguments.inputs:
        raise UsageError(f"expected at least one INPUT; got none (see '{PROGRAM} --help')")
    prior = parse_prior(arguments.model.prior)
    settings = _settings_from(arguments)
    from emotrace.analysis.batch import analyze_inputs
    from emotrace.cli.analyze_display import AnalyzeDisplay

    shows = arguments.display
    display = AnalyzeDisplay(
        shows_progress=not shows.quiet,
        shows_results=not (shows.quiet or shows.json),
        vote=arguments.model.vote,
    )
    try:
        with display:
            report = analyze_inputs(
                arguments.inputs,
                arguments.out,
                bundle=arguments.model.bundle,
                prior=prior,
                settings=settings,
                outputs=_outputs_from(arguments),
                overwrite=arguments.output.overwrite,
                jobs=arguments.speed.jobs,
                observer=display,
            )
    except KeyboardInterrupt as stop:
        print_note(
            f"stopped: {display.kept} of {display.total} inputs are finished and kept in "
            f"{arguments.out}; the same command again does the rest"
        )
        return exit_code_of(stop)
    _show_end(report, arguments)
    return 1 if report.failed or report.damaged else 0


def parse_prior(text: str) -> str | dict[str, float]:
    """Turn the value of `--prior` into a prior: a name, or a share for each expression.

    Raises:
        UsageError: It is neither; the message says what is wrong with it.

    >>> parse_prior("uniform")
    'uniform'
    """
    if "=" not in text:
        if text not in PRIOR_NAMES:
            raise UsageError(
                f"expected --prior to be {', '.join(PRIOR_NAMES)} or a share for each expression "
                f"('anger=0.1,contempt=0.02,...'); got {text!r}"
            )
        return text
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in EMOTIONS:
            raise UsageError(f"expected --prior to name {', '.join(EMOTIONS)}; got {name!r}")
        if name in shares:
            raise UsageError(f"expected --prior to name each expression once; got {name} twice")
        shares[name] = _parse_share(name, value)
    missing = [name for name in EMOTIONS if name not in shares]
    if missing:
        raise UsageError(
            f"expected --prior to give a share for all eight expressions; {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing"
        )
    total = sum(shares.values())
    if abs(total - 1) > PRIOR_SUM_TOLERANCE:
        raise UsageError(f"expected the shares of --prior to sum to 1; they sum to {total:g}")
    return shares


def parse_stretch(text: str) -> tuple[float, float]:
    """Turn the value of `--neutral-from` into seconds.

    Raises:
        UsageError: It is no stretch of time.

    >>> parse_stretch("0-4.5")
    (0.0, 4.5)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*-\s*(\d+(?:\.\d*)?)\s*", text)
    if match is None:
        raise UsageError(f"expected --neutral-from in seconds, like 0-5; got {text!r}")
    return float(match[1]), float(match[2])


def _parse_share(name: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"expected the share of {name} in --prior to be in [0, 1]; got {value!r}")
    return share


def _settings_from(arguments: AnalyzeArguments) -> AnalysisSettings:
    model, speed = arguments.model, arguments.speed
    check_least(1, detect_every=model.detect_every, search_every=model.search_every)
    check_least(1, batch_size=speed.batch_size, jobs=speed.jobs)
    check_least(0, threads=speed.threads)
    if model.no_smoothing and model.smoothing is not None:
        raise UsageError("expected --smoothing or --no-smoothing; got both")
    if model.smoothing is not None and not 0 < model.smoothing < float("inf"):
        raise UsageError(
            f"expected --smoothing above 0 seconds; got {model.smoothing:g}; "
            "--no-smoothing turns it off"
        )
    from emotrace.analysis.baseline import BaselineSettings
    from emotrace.analysis.post_processing import AffectPostProcessing
    from emotrace.analysis.segments import SegmentSettings
    from emotrace.analysis.settings import AnalysisSettings
    from emotrace.analysis.smoothing import SmoothingSettings

    segmentation = SegmentSettings()
    if model.no_smoothing:
        segmentation = SegmentSettings(smoothing=None)
    elif model.smoothing is not None:
        segmentation = SegmentSettings(smoothing=SmoothingSettings(window_seconds=model.smoothing))
    baseline = None
    if model.neutral_baseline or model.neutral_from is not None:
        given = model.neutral_from
        baseline = BaselineSettings(
            reference_seconds=None if given is None else parse_stretch(given)
        )
    chain = None if model.post_process is None else AffectPostProcessing.load(model.post_process)
    return AnalysisSettings(
        baseline=baseline,
        post_processing=chain,
        detector=model.detector,
        detect_every=model.detect_every,
        search_every=model.search_every,
        keep_rejected=model.keep_rejected,
        batch_size=speed.batch_size,
        threads=speed.threads,
        segmentation=segmentation,
    )


def _outputs_from(arguments: AnalyzeArguments) -> OutputChoice:
    from emotrace.analysis.one_input import OutputChoice

    output = arguments.output
    return OutputChoice(
        filled=arguments.model.fill_gaps,
        csv=output.csv or output.all,
        video=output.video or output.all,
        report=output.report or output.all,
        subtitles=output.subtitles or output.all,
        openface=output.openface or output.all,
        pyfeat=output.pyfeat or output.all,
    )


def _show_end(report: BatchReport, arguments: AnalyzeArguments) -> None:
    if arguments.display.json:
        print_json(report.to_json())
    elif len(report.outcomes) > 1 and not arguments.display.quiet:
        counts = [f"{len(report.done)} done"]
        if report.skipped:
            counts.append(
                f"{len(report.skipped)} skipped (done before; --overwrite does them again)"
            )
        if report.damaged:
            counts.append(f"{len(report.damaged)} damaged (their end is missing)")
        counts.append(f"{len(report.failed)} failed")
        result_console().print(f"{len(report.outcomes)} inputs: {', '.join(counts)}")
    for outcome in report.outcomes:
        if outcome.status not in ("failed", "damaged"):
            continue
        message = outcome.error or "failed for an unknown reason"
        # Most messages name the file; a failure without a name would be of no use among many.
        is_named = outcome.path.name in message
        print_error(message if is_named else f"{outcome.path}: {message}")
