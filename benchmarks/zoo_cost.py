"""Measure what every network of the zoo costs: in training, and a frame in onnxruntime.

    python benchmarks/zoo_cost.py --save benchmarks/results
    python benchmarks/zoo_cost.py --rows compact compact-gru timm-image
    python benchmarks/zoo_cost.py --device cuda --precision bf16 --pictures 1024

Each network has its default options and fresh weights; what it sees is noise. Measured of each:

- Training: a step as `fit_zoo` does it (forward, the losses of all heads, backward, AdamW), without
  reading data and without augmentation. A step has `--pictures` faces or `--vectors` vectors,
  sequences of 8 faces or 32 vectors, clips of their own length. A frame is a face or a vector that
  the network reads, so that a clip of 10 counts as 10.
- onnxruntime: one new frame of one face, on the CPU, with the session of a bundle. A network over
  time takes one step and carries its state; one over clips runs over its whole window, as `analyze`
  does it for every new frame.

A repeat is many runs where one is short. Every repeat is followed by one of the reference network,
`compact`, and `relative` is the median of the row's time over the reference's beside it: machines
change their speed within minutes, and that ratio follows them. `low` and `high` are the slowest and
the fastest repeat. Time on the CPU is that of this process (`time.process_time`), on one thread.

`share_of_peak` is the multiply-adds of the training steps, as torch counts them, over what a large
matrix product reaches on the same device in the same precision, or over `--peak-tflops`. The
product is timed beside every row, and the highest of a file counts.

`--save FOLDER` keeps all numbers; rows that are there already, of the same settings, stay, so that
the table can be measured in pieces. A Markdown table goes to stdout.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import json
import math
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from emotrace.bundle_session import open_session
from emotrace.models.architecture import HeadKind, InputKind, example_shape, split_outputs
from emotrace.models.cost import SEQUENCE_KINDS, build_without_weights, measure_cost
from emotrace.models.onnx_export import export_onnx
from emotrace.models.zoo import ARCHITECTURES, find_architecture
from emotrace.training.losses import LossTerm, multi_task_loss
from emotrace.training.zoo.module import run_network
from emotrace.training.zoo.recipe import OptimiserSettings
from emotrace.training.zoo.schedule import make_optimiser

sys.path.insert(0, str(Path(__file__).parent))
from bench_machine import save_results

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emotrace.models.architecture import Architecture, Head, Network

REFERENCE = "compact"
PICTURE_STEPS = 8
VECTOR_STEPS = 32
LEAST_REPEATS = 3
MOST_REPEATS = 9
REPEAT_SECONDS = 0.2
"""What a repeat takes at least."""
TRAINING_SHARE = 0.7
"""Of a row's time; the rest is onnxruntime's."""
LOSSES = {
    HeadKind.CATEGORICAL: "cross_entropy",
    HeadKind.MULTI_LABEL: "sigmoid",
    HeadKind.CONTINUOUS: "ccc",
}


@dataclass(frozen=True, kw_only=True)
class Work:
    """Something that is timed: a call, the frames it is for, and what waits for its end."""

    run: Callable[[], object]
    frames: int
    clock: Callable[[], float]


def time_runs(work: Work, count: int) -> float:
    """Return the seconds of a frame over `count` runs."""
    start = work.clock()
    for _ in range(count):
        work.run()
    return (work.clock() - start) / count / work.frames


def alternate(work: Work, reference: Work, seconds: float) -> dict[str, Any]:
    """Time both in turns for about so many seconds; frames a second, and the time's ratio."""
    counts = []
    for item in (work, reference):
        time_runs(item, 1)  # the first one allocates
        counts.append(math.ceil(REPEAT_SECONDS / max(1e-6, time_runs(item, 1) * item.frames)))
    own: list[float] = []
    ratios: list[float] = []
    start = time.perf_counter()
    while len(own) < LEAST_REPEATS or (
        len(own) < MOST_REPEATS and time.perf_counter() - start < seconds
    ):
        own.append(time_runs(work, counts[0]))
        ratios.append(own[-1] / time_runs(reference, counts[1]))
    return {
        "frames_per_second": 1 / statistics.median(own),
        "low": 1 / max(own),
        "high": 1 / min(own),
        "relative": statistics.median(ratios),
        "repeats": len(own),
        "runs_per_repeat": counts[0],
    }


