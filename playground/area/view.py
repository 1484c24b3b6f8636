"""A window of the map as pixels: which part of it, at which size, and which of its tiles were asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import mercantile
import numpy as np
import numpy.typing as npt
import shapely

from playground import geo
from playground.area.cover import Addresses, Shapes

Mask = npt.NDArray[np.bool_]
Sums = npt.NDArray[np.int16]
SLIMMEST = 4
"""Times that a view may be longer than it is wide."""
MOST_CELLS = 1024
"""Cells along a side of a grid of tiles."""
POLE = 89.9
"""Degrees: beyond the map's edge at 85.05; the pole itself is infinitely far."""


@dataclass(frozen=True)
class View:
    """Columns left to right - 1 and rows top to bottom - 1 of one zoom.

    Columns may pass the antimeridian: at zoom 5, left 31 and right 33 are the last and the first column of the map.
    """

    zoom: int
    left: int
    top: int
    right: int
    bottom: int

    @staticmethod
    def around(bands: Iterable[Addresses], zoom: int) -> View:
        """What holds all tiles, and is not too slim; across the antimeridian if that is the shorter way.

        Args:
            bands: columns and rows, at least one of them not empty.
        """
        count = 2**zoom
        columns = np.zeros(0, np.int64)
        top, bottom = count, 0
        for band in bands:
            if len(band):
                columns = np.union1d(columns, band[:, 0])
                top, bottom = min(top, int(band[:, 1].min())), max(bottom, int(band[:, 1].max()) + 1)
        gaps = np.diff(columns)
        left, right = int(columns[0]), int(columns[-1]) + 1
        if len(gaps) and gaps.max() > count - right + left + 1:
            place = int(gaps.argmax())
            left, right = int(columns[place + 1]) - count, int(columns[place]) + 1
        slim = -(-max(right - left, bottom - top) // SLIMMEST)
        wider, higher = max(0, slim - (right - left)), max(0, slim - (bottom - top))
        left, top = left - wider // 2, max(0, top - higher // 2)
        right = min(left + count, right + wider - wider // 2)
        return View(zoom, left, top, right, min(count, max(bottom, top + slim)))

    @property
    def columns(self) -> int:
        return self.right - self.left

    @property
    def rows(self) -> int:
        return self.bottom - self.top

    def tiles(self) -> list[mercantile.Tile]:
        """Every tile, row by row."""
        return [
            mercantile.Tile(x % 2**self.zoom, y, self.zoom)
            for y in range(self.top, self.bottom)
            for x in range(self.left, self.right)
        ]

    def shape(self, tile_size: float) -> tuple[int, int]:
        """(height, width) in pixels, of tiles of ``tile_size`` pixels to a side."""
        return max(1, round(self.rows * tile_size)), max(1, round(self.columns * tile_size))

    def pixels_of_lnglat(self, lnglat: geo.FloatArray, tile_size: float) -> geo.FloatArray:
        """(N, 2) pixels from the top-left corner, of (N, 2) degrees."""
        first = mercantile.Tile(0, 0, self.zoom)
        u, v = geo.pixel_of_lnglat(first, lnglat[:, 0], np.clip(lnglat[:, 1], -POLE, POLE), 1, 0)
        return np.column_stack([(u - self.left) * tile_size, (v - self.top) * tile_size])

    def seen(self, shapes: Shapes, tile_size: float) -> tuple[Shapes, npt.NDArray[np.intp]]:
        """What of geometries in degrees may be seen, in pixels, and which it is; twice where the view wraps."""
        pixels = shapely.transform(shapes, lambda lnglat: self.pixels_of_lnglat(lnglat, tile_size))
        world = 2**self.zoom * tile_size
        height, width = self.shape(tile_size)
        found, owners = [], []
        for turn in (0, -1, 1):
            if (turn < 0 <= self.left) or (turn > 0 and self.right <= 2**self.zoom):
                continue
            moved = _shifted(pixels, turn * world) if turn else pixels
            bounds = shapely.bounds(moved)
            inside = (bounds[:, :2] <= (width, height)).all(axis=1) & (bounds[:, 2:] >= 0).all(axis=1)
            found.append(moved[inside])
            owners.append(np.flatnonzero(inside))
        return np.concatenate(found), np.concatenate(owners)


def _shifted(shapes: Shapes, dx: float) -> Shapes:
    return np.asarray(shapely.transform(shapes, lambda xy: xy + np.array([dx, 0.0])), dtype=object)


class TileGrid:
    """A number for each tile of a view, the greatest of those it was given; a cell of several tiles where it is large.

    Args:
        view: what is seen.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._step = -(-max(view.columns, view.rows) // MOST_CELLS)
        shape = (-(-view.rows // self._step), -(-view.columns // self._step))
        self._cells = np.zeros(shape, np.uint8)

    def mark(self, addresses: Addresses, number: int) -> None:
        """Give tiles, (n, 2) columns and rows, a number."""
        columns = (addresses[:, 0] - self._view.left) % 2**self._view.zoom
        rows = addresses[:, 1] - self._view.top
        inside = (columns < self._view.columns) & (rows >= 0) & (rows < self._view.rows)
        place = rows[inside] // self._step, columns[inside] // self._step
        self._cells[place] = np.maximum(self._cells[place], number)

    def pixels(self, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """The number of each pixel's tile.

        Args:
            shape: (height, width) of the whole view.
        """
        rows, columns = (
            ((np.arange(length) + 0.5) / length * tiles).astype(np.intp) // self._step
            for length, tiles in zip(shape, (self._view.rows, self._view.columns), strict=True)
        )
        return self._cells[np.ix_(rows, columns)]


def winding(polygons: Shapes, weights: Sums, shape: tuple[int, int]) -> Sums:
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
