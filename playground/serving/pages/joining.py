"""Answers of many tiles as one collection: what tile edges cut becomes whole, and nothing is there twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import shapely
from flask import Response, request
from msgspec import Meta

from playground import geo
from playground.errors import AddressError, PayloadError
from playground.serving.json import json_response
from playground.serving.negotiation import GEOJSON
from playground.serving.openapi.operation import operation
from playground.serving.openapi.schemas import FeatureCollection
from playground.serving.pages.blueprint import blueprint
from playground.serving.state import Service, service

MOST_TILES = 4096
MOST_POSITIONS = 2_000_000
SIDE = 256.0
"""Units along a tile's side."""
TOUCH = 1.0
"""Units that two parts must share of an edge to be one object."""

Feature = dict[str, Any]
Shapes = npt.NDArray[np.object_]
Key = tuple[int, int]


class JoinedTile(msgspec.Struct):
    """What was found on one tile."""

    x: int
    y: int
    features: Annotated[list[dict[str, Any]], Meta(description="As /predict answers them, in lon/lat.")]
    missing: Annotated[list[str], Meta(description="The report's missing_neighbours.")] = []


class JoinPayload(msgspec.Struct):
    """Tiles of the service's zoom, each once, with what was found on them."""

    tiles: Annotated[list[JoinedTile], Meta(max_length=MOST_TILES)]


def examples(found: Service) -> Mapping[str, Any]:
    """Two parts of one object."""
    middle = geo.tile_of_lnglat(10.0, 45.0, found.settings.zoom_level)
    tiles = []
    for x in (middle.x, middle.x + 1):
        tile = geo.Tile(x % 2**middle.z, middle.y, middle.z)
        west, south, east, north = geo.bounds(tile)
        low, high = south + (north - south) * 0.4, south + (north - south) * 0.6
        ring = [[west, low], [east, low], [east, high], [west, high], [west, low]]
        properties = {"category": "a", "categories": ["a"], "confidence": 0.5, "score": 0.5}
        feature = {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": properties,
        }
        tiles.append({"x": tile.x, "y": tile.y, "features": [feature]})
    return {"two tiles": {"tiles": tiles}}


