"""What one tile gives to the map of an area: objects that are its own, and parts of objects that cross its edges.

Inside an area all is counted in ``UNITS`` to a tile's side, whole numbers, so that two neighbours name the same place
by the same number and nothing hangs on the last bit of a float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import mercantile
import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import shapely

from playground.area.world import UNITS, Shapes, geometry_texts_of
from playground.geo import FloatArray

BESIDE = 4.0
"""Units from an edge at which it is looked what lies along it, on this side and beyond."""

WEST, EAST, NORTH, SOUTH = range(4)
OPPOSITE = (EAST, WEST, SOUTH, NORTH)
STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Column and row from a tile to the neighbour at each edge."""

Runs = list[tuple[float, float]]
Feature = dict[str, Any]


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
    """An object that lies in a tile's core and reaches none of its edges: it is as results write it.

    Attributes:
        index: which of the tile's features it is.
        geometry: GeoJSON, in degrees.
        properties: JSON; with ``confidence_max``.
    """

    index: int
    geometry: bytes
    properties: bytes


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


class Seen(NamedTuple):
    """What was found in the image of one tile.

    Attributes:
        features: valid features in pixels of the padded image, as ``answers.normalize`` gives them, plain lists.
        missing: neighbours without imagery, of NW N NE W E SW S SE: what is seen there is made up.
    """

    tile: mercantile.Tile
    features: list[Feature]
    missing: Iterable[str] = ()


def cut(features: list[Feature], tile: mercantile.Tile, size: int, padding: int, missing: Iterable[str] = ()) -> Pieces:
    """Sort a tile's features by whose they are: ``cut_all`` for one tile."""
    return cut_all([Seen(tile, features, missing)], size, padding)[0]


def cut_all(seen: Sequence[Seen], size: int, padding: int) -> list[Pieces]:
    """Sort the features of tiles by whose they are; many tiles at once cost a fraction of one after the other.

    Args:
        seen: the tiles, all of one zoom.
        size: pixels along a tile's side.
        padding: pixels added on each side.
    """
    cuts = [Pieces(size) for _ in seen]
    features = [feature for each in seen for feature in each.features]
    if not features:
        return cuts
    unit = UNITS / size

    def to_units(pixels: FloatArray) -> FloatArray:
        return np.round((pixels - padding) * unit)

    counts = [len(each.features) for each in seen]
    owners = np.repeat(np.arange(len(seen)), counts)
    indices = np.concatenate([np.arange(count) for count in counts])
    shapes = _read(features, to_units)
    bounds = shapely.bounds(shapes)
    inside = _all(bounds > 0) & _all(bounds < UNITS)
    kinds = shapely.get_dimensions(shapes)
    areal = kinds == 2
    middles = np.floor((bounds[:, :2] + bounds[:, 2:]) / 2 / UNITS).astype(int)
    # Points and mixtures of kinds are nobody's half: they are where their middle is.
    loose = ~inside & ((kinds < 1) | (shapely.get_type_id(shapes) == shapely.GeometryType.GEOMETRYCOLLECTION))
    mine = np.flatnonzero(inside | (loose & _all(middles == 0))).tolist()
    tiles = [seen[owner].tile for owner in owners[mine].tolist()]
    for place, geometry in zip(mine, geometry_texts_of(to_global(shapes[mine], tiles), seen[0].tile.z), strict=True):
        if geometry is not None:
            properties = _properties(features[place])
            properties = {**properties, "confidence_max": properties.get("confidence_max", properties["confidence"])}
            cuts[owners[place]].inside.append(Whole(int(indices[place]), geometry, orjson.dumps(properties)))
    strange = loose & ~_all(middles == 0)
    crossing = np.flatnonzero(~inside & ~loose)
    own = clipped(shapes[crossing], areal[crossing])
    there = ~shapely.is_empty(own)
    strange[crossing[~there]] = True
    for place in owners[strange].tolist():
        cuts[place].beyond += 1
    crossing, own = crossing[there], own[there]
    if not len(crossing):
        return cuts
    low, high = -padding * unit, UNITS + padding * unit
    whole = _all(bounds > low) & _all(bounds < high)
    crossed = shapes[crossing]
    boxes = are_boxes(crossed)
    edges = _Edges(crossed)
    inner = [edges.runs(edge, -BESIDE) for edge in range(4)]
    outer = [edges.runs(edge, BESIDE) for edge in range(4)]
    # A predictor that keeps to the core itself tells as little about beyond as one without padding.
    beside = _all(bounds >= 0) & _all(bounds <= UNITS)
    tells = np.bincount(owners[~beside], minlength=len(seen)) > 0 if padding else np.zeros(len(seen), bool)
    blind = [{*each.missing, *_off_the_map(each.tile)} for each in seen]
    own_texts, seen_texts = shapely.to_wkb(own).tolist(), shapely.to_wkb(crossed).tolist()
    for number, place in enumerate(crossing.tolist()):
        owner = int(owners[place])
        cuts[owner].parts.append(
            Part(
                int(indices[place]),
                own_texts[number],
                seen_texts[number],
                _at(inner, number),
                _at(outer, number) if tells[owner] else None,
                (int(middles[place, 0]), int(middles[place, 1])),
                bool(whole[place]),
                bool(boxes[number]) and (not blind[owner] or blind[owner].isdisjoint(_reached(bounds[place]))),
                _properties(features[place]),
            )
        )
    return cuts


