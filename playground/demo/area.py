"""A rectangle of tiles, and its pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import mercantile
import numpy as np
import numpy.typing as npt
import shapely

from playground import geo

Mask = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Area:
    """Columns left to right - 1 and rows top to bottom - 1 of one zoom.

    Columns may pass the antimeridian: at zoom 5, left 31 and right 33 are the last and the first column of the map.
    """

    zoom: int
    left: int
    top: int
    right: int
    bottom: int
    tile_size: int = 256

    def tiles(self) -> list[mercantile.Tile]:
        """Every tile, row by row."""
        return [
            mercantile.Tile(x % 2**self.zoom, y, self.zoom)
            for y in range(self.top, self.bottom)
            for x in range(self.left, self.right)
        ]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return (self.bottom - self.top) * self.tile_size, (self.right - self.left) * self.tile_size

    def pixels_of_lnglat(self, lnglat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(N, 2) pixels from the area's top-left corner, of (N, 2) degrees."""
        first = mercantile.Tile(0, 0, self.zoom)
        limit = 89.9  # beyond the map's edge at 85.05; the pole itself is infinitely far
        px, py = geo.pixel_of_lnglat(first, lnglat[:, 0], np.clip(lnglat[:, 1], -limit, limit), self.tile_size, 0)
        return np.column_stack([px - self.left * self.tile_size, py - self.top * self.tile_size])

    def pixel_geometries(self, geometries: Iterable[Any]) -> npt.NDArray[Any]:
        """Geometries of degrees in pixels of the area, each as often as it may be seen (twice where the area wraps)."""
        pixels = shapely.transform(np.array(list(geometries), dtype=object), self.pixels_of_lnglat)
        world = 2**self.zoom * self.tile_size
        seen = [pixels]
        if self.left < 0:
            seen.append(_shifted(pixels, -world))
        if self.right > 2**self.zoom:
            seen.append(_shifted(pixels, world))
        return np.concatenate(seen)


def _shifted(geometries: npt.NDArray[Any], dx: float) -> npt.NDArray[Any]:
    return np.asarray(shapely.transform(geometries, lambda pixels: pixels + np.array([dx, 0.0])), dtype=object)


def winding(polygons: npt.NDArray[Any], weights: Weights, shape: tuple[int, int]) -> Weights:
    """For each pixel the sum of the weights of the polygons that its centre lies in; no blending at edges.

    Every edge changes the sum of all pixels to its right in the rows whose centre it crosses, upwards or downwards as
    it runs (the non-zero winding rule: Foley et al., Computer Graphics, 1990, section 2.1.3).

    Args:
        polygons: Polygons and MultiPolygons in pixels; other geometries count as empty.
        weights: one a polygon.
        shape: (height, width).
    """
    height, width = shape
    oriented = shapely.orient_polygons(polygons, exterior_cw=False)
    parts, of_polygon = shapely.get_parts(oriented, return_index=True)
    rings, of_part = shapely.get_rings(parts, return_index=True)
    points, of_ring = shapely.get_coordinates(rings, return_index=True)
    start, end = points[:-1], points[1:]
    joined = of_ring[:-1] == of_ring[1:]
    start, end = start[joined], end[joined]
    weight = weights[of_polygon[of_part[of_ring[:-1][joined]]]]

    # Rows whose centre (row + 0.5) an edge crosses, its lower end left out.
    first = np.clip(np.ceil(np.minimum(start[:, 1], end[:, 1]) - 0.5), 0, height).astype(np.intp)
    last = np.clip(np.ceil(np.maximum(start[:, 1], end[:, 1]) - 0.5), 0, height).astype(np.intp)
    count = last - first
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    step = end[edge] - start[edge]
    x = start[edge, 0] + (row + 0.5 - start[edge, 1]) / step[:, 1] * step[:, 0]
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)
    change = np.where(step[:, 1] < 0, weight[edge], -weight[edge])
    sums = np.zeros((height, width + 1), dtype=np.int16)  # small numbers: the whole earth at zoom 5 has 67 million
    np.add.at(sums, (row, column), change)
    return np.cumsum(sums, axis=1, dtype=np.int16, out=sums)[:, :-1]
