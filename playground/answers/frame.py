"""Where an answer's pixels lie."""

from __future__ import annotations

from dataclasses import dataclass

import mercantile
import numpy as np

from playground import geo

PIXEL_DECIMALS = 2
PIXEL_LIMIT = 1e7
"""Pixels: no posted image is this large, so a coordinate beyond it is a mistake of the predictor."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the pixels of an answer lie.

    Args:
        tile: x, y, z; None for a posted image, whose answer stays in pixels.
        tile_size: pixels along one side of the tile without its padding.
        padding: pixels added on each side.
    """

    tile: mercantile.Tile | None = None
    tile_size: int = 256
    padding: int = 0

    @property
    def decimals(self) -> int:
        """Decimals of the answer's coordinates."""
        return PIXEL_DECIMALS if self.tile is None else geo.coordinate_decimals(self.tile.z)

    @property
    def grid(self) -> float:
        """Pixels between the lines of a grid on which positions of polygons may lie that are valid in pixels; 0: none.

        If they do, what is written of most of them need not be looked at again.
        """
        return 0.0

    @property
    def reach(self) -> tuple[float, float]:
        """(least, greatest) pixel that a predictor can mean: one more padded image on each side of its own."""
        if self.tile is None:
            return -PIXEL_LIMIT, PIXEL_LIMIT
        side = self.tile_size + 2 * self.padding
        return -float(side), 2.0 * side

    @property
    def world(self) -> tuple[float, float] | None:
        """(pixel column of longitude -180, pixels once around the globe); None for a posted image."""
        if self.tile is None:
            return None
        return float(self.padding - self.tile.x * self.tile_size), float(self.tile_size * 2**self.tile.z)

    def place(self, coords: geo.FloatArray) -> geo.FloatArray:
        """(n, 2) coordinates of the answer, not rounded, of (n, 2) pixels: lon and lat, or the pixels themselves."""
        if self.tile is None:
            return coords
        lng, lat = geo.lnglat_of_pixel(self.tile, coords[:, 0], coords[:, 1], self.tile_size, self.padding)
        return np.column_stack((lng, lat))

    def round(self, coords: geo.FloatArray) -> geo.FloatArray:
        """(n, 2) coordinates of the answer as they are written: rounded, without negative zeros."""
        return np.round(coords, self.decimals) + 0.0
