"""`emotrace evaluate`: score a bundle on a data set, as it ships."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 -- tyro reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.table import Table

from emotrace.cli.arguments import Debug, Switch, parse_arguments
from emotrace.cli.terminal import print_json, printable, result_console
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "emotrace evaluate"
DESCRIPTION = """\
Score a bundle on held-out faces, under each of its priors.

Accuracy comes with its 95 % bootstrap interval over images. Two protocols are
in use on FER+ that must not be compared; n tells them apart.

Examples:
  emotrace evaluate default ferplus data/
  emotrace evaluate my_bundle/ ferplus data/ --out scores --json
"""
_PROTOCOLS = {"majority": "FER+ majority", "argmax": "FER+ argmax", "fer2013": "FER2013"}
_SHORT = {name: name[:4] for name in EMOTIONS}


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
    """Also write evaluation.json here."""
    json: Switch = False
    """Print JSON."""
    debug: Debug = False


def run(argv: Sequence[str]) -> int:
    """Run the verb and return its exit code.

    Raises:
        BundleError: There is no such bundle.
        DatasetError: The data is not there.
        OutputError: `--out` cannot be written to.
    """
    arguments = parse_arguments(EvaluateArguments, argv, program=PROGRAM, description=DESCRIPTION)
    from emotrace.analysis.tables import write_json
    from emotrace.storage import ensure_folder
    from emotrace.training.evaluation import evaluate_ferplus

    results = evaluate_ferplus(arguments.bundle, arguments.root, split=arguments.split)
    if arguments.out is not None:
        path = write_json(ensure_folder(arguments.out) / "evaluation.json", results)
    if arguments.json:
        print_json(results)
        return 0
    _show(results)
    if arguments.out is not None:
        result_console().print(f"all numbers: {printable(path)}")
    return 0


def _show(results: dict[str, Any]) -> None:
    console = result_console()
    scores = Table("labels", "n", "prior", "accuracy", "95 %", "UAR", "F1", "ECE", box=None)
    for protocol, title in _PROTOCOLS.items():
        for prior, of_prior in results["priors"].items():
            score = of_prior[protocol]
            low, high = score["accuracy_interval_95"]
            scores.add_row(
                title,
                str(score["n"]),
                prior,
                f"{score['accuracy']:.1%}",
                f"{100 * low:.1f}-{100 * high:.1f}",
                f"{score['unweighted_average_recall']:.1%}",
                f"{score['macro_f1']:.1%}",
                f"{score['calibration_error']:.3f}",
            )
    console.print(scores)
    console.print(
        "UAR: unweighted average recall. F1: macro. ECE: expected calibration error.\n"
        "Divergence from the votes (KL, nats): "
        + ", ".join(
            f"{prior} {of_prior['kl_divergence_to_votes']:.3f}"
            for prior, of_prior in results["priors"].items()
        )
    )
    default = results["priors"]["default"]["majority"]
    console.print("\nFER+ majority, default prior: rows are the truth, columns the prediction")
    confusion = Table("", *_SHORT.values(), "recall", box=None)
    for name, row in default["confusion_matrix"].items():
        confusion.add_row(
            name, *(str(row[other]) for other in EMOTIONS), f"{default['recall'][name]:.1%}"
        )
    console.print(confusion)
    kept = default["without_duplicates"]
    console.print(
        f"\nWithout images identical to a training image (n = {kept['n']}): "
        f"accuracy {kept['accuracy']:.1%}, UAR {kept['unweighted_average_recall']:.1%}"
    )
