"""What each ingredient of the default recipe gives: short trainings that each leave one out.

    python benchmarks/ablation_of_default.py ../shared/data WORK_FOLDER --teachers RUN [RUN ...]

Every variant trains from scratch for the same number of epochs on 32 x 32 faces (the full recipe
begins so too), on nothing else than the training split, and is scored on validation: what is
compared is the ingredient, not the level, which a short schedule on small faces cannot reach.
Teachers are added in a variant of their own instead of being left out of all the others: they have
learned with every ingredient, and would hand on what a variant is to do without.

Differences are to the whole recipe of the same seed, on the same faces, with 95 % intervals from a
bootstrap over faces. They do not hold what another seed would change: the row "another seed" says
how much that is. A variant that is finished in WORK_FOLDER is not trained again. Prints Markdown;
writes `results/DATE-ablation-of-default.json` beside this script.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch

from bench_machine import save_results
from emotrace.datasets.ferplus import (
    FILE_NAME,
    argmax_labels,
    find_ferplus,
    load_ferplus,
    vote_shares,
)
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS, FERPLUS_VOTE_COLUMNS
from emotrace.metrics import accuracy, kl_divergence, unweighted_average_recall
from emotrace.metrics.bootstrap import paired_bootstrap
from emotrace.training.augmentation import augment
from emotrace.training.fit import LAST_CHECKPOINT, count_epochs, fit, load_averaged_network
from emotrace.training.recipe import NO_AUGMENTATION, AugmentationSettings, DefaultRecipe
from emotrace.training.recipe_record import read_run, recipe_from_record
from emotrace.training.teaching import load_teachers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from emotrace.datasets.ferplus import FerPlusSplit
    from emotrace.training.teaching import Teacher

SIZE_PX = 32
WHOLE = "the whole recipe, without teachers"
STRONG_AUGMENTATION = AugmentationSettings(jpeg_probability=0.2)
"""What the recipe did to faces before it was found to learn too little of them."""
PERTURBED = AugmentationSettings(
    scale=(0.8, 1.25), rotation_degrees=20, shift_fraction=0.1, flip_probability=0.0,
    side_light_probability=0.3, blur_probability=0.3, low_resolution_probability=0.3,
    noise_probability=0.0, erase_probability=0.0, gamma=(0.5, 2.0),
)  # fmt: skip
"""The perturbations of the robustness table, drawn together."""


class Variant(NamedTuple):
    """One training that is compared."""

    recipe: DefaultRecipe
    data: Path
    teachers: Sequence[Teacher] = ()


def variants(
    base: DefaultRecipe, data: Path, one_label: Path, teachers: Sequence[Teacher]
) -> dict[str, Variant]:
    """Return what is compared: the whole recipe first."""

    def but(**changes: Any) -> Variant:
        return Variant(dataclasses.replace(base, **changes), data)

    unmixed = dataclasses.replace(base.augmentation, mixup_probability=0.0)
    mirrored = dataclasses.replace(NO_AUGMENTATION, flip_probability=0.5)
    narrower = dataclasses.replace(base.network, widths=(32, 64, 128, 256))
    standardised = dataclasses.replace(base.network, standardised=True)
    taught = dataclasses.replace(base, teachers=len(teachers))
    return {
        WHOLE: but(),
        "another seed": but(seed=base.seed + 1),
        **({"with teachers": Variant(taught, data, teachers)} if teachers else {}),
        "mirror images only, no other change": but(
            augmentation=mirrored, refine_augmentation=mirrored
        ),
        "stronger changes, to the end": but(
            augmentation=STRONG_AUGMENTATION, refine_augmentation=STRONG_AUGMENTATION
        ),
        "one label in place of ten votes": Variant(base, one_label),
        "no second label set (FER2013's)": but(fer2013_weight=0.0),
        "no balanced sampling": but(balance_power=0.0),
        "no mixup": but(augmentation=unmixed),
        "third stage of 128 channels, not 160": but(network=narrower),
        "each face standardised": but(network=standardised),
        "each face standardised, another seed": but(network=standardised, seed=base.seed + 1),
    }


def write_one_label(data: Path, folder: Path) -> Path:
    """Write the set anew with all ten votes of a face given to its most chosen emotion."""
    path = folder / FILE_NAME
    if path.exists():
        return folder
    table = pq.read_table(find_ferplus(data))
    names = [f"votes_{theirs}" for theirs in FERPLUS_VOTE_COLUMNS]
    others = [name for name in table.column_names if name.startswith("votes_")]
    votes = np.stack([table[name].to_numpy() for name in names], axis=1)
    top = votes.argmax(axis=1)
    for name in others:
        chosen = (top == names.index(name)) * 10 if name in names else np.zeros(len(table))
        position = table.column_names.index(name)
        column = chosen.astype(table[name].to_numpy().dtype)
        table = table.set_column(position, name, [column])
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return folder


class Answers(NamedTuple):
    """What a network says of the validation faces."""

    natural: NDArray[np.float32]
    """`(n, 8)`: probabilities under the training prior."""
    balanced: NDArray[np.int64]
    """`(n,)`: the label under the uniform prior."""
    perturbed: NDArray[np.int64]
    """`(n,)`: the label of the same faces, changed, under the training prior."""
    as_fer2013: NDArray[np.int64]
    """`(n,)`: of `FER2013_EMOTIONS`, both outputs half and half, uniform prior; of a network that
    never learned FER2013's labels the FER+ output alone."""


