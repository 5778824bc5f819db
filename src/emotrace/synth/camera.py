"""What the camera adds: the room behind, light, blur, noise and compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import cv2
import numpy as np

from emotrace.errors import UsageError
from emotrace.synth.light import Light

if TYPE_CHECKING:
    from numpy.typing import NDArray

LightName = Literal["normal", "strong", "weak", "dark"]
LIGHT_NAMES: Final[tuple[LightName, ...]] = ("normal", "strong", "weak", "dark")

_MAX_BLUR_PX: Final = 50.0
_NOISE_MARGIN_PX: Final = 61
"""The noise picture is larger than a frame by this, and each frame cuts out another part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """How pictures are taken."""

    noise: float = 2.0
    """Standard deviation of each pixel, of 255."""
    blur_px: float = 0.0
    """Standard deviation of the blur; 0 for none."""
    jpeg_quality: int | None = None
    """1 to 100; None for no compression."""
    is_grey: bool = False
    """All three channels alike."""

    def __post_init__(self) -> None:
        if not (0 <= self.noise <= 255 and 0 <= self.blur_px <= _MAX_BLUR_PX):
            raise UsageError(
                f"expected noise from 0 to 255 and a blur from 0 to {_MAX_BLUR_PX:g} px; "
                f"got {self.noise:g} and {self.blur_px:g}"
            )
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise UsageError(f"expected a JPEG quality from 1 to 100; got {self.jpeg_quality}")


def choose_light(name: LightName, random: np.random.Generator) -> Light:
    """Choose a lamp: where it stands is left to chance, how bright it is follows from the name.

    `strong`, `weak` and `dark` mimic the three illuminations of Oulu-CASIA (good light; only a
    computer display on; near darkness). In the dark a face is still lit enough to be seen.
    """
    azimuth, elevation = float(random.uniform(-45, 45)), float(random.uniform(10, 50))
    vary = float(random.uniform(0.9, 1.08))
    if name == "strong":
        return Light(azimuth_degrees=azimuth / 3, elevation_degrees=25, key=0.62, ambient=0.52)
    if name == "weak":
        return Light(
            azimuth_degrees=azimuth / 4,
            elevation_degrees=-10,
            key=0.34,
            ambient=0.16,
            tint_rgb=(0.92, 0.98, 1.08),
        )
    if name == "dark":
        return Light(azimuth_degrees=azimuth, elevation_degrees=elevation, key=0.14, ambient=0.13)
    warm = float(random.uniform(-0.05, 0.05))
    return Light(
        azimuth_degrees=azimuth,
        elevation_degrees=elevation,
        key=0.62 * vary,
        ambient=float(random.uniform(0.36, 0.5)),
        tint_rgb=(1 + warm, 1.0, 1 - warm),
    )


def room_brightness(name: LightName) -> float:
    """Return how bright the room is behind the people, 1 for a well-lit one."""
    return {"normal": 1.0, "strong": 1.05, "weak": 0.38, "dark": 0.16}[name]


def paint_room(
    random: np.random.Generator, width: int, height: int, brightness: float
) -> NDArray[np.uint8]:
    """Paint what stands behind the people, out of focus, `(height, width, 3)`."""
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    base = random.uniform(70, 200, 3)
    base = 0.75 * base.mean() + 0.25 * base
    slope = random.uniform(-35, 35, (2, 1)) + random.uniform(-8, 8, (2, 3))
    room = (base + slope[0] * (x - 0.5) + slope[1] * (y - 0.5)).astype(np.float32)
    for _ in range(int(random.integers(2, 6))):
        left, top = random.uniform(-0.2, 0.9, 2) * (width, height)
        wide, high = random.uniform(0.1, 0.5, 2) * (width, height)
        # Mostly grey: walls and furniture, no toys.
        colour = np.clip(base + random.normal(0, 40) + random.normal(0, 14, 3), 15, 235)
        corner = (round(left), round(top))
        cv2.rectangle(room, corner, (round(left + wide), round(top + high)), colour.tolist(), -1)
    room = np.asarray(cv2.GaussianBlur(room, (0, 0), 0.02 * max(width, height)), np.float32)
    return np.clip(room * brightness, 0, 255).astype(np.uint8)


class Camera:
    """Takes pictures of what was drawn; the same state always gives the same picture."""

    def __init__(
        self, settings: CameraSettings, random: np.random.Generator, width: int, height: int
    ) -> None:
        self.settings = settings
        self._size = (width, height)
        self._seed = int(random.integers(2**31))
        shape = (height + _NOISE_MARGIN_PX, width + _NOISE_MARGIN_PX, 3)
        noise = random.standard_normal(shape, np.float32) * np.float32(settings.noise)
        # Two pictures without signs: bytes are added and taken away several times as fast.
        self._brighter = np.clip(np.rint(noise), 0, 255).astype(np.uint8)
        self._darker = np.clip(np.rint(-noise), 0, 255).astype(np.uint8)

    def take(self, drawn: NDArray[np.uint8], state: int) -> NDArray[np.uint8]:
        """Return the picture of `drawn`, `(height, width, 3)`, at a state."""
        image = drawn
        settings = self.settings
        if settings.blur_px > 0:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), settings.blur_px), np.uint8)
        if settings.noise > 0:
            place = self._noise_place(state)
            image = np.asarray(cv2.add(image, self._brighter[place]), np.uint8)
            image = np.asarray(cv2.subtract(image, self._darker[place]), np.uint8)
        if settings.is_grey:
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            image = np.asarray(cv2.merge([grey, grey, grey]), np.uint8)
        if settings.jpeg_quality is not None:
            quality = [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality]
            _, coded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
            decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
            image = np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
        return image

    def _noise_place(self, state: int) -> tuple[slice, slice]:
        width, height = self._size
        # Multiplicative hashing (Knuth): neighbouring states land far from one another.
        hashed = (state * 2654435761 + self._seed) % 2**32
        down, across = hashed % _NOISE_MARGIN_PX, hashed // _NOISE_MARGIN_PX % _NOISE_MARGIN_PX
        return (slice(down, down + height), slice(across, across + width))
