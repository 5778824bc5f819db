"""Augmented faces: still faces' shape and range, repeatable, and untouched where told so."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from emotrace.training.augmentation import augment, draw_mixup, random_affine
from emotrace.training.recipe import NO_AUGMENTATION, AugmentationSettings


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def faces(count: int = 6, size: int = 48) -> torch.Tensor:
    """Smooth noise in [0.2, 0.8], so that nothing is clipped by chance."""
    coarse = torch.rand(count, 1, 8, 8, generator=seeded(9))
    smooth = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")
    return 0.2 + 0.6 * smooth


def only(**changes: Any) -> AugmentationSettings:
    return dataclasses.replace(NO_AUGMENTATION, **changes)


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("size", [32, 48])
def test_shape_and_range_stay(count: int, size: int) -> None:
    images = torch.rand(count, 1, size, size, generator=seeded())
    before = images.clone()
    for seed in range(10):
        changed = augment(images, AugmentationSettings(), seeded(seed))
        assert changed.shape == images.shape
        assert changed.dtype == torch.float32
        assert float(changed.min()) >= 0
        assert float(changed.max()) <= 1
        assert bool(torch.isfinite(changed).all())
    assert torch.equal(images, before)  # the caller's own are not written to


def test_the_generator_decides_everything() -> None:
    images, settings = faces(), AugmentationSettings()
    torch.manual_seed(1)
    first = augment(images, settings, seeded(4))
    torch.manual_seed(2)
    assert torch.equal(augment(images, settings, seeded(4)), first)
    assert not torch.equal(augment(images, settings, seeded(5)), first)


def test_each_face_is_changed_its_own_way() -> None:
    same = faces(1).repeat(4, 1, 1, 1)
    changed = augment(same, AugmentationSettings(), seeded())
    for one in range(3):
        assert not torch.equal(changed[one], changed[one + 1])


def test_with_everything_off_a_face_stays_as_it_is() -> None:
    images = faces()
    torch.testing.assert_close(
        augment(images, NO_AUGMENTATION, seeded()), images, atol=1e-5, rtol=0
    )


def test_always_flipping_mirrors() -> None:
    images = faces()
    changed = random_affine(images, only(flip_probability=1.0), seeded())
    torch.testing.assert_close(changed, images.flip(-1), atol=1e-5, rtol=0)


def test_a_flip_happens_as_often_as_it_should() -> None:
    images = faces(1).repeat(400, 1, 1, 1)
    changed = random_affine(images, only(flip_probability=0.25), seeded())
    flipped = (changed - images).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert 0.18 < float(flipped.float().mean()) < 0.32  # three standard deviations


def test_scale_above_one_enlarges_the_face() -> None:
    """A disc's area grows with the square of the scale."""
    axis = torch.arange(48) - 23.5
    disc = ((axis.view(-1, 1) ** 2 + axis.view(1, -1) ** 2) < 100).float().view(1, 1, 48, 48)
    changed = random_affine(disc, only(scale=(1.5, 1.5)), seeded())
    assert float(changed.sum() / disc.sum()) == pytest.approx(2.25, rel=0.03)


def test_shifts_stay_within_the_stated_share_of_the_side() -> None:
    spot = torch.zeros(200, 1, 48, 48)
    spot[:, :, 23:25, 23:25] = 1
    changed = random_affine(spot, only(shift_fraction=0.1), seeded())
    axis = torch.arange(48.0)
    columns = (changed.sum(dim=(1, 2)) * axis).sum(dim=1) / changed.sum(dim=(1, 2, 3))
    reach = (columns - 23.5).abs()
    assert float(reach.max()) <= 4.8 + 0.1
    assert float(reach.max()) > 4


def test_a_turn_stays_within_the_stated_degrees() -> None:
    bar = torch.zeros(200, 1, 48, 48)
    bar[:, :, 23:25, 4:44] = 1
    changed = random_affine(bar, only(rotation_degrees=16.0), seeded()).squeeze(1)
    axis = torch.arange(48.0) - 23.5
    x, y = axis.view(1, 1, -1), axis.view(1, -1, 1)
    slope = (changed * x * y).sum(dim=(1, 2)) / (changed * x * x).sum(dim=(1, 2))
    degrees = np.degrees(np.arctan(slope.numpy()))
    assert np.abs(degrees).max() < 16.5
    assert degrees.max() > 13
    assert degrees.min() < -13


