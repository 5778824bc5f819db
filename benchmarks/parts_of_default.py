"""What the parts of a finished default run give on validation, without training anything again.

    python benchmarks/parts_of_default.py ../shared/data RUN_FOLDER

Scores the averaged weights and the last ones, each label set's output and their mixture, and a
picture together with its mirror image: accuracy under the training prior, average recall under the
prior that the installed default bundle has as `default`. Prints Markdown.
`ablation_of_default.py` trains without an ingredient; this takes a trained run apart.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from emotrace import load_bundle
from emotrace.datasets.ferplus import load_ferplus, majority_labels, vote_shares
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS
from emotrace.metrics import accuracy, unweighted_average_recall
from emotrace.models.compact import CompactNet
from emotrace.training.fit import LAST_CHECKPOINT
from emotrace.training.recipe_record import recipe_from_record

Logits = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Score the parts and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    recipe = recipe_from_record(json.loads((arguments.run / "run.json").read_text())["recipe"])
    state = torch.load(
        arguments.run / "checkpoints" / LAST_CHECKPOINT, map_location="cpu", weights_only=True
    )["state_dict"]
    split = load_ferplus(arguments.data, "validation")
    shares = vote_shares(load_ferplus(arguments.data, "train").votes).sum(axis=0)
    natural_prior = np.log(shares / shares.sum())
    default_prior = np.log(load_bundle("default").spec.priors["default"])
    truth = majority_labels(split.votes)
    images = torch.from_numpy(split.images)[:, None].float() / 255
    at = [EMOTIONS.index(name) for name in FER2013_EMOTIONS]

    def logits(prefix: str, pictures: torch.Tensor) -> Logits:
        network = CompactNet(recipe.network)
        network.load_state_dict(
            {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        )
        with torch.inference_mode():
            found = [network.eval()(part) for part in pictures.split(256)]
        return (
            torch.cat([part.ferplus_logits for part in found]).numpy(),
            torch.cat([part.fer2013_logits for part in found]).numpy(),
        )

    def softmax(values: np.ndarray) -> np.ndarray:
        raised = np.exp(values - values.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    def mix(found: Logits, log_prior: np.ndarray, share: float) -> np.ndarray:
        first = softmax(found[0] + log_prior)
        second = np.zeros_like(first)
        second[:, at] = softmax(found[1] + log_prior[at]) * first[:, at].sum(axis=1, keepdims=True)
        second[:, EMOTIONS.index("contempt")] = first[:, EMOTIONS.index("contempt")]
        return share * first + (1 - share) * second

    averaged = logits("averaged.module.", images)
    mirrored = logits("averaged.module.", images.flip(-1))
    last = logits("network.", images)
    rows = {
        "FER+ output, averaged weights": lambda prior: mix(averaged, prior, 1.0),
        "FER+ output, last weights": lambda prior: mix(last, prior, 1.0),
        "FER2013 output, averaged weights": lambda prior: mix(averaged, prior, 0.0),
        "both outputs, half and half": lambda prior: mix(averaged, prior, 0.5),
        "both, with the mirror image": lambda prior: (
            mix(averaged, prior, 0.5) + mix(mirrored, prior, 0.5)
        ),
    }
    known = truth >= 0
    print(f"FER+ validation, majority protocol, n = {known.sum():,}\n")
    print("| part | accuracy, training prior | average recall, default prior |")
    print("|---|---|---|")
    for name, probabilities in rows.items():
        natural = probabilities(natural_prior)[known].argmax(axis=1)
        tempered = probabilities(default_prior)[known].argmax(axis=1)
        recall = unweighted_average_recall(truth[known], tempered, len(EMOTIONS))
        print(f"| {name} | {accuracy(truth[known], natural):.1%} | {recall:.1%} |")


if __name__ == "__main__":
    main()
