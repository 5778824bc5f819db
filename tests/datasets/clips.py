"""Small clips with known content for tests of the cache, and a detector that knows where faces are.

A picture's number is written into its first pixel; the detector looks its faces up by it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from emotrace.datasets.cache import CropCache, open_cache
from emotrace.datasets.prepare import prepare_dataset
from emotrace.datasets.records import ClipRecord, ImageRef
from emotrace.datasets.units import plan_units
from emotrace.faces import BoxMapping
from emotrace.faces.choose import DetectorChoice
from emotrace.timeline import Detection
from tests.faces.scene import Person, anna, draw_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from emotrace.datasets.prepare import PrepareProgress, PrepareReport


def write_clip(
    folder: Path,
    frames: int,
    *,
    people: Sequence[Person] = (),
    **columns: Any,
) -> ClipRecord:
    """Draw a clip as a sequence of pictures; its frame numbers stand in the first pixel."""
    folder.mkdir(parents=True)
    paths = []
    for number in range(frames):
        image = draw_scene(list(people or [anna()]), number)
        image[0, 0] = (number, 0, 0)
        paths.append(folder / f"{number:04d}.png")
        assert cv2.imwrite(str(paths[-1]), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    values: dict[str, Any] = {"clip_id": folder.name, "dataset": "drawn", "frame_rate": 25.0}
    return ClipRecord(**{**values, "media": tuple(paths), **columns})


@dataclass
class KnowingDetector:
    """Finds what it is told to find, by the number in a picture's first pixel."""

    faces: Mapping[int, Sequence[Person]] = field(default_factory=dict)
    """Frame number to the people found; `anna` in frames that are not there."""
    name: str = "knowing"
    canonical: BoxMapping = field(default_factory=BoxMapping)

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Detection]:
        number = int(image_rgb[0, 0, 0])
        return [person.detection(number) for person in self.faces.get(number, (anna(),))]


def use_detector(monkeypatch: Any, detector: KnowingDetector) -> None:
    """Make `prepare` use a detector of the test's."""

    def choose(name: str = "auto") -> DetectorChoice:
        return DetectorChoice(detector=detector, notice=None)

    for module in ("prepare", "units"):
        monkeypatch.setattr(f"emotrace.datasets.{module}.choose_detector", choose)


def content(folder: Path) -> dict[str, Any]:
    """Everything that a cache holds, to compare two."""
    cache = open_cache(folder)
    rows = np.flatnonzero(cache.has_crop)
    columns = {
        name: value for name, value in vars_of(cache).items() if isinstance(value, np.ndarray)
    }
    return {"clips": cache.clips, "crops": cache.read(rows), **columns}


def vars_of(cache: CropCache) -> dict[str, Any]:
    frames = cache.frames
    return {name: getattr(frames, name) for name in type(frames).__slots__}


def assert_same_content(one: Path, other: Path) -> None:
    a, b = content(one), content(other)
    assert a.pop("clips") == b.pop("clips")
    for name, values in a.items():
        np.testing.assert_array_equal(values, b[name], err_msg=name)


# --- pictures that take their time, read by other processes ---------------------------------------

SLOW_SECONDS = 0.05


def slow_picture(path: Path, position: int) -> NDArray[np.uint8]:
    """Read row `position` of a .npy of pictures, slowly."""
    time.sleep(SLOW_SECONDS)
    picture: NDArray[np.uint8] = np.load(path)[position]
    return picture


def slow_records(folder: Path, count: int) -> list[ClipRecord]:
    path = folder / "pictures.npy"
    if not path.exists():
        np.save(path, np.random.default_rng(0).integers(0, 255, (count, 24, 24), np.uint8))
    return [
        ClipRecord(
            clip_id=f"clip{position}",
            dataset="slow",
            media=ImageRef(path=path, position=position, decode=slow_picture),
            subject=f"s{position % 3}",
        )
        for position in range(count)
    ]


def prepare_slow_records(
    folder: Path,
    out: Path,
    count: int,
    workers: int,
    progress: Callable[[PrepareProgress], None] | None = None,
) -> PrepareReport:
    """Prepare `slow_records`, a shard for every picture."""
    from emotrace.datasets import units
    from emotrace.datasets.cropping import CropSettings
    from emotrace.datasets.prepare import PrepareSettings
    from emotrace.faces import CropGeometry

    units.PICTURES_PER_SHARD = 1  # type: ignore[misc]  # of this process, which plans
    settings = PrepareSettings(
        cropping=CropSettings(crop=CropGeometry(size_px=24), color="grey", detector="none"),
        workers=workers,
    )
    try:
        assert len(plan_units(slow_records(folder, count), settings.cropping)) == count
        return prepare_dataset(
            slow_records(folder, count), out, settings=settings, progress=progress
        )
    finally:
        units.PICTURES_PER_SHARD = 512  # type: ignore[misc]
