"""In which order examples are met: each epoch follows from (seed, epoch), each batch from its step.

So a run that is resumed in the middle of an epoch meets the very batches it would have met, and
several processes that share a batch agree on it without a word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from torch.utils.data import DataLoader, Sampler

from emotrace.datasets.balancing import sample_classes_evenly
from emotrace.errors import TrainingError, UsageError
from emotrace.training.processes import own_slice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from emotrace.training.examples import ExampleBatch, Examples

Sampling = Literal["shuffle", "classes", "subjects", "oversample"]
SAMPLINGS: Final[tuple[Sampling, ...]] = ("shuffle", "classes", "subjects", "oversample")


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """Which examples an epoch holds."""

    sampling: Sampling = "shuffle"
    """shuffle: each once; classes: every class equally often; subjects: every person equally
    often; oversample: windows of rare expressions several times (tzirakis2021)."""
    balance_power: float = 1.0
    """Of classes and subjects: 1 equally often, 0.5 half the way, 0 as often as they are."""
    oversampling_repeats: int = 5
    """How often a window of rare expressions comes when oversampling; the paper does not say."""
    oversampling_window: int = 150
    """Frames of such a window, the paper's."""
    density: Literal["none", "maximum", "mean", "midpoint"] = "none"
    """Leave out examples where valence and arousal are dense; what the largest count is compared
    with (rangulov2020: midpoint). Once for the whole run."""

    def __post_init__(self) -> None:
        if self.sampling not in SAMPLINGS:
            raise UsageError(
                f"expected sampling out of {', '.join(SAMPLINGS)}; got {self.sampling!r}"
            )
        if not 0 <= self.balance_power <= 1:
            raise UsageError(f"expected balance_power in [0, 1]; got {self.balance_power}")
        for name in ("oversampling_repeats", "oversampling_window"):
            if getattr(self, name) < 1:
                raise UsageError(f"expected {name} of 1 or more; got {getattr(self, name)}")


def epoch_size(examples: Examples) -> int:
    """Return how many examples an epoch draws."""
    return len(examples) if examples.repeats is None else int(examples.repeats.sum())


def draw_epoch(
    examples: Examples, settings: SamplingSettings, *, seed: int, epoch: int
) -> NDArray[np.int64]:
    """Return the positions of an epoch's examples, in the order in which they are met.

    Raises:
        TrainingError: There are no classes or subjects to balance.
    """
    size = epoch_size(examples)
    own_seed = seed * 1_000_003 + epoch
    if settings.sampling in ("shuffle", "oversample"):
        repeats = examples.repeats
        every = np.arange(len(examples))
        pool = every if repeats is None else np.repeat(every, repeats)
        return np.random.default_rng(own_seed).permutation(pool)
    codes = example_groups(examples, settings.sampling)
    if not (codes >= 0).any():
        raise TrainingError(
            f"expected examples with known {settings.sampling} to sample them evenly; none has "
            "one; choose another sampling"
        )
    return sample_classes_evenly(codes, size, power=settings.balance_power, seed=own_seed)


def example_groups(examples: Examples, by: Sampling) -> NDArray[np.int64]:
    """Return `(n,)`: each example's class or subject as a number, -1 for none."""
    if by == "classes":
        return examples.example_classes
    names = examples.names
    known = sorted({name for name in names.subjects if name is not None})
    position = {name: code for code, name in enumerate(known)}
    of_video = np.array([-1 if n is None else position[n] for n in names.subjects], np.int64)
    groups: NDArray[np.int64] = of_video[names.video[examples.first]]
    return groups


