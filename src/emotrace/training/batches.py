"""Batches of faces with both label sets, drawn so that rare expressions are met more often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from emotrace.datasets.ferplus import FerPlusSplit, not_face_shares, vote_shares
from emotrace.labels import FER2013_EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emotrace.training.recipe import DefaultRecipe


class FaceBatch(NamedTuple):
    """Faces with what is known of them; a row of zeros where a label set says nothing."""

    images: Tensor
    """`(batch, 1, 48, 48)`, float32 in [0, 1]."""
    ferplus_shares: Tensor
    """`(batch, 8)`: shares of the votes."""
    fer2013_shares: Tensor
    """`(batch, 7)`: one-hot."""
    face_shares: Tensor
    """`(batch,)`: share of annotators who saw a face."""


class SamplingPriors(NamedTuple):
    """How often each expression is met in training, as sampled; each sums to 1."""

    ferplus: Tensor
    fer2013: Tensor


class FaceDataset(Dataset[FaceBatch]):
    """A split of FER+ in memory, read a whole batch at a time."""

    def __init__(self, split: FerPlusSplit) -> None:
        self.images = torch.from_numpy(split.images)
        self.ferplus_shares = torch.from_numpy(vote_shares(split.votes))
        labels = split.fer2013_labels
        one_hot = np.zeros((len(split), len(FER2013_EMOTIONS)), np.float32)
        known = np.flatnonzero(labels >= 0)
        one_hot[known, labels[known]] = 1.0
        self.fer2013_shares = torch.from_numpy(one_hot)
        self.face_shares = torch.from_numpy(1.0 - not_face_shares(split.votes))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int | list[int]) -> FaceBatch:
        return self.__getitems__([index] if isinstance(index, int) else index)

    def __getitems__(self, indices: list[int]) -> FaceBatch:
        """Gather the rows at `indices`."""
        rows = torch.as_tensor(indices, dtype=torch.long)
        return FaceBatch(
            images=self.images[rows].unsqueeze(1).float().div(255),
            ferplus_shares=self.ferplus_shares[rows],
            fer2013_shares=self.fer2013_shares[rows],
            face_shares=self.face_shares[rows],
        )


def sampling_weights(dataset: FaceDataset, power: float) -> Tensor:
    """Weigh each image by the mean over its votes of (share of the emotion) ** -power.

    Returns:
        `(n,)`, summing to 1.
    """
    shares = dataset.ferplus_shares
    prior = shares.sum(dim=0) / shares.sum()
    weights = (shares * prior.clamp_min(1e-6).pow(-power)).sum(dim=1)
    # Images without a vote for an emotion (two of 28,558) are drawn as seldom as the commonest one.
    weights = torch.where(shares.sum(dim=1) > 0, weights, prior.max().pow(-power))
    return weights / weights.sum()


def sampling_priors(dataset: FaceDataset, weights: Tensor) -> SamplingPriors:
    """Return the share of each expression among labels drawn with `weights`."""

    def of(shares: Tensor) -> Tensor:
        met = (weights.unsqueeze(1) * shares).sum(dim=0)
        return met / met.sum()

    return SamplingPriors(of(dataset.ferplus_shares), of(dataset.fer2013_shares))


class BalancedSampler(Sampler[list[int]]):
    """Draws batches of indices by weight, with replacement; each epoch from (seed, epoch) alone."""

    def __init__(self, weights: Tensor, batch_size: int, seed: int) -> None:
        self.weights, self.batch_size, self.seed = weights.double(), batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch's order comes next (Lightning calls this)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.weights) // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        # A generator: it draws when the first batch is asked for. Lightning makes the iterator of a
        # resumed run before it says which epoch comes.
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        drawn = torch.multinomial(
            self.weights, len(self) * self.batch_size, replacement=True, generator=generator
        )
        yield from drawn.view(len(self), self.batch_size).tolist()


def _as_is(batch: Any) -> Any:
    """Pass a batch on: the dataset gathers whole batches itself."""
    return batch


def training_loader(
    dataset: FaceDataset, weights: Tensor, recipe: DefaultRecipe
) -> DataLoader[FaceBatch]:
    """Build the loader of training batches."""
    return DataLoader(
        dataset,
        # As `sampler`, though it draws batches: Lightning sets the epoch of a loader's `sampler`,
        # never that of its `batch_sampler`, which would give the first epoch's batches for ever.
        sampler=BalancedSampler(weights, recipe.batch_size, recipe.seed),
        batch_size=None,
        collate_fn=_as_is,
    )


def evaluation_loader(dataset: FaceDataset, batch_size: int = 256) -> DataLoader[FaceBatch]:
    """Build a loader that gives every face once, in order."""
    return DataLoader(dataset, batch_size=batch_size, shuffle=False, collate_fn=_as_is)
