"""What one tile gives to the map of an area: objects that are its own, and parts of objects that cross its edges.

Inside an area all is counted in ``UNITS`` to a tile's side, whole numbers, so that two neighbours name the same place
by the same number and nothing hangs on the last bit of a float.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import mercantile
import msgspec
import numpy as np
import numpy.typing as npt
import shapely

from playground.area.world import UNITS, Shapes

WEST, EAST, NORTH, SOUTH = range(4)
OPPOSITE = (EAST, WEST, SOUTH, NORTH)
STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Column and row from a tile to the neighbour at each edge."""

Runs = list[tuple[float, float]]
Feature = dict[str, Any]


class Part(msgspec.Struct, array_like=True, gc=False):
    """A part of an object that lies in a tile's core and reaches one of its edges.

    Attributes:
        index: which of the tile's features it comes from.
        own: WKB of what lies in the core, in units from the tile's corner.
        seen: WKB of all that the tile's image, with its padding, shows of the object.
        inner: by edge, stretches along it that the object touches from inside.
        outer: by edge, stretches that it covers just beyond; None where no padding shows it.
        at: column and row, from the tile, of the tile that holds its middle.
        whole: the object ends before the padded image does.
        box: it is a rectangle, as detectors draw them.
    """

    index: int
    own: bytes
    seen: bytes
    inner: tuple[Runs, Runs, Runs, Runs]
    outer: tuple[Runs, Runs, Runs, Runs] | None
    at: tuple[int, int]
    whole: bool
    box: bool
    properties: dict[str, Any]


class Pieces(msgspec.Struct, array_like=True, gc=False):
    """What one tile gives.

    Attributes:
        size: pixels along its side.
        inside: objects that are its own and reach none of its edges: their features, as results write them, joined by
            ``SEPARATOR``; each with ``confidence_max``, and with its name as its id.
        count: how many these are.
        parts: of objects that reach an edge.
        beyond: how many features lie in the padding only: its neighbours'.
    """

    size: int
    inside: bytes = b""
    count: int = 0
    parts: list[Part] = []
    beyond: int = 0

    def dumps(self) -> bytes:
        return _encode(self)

    @staticmethod
    def loads(data: bytes) -> Pieces:
        return _decode(data)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Pieces).decode


def same_dimension(shapes: Shapes, areal: npt.NDArray[np.bool_]) -> Shapes:
    """Polygons of polygons and lines of lines; what touches only in points or lines is gone."""
    found = shapes.copy()
    kinds = shapely.get_type_id(shapes)
    mixed = np.flatnonzero(((kinds != 3) & (kinds != 6)) | ~areal).tolist()
    for index in mixed:
        wanted = (3,) if areal[index] else (1, 2)
        parts = shapely.get_parts(shapely.get_parts([shapes[index]]))
        kept = [part for part in parts if shapely.get_type_id(part) in wanted and not part.is_empty]
        if not kept:
            found[index] = shapely.Polygon()
        elif len(kept) == 1:
            found[index] = kept[0]
        else:
            found[index] = shapely.MultiPolygon(kept) if areal[index] else shapely.MultiLineString(kept)
    return found


def are_boxes(shapes: Shapes) -> npt.NDArray[np.bool_]:
    """Whether shapes are upright rectangles, each one."""
    west, south, east, north = shapely.bounds(shapes).T
    single = shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON
    return np.asarray(single & (shapely.area(shapes) == (east - west) * (north - south)))


def to_global(shapes: Shapes, tiles: list[mercantile.Tile]) -> Shapes:
    """Shapes in units from the map's north-western corner, of shapes in units from their tiles' corners."""
    corners = np.array([(tile.x * UNITS, tile.y * UNITS) for tile in tiles], dtype=np.float64).reshape(-1, 2)
    coords, owners = shapely.get_coordinates(shapes, return_index=True)
    moved: Shapes = shapely.set_coordinates(shapes.copy(), coords + corners.take(owners, axis=0))
    return moved


def name(tile: mercantile.Tile, index: int) -> str:
    """The id of an object: the tile that tells of it first, and its place among that tile's features."""
    return f"{tile.z}/{tile.x}/{tile.y}/{index}"


def names_of(tiles: Sequence[mercantile.Tile], images: Iterable[int], indices: Iterable[int]) -> Iterator[bytes]:
    """The names of many.

    Args:
        tiles: those that tell of them.
        images: of each object, the tile among these.
        indices: of each object, its place among the tile's features.
    """
    before = [name(tile, 0)[:-1].encode() for tile in tiles]
    return map(b"%b%d".__mod__, zip(map(before.__getitem__, images), indices, strict=True))