class _Positions(Sampler[list[int]]):
    """Batches of positions that are already chosen."""

    def __init__(self, batches: list[list[int]]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


def _as_is(batch: Any) -> Any:
    """Pass a batch on: examples are read a batch at a time."""
    return batch


class StepLoader:
    """The batches of a process, epoch after epoch; can begin at any step of one.

    Lightning takes any iterable: it calls `set_epoch` of what it finds as `sampler`, and saves and
    loads the state.

    Args:
        examples: What to read.
        order: Epoch to the positions of the global batches, one after another.
        batch_size: Examples of a global batch.
        steps: Batches in an epoch.
        workers: Processes that read ahead; 0 reads in this one.
        rank: Which training process this is.
        processes: How many share each batch.
    """

    def __init__(
        self,
        examples: Examples,
        order: Callable[[int], NDArray[np.int64]],
        *,
        batch_size: int,
        steps: int,
        workers: int = 0,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.examples = examples
        self._order = order
        self._batch_size = batch_size
        self._steps = steps
        self._workers = workers
        self._rank, self._processes = rank, processes
        self._epoch = 0
        self._first_step = 0
        self._given = 0

    @property
    def sampler(self) -> StepLoader:
        """Itself, as what Lightning tells the epoch."""
        return self

    @property
    def batch_sampler(self) -> None:
        """Nothing: Lightning asks whoever has a sampler."""
        return

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch's batches come next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[ExampleBatch]:
        # A generator: nothing is drawn before the first batch is asked for. Lightning makes the
        # iterator of a resumed run before it says which epoch comes.
        first, self._first_step = self._first_step, 0
        self._given = first
        loader = DataLoader(
            self.examples,
            sampler=_Positions(self.batches(self._epoch)[first:]),
            batch_size=None,
            collate_fn=_as_is,
            num_workers=self._workers,
        )
        for batch in loader:
            self._given += 1
            yield batch

    def batches(self, epoch: int) -> list[list[int]]:
        """Return the positions of each of this process's batches in an epoch."""
        order = self._order(epoch)
        starts = range(0, self._steps * self._batch_size, self._batch_size)
        whole = [order[start : start + self._batch_size].tolist() for start in starts]
        return [list(own_slice(batch, self._rank, self._processes)) for batch in whole]

    def state_dict(self) -> dict[str, int]:
        """Return how far into the epoch the batches given out go."""
        return {"step": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin the next epoch that is asked for at the step of `state_dict`."""
        self._first_step = int(state["step"])


def training_loader(
    examples: Examples,
    settings: SamplingSettings,
    *,
    batch_size: int,
    accumulation: int,
    seed: int,
    workers: int,
    rank: int,
    processes: int,
) -> StepLoader:
    """Build the loader of training batches.

    An epoch has as many global batches as fit into the examples, and as many as complete steps of
    the optimiser; what is left over waits for another epoch's order.

    Raises:
        TrainingError: There are fewer examples than a step takes.
        UsageError: The processes cannot share a batch evenly.
    """
    if batch_size % processes:
        raise UsageError(
            f"expected a batch_size that {processes} processes can share evenly; got {batch_size}"
        )
    steps = epoch_size(examples) // (batch_size * accumulation) * accumulation
    if not steps:
        raise TrainingError(
            f"expected a batch_size times accumulation of at most {epoch_size(examples)}, the "
            f"number of training examples; got {batch_size} x {accumulation}"
        )

    def order(epoch: int) -> NDArray[np.int64]:
        return draw_epoch(examples, settings, seed=seed, epoch=epoch)

    return StepLoader(
        examples,
        order,
        batch_size=batch_size,
        steps=steps,
        workers=workers,
        rank=rank,
        processes=processes,
    )


def evaluation_loader(
    examples: Examples, *, batch_size: int, workers: int = 0, rank: int = 0, processes: int = 1
) -> StepLoader:
    """Build a loader that gives every example once, in order.

    With several processes the last examples may come twice, to share batches evenly;
    `ExampleBatch.positions` tells.
    """
    size = max(batch_size // processes, 1) * processes
    count = -(-len(examples) // processes) * processes
    padded = np.minimum(np.arange(count), len(examples) - 1)

    def order(_: int) -> NDArray[np.int64]:
        return padded

    return StepLoader(
        examples,
        order,
        batch_size=size,
        steps=-(-count // size),
        workers=workers,
        rank=rank,
        processes=processes,
    )
