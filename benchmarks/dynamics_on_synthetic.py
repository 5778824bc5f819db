"""Measure on synthetic video what networks over time see that networks of single frames cannot.

    python benchmarks/dynamics_on_synthetic.py
    python benchmarks/dynamics_on_synthetic.py --scale full --save benchmarks/results
    python benchmarks/dynamics_on_synthetic.py --side validation --seeds 0 --keep scratch/dynamics

Two tasks, each learned from some drawn people and measured on others:

- `orders`: the same pictures shown in four orders (see `dynamics_clips.py`). No single frame tells
  the classes apart, so a network of single frames is expected at chance, one in four, and a network
  over time is not. A video is one item: the probabilities of its frames are averaged, which is
  salinas2018's vote by summed probabilities.
- `affect`: valence and arousal that wander, seen by a noisy camera. The concordance correlation
  (CCC) is taken over all frames of the measured side, and averaged over valence and arousal.

Each seed trains all networks anew on the same data. Intervals are of 95 %, from drawing whole
subjects again (1,000 draws); differences are paired. `--side validation` leaves the test subjects
alone: all choices (sizes, noise, epochs, learning rates) were made so. With `--keep`, data and runs
stay in a folder, and the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from bench_machine import save_results
from dynamics_clips import (
    make_cache,
    partition_subjects,
    plan_one_each,
    plan_orders,
    require_same_frames,
)
from dynamics_contenders import CLASSES, SCALES, TASKS, Contender, Scale, Task, recipe_for
from dynamics_scores import (
    as_videos,
    describe_affect,
    describe_orders,
    mean_ccc,
    summarise,
    video_accuracy,
)
from emotrace.training.extractors import load_extractor
from emotrace.training.feature_cache import extract_features
from emotrace.training.zoo.comparison import compare_predictions
from emotrace.training.zoo.data import load_data
from emotrace.training.zoo.fit import fit_zoo
from emotrace.training.zoo.predictions import predict_side
from emotrace.training.zoo.run import load_trained

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emotrace.datasets.items import SideName
    from emotrace.training.zoo.predictions import SetPredictions

Predicted = dict[str, dict[int, "SetPredictions"]]
"""Network to seed to what it said of the measured side's frames."""


def count_cpu(file: Path, since: float) -> float:
    """Add the CPU seconds since `since` to those that a file counts; return them all.

    What is stopped and goes on later costs what it cost in all.
    """
    before = float(file.read_text("utf-8")) if file.exists() else 0.0
    total = before + time.process_time() - since
    file.write_text(f"{total:.1f}\n", "utf-8")
    return round(total, 1)


def draw_data(task: str, scale: Scale, folder: Path) -> dict[str, Path]:
    """Draw the clips and the stills of a task; return their crop caches."""
    is_affect = task == "affect"
    people = scale.affect if is_affect else scale.orders
    stills = plan_one_each(partition_subjects(people.stills), is_wandering=is_affect)
    parts = partition_subjects(people.clips)
    clips = plan_one_each(parts, is_wandering=True) if is_affect else plan_orders(parts)
    caches = {
        "stills": make_cache(stills, people.still_pictures, folder / "stills"),
        "clips": make_cache(clips, people.clip_pictures, folder / "clips"),
    }
    if not is_affect:
        require_same_frames(caches["clips"])
    return caches


def predict_clips(run: Path, clips: Path, side: SideName) -> SetPredictions:
    """Run a trained network over a side of the clips, whatever it was trained on."""
    trained = load_trained(run)
    record = trained.record
    recipe = replace(record.recipe, data=replace(record.recipe.data, data=clips))
    data = load_data(
        recipe,
        kind=record.architecture.kind,
        heads=trained.network.heads,
        matched=record.heads,
    )
    return predict_side(trained, side=side, data=data, batch_size=64)


def train(
    contenders: Sequence[Contender],
    caches: dict[str, Path],
    scale: Scale,
    seed: int,
    work: Path,
    side: SideName,
) -> tuple[dict[str, SetPredictions], dict[str, Any]]:
    """Train the contenders of a task with one seed; return what they say and what they cost."""
    said: dict[str, SetPredictions] = {}
    facts: dict[str, Any] = {}
    for contender in contenders:
        start = time.process_time()
        data, clips = caches[contender.learns_from], caches["clips"]
        if contender.reads:
            data = clips = work / f"vectors-{contender.reads}"
            extract_features(load_extractor(work / contender.reads), caches["clips"], data)
        recipe = recipe_for(contender, data, scale, seed, work)
        report = fit_zoo(recipe, work / contender.name, resume=True)
        if contender.is_measured:
            said[contender.name] = predict_clips(work / contender.name, clips, side)
        trained = load_trained(work / contender.name)
        facts[contender.name] = {
            "parameters": sum(one.numel() for one in trained.network.parameters()),
            "epochs": recipe.epochs,
            "epochs_of_best": trained.epochs_done,
            "monitor": report.monitor,
            "best_on_validation": report.best_value,
            "cpu_seconds": count_cpu(work / f"{contender.name}.seconds", start),
        }
        print(
            f"  seed {seed}  {contender.name:<20} {report.monitor} on validation "
            f"{report.best_value or 0:.3f}  {facts[contender.name]['cpu_seconds']:.0f} s",
            flush=True,
        )
    return said, facts


