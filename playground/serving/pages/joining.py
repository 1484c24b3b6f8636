"""Answers of many tiles as one collection: what tile edges cut becomes whole, and nothing is there twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
import orjson
import shapely
from flask import Response, request
from msgspec import Meta

from playground import geo
from playground.area.cover import order_of
from playground.area.engines.service import outcome_of
from playground.area.outcome import Job
from playground.area.parts import Pieces
from playground.area.seams import Seams
from playground.errors import AddressError, PayloadError
from playground.serving.json import json_response
from playground.serving.negotiation import GEOJSON
from playground.serving.openapi.operation import operation
from playground.serving.openapi.schemas import FeatureCollection
from playground.serving.pages.blueprint import blueprint
from playground.serving.state import Service, service

MOST_TILES = 4096
MOST_POSITIONS = 2_000_000
MOST_EAST = 540.0
"""Degrees: features may pass the antimeridian."""
Feature = dict[str, Any]
Key = tuple[int, int]


class JoinedTile(msgspec.Struct):
    """What was found on one tile."""

    x: int
    y: int
    features: Annotated[list[dict[str, Any]], Meta(description="As /predict answers them, in lon/lat.")]
    size: Annotated[int, Meta(ge=1, le=4096, description="Pixels along its side.")] = 256
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
    """The objects of all tiles, joined as `playground run` joins them; ``tiles`` of each names those it comes from.

    Args:
        tiles: each once.
        zoom: of the tiles.
        padding: pixels on each side, of which their answers may tell, too.

    Raises:
        PayloadError: a feature that cannot be read; too many positions; a tile that is there twice, or does not exist.
    """
    known: set[Key] = set()
    for tile in tiles:
        _note(zoom, tile, known)
    _check(tiles)
    seams = Seams(zoom, provenance=True)
    for tile in sorted(tiles, key=lambda each: order_of(each.x, each.y)):
        answer = {
            "tile": {"size": tile.size, "padding": padding},
            "prediction": {"features": tile.features},
            "report": {"missing_neighbours": tile.missing},
        }
        pieces = outcome_of(Job(0, tile.x, tile.y), zoom, answer).pieces
        seams.add(geo.Tile(tile.x, tile.y, zoom), Pieces.loads(pieces) if pieces else None, known)
    return list(seams.take(all_of_them=True))


def _note(zoom: int, tile: JoinedTile, known: set[Key]) -> None:
    try:
        geo.check_tile(zoom, tile.x, tile.y)
    except AddressError as error:
        raise PayloadError(error.message, error.hint) from error
    if (tile.x, tile.y) in known:
        raise PayloadError(f"tile {zoom}/{tile.x}/{tile.y} is there twice")
    known.add((tile.x, tile.y))


def _check(tiles: list[JoinedTile]) -> None:
    """Whether all features can be read: they come from anybody."""
    positions = 0
    for tile in tiles:
        try:
            shapes = np.asarray(
                shapely.from_geojson([orjson.dumps(each["geometry"]) for each in tile.features]), object
            )
        except (KeyError, TypeError, shapely.errors.GEOSException) as error:
            raise PayloadError(f"a feature of {tile.x}/{tile.y} cannot be read: {error}") from error
        if (shapely.is_missing(shapes) | shapely.is_empty(shapes)).any():
            raise PayloadError(f"a feature of {tile.x}/{tile.y} has no geometry")
        if any(not isinstance(each.get("properties"), dict) for each in tile.features):
            raise PayloadError(f"a feature of {tile.x}/{tile.y} has no properties")
        if len(shapes):
            west, south, east, north = shapely.total_bounds(shapes)
            if not (west >= -MOST_EAST and south >= -90 and east <= MOST_EAST and north <= 90):
                raise PayloadError(f"a feature of {tile.x}/{tile.y} is no place on earth", "send lon/lat, in degrees")
        positions += int(np.sum(shapely.get_num_coordinates(shapes)))
        if positions > MOST_POSITIONS:
            raise PayloadError(f"there are more than {MOST_POSITIONS:,} positions", "join fewer tiles at a time")
