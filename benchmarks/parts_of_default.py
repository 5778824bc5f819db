"""What the parts of a finished default run give on validation, without training anything again.

    python benchmarks/parts_of_default.py ../shared/data RUN_FOLDER

Scores the averaged weights and the last ones, each label set's output and their mixture, and a
picture together with its mirror image: accuracy under the training prior, average recall under the
default one. Temperatures and the default prior are fitted for the averaged and for the
last weights as an export does it, on these very faces. Prints Markdown. `ablation_of_default.py`
trains without an ingredient; this takes a trained run apart.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ablation_of_default import ask_network
from emotrace import load_bundle
from emotrace.datasets.ferplus import load_ferplus
from emotrace.labels import EMOTIONS
from emotrace.metrics import accuracy, unweighted_average_recall
from emotrace.models.compact import CompactNet
from emotrace.training.calibration import calibrate, predict_under, with_weights
from emotrace.training.default_onnx import FER2013_OUTPUT, FERPLUS_OUTPUT
from emotrace.training.export import as_validation, training_shares
from emotrace.training.fit import LAST_CHECKPOINT
from emotrace.training.recipe_record import recipe_from_record

if TYPE_CHECKING:
    from emotrace.bundle_spec import BundleSpec

Logits = dict[str, np.ndarray]


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
    shares = training_shares(load_ferplus(arguments.data, "train"))
    images = torch.from_numpy(split.images)[:, None].float() / 255

    def logits(prefix: str, pictures: torch.Tensor) -> Logits:
        network = CompactNet(recipe.network)
        network.load_state_dict(
            {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        )
        first, second = ask_network(network.eval(), pictures)
        return {FERPLUS_OUTPUT: first.numpy(), FER2013_OUTPUT: second.numpy()}

    uncalibrated = load_bundle("default").spec

    def fitted(found: Logits) -> BundleSpec:
        return calibrate(uncalibrated, as_validation(split, found), shares)[0]

    def say(spec: BundleSpec, found: Logits, prior: str, ferplus_share: float) -> np.ndarray:
        alone = with_weights(spec, {prior: ferplus_share})
        return predict_under(alone, as_validation(split, found), prior)

    averaged = logits("averaged.module.", images)
    mirrored = logits("averaged.module.", images.flip(-1))
    last = logits("network.", images)
    spec, spec_last = fitted(averaged), fitted(last)
    rows = {
        "FER+ output, averaged weights": lambda prior: say(spec, averaged, prior, 1.0),
        "FER+ output, last weights": lambda prior: say(spec_last, last, prior, 1.0),
        "FER2013 output, averaged weights": lambda prior: say(spec, averaged, prior, 0.0),
        "both outputs, half and half": lambda prior: say(spec, averaged, prior, 0.5),
        "both, with the mirror image": lambda prior: (
            say(spec, averaged, prior, 0.5) + say(spec, mirrored, prior, 0.5)
        ),
    }
    truth = as_validation(split, averaged).majority
    known = truth >= 0
    print(f"FER+ validation, majority protocol, n = {known.sum():,}\n")
    print("| part | accuracy, training prior | average recall, default prior |")
    print("|---|---|---|")
    for name, probabilities in rows.items():
        natural = probabilities("training")[known].argmax(axis=1)
        tempered = probabilities("default")[known].argmax(axis=1)
        recall = unweighted_average_recall(truth[known], tempered, len(EMOTIONS))
        print(f"| {name} | {accuracy(truth[known], natural):.1%} | {recall:.1%} |")


if __name__ == "__main__":
    main()
