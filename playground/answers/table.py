"""GeoJSON coordinates of many geometries as one table of numbers, and back.

Every geometry is a list of parts, a part a list of paths, a path a list of positions, whatever its type: a polygon is
one part whose paths are its rings, a line one part of one path, a point one path of one position. So one piece of
numpy serves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, compress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from playground.answers.numbers import numbers_of
from playground.geo import FloatArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

POLYGONS = ("Polygon", "MultiPolygon")
LINES = ("LineString", "MultiLineString")
POINTS = ("Point", "MultiPoint")

PARTS: dict[str, Callable[[Any], Any]] = {
    "Polygon": lambda coordinates: (coordinates,),
    "MultiPolygon": lambda coordinates: coordinates,
    "LineString": lambda coordinates: ((coordinates,),),
    "MultiLineString": lambda coordinates: (coordinates,),
    "Point": lambda coordinates: (((coordinates,),),),
    "MultiPoint": lambda coordinates: ([(position,) for position in coordinates],),
}
"""Geometry type to what makes parts of its coordinates."""

COORDINATES: dict[str, Callable[[Any], Any]] = {
    "Polygon": lambda parts: parts[0],
    "MultiPolygon": lambda parts: parts,
    "LineString": lambda parts: parts[0][0],
    "MultiLineString": lambda parts: parts[0],
    "Point": lambda parts: parts[0][0][0],
    "MultiPoint": lambda parts: [path[0] for path in parts[0]],
}
"""Geometry type to what makes coordinates of its parts: the inverse of PARTS."""


@dataclass
class Table:
    """Geometries as numbers.

    Args:
        kinds: the GeoJSON type of each geometry.
        owners: the feature that each geometry belongs to.
        parts: how many parts each geometry has.
        paths: how many paths each part has.
        positions: how many positions each path has.
        coords: (n, 2) x and y of all positions.
    """

    kinds: list[str]
    owners: IntArray
    parts: IntArray
    paths: IntArray
    positions: IntArray
    coords: FloatArray

    def __len__(self) -> int:
        return len(self.kinds)

    def are(self, kinds: tuple[str, ...]) -> BoolArray:
        """Whether each geometry is of one of these types."""
        present = set(self.kinds)
        if present.issubset(kinds) or present.isdisjoint(kinds):
            return np.full(len(self), present.issubset(kinds))
        return np.array([kind in kinds for kind in self.kinds], dtype=bool)

    @property
    def path_part(self) -> IntArray:
        """The part that each path belongs to."""
        return np.repeat(np.arange(len(self.paths)), self.paths)

    @property
    def part_geometry(self) -> IntArray:
        """The geometry that each part belongs to."""
        return np.repeat(np.arange(len(self.parts)), self.parts)

    @property
    def path_geometry(self) -> IntArray:
        """The geometry that each path belongs to."""
        return self.part_geometry[self.path_part]

    @property
    def single(self) -> BoolArray:
        """Whether each geometry has one path only; none may be empty."""
        if len(self.positions) == len(self):
            return np.ones(len(self), dtype=bool)
        return np.asarray(np.bincount(self.path_geometry, minlength=len(self)) == 1)

    @property
    def first_paths(self) -> IntArray:
        """The first path of each part: a polygon's exterior."""
        return np.cumsum(self.paths) - self.paths

    @property
    def starts(self) -> IntArray:
        """The first position of each path."""
        return np.cumsum(self.positions) - self.positions

    @property
    def geometry_starts(self) -> IntArray:
        """The first position of each geometry; none may be empty."""
        if len(self.positions) == len(self):
            return self.starts
        starts: IntArray = self.starts[self._first_path]
        return starts

    @property
    def lengths(self) -> IntArray:
        """How many positions each geometry has; none may be empty."""
        return self.positions if len(self.positions) == len(self) else np.add.reduceat(self.positions, self._first_path)

    @property
    def _first_path(self) -> IntArray:
        """The first path of each geometry; none may be empty."""
        first: IntArray = self.first_paths[np.cumsum(self.parts) - self.parts]
        return first

    def columns(self) -> tuple[FloatArray, FloatArray]:
        """(least, greatest) x of each geometry; none may be empty."""
        return self._extent(0, self.geometry_starts)

    def bounds(self) -> FloatArray:
        """(n, 4) least x and y and greatest x and y of each geometry; none may be empty."""
        if not len(self):
            return np.empty((0, 4))
        starts = self.geometry_starts
        (west, east), (north, south) = self._extent(0, starts), self._extent(1, starts)
        return np.column_stack((west, north, east, south))

    def _extent(self, axis: int, starts: IntArray) -> tuple[FloatArray, FloatArray]:
        column = np.ascontiguousarray(self.coords[:, axis])
        return np.minimum.reduceat(column, starts), np.maximum.reduceat(column, starts)

    def at(self, coords: FloatArray) -> Table:
        """The same geometries with their positions elsewhere."""
        return Table(self.kinds, self.owners, self.parts, self.paths, self.positions, coords)

    def take_paths(self, keep: BoolArray) -> Table:
        """The same without some paths, nor the parts and geometries that are empty then."""
        paths = np.bincount(self.path_part[keep], minlength=len(self.paths))
        parts = np.bincount(self.part_geometry[paths > 0], minlength=len(self.parts))
        left = parts > 0
        return Table(
            list(compress(self.kinds, left.tolist())),
            self.owners[left],
            parts[left],
            paths[paths > 0],
            self.positions[keep],
            np.compress(np.repeat(keep, self.positions), self.coords, axis=0),
        )

    def take(self, keep: BoolArray) -> Table:
        """Some geometries of it."""
        if keep.all():
            return self
        if not (len(self.positions) == len(self) and (self.parts == 1).all() and (self.paths == 1).all()):
            return self.take_paths(keep[self.path_geometry])
        ones = self.parts[keep]
        kinds = list(compress(self.kinds, keep.tolist()))
        coords = np.compress(np.repeat(keep, self.positions), self.coords, axis=0)  # seven times as fast as an index
        return Table(kinds, self.owners[keep], ones, ones, self.positions[keep], coords)

    def geometries(self) -> list[dict[str, Any]]:
        """GeoJSON geometries whose innermost coordinates are views of ``coords``."""
        ends = list(accumulate(self.positions.tolist()))
        positions = [self.coords[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        parts = _cut(_cut(positions, self.paths), self.parts)
        return [
            {"type": kind, "coordinates": COORDINATES[kind](part)} for kind, part in zip(self.kinds, parts, strict=True)
        ]


class Layer(NamedTuple):
    """Some of the geometries of a larger whole.

    Attributes:
        table: the geometries, all of one family.
        places: of each, among all of the whole; in order.
    """

    table: Table
    places: IntArray


def table_of(kinds: Sequence[str], owners: Iterable[int], shapes: Sequence[Any]) -> tuple[Table, int]:
    """The table of geometries given as parts of paths of positions.

    Returns:
        The table, and how many numbers every position had; those after the second are left out.

    Raises:
        TypeError, ValueError, OverflowError: anything but numbers in positions, all as long.
    """
    parts = list(chain.from_iterable(shapes))
    counts = np.fromiter(map(len, shapes), np.int64)
    return _table(list(kinds), np.fromiter(owners, np.int64), counts, parts)


def table_of_polygons(polygons: Sequence[Any]) -> tuple[Table, int]:
    """The same of polygons, each one feature, given as their rings."""
    count = len(polygons)
    return _table(["Polygon"] * count, np.arange(count), np.ones(count, np.int64), polygons)


def _table(kinds: list[str], owners: IntArray, counts: IntArray, parts: Sequence[Any]) -> tuple[Table, int]:
    paths = list(chain.from_iterable(parts))
    positions = list(chain.from_iterable(paths))
    coords, width = numbers_of(positions)
    table = Table(
        kinds,
        owners,
        counts,
        np.fromiter(map(len, parts), np.int64),
        np.fromiter(map(len, paths), np.int64),
        coords,
    )
    return table, width


def _cut(values: list[Any], counts: IntArray) -> list[Any]:
    """Consecutive pieces of a list, of so many members each."""
    if (counts == 1).all():
        return [[value] for value in values]
    ends = list(accumulate(counts.tolist()))
    return [values[start:end] for start, end in zip([0, *ends], ends, strict=False)]
