"""Finding hard cuts between shots while frames stream by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTH_PX: Final = 64
_HEIGHT_PX: Final = 36
_SHIFT_X_PX: Final = 10
_SHIFT_Y_PX: Final = 6
"""Camera motion of up to 16 % of the picture between two frames is looked for and forgiven."""

_FLAT_DEVIATION: Final = 3.0
"""A picture whose grey values deviate less is blank: nothing in it can be compared."""
_VISIBLE_LEVELS: Final = 8
_UNCHANGED_LEVELS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotCutSettings:
    """Thresholds on what changes from one frame to the next, all in [0, 1].

    They were chosen on 17 real clips (2,230 frames, 2 hard cuts), 218 cuts made by joining frames
    of unlike clips, and about 50 frames each of made-up trouble: flashes (gain 1.5 to 3, offset up
    to 100), lights going out, white frames, a hand over 20, 35 and 50 % of the picture from one
    frame to the next, pans by 5 to 25 % of the picture, zooms by 10 and 25 %, shaking. With the
    values below none of the trouble and none of the ordinary frames counts as a cut, and 99 % of
    the made cuts do (71 % of those between close-ups that look alike). Median and most extreme:

    ==================  ==============  ===============  ==============
    frames              colour change   structure lost   unchanged area
    ==================  ==============  ===============  ==============
    ordinary            0.02, 0.07      0.00, 0.07       0.99, 0.81
    cuts (made)         0.77, 0.37      0.61, 0.28       0.02, 0.20
    flash, gain 3       0.88, 1.00      0.14, 0.48       0.00, 0.00
    hand over 50 %      0.45, 0.50      0.47, 0.91       0.53, 0.44
    pan by 25 %         0.26, 0.33      0.34, 0.51       0.20, 0.10
    ==================  ==============  ===============  ==============
    """

    min_colour_change: float = 0.38
    """Share of the picture whose colour has no counterpart in the other picture."""
    max_unchanged_area: float = 0.35
    """Share of the picture that stays as it is; an occlusion leaves more than this."""
    min_structure_lost: float = 0.2
    """1 - correlation of the grey pictures at the best shift; blind to gain and offset."""
    min_structure_lost_in_lighting: float = 0.5
    """The same where nearly all that changes gets brighter, or nearly all darker."""
    lighting_one_way: float = 0.95
    """Share of the changed area that changes the same way, from which it is taken for lighting."""
    max_flash_frames: int = 3
    """A brightening is held for so many frames, to see whether it was a flash."""


class ShotCutDetector:
    """Tell the first frame of every new shot, looking at each frame once.

    Frames are compared with the one before at 64 x 36 pixels. A cut changes the colours, leaves
    hardly any area as it was, and no shift lines the two pictures up. A flash does the first two
    but only brightens, so a brightening is held back until it ends or has lasted; then the frames
    on both sides are compared. A picture without any structure (black between two shots) begins a
    new shot, and what follows it belongs to that shot.

    Finds hard cuts. Dissolves and wipes, in which every frame resembles the one before, are not
    found; neither are cuts between two pictures that hardly differ. A cut to an all-brighter
    picture is told up to `max_flash_frames` late. Deterministic; memory and time do not depend on
    how much has gone before.

    >>> detector = ShotCutDetector()
    >>> red, blue = np.zeros((2, 90, 160, 3), np.uint8)
    >>> red[:, :80] = (250, 80, 0)  # lit from the left
    >>> blue[:45] = (0, 80, 250)  # lit from above
    >>> [detector.update(picture) for picture in (red, red, blue, blue)]
    [False, False, True, False]
    """

    def __init__(self, settings: ShotCutSettings | None = None) -> None:
        self._settings = settings or ShotCutSettings()
        self._reference: _Thumbnail | None = None
        self._held_frames = 0

    def reset(self) -> None:
        """Forget everything: the next frame is the first of a video."""
        self._reference = None
        self._held_frames = 0

    def update(self, image_rgb: NDArray[np.uint8]) -> bool:
        """Take in the next frame and return whether it begins a new shot.

        Args:
            image_rgb: `(height, width, 3)`, uint8; sizes may differ from frame to frame.

        Returns:
            True on the first frame of a new shot, never on the first frame of all.
        """
        current = _Thumbnail(image_rgb)
        reference = self._reference
        if reference is None or reference.is_flat:
            self._move_on(current)
            return False
        settings = self._settings
        if (
            _unchanged_area(reference, current) > settings.max_unchanged_area
            or _colour_change(reference, current) < settings.min_colour_change
        ):
            self._move_on(current)
            return False
        brighter, darker = _lighting(reference, current)
        if brighter >= settings.lighting_one_way and self._held_frames < settings.max_flash_frames:
            self._held_frames += 1
            return False
        is_lighting = max(brighter, darker) >= settings.lighting_one_way
        threshold = (
            settings.min_structure_lost_in_lighting if is_lighting else settings.min_structure_lost
        )
        is_cut = _structure_lost(reference, current) > threshold
        self._move_on(current)
        return is_cut

    def _move_on(self, current: _Thumbnail) -> None:
        self._reference = current
        self._held_frames = 0


class _Thumbnail:
    """A frame reduced to what is compared."""

    def __init__(self, image_rgb: NDArray[np.uint8]) -> None:
        height, width = image_rgb.shape[:2]
        # Every n-th pixel, at least two of them for each of ours: 8 times faster on 1080p than
        # averaging all, and what is lost (detail below 1/128 of the width) is not compared.
        stride = max(1, min(height // (2 * _HEIGHT_PX), width // (2 * _WIDTH_PX)))
        coarse = np.ascontiguousarray(image_rgb[::stride, ::stride])
        small = cv2.resize(coarse, (_WIDTH_PX, _HEIGHT_PX), interpolation=cv2.INTER_AREA)
        self.rgb = np.asarray(small, dtype=np.uint8)
        self.grey = np.asarray(cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        self.is_flat = bool(self.grey.std() < _FLAT_DEVIATION)


def _unchanged_area(first: _Thumbnail, second: _Thumbnail) -> float:
    """Share of pixels of which no channel changes by more than 16 levels."""
    largest = cv2.absdiff(first.rgb, second.rgb).max(axis=2)
    return float(np.mean(largest <= _UNCHANGED_LEVELS))


def _colour_change(first: _Thumbnail, second: _Thumbnail) -> float:
    """1 - intersection of the two colour histograms (8 x 8 x 8 bins)."""
    histograms = []
    for picture in (first, second):
        bins = (picture.rgb >> 5).astype(np.int32)
        index = (bins[..., 0] << 6) | (bins[..., 1] << 3) | bins[..., 2]
        histograms.append(np.bincount(index.ravel(), minlength=512))
    return 1.0 - float(np.minimum(*histograms).sum()) / (_WIDTH_PX * _HEIGHT_PX)


def _lighting(first: _Thumbnail, second: _Thumbnail) -> tuple[float, float]:
    """Shares of the visibly changed area that get brighter and darker; they sum to 1 (or 0)."""
    change = second.grey.astype(np.int16) - first.grey
    brighter = int(np.count_nonzero(change > _VISIBLE_LEVELS))
    darker = int(np.count_nonzero(change < -_VISIBLE_LEVELS))
    changed = brighter + darker
    return (brighter / changed, darker / changed) if changed else (0.0, 0.0)


def _structure_lost(first: _Thumbnail, second: _Thumbnail) -> float:
    """1 - the best correlation of one picture's middle with any place in the other.

    Both ways round, so that zooming in and out count alike. A picture without structure has none in
    common with another: 1.
    """
    best = 0.0
    for whole, part in ((first.grey, second.grey), (second.grey, first.grey)):
        middle = part[_SHIFT_Y_PX:-_SHIFT_Y_PX, _SHIFT_X_PX:-_SHIFT_X_PX]
        # The normalised correlation divides by the deviation: undefined on flat pictures.
        if whole.std() >= _FLAT_DEVIATION and middle.std() >= _FLAT_DEVIATION:
            best = max(best, float(cv2.matchTemplate(whole, middle, cv2.TM_CCOEFF_NORMED).max()))
    return 1.0 - best
