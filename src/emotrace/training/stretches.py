"""Where examples lie in the rows of a cache: windows to learn from, whole stretches to score.

Windows follow `emotrace.datasets.windows`: none crosses a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from emotrace.datasets.shards import DETECTED
from emotrace.datasets.windows import WindowSettings, follows
from emotrace.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emotrace.datasets.cache import CropCache

StepTargets = Literal["every", "last"]
EndsOnly = Literal["never", "train", "always"]


@dataclass(frozen=True, kw_only=True)
class ExampleWindows:
    """How frames are cut into examples."""

    steps: int = 0
    """Steps of an example; 0: the network's own number of frames, or 16 for sequences."""
    spacing: int = 1
    """Frames from one step to the next (salinas2018's Late Fusion looks at two, 14 apart)."""
    stride: int = 1
    """Frames from the start of one example to the next one's, in training only: what is measured is
    not thinned. Pieces of keep_short lie next to one another."""
    target_offset: Literal[0, 1] = 0
    """1: each step predicts the frame after it, as in rangulov2020."""
    step_targets: StepTargets = "every"
    """Which steps of a sequence have targets: every one, or only the last (rangulov2020)."""
    keep_short: bool = False
    """Learn from sequences that are shorter than a window too: stretches are cut into pieces
    next to one another, the last filled up."""
    labelled_inputs: bool = False
    """Frames without a label are gaps (rangulov2020); else they may be seen, not predicted."""
    detected_only: bool = False
    """Faces that optical flow followed count as missing."""
    ends_only: EndsOnly = "never"
    """Keep only the example that ends each face of a clip, where a posed expression has its apex
    (salinas2018): in training, or on every side."""

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise UsageError(f"expected steps of 0 or more; got {self.steps}")
        for name in ("spacing", "stride"):
            if getattr(self, name) < 1:
                raise UsageError(f"expected {name} of at least 1; got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """Where n examples lie."""

    first: NDArray[np.int64]
    """`(n,)`: row of the first step, rising."""
    steps: NDArray[np.int64]
    """`(n,)`."""


def cut_windows(
    cache: CropCache,
    settings: ExampleWindows,
    *,
    steps: int,
    has_target: NDArray[np.bool_],
    any_step: bool = False,
    stride: int | None = None,
) -> Found:
    """Find every window of `steps` steps with a target: the last one's, or any step's.

    Args:
        cache: The frames.
        settings: Spacing, stride, target.
        steps: Of each window.
        has_target: `(rows,)`: the row has some label.
        any_step: Any step's label will do; else the last one's must be known.
        stride: In the place of the settings'.
    """
    windows = cache.windows(
        WindowSettings(
            length=(steps - 1) * settings.spacing + 1,
            stride=stride or settings.stride,
            target_offset=settings.target_offset,
        ),
        is_target=cache.frames.is_subject if any_step else has_target,
        is_input=_inputs(cache, settings, has_target),
        detected_only=settings.detected_only,
    )
    found = Found(first=windows.first, steps=np.full(len(windows), steps, np.int64))
    return _with_target(found, settings, has_target) if any_step else found


def cut_stretches(
    cache: CropCache,
    settings: ExampleWindows,
    *,
    has_target: NDArray[np.bool_],
    longest: int | None = None,
) -> Found:
    """Cut every stretch without a gap into pieces, so that each frame is a step of one.

    With a spacing, sequences begin at each of the stretch's first frames and take turns; each is
    cut into pieces next to one another. Pieces without any target are left out. With
    `target_offset` 1 a stretch's last frame is only predicted.

    Args:
        cache: The frames.
        settings: Spacing, target, which frames count as gaps.
        has_target: `(rows,)`: the row has some label.
        longest: Steps of a piece at most; None leaves sequences whole.
    """
    usable = cache.has_crop & _inputs(cache, settings, has_target)
    if settings.detected_only:
        usable = usable & (cache.frames.face_source == DETECTED)
    linked = follows(
        cache.sequence, cache.frames.frame, timestamp_seconds=cache.frames.timestamp_seconds
    )
    goes_on = linked & usable
    goes_on[1:] &= usable[:-1]
    starts = np.flatnonzero(usable & ~goes_on)
    ends = np.flatnonzero(usable & ~np.append(goes_on[1:], False))
    lengths = ends - starts + 1 - settings.target_offset
    # The sequence that begins at a stretch's row p has every spacing-th row from there.
    begin = np.arange(settings.spacing)
    lengths = (lengths[:, None] - begin + settings.spacing - 1) // settings.spacing
    starts = (starts[:, None] + begin)[lengths > 0]
    lengths = lengths[lengths > 0]
    limit = longest or int(lengths.max(initial=1))
    pieces = -(-lengths // limit)
    number = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    first = np.repeat(starts, pieces) + number * limit * settings.spacing
    steps = np.minimum(np.repeat(lengths, pieces) - number * limit, limit)
    order = np.argsort(first)
    found = Found(first=first[order].astype(np.int64), steps=steps[order].astype(np.int64))
    return _with_target(found, settings, has_target)


def keep_ends(found: Found, cache: CropCache, *, spacing: int = 1) -> Found:
    """Keep the example of each face of each clip that ends last."""
    order = np.argsort(found.first + (found.steps - 1) * spacing)
    faces = cache.sequence[found.first[order]]
    is_last = np.append(faces[1:] != faces[:-1], True)[: len(faces)]
    kept = np.sort(order[is_last])
    return Found(first=found.first[kept], steps=found.steps[kept])


def spaced_sum(values: NDArray[np.int64], spacing: int) -> NDArray[np.int64]:
    """Return `(n,)`: the sum of each value and of those that lie whole spacings before it.

    >>> spaced_sum(np.array([1, 1, 0, 1, 1]), 2).tolist()
    [1, 1, 1, 2, 2]
    """
    padded = np.append(values, np.zeros(-len(values) % spacing, np.int64))
    return padded.reshape(-1, spacing).cumsum(axis=0).reshape(-1)[: len(values)]


def _with_target(found: Found, settings: ExampleWindows, has_target: NDArray[np.bool_]) -> Found:
    """Keep what has a target at some step."""
    spacing = settings.spacing
    before = np.zeros(spacing, np.int64)
    known = np.concatenate([before, spaced_sum(has_target.astype(np.int64), spacing)])
    begin = found.first + settings.target_offset
    kept = known[begin + found.steps * spacing] > known[begin]
    return Found(first=found.first[kept], steps=found.steps[kept])


def _inputs(
    cache: CropCache, settings: ExampleWindows, has_target: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return `(rows,)`: the row may be seen. Other people's faces have no labels to learn."""
    seen = np.asarray(cache.frames.is_subject, np.bool_)
    return seen & has_target if settings.labelled_inputs else seen
