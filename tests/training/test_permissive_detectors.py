"""Detectors that believe everything: which there are, and that they do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotrace.faces import Detector, HaarDetector, HaarSettings
from emotrace.training.permissive_detectors import (
    DefaultHaarDetector,
    face_finder,
    permissive_detectors,
)


def noise(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (30, 40, 1), dtype=np.uint8)
    return np.repeat(coarse.repeat(8, axis=0).repeat(8, axis=1), 3, axis=2)


def test_detectors_without_their_files_are_left_out(tmp_path: Path) -> None:
    assert [one.name for one in permissive_detectors(tmp_path)] == ["haar", "haar_default"]
    assert face_finder(tmp_path) is None


def test_they_find_faces_in_noise_where_others_find_none() -> None:
    pictures = [noise(seed) for seed in range(3)]
    strict: list[Detector] = [HaarDetector(), DefaultHaarDetector(HaarSettings(min_hits=5))]
    assert not any(one.detect(picture) for one in strict for picture in pictures)
    loose = permissive_detectors(Path("nowhere"))
    assert any(one.detect(picture) for one in loose for picture in pictures)


@pytest.mark.shared
def test_all_detectors_are_made_from_their_files(shared_folder: Path) -> None:
    models = shared_folder / "models"
    names = [one.name for one in permissive_detectors(models)]
    assert names == ["haar", "haar_default", "lbp", "yunet"]
    assert face_finder(models) is not None
