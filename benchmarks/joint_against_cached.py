"""Measure what training the recurrent part on cached features saves against training jointly.

    python benchmarks/joint_against_cached.py
    python benchmarks/joint_against_cached.py --pair rangulov2020 --clips 12 --steps 25

Both ways in one run, through `fit_zoo`, on the same crops, windows and batches: a network over
pictures (extractor and recurrent part together, all weights trained), and the same recurrent part
on vectors that the extractor made once. Training takes as long as it takes whatever the pictures
show, so the crops are noise.

An epoch's time is that of a run of `1 + EPOCHS` epochs less that of a run of one epoch, over
EPOCHS: starting (imports, building, opening data) drops out. Time is that of this process on its
threads (`time.process_time`), so that other work on the machine counts only by its effect on caches
and clocks. On an accelerator take wall time (`--wall`).

`ratio_per_epoch`: joint over cached. `ratio_of_run` has the extraction in it, for as many epochs as
`--run-epochs`. A table goes to stdout; `--save FOLDER` keeps all numbers in a file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from emotrace.training.zoo.recipe import ZooRecipe


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An extractor, a network that has it inside, and the same recurrent part on vectors."""

    extractor: str
    joint: str
    cached: str
    size_px: int
    joint_options: dict[str, Any]
    cached_options: dict[str, Any]


PAIRS = {
    "rangulov2020": Pair(
        extractor="rangulov2020-cnn",
        joint="rangulov2020-cnn-gru3",
        cached="rangulov2020-gru3",
        size_px=96,
        joint_options={},
        cached_options={},
    ),
    "compact": Pair(
        extractor="compact",
        joint="compact-gru",
        cached="vectors-gru",
        size_px=48,
        joint_options={"heads": ("valence_arousal",)},
        cached_options={"heads": ("valence_arousal",)},
    ),
}


def write_cache(folder: Path, *, clips: int, frames: int, size_px: int) -> Path:
    """Prepare a crop cache of noise, every frame with valence and arousal."""
    from emotrace.datasets.cropping import CropSettings
    from emotrace.datasets.prepare import PrepareSettings, prepare_dataset
    from emotrace.datasets.records import ClipRecord, make_frame_labels
    from emotrace.faces import CropGeometry

    rng = np.random.default_rng(0)
    records = []
    for number in range(clips):
        paths = []
        for frame in range(frames):
            path = folder / f"{number:03d}-{frame:04d}.png"
            noise = rng.integers(0, 256, (size_px, size_px), np.uint8)
            cv2.imwrite(str(path), noise, [cv2.IMWRITE_PNG_COMPRESSION, 1])
            paths.append(path)
        values = rng.normal(0, 0.3, (2, frames)).clip(-1, 1).astype(np.float32)
        records.append(
            ClipRecord(
                clip_id=f"clip{number:03d}",
                dataset="noise",
                media=tuple(paths),
                frame_rate=25.0,
                subject=f"s{number}",
                frame_labels=make_frame_labels(
                    np.arange(frames), frame_rate=25.0, valence=values[0], arousal=values[1]
                ),
            )
        )
    cropping = CropSettings(crop=CropGeometry(size_px=size_px), color="grey", detector="none")
    prepare_dataset(
        records, folder / "cache", settings=PrepareSettings(cropping=cropping, workers=1)
    )
    return folder / "cache"


def recipe_for(name: str, options: dict[str, Any], data: Path, arguments: Any) -> ZooRecipe:
    """Build the recipe of one of the two ways; all else is equal."""
    from emotrace.models.zoo import find_architecture
    from emotrace.training.stretches import ExampleWindows
    from emotrace.training.zoo.recipe import DataSettings, MachineSettings, OptimiserSettings
    from emotrace.training.zoo.recipe import ZooRecipe as Recipe

    return Recipe(
        architecture=name,
        options=find_architecture(name).options(**options),
        # All clips but one are learned from, and nothing is validated.
        data=DataSettings(data=data, protocol="leave-one-subject-out", validation_share=0.0),
        windows=ExampleWindows(steps=arguments.steps, stride=arguments.steps),
        optimiser=OptimiserSettings(schedule="constant", learning_rate=1e-4),
        machine=MachineSettings(accelerator=arguments.accelerator, threads=arguments.threads),
        batch_size=arguments.batch_size,
    )


