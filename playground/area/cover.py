"""The tiles of an area, each once, in the one order that runs, seams and results share.

That order goes in bands of ``BAND_ROWS`` rows from north to south; in a band by columns from west to east; in a column
from north to south. Whoever predicts tiles in it needs but three columns of a band at a time, not three rows of a
continent.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import mercantile
import numpy as np
import numpy.typing as npt
import shapely

from playground import geo
from playground.errors import AreaError

BAND_DEPTH = 4
BAND_ROWS = 2**BAND_DEPTH
"""Rows of a band; its padding costs 2 more, so an eighth."""
SNAP = 1e-6
"""Tiles: what lies so near to a tile's edge lies on it. A four-thousandth of a pixel; degrees to metres and back cost
less than a thousandth of that."""

Shapes = npt.NDArray[np.object_]
Addresses = npt.NDArray[np.int64]
"""(n, 2) columns and rows."""
Prepared = tuple[shapely.Geometry, float]
"""A prepared geometry in units of tiles, and what a tile lacks in the north and west to count as touched by it."""


def cover(geometry: shapely.Geometry, zoom: int) -> Iterator[mercantile.Tile]:
    """The tiles that a geometry lies in.

    A tile holds its western and northern edges, not the eastern and southern ones: a polygon whose border runs along
    tile edges needs no tile beyond them, a point on a corner is in one tile. What lies beyond the map's top and bottom
    is left out.

    Args:
        geometry: any kind, degrees; longitudes may pass +-180 where it crosses the antimeridian. Its edges are straight
            in degrees, as in GeoJSON.
        zoom: 0 to 30.
    """
    for addresses in cover_bands(geometry, zoom):
        for x, y in addresses.tolist():
            yield mercantile.Tile(x, y, zoom)


def cover_bands(geometry: shapely.Geometry, zoom: int) -> Iterator[Addresses]:
    """The columns and rows of ``cover``, a band at a time: numbers only, for those who count."""
    shapes = _in_tiles(geometry, zoom)
    if not shapes:
        return
    depth = min(BAND_DEPTH, zoom)
    full, partly = _descend(shapes, zoom, np.zeros((1, 2), np.int64), zoom, depth)
    low, high = _rows(full, partly, depth)
    for band in range(low, high):
        found = [_within(addresses, size, band, depth) for size, addresses in full]
        inside = partly[partly[:, 1] == band]
        deeper, last = _descend(shapes, zoom, inside, depth, 0)
        found += [_expand(addresses, size) for size, addresses in deeper]
        found.append(last)
        yield _ordered(np.concatenate(found))


def in_order(tiles: Addresses) -> Iterator[Addresses]:
    """Any columns and rows in the order of ``cover``, a band at a time, each once."""
    tiles = np.unique(tiles, axis=0)
    bands = tiles[:, 1] // BAND_ROWS
    for band in np.unique(bands):
        yield _ordered(tiles[bands == band])


def order_of(x: int, y: int) -> tuple[int, int, int]:
    """What a tile's place in the order of ``cover`` goes by."""
    return y // BAND_ROWS, x, y


