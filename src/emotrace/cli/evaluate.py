"""`emotrace evaluate`: score a bundle or a training run on a data set."""

from __future__ import annotations

import contextlib
import platform
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.result_display import show_tables
from emotrace.cli.scoring_flags import SplitArguments, Unit, scoring_request
from emotrace.cli.terminal import print_json, print_note, progress_console, result_console
from emotrace.cli.train import training_packages
from emotrace.errors import OutputError, TrainingError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROGRAM = "emotrace evaluate"
DEFAULT_FOLDER = "emotrace-evaluation"
DESCRIPTION = """\
Score a bundle or a training run on held-out faces.

On FER+, a bundle is scored under each of its priors, with 95 % intervals over
images; tables are printed, pictures and a page written. Two protocols are in
use on FER+ that must not be compared; n tells them apart.

On a crop cache (of 'emotrace prepare'): accuracy, UAR, macro F1 and what is
taken for what; RMSE, CCC and Pearson's correlation of valence and arousal;
intervals from drawing whole people or videos again. A run is scored on its own
test side. Of data that it never saw, ask for --whole or a side of a --protocol;
for a bundle, only you know what it never saw.

Examples:
  emotrace evaluate default ferplus data/
  emotrace evaluate default ferplus data/ --robustness --out scores
  emotrace evaluate runs/gru cache caches/ravdess
  emotrace evaluate runs/gru cache caches/ck --whole --against default
  emotrace evaluate runs/gru cache caches/recola --save-chain chain.json
"""