def log_training_prior(data: Path) -> torch.Tensor:
    """Return `(8,)`: the log share of each expression among the training votes."""
    prior = vote_shares(load_ferplus(data, "train").votes).sum(axis=0)
    return torch.from_numpy(np.log(prior / prior.sum())).float()


def ask_network(
    network: torch.nn.Module, pictures: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of the FER+ output, `(n, 8)`, and of the FER2013 one, `(n, 7)`."""
    with torch.inference_mode():
        found = [network(part) for part in pictures.split(256)]
    return (
        torch.cat([part.ferplus_logits for part in found]),
        torch.cat([part.fer2013_logits for part in found]),
    )


def ask(
    recipe: DefaultRecipe, checkpoint: Path, split: FerPlusSplit, log_prior: torch.Tensor
) -> Answers:
    """Ask averaged weights for the validation faces, as they are and perturbed."""
    network = load_averaged_network(recipe, checkpoint)
    images = torch.from_numpy(split.images)[:, None].float() / 255
    moved = augment(images, PERTURBED, torch.Generator().manual_seed(0))

    def logits(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        small = torch.nn.functional.interpolate(
            pictures, size=(SIZE_PX, SIZE_PX), mode="bilinear", antialias=True
        )
        return ask_network(network, small)

    plain, second = logits(images)
    at = [EMOTIONS.index(name) for name in FER2013_EMOTIONS]
    seven = torch.softmax(plain[:, at], dim=1)
    if recipe.fer2013_weight:
        seven = seven + torch.softmax(second, dim=1)
    return Answers(
        torch.softmax(plain + log_prior, dim=1).numpy(),
        plain.argmax(dim=1).numpy(),
        (logits(moved)[0] + log_prior).argmax(dim=1).numpy(),
        seven.argmax(dim=1).numpy(),
    )


def measures(
    answers: Answers, split: FerPlusSplit
) -> dict[str, Callable[[NDArray[np.int64]], float]]:
    """Return each measure as a function of the rows it is taken over."""
    truth, shares = argmax_labels(split.votes), vote_shares(split.votes)
    theirs = split.fer2013_labels
    natural = answers.natural.argmax(axis=1)
    return {
        "accuracy": lambda rows: accuracy(truth[rows], natural[rows]),
        "recall": lambda rows: unweighted_average_recall(
            truth[rows], answers.balanced[rows], len(EMOTIONS)
        ),
        "divergence": lambda rows: kl_divergence(shares[rows], answers.natural[rows]),
        "accuracy_perturbed": lambda rows: accuracy(truth[rows], answers.perturbed[rows]),
        "recall_fer2013": lambda rows: unweighted_average_recall(
            theirs[rows][theirs[rows] >= 0],
            answers.as_fer2013[rows][theirs[rows] >= 0],
            len(FER2013_EMOTIONS),
        ),
    }


def check_run(folder: Path, variant: Variant) -> None:
    """Refuse a run in the work folder that is of another recipe or had other teachers."""
    record = read_run(folder)
    taught = [teacher["checkpoint_sha256"] for teacher in record["teachers"]]
    wanted = [teacher.facts["checkpoint_sha256"] for teacher in variant.teachers]
    if recipe_from_record(record["recipe"]) != variant.recipe or taught != wanted:
        raise SystemExit(f"error: expected a run of this recipe in {folder}; remove it")


def main() -> None:
    """Train what is missing, score all, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--teachers", type=Path, nargs="*", default=[])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    data, work = arguments.data, arguments.work
    whole = DefaultRecipe()
    base = dataclasses.replace(
        whole,
        network=dataclasses.replace(whole.network, input_size_px=SIZE_PX),
        epochs=arguments.epochs,
        refine_epochs=max(1, arguments.epochs // 4),
        teachers=0,
        seed=arguments.seed,
        threads=arguments.threads,
    )
    compared = variants(
        base,
        data,
        write_one_label(data, work / "one-label"),
        load_teachers(arguments.teachers, data),
    )
    split, log_prior = load_ferplus(data, "validation"), log_training_prior(data)
    rows = np.flatnonzero(split.votes[:, : len(EMOTIONS)].sum(axis=1) > 0)
    measured: dict[str, dict[str, Callable[[NDArray[np.int64]], float]]] = {}
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, variant in compared.items():
        recipe = variant.recipe
        named = "".join(letter if letter.isalnum() else "-" for letter in name)
        folder = work / f"{named}-{recipe.epochs}-epochs-seed-{recipe.seed}"
        checkpoint = folder / "checkpoints" / LAST_CHECKPOINT
        if checkpoint.exists():
            check_run(folder, variant)
        if not checkpoint.exists() or count_epochs(checkpoint) < recipe.epochs_total:
            fit(
                recipe,
                variant.data,
                folder,
                teachers=variant.teachers,
                resume=True,
                show_progress=False,
            )
        measured[name] = measures(ask(recipe, checkpoint, split, log_prior), split)
        results[name] = {}
        for key, measure in measured[name].items():
            reference = measured[WHOLE][key]
            found = paired_bootstrap(
                lambda drawn, one=measure: one(rows[drawn]),
                lambda drawn, one=reference: one(rows[drawn]),
                np.arange(len(rows)),
            )
            results[name][key] = {
                "value": found.first,
                "difference": found.difference,
                "low": found.low,
                "high": found.high,
            }
        print(name, results[name], flush=True)
    save_results(
        Path(__file__).parent / "results",
        "ablation-of-default",
        {
            "epochs": arguments.epochs,
            "size_px": SIZE_PX,
            "faces": len(rows),
            "teachers": [run.name for run in arguments.teachers],
            "results": results,
        },
    )
    print(
        "\n| | accuracy, training prior | average recall, uniform prior | KL to the votes "
        "| accuracy, perturbed faces | average recall, FER2013's labels |"
        "\n|---|---:|---:|---:|---:|---:|"
    )
    for name, cells in results.items():
        print(f"| {name} | " + " | ".join(_cell(key, value) for key, value in cells.items()) + " |")


def _cell(key: str, found: dict[str, float]) -> str:
    """Word a value with its difference from the whole recipe."""
    scale, places = (1, 3) if key == "divergence" else (100, 1)
    value, *differences = (found[part] * scale for part in ("value", "difference", "low", "high"))
    if not any(differences):
        return f"{value:.{places}f}"
    change, low, high = differences
    return f"{value:.{places}f} ({change:+.{places}f}; {low:+.{places}f} to {high:+.{places}f})"


if __name__ == "__main__":
    main()