def run_task(
    task: Task,
    caches: dict[str, Path],
    scale: Scale,
    seeds: Sequence[int],
    work: Path,
    side: SideName,
) -> dict[str, Any]:
    """Train and score all contenders of a task with all seeds."""
    print(f"{task.name}: {len(task.contenders)} networks, seeds {', '.join(map(str, seeds))}")
    said: Predicted = {one.name: {} for one in task.contenders if one.is_measured}
    training: dict[str, Any] = {}
    for seed in seeds:
        found, facts = train(task.contenders, caches, scale, seed, work / f"seed{seed}", side)
        training[f"seed {seed}"] = facts
        for name, predictions in found.items():
            said[name][seed] = predictions
    networks = {one.name: score(task, one, said) for one in task.contenders if one.is_measured}
    return {
        "baseline": task.baseline,
        "control": task.control,
        "training": training,
        "networks": networks,
    }


def score(task: Task, contender: Contender, said: Predicted) -> dict[str, Any]:
    """Score a contender with all seeds, and compare it with the baseline."""
    is_orders = task.name == "orders"
    measure = video_accuracy if is_orders else mean_ccc
    describe = describe_orders if is_orders else describe_affect
    own, base, control = (
        {seed: as_videos(one) if is_orders else one for seed, one in said[name].items()}
        for name in (contender.name, task.baseline, task.control)
    )
    found = {
        "architecture": contender.architecture,
        "sees_time": contender.sees_time,
        **summarise(measure, own),
        "each_seed": {str(seed): describe(one) for seed, one in said[contender.name].items()},
    }
    for key, name, other in (
        ("less_baseline", task.baseline, base),
        ("less_control", task.control, control),
    ):
        if contender.name not in (task.baseline, name):
            found[key] = {
                **summarise(measure, own, other),
                "each_seed": {
                    str(seed): compare_predictions(own[seed], other[seed]) for seed in own
                },
            }
    return found


def show(task: str, found: dict[str, Any]) -> None:
    """Print a task's table."""
    columns = {"less_baseline": found["baseline"], "less_control": found["control"]}
    what = f"accuracy over videos, chance {1 / CLASSES:.2f}" if task == "orders" else "mean CCC"
    print(f"\n{task}: {what}")
    heads = "".join(f"{'less ' + name:<27}" for name in columns.values())
    print(f"  {'network':<24} time  mean ± sd        95 % over subjects   {heads.rstrip()}")
    for name, row in found["networks"].items():
        low, high = row["interval_95"]
        text = f"  {name:<24} {'yes' if row['sees_time'] else 'no':<5} {row['mean']:.3f} ± "
        text += f"{row['sd']:.3f}    {low:.3f} to {high:.3f}"
        text += "       "
        for key in columns:
            if key in row:
                low, high = row[key]["interval_95"]
                text += f"{row[key]['mean']:+.3f} ({low:+.3f} to {high:+.3f})".ljust(27)
        print(text.rstrip())


@contextlib.contextmanager
def working_folder(keep: Path | None) -> Iterator[Path]:
    """Give a folder for data and runs: the user's, or one that is removed."""
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)


def measure(
    scale: Scale, seeds: Sequence[int], work: Path, *, side: SideName, tasks: Sequence[str]
) -> dict[str, Any]:
    """Draw, train and score; return all that is kept."""
    found: dict[str, Any] = {}
    for task in TASKS:
        if task.name in tasks:
            start = time.process_time()
            caches = draw_data(task.name, scale, work / task.name)
            drawing = count_cpu(work / task.name / "drawing.seconds", start)
            print(f"{task.name}: drawn and prepared in {drawing:.0f} s", flush=True)
            found[task.name] = {
                "cpu_seconds_of_drawing": drawing,
                **run_task(task, caches, scale, seeds, work / task.name, side),
            }
            show(task.name, found[task.name])
    return {
        "what": "synthetic faces: compare with no published result",
        "side": side,
        "seeds": list(seeds),
        "scale": asdict(scale),
        "chance_of_orders": 1 / CLASSES,
        "cpu_seconds": round(sum(cost_of(task) for task in found.values())),
        **found,
    }


def cost_of(found: dict[str, Any]) -> float:
    """Return the CPU seconds of a task: drawing, training and measuring with all seeds."""
    runs = (run for seed in found["training"].values() for run in seed.values())
    return float(found["cpu_seconds_of_drawing"] + sum(run["cpu_seconds"] for run in runs))


def main() -> None:
    """Parse, measure, show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", choices=SCALES, default="quick", help="how much data")
    parser.add_argument("--seeds", type=int, nargs="+", help="of training; default: the scale's")
    parser.add_argument("--side", choices=("test", "validation"), default="test")
    parser.add_argument("--tasks", nargs="+", choices=("orders", "affect"), default=None)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where data and runs stay")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="where a JSON of all goes")
    arguments = parser.parse_args()
    scale = SCALES[arguments.scale]
    with working_folder(arguments.keep) as work:
        found = measure(
            scale,
            arguments.seeds or scale.seeds,
            work,
            side=arguments.side,
            tasks=arguments.tasks or ("orders", "affect"),
        )
    print(f"\n{found['cpu_seconds']} s of CPU time for drawing, training and measuring")
    if arguments.save is not None:
        save_results(arguments.save, "dynamics-on-synthetic", found)


if __name__ == "__main__":
    main()
