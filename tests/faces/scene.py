"""Drawn people for tests of tracking: a textured head on a coloured chest, on a textured wall."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from emotrace.timeline import Detection

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 180
FRAMES_PER_SECOND = 25.0


def texture(seed: int, height: int, width: int, tint: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Smooth noise around a colour: enough to follow, nothing periodic."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 1)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)[..., None]
    values: NDArray[np.float32] = np.asarray(tint, np.float32) + smooth * np.float32(150)
    picture: NDArray[np.uint8] = np.clip(values, 0, 255).astype(np.uint8)
    return picture


@dataclass(frozen=True, kw_only=True)
class Person:
    """Someone whose face moves at a steady pace."""

    seed: int
    skin: tuple[int, int, int]
    clothes: tuple[int, int, int]
    start_xy: tuple[float, float]
    step_xy: tuple[float, float] = (0.0, 0.0)
    """Pixels per frame."""
    size: int = 32
    look: NDArray[np.uint8] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        body = texture(self.seed + 1000, 2 * self.size, 2 * self.size, self.clothes)
        head = texture(self.seed, self.size, self.size, self.skin)
        object.__setattr__(self, "look", head)
        object.__setattr__(self, "_body", body)

    def box(self, frame: int) -> tuple[float, float, float, float]:
        x = self.start_xy[0] + frame * self.step_xy[0]
        y = self.start_xy[1] + frame * self.step_xy[1]
        return (round(x), round(y), self.size, self.size)

    def detection(self, frame: int, score: float = 0.9) -> Detection:
        return Detection(box_xywh_px=self.box(frame), score=score)

    def draw(self, canvas: NDArray[np.uint8], frame: int) -> None:
        x, y, size, _ = (int(value) for value in self.box(frame))
        body: NDArray[np.uint8] = self.__dict__["_body"]
        _paste(canvas, body, x - size // 2, y + size)
        _paste(canvas, self.look, x, y)


def _paste(canvas: NDArray[np.uint8], patch: NDArray[np.uint8], x: int, y: int) -> None:
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + patch.shape[1], WIDTH), min(y + patch.shape[0], HEIGHT)
    if left < right and top < bottom:
        canvas[top:bottom, left:right] = patch[top - y : bottom - y, left - x : right - x]


def draw_scene(people: list[Person], frame: int) -> NDArray[np.uint8]:
    """Draw a frame; later people stand in front of earlier ones."""
    canvas = texture(7, HEIGHT, WIDTH, (120, 120, 120))
    for person in people:
        person.draw(canvas, frame)
    return canvas


def anna(**changes: object) -> Person:
    return _make(
        Person(seed=1, skin=(220, 170, 140), clothes=(30, 60, 160), start_xy=(40, 60)), changes
    )


def ben(**changes: object) -> Person:
    return _make(
        Person(seed=2, skin=(140, 95, 70), clothes=(60, 140, 60), start_xy=(240, 60)), changes
    )


def _make(person: Person, changes: dict[str, object]) -> Person:
    values: dict[str, object] = {
        "seed": person.seed,
        "skin": person.skin,
        "clothes": person.clothes,
        "start_xy": person.start_xy,
    }
    return Person(**{**values, **changes})  # type: ignore[arg-type]