@blueprint.post("/join")
@operation(
    "Pages",
    takes={"application/json": JoinPayload},
    gives={GEOJSON: FeatureCollection},
    errors=(400, 413),
    examples=examples,
)
def join() -> Response:
    """One collection of what was found on many tiles: parts of one object are joined, nothing is there twice."""
    try:
        payload = msgspec.json.decode(request.get_data(), type=JoinPayload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PayloadError(f"not what this endpoint takes: {error}", "send tiles with x, y and features") from error
    settings = service().settings
    features = join_tiles(payload.tiles, settings.zoom_level, settings.padding)
    return json_response({"type": "FeatureCollection", "features": features}, media_type=GEOJSON)


def join_tiles(tiles: list[JoinedTile], zoom: int, padding: int) -> list[Feature]:
    """The features of all tiles, those that cross an edge cut there and joined with their other parts.

    Args:
        tiles: each once.
        zoom: of the tiles.
        padding: pixels; without any, nothing reaches over an edge, and parts that touch are joined all the same.

    Raises:
        PayloadError: a feature that cannot be read; too many positions; a tile that is there twice, or does not exist.
    """
    whole = geo.Tile(0, 0, zoom)
    done: list[Feature] = []
    parts: list[tuple[Key, Feature, shapely.Geometry]] = []
    keys: set[Key] = set()
    positions = 0
    for tile in sorted(tiles, key=lambda each: (each.y, each.x)):
        key = _key(zoom, tile, keys)
        shapes = _shapes(tile)
        positions += int(shapely.get_num_coordinates(shapes).sum()) if len(shapes) else 0
        if positions > MOST_POSITIONS:
            raise PayloadError(f"there are more than {MOST_POSITIONS:,} positions", "join fewer tiles at a time")
        for feature, shape in zip(tile.features, _to_units(shapes, whole, key), strict=True):
            west, north, east, south = shapely.bounds(shape)
            if west > 0 and north > 0 and east < SIDE and south < SIDE:
                done.append(feature)
            elif shapely.get_dimensions(shape) < 2:
                middle = shapely.get_coordinates(shapely.point_on_surface(shape))[0]
                if (middle >= 0).all() and (middle < SIDE).all():
                    done.append(feature)
            else:
                valid = shape if shapely.is_valid(shape) else shapely.make_valid(shape)
                own = shapely.intersection(valid, shapely.box(0, 0, SIDE, SIDE))
                if own.area > 0:
                    corner = np.array(key) * SIDE
                    moved = shapely.set_coordinates(own, shapely.get_coordinates(own) + corner)
                    parts.append((key, feature, moved))
    return done + _joined(parts, zoom)


def _key(zoom: int, tile: JoinedTile, known: set[Key]) -> Key:
    try:
        geo.check_tile(zoom, tile.x, tile.y)
    except AddressError as error:
        raise PayloadError(error.message, error.hint) from error
    key = (tile.x, tile.y)
    if key in known:
        raise PayloadError(f"tile {zoom}/{tile.x}/{tile.y} is there twice")
    known.add(key)
    return key


def _shapes(tile: JoinedTile) -> Shapes:
    try:
        texts = [orjson.dumps(feature["geometry"]) for feature in tile.features]
        shapes: Shapes = np.asarray(shapely.from_geojson(texts), dtype=object)
    except (KeyError, TypeError, shapely.errors.GEOSException) as error:
        raise PayloadError(f"a feature of {tile.x}/{tile.y} cannot be read: {error}") from error
    if (shapely.is_missing(shapes) | shapely.is_empty(shapes)).any():
        raise PayloadError(f"a feature of {tile.x}/{tile.y} has no geometry")
    if any(not isinstance(feature.get("properties"), dict) for feature in tile.features):
        raise PayloadError(f"a feature of {tile.x}/{tile.y} has no properties")
    return shapes


def _to_units(shapes: Shapes, whole: geo.Tile, key: Key) -> Shapes:
    """Shapes in units from their tile's corner, whichever side of the antimeridian they are told on."""

    columns = 2**whole.z

    def to_units(lnglat: geo.FloatArray) -> geo.FloatArray:
        latitudes = np.clip(lnglat[:, 1], -89.0, 89.0)
        x, y = geo.pixel_of_lnglat(whole, lnglat[:, 0], latitudes, 1, 0)
        x, y = x - key[0], y - key[1]
        if columns > 2:  # what the antimeridian has cut is one again
            x -= columns * np.round((x - 0.5) / columns)
        return np.round(np.column_stack((x, y)) * SIDE, 6)

    moved: Shapes = np.asarray(shapely.transform(shapes, to_units), dtype=object)
    return moved


def _joined(parts: list[tuple[Key, Feature, shapely.Geometry]], zoom: int) -> list[Feature]:
    """Parts of one category that share a stretch of their tiles' edge, as one."""
    if not parts:
        return []
    shapes = np.array([shape for _, _, shape in parts], dtype=object)
    into = list(range(len(parts)))

    def root(place: int) -> int:
        while into[place] != place:
            into[place] = into[into[place]]
            place = into[place]
        return place

    firsts, seconds = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    for first, second in zip(firsts.tolist(), seconds.tolist(), strict=True):
        (x, y), feature, shape = parts[first]
        (other_x, other_y), other, beyond = parts[second]
        beside = abs(x - other_x) + abs(y - other_y) == 1
        same = feature["properties"].get("category") == other["properties"].get("category")
        apart = first < second and beside and same and root(first) != root(second)
        if apart and shapely.length(shapely.intersection(shape, beyond)) >= TOUCH:
            into[root(second)] = root(first)
    groups: dict[int, list[int]] = {}
    for place in range(len(parts)):
        groups.setdefault(root(place), []).append(place)
    return [_feature([parts[place] for place in places], zoom) for places in groups.values()]


def _feature(members: list[tuple[Key, Feature, shapely.Geometry]], zoom: int) -> Feature:
    shapes = np.array([shape for _, _, shape in members], dtype=object)
    areas = shapely.area(shapes)
    largest = members[int(np.argmax(areas))][1]
    united = shapely.simplify(shapely.union_all(shapes), 0.0)
    if shapely.get_type_id(united) == shapely.GeometryType.GEOMETRYCOLLECTION:
        united = shapely.MultiPolygon([part for part in shapely.get_parts(united) if part.geom_type == "Polygon"])

    def to_degrees(units: geo.FloatArray) -> geo.FloatArray:
        scale = SIDE * 2**zoom
        lngs, lats = geo.lnglat_of_pixel(geo.Tile(0, 0, 0), units[:, 0] / scale, units[:, 1] / scale, 1, 0)
        return np.asarray(np.round(np.column_stack((lngs, lats)), geo.coordinate_decimals(zoom)), dtype=np.float64)

    # In units y goes down, in degrees up: what is clockwise there is counterclockwise here.
    shape = shapely.orient_polygons(shapely.transform(united, to_degrees))
    properties = dict(largest["properties"])
    confidences = np.array([float(feature["properties"].get("confidence") or 0) for _, feature, _ in members])
    mean = round(float((confidences * areas).sum() / areas.sum()), 6)
    properties |= {"confidence": mean, "score": mean, "tiles": len(members)}
    return {"type": "Feature", "geometry": orjson.loads(shapely.to_geojson(shape)), "properties": properties}
