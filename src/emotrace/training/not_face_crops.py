"""Pictures that show no face, cut from real and synthetic footage as a detector would cut a face.

Four sources teach the face head (`emotrace.training.face_head`) what detectors take for faces:

- **Footage** whose faces are known: none at all, or those that a detector finds at its most
  permissive. Random boxes are cut where no face is, and so is whatever the detectors report there
  when they are told to believe everything: their false alarms, the very pictures to be refused.
- **Synthetic scenes** (`emotrace.synth`), whose faces are known exactly: rooms, clothes, hair.
- **Parts of faces**: one eye, a mouth, a cheek, enlarged to a whole crop. Cascades find faces in
  them.
- **Pictures made from faces** (`emotrace.training.not_faces`), as in the training of the network.

What is cut from footage and scenes is cut by `emotrace.faces.extract_crop`, as `analyze` does, and
made grey as `emotrace.bundle` does: such crops differ from faces in what they show, not in how they
were cut.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch

from emotrace.errors import UsageError
from emotrace.faces import (
    BoxMapping,
    CropGeometry,
    Detector,
    canonical_square,
    extract_crop,
)
from emotrace.faces.association import Box, box_iou, covered_share
from emotrace.synth import CameraSettings, SceneSettings, make_scene
from emotrace.timeline import Detection
from emotrace.training.not_faces import make_not_faces
from emotrace.training.permissive_detectors import face_finder, permissive_detectors
from emotrace.video import VideoReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from emotrace.timeline import Frame

_WHOLE_SQUARE: Final = BoxMapping()
_LIGHTS: Final = ("normal", "strong", "weak")
_PEOPLE: Final = 3
_SCENE_SECONDS: Final = 4
_DRAWN_TO_SQUARE: Final = 1.1
"""The canonical square about a drawn face's box, as in `benchmarks/tracking_on_synthetic.py`."""


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A video or picture of which it is known where its faces are, or that it has none."""

    path: Path
    start_seconds: float = 0.0
    end_seconds: float = float("inf")
    """Frames from `start_seconds` to before `end_seconds` (presentation times) are looked at."""
    has_faces: bool = False
    """False: it is known to hold no face. True: faces are where the finder of `mine_footage` sees
    them, and crops are cut elsewhere."""


@dataclass(frozen=True, kw_only=True)
class MiningSettings:
    """How many crops are cut, and which."""

    frames_per_footage: int = 8
    """Frames looked at, spread evenly over a video."""
    random_boxes: int = 8
    """Cut from each frame at random places and sizes."""
    most_false_alarms: int = 12
    """Taken from each frame and detector at most, at random, so that none fills the set."""
    least_side_px: float = 16.0
    """Of random boxes; smaller ones hold nothing to learn from."""
    most_side_share: float = 0.7
    """Of random boxes, of the picture's shorter side."""
    most_overlap: float = 0.2
    """A detector's box that shares more than this with a face (intersection over union of their
    canonical squares) may be that face, badly framed, and is left alone. Random boxes share nothing
    with a face."""
    geometry: CropGeometry = field(default_factory=lambda: CropGeometry(align="eyes"))
    """How a box is cut; that of the bundle."""

    def __post_init__(self) -> None:
        for name in ("frames_per_footage", "random_boxes", "most_false_alarms"):
            if getattr(self, name) < 0:
                raise UsageError(f"expected {name} of 0 or more; got {getattr(self, name)}")
        if not 0 < self.most_side_share <= 1:
            raise UsageError(f"expected most_side_share in (0, 1]; got {self.most_side_share}")


