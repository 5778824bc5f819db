"""Whether finished default runs know more together than alone: before one is taught by them.

    python benchmarks/together_of_default.py ../shared/data RUN RUN [RUN ...]

What a network learns from teachers cannot be better than their mean answer, but for what it learns
besides. So the mean is scored first, and each run alone, with mirror images: FER+ output, averaged
weights, training prior, no calibration, on validation. Differences of the mean to the run that
fits the votes best have 95 % intervals from a bootstrap over faces. Prints Markdown; writes
`results/DATE-together-of-default.json` beside this script.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch

from ablation_of_default import ask_network, log_training_prior
from bench_machine import save_results
from emotrace.datasets.ferplus import argmax_labels, load_ferplus, majority_labels, vote_shares
from emotrace.metrics import accuracy, kl_divergence
from emotrace.metrics.bootstrap import paired_bootstrap
from emotrace.training.fit import load_finished_network
from emotrace.training.recipe_record import read_run, recipe_from_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from emotrace.datasets.ferplus import FerPlusSplit

MEAN: Final = "mean of all"


class Measure(NamedTuple):
    """What is taken of probabilities, over the faces that it is defined for."""

    name: str
    rows: NDArray[np.int64]
    of: Callable[[NDArray[np.float64], NDArray[np.int64]], float]
    """Of the probabilities of all faces, over some of `rows`."""


def measures(split: FerPlusSplit) -> list[Measure]:
    """Return the two accuracies and the divergence."""
    majority, top, shares = (
        majority_labels(split.votes),
        argmax_labels(split.votes),
        vote_shares(split.votes),
    )
    return [
        Measure(
            "majority",
            np.flatnonzero(majority >= 0),
            lambda answer, rows: accuracy(majority[rows], answer[rows].argmax(axis=1)),
        ),
        Measure(
            "argmax",
            np.flatnonzero(top >= 0),
            lambda answer, rows: accuracy(top[rows], answer[rows].argmax(axis=1)),
        ),
        Measure(
            "KL",
            np.flatnonzero(shares.sum(axis=1) > 0),
            lambda answer, rows: kl_divergence(shares[rows], answer[rows]),
        ),
    ]


def ask(run: Path, images: torch.Tensor, log_prior: torch.Tensor) -> NDArray[np.float64]:
    """Return `(n, 8)`: the mean answer of a run to pictures and their mirror images."""
    network = load_finished_network(recipe_from_record(read_run(run)["recipe"]), run)

    def answer(pictures: torch.Tensor) -> torch.Tensor:
        logits, _ = ask_network(network, pictures)
        return torch.softmax(logits.double() + log_prior, dim=1)

    mean: NDArray[np.float64] = ((answer(images) + answer(images.flip(-1))) / 2).numpy()
    return mean


def main() -> None:
    """Score each run and all together, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    split, log_prior = (
        load_ferplus(arguments.data, "validation"),
        log_training_prior(arguments.data),
    )
    images = torch.from_numpy(split.images)[:, None].float() / 255
    answers = {run.name: ask(run, images, log_prior) for run in arguments.runs}
    if len(answers) < len(arguments.runs):
        raise SystemExit("error: expected run folders of different names")
    answers[MEAN] = np.mean(list(answers.values()), axis=0)
    wanted = measures(split)
    divergence = wanted[-1]
    best = min(
        (name for name in answers if name != MEAN),
        key=lambda name: divergence.of(answers[name], divergence.rows),
    )
    results: dict[str, dict[str, float]] = {
        name: {measure.name: measure.of(answer, measure.rows) for measure in wanted}
        for name, answer in answers.items()
    }
    gains = {}
    for measure in wanted:
        found = paired_bootstrap(
            lambda drawn, one=measure: one.of(answers[MEAN], one.rows[drawn]),
            lambda drawn, one=measure: one.of(answers[best], one.rows[drawn]),
            np.arange(len(measure.rows)),
        )
        gains[measure.name] = {
            "difference": found.difference, "low": found.low, "high": found.high,
        }  # fmt: skip
    print("| with mirror images | majority | argmax | KL |\n|---|---:|---:|---:|")
    for name, row in results.items():
        print(f"| {name} | {row['majority']:.1%} | {row['argmax']:.1%} | {row['KL']:.3f} |")
    print(f"\n{MEAN} against {best}: {gains}")
    save_results(
        Path(__file__).parent / "results",
        "together-of-default",
        {"faces": len(split), "results": results, "best_alone": best, "mean_against_it": gains},
    )


if __name__ == "__main__":
    main()
