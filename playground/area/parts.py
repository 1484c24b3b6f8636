"""What one tile gives to the map of an area: objects that are its own, and parts of objects that cross its edges.

Inside an area all is counted in ``UNITS`` to a tile's side, whole numbers, so that two neighbours name the same place
by the same number and nothing hangs on the last bit of a float.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import mercantile
import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import shapely

from playground.geo import FloatArray

UNITS = 51_200
"""Along a tile's side: two hundred a pixel of 256-pixel tiles, a hundred of 512. Pixels come with two decimals."""
BESIDE = 4.0
"""Units from an edge at which it is looked what lies along it, on this side and beyond."""

WEST, EAST, NORTH, SOUTH = range(4)
OPPOSITE = (EAST, WEST, SOUTH, NORTH)
STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Column and row from a tile to the neighbour at each edge."""

Runs = list[tuple[float, float]]
Feature = dict[str, Any]
Shapes = npt.NDArray[np.object_]


class Part(msgspec.Struct, array_like=True):
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


class Whole(msgspec.Struct, array_like=True):
    """An object that lies in a tile's core and reaches none of its edges.

    Attributes:
        index: which of the tile's features it is.
        shape: WKB, in units from the tile's corner.
    """

    index: int
    shape: bytes
    properties: dict[str, Any]


class Pieces(msgspec.Struct, array_like=True):
    """What one tile gives.

    Attributes:
        size: pixels along its side.
        inside: objects that are its own.
        parts: those that reach an edge.
        beyond: how many features lie in the padding only: its neighbours'.
    """

    size: int
    inside: list[Whole] = []
    parts: list[Part] = []
    beyond: int = 0

    def dumps(self) -> bytes:
        return _encode(self)

    @staticmethod
    def loads(data: bytes) -> Pieces:
        return _decode(data)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Pieces).decode


def cut(features: list[Feature], tile: mercantile.Tile, size: int, padding: int, missing: Iterable[str] = ()) -> Pieces:
    """Sort a tile's features by whose they are.

    Args:
        features: valid features in pixels of the padded image, as ``answers.normalize`` gives them, plain lists.
        size: pixels along the tile's side.
        padding: pixels added on each side.
        missing: neighbours without imagery, of NW N NE W E SW S SE: what is seen there is made up.
    """
    pieces = Pieces(size)
    if not features:
        return pieces
    unit = UNITS / size

    def to_units(pixels: FloatArray) -> FloatArray:
        return np.round((pixels - padding) * unit)

    texts = [orjson.dumps(feature["geometry"]) for feature in features]
    shapes = np.asarray(shapely.transform(shapely.from_geojson(texts), to_units), dtype=object)
    bounds = shapely.bounds(shapes)
    inside = _all(bounds > 0) & _all(bounds < UNITS)
    kinds = shapely.get_dimensions(shapes)
    areal = kinds == 2
    middles = np.floor((bounds[:, :2] + bounds[:, 2:]) / 2 / UNITS).astype(int)
    # Points and mixtures of kinds are nobody's half: they are where their middle is.
    loose = ~inside & ((kinds < 1) | (shapely.get_type_id(shapes) == shapely.GeometryType.GEOMETRYCOLLECTION))
    mine = np.flatnonzero(inside | (loose & _all(middles == 0)))
    pieces.inside = [
        Whole(index, shape, _properties(features[index]))
        for index, shape in zip(mine.tolist(), shapely.to_wkb(shapes[mine]).tolist(), strict=True)
    ]
    pieces.beyond += int(loose.sum() - (loose & _all(middles == 0)).sum())
    crossing = np.flatnonzero(~inside & ~loose)
    if not len(crossing):
        return pieces
    own = clipped(shapes[crossing], areal[crossing])
    there = ~shapely.is_empty(own)
    pieces.beyond += int((~there).sum())
    crossing, own = crossing[there], own[there]
    if len(crossing):
        low, high = -padding * unit, UNITS + padding * unit
        whole = _all(bounds > low) & _all(bounds < high)
        seen = shapes[crossing]
        boxes = are_boxes(seen)
        blind = {*missing, *_off_the_map(tile)}
        inner = [_runs(seen, edge, -BESIDE) for edge in range(4)]
        # A predictor that keeps to the core itself tells as little about beyond as one without padding.
        tells = padding > 0 and bool(((bounds < 0) | (bounds > UNITS)).any())
        outer = [_runs(seen, edge, BESIDE) for edge in range(4)] if tells else None
        own_texts, seen_texts = shapely.to_wkb(own).tolist(), shapely.to_wkb(seen).tolist()
        for place, index in enumerate(crossing.tolist()):
            pieces.parts.append(
                Part(
                    index,
                    own_texts[place],
                    seen_texts[place],
                    _at(inner, place),
                    _at(outer, place) if outer else None,
                    (int(middles[index, 0]), int(middles[index, 1])),
                    bool(whole[index]),
                    bool(boxes[place]) and blind.isdisjoint(_reached(bounds[index])),
                    _properties(features[index]),
                )
            )
    return pieces


def _off_the_map(tile: mercantile.Tile) -> tuple[str, ...]:
    """The neighbours that no map has, beyond its top and bottom."""
    north = ("NW", "N", "NE") if tile.y == 0 else ()
    south = ("SW", "S", "SE") if tile.y == 2**tile.z - 1 else ()
    return north + south


def _reached(bounds: FloatArray) -> Iterator[str]:
    """The neighbours that bounds, in units, reach into."""
    west, north, east, south = bounds.tolist()
    rows = [name for name, reached in (("N", north < 0), ("", True), ("S", south > UNITS)) if reached]
    columns = [name for name, reached in (("W", west < 0), ("", True), ("E", east > UNITS)) if reached]
    yield from (row + column for row in rows for column in columns if row + column)


def _all(marks: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(np.all(marks, axis=1))


def _at(runs: list[list[Runs]], place: int) -> tuple[Runs, Runs, Runs, Runs]:
    west, east, north, south = (along[place] for along in runs)
    return west, east, north, south


def clipped(shapes: Shapes, areal: npt.NDArray[np.bool_]) -> Shapes:
    """The parts of polygons and lines that lie in the core, on whole units and valid; perhaps empty."""
    core = shapely.box(0, 0, UNITS, UNITS)
    found = np.asarray(shapely.intersection(shapes, core), dtype=object)
    found = np.asarray(shapely.transform(found, np.round), dtype=object)
    broken = ~shapely.is_valid(found)
    if broken.any():
        found[broken] = shapely.intersection(shapes[broken], core, grid_size=1.0)
    return same_dimension(found, areal)


def same_dimension(shapes: Shapes, areal: npt.NDArray[np.bool_]) -> Shapes:
    """Polygons of polygons and lines of lines; what touches only in points or lines is gone."""
    found = shapes.copy()
    mixed = np.flatnonzero(~np.isin(shapely.get_type_id(shapes), (3, 6)) | ~areal).tolist()
    for index in mixed:
        kinds = (3,) if areal[index] else (1, 2)
        parts = shapely.get_parts(shapely.get_parts([shapes[index]]))
        kept = [part for part in parts if shapely.get_type_id(part) in kinds and not part.is_empty]
        if not kept:
            found[index] = shapely.Polygon()
        elif len(kept) == 1:
            found[index] = kept[0]
        else:
            found[index] = shapely.MultiPolygon(kept) if areal[index] else shapely.MultiLineString(kept)
    return found


def _runs(shapes: Shapes, edge: int, beside: float) -> list[Runs]:
    """Where shapes cover a line along an edge: (from, to) in units from the edge's beginning, in order."""
    across = beside if edge in (EAST, SOUTH) else -beside
    at = (UNITS if edge in (EAST, SOUTH) else 0.0) + across
    # In the core's own stretch only: what lies beside the corners belongs to the next edge.
    ends = [(at, 0.0), (at, UNITS)] if edge in (WEST, EAST) else [(0.0, at), (UNITS, at)]
    axis = 1 if edge in (WEST, EAST) else 0
    bounds = shapely.bounds(shapes)
    crossed = (bounds[:, 1 - axis] <= at) & (at <= bounds[:, 3 - axis])
    met = np.flatnonzero(crossed & (bounds[:, axis] < UNITS) & (bounds[:, axis + 2] > 0))
    runs: list[Runs] = [[] for _ in shapes]
    if not len(met):
        return runs
    found, owners = shapely.get_parts(shapely.intersection(shapes[met], shapely.LineString(ends)), return_index=True)
    found, again = shapely.get_parts(found, return_index=True)  # a collection may hold several lines
    spans = shapely.bounds(found)
    # A line is met in points: they get a width to be met by.
    wide = np.where(shapely.get_dimensions(shapes[met]) == 1, UNITS / 512, 0.0)[owners[again]]
    stretches = zip(met[owners[again]].tolist(), spans[:, axis] - wide, spans[:, axis + 2] + wide, strict=True)
    for index, low, high in sorted(stretches):
        if not high > low:
            continue
        if runs[index] and low <= runs[index][-1][1]:
            runs[index][-1] = (runs[index][-1][0], max(runs[index][-1][1], float(high)))
        else:
            runs[index].append((float(low), float(high)))
    return runs


def are_boxes(shapes: Shapes) -> npt.NDArray[np.bool_]:
    """Whether shapes are upright rectangles, each one."""
    west, south, east, north = shapely.bounds(shapes).T
    single = shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON
    return np.asarray(single & (shapely.area(shapes) == (east - west) * (north - south)))


def to_global(shapes: Shapes, tiles: list[mercantile.Tile]) -> Shapes:
    """Shapes in units from the map's north-western corner, of shapes in units from their tiles' corners."""
    corners = np.array([(tile.x * UNITS, tile.y * UNITS) for tile in tiles], dtype=np.float64).reshape(-1, 2)
    coords, owners = shapely.get_coordinates(shapes, return_index=True)
    moved: Shapes = shapely.set_coordinates(shapes.copy(), coords + corners[owners])
    return moved


def name(tile: mercantile.Tile, index: int) -> str:
    """The id of an object: the tile that tells of it first, and its place among that tile's features."""
    return f"{tile.z}/{tile.x}/{tile.y}/{index}"


def _properties(feature: Feature) -> dict[str, Any]:
    properties: dict[str, Any] = feature["properties"]
    if "id" in feature:  # the predictor's own number means something in its tile only
        properties = {**properties, "id": properties.get("id", feature["id"])}
    return properties
