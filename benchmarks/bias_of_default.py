"""What a bias beside the temperature would give, on validation faces that it was not fitted to.

    python benchmarks/bias_of_default.py ../shared/data BUNDLE ... --results benchmarks/results

Five folds of FER+ validation: everything that an export fits there (temperatures, priors) is fitted
on four of them and applied to the fifth; with no bias, as an export does it, with one for the FER+
output, and with one for each output. Accuracy and average recall, calibration error, and the
divergence from the votes. Last, how far from ten votes a model would be that knew the shares they
are drawn from: ten votes drawn from the bundle's own predictions, for each face.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_machine import save_results
from emotrace import load_bundle
from emotrace.bundle_outputs import VOTES_PRIOR
from emotrace.datasets.ferplus import load_ferplus, vote_shares
from emotrace.labels import EMOTIONS
from emotrace.metrics import (
    accuracy,
    expected_calibration_error,
    kl_divergence,
    unweighted_average_recall,
)
from emotrace.training.calibration import (
    TrainingShares,
    Validation,
    calibrate,
    logits_and_truths,
    predict_under,
)
from emotrace.training.export import as_validation, training_shares
from emotrace.training.scoring import score_images
from emotrace.training.temperature import fit_temperature_and_bias

if TYPE_CHECKING:
    from emotrace.bundle_spec import BundleSpec

FOLDS = 5
PRIORS = ("training", "default", "uniform", "fer2013", VOTES_PRIOR)
WAYS = {"no bias": (False, False), "FER+ output": (True, False), "both outputs": (True, True)}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="write every number there")
    arguments = parser.parse_args()
    split = load_ferplus(arguments.data, "validation")
    shares = training_shares(load_ferplus(arguments.data, "train"))
    folds = np.random.default_rng(0).integers(0, FOLDS, len(split))
    found: dict[str, Any] = {}
    print("| bundle, bias | majority, training | argmax, training | majority, default | FER2013 |")
    print("|---|---:|---:|---:|---:|")
    for folder in arguments.bundles:
        bundle = load_bundle(folder)
        outputs = score_images(bundle, split.images)
        data = as_validation(
            split, {o.name: outputs[o.name] for o in bundle.spec.expression_outputs}
        )
        found[folder.name] = {"sha256": bundle.hash}
        for way, biased in WAYS.items():
            row = measure(bundle.spec, data, shares, folds, biased)
            found[folder.name][way] = row
            cells = (
                f"{100 * row[a]['accuracy']:.1f} / {100 * row[a]['recall']:.1f}"
                for a in ("majority, training", "argmax, training", "majority, default", "fer2013")
            )
            print(f"| {folder.name}, {way} | " + " | ".join(cells) + " |", flush=True)
        found[folder.name]["of ten drawn votes"] = floor_of_ten_votes(bundle.spec, data, shares)
    for name, of_bundle in found.items():
        for way in WAYS:
            row = of_bundle[way]
            print(
                f"{name}, {way}: ECE majority {row['ece training']:.3f} training, "
                f"{row['ece default']:.3f} default; KL {row['kl']:.3f} (before the mixture's "
                f"temperature, without single votes), {row['kl cast']:.3f} (as cast, votes)"
            )
        print(f"{name}, ten votes drawn from its predictions: {of_bundle['of ten drawn votes']}")
    if arguments.results is not None:
        save_results(arguments.results, "bias-of-default", found)
    return 0


def measure(
    spec: BundleSpec,
    data: Validation,
    shares: TrainingShares,
    folds: np.ndarray,
    biased: tuple[bool, bool],
) -> dict[str, Any]:
    """Return what a way of calibrating gives, each face predicted by what others were fitted to."""
    said = {prior: np.zeros((len(folds), len(EMOTIONS)), np.float32) for prior in PRIORS}
    plain = np.zeros((len(folds), len(EMOTIONS)), np.float32)
    for fold in range(FOLDS):
        rest, held = take(data, folds != fold), folds == fold
        biases = fit_biases(spec, rest, shares, biased)
        fitted, _ = calibrate(spec, add(rest, biases), shares)
        judged = add(take(data, held), biases)
        for prior in PRIORS:
            said[prior][held] = predict_under(fitted, judged, prior)
        plain[held] = predict_under(replace(fitted, temperatures={}), judged, "training")
    row: dict[str, Any] = {}
    for name, prior, truth in (
        ("majority, training", "training", data.majority),
        ("argmax, training", "training", data.argmax),
        ("majority, default", "default", data.majority),
        ("majority, uniform", "uniform", data.majority),
        ("fer2013", "fer2013", data.fer2013),
    ):
        known = truth >= 0
        top = said[prior][known].argmax(axis=1)
        row[name] = {
            "n": int(known.sum()),
            "accuracy": accuracy(truth[known], top),
            "recall": unweighted_average_recall(truth[known], top, len(EMOTIONS)),
        }
    known = data.majority >= 0
    for prior in ("training", "default"):
        row[f"ece {prior}"] = expected_calibration_error(data.majority[known], said[prior][known])
    voted = data.cast_shares.sum(axis=1) > 0
    row["kl"] = kl_divergence(data.vote_shares[voted], plain[voted])
    row["kl cast"] = kl_divergence(data.cast_shares[voted], said[VOTES_PRIOR][voted])
    return row


def fit_biases(
    spec: BundleSpec, data: Validation, shares: TrainingShares, biased: tuple[bool, bool]
) -> dict[str, np.ndarray]:
    """Return what is to be added to the logits of the outputs that get a bias."""
    biases = {}
    for output, (logits, truth), common, is_wanted in zip(
        spec.expression_outputs,
        logits_and_truths(spec, data),
        (shares.ferplus, shares.fer2013),
        biased,
        strict=True,
    ):
        if is_wanted:
            temperature, bias = fit_temperature_and_bias(logits, truth, np.log(common))
            biases[output.name] = (bias * temperature).astype(np.float32)
    return biases


def add(data: Validation, biases: dict[str, np.ndarray]) -> Validation:
    """Return the faces with biases added to their logits."""
    logits = {name: values + biases.get(name, 0) for name, values in data.logits.items()}
    return replace(data, logits=logits)


def take(data: Validation, rows: np.ndarray) -> Validation:
    """Return some of the faces."""
    return Validation(
        logits={name: values[rows] for name, values in data.logits.items()},
        **{
            name: getattr(data, name)[rows]
            for name in ("vote_shares", "cast_shares", "majority", "argmax", "fer2013")
        },
    )


def floor_of_ten_votes(
    spec: BundleSpec, data: Validation, shares: TrainingShares
) -> dict[str, float]:
    """Return the divergence of ten drawn votes from the shares that they are drawn from."""
    fitted, _ = calibrate(spec, data, shares)
    said = predict_under(fitted, data, VOTES_PRIOR).astype(np.float64)
    generator = np.random.default_rng(0)
    votes = np.stack([generator.multinomial(10, row / row.sum()) for row in said])
    return {
        "as cast": round(kl_divergence(votes / 10, said), 3),
        "without single votes": round(kl_divergence(vote_shares(votes), said), 3),
    }


if __name__ == "__main__":
    sys.exit(main())
