"""Geometries of many objects at once. Nearly all are polygons without holes, and those stay numbers.

To make a geometry of each costs as much as all that is done with it: its outline is read from the WKB, joined, put on
the map and written as it is. What else there is are GEOS' geometries.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import mercantile
import numpy as np
import numpy.typing as npt
import shapely

from playground.answers.shapes import layers_of_shapes, polygons_of_table
from playground.answers.table import Layer, Table
from playground.area.parts import to_global
from playground.area.rings import POSITION, areas_of
from playground.area.world import UNITS, Shapes
from playground.geo import FloatArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

OUTLINE = b"\x01\x03\0\0\0\x01\0\0\0"
"""How the WKB of a polygon of one ring begins: in little-endian; then come the number of its positions and these."""
FILL = b"\0\0\0"
"""Before such a WKB, so that its positions begin where a position can."""


@dataclasses.dataclass
class Forms:
    """Geometries in units of the whole map.

    Args:
        outlines: polygons of one ring.
        places: of these, among all geometries; in order.
        others: by place, geometries that are no outlines; None where an outline is.
    """

    outlines: Table
    places: IntArray
    others: Shapes

    @staticmethod
    def of_wkb(texts: Sequence[bytes], tiles: Sequence[mercantile.Tile]) -> Forms:
        """Those of WKB in units from the corners of their tiles."""
        others = np.full(len(texts), None, dtype=object)
        plain = np.array([text.startswith(OUTLINE) for text in texts], dtype=bool)
        corners = np.array([(tile.x, tile.y) for tile in tiles], dtype=np.float64).reshape(-1, 2) * UNITS
        rest = np.flatnonzero(~plain).tolist()
        if rest:
            shapes = np.asarray(shapely.from_wkb([texts[place] for place in rest]), dtype=object)
            others[rest] = to_global(shapes, [tiles[place] for place in rest])
            texts = [text for text, alike in zip(texts, plain.tolist(), strict=True) if alike]
        numbers = np.frombuffer(FILL.join((b"", *texts)), "<f8").reshape(-1, 2)
        sizes = np.fromiter(map(len, texts), np.int64, len(texts)) // POSITION
        heads = np.zeros(len(numbers), dtype=bool)
        heads[np.cumsum(sizes + 1) - sizes - 1] = True
        coords = np.compress(~heads, numbers, axis=0)
        coords += np.repeat(corners[plain], sizes, axis=0)
        return Forms(outlines_of(coords, sizes), np.flatnonzero(plain), others)

    def __len__(self) -> int:
        return len(self.others)

    @staticmethod
    def together(one: Forms, places: IntArray, other: Forms, beside: IntArray) -> Forms:
        """Those of two, by their places among all."""
        others = np.full(len(one) + len(other), None, dtype=object)
        others[places], others[beside] = one.others, other.others
        found = np.concatenate((places[one.places], beside[other.places]))
        order = np.argsort(found)
        sizes = np.concatenate((one.outlines.positions, other.outlines.positions))
        starts = np.cumsum(sizes) - sizes
        coords = np.concatenate((one.outlines.coords, other.outlines.coords))
        coords = rearranged(coords, starts[order], sizes[order])
        return Forms(outlines_of(coords, sizes[order]), found[order], others)

    def take(self, which: BoolArray) -> Forms:
        """Some of them."""
        if which.all():
            return self
        chosen = which[self.places]
        ranks = np.cumsum(which) - 1
        return Forms(self.outlines.take(chosen), ranks[self.places[chosen]], self.others[which])

    def shapes(self, which: BoolArray) -> Shapes:
        """Some of them as geometries."""
        shapes = self.others.copy()
        chosen = which[self.places]
        outlines = self.outlines.take(chosen)
        shapes[self.places[chosen]] = polygons_of_table(outlines, outlines.coords)
        return shapes[which]

    def areas(self) -> FloatArray:
        """Square units, exact where all is on whole ones."""
        areas = np.zeros(len(self))
        rest = ~shapely.is_missing(self.others)
        areas[rest] = shapely.area(self.others[rest])
        if len(self.places):
            areas[self.places] = areas_of(self.outlines.coords, self.outlines.positions)
        return areas

    def bounds(self) -> FloatArray:
        """(n, 4) least x and y, greatest x and y."""
        bounds: FloatArray = shapely.bounds(self.others)
        bounds[self.places] = self.outlines.bounds()
        return bounds

    def are_boxes(self) -> BoolArray:
        """Whether they are upright rectangles, each one."""
        west, south, east, north = self.bounds().T
        single = shapely.get_type_id(self.others) == shapely.GeometryType.POLYGON
        single[self.places] = True
        return np.asarray(single & (self.areas() == (east - west) * (north - south)))

    def layers(self) -> list[Layer]:
        """The tables of numbers that they are."""
        rest = np.flatnonzero(~shapely.is_missing(self.others))
        layers = [Layer(table, rest[places]) for table, places in layers_of_shapes(self.others[rest])]
        return [Layer(self.outlines, self.places), *layers] if len(self.places) else layers


def outlines_of(coords: FloatArray, positions: IntArray) -> Table:
    """The table of closed rings that are polygons.

    Args:
        coords: (n, 2) positions of all.
        positions: how many each has, the last one as the first.
    """
    ones = np.ones(len(positions), np.int64)
    return Table(["Polygon"] * len(positions), np.arange(len(positions)), ones, ones, positions, coords)


def rearranged(coords: FloatArray, starts: IntArray, sizes: IntArray) -> FloatArray:
    """Stretches of positions one behind the other: from where each begins, so many."""
    ends = np.cumsum(sizes)
    return coords.take(np.repeat(starts - (ends - sizes), sizes) + np.arange(len(sizes) and int(ends[-1])), axis=0)
