"""Score a bundle on FER+ and FER2013, as it ships: through onnxruntime, with its spec.

Imports no torch: whoever has the data can check a bundle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.bundle import CropPredictions, load_bundle
from emotrace.bundle_outputs import VOTES_PRIOR
from emotrace.datasets.ferplus import (
    FerPlusSplit,
    SplitName,
    argmax_labels,
    cast_shares,
    duplicate_mask,
    load_ferplus,
    majority_labels,
    vote_shares,
)
from emotrace.errors import BundleError
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS
from emotrace.metrics import (
    accuracy,
    bootstrap_interval,
    confusion_matrix,
    expected_calibration_error,
    kl_divergence,
    macro_f1,
    recall_per_class,
    unweighted_average_recall,
)
from emotrace.training.calibration import FER2013_PRIOR
from emotrace.training.measures import KL_TO_CAST_VOTES, KL_WITHOUT_SINGLE_VOTES
from emotrace.training.reliability import coverage_curve, keep_above, reliability_bins
from emotrace.training.robustness import measure_robustness
from emotrace.training.scoring import score_images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.bundle import Bundle

    Outputs = Mapping[str, NDArray[np.float32]]

PRIORS: Final = ("training", "default", "uniform")
"""Every bundle has these; those of the votes and of FER2013's labels are scored where there are."""


def predict_split(bundle: Bundle, split: FerPlusSplit) -> CropPredictions:
    """Predict every face of a split; its 48 x 48 pictures are crops already."""
    return bundle.interpret(score_images(bundle, split.images))