@dataclass(frozen=True, kw_only=True)
class _ScoringArguments:
    unit: Unit = "auto"
    """What is drawn again for intervals; auto: people, or videos where not all are known."""
    prior: str = "default"
    """How common a bundle takes each expression to be; on FER+ all are scored."""
    labels: Literal["emotion", "votes", "condition"] = "emotion"
    """What a bundle is scored on; a run is scored on what it learned."""
    ignore_other_labels: Switch = False
    """Leave out faces with a label that the model does not know."""
    against: Annotated[
        str | None, tyro.conf.arg(metavar="MODEL", help_behavior_hint="(default: none)")
    ] = None
    """Another bundle or run: paired differences on the same faces."""
    post_process: Switch = False
    """Fit tzirakis2021's filter, centring, scaling and shift on validation; score both ways."""
    save_chain: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
    ] = None
    """The same, and keep what was fitted for `emotrace analyze --post-process`."""


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments:
    """The words after `emotrace evaluate`."""

    bundle: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A name in `emotrace bundles list`, a bundle's folder or a run's."""
    dataset: Annotated[
        Literal["ferplus", "cache"], tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")
    ]
    """ferplus: FER+ votes and FER2013 labels. cache: a crop cache."""
    root: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ROOT")]
    """Where it lies: the folder of ferplus.parquet or the file; the cache's folder."""
    split: Annotated[Literal["validation", "test"], tyro.conf.arg(aliases=["--side"])] = "test"
    """Which part to score."""
    out: Annotated[
        Path | None,
        tyro.conf.arg(
            aliases=["-o"],
            metavar="DIR",
            help_behavior_hint=f"(default: {DEFAULT_FOLDER} for a bundle on FER+; else none)",
        ),
    ] = None
    """Write the numbers, pictures and a page with both here."""
    robustness: Switch = False
    """On FER+: also score faces that are badly framed, lit or compressed: minutes of work."""
    json: Switch = False
    """Print JSON; files are written to --out only."""
    debug: Debug = False
    data_split: SplitArguments = field(default_factory=SplitArguments)
    scoring: _ScoringArguments = field(default_factory=_ScoringArguments)


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code.

    Raises:
        UsageError: Flags that do not go together, or data that the model cannot be scored on.
        BundleError: There is no such bundle or run, or it predicts other expressions.
        DatasetError: The data is not there, or has no such side.
        OutputError: `--out` cannot be written to.
        TrainingError: What runs and pictures need is not installed; scoring a bundle on FER+ needs
            none of it.
    """
    arguments = parse_arguments(EvaluateArguments, argv, program=PROGRAM, description=DESCRIPTION)
    from emotrace.storage import ensure_folder
    from emotrace.training.run_folders import is_run

    of_cache = arguments.dataset == "cache" or is_run(arguments.bundle)
    _check_flags(arguments, of_cache=of_cache)
    if arguments.out is not None:
        # Before the work, not after it.
        from emotrace.training.charts import require_matplotlib

        require_matplotlib()
        ensure_folder(arguments.out)
    with training_packages():
        if of_cache:
            _evaluate_model(arguments)
        else:
            _evaluate_ferplus(arguments)
    return 0


def _check_flags(arguments: EvaluateArguments, *, of_cache: bool) -> None:
    if arguments.scoring.against == arguments.bundle:
        raise UsageError(f"expected --against another model; got {arguments.bundle} twice")
    if of_cache:
        if arguments.robustness:
            raise UsageError("expected --robustness with a bundle on FER+; got another data set")
        return
    scoring, usual = arguments.scoring, _ScoringArguments()
    others = {
        "--protocol, --fold, --whole and their like": arguments.data_split != SplitArguments(),
        "--unit": scoring.unit != usual.unit,
        "--prior": scoring.prior != usual.prior,
        "--labels": scoring.labels != usual.labels,
        "--ignore-other-labels": scoring.ignore_other_labels,
        "--post-process": scoring.post_process,
        "--save-chain": scoring.save_chain is not None,
    }
    wrong = [name for name, is_given in others.items() if is_given]
    if wrong:
        raise UsageError(
            f"expected {', '.join(wrong)} with a crop cache or a run only; a bundle on FER+ is "
            "scored on its official parts, under every prior"
        )


# --- runs and caches -----------------------------------------------------------------------------


def _evaluate_model(arguments: EvaluateArguments) -> None:
    from emotrace.training.model_evaluation import evaluate_model

    scoring = arguments.scoring
    results = evaluate_model(
        arguments.bundle,
        scoring_request(
            arguments.root,
            arguments.data_split,
            side=arguments.split,
            prior=scoring.prior,
            labels=scoring.labels,
            ignore_other_labels=scoring.ignore_other_labels,
        ),
        against=scoring.against,
        post_process=scoring.post_process or scoring.save_chain is not None,
        unit=scoring.unit,
    )
    if arguments.json:
        print_json(results)
    else:
        _show_model(results)
    if scoring.save_chain is not None:
        from emotrace.analysis.post_processing import AffectPostProcessing

        chain = AffectPostProcessing.from_json(results["post_processing"]["chain"])
        print_note(f"wrote {chain.save(scoring.save_chain)}")
    if arguments.out is not None:
        from emotrace.training.score_files import write_scores

        for path in write_scores(results, arguments.out):
            print_note(f"wrote {path}")


def _show_model(results: dict[str, Any]) -> None:
    from emotrace.training.score_tables import chain_table, comparison_tables, score_tables

    console, scores = result_console(), results["scores"]
    side = "everything" if scores["side"] == "whole" else f"{scores['side']} side"
    console.print(f"{scores['predicted_by']}; {side}", style="bold")
    console.print(_filled(scores["split"]))
    for notice in results["notices"]:
        print_note(f"note: {notice}")
    console.print()
    show_tables(console, score_tables(scores))
    processing = results["post_processing"]
    if processing is not None:
        console.print(_filled(f"post-processing fitted on {processing['chain']['fitted_on']}"))
        show_tables(console, [chain_table(processing)])
    if results["against"] is not None:
        for notice in results["against"]["notices"]:
            if notice not in results["notices"]:
                print_note(f"note: {notice}")
        show_tables(console, comparison_tables(results["against"]))


def _filled(text: str) -> str:
    return textwrap.fill(text, 78, subsequent_indent="  ", break_on_hyphens=False)


# --- bundles on FER+ -----------------------------------------------------------------------------


def _evaluate_ferplus(arguments: EvaluateArguments) -> None:
    from emotrace.bundle import load_bundle
    from emotrace.training import evaluation, scoring

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
    against = arguments.scoring.against
    if against is not None:
        results["against"] = _compare_on_ferplus(arguments, against)
    if arguments.json:
        print_json(results)
    else:
        _show(results)
    if arguments.out is not None:
        _write_ferplus(results, arguments.out)
    elif not arguments.json:
        try:
            _write_ferplus(results, Path(DEFAULT_FOLDER))
        except (OutputError, TrainingError) as error:  # nobody asked for them
            print_note(f"note: no pictures were written: {error}")


def _write_ferplus(results: dict[str, Any], folder: Path) -> None:
    from emotrace.training.evaluation_page import write_evaluation

    for path in write_evaluation(results, folder):
        print_note(f"wrote {path}")


def _compare_on_ferplus(arguments: EvaluateArguments, against: str) -> dict[str, Any]:
    from emotrace.training.model_predictions import predict_models
    from emotrace.training.run_comparison import compare_models

    request = scoring_request(arguments.root, SplitArguments(), side=arguments.split)
    return compare_models(predict_models([arguments.bundle, against], request))


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
    from emotrace.training.score_tables import comparison_tables

    console = result_console()
    show_tables(console, all_tables(results))
    if "against" in results:
        show_tables(console, comparison_tables(results["against"]))
    for line in plain_facts(results):
        console.print(textwrap.fill(line, 78, subsequent_indent="  "))
