"""What is known of a synthetic video: the value types that clips, writers and layouts share.

A `SynthClip` gives `SynthFrame`s, each with its picture and one `SynthFace` for every person in it.
All types are frozen; arrays inside them must not be written to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

Partition = Literal["train", "validation", "test"]
"""The part of a data set that a clip belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SynthFace:
    """One person's face in one frame, as it was drawn."""

    face_id: int
    """1, 2, 3, ... in order of first appearance; the same person keeps it, across cuts too."""
    subject: str
    """Who it is: the same name is the same face in every clip of a population."""
    box_xywh_px: tuple[float, float, float, float]
    """Left, top, width, height in pixels, around the face from hairline to chin, ears not included.

    Of the whole face, also where another person or the picture's edge hides a part of it.
    """
    visible_share: float
    """In [0, 1]: the share of the face that neither a person nor the picture's edge hides."""
    depth_rank: int
    """0 for the person nearest to the camera, 1 for the next; a lower rank hides a higher one."""
    action_units: Mapping[int, float]
    """Intensity in [0, 1] of every action unit that the renderer knows, by its FACS number.

    As the person means it: faces differ in how much of it they show (85 to 100 %).
    """
    emotion: str
    """One of `EMOTIONS`: what the face shows in this frame; `neutral` before it shows much."""
    intensity: float
    """In [0, 1]: how much of the expression is shown; 0 is a neutral face."""
    valence: float
    """In [-1, 1]: unpleasant to pleasant."""
    arousal: float
    """In [-1, 1]: calm to excited."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SynthFrame:
    """One picture and all that is known of it."""

    index: int
    """0-based position in the clip."""
    timestamp_seconds: float
    """When it is shown: `index / frame_rate`."""
    image_rgb: NDArray[np.uint8]
    """`(height, width, 3)`, uint8."""
    faces: tuple[SynthFace, ...] = ()
    """In order of `face_id`; a person whose face lies wholly outside the picture is not in it."""
    is_cut: bool = False
    """True on the first frame of a new shot (never on the first frame of the clip)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SynthClip:
    """A synthetic video: its facts, and its frames on demand."""

    clip_id: str
    """Unique in its set."""
    subject: str
    """The person whom the clip is about; of several people, the first."""
    emotion: str | None
    """One of `EMOTIONS`: the clip's label; None where valence and arousal wander freely."""
    dynamics: str
    """How the expression runs in time: one of `emotrace.synth.dynamics.DYNAMICS`."""
    frame_rate: float
    """Frames per second."""
    frame_count: int
    width: int
    """Of the pictures, in pixels."""
    height: int
    """Of the pictures, in pixels."""
    render: Callable[[], Iterator[SynthFrame]]
    """Draws the clip from its first frame on; each call starts anew and gives the same bytes."""
    partition: Partition | None = None

    def __post_init__(self) -> None:
        if self.frame_rate <= 0 or self.frame_count < 1 or min(self.width, self.height) < 1:
            raise UsageError(
                "expected a clip with a frame rate, frames and a size above 0; got "
                f"{self.clip_id!r} with {self.frame_rate:g} frames a second, {self.frame_count} "
                f"frames, {self.width} x {self.height} px"
            )

    @property
    def duration_seconds(self) -> float:
        """From the first frame's presentation to the end of the last one."""
        return self.frame_count / self.frame_rate

    def frames(self) -> Iterator[SynthFrame]:
        """Draw the frames one by one: memory does not grow with the length.

        Every call starts at the first frame and gives the same bytes.
        """
        return self.render()
