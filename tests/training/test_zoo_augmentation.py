"""Random changes to clips, and crops on their way into a network."""

from __future__ import annotations

from dataclasses import fields

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emotrace.errors import UsageError
from emotrace.training.clip_augmentation import (
    AUGMENTATIONS,
    ClipAugmentation,
    apply_changes,
    draw_changes,
)
from emotrace.training.pictures import prepare_pictures

STRONG = AUGMENTATIONS["modern"]


def clips(count: int = 6, frames: int = 3, channels: int = 3, size: int = 16) -> torch.Tensor:
    """Smooth random pictures, each clip's own."""
    coarse = torch.rand(count * frames, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    large = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic")
    return large.clamp(0.2, 0.8).view(count, frames, channels, size, size)


def changed(images: torch.Tensor, settings_: ClipAugmentation, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return apply_changes(images, draw_changes(settings_, len(images), generator), settings_)


def test_all_frames_of_a_clip_are_changed_alike_and_clips_differ() -> None:
    still = clips(frames=1).expand(-1, 4, -1, -1, -1)
    without_noise = ClipAugmentation(
        **{item.name: getattr(STRONG, item.name) for item in fields(STRONG) if item.name != "noise"}
    )
    made = changed(still, without_noise)
    for frame in range(1, 4):
        assert torch.equal(made[:, frame], made[:, 0])
    same = clips(count=1).expand(5, -1, -1, -1, -1)
    made = changed(same, without_noise)
    for at in range(1, 5):
        assert not torch.equal(made[at], made[0])
    # Noise is each frame's own.
    noisy = changed(still, ClipAugmentation(noise=0.1))
    assert not torch.equal(noisy[:, 1], noisy[:, 0])


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_set_keeps_shape_and_range_and_repeats_from_its_seed(
    name: str, channels: int
) -> None:
    images = clips(channels=channels)
    made = changed(images, AUGMENTATIONS[name])
    assert made.shape == images.shape
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1
    assert torch.equal(made, changed(images, AUGMENTATIONS[name]))
    assert torch.equal(made, images) == (name == "none")
    if name != "none":
        assert not torch.equal(made, changed(images, AUGMENTATIONS[name], seed=1))


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_a_process_changes_its_slice_as_one_process_the_whole(seed: int, parts: int) -> None:
    images = clips()
    whole = changed(images, STRONG, seed)
    size = len(images) // parts
    joined = []
    for part in range(parts):
        changes = draw_changes(STRONG, len(images), torch.Generator().manual_seed(seed))
        own = changes.slice(part * size, (part + 1) * size)
        joined.append(apply_changes(images[part * size : (part + 1) * size], own, STRONG))
    torch.testing.assert_close(torch.cat(joined), whole[: size * parts])


def test_a_flip_is_a_mirror_and_a_shift_moves() -> None:
    images = clips()
    torch.testing.assert_close(
        changed(images, ClipAugmentation(flip_probability=1.0)), images.flip(-1)
    )
    settings_ = ClipAugmentation(shift_fraction=0.25)
    changes = draw_changes(settings_, len(images), torch.Generator().manual_seed(0))
    assert float(changes.shift_x.abs().max()) <= 0.5  # a quarter of the side, in halves of it
    assert float(changes.shift_x.abs().max()) > 0.1


def test_ranges_are_those_that_were_asked_for() -> None:
    rangulov = AUGMENTATIONS["rangulov2020"]
    changes = draw_changes(rangulov, 4000, torch.Generator().manual_seed(0))
    for values, low, high in (
        (changes.scale, 0.9, 1.25),
        (changes.brightness, 0.5, 1.5),
        (torch.rad2deg(changes.angle), -15, 15),
        (changes.shift_x, -0.2, 0.2),
        (changes.shift_y, -0.2, 0.2),
    ):
        reach = high - low
        assert low <= float(values.min()) < low + 0.02 * reach
        assert high - 0.02 * reach < float(values.max()) <= high
    assert float((changes.flip < 0).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_a_crop_of_a_larger_picture_stays_inside_it() -> None:
    """tzirakis2021: resize to 170 and crop 150 keeps 150/170 of the side, anywhere."""
    settings_ = ClipAugmentation(crop_fraction=150 / 170)
    changes = draw_changes(settings_, 4000, torch.Generator().manual_seed(0))
    assert float(changes.scale.min()) == pytest.approx(170 / 150)
    reach = 1 - 150 / 170
    assert float(changes.shift_x.abs().max()) == pytest.approx(reach, rel=0.01)
    # The square's edge, in halves of the side: it never leaves the picture.
    assert float(changes.shift_x.abs().max()) + 150 / 170 <= 1 + 1e-6


def test_brightness_multiplies_and_saturation_moves_from_grey() -> None:
    images = clips()
    brighter = changed(images, ClipAugmentation(brightness=(1.2, 1.2)))
    torch.testing.assert_close(brighter, (images * 1.2).clamp(0, 1))
    grey = changed(images, ClipAugmentation(saturation=(0.0, 0.0)))
    torch.testing.assert_close(grey[:, :, 0], grey[:, :, 1])
    luma = (images * torch.tensor([0.299, 0.587, 0.114]).view(1, 1, 3, 1, 1)).sum(dim=2)
    torch.testing.assert_close(grey[:, :, 0], luma)


def test_ranges_that_make_no_sense_are_refused() -> None:
    for wrong in (
        {"scale": (0.0, 1.0)},
        {"brightness": (1.5, 0.5)},
        {"flip_probability": 1.5},
        {"crop_fraction": 0.0},
    ):
        with pytest.raises(UsageError, match=f"expected {next(iter(wrong))}"):
            ClipAugmentation(**wrong)


# --- crops into networks -------------------------------------------------------------------------


def crops(channels: int, size: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 2, size, size, channels), np.uint8)


def test_colour_becomes_grey_as_opencv_makes_it() -> None:
    stored = crops(3)
    made = prepare_pictures(torch.from_numpy(stored), channels=1, size_px=20)
    assert made.shape == (4, 2, 1, 20, 20)
    for clip in range(4):
        expected = cv2.cvtColor(stored[clip, 0], cv2.COLOR_RGB2GRAY) / 255
        np.testing.assert_allclose(made[clip, 0, 0].numpy(), expected, atol=0.51 / 255)


def test_grey_is_repeated_and_sizes_are_changed_without_aliasing() -> None:
    stored = crops(1, size=24)
    made = prepare_pictures(torch.from_numpy(stored), channels=3, size_px=24)
    assert made.shape == (4, 2, 3, 24, 24)
    assert torch.equal(made[:, :, 0], made[:, :, 2])
    np.testing.assert_array_equal(made[:, :, 0].numpy(), stored[..., 0].astype(np.float32) / 255)
    small = prepare_pictures(torch.from_numpy(stored), channels=1, size_px=6)
    # Noise nearly averages out: with aliasing its spread would stay.
    assert float(small.std()) < 0.4 * float(made.std())
    np.testing.assert_allclose(float(small.mean()), float(made.mean()), atol=0.02)
    with pytest.raises(UsageError, match="1 or 3 channels; got 4"):
        prepare_pictures(torch.from_numpy(stored), channels=4, size_px=24)
