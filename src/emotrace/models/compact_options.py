"""The shape of `emotrace.models.compact.CompactNet`, apart from it: a recipe needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from emotrace.errors import UsageError
from emotrace.labels import EMOTIONS, FER2013_EMOTIONS


@dataclass(frozen=True, kw_only=True)
class CompactNetOptions:
    """The shape of a `CompactNet`."""

    input_size_px: int = 48
    """Side of a face; a multiple of 16 with 4 stages, of 8 with 3."""
    input_channels: int = 1
    ferplus_classes: int = len(EMOTIONS)
    fer2013_classes: int = len(FER2013_EMOTIONS)
    stem_width: int = 16
    widths: tuple[int, ...] = (32, 64, 160, 256)
    """Channels of each stage; a stage halves the picture's side in its first convolution."""
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

    def __post_init__(self) -> None:
        """Refuse a side that the stages cannot halve evenly.

        Of an odd side a block's convolution keeps half, rounded up, and its shortcut rounded down.

        Raises:
            UsageError: Naming sides that fit.
        """
        step = 2 ** len(self.widths)
        below, over = divmod(self.input_size_px, step)
        if over or below < 1:
            fitting = [f"{times * step}" for times in (below, below + 1) if times > 0]
            raise UsageError(
                f"expected input_size_px to be a multiple of {step}, as {len(self.widths)} stages "
                f"halve it; got {self.input_size_px}; {' and '.join(fitting)} "
                f"{'fit' if len(fitting) > 1 else 'fits'}"
            )
