"""Areas that are asked for: which tiles they take."""

from __future__ import annotations

import dataclasses
from typing import Any

import mercantile
import numpy as np
import numpy.typing as npt
import shapely
import shapely.affinity

from playground import geo
from playground.area.aoi import geometries
from playground.area.cover import bbox_geometry, cover
from playground.errors import AreaError, AreaTooLargeError

MOST_POSITIONS = 100_000
"""Of a geometry that is asked for: what takes longer to read than to predict is no request for a few tiles."""
KINDS = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection")
HINT = "ask for less at a time, or run it as a whole: `playground run AREA`"


@dataclasses.dataclass(frozen=True)
class AskedArea:
    """An area and the tiles that it takes.

    Attributes:
        shapes: what was asked for, valid, degrees, longitudes from -180 to 180.
        zoom: of its tiles.
        tiles: in the order of ``cover``.
    """

    shapes: tuple[shapely.Geometry, ...]
    zoom: int
    tiles: tuple[mercantile.Tile, ...]

    def touches(self, geometries: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
        """Which of these geometries share a point with it."""
        found = np.zeros(len(geometries), bool)
        for shape in self.shapes:
            found |= shapely.intersects(shape, geometries)
        return found

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) of its tiles, degrees; west is greater than east across the antimeridian."""
        count = 2**self.zoom
        columns = np.unique([tile.x for tile in self.tiles])
        gaps = np.diff(columns, append=columns[0] + count)
        widest = int(np.argmax(gaps))  # the map goes around: what is asked for lies beside the widest gap
        first, last = int(columns[(widest + 1) % len(columns)]), int(columns[widest])
        rows = [tile.y for tile in self.tiles]
        west, _, _, north = geo.bounds(mercantile.Tile(first, min(rows), self.zoom))
        _, south, east, _ = geo.bounds(mercantile.Tile(last, max(rows), self.zoom))
        return west, south, east, north


def geometry_of_bbox(bbox: list[float]) -> shapely.Geometry:
    """The area of a GeoJSON bbox.

    Raises:
        AreaError: it is none.
    """
    if len(bbox) == 6:  # with heights
        bbox = [bbox[0], bbox[1], bbox[3], bbox[4]]
    if len(bbox) != 4:
        raise AreaError(f"a bbox has 4 numbers, not {len(bbox)}", "it is [west, south, east, north], in degrees")
    return bbox_geometry(*bbox)


def geometry_of_geojson(value: dict[str, Any]) -> shapely.Geometry:
    """The area of a GeoJSON geometry.

    Raises:
        AreaError: it is none.
    """
    if value.get("type") not in KINDS:
        raise AreaError("the geometry's type is not one of GeoJSON's", f"it is one of {', '.join(KINDS)}")
    try:
        found = list(geometries(value, "the geometry"))
    except RecursionError:
        raise AreaError("the geometry is nested too deeply", "send a Polygon or a MultiPolygon") from None
    if not found:
        raise AreaError("the geometry is empty", "send a Polygon or a MultiPolygon")
    return found[0]


def ask_for(geometry: shapely.Geometry, zoom: int, limit: int) -> AskedArea:
    """The tiles that an area takes.

    Args:
        geometry: degrees; longitudes may pass +-180.
        zoom: of the tiles.
        limit: how many there may be.

    Raises:
        AreaError: it has no place on the map.
        AreaTooLargeError: there are more, or reading it takes too long.
    """
    too_large = AreaTooLargeError(f"the area takes more than {limit} tiles of zoom {zoom}", HINT)
    if shapely.get_num_coordinates(geometry) > MOST_POSITIONS:
        raise AreaTooLargeError(f"the geometry has more than {MOST_POSITIONS:,} positions", "simplify it first")
    if _span(geometry, zoom) > limit + 1:
        raise too_large
    if not shapely.is_valid(geometry):
        geometry = shapely.make_valid(geometry)
    tiles = []
    for tile in cover(geometry, zoom):
        tiles.append(tile)
        if len(tiles) > limit:
            raise too_large
    if not tiles:
        raise AreaError("the area has no place on the map", f"the map ends at {geo.MAX_LATITUDE:.4f} degrees")
    shapes = [geometry]
    west, _, east, _ = shapely.bounds(geometry)
    if west < -180:
        shapes.append(shapely.affinity.translate(geometry, 360))
    if east > 180:
        shapes.append(shapely.affinity.translate(geometry, -360))
    for shape in shapes:
        shapely.prepare(shape)
    return AskedArea(tuple(shapes), zoom, tuple(tiles))


def _span(geometry: shapely.Geometry, zoom: int) -> float:
    """Tiles from end to end of the longest part: it takes at least so many, and to see that costs nothing."""
    parts = np.array([geometry], dtype=object)
    while (shapely.get_type_id(parts) > shapely.GeometryType.POLYGON).any():
        parts = shapely.get_parts(parts)
    west, south, east, north = shapely.bounds(parts).T
    whole = mercantile.Tile(0, 0, zoom)
    left, bottom = geo.pixel_of_lnglat(whole, west, np.clip(south, -geo.MAX_LATITUDE, geo.MAX_LATITUDE), 1, 0)
    right, top = geo.pixel_of_lnglat(whole, east, np.clip(north, -geo.MAX_LATITUDE, geo.MAX_LATITUDE), 1, 0)
    return float(max(np.minimum(right - left, 2**zoom).max(), (bottom - top).max()))