# --- training -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What training runs on."""

    device: str
    precision: str
    pictures: int
    vectors: int

    def clock(self) -> float:
        """Return seconds: the process's on the CPU, the wall's when an accelerator is done."""
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def autocast(self) -> Any:
        """Return the context that Lightning's `bf16-mixed` runs a step in."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16")

    def batch_shape(self, row: Architecture, options: Any) -> tuple[int, ...]:
        """Return the shape of a step's inputs: `(batch, ...)`."""
        shape = example_shape(row, options)
        if row.kind is InputKind.VECTOR_SEQUENCE:
            steps = min(VECTOR_STEPS, self.vectors)
            return (max(1, self.vectors // steps), steps, *shape[1:])
        if row.kind is InputKind.IMAGE:
            return (self.pictures, *shape)
        if row.kind is InputKind.CLIP:
            return (max(1, self.pictures // shape[0]), *shape)
        steps = min(PICTURE_STEPS, self.pictures)
        return (max(1, self.pictures // steps), steps, *shape[1:])


def frames_of(row: Architecture, shape: Sequence[int]) -> int:
    """Count the faces or vectors of a batch."""
    return shape[0] if row.kind is InputKind.IMAGE else shape[0] * shape[1]


def targets_for(heads: Sequence[Head], lead: Sequence[int], device: str) -> dict[str, torch.Tensor]:
    """Draw labels for `(batch, [time])` outputs, as the losses take them."""
    found = {}
    for head in heads:
        values = torch.rand(*lead, head.size, device=device)
        if head.kind is HeadKind.CATEGORICAL:
            values = torch.nn.functional.one_hot(values.argmax(-1), head.size).float()
        elif head.kind is HeadKind.MULTI_LABEL:
            values = (values > 0.5).float()
        found[head.name] = values
    return found


def training_work(row: Architecture, machine: Machine) -> Work:
    """Return a step of training, with everything that it needs in memory."""
    torch.manual_seed(0)
    options = row.options()
    network = row.build(options).to(machine.device).train()
    shape = machine.batch_shape(row, options)
    inputs = torch.rand(shape, device=machine.device)
    lead = shape[:2] if row.kind in SEQUENCE_KINDS else shape[:1]
    targets = targets_for(network.heads, lead, machine.device)
    terms = [LossTerm(head=head.name, loss=LOSSES[head.kind]) for head in network.heads]
    optimiser = make_optimiser(OptimiserSettings(), network.parameters())

    def step() -> None:
        optimiser.zero_grad()
        with machine.autocast():
            outputs = run_network(network, inputs)
            parts = split_outputs(outputs.float(), network.heads)
            loss, _ = multi_task_loss(parts, targets, terms)
        loss.backward()
        optimiser.step()

    return Work(run=step, frames=frames_of(row, shape), clock=machine.clock)


def convolution_backward(
    gradient: Sequence[int], _: object, weight: Sequence[int], *rest: Any, **__: Any
) -> int:
    """Count the operations of a convolution's gradients, each as many as forward, from shapes."""
    wanted = rest[-1]  # of the input, of the weight, of the bias
    forward = 2 * gradient[0] * math.prod(gradient[2:]) * math.prod(weight)
    return forward * (bool(wanted[0]) + bool(wanted[1]))


def training_multiply_adds(row: Architecture, machine: Machine) -> float:
    """Count the multiply-adds of a step, forward and backward, for each frame."""
    options = row.options()
    network = build_without_weights(row, options).train()
    shape = machine.batch_shape(row, options)
    # torch's own count of this one is too high where channels are grouped.
    rules = {torch.ops.aten.convolution_backward: convolution_backward}
    with FlopCounterMode(display=False, custom_mapping=rules) as counter:
        run_network(network, torch.empty(shape, device="meta")).sum().backward()
    return int(counter.get_total_flops()) / 2 / frames_of(row, shape)


def measure_training(
    row: Architecture, machine: Machine, reference: Work, *, seconds: float
) -> dict[str, Any]:
    """Return a row's speed in training."""
    options = row.options()
    work = training_work(row, machine)
    if machine.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    found = alternate(work, reference, seconds)
    count = training_multiply_adds(row, machine)
    shape = machine.batch_shape(row, options)
    return {
        "batch": shape[0],
        "frames_per_step": work.frames,
        **found,
        "multiply_adds_per_frame": round(count),
        "flops": 2 * count * found["frames_per_second"],
        **({"memory_bytes": torch.cuda.max_memory_allocated()} if machine.device == "cuda" else {}),
    }


def measure_peak(machine: Machine) -> float:
    """Return the FLOP/s of a large matrix product, the best of several."""
    size = 1024 if machine.device == "cpu" else 8192
    kind = torch.bfloat16 if machine.precision == "bf16" else torch.float32
    # Convolutions in 32 bits go through tensor cores by torch's default, products do not.
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    left, right = (torch.randn(size, size, device=machine.device).to(kind) for _ in range(2))
    work = Work(run=lambda: left @ right, frames=1, clock=machine.clock)
    time_runs(work, 2)
    seconds = min(time_runs(work, 5) for _ in range(5))
    torch.backends.cuda.matmul.allow_tf32 = before
    return 2 * size**3 / seconds


# --- onnxruntime ----------------------------------------------------------------------------------


def session_work(row: Architecture, folder: Path) -> Work:
    """Return one new frame of one face, or one new vector, in onnxruntime on one thread."""
    torch.manual_seed(0)
    options = row.options()
    network: Network = row.build(options).eval()
    path = folder / f"{row.name}.onnx"
    export_onnx(network, row, options, path)
    session = open_session(path, 1)
    rng = np.random.default_rng(0)
    shape = example_shape(row, options)
    if row.kind in SEQUENCE_KINDS:
        shape = (1, *shape[1:])
    first, *states = session.get_inputs()
    feeds = {first.name: rng.random((1, *shape), np.float32)}
    for state in states:
        feeds[state.name] = np.zeros([1, *state.shape[1:]], np.float32)

    def frame() -> None:
        _, *after = session.run(None, feeds)
        for state, values in zip(states, after, strict=True):
            feeds[state.name] = values

    return Work(run=frame, frames=1, clock=time.process_time)


def measure_session(work: Work, reference: Work, seconds: float) -> dict[str, Any]:
    """Return the milliseconds of a frame."""
    found = alternate(work, reference, seconds)
    return {
        "ms_per_frame": 1000 / found["frames_per_second"],
        "low": 1000 / found["high"],
        "high": 1000 / found["low"],
        **{name: found[name] for name in ("relative", "repeats", "runs_per_repeat")},
    }


# --- the table ------------------------------------------------------------------------------------


def measure_row(
    row: Architecture, machine: Machine, references: tuple[Work, Work], arguments: Any
) -> dict[str, Any]:
    """Return all numbers of a row."""
    start = time.perf_counter()
    cost = measure_cost(row)
    training = measure_training(
        row, machine, references[0], seconds=TRAINING_SHARE * arguments.seconds
    )
    gc.collect()
    with tempfile.TemporaryDirectory() as folder:
        work = session_work(row, Path(folder))
        session = measure_session(work, references[1], (1 - TRAINING_SHARE) * arguments.seconds)
    del work
    gc.collect()
    return {
        "name": row.name,
        "takes": row.kind.value,
        "input_shape": list(example_shape(row, row.options())),
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "training": training,
        "onnxruntime": session,
        "peak_flops": (arguments.peak_tflops or 0) * 1e12 or measure_peak(machine),
        "seconds_of_measuring": time.perf_counter() - start,
    }


def describe_process() -> dict[str, Any]:
    """Say which cores the process may use and how it is scheduled, where the system tells."""
    if not hasattr(os, "sched_getaffinity"):
        return {}
    policies = {os.SCHED_OTHER: "other", os.SCHED_FIFO: "fifo", os.SCHED_RR: "round robin"}
    return {
        "cores_allowed": sorted(os.sched_getaffinity(0)),
        "scheduler": policies.get(os.sched_getscheduler(0), "another"),
        "real_time_priority": os.sched_getparam(0).sched_priority,
    }


def state_shares(rows: Sequence[dict[str, Any]]) -> None:
    """Add each row's share of the peak, the highest that was measured beside any of them."""
    peak = max(row["peak_flops"] for row in rows)
    for row in rows:
        row["training"]["share_of_peak"] = row["training"]["flops"] / peak


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the table."""
    print(
        "| network | parameters | multiply-adds | training, frames/s | relative | share of peak "
        "| ms a frame | relative |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    for row in rows:
        training, session = row["training"], row["onnxruntime"]
        print(
            f"| `{row['name']}` | {row['parameters']:,} | {row['multiply_adds'] / 1e6:,.2f} M "
            f"| {training['frames_per_second']:,.1f} | {training['relative']:.3g} "
            f"| {training['share_of_peak']:.0%} "
            f"| {session['ms_per_frame']:.3g} | {session['relative']:.3g} |"
        )


def rows_before(path: Path, settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the rows of a file by name, where it was measured with the same settings."""
    if not path.exists():
        return {}
    before = json.loads(path.read_text(encoding="utf-8"))
    if before["settings"] != settings:
        raise SystemExit(f"error: {path} was measured with other settings; move it away")
    return {row["name"]: row for row in before["rows"]}


def main() -> None:
    """Parse, measure, show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = [row.name for row in ARCHITECTURES]
    parser.add_argument("--rows", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    parser.add_argument("--pictures", type=int, default=16, help="faces of a training step")
    parser.add_argument("--vectors", type=int, default=512, help="vectors of a training step")
    parser.add_argument("--seconds", type=float, default=12.0, help="of measuring a row, about")
    parser.add_argument("--peak-tflops", type=float, help="of the card; measured unless given")
    parser.add_argument("--note", default="", help="kept with the numbers: what else ran")
    parser.add_argument("--save", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    machine = Machine(
        device=arguments.device,
        precision=arguments.precision,
        pictures=arguments.pictures,
        vectors=arguments.vectors,
    )
    card = torch.cuda.get_device_name() if machine.device == "cuda" else None
    settings = {
        **{name: getattr(machine, name) for name in ("device", "precision", "pictures", "vectors")},
        "threads": 1,
        "torch": str(torch.__version__),
        "card": card,
        "peak_given_tflops": arguments.peak_tflops,
        "reference": REFERENCE,
        "note": arguments.note,
        **describe_process(),
    }
    name = "zoo-cost" if card is None else f"zoo-cost-{machine.device}-{machine.precision}"
    kept: dict[str, dict[str, Any]] = {}
    if arguments.save is not None:
        kept = rows_before(
            arguments.save / f"{dt.datetime.now(dt.UTC):%Y-%m-%d}-{name}.json", settings
        )
    reference = find_architecture(REFERENCE)
    with tempfile.TemporaryDirectory() as folder:
        references = (training_work(reference, machine), session_work(reference, Path(folder)))
    for wanted in arguments.rows:
        kept[wanted] = measure_row(find_architecture(wanted), machine, references, arguments)
        print(f"{wanted}: {kept[wanted]['seconds_of_measuring']:.0f} s", file=sys.stderr)
    rows = [kept[known] for known in names if known in kept]
    state_shares(rows)
    show(rows)
    if arguments.save is not None:
        save_results(arguments.save, name, {"settings": settings, "rows": rows})


if __name__ == "__main__":
    main()
