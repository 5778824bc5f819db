"""The refitted face head: faces and others told apart, and a threshold that keeps its promise."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from emotrace.errors import UsageError
from emotrace.models.compact import CompactNet
from emotrace.training.face_head import (
    PERTURBATIONS,
    FaceFeatures,
    FaceHeadFit,
    FaceHeadSettings,
    as_pictures,
    augmented_features,
    fit_face_head,
    fit_head,
    network_features,
    with_face_head,
)
from tests.training.tiny import TINY_NETWORK


@pytest.fixture(scope="module")
def network() -> CompactNet:
    torch.manual_seed(0)
    return CompactNet(TINY_NETWORK).eval()


def smooth_faces(count: int, seed: int) -> NDArray[np.uint8]:
    """Bright discs, each its own: they stand in for faces."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:48, 0:48]
    faces = np.empty((count, 48, 48), np.uint8)
    for face in faces:
        y, x = generator.uniform(20, 28, 2)
        disc = (rows - y) ** 2 + (columns - x) ** 2 < generator.uniform(14, 18) ** 2
        face[:] = np.where(disc, generator.integers(150, 220), generator.integers(20, 80))
    return faces


def noise(count: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 48), dtype=np.uint8)


def gaussians(count: int, mean: float, seed: int, width: int = 5) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).normal(mean, 1, (count, width))
    return values.astype(np.float32)


def features_of(faces: NDArray[np.float32], **validation: NDArray[np.float32]) -> FaceFeatures:
    return FaceFeatures(train=faces, validation=validation or {"as_is": faces})


@pytest.fixture(scope="module")
def fitted(network: CompactNet) -> FaceHeadFit:
    return fit_face_head(
        network, smooth_faces(60, 0), noise(60, 1), validation_faces=smooth_faces(40, 2), seed=0
    )


def test_faces_and_noise_are_told_apart(network: CompactNet, fitted: FaceHeadFit) -> None:
    refit = with_face_head(network, fitted)
    with torch.inference_mode():
        face = refit(torch.from_numpy(as_pictures(smooth_faces(30, 3)))).face_logit.numpy()
        other = refit(torch.from_numpy(as_pictures(noise(30, 4)))).face_logit.numpy()
    assert face.min() > other.max()
    threshold = np.log(fitted.threshold / (1 - fitted.threshold))
    assert (other < threshold).mean() > 0.9
    assert (face >= threshold).mean() > 0.9