def time_epoch(
    recipe: ZooRecipe, folder: Path, epochs: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Return the seconds of an epoch, and the frames that one learns from."""
    from emotrace.training.zoo.fit import fit_zoo

    taken = []
    for count in (1, 1 + epochs):
        start = clock()
        fit_zoo(replace(recipe, epochs=count), folder / f"{recipe.architecture}-{count}")
        taken.append(clock() - start)
    record = json.loads((folder / f"{recipe.architecture}-1" / "run.json").read_text())
    examples = record["data"]["examples"]["train"] // recipe.batch_size * recipe.batch_size
    seconds = (taken[1] - taken[0]) / epochs
    return {"seconds_per_epoch": seconds, "frames_per_epoch": examples * recipe.windows.steps}


def measure(arguments: Any, folder: Path) -> dict[str, Any]:
    """Run both ways and return their times and ratios."""
    import torch

    from emotrace.models.zoo import find_architecture
    from emotrace.training.extractors import NetworkExtractor
    from emotrace.training.feature_cache import extract_features

    pair = PAIRS[arguments.pair]
    clock = time.perf_counter if arguments.wall else time.process_time
    cache = write_cache(
        folder, clips=arguments.clips, frames=arguments.frames, size_px=pair.size_px
    )
    row = find_architecture(pair.extractor)
    extractor = NetworkExtractor(row.build(row.options()), row.options(), name=pair.extractor)
    start = clock()
    report = extract_features(extractor, cache, folder / "vectors")
    extraction = clock() - start
    joint = time_epoch(
        recipe_for(pair.joint, pair.joint_options, cache, arguments),
        folder,
        arguments.epochs,
        clock,
    )
    cached_options = {**pair.cached_options, "features": report.features}
    cached = time_epoch(
        recipe_for(pair.cached, cached_options, folder / "vectors", arguments),
        folder,
        arguments.cached_epochs,
        clock,
    )
    run = arguments.run_epochs
    joint_run = run * joint["seconds_per_epoch"]
    cached_run = extraction + run * cached["seconds_per_epoch"]
    return {
        "pair": arguments.pair,
        "torch": torch.__version__,
        "clock": "wall" if arguments.wall else "process",
        "settings": {
            name: getattr(arguments, name)
            for name in ("clips", "frames", "steps", "batch_size", "threads", "accelerator")
        },
        "extraction": {
            "seconds": extraction,
            "rows": report.rows,
            "rows_per_second": report.rows / extraction,
        },
        "joint": {"architecture": pair.joint, **joint},
        "cached": {"architecture": pair.cached, **cached},
        "ratio_per_epoch": joint["seconds_per_epoch"] / cached["seconds_per_epoch"],
        "run_epochs": run,
        "ratio_of_run": joint_run / cached_run,
    }


def show(found: dict[str, Any]) -> None:
    """Print the table."""
    print(f"{found['pair']}, {found['clock']} time, {found['settings']}")
    for name in ("joint", "cached"):
        way = found[name]
        rate = way["frames_per_epoch"] / way["seconds_per_epoch"]
        print(
            f"  {name:<7} {way['architecture']:<24} {way['seconds_per_epoch']:9.3f} s an epoch "
            f"{rate:10.0f} frames a second"
        )
    extraction = found["extraction"]
    print(
        f"  extraction, once {extraction['seconds']:23.3f} s         "
        f"{extraction['rows_per_second']:10.0f} frames a second"
    )
    print(f"  joint / cached, per epoch: {found['ratio_per_epoch']:.1f}")
    print(
        f"  joint / cached with the extraction, {found['run_epochs']} epochs: "
        f"{found['ratio_of_run']:.1f}"
    )


def main() -> None:
    """Parse, measure, show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pair", choices=PAIRS, default="rangulov2020")
    parser.add_argument("--clips", type=int, default=9)
    parser.add_argument("--frames", type=int, default=100, help="in each clip")
    parser.add_argument("--steps", type=int, default=100, help="of a window, as the paper's")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=1, help="of the joint way that are timed")
    parser.add_argument("--cached-epochs", type=int, default=20, help="of the cached way")
    parser.add_argument("--run-epochs", type=int, default=100, help="of a whole run, the paper's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--wall", action="store_true", help="wall time instead of the process's")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(arguments, Path(scratch))
    show(found)
    if arguments.save is not None:
        sys.path.insert(0, str(Path(__file__).parent))
        from bench_machine import save_results

        save_results(arguments.save, f"joint-against-cached-{arguments.pair}", found)


if __name__ == "__main__":
    main()