def _read(features: list[Feature], to_units: Callable[[FloatArray], FloatArray]) -> Shapes:
    """The geometries of features, in units."""
    shapes = np.empty(len(features), dtype=object)
    geometries = [feature["geometry"] for feature in features]
    single = [index for index, geometry in enumerate(geometries) if geometry["type"] == "Polygon"]
    if single:
        polygons = [geometries[index]["coordinates"] for index in single]
        rings = [ring for polygon in polygons for ring in polygon]
        coords = np.array([position for ring in rings for position in ring], dtype=np.float64)
        offsets = np.cumsum([0, *map(len, rings)]), np.cumsum([0, *map(len, polygons)])
        shapes[single] = shapely.from_ragged_array(shapely.GeometryType.POLYGON, to_units(coords), offsets)
    others = [index for index, geometry in enumerate(geometries) if geometry["type"] != "Polygon"]
    texts = [orjson.dumps(geometries[index]) for index in others]
    shapes[others] = shapely.transform(shapely.from_geojson(texts), to_units)
    return shapes


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


class _Edges:
    """The straight edges of polygons and lines, to be met by lines along a tile's edges."""

    def __init__(self, shapes: Shapes) -> None:
        self._count = len(shapes)
        coords, paths, self._owners = _paths(shapes)
        same = paths[1:] == paths[:-1]
        self._owners = self._owners[1:][same]
        self._from, self._to = coords[:-1][same], coords[1:][same]
        # A line is met in points: they get a width to be met by.
        self._areal = shapely.get_dimensions(shapes) == 2

    def runs(self, edge: int, beside: float) -> list[Runs]:
        """Where shapes cover a line along an edge: (from, to) in units from the edge's beginning, in order."""
        across = beside if edge in (EAST, SOUTH) else -beside
        at = (UNITS if edge in (EAST, SOUTH) else 0.0) + across
        axis = 1 if edge in (WEST, EAST) else 0
        starts, ends = self._from[:, 1 - axis], self._to[:, 1 - axis]
        # An edge's one end counts, not the other: so a corner on the line is met once, or twice where both turn back.
        met = np.flatnonzero((starts <= at) != (ends <= at))
        share = (at - starts[met]) / (ends[met] - starts[met])
        along = self._from[met, axis] + share * (self._to[met, axis] - self._from[met, axis])
        owners = self._owners[met]
        order = np.lexsort((along, owners))
        owners, along = owners[order], along[order]
        areal = self._areal[owners]
        half = UNITS / 512
        lows = np.concatenate([along[areal][::2], along[~areal] - half])
        highs = np.concatenate([along[areal][1::2], along[~areal] + half])
        whose = np.concatenate([owners[areal][::2], owners[~areal]])
        # In the core's own stretch only: what lies beside the corners belongs to the next edge.
        kept = (highs > 0) & (lows < UNITS) & (highs > lows)
        lows, highs = np.maximum(lows, 0.0), np.minimum(highs, float(UNITS))
        runs: list[Runs] = [[] for _ in range(self._count)]
        for index, low, high in zip(whose[kept].tolist(), lows[kept].tolist(), highs[kept].tolist(), strict=True):
            if runs[index] and low <= runs[index][-1][1]:
                runs[index][-1] = (runs[index][-1][0], max(runs[index][-1][1], high))
            else:
                runs[index].append((low, high))
        return runs


def _paths(shapes: Shapes) -> tuple[FloatArray, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The positions of polygons and lines, the ring or line that each is of, and the shape."""
    parts, owners = shapely.get_parts(shapes, return_index=True)
    areal = shapely.get_dimensions(parts) == 2
    rings, of = shapely.get_rings(parts[areal], return_index=True)
    coords, paths = shapely.get_coordinates(np.concatenate([rings, parts[~areal]]), return_index=True)
    return coords, paths, np.concatenate([owners[areal][of], owners[~areal]])[paths]


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
