"""What a layout wrote, and what it wrote it with: names, pictures and the truth beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from emotrace.errors import OutputError, UsageError
from emotrace.labels import EMOTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.synth.truth import Partition, SynthClip, SynthFace, SynthFrame

ACTIVE_FROM: Final = 0.1
"""An action unit of less than this intensity rounds to nothing on FACS's scale of five grades."""

NO_EMOTION: Final = -1
_JPEG_QUALITY: Final = 95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrittenLabels:
    """The labels of n frames, rounded as the layout rounds them."""

    frame_index: NDArray[np.int64]
    """`(n,)`: frame number in the clip."""
    emotion: NDArray[np.int8]
    """`(n,)`: index into `EMOTIONS`, or -1 where the layout holds none."""
    valence: NDArray[np.float32]
    """`(n,)`, NaN for none."""
    arousal: NDArray[np.float32]
    """`(n,)`, NaN for none."""
    action_units: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    """FACS number to `(n,)`: 1 active, 0 not, NaN not labelled."""
    action_unit_intensities: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    """FACS number to `(n,)` in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrittenClip:
    """One clip as it lies on disk now, in the layout's own names: what a reader must give back."""

    source_id: str
    """The synthetic clip's `clip_id`."""
    clip_id: str
    """The name under which the layout knows it."""
    subject: str | None
    """The name that the layout gives the person; None where it names nobody."""
    partition: Partition | None
    """None where the layout has no parts."""
    emotion: str | None
    """None where the layout does not label clips."""
    frame_count: int
    """Pictures, or frames of the video."""
    labels: WrittenLabels | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A clip that the layout has no place for."""

    source_id: str
    reason: str


Outcome = WrittenClip | LeftOut


class SubjectNames:
    """Gives each synthetic person a name of the layout's own, in order of appearance."""

    def __init__(self, names: Sequence[str]) -> None:
        self._free = list(reversed(names))
        self._given: dict[str, str] = {}

    def name(self, subject: str) -> str | None:
        """Return the person's name; None where all are given away."""
        if subject not in self._given:
            if not self._free:
                return None
            self._given[subject] = self._free.pop()
        return self._given[subject]


def face_of(frame: SynthFrame, subject: str) -> SynthFace | None:
    """Return the face of a person in a frame, or None where it is outside of the picture."""
    return next((face for face in frame.faces if face.subject == subject), None)


def emotion_code(face: SynthFace | None, known: Mapping[str, int]) -> int:
    """Return a face's expression in a layout's codes, -1 for no face or no such code."""
    return NO_EMOTION if face is None else known.get(face.emotion, NO_EMOTION)


def round_to(value: float, digits: int) -> float:
    """Round as a file with so many decimals does; never to minus zero, which no file shows."""
    return round(value, digits) + 0.0


def peak_face(clip: SynthClip) -> tuple[SynthFrame, SynthFace] | None:
    """Return the frame in which the clip's person shows most, and their face; None for no face."""
    best: tuple[SynthFrame, SynthFace] | None = None
    for frame in clip.frames():
        face = face_of(frame, clip.subject)
        if face is not None and (best is None or face.intensity > best[1].intensity):
            best = (frame, face)
    return best


def crop_square(
    image_rgb: NDArray[np.uint8],
    box_xywh_px: tuple[float, float, float, float],
    *,
    size_px: int,
    scale: float,
) -> NDArray[np.uint8]:
    """Cut a square around a face and bring it to `size_px`; beyond the picture, its edge repeats.

    Args:
        image_rgb: `(height, width, 3)`, uint8.
        box_xywh_px: The face.
        size_px: The side of the result.
        scale: The square's side, in sides of the face's longer side.

    Returns:
        `(size_px, size_px, 3)`, uint8.
    """
    x, y, w, h = box_xywh_px
    zoom = size_px / (scale * max(w, h))
    centre = size_px / 2
    matrix = np.array(
        [[zoom, 0, centre - zoom * (x + w / 2)], [0, zoom, centre - zoom * (y + h / 2)]]
    )
    # Bilinear sampling skips pixels when it shrinks; the blur that scikit-image's `resize` puts
    # before it keeps them from showing up as jagged lines.
    if zoom < 1:
        sigma = max((1 / zoom - 1) / 2, 1e-3)
        image_rgb = np.asarray(cv2.GaussianBlur(image_rgb, (0, 0), sigma), np.uint8)
    crop = cv2.warpAffine(image_rgb, matrix, (size_px, size_px), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def to_grey(image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn `(height, width, 3)` into `(height, width)`."""
    return np.asarray(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a picture, grey or RGB, in the format that its ending names.

    Raises:
        OutputError: It cannot be written.
    """
    if image.ndim == 3:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix.startswith(".jp") else []
    is_encoded, blob = cv2.imencode(path.suffix, image, options)
    if not is_encoded:
        raise UsageError(f"expected a picture format that OpenCV writes; got {path.suffix!r}")
    write_bytes(path, blob.tobytes())


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 with plain line ends, and the folders above it.

    Raises:
        OutputError: It cannot be written.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file and the folders above it.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise OutputError(
            f"expected to write {path}; got: {error.strerror or error}; "
            "free some space or choose another folder"
        ) from error


def per_frame_labels(
    faces: Sequence[SynthFace | None],
    *,
    emotions: Mapping[str, int] | None,
    digits: int | None,
    units: Sequence[int] = (),
    intensity_digits: int | None = None,
) -> WrittenLabels:
    """Build the truth of consecutive frames as a layout rounds it.

    Args:
        faces: One for each frame; None for none, which is a frame without labels.
        emotions: Our names to the layout's codes; None where it has no expressions.
        digits: Decimals of valence and arousal; None where it has none of them.
        units: The action units that it labels.
        intensity_digits: Decimals of their intensities; None where it has none.
    """
    count = len(faces)

    def series(value: Callable[[SynthFace], float]) -> NDArray[np.float32]:
        return np.array([np.nan if f is None else value(f) for f in faces], np.float32)

    nothing = np.full(count, np.nan, np.float32)
    shown = [EMOTIONS.index(f.emotion) if f is not None else NO_EMOTION for f in faces]
    has_code = [emotion_code(face, emotions or {}) != NO_EMOTION for face in faces]
    return WrittenLabels(
        frame_index=np.arange(count, dtype=np.int64),
        emotion=np.where(has_code, shown, NO_EMOTION).astype(np.int8),
        valence=nothing if digits is None else series(lambda f: round_to(f.valence, digits)),
        arousal=nothing if digits is None else series(lambda f: round_to(f.arousal, digits)),
        action_units={
            unit: series(lambda f, u=unit: is_active(f, u))  # type: ignore[misc]
            for unit in units
        },
        action_unit_intensities={
            unit: series(lambda f, u=unit, d=digits_: round_to(f.action_units[u], d))  # type: ignore[misc]
            for digits_ in (() if intensity_digits is None else (intensity_digits,))
            for unit in units
        },
    )


def is_active(face: SynthFace, unit: int) -> float:
    """Return 1 for an active action unit, 0 for another, NaN where the renderer has none such."""
    intensity = face.action_units.get(unit)
    return np.nan if intensity is None else float(intensity >= ACTIVE_FROM)
