"""Polygons of one ring each, as numbers: most of what crosses a tile's edges, and GEOS needs to see nothing of it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import shapely

from playground.area.world import Shapes
from playground.geo import FloatArray

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

HEAD = struct.Struct("<BIII")
"""How WKB begins: the order of bytes, a polygon, how many rings, how many positions."""
POSITION = 16
"""Bytes of a position in WKB."""


@dataclass(frozen=True, slots=True)
class Rings:
    """Polygons of one ring each.

    Args:
        coords: (n, 2) positions of all in units, the last one of each as its first.
        positions: how many each has.
    """

    coords: FloatArray
    positions: IntArray

    @classmethod
    def joined(cls, parts: Sequence[Rings]) -> Rings:
        """All of them, one behind the other."""
        if len(parts) == 1:
            return parts[0]
        coords, positions = [np.empty((0, 2))], [np.empty(0, np.int64)]
        for part in parts:
            coords.append(part.coords)
            positions.append(part.positions)
        return cls(np.concatenate(coords), np.concatenate(positions))

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def starts(self) -> IntArray:
        """The first position of each."""
        return np.cumsum(self.positions) - self.positions

    def take(self, which: BoolArray) -> Rings:
        """Some of them."""
        if which.all():
            return self
        return Rings(np.compress(np.repeat(which, self.positions), self.coords, axis=0), self.positions[which])

    def shapes(self) -> Shapes:
        """Each as a polygon."""
        offsets = np.concatenate(([0], np.cumsum(self.positions))), np.arange(len(self) + 1)
        return np.asarray(shapely.from_ragged_array(shapely.GeometryType.POLYGON, self.coords, offsets))

    def texts(self) -> list[bytes]:
        """Each as the WKB of a polygon."""
        data, counts = self.coords.astype("<f8", copy=False).tobytes(), self.positions.tolist()
        ends = list(accumulate(POSITION * count for count in counts))
        return [
            HEAD.pack(1, 3, 1, count) + data[start:end]
            for count, start, end in zip(counts, [0, *ends], ends, strict=False)
        ]

    def are_boxes(self, bounds: FloatArray) -> BoolArray:
        """Whether they are upright rectangles.

        Args:
            bounds: (n, 4) west, north, east, south of each.
        """
        sides = bounds[:, 2:] - bounds[:, :2]
        return np.asarray(areas_of(self.coords, self.positions) == sides[:, 0] * sides[:, 1])


def areas_of(coords: FloatArray, positions: IntArray) -> FloatArray:
    """Square units of closed rings, exact where all is on whole ones.

    Args:
        coords: (n, 2) positions of all, the last one of each as its first.
        positions: how many each has.
    """
    starts = np.cumsum(positions) - positions
    x, y = (coords - np.repeat(coords[starts], positions, axis=0)).T
    turns = np.zeros(len(x))
    # From ring to ring there is nothing, as each one's last position is its first: zero here.
    turns[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
    areas: FloatArray = np.abs(np.add.reduceat(turns, starts)) / 2
    return areas