def test_the_network_says_what_the_fit_says_and_nothing_else_changes(
    network: CompactNet, fitted: FaceHeadFit
) -> None:
    pictures = as_pictures(noise(5, 7))
    refit = with_face_head(network, fitted)
    with torch.inference_mode():
        before, after = (net(torch.from_numpy(pictures)) for net in (network, refit))
    assert torch.equal(before.ferplus_logits, after.ferplus_logits)
    assert torch.equal(before.fer2013_logits, after.fer2013_logits)
    assert not torch.equal(before.face_logit, after.face_logit)
    expected = fitted.log_odds(network_features(network)(pictures))
    np.testing.assert_allclose(after.face_logit.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_the_seed_decides_everything(network: CompactNet, fitted: FaceHeadFit) -> None:
    def fit(seed: int) -> FaceHeadFit:
        torch.manual_seed(seed + 100)
        return fit_face_head(
            network,
            smooth_faces(60, 0),
            noise(60, 1),
            validation_faces=smooth_faces(40, 2),
            seed=seed,
        )

    again = fit(0)
    assert np.array_equal(again.weight, fitted.weight)
    assert (again.bias, again.threshold, again.held_out) == (
        fitted.bias,
        fitted.threshold,
        fitted.held_out,
    )
    assert not np.array_equal(fit(1).weight, fitted.weight)


def test_the_held_out_figures_are_ready_for_json(fitted: FaceHeadFit) -> None:
    said = json.loads(json.dumps(fitted.held_out))
    assert (said["faces"], said["not_faces"]) == (40, 12)
    assert said["not_faces_refused"] > 0.9
    lost = [said["faces_lost"], *(said[f"faces_lost_{name}"] for name in (*PERTURBATIONS, "jpeg"))]
    assert max(lost) == 0  # 0.5 % of 40 is none


def test_the_fit_is_that_of_a_reference_implementation() -> None:
    faces, others = gaussians(300, 0.4, 0), gaussians(120, -0.3, 1)
    faces[:, 1] *= 7  # the penalty is on standardised features: units do not matter
    settings = FaceHeadSettings(penalty=0.01)
    fit = fit_head(features_of(faces), others, others, settings=settings)
    both = np.concatenate([faces, others]).astype(np.float64)
    weights = np.concatenate([np.full(300, 0.5 / 300), np.full(120, 0.5 / 120)])
    mean = weights @ both
    scale = np.sqrt(weights @ (both - mean) ** 2)
    # sklearn: sum of losses + |w|^2 / (2 C); ours: weighted mean + penalty |w|^2.
    reference = LogisticRegression(C=1 / (2 * settings.penalty), tol=1e-10, max_iter=1000)
    truth = np.repeat([1, 0], [300, 120])
    reference.fit((both - mean) / scale, truth, sample_weight=weights)
    np.testing.assert_allclose(fit.weight, reference.coef_[0] / scale, rtol=1e-3, atol=1e-5)
    expected = reference.intercept_[0] - (reference.coef_[0] / scale) @ mean
    assert fit.bias == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_both_classes_count_alike() -> None:
    faces, others = gaussians(50, 1.0, 0), gaussians(50, -1.0, 1)
    once = fit_head(features_of(faces), others, others)
    often = fit_head(features_of(faces), np.tile(others, (20, 1)), others)
    np.testing.assert_allclose(often.weight, once.weight, rtol=1e-4)
    assert often.bias == pytest.approx(once.bias, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("most_lost", [0.0, 0.01, 0.1])
def test_no_more_faces_are_lost_than_allowed(most_lost: float) -> None:
    faces, others = gaussians(400, 0.5, 0), gaussians(400, -0.5, 1)
    settings = FaceHeadSettings(most_faces_lost=most_lost, most_threshold=1.0)
    kept = gaussians(1000, 0.5, 2)
    fit = fit_head(features_of(faces, as_is=kept), others, others, settings=settings)
    lost = fit.held_out["faces_lost"]
    assert lost <= most_lost
    assert lost >= most_lost - 0.002
    # The threshold is as high as that allows: a little higher loses more.
    probabilities = 1 / (1 + np.exp(-fit.log_odds(kept)))
    assert (probabilities <= fit.threshold).mean() > most_lost


def test_the_threshold_is_that_of_the_hardest_change() -> None:
    faces, others = gaussians(400, 0.5, 0), gaussians(400, -0.5, 1)
    easy, hard = gaussians(500, 0.6, 2), gaussians(500, 0.1, 3)
    loose = FaceHeadSettings(most_threshold=1.0)
    alone = fit_head(features_of(faces, as_is=easy), others, others, settings=loose)
    both = fit_head(features_of(faces, as_is=easy, blur=hard), others, others, settings=loose)
    assert both.threshold < alone.threshold
    assert both.held_out["faces_lost_blur"] <= 0.005
    assert both.held_out["faces_lost"] <= both.held_out["faces_lost_blur"]


def test_a_likely_face_is_never_refused() -> None:
    faces, others = gaussians(100, 8.0, 0), gaussians(100, -8.0, 1)
    assert fit_head(features_of(faces), others, others).threshold == 0.5


def test_augmented_features_keep_the_plain_ones_first(network: CompactNet) -> None:
    pictures = smooth_faces(5, 0)
    features = network_features(network)
    settings = FaceHeadSettings()
    found = augmented_features(features, pictures, seed=0, settings=settings)
    assert found.shape == (15, network.face_head.in_channels)
    np.testing.assert_array_equal(found[:5], features(as_pictures(pictures)))
    assert not np.allclose(found[5:10], found[:5])


def test_bad_calls_say_what_is_wrong(network: CompactNet) -> None:
    faces, others = smooth_faces(4, 0), noise(10, 1)
    with pytest.raises(UsageError, match="evaluation mode"):
        fit_face_head(
            CompactNet(TINY_NETWORK).train(), faces, others, validation_faces=faces, seed=0
        )
    with pytest.raises(UsageError, match="at least one picture in validation_faces"):
        fit_face_head(network, faces, others, validation_faces=faces[:0], seed=0)
    with pytest.raises(UsageError, match="features of not-faces"):
        fit_face_head(network, faces, others[:0], validation_faces=faces, seed=0)
    with pytest.raises(UsageError, match="grey pictures"):
        as_pictures(np.zeros((2, 1, 48, 48), np.uint8))
    with pytest.raises(UsageError, match="penalty above 0"):
        FaceHeadSettings(penalty=0.0)
    with pytest.raises(UsageError, match="most_faces_lost"):
        FaceHeadSettings(most_faces_lost=1.0)
    with pytest.raises(UsageError, match="weights for this network"):
        with_face_head(
            network,
            FaceHeadFit(weight=np.zeros(3, np.float32), bias=0.0, threshold=0.5, held_out={}),
        )
