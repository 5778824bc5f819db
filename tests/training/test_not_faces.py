"""Pictures without a face: other ones, of the same shape and range, from the generator alone."""

from __future__ import annotations

import pytest
import torch

from emotrace.training.not_faces import (
    _draw_clutter,
    _scramble_phases,
    _shuffle_tiles,
    make_not_faces,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def faces(count: int, size: int = 48) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=seeded(9))


@pytest.mark.parametrize("size", [32, 48, 50])
def test_shape_and_range_stay_and_every_picture_is_another(size: int) -> None:
    before = faces(60, size)
    given = before.clone()
    made = make_not_faces(given, seeded())
    assert torch.equal(given, before)
    assert made.shape == before.shape
    assert made.dtype == torch.float32
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1
    gap = (made - before).abs().mean(dim=(1, 2, 3))
    assert float(gap.min()) > 0.05


def test_the_generator_decides_everything() -> None:
    torch.manual_seed(1)
    first = make_not_faces(faces(20), seeded(4))
    torch.manual_seed(2)
    assert torch.equal(make_not_faces(faces(20), seeded(4)), first)
    assert not torch.equal(make_not_faces(faces(20), seeded(5)), first)


def test_no_faces_make_no_pictures() -> None:
    assert make_not_faces(faces(0), seeded()).shape == (0, 1, 48, 48)


def test_shuffled_tiles_hold_the_faces_own_pixels() -> None:
    given = faces(8)
    made = _shuffle_tiles(given, seeded())
    for before, after in zip(given, made, strict=True):
        assert torch.equal(before.flatten().sort().values, after.flatten().sort().values)
        assert not torch.equal(before, after)


def test_scrambled_phases_keep_the_spectrum_and_the_brightness() -> None:
    given = faces(8)
    made = _scramble_phases(given, seeded())
    torch.testing.assert_close(
        torch.fft.rfft2(made).abs(), torch.fft.rfft2(given).abs(), atol=1e-3, rtol=1e-3
    )
    torch.testing.assert_close(made.mean(dim=(1, 2, 3)), given.mean(dim=(1, 2, 3)))


def test_clutter_owes_nothing_to_the_face() -> None:
    one = _draw_clutter(faces(5), seeded(2))
    other = _draw_clutter(1 - faces(5), seeded(2))
    assert torch.equal(one, other)
    assert float(one.std(dim=(1, 2, 3)).min()) > 0.01