def test_brightness_and_contrast_move_level_and_spread() -> None:
    images = faces()
    brighter = augment(images, only(brightness=0.1), seeded())
    moved = (brighter - images).mean(dim=(1, 2, 3))
    assert float(moved.abs().max()) <= 0.1 + 1e-5
    assert len({round(value, 6) for value in moved.tolist()}) == len(images)
    flatter = augment(images, only(contrast=(0.5, 0.5)), seeded())
    torch.testing.assert_close(
        flatter.std(dim=(1, 2, 3)), 0.5 * images.std(dim=(1, 2, 3)), rtol=1e-3, atol=0
    )
    torch.testing.assert_close(
        flatter.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)), rtol=1e-3, atol=0
    )


def test_gamma_is_a_power() -> None:
    images = faces()
    torch.testing.assert_close(
        augment(images, only(gamma=(2.0, 2.0)), seeded()), images**2, atol=1e-5, rtol=1e-4
    )


def test_blur_smooths_and_keeps_the_level() -> None:
    images = torch.rand(4, 1, 48, 48, generator=seeded())
    blurred = augment(images, only(blur_probability=1.0), seeded())
    assert bool((blurred.std(dim=(1, 2, 3)) < 0.9 * images.std(dim=(1, 2, 3))).all())
    torch.testing.assert_close(blurred.mean(), images.mean(), atol=0.01, rtol=0)


def test_low_resolution_loses_detail() -> None:
    images = torch.rand(4, 1, 48, 48, generator=seeded())
    settings = only(low_resolution_probability=1.0, lowest_resolution_px=16)
    small = augment(images, settings, seeded())
    assert bool((small.std(dim=(1, 2, 3)) < 0.9 * images.std(dim=(1, 2, 3))).all())


def test_erasing_replaces_one_box_by_one_grey() -> None:
    images = faces(40)
    settings = only(erase_probability=1.0, erase_fraction=(0.25, 0.5))
    erased = augment(images, settings, seeded())
    for before, after in zip(images[:, 0], erased[:, 0], strict=True):
        changed = (before - after).abs() > 1e-5
        rows, columns = changed.any(dim=1).nonzero().flatten(), changed.any(dim=0).nonzero()
        assert 11 <= int(rows.max() - rows.min()) + 1 <= 25
        assert 11 <= int(columns.max() - columns.min()) + 1 <= 25
        assert float(after[changed].std()) < 1e-5


def test_noise_is_small_and_side_light_is_a_ramp() -> None:
    images = torch.full((50, 1, 48, 48), 0.5)
    noisy = augment(images, only(noise_probability=1.0), seeded())
    assert float((noisy - 0.5).std()) == pytest.approx(0.03, rel=0.02)
    lit = augment(images, only(side_light_probability=1.0), seeded())
    # The middle stays, and opposite points change by opposite amounts until clipped.
    assert float((lit[:, 0, 23:25, 23:25].mean(dim=(1, 2)) - 0.5).abs().max()) < 0.01
    inner = lit[:, 0, 16:32, 16:32]
    torch.testing.assert_close(inner + inner.flip(1, 2), torch.ones_like(inner))
    assert float(lit.std(dim=(1, 2, 3)).min()) > 0.05


def test_mixing_is_as_frequent_as_stated_and_never_less_than_half_oneself() -> None:
    settings = only(mixup_probability=0.4, mixup_alpha=0.3)
    generator = seeded()
    drawn = np.array([draw_mixup(settings, generator) for _ in range(4000)])
    mixed = drawn[drawn < 1]
    assert len(mixed) / len(drawn) == pytest.approx(0.4, abs=0.03)
    assert drawn.min() >= 0.5
    assert drawn.max() <= 1


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_mixing_follows_the_folded_beta_distribution(alpha: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    settings, generator = only(mixup_probability=1.0, mixup_alpha=alpha), seeded()
    drawn = [draw_mixup(settings, generator) for _ in range(3000)]

    def folded(x: np.ndarray) -> Any:
        return stats.beta.cdf(x, alpha, alpha) - stats.beta.cdf(1 - x, alpha, alpha)

    assert stats.kstest(drawn, folded).pvalue > 0.001


def test_a_codec_changes_the_chosen_faces_as_a_jpeg_of_that_quality_does() -> None:
    images = faces(40)
    half = dataclasses.replace(NO_AUGMENTATION, jpeg_probability=0.5, jpeg_quality=(30, 30))
    coded = augment(images, half, seeded())
    plain = augment(images, NO_AUGMENTATION, seeded())
    is_coded = (coded != plain).flatten(1).any(dim=1)
    assert 8 < int(is_coded.sum()) < 32
    at = int(is_coded.nonzero()[0])
    grey = (plain[at, 0] * 255).round().to(torch.uint8).numpy()
    _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 30])
    expected = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32)
    np.testing.assert_allclose(coded[at, 0].numpy() * 255, expected, atol=1e-3)
