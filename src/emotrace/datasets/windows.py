"""Windows of consecutive frames: where they may lie, what they predict, what none of them reaches.

Works on columns with one entry a frame (of any number of clips and faces, one after another); a
window is a stretch of rows. A window never crosses a gap: another clip or face, a missing frame, a
frame without a face, or a step in time that is too large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from emotrace.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSettings:
    """How windows are cut.

    The defaults are rangulov2020's but for `target_offset`, which is 1 there: a window of 100
    frames that ends at t predicts t + 1.

    Raises:
        UsageError: A value cannot work.
    """

    length: int = 100
    """Frames in a window."""
    stride: int = 1
    """Frames from one window's start to the next one's; each stretch without a gap starts anew."""
    target_offset: Literal[0, 1] = 0
    """0: the last frame of the window is predicted; 1: the frame after it."""
    max_step_factor: float | None = 3.5
    """A step in time above so many times the clip's usual (median) one is a gap; None: no limit.

    One lost frame doubles a step, two treble it. Real footage with a variable frame rate goes from
    14 to 42 ms within one clip, a factor of 3.
    """
    max_step_seconds: float | None = None
    """A longer step is a gap, whatever is usual; None: no limit."""

    def __post_init__(self) -> None:
        for name in ("length", "stride"):
            if getattr(self, name) < 1:
                raise UsageError(f"expected {name} of at least 1 frame; got {getattr(self, name)}")
        if self.target_offset not in (0, 1):
            raise UsageError(f"expected target_offset 0 or 1; got {self.target_offset}")
        if self.max_step_factor is not None and not self.max_step_factor > 1:
            raise UsageError(f"expected max_step_factor above 1; got {self.max_step_factor}")
        if self.max_step_seconds is not None and not self.max_step_seconds > 0:
            raise UsageError(f"expected max_step_seconds above 0; got {self.max_step_seconds}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """Windows over n rows."""

    first: NDArray[np.int64]
    """`(windows,)`: row of each window's first frame, rising."""
    target: NDArray[np.int64]
    """`(windows,)`: row of the frame that it predicts."""
    length: int
    row_count: int
    """n."""

    def __len__(self) -> int:
        return len(self.first)

    @property
    def last(self) -> NDArray[np.int64]:
        """`(windows,)`: row of each window's last frame."""
        return self.first + self.length - 1

    def rows(self) -> NDArray[np.int64]:
        """Return `(windows, length)`: the rows of every window."""
        return self.first[:, None] + np.arange(self.length)

    def reached(self) -> NDArray[np.bool_]:
        """Return `(n,)`: True for each row that some window predicts."""
        reached = np.zeros(self.row_count, np.bool_)
        reached[self.target] = True
        return reached

    def select(self, mask: NDArray[np.bool_]) -> Windows:
        """Return the windows for which `(windows,)` `mask` is True."""
        return Windows(
            first=self.first[mask],
            target=self.target[mask],
            length=self.length,
            row_count=self.row_count,
        )


def follows(
    sequence: ArrayLike,
    frame_index: ArrayLike,
    *,
    timestamp_seconds: ArrayLike | None = None,
    settings: WindowSettings | None = None,
) -> NDArray[np.bool_]:
    """Return `(n,)`: True for a row that directly follows the row before it, without a gap.

    Args:
        sequence: `(n,)` whole numbers: rows of one clip and face share one.
        frame_index: `(n,)` whole numbers: frame number in the clip.
        timestamp_seconds: `(n,)`, or None where times are not known; NaN counts as not known.
        settings: The limits on a step in time.

    Raises:
        UsageError: The lengths differ.
    """
    settings = settings or WindowSettings()
    numbers, frames = np.asarray(sequence, np.int64), np.asarray(frame_index, np.int64)
    _require_length("frame_index", frames, len(numbers))
    linked = np.zeros(len(numbers), np.bool_)
    if not len(numbers):
        return linked
    linked[1:] = (np.diff(numbers) == 0) & (np.diff(frames) == 1)
    if timestamp_seconds is None:
        return linked
    times = np.asarray(timestamp_seconds, np.float64)
    _require_length("timestamp_seconds", times, len(numbers))
    steps = np.full(len(times), np.nan)
    steps[1:] = np.diff(times)
    limit = np.full(len(times), np.inf)
    if settings.max_step_factor is not None:
        limit = settings.max_step_factor * _usual_steps(numbers, np.where(linked, steps, np.nan))
    if settings.max_step_seconds is not None:
        limit = np.fmin(limit, settings.max_step_seconds)
    # A comparison with NaN is False: where a time or the usual step is not known, nothing is cut.
    linked &= ~(steps > limit)
    return linked


