"""The shape of `emotrace.models.compact.CompactNet`, apart from it: a recipe needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS


@dataclass(frozen=True, kw_only=True)
class CompactNetOptions:
    """The shape of a `CompactNet`."""

    input_size_px: int = 48
    """Side of a face; a multiple of 16 with 4 stages, of 8 with 3, and of half that with a
    `first_stride` of 1."""
    input_channels: int = 1
    ferplus_classes: int = len(EMOTIONS)
    fer2013_classes: int = len(FER2013_EMOTIONS)
    stem_width: int = 16
    widths: tuple[int, ...] = (32, 64, 160, 256)
    """Channels of each stage; a stage halves the picture's side in its first convolution."""
    first_stride: int = 2
    """What the first stage divides the picture's side by: 2, as the others do, or 1, which keeps
    the whole picture at four times the cost."""
    blocks: tuple[int, ...] = (2, 3, 3, 1)
    """Residual blocks in each stage."""
    squeeze_ratio: int = 8
    standardised: bool = False
    """Each channel of each picture first gets a mean of 0 and a standard deviation of 1, so that
    neither exposure nor contrast has to be learnt."""
    dropout: float = 0.2
    """Of the pooled features, before each head."""
    drop_path: float = 0.05
    """Probability of skipping the last block; earlier blocks proportionally less."""

    @property
    def strides(self) -> tuple[int, ...]:
        """What each stage divides the picture's side by, in its first convolution."""
        return (self.first_stride, *[2] * (len(self.widths) - 1))

    def __post_init__(self) -> None:
        """Refuse strides that are none and a side that the stages cannot halve evenly.

        Of an odd side a block's convolution keeps half, rounded up, and its shortcut rounded down.

        Raises:
            UsageError: Naming what fits.
        """
        if self.first_stride not in (1, 2):
            raise UsageError(f"expected first_stride to be 1 or 2; got {self.first_stride}")
        step, halving = math.prod(self.strides), self.strides.count(2)
        below, over = divmod(self.input_size_px, step)
        if over or below < 1:
            fitting = [f"{times * step}" for times in (below, below + 1) if times > 0]
            raise UsageError(
                f"expected input_size_px to be a multiple of {step}, as {halving} stages "
                f"halve it; got {self.input_size_px}; {' and '.join(fitting)} "
                f"{'fit' if len(fitting) > 1 else 'fits'}"
            )
