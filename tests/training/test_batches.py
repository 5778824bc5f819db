"""Who is drawn how often, and in what order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from emotrace.labels import EMOTIONS, FER2013_EMOTIONS
from emotrace.training.batches import (
    BalancedSampler,
    FaceDataset,
    evaluation_loader,
    sampling_priors,
    sampling_weights,
    training_loader,
)
from tests.training.tiny import TINY_RECIPE, make_split

HAPPY, NEUTRAL, FEAR = (EMOTIONS.index(name) for name in ("happiness", "neutral", "fear"))


def votes(*, unknown: int = 0, not_face: int = 0, **emotions: int) -> list[int]:
    return [*(emotions.get(name, 0) for name in EMOTIONS), unknown, not_face]


@pytest.fixture
def dataset() -> FaceDataset:
    """Shares of 5 labelled images: happiness 3, neutral 1.5, fear 0.5."""
    return FaceDataset(
        make_split(
            [
                votes(happiness=10),
                votes(happiness=9, not_face=1),
                votes(happiness=8, surprise=1, unknown=1),
                votes(neutral=6),
                votes(neutral=5, fear=5),
                votes(unknown=8, not_face=2),
            ],
            [FER2013_EMOTIONS.index("happiness")] * 3
            + [FER2013_EMOTIONS.index("neutral"), FER2013_EMOTIONS.index("fear"), -1],
        )
    )


def test_a_batch_holds_pictures_and_what_is_known_of_them(dataset: FaceDataset) -> None:
    assert len(dataset) == 6
    batch = dataset[[4, 5, 0]]
    assert batch.images.shape == (3, 1, 48, 48)
    assert batch.images.dtype == torch.float32
    expected = make_split([votes()] * 6, [-1] * 6).images[[4, 5, 0]].astype(np.float32) / 255
    np.testing.assert_array_equal(batch.images[:, 0].numpy(), expected)
    assert batch.ferplus_shares[0, [NEUTRAL, FEAR]].tolist() == [0.5, 0.5]
    assert batch.ferplus_shares.sum(dim=1).tolist() == [1, 0, 1]
    assert batch.fer2013_shares.argmax(dim=1).tolist()[0] == FER2013_EMOTIONS.index("fear")
    assert batch.fer2013_shares.sum(dim=1).tolist() == [1, 0, 1]
    np.testing.assert_allclose(batch.face_shares.numpy(), [1, 0.8, 1], rtol=1e-6)
    one = dataset[4]
    assert torch.equal(one.images, batch.images[:1])


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_weights_are_the_mean_over_votes_of_the_inverse_share(
    dataset: FaceDataset, power: float
) -> None:
    happy, neutral, fear = (share**-power for share in (0.6, 0.3, 0.1))
    expected = np.array([happy, happy, happy, neutral, (neutral + fear) / 2, 0.6**-power])
    weights = sampling_weights(dataset, power)
    np.testing.assert_allclose(weights.numpy(), expected / expected.sum(), rtol=1e-5)


def test_priors_are_the_shares_of_the_labels_as_drawn(dataset: FaceDataset) -> None:
    priors = sampling_priors(dataset, sampling_weights(dataset, 1.0))
    # Weights: three times 1 / 0.6, once 1 / 0.3, once (1 / 0.3 + 1 / 0.1) / 2 = 20 / 3; sum 15.
    expected = np.array([5.0, 10 / 3 + 10 / 3, 10 / 3]) / 15
    np.testing.assert_allclose(priors.ferplus[[HAPPY, NEUTRAL, FEAR]].numpy(), expected, rtol=1e-5)
    assert float(priors.ferplus.sum()) == pytest.approx(1)
    # By FER2013's label the fifth image is all fear.
    expected = np.array([5.0, 10 / 3, 20 / 3]) / 15
    at = [FER2013_EMOTIONS.index(name) for name in ("happiness", "neutral", "fear")]
    np.testing.assert_allclose(priors.fer2013[at].numpy(), expected, rtol=1e-5)


def test_at_full_power_expressions_that_are_voted_alone_are_met_equally_often() -> None:
    rows = [votes(happiness=10)] * 7 + [votes(neutral=9)] * 2 + [votes(fear=10)]
    dataset = FaceDataset(make_split(rows, [-1] * 9 + [0]))
    priors = sampling_priors(dataset, sampling_weights(dataset, 1.0))
    np.testing.assert_allclose(priors.ferplus[[HAPPY, NEUTRAL, FEAR]].numpy(), 1 / 3, rtol=1e-5)


def test_without_balancing_priors_are_the_shares_of_the_labels(dataset: FaceDataset) -> None:
    priors = sampling_priors(dataset, sampling_weights(dataset, 0.0))
    np.testing.assert_allclose(
        priors.ferplus[[HAPPY, NEUTRAL, FEAR]].numpy(), [0.6, 0.3, 0.1], rtol=1e-5
    )
    assert float(priors.fer2013[FER2013_EMOTIONS.index("happiness")]) == pytest.approx(0.6)


WEIGHTS = torch.tensor([1.0, 2.0, 3.0, 4.0]).repeat(250) / 2500


def test_an_epochs_order_follows_from_seed_and_epoch_alone() -> None:
    def draw(seed: int, epoch: int, before: int = 0) -> list[list[int]]:
        sampler = BalancedSampler(WEIGHTS, 10, seed)
        for earlier in range(before):
            sampler.set_epoch(earlier)
            list(sampler)
        torch.manual_seed(before)
        sampler.set_epoch(epoch)
        return list(sampler)

    first = draw(3, 1)
    assert draw(3, 1, before=1) == first
    assert draw(3, 2) != first
    assert draw(4, 1) != first
    assert len(first) == len(BalancedSampler(WEIGHTS, 10, 3)) == 100
    assert {len(batch) for batch in first} == {10}


def test_faces_are_drawn_in_proportion_to_their_weights() -> None:
    sampler = BalancedSampler(WEIGHTS, 10, 0)
    drawn: list[int] = []
    for epoch in range(20):
        sampler.set_epoch(epoch)
        drawn += [index for batch in sampler for index in batch]
    shares = np.bincount(np.array(drawn) % 4) / len(drawn)
    # 20,000 draws: three standard deviations are 0.01.
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.4], atol=0.011)


def test_the_loader_tells_its_sampler_the_epoch_where_lightning_looks_for_it(
    dataset: FaceDataset,
) -> None:
    """Lightning sets the epoch of `loader.sampler`, not of `loader.batch_sampler`."""
    fabric = pytest.importorskip("lightning.fabric.utilities.data")
    recipe = dataclasses.replace(TINY_RECIPE, batch_size=2)
    loader = training_loader(dataset, torch.full((6,), 1 / 6), recipe)
    iterator = iter(loader)  # Lightning makes the first one before it sets the epoch
    fabric._set_sampler_epoch(loader, 5)
    expected = BalancedSampler(torch.full((6,), 1 / 6), 2, recipe.seed)
    expected.set_epoch(5)
    batches = list(iterator)
    assert len(batches) == len(loader) == 3
    for batch, indices in zip(batches, expected, strict=True):
        assert torch.equal(batch.images, dataset[indices].images)


def test_evaluation_gives_every_face_once_in_order(dataset: FaceDataset) -> None:
    batches = list(evaluation_loader(dataset, batch_size=4))
    assert [len(batch.images) for batch in batches] == [4, 2]
    assert torch.equal(
        torch.cat([batch.images for batch in batches]), dataset[list(range(6))].images
    )
