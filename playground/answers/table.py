"""GeoJSON coordinates of many geometries as one table of numbers, and back.

Every geometry is a list of parts, a part a list of paths, a path a list of positions, whatever its type: a polygon is
one part whose paths are its rings, a line one part of one path, a point one path of one position. So one piece of
numpy serves them all.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import numpy as np
import numpy.typing as npt

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
    def first_paths(self) -> IntArray:
        """The first path of each part: a polygon's exterior."""
        return np.cumsum(self.paths) - self.paths

    @property
    def starts(self) -> IntArray:
        """The first position of each path."""
        return np.cumsum(self.positions) - self.positions

    def columns(self) -> tuple[FloatArray, FloatArray]:
        """(least, greatest) x of each geometry; none may be empty."""
        part_starts = np.cumsum(self.parts) - self.parts
        starts = self.starts[self.first_paths[part_starts]]
        return np.minimum.reduceat(self.coords[:, 0], starts), np.maximum.reduceat(self.coords[:, 0], starts)

    def take_paths(self, keep: BoolArray) -> Table:
        """The same without some paths, nor the parts and geometries that are empty then."""
        paths = np.bincount(self.path_part[keep], minlength=len(self.paths))
        parts = np.bincount(self.part_geometry[paths > 0], minlength=len(self.parts))
        left = parts > 0
        return Table(
            [kind for kind, stays in zip(self.kinds, left.tolist(), strict=True) if stays],
            self.owners[left],
            parts[left],
            paths[paths > 0],
            self.positions[keep],
            self.coords[np.repeat(keep, self.positions)],
        )

    def take(self, keep: BoolArray) -> Table:
        """Some geometries of it."""
        return self if keep.all() else self.take_paths(keep[self.path_geometry])

    def geometries(self) -> list[dict[str, Any]]:
        """GeoJSON geometries whose innermost coordinates are views of ``coords``."""
        ends = list(accumulate(self.positions.tolist()))
        positions = [self.coords[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        parts = _cut(_cut(positions, self.paths), self.parts)
        return [
            {"type": kind, "coordinates": COORDINATES[kind](part)} for kind, part in zip(self.kinds, parts, strict=True)
        ]


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
    coords, width = _numbers(positions)
    table = Table(
        kinds,
        owners,
        counts,
        np.fromiter(map(len, parts), np.int64),
        np.fromiter(map(len, paths), np.int64),
        coords,
    )
    return table, width


def _numbers(positions: list[Any]) -> tuple[FloatArray, int]:
    """(n, 2) numbers of positions, and how many each of them had."""
    # struct and array take numbers only, where numpy would read strings and None.
    try:
        columns = ([x for x, _ in positions], [position[1] for position in positions])
    except ValueError:  # not two each
        widths = set(map(len, positions))
        width = widths.pop()
        if widths or width < 2:
            raise ValueError("positions of different lengths") from None
        numbers = np.array(array("d", list(chain.from_iterable(positions))), dtype=np.float64)
        return np.ascontiguousarray(numbers.reshape(-1, width)[:, :2]), width
    coords = np.empty((len(positions), 2))
    pack = struct.Struct(f"{len(positions)}d").pack
    try:
        for column, values in enumerate(columns):
            coords[:, column] = np.frombuffer(pack(*values))
    except struct.error as error:
        raise TypeError(str(error)) from error
    return coords, 2


def _cut(values: list[Any], counts: IntArray) -> list[Any]:
    """Consecutive pieces of a list, of so many members each."""
    if (counts == 1).all():
        return [[value] for value in values]
    ends = list(accumulate(counts.tolist()))
    return [values[start:end] for start, end in zip([0, *ends], ends, strict=False)]