def _usual_steps(sequence: NDArray[np.int64], steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(n,)`: the (lower) median step of each row's sequence; NaN where it has none."""
    _, group = np.unique(sequence, return_inverse=True)
    count = int(group.max()) + 1
    known = np.flatnonzero(~np.isnan(steps))
    order = known[np.lexsort((steps[known], group[known]))]
    sizes = np.bincount(group[known], minlength=count)
    starts = np.cumsum(sizes) - sizes
    medians = np.full(count, np.nan)
    has_any = sizes > 0
    medians[has_any] = steps[order[(starts + (sizes - 1) // 2)[has_any]]]
    usual: NDArray[np.float64] = medians[group]
    return usual


def find_windows(
    sequence: ArrayLike,
    frame_index: ArrayLike,
    *,
    is_input: ArrayLike,
    is_target: ArrayLike | None = None,
    timestamp_seconds: ArrayLike | None = None,
    settings: WindowSettings | None = None,
) -> Windows:
    """Find every window that crosses no gap.

    rangulov2020 takes only frames with a face *and* labels, as inputs and as targets: give both
    arguments that mask. To use unlabelled frames as inputs, give faces for one and labels for the
    other.

    Args:
        sequence: `(n,)` whole numbers: rows of one clip and face share one.
        frame_index: `(n,)` whole numbers: frame number in the clip.
        is_input: `(n,)` bool: the frame may be seen by a model (it has a face).
        is_target: `(n,)` bool: the frame may be predicted (it has a label); all inputs unless
            given.
        timestamp_seconds: `(n,)`; see `follows`.
        settings: Length, stride, target, limits.

    Raises:
        UsageError: The lengths differ.

    >>> found = find_windows([0] * 5, [0, 1, 2, 4, 5], is_input=[True] * 5,
    ...                      settings=WindowSettings(length=2))
    >>> found.first.tolist(), found.target.tolist()
    ([0, 1, 3], [1, 2, 4])
    """
    settings = settings or WindowSettings()
    inputs = np.asarray(is_input, np.bool_)
    targets = inputs if is_target is None else np.asarray(is_target, np.bool_)
    linked = follows(sequence, frame_index, timestamp_seconds=timestamp_seconds, settings=settings)
    count = len(linked)
    _require_length("is_input", inputs, count)
    _require_length("is_target", targets, count)
    rows = np.arange(count)
    # A run of inputs starts at an input that does not follow an input.
    continues = linked & inputs
    continues[1:] &= inputs[:-1]
    run_start = np.maximum.accumulate(np.where(continues, 0, rows))
    first = rows - settings.length + 1
    fits = inputs & (first >= run_start) & ((first - run_start) % settings.stride == 0)
    last = rows[fits]
    target = last + settings.target_offset
    if settings.target_offset:
        is_there = target < count
        last, target = last[is_there], target[is_there]
        is_next = linked[target]
        last, target = last[is_next], target[is_next]
    is_labelled = targets[target]
    return Windows(
        first=last[is_labelled] - settings.length + 1,
        target=target[is_labelled],
        length=settings.length,
        row_count=count,
    )


def fill_unreached(
    values: ArrayLike,
    is_known: ArrayLike,
    sequence: ArrayLike,
    position: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Fill what no window predicts: linear between the nearest known rows, held at the ends.

    rangulov2020: values of frames that the model cannot predict are interpolated from those next to
    them. A sequence without any known row stays NaN.

    Args:
        values: `(n,)` or `(n, columns)`; what stands in unknown rows does not matter.
        is_known: `(n,)` bool: `Windows.reached()`.
        sequence: `(n,)` whole numbers: rows of one clip share one, in the order of time.
        position: `(n,)`: times or frame numbers to interpolate by; rows count alike unless given.

    Returns:
        Float64 in the shape of `values`.

    Raises:
        UsageError: The lengths differ.

    >>> fill_unreached(np.array([0.0, 2.0, 0.0, 6.0]), [False, True, False, True], [0] * 4).tolist()
    [2.0, 2.0, 4.0, 6.0]
    """
    given = np.asarray(values, np.float64)
    count = len(given)
    known, numbers = np.asarray(is_known, np.bool_), np.asarray(sequence, np.int64)
    places = np.asarray(np.arange(count) if position is None else position, np.float64)
    _require_length("is_known", known, count)
    _require_length("sequence", numbers, count)
    _require_length("position", places, count)
    table = given.reshape(count, -1)
    filled = np.full(table.shape, np.nan)
    order = np.argsort(numbers, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        from_rows = rows[known[rows]]
        if not len(from_rows):
            continue
        for column in range(table.shape[1]):
            filled[rows, column] = np.interp(
                places[rows], places[from_rows], table[from_rows, column]
            )
    return filled.reshape(given.shape)


def _require_length(name: str, column: NDArray[np.generic], count: int) -> None:
    if len(column) != count:
        raise UsageError(f"expected {count} values of {name}, one a row; got {len(column)}")