def gather_not_faces(
    faces: NDArray[np.uint8],
    footage: Sequence[Footage],
    *,
    folder: Path | None = None,
    scenes: int = 16,
    seed: int,
    settings: MiningSettings | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, NDArray[np.uint8]]:
    """Gather pictures without a face from all sources.

    Args:
        faces: `(n, size, size)`, uint8 grey: each gives one of its parts, and one picture made of
            it (`emotrace.training.not_faces`).
        footage: Real footage; may be empty.
        folder: Where detector files lie; see `permissive_detectors`.
        scenes: Synthetic ones.
        seed: Of everything drawn.
        settings: How many crops a picture gives.
        tell: Told what is looked at next; footage takes a while.

    Returns:
        `(n, size, size)` uint8 by source: the path of each footage (of stretches of the same file,
        all), then `scenes`, `parts` and `made`.

    Raises:
        UsageError: Footage has faces and YuNet, which would find them, is not in `folder`.
        InputError: A file cannot be read.
    """
    settings = settings or MiningSettings()
    detectors, finder = permissive_detectors(folder), face_finder(folder)
    found: dict[str, list[NDArray[np.uint8]]] = {}
    for number, one in enumerate(footage, start=1):
        if tell is not None:
            tell(f"what is no face: {one.path.name} ({number} of {len(footage)})")
        crops = mine_footage(one, detectors, finder=finder, seed=seed, settings=settings)
        found.setdefault(one.path.as_posix(), []).append(crops)
    gathered = {name: np.concatenate(parts) for name, parts in found.items()}
    if tell is not None and scenes:
        tell(f"what is no face: {scenes} drawn scenes")
    gathered["scenes"] = mine_scenes(scenes, detectors, seed=seed, settings=settings)
    gathered["parts"] = cut_parts(faces, seed=seed)
    made = make_not_faces(
        torch.from_numpy(faces[:, None].astype(np.float32) / 255),
        torch.Generator().manual_seed(seed),
    )
    gathered["made"] = made[:, 0].mul(255).round().to(torch.uint8).numpy()
    return gathered


def mine_footage(
    footage: Footage,
    detectors: Sequence[Detector],
    *,
    finder: Detector | None = None,
    seed: int,
    settings: MiningSettings | None = None,
) -> NDArray[np.uint8]:
    """Cut pictures without a face from a video or picture.

    Args:
        footage: What is known of it.
        detectors: Whose false alarms are wanted; see `permissive_detectors`.
        finder: Says where the faces are, for footage that has some.
        seed: Of the random boxes.
        settings: How many crops.

    Returns:
        `(n, size, size)`, uint8 grey; n is 0 where no frame lies in the stretch.

    Raises:
        UsageError: The footage has faces and there is no finder.
        InputError: The file cannot be read.
    """
    settings = settings or MiningSettings()
    if footage.has_faces and finder is None:
        raise UsageError(
            f"expected a detector that says where {footage.path} has faces; got None; "
            "see face_finder"
        )
    random = np.random.default_rng([seed, 1])
    crops: list[NDArray[np.uint8]] = []
    for frame in _spread_frames(footage, settings.frames_per_footage):
        faces: list[Box] = []
        if footage.has_faces and finder is not None:
            faces = [square_box(item, finder.canonical) for item in finder.detect(frame.image_rgb)]
        crops += cut_not_faces(frame.image_rgb, faces, detectors, random, settings)
    return _stacked(crops, settings)


def mine_scenes(
    scenes: int,
    detectors: Sequence[Detector],
    *,
    seed: int,
    settings: MiningSettings | None = None,
) -> NDArray[np.uint8]:
    """Cut pictures without a face from synthetic scenes of three people each.

    Args:
        scenes: How many; four frames of each are looked at.
        detectors: Whose false alarms are wanted.
        seed: Of the scenes and the random boxes.
        settings: How many crops.

    Returns:
        `(n, size, size)`, uint8 grey.
    """
    settings = settings or MiningSettings()
    random = np.random.default_rng([seed, 2])
    crops: list[NDArray[np.uint8]] = []
    for number in range(scenes):
        first = 1 + _PEOPLE * number
        scene = make_scene(
            SceneSettings(
                clip_id=f"not_faces_{number}",
                subjects=tuple(range(first, first + _PEOPLE)),
                emotions=(None,) * _PEOPLE,
                # A frame a second: the people walk, so every frame is another picture.
                frame_count=_SCENE_SECONDS,
                frame_rate=1.0,
                light=_LIGHTS[number % len(_LIGHTS)],
                camera=CameraSettings(noise=float(random.uniform(0, 6))),
                seed=seed + number,
            )
        )
        for frame in scene.frames():
            faces = [_drawn_square(face.box_xywh_px) for face in frame.faces]
            crops += cut_not_faces(frame.image_rgb, faces, detectors, random, settings)
    return _stacked(crops, settings)


