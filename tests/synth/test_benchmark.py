from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emotrace.faces import HaarDetector
from tests.conftest import REPOSITORY, load_script

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script(REPOSITORY / "benchmarks" / "synth_speed.py")


def test_overlaps_are_intersection_over_union(script: ModuleType) -> None:
    assert script.overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert script.overlap((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(1 / 3)
    assert script.overlap((0, 0, 2, 2), (5, 5, 2, 2)) == 0


def test_the_benchmark_measures_speed_and_detection(script: ModuleType) -> None:
    speed = script.measure_speed(clips=2, frames=4)
    assert 0 < speed["faces_per_second"]["least"] <= speed["faces_per_second"]["median"]
    report = script.measure_detection(HaarDetector(), script.random_frames(4, seed=1))
    assert report["frames"] == 4
    assert 0 <= report["rate"] <= 1
    assert sum(report["rate_by_emotion"].values()) > 0
