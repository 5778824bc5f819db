"""Score a bundle on FER+ and FER2013, as it ships: through onnxruntime, with its spec.

Imports no torch: whoever has the data can check a bundle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emotrace.bundle import CropPredictions, load_bundle
from emotrace.datasets.ferplus import (
    FerPlusSplit,
    SplitName,
    argmax_labels,
    duplicate_mask,
    load_ferplus,
    majority_labels,
    vote_shares,
)
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

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.bundle import Bundle

_BATCH: Final = 256
PRIORS: Final = ("training", "default", "uniform")


def predict_split(bundle: Bundle, split: FerPlusSplit) -> CropPredictions:
    """Predict every face of a split; its 48 x 48 pictures are crops already."""
    parts = []
    for start in range(0, len(split), _BATCH):
        grey = split.images[start : start + _BATCH]
        parts.append(bundle.predict([np.repeat(image[..., None], 3, axis=2) for image in grey]))
    faces = [p.face_probabilities for p in parts if p.face_probabilities is not None]
    return CropPredictions(
        probabilities=np.concatenate([p.probabilities for p in parts]),
        face_probabilities=np.concatenate(faces) if faces else None,
        valence_arousal=None,
    )


def evaluate_ferplus(
    name_or_path: str | Path, data_root: str | Path, *, split: SplitName = "test"
) -> dict[str, Any]:
    """Score a bundle under each of its priors and under both FER+ protocols and FER2013's labels.

    Returns:
        JSON-ready: for each prior, for each protocol, n, accuracy with its 95 % bootstrap interval
        over images, unweighted average recall, macro F1, recall per class, calibration error, all
        again without the images that are identical to a training image, and the confusion matrix;
        and the divergence from the votes.

    Raises:
        BundleError: There is no such bundle.
        DatasetError: The data is not there.
    """
    data = load_ferplus(data_root, split)
    is_new = ~duplicate_mask(data, load_ferplus(data_root, "train"))
    shares = vote_shares(data.votes)
    fer2013 = np.array([EMOTIONS.index(name) for name in FER2013_EMOTIONS])
    labels_2013 = np.where(data.fer2013_labels >= 0, fer2013[data.fer2013_labels], -1)
    results: dict[str, Any] = {"data": "FER+ and FER2013", "split": split, "priors": {}}
    for prior in PRIORS:
        bundle = load_bundle(name_or_path, prior=prior)
        probabilities = predict_split(bundle, data).probabilities
        seven = _without_contempt(probabilities)
        known = shares.sum(axis=1) > 0
        results["priors"][prior] = {
            "majority": _score(majority_labels(data.votes), probabilities, is_new),
            "argmax": _score(argmax_labels(data.votes), probabilities, is_new),
            "fer2013": _score(labels_2013, seven, is_new),
            "kl_divergence_to_votes": round(kl_divergence(shares[known], probabilities[known]), 4),
        }
    return results


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
    scores = _measures(labels[known], probabilities[known])
    truth, top = labels[known], probabilities[known].argmax(axis=1)
    hits = truth == top
    low, high = bootstrap_interval(lambda drawn: float(hits[drawn].mean()), len(truth))
    matrix = confusion_matrix(truth, top, len(EMOTIONS))
    kept = known & is_new
    return {
        **scores,
        "accuracy_interval_95": [round(low, 4), round(high, 4)],
        "confusion_matrix": {
            name: dict(zip(EMOTIONS, row, strict=True))
            for name, row in zip(EMOTIONS, matrix.tolist(), strict=True)
            if sum(row)
        },
        "without_duplicates": _measures(labels[kept], probabilities[kept]),
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
