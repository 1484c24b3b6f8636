"""Polygons as a predictor's process packed them: numbers from its answer to the table that answers are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from playground.geo import FloatArray

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Polygons:
    """Polygons of several tiles.

    Args:
        rings: how many each polygon has.
        positions: how many each ring has.
        coords: (n, 2) x and y of all positions.
        are_whole: whether the predictor gave whole numbers.
    """

    rings: IntArray
    positions: IntArray
    coords: FloatArray
    are_whole: bool = False

    @cached_property
    def ring_ends(self) -> IntArray:
        """By polygon, the ring after its last one, behind a zero."""
        return np.concatenate(([0], np.cumsum(self.rings)))

    @cached_property
    def position_ends(self) -> IntArray:
        """By ring, the position after its last one, behind a zero."""
        return np.concatenate(([0], np.cumsum(self.positions)))

    def part(self, first: int, last: int) -> Polygons:
        """Those from the first to before the last."""
        low, high = self.ring_ends[first], self.ring_ends[last]
        coords = self.coords[self.position_ends[low] : self.position_ends[high]]
        return Polygons(self.rings[first:last], self.positions[low:high], coords, self.are_whole)

    def listed(self, index: int) -> list[list[list[float]]]:
        """The coordinates of one polygon as GeoJSON has them."""
        ends = self.position_ends[self.ring_ends[index] : self.ring_ends[index + 1] + 1]
        numbers = self.coords.astype(np.int64) if self.are_whole else self.coords
        return [numbers[start:end].tolist() for start, end in pairwise(ends)]


class Coordinates(msgspec.Struct, gc=False, eq=False):
    """The coordinates of a polygon, made only where somebody looks at them.

    Args:
        polygons: where they are.
        index: which of them they are.
    """

    polygons: Polygons
    index: int

    def tolist(self) -> list[list[list[float]]]:
        """The same in plain lists."""
        return self.polygons.listed(self.index)

    def __len__(self) -> int:
        return int(self.polygons.rings[self.index])

    def __getitem__(self, place: Any) -> Any:
        return self.tolist()[place]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __eq__(self, other: object) -> bool:
        return self.tolist() == (other.tolist() if isinstance(other, Coordinates) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.tolist())


def gathered(coordinates: Sequence[Coordinates]) -> Polygons:
    """Polygons from wherever they are, in this order."""
    found: list[Polygons] = []
    start = 0
    while start < len(coordinates):
        polygons, first = coordinates[start].polygons, coordinates[start].index
        count = 1
        while (
            start + count < len(coordinates)
            and coordinates[start + count].polygons is polygons
            and coordinates[start + count].index == first + count
        ):
            count += 1
        found.append(polygons.part(first, first + count))
        start += count
    if len(found) == 1:
        return found[0]
    return Polygons(
        np.concatenate([each.rings for each in found]),
        np.concatenate([each.positions for each in found]),
        np.concatenate([each.coords for each in found]),
    )
