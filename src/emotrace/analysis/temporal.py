"""Running a bundle frame by frame with a memory for each track.

A temporal bundle needs to know what a face looked like before. `TrackPredictor` keeps that for each
track of a video: the last crops (`window`) or the model's own state (`recurrent`). Only the past is
looked at, so that a live view and a recording give the same.

**Same result, however computed.** The model is called once a frame, with all faces of that frame.
What goes into a call is thus decided by the video alone, never by a batch size or by how many
frames wait; and what comes out is that of the network run over the whole track at once.

**Frame rates.** A network that learnt from 25 frames a second takes a step of 1/25 s for granted.
Where the bundle states it (`frame_seconds`), a window takes the crop nearest to each of its times.
A recurrent model takes one step every `frame_seconds`, at the frame nearest to that time; frames in
between are predicted too, each from its own picture and the memory as it is, but leave no trace in
it. In a video with fewer frames it takes a step at every one, and sees all motion faster than it
learnt (`rate_notice` says so).

**Forgetting.** A track's memory is dropped at a shot cut and when the face has been away for longer
than `max_gap_seconds`; memory does not grow with the number of faces seen.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from emotrace.analysis.smoothing import SHORTEST_EXPRESSION_SECONDS
from emotrace.bundle_memory import RecurrentSpec, WindowSpec
from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emotrace.bundle import Bundle, CropPredictions
    from emotrace.bundle_spec import BundleSpec
    from emotrace.timeline import InputFacts

_SLOW_SHARE: Final = 0.75
"""Below this share of the trained frame rate the user is told. 24 frames for 25 are no matter; from
three quarters down, motion looks a third faster or more."""


@dataclass(slots=True, eq=False)
class _Track:
    """What is remembered of one face."""

    seen_seconds: float
    """When it was last seen."""
    away_since_seconds: float | None = None
    """The first frame without it since then; None while it is there."""
    crops: deque[tuple[float, NDArray[np.float32]]] = field(default_factory=deque)
    """Window: times and prepared crops, oldest first."""
    states: tuple[NDArray[np.float32], ...] = ()
    """Recurrent: after the last step."""
    due_seconds: float | None = None
    """Recurrent: when the next step is to be taken; None before the first."""


class TrackPredictor:
    """Predicts the faces of a video frame by frame; works with every bundle.

    Give it every frame, also those without a face, in order::

        predictor = TrackPredictor(bundle)
        for result, crops in frames:
            said = predictor.step(crops, face_ids, result.timestamp_seconds)

    A window that is not full yet is filled up with the track's first crop, so that every frame is
    predicted. Not for several threads at once; one for each video.

    Args:
        bundle: A loaded bundle; it may be shared.
        max_gap_seconds: A face that was away for longer starts afresh. The default is what an
            expression lasts at least: after that the face may have changed unseen.

    Raises:
        UsageError: `max_gap_seconds` is negative.
    """

    def __init__(
        self, bundle: Bundle, *, max_gap_seconds: float = SHORTEST_EXPRESSION_SECONDS
    ) -> None:
        if not max_gap_seconds >= 0:
            raise UsageError(f"expected max_gap_seconds of at least 0; got {max_gap_seconds!r}")
        self.bundle = bundle
        self.max_gap_seconds = max_gap_seconds
        self._tracks: dict[int, _Track] = {}
        self._now_seconds: float | None = None

    @property
    def face_ids(self) -> tuple[int, ...]:
        """The tracks that are remembered."""
        return tuple(self._tracks)

    def start(self) -> None:
        """Forget everything: for the next video."""
        self._tracks.clear()
        self._now_seconds = None

    def step(
        self,
        crops: Sequence[NDArray[np.uint8]],
        face_ids: Sequence[int],
        timestamp_seconds: float,
        *,
        is_cut: bool = False,
    ) -> CropPredictions:
        """Predict the faces of the next frame.

        Args:
            crops: As `Bundle.predict_crops` takes them, one a face.
            face_ids: Whose each is.
            timestamp_seconds: The frame's presentation time, later than the last one's.
            is_cut: The frame is the first of a new shot.

        Returns:
            A row for each crop.

        Raises:
            UsageError: A time that does not rise, another number of ids than crops, an id twice,
                or a crop of another shape or type.
        """
        self._check(crops, face_ids, timestamp_seconds)
        memory = self.bundle.spec.memory
        if memory is None:
            return self.bundle.predict(crops)
        if is_cut:
            self._tracks.clear()
        self._forget(set(face_ids), timestamp_seconds)
        self._now_seconds = timestamp_seconds
        if not len(crops):
            return self.bundle.predict_nothing()
        pixels = self.bundle.prepare(crops)
        tracks = [self._tracks.get(face_id) or _Track(timestamp_seconds) for face_id in face_ids]
        if isinstance(memory, WindowSpec):
            outputs = self._look_back(memory, tracks, pixels, timestamp_seconds)
        else:
            outputs = self._go_on(memory, tracks, pixels, timestamp_seconds)
        for face_id, track in zip(face_ids, tracks, strict=True):
            track.seen_seconds, track.away_since_seconds = timestamp_seconds, None
            self._tracks[face_id] = track
        return self.bundle.interpret(outputs)

    def _check(
        self, crops: Sequence[object], face_ids: Sequence[int], timestamp_seconds: float
    ) -> None:
        if len(crops) != len(face_ids) or len(set(face_ids)) != len(face_ids):
            raise UsageError(
                f"expected a face_id of its own for each of {len(crops)} crops; "
                f"got {list(face_ids)}"
            )
        if self._now_seconds is not None and not timestamp_seconds > self._now_seconds:
            raise UsageError(
                f"expected a time after {self._now_seconds} s; got {timestamp_seconds} s; "
                "call start() for another video"
            )

    def _forget(self, present: set[int], now_seconds: float) -> None:
        """Drop tracks that have been away for too long; note since when others are."""
        for face_id, track in list(self._tracks.items()):
            if face_id not in present and track.away_since_seconds is None:
                track.away_since_seconds = now_seconds
            away_since = track.away_since_seconds
            if away_since is not None and now_seconds - away_since > self.max_gap_seconds:
                del self._tracks[face_id]

    def _look_back(
        self,
        memory: WindowSpec,
        tracks: Sequence[_Track],
        pixels: NDArray[np.float32],
        now_seconds: float,
    ) -> dict[str, NDArray[np.float32]]:
        windows = []
        for track, picture in zip(tracks, pixels, strict=True):
            track.crops.append((now_seconds, picture))
            windows.append(_window(track.crops, memory))
        return self.bundle.score_pixels(np.stack(windows))

    def _go_on(
        self,
        memory: RecurrentSpec,
        tracks: Sequence[_Track],
        pixels: NDArray[np.float32],
        now_seconds: float,
    ) -> dict[str, NDArray[np.float32]]:
        before = [
            np.stack(
                [
                    track.states[at] if track.states else np.zeros(state.shape, np.float32)
                    for track in tracks
                ]
            )
            for at, state in enumerate(memory.states)
        ]
        outputs = self.bundle.score_pixels(pixels, before)
        after = [outputs.pop(state.output) for state in memory.states]
        for row, track in enumerate(tracks):
            if _is_due(track, memory.frame_seconds, now_seconds):
                track.states = tuple(state[row] for state in after)
        return outputs


def _window(
    crops: deque[tuple[float, NDArray[np.float32]]], memory: WindowSpec
) -> NDArray[np.float32]:
    """Return the window that ends with the newest crop, and drop crops that none will need."""
    back = np.arange(memory.frames - 1, -1, -1)
    if memory.frame_seconds is None:
        chosen = np.maximum(len(crops) - 1 - memory.frame_step * back, 0)
        surplus = len(crops) - 1 - memory.frame_step * (memory.frames - 1)
    else:
        times = np.array([time for time, _ in crops])
        wanted = times[-1] - memory.frame_seconds * back
        # Of two that are as near, the older: whatever the video, one rule.
        chosen = np.abs(times[np.newaxis] - wanted[:, np.newaxis]).argmin(axis=1)
        # Later windows begin later: of the crops before this one's beginning, only the last can
        # still be the nearest to something.
        surplus = int(np.count_nonzero(times <= wanted[0])) - 1
    window = np.stack([crops[at][1] for at in chosen])
    for _ in range(surplus):
        crops.popleft()
    return window


def _is_due(track: _Track, frame_seconds: float | None, now_seconds: float) -> bool:
    """Say whether a recurrent model takes a step at this frame, and note when the next is due.

    Steps lie on a grid of `frame_seconds`, so that their mean rate is right. A frame is taken for
    the nearest to its time when the next one, as far away as the last one was, will be no nearer.
    """
    if frame_seconds is None:
        return True
    if track.due_seconds is None:
        track.due_seconds = now_seconds + frame_seconds
        return True
    if now_seconds < track.due_seconds - (now_seconds - track.seen_seconds) / 2:
        return False
    track.due_seconds += frame_seconds
    if track.due_seconds <= now_seconds:  # the video is slower, or the face was away
        track.due_seconds = now_seconds + frame_seconds
    return True


def rate_notice(spec: BundleSpec, facts: InputFacts) -> str | None:
    """Say where a video has too few frames for a bundle to see motion as it learnt; else None."""
    seconds = None if spec.memory is None else spec.memory.frame_seconds
    rate = facts.mean_frames_per_second
    if seconds is None or rate is None or isinstance(spec.memory, WindowSpec):
        return None
    if rate * seconds >= _SLOW_SHARE:
        return None
    return (
        f"the video has {rate:.1f} frames a second; the bundle {spec.name} takes steps of "
        f"{1 / seconds:.1f} a second: to it all motion looks {1 / (rate * seconds):.1f} times as "
        "fast as in its training"
    )