def cut_not_faces(
    image_rgb: NDArray[np.uint8],
    faces: Sequence[Box],
    detectors: Sequence[Detector],
    random: np.random.Generator,
    settings: MiningSettings,
) -> list[NDArray[np.uint8]]:
    """Cut random boxes and the detectors' false alarms from one picture.

    Args:
        image_rgb: `(height, width, 3)`, uint8.
        faces: The canonical squares of all its faces.
        detectors: Whose false alarms are wanted.
        random: Draws the boxes.
        settings: How many, and how near to a face.

    Returns:
        Grey crops, each `(size, size)`, uint8.
    """
    crops = []
    for box in _random_boxes(image_rgb.shape[1], image_rgb.shape[0], faces, random, settings):
        detection = Detection(box_xywh_px=box, score=1.0)
        crops.append(cut_grey(image_rgb, detection, _WHOLE_SQUARE, settings.geometry))
    for detector in detectors:
        alarms = [
            item
            for item in detector.detect(image_rgb)
            if _is_clear_of(square_box(item, detector.canonical), faces, settings.most_overlap)
        ]
        chosen = random.permutation(len(alarms))[: settings.most_false_alarms]
        crops += [
            cut_grey(image_rgb, alarms[at], detector.canonical, settings.geometry)
            for at in sorted(chosen.tolist())
        ]
    return crops


def cut_parts(
    faces: NDArray[np.uint8], *, seed: int, sides: tuple[float, float] = (0.25, 0.45)
) -> NDArray[np.uint8]:
    """Cut one part out of each face and enlarge it to a whole crop: an eye, a mouth, a cheek.

    Args:
        faces: `(n, size, size)`, uint8 grey.
        seed: Of places and sizes.
        sides: Least and largest side of a part, as shares of the face picture's.

    Returns:
        `(n, size, size)`, uint8.
    """
    random = np.random.default_rng([seed, 3])
    made = np.empty_like(faces)
    size = faces.shape[1]
    for at, face in enumerate(faces):
        side = max(2, round(size * float(random.uniform(*sides))))
        left, top = random.integers(0, size - side + 1, 2)
        part = np.ascontiguousarray(face[top : top + side, left : left + side])
        made[at] = cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR)
    return made


def cut_grey(
    image_rgb: NDArray[np.uint8],
    detection: Detection,
    mapping: BoxMapping,
    geometry: CropGeometry,
) -> NDArray[np.uint8]:
    """Cut one box as `analyze` does, and make it grey as a bundle does: `(size, size)`, uint8."""
    crop = extract_crop(image_rgb, detection, mapping=mapping, geometry=geometry)
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)


def square_box(detection: Detection, mapping: BoxMapping) -> Box:
    """Return a detection's canonical square as a box: the same for every detector."""
    square = canonical_square(detection, mapping)
    half = square.side_px / 2
    return (square.center_x_px - half, square.center_y_px - half, square.side_px, square.side_px)


def _drawn_square(box: Box) -> Box:
    mapping = BoxMapping(scale=_DRAWN_TO_SQUARE)
    return square_box(Detection(box_xywh_px=box, score=1.0), mapping)


def _is_clear_of(box: Box, faces: Sequence[Box], most_overlap: float) -> bool:
    return all(box_iou(box, face) <= most_overlap for face in faces)


def _random_boxes(
    width: int,
    height: int,
    faces: Sequence[Box],
    random: np.random.Generator,
    settings: MiningSettings,
) -> Iterator[Box]:
    """Draw squares inside the picture that touch no face: as many sizes small as large."""
    most = settings.most_side_share * min(width, height)
    least = min(settings.least_side_px, most)
    for _ in range(settings.random_boxes):
        side = float(np.exp(random.uniform(np.log(least), np.log(most))))
        box = (
            float(random.uniform(0, width - side)),
            float(random.uniform(0, height - side)),
            side,
            side,
        )
        if all(covered_share(box, face) == 0 for face in faces):
            yield box


def _spread_frames(footage: Footage, count: int) -> Iterator[Frame]:
    """Yield up to `count` frames spread evenly over the stretch; reads the file twice."""
    total = sum(1 for _ in _frames_in(footage))
    places = np.linspace(0, total - 1, min(count, total)).round().astype(int)
    wanted = set(places.tolist())
    for place, frame in enumerate(_frames_in(footage)):
        if place in wanted:
            yield frame


def _frames_in(footage: Footage) -> Iterator[Frame]:
    with VideoReader(footage.path, decode_threads=1) as reader:
        for frame in reader:
            if frame.timestamp_seconds >= footage.end_seconds:
                break
            if frame.timestamp_seconds >= footage.start_seconds:
                yield frame


def _stacked(crops: Sequence[NDArray[np.uint8]], settings: MiningSettings) -> NDArray[np.uint8]:
    size = settings.geometry.size_px
    return np.stack(crops) if crops else np.zeros((0, size, size), np.uint8)