def evaluate_ferplus(
    name_or_path: str | Path,
    data_root: str | Path,
    *,
    split: SplitName = "test",
    robustness: bool = False,
    advance: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Score a bundle under each of its priors and under both FER+ protocols and FER2013's labels.

    Args:
        name_or_path: See `load_bundle`.
        data_root: The folder with `ferplus.parquet`, or the file.
        split: Which part to score.
        robustness: Also score faces that are framed, lit or compressed badly (15 times the work).
        advance: Called as often as `robustness` has conditions, and once more; for progress.

    Returns:
        JSON-ready, and the same each time. Under `priors`, for each prior and protocol: n;
        accuracy, unweighted average recall and macro F1 with their 95 % bootstrap intervals over
        images; recall per class, calibration error, all again `without_duplicates` (images that are
        identical to a training image), the confusion matrix; and the divergence from the votes
        (single ones dropped as noise; as they were cast; and before the mixture's temperature).
        `with_flips`: the same in short for the mean of each picture and its mirror image, which
        `analyze` does not compute. `uncertain`: what the bundle's threshold keeps. `not_face`: how
        many faces it would reject. `robustness`: see `measure_robustness`. `curves`: reliability
        and coverage, for pictures.

    Raises:
        BundleError: There is no such bundle, or it predicts other expressions.
        DatasetError: The data is not there.
    """
    bundles = _load_under_each_prior(name_or_path)
    default = bundles["default"]
    data = load_ferplus(data_root, split)
    truth = Truth(data, load_ferplus(data_root, "train"))
    outputs = score_images(default, data.images)
    results: dict[str, Any] = {
        "data": "FER+ and FER2013",
        "split": split,
        "bundle": {"name": default.name, "sha256": default.hash},
        "cost": dict(default.spec.results.get("cost", {})),
        "uncertain": _score_uncertain(default, truth, outputs),
        "not_face": _score_rejection(default, outputs),
        **_score_priors(bundles, truth, outputs, score_images(default, data.images[:, :, ::-1])),
    }
    if robustness:
        labels = truth.ferplus["majority"]
        known = labels >= 0
        results["robustness"] = measure_robustness(
            bundles["training"], default, data.images[known], labels[known], advance=advance
        )
    return results


class Truth:
    """What is known of the faces of a split, and predictions scored against it."""

    def __init__(self, data: FerPlusSplit, train: FerPlusSplit) -> None:
        self.is_new = ~duplicate_mask(data, train)
        self.shares = vote_shares(data.votes)
        self.cast_shares = cast_shares(data.votes)
        at = np.array([EMOTIONS.index(name) for name in FER2013_EMOTIONS])
        self.fer2013 = np.where(data.fer2013_labels >= 0, at[data.fer2013_labels], -1)
        self.ferplus = {
            "majority": majority_labels(data.votes),
            "argmax": argmax_labels(data.votes),
        }

    def score(self, probabilities: NDArray[np.float32], temperature: float) -> dict[str, Any]:
        """Return everything that is reported of `(n, 8)` probabilities.

        Args:
            probabilities: As the bundle predicts them.
            temperature: Of the mixture, which they have been through.
        """
        # What is left when the temperature is taken back: it was fitted to the votes.
        softened = probabilities.astype(np.float64) ** temperature
        softened /= softened.sum(axis=1, keepdims=True)
        seven = _without_contempt(probabilities)
        return {
            **{name: _score(of, probabilities, self.is_new) for name, of in self.ferplus.items()},
            "fer2013": _score(self.fer2013, seven, self.is_new),
            **self._divergence(probabilities),
            "kl_divergence_to_votes_before_temperature": self._mean_divergence(softened),
        }

    def score_briefly(self, probabilities: NDArray[np.float32]) -> dict[str, Any]:
        """Return accuracy, average recall and calibration only."""
        seven = _without_contempt(probabilities)
        wanted = ("n", "accuracy", "unweighted_average_recall", "macro_f1", "calibration_error")
        scored = {
            **{name: (labels, probabilities) for name, labels in self.ferplus.items()},
            "fer2013": (self.fer2013, seven),
        }
        brief = {}
        for name, (labels, values) in scored.items():
            measures = _measures(labels[labels >= 0], values[labels >= 0])
            brief[name] = {measure: measures[measure] for measure in wanted}
        return {**brief, "kl_divergence_to_votes": self._mean_divergence(probabilities)}

    def _divergence(self, probabilities: NDArray[np.float32]) -> dict[str, Any]:
        """Return the divergence from the votes, without single ones and as they were cast."""
        known = self.cast_shares.sum(axis=1) > 0  # the same faces with and without single votes
        found, new = probabilities[known], self.is_new[known]
        return {
            "kl_divergence_n": int(known.sum()),
            **_divergence_from(self.shares[known], found, new, KL_WITHOUT_SINGLE_VOTES),
            **_divergence_from(self.cast_shares[known], found, new, KL_TO_CAST_VOTES),
        }

    def _mean_divergence(self, probabilities: NDArray[np.floating]) -> float:
        """Return the divergence from the votes, single ones dropped as noise."""
        known = self.shares.sum(axis=1) > 0
        return round(kl_divergence(self.shares[known], probabilities[known]), 4)


def _divergence_from(
    shares: NDArray[np.float32],
    found: NDArray[np.float32],
    is_new: NDArray[np.bool_],
    name: str,
) -> dict[str, Any]:
    interval = bootstrap_interval(
        lambda drawn: kl_divergence(shares[drawn], found[drawn]), len(shares)
    )
    return {
        name: round(kl_divergence(shares, found), 4),
        f"{name}_interval_95": [round(value, 4) for value in interval],
        f"{name}_without_duplicates": round(kl_divergence(shares[is_new], found[is_new]), 4),
    }


def _load_under_each_prior(name_or_path: str | Path) -> dict[str, Bundle]:
    bundles = {prior: load_bundle(name_or_path, prior=prior) for prior in PRIORS}
    default = bundles["default"]
    if default.labels != EMOTIONS:
        raise BundleError(
            f"expected a bundle that predicts {', '.join(EMOTIONS)}; "
            f"{default.name} predicts {', '.join(default.labels) or 'no expressions'}"
        )
    if default.spec.temporal != "none":
        raise BundleError(
            f"expected a bundle that predicts single pictures; {default.name} remembers "
            f"({default.spec.temporal}), and FER+ has no videos"
        )
    for prior in (VOTES_PRIOR, FER2013_PRIOR):
        if prior in default.spec.priors:
            bundles[prior] = load_bundle(name_or_path, prior=prior)
    return bundles


def _score_priors(
    bundles: Mapping[str, Bundle], truth: Truth, outputs: Outputs, mirrored: Outputs
) -> dict[str, Any]:
    """Score one run of the model, and one on mirror images, under each prior."""
    priors, with_flips, curves = {}, {}, {}
    for prior, bundle in bundles.items():
        found = bundle.interpret(outputs).probabilities
        both = (found + bundle.interpret(mirrored).probabilities) / np.float32(2)
        priors[prior] = truth.score(found, bundle.spec.temperature_under(prior))
        with_flips[prior] = truth.score_briefly(both)
        curves[prior] = {
            name: {
                "reliability": reliability_bins(labels[labels >= 0], found[labels >= 0]),
                "coverage": coverage_curve(labels[labels >= 0], found[labels >= 0]),
            }
            for name, labels in truth.ferplus.items()
        }
    return {"priors": priors, "with_flips": with_flips, "curves": curves}


def _score_uncertain(bundle: Bundle, truth: Truth, outputs: Outputs) -> dict[str, Any] | None:
    """Say what the bundle's threshold keeps under the default prior; None where it has none."""
    threshold = bundle.spec.uncertain_threshold
    if threshold is None:
        return None
    probabilities = bundle.interpret(outputs).probabilities
    kept = probabilities.max(axis=1) >= threshold
    argmax = truth.ferplus["argmax"]
    return {
        **{
            name: keep_above(labels[labels >= 0], probabilities[labels >= 0], threshold)
            for name, labels in truth.ferplus.items()
        },
        # A threshold that drops the rare expressions whole would look good in the mean.
        "kept_by_expression": {
            name: round(float(kept[argmax == at].mean()), 4)
            for at, name in enumerate(EMOTIONS)
            if (argmax == at).any()
        },
    }


def _score_rejection(bundle: Bundle, outputs: Outputs) -> dict[str, Any] | None:
    threshold = bundle.spec.face_threshold
    faces = bundle.interpret(outputs).face_probabilities
    if threshold is None or faces is None:
        return None
    return {
        "threshold": threshold,
        "n": len(faces),
        "faces_rejected": round(float((faces < threshold).mean()), 4),
    }


def _without_contempt(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """FER2013 has no contempt: what went to it is given to the others in proportion."""
    kept = probabilities.copy()
    kept[:, EMOTIONS.index("contempt")] = 0
    scaled: NDArray[np.float32] = kept / kept.sum(axis=1, keepdims=True)
    return scaled


def _score(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], is_new: NDArray[np.bool_]
) -> dict[str, Any]:
    known = labels >= 0
    truth, top = labels[known], probabilities[known].argmax(axis=1)
    matrix = confusion_matrix(truth, top, len(EMOTIONS))
    kept = known & is_new
    return {
        **_measures_with_intervals(truth, probabilities[known]),
        "confusion_matrix": {
            name: dict(zip(EMOTIONS, row, strict=True))
            for name, row in zip(EMOTIONS, matrix.tolist(), strict=True)
            if sum(row)
        },
        "without_duplicates": _measures_with_intervals(labels[kept], probabilities[kept]),
    }


def _measures_with_intervals(
    truth: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> dict[str, Any]:
    top, classes = probabilities.argmax(axis=1), len(EMOTIONS)
    hits = truth == top

    def interval(measure: Callable[[NDArray[np.int64]], float]) -> list[float]:
        return [round(value, 4) for value in bootstrap_interval(measure, len(truth))]

    return {
        **_measures(truth, probabilities),
        "accuracy_interval_95": interval(lambda drawn: float(hits[drawn].mean())),
        "unweighted_average_recall_interval_95": interval(
            lambda drawn: unweighted_average_recall(truth[drawn], top[drawn], classes)
        ),
        # None of the calibration error: drawn again, it grows by the noise of its bins.
        "macro_f1_interval_95": interval(lambda drawn: macro_f1(truth[drawn], top[drawn], classes)),
    }


def _measures(truth: NDArray[np.int64], probabilities: NDArray[np.float32]) -> dict[str, Any]:
    top, classes = probabilities.argmax(axis=1), len(EMOTIONS)
    recalls = recall_per_class(truth, top, classes)
    return {
        "n": len(truth),
        "accuracy": round(accuracy(truth, top), 4),
        "unweighted_average_recall": round(unweighted_average_recall(truth, top, classes), 4),
        "macro_f1": round(macro_f1(truth, top, classes), 4),
        "calibration_error": round(expected_calibration_error(truth, probabilities), 4),
        "recall": {
            name: round(float(value), 4)
            for name, value in zip(EMOTIONS, recalls, strict=True)
            if np.isfinite(value)
        },
    }
