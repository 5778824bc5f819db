"""The light that falls on a face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """One lamp far away, and light from all around."""

    azimuth_degrees: float = 0.0
    """Where the lamp stands: 0 in front, 90 at the picture's right."""
    elevation_degrees: float = 30.0
    """Above the face's level."""
    key: float = 0.62
    """What the lamp gives to a surface that faces it; 1 is the full albedo."""
    ambient: float = 0.45
    """What every surface gets."""
    tint_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """A factor for each channel."""

    @property
    def level(self) -> float:
        """The light on a surface that half faces the lamp, 1 for the full albedo."""
        return self.ambient + 0.75 * self.key

    def shade(self, relief: NDArray[np.float64], px_per_unit: float) -> NDArray[np.float32]:
        """Return the light on a height field (Lambert's law), the shape of `relief`.

        Args:
            relief: `(rows, columns)`, heights in face units.
            px_per_unit: The raster's scale.
        """
        slope_v, slope_u = np.gradient(relief * px_per_unit)
        azimuth, elevation = np.radians([self.azimuth_degrees, self.elevation_degrees])
        toward_u = np.sin(azimuth) * np.cos(elevation)
        toward_v = -np.sin(elevation)
        toward_z = np.cos(azimuth) * np.cos(elevation)
        length = np.sqrt(slope_u**2 + slope_v**2 + 1)
        cosine = (-slope_u * toward_u - slope_v * toward_v + toward_z) / length
        return np.asarray(self.ambient + self.key * np.maximum(cosine, 0), np.float32)
