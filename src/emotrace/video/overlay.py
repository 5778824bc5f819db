"""Drawing predictions into a picture: boxes, labels, bars for every expression, the time.

Everything is sized by the picture, from 240 lines to 4K. Nothing covers a face: panels of bars and
labels take the first place beside their box that is inside the picture and free, and a panel that
finds none is left out, so that a crowd stays readable.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from emotrace.labels import EMOTIONS
from emotrace.timeline import FaceSource
from emotrace.video.palette import emotion_color, face_color, rgb_from_hex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.timeline import FaceResult, FrameResult, Prediction

_DARK: Final = (18, 20, 26)
_LIGHT: Final = (255, 255, 255)
_MUTED: Final = (190, 194, 204)
_PANEL_OPACITY: Final = 0.72
_FONT: Final = cv2.FONT_HERSHEY_DUPLEX
_OVERSAMPLING: Final = 4
_FONT_CAPITAL_PX: Final = 22
"""Height of a capital of OpenCV's Hershey fonts at scale 1."""
_LEAST_ROW_PX: Final = 9
"""Rows of the panel below this height cannot be read."""


@dataclass(frozen=True, slots=True)
class _Area:
    """A rectangle in whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    def is_within(self, width: int, height: int) -> bool:
        return self.left >= 0 and self.top >= 0 and self.right <= width and self.bottom <= height

    def overlaps(self, other: _Area) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def moved_across(self, width: int) -> _Area:
        """Slid to the left or right so far that it is inside."""
        return replace(self, left=max(0, min(self.left, width - self.width)))

    def moved_along(self, height: int) -> _Area:
        """Slid up or down so far that it is inside."""
        return replace(self, top=max(0, min(self.top, height - self.height)))


class _Canvas:
    """A picture being drawn on, with the places that are taken and the sizes that suit it."""

    def __init__(self, image_rgb: NDArray[np.uint8]) -> None:
        self.image = image_rgb
        self.height, self.width = image_rgb.shape[:2]
        # 1 at 720 lines; less than in proportion keeps 240 lines legible and 4K from shouting.
        self.scale = (min(self.height, self.width) / 720) ** 0.75
        self.line_px = max(1, round(2.2 * self.scale))
        self.text_px = max(9, round(15 * self.scale))
        self.gap_px = max(2, round(6 * self.scale))
        self.taken: list[_Area] = []

    def place(self, candidates: list[_Area]) -> _Area | None:
        """Return the first candidate that is inside the picture and free, and take it."""
        for area in candidates:
            if area.is_within(self.width, self.height) and not any(
                area.overlaps(other) for other in self.taken
            ):
                self.taken.append(area)
                return area
        return None

    def fill(self, area: _Area, color: tuple[int, int, int], opacity: float = 1.0) -> None:
        """Lay a colour over a rectangle."""
        region = self.image[
            max(0, area.top) : max(0, area.bottom), max(0, area.left) : max(0, area.right)
        ]
        if not region.size:
            return
        if opacity >= 1:
            region[:] = color
        else:
            layer = np.full_like(region, color)
            region[:] = cv2.addWeighted(layer, opacity, region, 1 - opacity, 0)

    def text(
        self, text: str, left: int, middle: int, height_px: int, color: tuple[int, int, int]
    ) -> None:
        """Write text from `left` on, centred on the line `middle`; cut off at the edges."""
        mask = _text_mask(text, height_px)
        top = middle - mask.shape[0] // 2
        skip_y, skip_x = max(0, -top), max(0, -left)
        region = self.image[max(0, top) : top + mask.shape[0], max(0, left) : left + mask.shape[1]]
        mask = mask[skip_y : skip_y + region.shape[0], skip_x : skip_x + region.shape[1]]
        if not region.size or not mask.size:
            return
        alpha = mask[..., None].astype(np.uint16)
        ink = np.asarray(color, dtype=np.uint16)
        region[:] = (region * (255 - alpha) + ink * alpha + 127) // 255


def draw_frame_result(
    image_rgb: NDArray[np.uint8], result: FrameResult, *, uncertain_below: float | None = None
) -> NDArray[np.uint8]:
    """Draw the predictions of one frame into a copy of it.

    Each face gets a box in a colour of its own (dashed where it was tracked, not detected), a label
    with its `face_id`, predicted expression and probability, and, where there is room and the
    face is large enough, bars for all eight expressions. The time stands in the lower left corner,
    or in another one if a face is there.

    Args:
        image_rgb: `(height, width, 3)`, uint8, upright; it is not written to.
        result: What was predicted for this frame.
        uncertain_below: A label whose probability is lower is paler and has a question mark.

    Returns:
        The annotated picture, `(height, width, 3)`, uint8.
    """
    canvas = _Canvas(image_rgb.copy())
    # Large faces first: they are nearest, and have first choice of the room for panels.
    faces = sorted(result.faces, key=_face_area, reverse=True)
    boxes = [_box_area(item) for item in faces]
    canvas.taken.extend(boxes)
    for item, box in zip(faces, boxes, strict=True):
        _draw_box(canvas, item, box)
    _draw_time(canvas, result.timestamp_seconds)
    for item, box in zip(faces, boxes, strict=True):
        is_uncertain = uncertain_below is not None and item.prediction.confidence < uncertain_below
        _draw_label(canvas, item, box, is_uncertain=is_uncertain)
    for item, box in zip(faces, boxes, strict=True):
        _draw_panel(canvas, item.prediction, box)
    return canvas.image


def _face_area(item: FaceResult) -> float:
    _, _, width, height = item.face.detection.box_xywh_px
    return width * height


def _box_area(item: FaceResult) -> _Area:
    x, y, width, height = item.face.detection.box_xywh_px
    return _Area(round(x), round(y), max(1, round(width)), max(1, round(height)))


def _draw_box(canvas: _Canvas, item: FaceResult, box: _Area) -> None:
    color = rgb_from_hex(face_color(item.face.face_id))
    line = canvas.line_px
    is_tracked = item.face.source is FaceSource.TRACKED
    # A dark line around the bright one keeps it visible on any ground.
    for width, ink in ((line + 2 * max(1, line // 2), _DARK), (line, color)):
        if is_tracked:
            _dashed_rectangle(canvas, box, ink, width)
        else:
            cv2.rectangle(
                canvas.image, (box.left, box.top), (box.right, box.bottom), ink, width, cv2.LINE_AA
            )


def _dashed_rectangle(canvas: _Canvas, box: _Area, color: tuple[int, int, int], width: int) -> None:
    corners = [
        (box.left, box.top),
        (box.right, box.top),
        (box.right, box.bottom),
        (box.left, box.bottom),
    ]
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = abs(x1 - x0) + abs(y1 - y0)
        # An odd number of equal strokes and gaps puts a stroke into every corner; 25 a side do.
        parts = min(25, 2 * max(1, round(length / (10 * canvas.line_px))) + 1)
        for part in range(0, parts, 2):
            start, end = part / parts, (part + 1) / parts
            cv2.line(
                canvas.image,
                (round(x0 + (x1 - x0) * start), round(y0 + (y1 - y0) * start)),
                (round(x0 + (x1 - x0) * end), round(y0 + (y1 - y0) * end)),
                color,
                width,
                cv2.LINE_AA,
            )


def _draw_time(canvas: _Canvas, seconds: float) -> None:
    text = _clock(seconds)
    size = canvas.text_px
    width = _text_mask(text, size).shape[1] + 2 * canvas.gap_px
    height = size + canvas.gap_px
    gap = canvas.gap_px
    right, bottom = canvas.width - width - gap, canvas.height - height - gap
    corners = [_Area(x, y, width, height) for y in (bottom, gap) for x in (gap, right)]
    area = canvas.place(corners)
    if area is None:
        area = corners[0]
        canvas.taken.append(area)
    canvas.fill(area, _DARK, _PANEL_OPACITY)
    canvas.text(text, area.left + gap, area.top + height // 2, size, _LIGHT)


def _clock(seconds: float) -> str:
    milliseconds = round(abs(seconds) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if seconds < 0 else ""
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{sign}{head}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"


def _draw_label(canvas: _Canvas, item: FaceResult, box: _Area, *, is_uncertain: bool) -> None:
    prediction = item.prediction
    # Small faces get smaller type, down to what can still be read.
    size = min(canvas.text_px, max(9, round(0.8 * canvas.text_px), round(box.height * 0.22)))
    emotion = prediction.emotion + ("?" if is_uncertain else "")
    words = [f"#{item.face.face_id}", emotion, f"{prediction.confidence:.0%}"]
    space = max(3, round(size * 0.45))
    widths = [_text_mask(word, size).shape[1] for word in words]
    width = sum(widths) + space * (len(words) + 1)
    height = size + max(3, round(size * 0.5))
    edge = canvas.line_px
    lefts = (box.left - edge, box.right + edge - width)
    places = [
        _Area(left, top, width, height).moved_across(canvas.width)
        for top in (box.top - edge - height, box.bottom + edge + 1)
        for left in lefts
    ]
    area = canvas.place(places)
    if area is None:
        # Nowhere free: over the upper edge of its own face, for a label must not be missing.
        inside = _Area(box.left, box.top, width, height)
        area = inside.moved_across(canvas.width).moved_along(canvas.height)
        canvas.taken.append(area)
    color = rgb_from_hex(face_color(item.face.face_id))
    if is_uncertain:
        # Towards white, not transparent: the dark words must stay readable on any ground.
        red, green, blue = ((value + 2 * _LIGHT[0]) // 3 for value in color)
        color = (red, green, blue)
    canvas.fill(area, color)
    x = area.left + space
    for word, word_width in zip(words, widths, strict=True):
        canvas.text(word, x, area.top + height // 2, size, _DARK)
        x += word_width + space


def _draw_panel(canvas: _Canvas, prediction: Prediction, box: _Area) -> None:
    # The panel may stand out beyond a small face, by half.
    row = min(round(20 * canvas.scale), round(box.height * 1.5 / len(EMOTIONS)))
    if row < max(_LEAST_ROW_PX, round(11 * canvas.scale)):
        return
    size = max(7, round(row * 0.62))
    pad = max(3, round(row * 0.4))
    name_width = max(_text_mask(name, size).shape[1] for name in EMOTIONS)
    bar_width = round(row * 3.6)
    width = name_width + bar_width + 3 * pad
    height = row * len(EMOTIONS) + 2 * pad
    gap = canvas.gap_px + canvas.line_px
    beside = [
        _Area(left, top, width, height).moved_along(canvas.height)
        for left in (box.right + gap, box.left - gap - width)
        for top in (box.top, box.bottom - height)
    ]
    beneath = [
        _Area(box.left, top, width, height).moved_across(canvas.width)
        for top in (box.bottom + gap, box.top - gap - height)
    ]
    area = canvas.place(beside + beneath)
    if area is None:
        return
    canvas.fill(area, _DARK, _PANEL_OPACITY)
    bar_left = area.left + name_width + 2 * pad
    bar_height = max(3, round(row * 0.5))
    top_emotion = prediction.emotion
    for position, name in enumerate(EMOTIONS):
        middle = area.top + pad + row * position + row // 2
        ink = _LIGHT if name == top_emotion else _MUTED
        canvas.text(name, area.left + pad, middle, size, ink)
        track = _Area(bar_left, middle - bar_height // 2, bar_width, bar_height)
        canvas.fill(track, _LIGHT, 0.14)
        share = float(np.clip(prediction.probabilities[position], 0, 1))
        length = round(bar_width * share)
        if length:
            bar = _Area(bar_left, track.top, length, bar_height)
            canvas.fill(bar, rgb_from_hex(emotion_color(name)))


@functools.lru_cache(maxsize=2048)
def _text_mask(text: str, height_px: int) -> NDArray[np.uint8]:
    """Draw text as `(height, width)` coverage, 0 to 255, with capitals about 0.72 `height_px` tall.

    OpenCV's fonts are strokes of a whole number of pixels; drawn large and scaled down they
    come out even and at any size. Kept, for the same few words come in every frame.
    """
    scale = _OVERSAMPLING * 0.72 * height_px / _FONT_CAPITAL_PX
    thickness = max(1, round(_OVERSAMPLING * height_px * 0.085))
    (width, ascent), descent = cv2.getTextSize(text, _FONT, scale, thickness)
    columns = math.ceil((width + thickness) / _OVERSAMPLING)
    # Equal room above and below the capitals puts their middle into the mask's.
    margin = descent + thickness
    rows = math.ceil((ascent + 2 * margin) / _OVERSAMPLING)
    large = np.zeros((rows * _OVERSAMPLING, columns * _OVERSAMPLING), np.uint8)
    origin = (thickness // 2, margin + ascent)
    cv2.putText(large, text, origin, _FONT, scale, 255, thickness, cv2.LINE_AA)
    mask = cv2.resize(large, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(mask, dtype=np.uint8)
