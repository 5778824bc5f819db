"""People in front of a camera: who stands where, who hides whom, and what is true of each face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from emotrace.synth.action_units import ACTION_UNITS
from emotrace.synth.dynamics import shown_state
from emotrace.synth.head import Head, Layer, Pose, choose_scale, prepare_head
from emotrace.synth.truth import SynthFace, SynthFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from emotrace.synth.camera import Camera
    from emotrace.synth.dynamics import Dynamics
    from emotrace.synth.identity import Identity
    from emotrace.synth.light import Light
    from emotrace.synth.performance import Moment, Performance

FACE_HEIGHT_UNITS: Final = 2.0
"""From hairline to chin of an average face, in face units."""
FACE_MIDDLE_V: Final = 0.2
"""The height of the middle between them."""
_SWAY_SHARE: Final = 0.04
"""A head sways by this share of its face's height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a person stands."""

    start: tuple[float, float]
    """The middle of the face at the shot's first state: shares of the picture's width, height."""
    end: tuple[float, float]
    """At its last state; in between the person walks evenly."""
    face_height_px: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Actor:
    """One person in one shot."""

    face_id: int
    identity: Identity
    performance: Performance
    place: Place
    depth_rank: int
    """0 is nearest to the camera."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shot:
    """What the camera sees without a cut."""

    first_state: int
    count: int
    room: NDArray[np.uint8]
    """`(height, width, 3)`."""
    light: Light
    actors: tuple[Actor, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """A whole clip, ready to be drawn."""

    shots: tuple[Shot, ...]
    camera: Camera
    dynamics: Dynamics
    count: int
    frame_rate: float

    def frames(self) -> Iterator[SynthFrame]:
        """Draw the frames in the order in which the dynamics show the states."""
        before: Shot | None = None
        for index in range(self.count):
            state = shown_state(self.dynamics, index, self.count)
            shot = next(s for s in self.shots if state < s.first_state + s.count)
            image, faces = draw_state(shot, state)
            yield SynthFrame(
                index=index,
                timestamp_seconds=index / self.frame_rate,
                image_rgb=self.camera.take(image, state),
                faces=faces,
                is_cut=before is not None and shot is not before,
            )
            before = shot


def draw_state(shot: Shot, state: int) -> tuple[NDArray[np.uint8], tuple[SynthFace, ...]]:
    """Draw the people of a shot from the farthest to the nearest.

    Returns:
        The picture, `(height, width, 3)`, and the truth of every face that is partly in it.
    """
    image = shot.room.copy()
    height, width = image.shape[:2]
    drawn: list[_DrawnFace] = []
    for actor in sorted(shot.actors, key=lambda one: -one.depth_rank):
        moment = actor.performance.at(state)
        pose = _pose_of(actor, moment, shot, state, (width, height))
        head = prepare_head(actor.identity, shot.light, choose_scale(pose.px_per_unit))
        for layer in head.draw(moment.face, pose):
            lay_over(image, layer)
            for face in drawn:
                face.hide_behind(layer)
        drawn.append(_DrawnFace(actor, moment, head, pose))
    faces = [face.truth(width, height) for face in drawn]
    seen = sorted((face for face in faces if face is not None), key=lambda face: face.face_id)
    return image, tuple(seen)


def _pose_of(actor: Actor, moment: Moment, shot: Shot, state: int, size: tuple[int, int]) -> Pose:
    place = actor.place
    walked = (state - shot.first_state) / max(1, shot.count - 1)
    sway = _SWAY_SHARE * place.face_height_px
    middle = [
        (start + walked * (end - start)) * length + sway * swayed
        for start, end, length, swayed in zip(
            place.start, place.end, size, moment.sway, strict=True
        )
    ]
    px_per_unit = place.face_height_px / FACE_HEIGHT_UNITS
    return Pose(
        yaw_degrees=moment.yaw_degrees,
        pitch_degrees=moment.pitch_degrees,
        roll_degrees=moment.roll_degrees,
        centre_px=(middle[0], middle[1] - FACE_MIDDLE_V * px_per_unit),
        px_per_unit=px_per_unit,
    )


class _DrawnFace:
    """A face that has been drawn, and how much of it still shows."""

    def __init__(self, actor: Actor, moment: Moment, head: Head, pose: Pose) -> None:
        self._actor = actor
        self._moment = moment
        self._outline = head.outline_px(moment.face, pose)
        low = np.floor(self._outline.min(axis=0)).astype(int)
        high = np.ceil(self._outline.max(axis=0)).astype(int) + 1
        self._left, self._top = int(low[0]), int(low[1])
        self._size = (int(high[0] - low[0]), int(high[1] - low[1]))
        self._mask: NDArray[np.float32] | None = None
        self._area = 0.0

    def hide_behind(self, layer: Layer) -> None:
        """Take away what a nearer layer covers."""
        rows, columns = layer.rgba.shape[:2]
        place = _overlap(
            (self._left, self._top, *self._size), (layer.left, layer.top, columns, rows)
        )
        if place is None:
            return
        own, other = place
        cover = np.float32(1 / 255) * layer.rgba[other][..., 3]
        self._shown()[own] *= 1 - cover

    def truth(self, width: int, height: int) -> SynthFace | None:
        """Return what is true of the face; None where no part of it is in the picture."""
        inside = _overlap((self._left, self._top, *self._size), (0, 0, width, height))
        if inside is None:
            return None
        columns, rows = self._size
        is_whole = self._left >= 0 and self._top >= 0
        is_whole = is_whole and self._left + columns <= width and self._top + rows <= height
        visible = 1.0
        if self._mask is not None or not is_whole:
            shown = self._shown()[inside[0]]
            visible = float(shown.sum()) / max(self._area, 1e-6)
        affect, units = self._moment.affect, self._moment.face.units
        (x0, y0), (x1, y1) = self._outline.min(axis=0), self._outline.max(axis=0)
        return SynthFace(
            face_id=self._actor.face_id,
            subject=self._actor.identity.name,
            # Whole numbers of an outline are centres of pixels; a box has the pixels' edges.
            box_xywh_px=(float(x0) + 0.5, float(y0) + 0.5, float(x1 - x0), float(y1 - y0)),
            visible_share=min(1.0, visible),
            depth_rank=self._actor.depth_rank,
            action_units={number: units.get(number, 0.0) for number in ACTION_UNITS},
            emotion=affect.emotion,
            intensity=affect.intensity,
            valence=affect.valence,
            arousal=affect.arousal,
        )

    def _shown(self) -> NDArray[np.float32]:
        if self._mask is None:
            columns, rows = self._size
            filled = np.zeros((rows, columns), np.uint8)
            points = np.rint((self._outline - (self._left, self._top)) * 16).astype(np.int32)
            cv2.fillPoly(filled, [points], (255,), cv2.LINE_AA, 4)
            self._mask = np.float32(1 / 255) * filled
            self._area = float(self._mask.sum())
        return self._mask


def lay_over(image: NDArray[np.uint8], layer: Layer) -> None:
    """Lay a layer over a picture in place, `(height, width, 3)`; what lies outside is cut off."""
    rows, columns = layer.rgba.shape[:2]
    height, width = image.shape[:2]
    place = _overlap((0, 0, width, height), (layer.left, layer.top, columns, rows))
    if place is None:
        return
    own, other = place
    cut = layer.rgba[other]
    cover = np.ascontiguousarray(cut[..., 3])
    colour = cv2.cvtColor(np.ascontiguousarray(cut), cv2.COLOR_RGBA2RGB)
    over = cv2.merge([cover, cover, cover])
    under = np.ascontiguousarray(image[own])
    mixed = cv2.add(
        cv2.multiply(colour, over, scale=1 / 255),
        cv2.multiply(under, cv2.bitwise_not(over), scale=1 / 255),
    )
    image[own] = mixed


def _overlap(
    first: tuple[int, int, int, int], second: tuple[int, int, int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """Return the common part of two boxes (left, top, width, height), as slices of each."""
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right = min(first[0] + first[2], second[0] + second[2])
    bottom = min(first[1] + first[3], second[1] + second[3])
    if right <= left or bottom <= top:
        return None

    def within(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
        return (slice(top - box[1], bottom - box[1]), slice(left - box[0], right - box[0]))

    return within(first), within(second)
