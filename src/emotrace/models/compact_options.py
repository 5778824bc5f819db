"""The shape of `emotrace.models.compact.CompactNet`, apart from it: a recipe needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from emotrace.labels import EMOTIONS, FER2013_EMOTIONS


@dataclass(frozen=True, kw_only=True)
class CompactNetOptions:
    """The shape of a `CompactNet`."""

    input_size_px: int = 48
    input_channels: int = 1
    ferplus_classes: int = len(EMOTIONS)
    fer2013_classes: int = len(FER2013_EMOTIONS)
    stem_width: int = 16
    widths: tuple[int, ...] = (32, 64, 128, 256)
    """Channels of each stage; a stage halves the picture's side in its first convolution."""
    blocks: tuple[int, ...] = (2, 3, 3, 1)
    """Residual blocks in each stage."""
    squeeze_ratio: int = 8
    dropout: float = 0.2
    """Of the pooled features, before each head."""
    drop_path: float = 0.05
    """Probability of skipping the last block; earlier blocks proportionally less."""