def bbox_geometry(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    """The area between two meridians and two parallels, degrees; it crosses the antimeridian where west > east.

    Raises:
        AreaError: it has no extent, or is no place on earth.
    """
    if not (-360.0 <= west <= 360.0 and -360.0 <= east <= 360.0 and -90.0 <= south <= 90.0 and -90.0 <= north <= 90.0):
        raise AreaError(
            f"{west:g},{south:g},{east:g},{north:g} is no bbox in degrees",
            "it is west,south,east,north: like -4,40,-3,41",
        )
    if south >= north or west == east:
        raise AreaError(
            f"the bbox {west:g},{south:g},{east:g},{north:g} holds nothing",
            "it is west,south,east,north; west may be greater than east, across the antimeridian",
        )
    return shapely.box(west, south, east + 360.0 if west > east else east, north)


def _in_tiles(geometry: shapely.Geometry, zoom: int) -> list[Prepared]:
    """A geometry in units of tiles from the map's north-western corner: areas, lines and points apart."""
    count = 2**zoom
    if not shapely.is_valid(geometry):
        geometry = shapely.make_valid(geometry)
    shapes: list[Prepared] = []
    for dimension in (2, 1, 0):
        clipped = clipped_to(_parts(geometry, dimension), -1e6, -geo.MAX_LATITUDE, 1e6, geo.MAX_LATITUDE)
        parts = _parts(shapely.GeometryCollection(clipped.tolist()), dimension)
        if not len(parts):
            continue
        if dimension:
            parts = _segmentized(parts, _longest_edge(zoom))

        def place(lnglat: geo.FloatArray) -> geo.FloatArray:
            limited = np.clip(lnglat[:, 1], -geo.MAX_LATITUDE, geo.MAX_LATITUDE)
            u, v = geo.pixel_of_lnglat(mercantile.Tile(0, 0, zoom), lnglat[:, 0], limited, 1, 0)
            uv = np.column_stack((u, v))
            whole = np.round(uv)
            return np.where(np.abs(uv - whole) < SNAP, whole, uv)

        placed = _around(shapely.make_valid(shapely.transform(parts, place)), count, dimension)
        merged = shapely.union_all(placed)
        shapely.prepare(merged)
        shapes.append((merged, SNAP if dimension == 2 else 0.0))
    return shapes


def _parts(geometry: shapely.Geometry, dimension: int) -> Shapes:
    """The single geometries of one dimension (0 points, 1 lines, 2 polygons) in it."""
    parts = np.array([geometry], dtype=object)
    while (shapely.get_type_id(parts) > shapely.GeometryType.POLYGON).any():
        parts = shapely.get_parts(parts)
    chosen: Shapes = parts[(shapely.get_dimensions(parts) == dimension) & ~shapely.is_empty(parts)]
    return chosen


def clipped_to(parts: Shapes, left: float, bottom: float, right: float, top: float) -> Shapes:
    """What of shapes lies in a rectangle; those wholly in it stay as they are.

    (GEOS' own clipping by a rectangle may take holes that touch for the rectangle's inside.)
    """
    bounds = shapely.bounds(parts)
    beyond = (bounds[:, :2] < (left, bottom)).any(axis=1) | (bounds[:, 2:] > (right, top)).any(axis=1)
    if not beyond.any():
        return parts
    clipped = parts.copy()
    clipped[beyond] = shapely.intersection(shapely.make_valid(parts[beyond]), shapely.box(left, bottom, right, top))
    return clipped


def _segmentized(parts: Shapes, longest: float) -> Shapes:
    """Lines and polygons with no longer edges than that. (GEOS mends polygons that come out of it touching themselves,
    and may leave nothing of them; rings it leaves as they are.)"""
    split = parts.copy()
    areas = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    split[~areas] = shapely.segmentize(parts[~areas], longest)
    for index in np.nonzero(areas)[0].tolist():
        shell, *holes = shapely.segmentize(shapely.get_rings(parts[index]), longest)
        split[index] = shapely.Polygon(shell, holes)
    return split


def _longest_edge(zoom: int) -> float:
    """Degrees that an edge, straight in degrees, may have to be straight on the map within a pixel (to 80 degrees)."""
    bend = 33.0  # sec * tan of 80 degrees: the second derivative of the map's northing
    return float(np.degrees(np.sqrt(8.0 * 2.0 * np.pi / 2**zoom / 256.0 / bend)))


def _around(parts: Shapes, count: int, dimension: int) -> Shapes:
    """Parts brought on the one turn of the map, 0 to ``count`` tiles, cut where they pass the antimeridian."""
    bounds = shapely.bounds(parts)
    first, last = int(np.floor(bounds[:, 0].min() / count)), int(np.ceil(bounds[:, 2].max() / count))
    if last == first:  # all on the antimeridian: as 180 degrees it ends the map, as -180 it begins it
        first, last = (first - 1, last) if first > 0 else (first, last + 1)
    # Its very edges are in the last column and row, as nothing lies beyond.
    edge = count - 2 * SNAP if dimension < 2 else float(count)
    turns = []
    for turn in range(first, last):
        piece = clipped_to(parts, turn * count, -1.0, (turn + 1) * count, count + 1.0) if last - first > 1 else parts
        start = np.array([turn * count, 0])
        turns.append(np.asarray(shapely.transform(piece, partial(_moved, start=start, edge=edge)), dtype=object))
    return np.concatenate(turns)


def _moved(uv: geo.FloatArray, start: Addresses, edge: float) -> geo.FloatArray:
    return np.clip(uv - start, 0.0, edge)


def _descend(
    shapes: list[Prepared], zoom: int, nodes: Addresses, start: int, stop: int
) -> tuple[list[tuple[int, Addresses]], Addresses]:
    """Follow the quadtree down from squares of 2**start tiles to squares of 2**stop.

    Returns:
        (depth, squares wholly inside) by depth, and the squares of ``stop`` that are partly so.
    """
    full: list[tuple[int, Addresses]] = []
    for depth in range(start, stop - 1, -1):
        if not len(nodes):
            break
        if depth != start:
            nodes = (2 * nodes[:, None, :] + np.array([[0, 0], [1, 0], [0, 1], [1, 1]])).reshape(-1, 2)
        touched = np.zeros(len(nodes), bool)
        inside = np.zeros(len(nodes), bool)
        for shape, inset in shapes:
            boxes = shapely.box(*(nodes * 2**depth + inset).T, *((nodes + 1) * 2**depth - SNAP).T)
            touched |= shapely.intersects(shape, boxes)
            if inset and depth:
                inside[touched] |= shapely.covers(shape, boxes[touched])
        full.append((depth, nodes[inside]))
        nodes = nodes[touched & ~inside]
    return full, nodes


def _rows(full: list[tuple[int, Addresses]], partly: Addresses, depth: int) -> tuple[int, int]:
    """First band, and the one after the last."""
    lows = [int(partly[:, 1].min())] if len(partly) else []
    highs = [int(partly[:, 1].max()) + 1] if len(partly) else []
    for size, addresses in full:
        if len(addresses):
            lows.append(int(addresses[:, 1].min()) * 2 ** (size - depth))
            highs.append((int(addresses[:, 1].max()) + 1) * 2 ** (size - depth))
    return min(lows, default=0), max(highs, default=0)


def _within(addresses: Addresses, size: int, band: int, depth: int) -> Addresses:
    """The tiles in one band of squares of 2**size tiles, where a band has 2**depth rows."""
    chosen = addresses[addresses[:, 1] == band >> (size - depth)]
    side = 2 ** (size - depth)
    squares = np.column_stack(
        ((chosen[:, 0, None] * side + np.arange(side)).ravel(), np.full(len(chosen) * side, band, np.int64))
    )
    return _expand(squares, depth)


def _expand(addresses: Addresses, size: int) -> Addresses:
    """The tiles of squares of 2**size tiles."""
    steps = np.stack(np.meshgrid(np.arange(2**size), np.arange(2**size)), axis=-1).reshape(-1, 2)
    tiles: Addresses = (addresses[:, None, :] * 2**size + steps).reshape(-1, 2)
    return tiles


def _ordered(tiles: Addresses) -> Addresses:
    ordered: Addresses = tiles[np.lexsort((tiles[:, 1], tiles[:, 0]))]
    return ordered
