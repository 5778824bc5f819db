"""What each ingredient of the default recipe gives: short trainings that each leave one out.

    python benchmarks/ablation_of_default.py ../shared/data WORK_FOLDER --teachers RUN [RUN ...]

Every variant trains for the same number of epochs on 32 x 32 faces (the full recipe begins so too),
on nothing else than the training split, and is scored on validation: what is compared is the
ingredient, not the level, which a short schedule on small faces cannot reach. All learn from the
same teachers; without `--teachers` none has one. A variant that is finished in WORK_FOLDER is not
trained again. Prints Markdown; writes `ablation.json` there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

from emotrace.datasets.ferplus import argmax_labels, load_ferplus, vote_shares
from emotrace.labels import EMOTIONS
from emotrace.metrics import accuracy, kl_divergence, unweighted_average_recall
from emotrace.training.augmentation import augment
from emotrace.training.fit import LAST_CHECKPOINT, count_epochs, fit, load_averaged_network
from emotrace.training.recipe import AugmentationSettings, DefaultRecipe
from emotrace.training.teaching import load_teachers

SIZE_PX = 32
STRONG_AUGMENTATION = AugmentationSettings(jpeg_probability=0.2)
"""What the recipe did to faces before it was found to learn too little of them."""
PERTURBED = AugmentationSettings(
    scale=(0.8, 1.25), rotation_degrees=20, shift_fraction=0.1, flip_probability=0.0,
    side_light_probability=0.3, blur_probability=0.3, low_resolution_probability=0.3,
    noise_probability=0.0, erase_probability=0.0, gamma=(0.5, 2.0),
)  # fmt: skip
"""The issue's perturbations, drawn together: badly framed, tilted, blurred, badly lit faces."""


def variants(base: DefaultRecipe) -> dict[str, DefaultRecipe]:
    """Return the recipes that are compared: the whole one first."""

    def but(**changes: object) -> DefaultRecipe:
        return dataclasses.replace(base, **changes)

    def unmixed(settings: AugmentationSettings) -> AugmentationSettings:
        return dataclasses.replace(settings, mixup_probability=0.0)

    still = AugmentationSettings(
        scale=(1, 1), rotation_degrees=0, shift_fraction=0, shear_degrees=0, contrast=(1, 1),
        brightness=0, gamma=(1, 1), side_light_probability=0, blur_probability=0,
        low_resolution_probability=0, noise_probability=0, erase_probability=0,
        mixup_probability=0,
    )  # fmt: skip
    untaught = {"no teachers": but(teachers=0)} if base.teachers else {}
    narrower = dataclasses.replace(base.network, widths=(32, 64, 128, 256))
    return {
        "the whole recipe": base,
        **untaught,
        "a narrower network": but(network=narrower),
        "stronger changes to faces": but(
            augmentation=STRONG_AUGMENTATION, refine_augmentation=STRONG_AUGMENTATION
        ),
        "no balanced sampling": but(balance_power=0.0),
        "no second label set": but(fer2013_weight=0.0),
        "no mixup": but(augmentation=unmixed(base.augmentation)),
        "mirror only": but(augmentation=still, refine_augmentation=still),
    }


def score(recipe: DefaultRecipe, checkpoint: Path, data_root: Path) -> dict[str, float]:
    """Score averaged weights on validation, as it is and perturbed."""
    split = load_ferplus(data_root, "validation")
    prior = vote_shares(load_ferplus(data_root, "train").votes).sum(axis=0)
    log_prior = np.log(prior / prior.sum())
    network = load_averaged_network(recipe, checkpoint)
    images = torch.from_numpy(split.images)[:, None].float() / 255
    moved = augment(images, PERTURBED, torch.Generator().manual_seed(0))
    shares = vote_shares(split.votes)
    truth = argmax_labels(split.votes)
    known = truth >= 0
    classes = len(EMOTIONS)

    def probabilities(pictures: torch.Tensor, added: np.ndarray) -> np.ndarray:
        small = torch.nn.functional.interpolate(
            pictures, size=(SIZE_PX, SIZE_PX), mode="bilinear", antialias=True
        )
        with torch.inference_mode():
            logits = torch.cat([network(part).ferplus_logits for part in small.split(256)])
        return torch.softmax(logits + torch.from_numpy(added).float(), dim=1).numpy()

    natural = probabilities(images, log_prior)
    balanced = probabilities(images, 0 * log_prior)
    perturbed = probabilities(moved, log_prior)
    voted = shares.sum(axis=1) > 0
    return {
        "accuracy": accuracy(truth[known], natural[known].argmax(axis=1)),
        "recall": unweighted_average_recall(truth[known], balanced[known].argmax(axis=1), classes),
        "divergence": kl_divergence(shares[voted], natural[voted]),
        "accuracy_perturbed": accuracy(truth[known], perturbed[known].argmax(axis=1)),
    }


def main() -> None:
    """Train what is missing, score all, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--teachers", type=Path, nargs="*", default=[])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    teachers = load_teachers(arguments.teachers, arguments.data)
    whole = DefaultRecipe()
    base = dataclasses.replace(
        whole,
        network=dataclasses.replace(whole.network, input_size_px=SIZE_PX),
        epochs=arguments.epochs,
        refine_epochs=max(1, arguments.epochs // 4),
        polish_epochs=0,
        teachers=len(teachers),
        threads=arguments.threads,
    )
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in arguments.seeds:
        for name, recipe in variants(dataclasses.replace(base, seed=seed)).items():
            folder = arguments.work / f"{name.replace(' ', '-')}-{seed}"
            checkpoint = folder / "checkpoints" / LAST_CHECKPOINT
            if not checkpoint.exists() or count_epochs(checkpoint) < recipe.epochs:
                fit(
                    recipe,
                    arguments.data,
                    folder,
                    teachers=teachers if recipe.teachers else (),
                    resume=True,
                    show_progress=False,
                )
            rows.setdefault(name, []).append(score(recipe, checkpoint, arguments.data))
            print(name, seed, rows[name][-1], flush=True)
            (arguments.work / "ablation.json").write_text(json.dumps(rows, indent=1) + "\n")
    print("| left out | accuracy, training prior | average recall, uniform prior | KL to votes "
          "| accuracy, perturbed faces |\n|---|---|---|---|---|")  # fmt: skip
    for name, found in rows.items():
        mean = {key: np.mean([row[key] for row in found]) for key in found[0]}
        print(
            f"| {name} | {mean['accuracy']:.1%} | {mean['recall']:.1%} | {mean['divergence']:.3f} "
            f"| {mean['accuracy_perturbed']:.1%} |"
        )


if __name__ == "__main__":
    main()
