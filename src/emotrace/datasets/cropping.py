"""One clip: its frames, the faces in them, and which of the faces the labels are about."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import cv2
import numpy as np

from emotrace.datasets.items import content_hash
from emotrace.datasets.media import read_picture
from emotrace.datasets.records import ImageRef
from emotrace.datasets.shards import DETECTED, NO_CROP, NO_FACE, SHARD_SCHEMA, TRACKED
from emotrace.errors import UsageError
from emotrace.faces import BoxMapping, CropGeometry, FaceFollower, extract_crop
from emotrace.timeline import Detection, FaceSource, Frame, TrackedFace
from emotrace.video import VideoReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from emotrace.datasets.records import ClipRecord
    from emotrace.datasets.shards import PixelWriter
    from emotrace.faces import Detector

_NOMINAL_FRAME_RATE: Final = 25.0
"""The tracker needs times; for pictures without any it takes this many a second."""
_ALIKE_SIZE: Final = 2.0
"""Another track stands in for the subject only if its faces are at most so much larger or smaller:
false alarms in the background are mostly far smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSettings:
    """How faces are found and cut out; what a shard's content follows from.

    Raises:
        UsageError: A value cannot work.
    """

    crop: CropGeometry = field(default_factory=lambda: CropGeometry(size_px=96))
    """rangulov2020 reads 96 x 96; salinas2018 170, tzirakis2021 150 cut from 170."""
    color: Literal["rgb", "grey"] = "rgb"
    detector: str = "auto"
    """A detector's name, or `none`: the pictures are face crops already (FER2013, Aff-Wild2's
    `cropped_aligned`, Oulu-CASIA's `PreProcess_Img`) and are only resized."""
    detect_every: int = 1
    """Look for faces in every N-th frame and follow them in between."""
    search_every: int = 5
    """Search the whole picture in every N-th frame, and only around known faces in between, as
    analysing does (`emotrace.faces.FaceSearch`)."""
    faces: Literal["subject", "all"] = "subject"
    """`subject`: the face that the labels are about (see `subject_tracks`); `all`: everybody."""

    def __post_init__(self) -> None:
        for name in ("detect_every", "search_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"expected {name} of at least 1; got {getattr(self, name)}")
        if self.color not in ("rgb", "grey") or self.faces not in ("subject", "all"):
            raise UsageError(
                "expected color 'rgb' or 'grey' and faces 'subject' or 'all'; "
                f"got {self.color!r} and {self.faces!r}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of a crop."""
        return (self.crop.size_px, self.crop.size_px, 3 if self.color == "rgb" else 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CroppedClip:
    """What was found in one clip."""

    columns: dict[str, NDArray[Any]]
    """Those of `SHARD_SCHEMA`, by frame (by face, then frame, of `all`); every frame has a row."""
    facts: dict[str, Any]
    """`clip_id`, `frame_count`, `other_face_count`, `notes`."""


def crop_clip(
    record: ClipRecord,
    writer: PixelWriter,
    settings: CropSettings,
    detector: Detector | None,
) -> CroppedClip:
    """Find, follow and cut out the faces of a clip, frame by frame.

    Args:
        record: The clip.
        writer: Where the crops go.
        settings: How.
        detector: None where the pictures are face crops already.

    Raises:
        DatasetError: A picture is missing or does not decode.
        InputError: The video cannot be read.
    """
    start = writer.count
    columns: dict[str, list[Any]] = defaultdict(list)
    sights = _Sights(detector, settings)
    frame_count = 0
    notes: list[str] = []
    for frame in _frames(record, notes):
        frame_count += 1
        faces, is_cut = sights.look(frame)
        mapping = BoxMapping() if detector is None else detector.canonical
        for face in faces:
            crop = extract_crop(
                frame.image_rgb, face.detection, mapping=mapping, geometry=settings.crop
            )
            if settings.color == "grey":
                crop = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[:, :, None], np.uint8)
            _add_row(columns, frame, face, is_cut, writer.append(crop), content_hash(crop))
        if not faces:
            _add_row(columns, frame, None, is_cut, NO_CROP, 0)
    arrays = {
        name: np.asarray(columns[name], SHARD_SCHEMA.field(name).type.to_pandas_dtype())
        for name in SHARD_SCHEMA.names
        if name not in ("clip", "is_subject")
    }
    arrays["clip"] = np.zeros(len(arrays["frame"]), np.int32)
    others = _mark_subject(arrays)
    if settings.faces == "subject":
        _drop_others(arrays, writer, start)
    else:  # the rows of a face next to one another, so that a window is a stretch of rows
        order = np.lexsort((arrays["frame"], arrays["face_id"]))
        arrays = {name: column[order] for name, column in arrays.items()}
    return CroppedClip(
        columns=arrays,
        facts={
            "clip_id": record.clip_id,
            "frame_count": frame_count,
            "other_face_count": others,
            "notes": notes,
        },
    )


def subject_tracks(
    face_id: NDArray[np.int64], frame: NDArray[np.int64], side_px: NDArray[np.float64]
) -> set[int]:
    """Choose the tracks that show the person whom the labels are about: the most prominent.

    The track with the largest sum of sizes over time is one. A person whose track broke (a shot
    cut, a long absence) has several, so others join it, largest sum first, if they share no frame
    with those chosen before and their faces are of alike size. Somebody else who is shown alone
    (an interviewer between cuts) cannot be told from the subject this way.

    Args:
        face_id: `(n,)`: track of each sight.
        frame: `(n,)`: its frame number.
        side_px: `(n,)`: size of its box.
    """
    ids, group = np.unique(face_id, return_inverse=True)
    prominence = np.bincount(group, weights=side_px, minlength=len(ids))
    typical = prominence / np.maximum(np.bincount(group, minlength=len(ids)), 1)
    chosen: set[int] = set()
    taken: set[int] = set()
    main: int | None = None
    for at in np.argsort(-prominence, kind="stable").tolist():
        frames = set(frame[group == at].tolist())
        if main is not None:
            ratio = typical[at] / typical[main]
            if taken & frames or not 1 / _ALIKE_SIZE <= ratio <= _ALIKE_SIZE:
                continue
        main = at if main is None else main
        chosen.add(int(ids[at]))
        taken |= frames
    return chosen


class _Sights:
    """The faces of a clip's frames, one frame after the other."""

    def __init__(self, detector: Detector | None, settings: CropSettings) -> None:
        self._follower = (
            None
            if detector is None
            else FaceFollower(
                detector, detect_every=settings.detect_every, search_every=settings.search_every
            )
        )

    def look(self, frame: Frame) -> tuple[list[TrackedFace], bool]:
        """Return the frame's faces, and whether it is the first of a new shot."""
        image = frame.image_rgb
        if self._follower is None:
            height, width = image.shape[:2]
            whole = Detection(box_xywh_px=(0.0, 0.0, float(width), float(height)), score=1.0)
            return [TrackedFace(face_id=1, detection=whole, source=FaceSource.DETECTED)], False
        time = frame.timestamp_seconds
        if math.isnan(time):
            time = frame.index / _NOMINAL_FRAME_RATE
        return self._follower.look(image, frame_index=frame.index, timestamp_seconds=time)


def _frames(record: ClipRecord, notes: list[str]) -> Iterator[Frame]:
    """Yield a clip's frames; times are the container's, or the data set's for pictures, or NaN."""
    if isinstance(record.media, Path):
        with VideoReader(record.media, decode_threads=1) as reader:
            yield from reader
            notes.extend(reader.facts().notes)
        return
    numbers = record.picture_frame_index()
    times = np.full(len(numbers), np.nan)
    if record.frame_rate:
        times = numbers / record.frame_rate
    labels = record.frame_labels
    if labels is not None and labels.timestamp_seconds is not None:
        known = dict(zip(labels.frame_index.tolist(), labels.timestamp_seconds, strict=True))
        times = np.array(
            [known.get(number, time) for number, time in zip(numbers.tolist(), times, strict=True)]
        )
    for place, (number, time) in enumerate(zip(numbers.tolist(), times.tolist(), strict=True)):
        if isinstance(record.media, ImageRef):
            image = np.repeat(record.media.read()[:, :, None], 3, axis=2)
        else:
            image = read_picture(record.media[place])
        yield Frame(index=number, timestamp_seconds=time, image_rgb=image)


def _add_row(
    columns: dict[str, list[Any]],
    frame: Frame,
    face: TrackedFace | None,
    is_cut: bool,
    crop: int,
    hashed: int,
) -> None:
    source, box, score, face_id = NO_FACE, (math.nan,) * 4, math.nan, 0
    if face is not None:
        source = DETECTED if face.source is FaceSource.DETECTED else TRACKED
        box, score, face_id = face.detection.box_xywh_px, face.detection.score, face.face_id
    row = {
        "frame": frame.index,
        "timestamp": frame.timestamp_seconds,
        "face_id": face_id,
        "face_source": source,
        "face_score": score,
        **dict(zip("xywh", box, strict=True)),
        "is_cut": is_cut,
        "crop": crop,
        "content_hash": hashed,
    }
    for name, value in row.items():
        columns[name].append(value)


def _mark_subject(arrays: dict[str, NDArray[Any]]) -> int:
    """Add the column `is_subject`; return how many sights of others there are."""
    has_face = arrays["face_id"] > 0
    chosen = subject_tracks(
        arrays["face_id"][has_face].astype(np.int64),
        arrays["frame"][has_face],
        np.sqrt(np.maximum(arrays["w"] * arrays["h"], 0.0))[has_face].astype(np.float64),
    )
    arrays["is_subject"] = has_face & np.isin(arrays["face_id"], sorted(chosen))
    return int(np.sum(has_face & ~arrays["is_subject"]))


def _drop_others(arrays: dict[str, NDArray[Any]], writer: PixelWriter, start: int) -> None:
    """Take everybody but the subject out of rows and crops; every frame keeps one row."""
    is_subject, has_crop = arrays["is_subject"], arrays["crop"] >= 0
    if np.array_equal(is_subject, has_crop):
        return
    writer.keep(start, is_subject[has_crop])
    seen = set(arrays["frame"][is_subject].tolist())
    kept = is_subject.copy()
    for row, number in enumerate(arrays["frame"].tolist()):
        if number not in seen:
            seen.add(number)
            kept[row] = True
    blank = kept & ~is_subject
    for name, value in (("face_id", 0), ("face_source", NO_FACE), ("content_hash", 0)):
        arrays[name][blank] = value
    for name in ("face_score", "x", "y", "w", "h"):
        arrays[name][blank] = np.nan
    arrays["crop"] = np.where(is_subject, start + np.cumsum(is_subject) - 1, NO_CROP)
    for name in arrays:
        arrays[name] = arrays[name][kept]
