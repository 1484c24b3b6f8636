"""Areas of interest as people give them: a bbox, GeoJSON, a list of tiles, or all that a source holds."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mercantile
import numpy as np
import shapely
import shapely.geometry

from playground import geo
from playground.area.cover import Addresses, bbox_geometry, cover_bands, in_order
from playground.errors import AddressError, AreaError
from playground.sources.base import SourceInfo

SOURCE = "source"
"""Stands for all that the tile source holds."""
NUMBER = r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*"
BBOX = re.compile(rf"{NUMBER}(?:,{NUMBER}){{3}}")
ADDRESS = re.compile(r"\s*(\d+)/(\d+)/(\d+)\s*")
KINDS = (
    *("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"),
    *("Feature", "FeatureCollection"),
)
"""Types of GeoJSON objects."""
RFC = "a geometry is as RFC 7946 says"
MOST_TILES = 10**9
"""In one area: some 10 TB of journal."""
HINT = "an area is west,south,east,north; a GeoJSON file; a list of tiles, one z/x/y a line; or the word source"


@dataclasses.dataclass(frozen=True)
class Area:
    """What is to be predicted: a place on earth, or tiles.

    Attributes:
        geometry: degrees; None for a list of tiles.
        tiles: a list of tiles, all of one zoom; None for a place.
    """

    geometry: shapely.Geometry | None = None
    tiles: tuple[mercantile.Tile, ...] | None = None

    def bands(self, zoom: int) -> Iterator[Addresses]:
        """Columns and rows of its tiles, in the order of ``cover``, a band of rows at a time.

        Raises:
            AreaError: a list of tiles of another zoom, or more tiles than anybody could predict.
        """
        if self.tiles is None:
            assert self.geometry is not None
            # Degrees shrink towards the poles, so there are at least so many; to count them would take hours.
            least = float(shapely.area(self.geometry)) / (360 / 2**zoom) ** 2
            if least > MOST_TILES:
                raise AreaError(
                    f"the area has {least:,.0f} tiles or more at zoom {zoom}: that is too many",
                    f"{MOST_TILES:,} are possible; take a smaller area",
                )
            yield from cover_bands(self.geometry, zoom)
            return
        strangers = [tile for tile in self.tiles if tile.z != zoom]
        if strangers:
            other = strangers[0]
            raise AreaError(f"tile {other.z}/{other.x}/{other.y} is not of zoom {zoom}", "list tiles of one zoom only")
        yield from in_order(np.array([(tile.x, tile.y) for tile in self.tiles], np.int64).reshape(-1, 2))

    def cover(self, zoom: int) -> Iterator[mercantile.Tile]:
        """Its tiles, in the order of ``cover``."""
        for band in self.bands(zoom):
            for x, y in band.tolist():
                yield mercantile.Tile(x, y, zoom)


def read_area(text: str, source: SourceInfo | None = None) -> Area:
    """The area that a string names.

    Args:
        text: ``west,south,east,north``; the path of a GeoJSON file, or of a list of tiles (z/x/y or [x, y, z] a line);
            ``-`` for either on stdin; or ``source``.
        source: what the tile source says about itself.

    Raises:
        AreaError: it names none.
    """
    text = text.strip()
    if text == SOURCE:
        return area_of_source(source)
    if BBOX.fullmatch(text):
        west, south, east, north = (float(part) for part in text.split(","))
        return Area(bbox_geometry(west, south, east, north))
    if ADDRESS.fullmatch(text):
        return parse_area(text, text)
    try:
        content = sys.stdin.read() if text == "-" else Path(text).read_text()
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "not text"
        raise AreaError(f"cannot read the area {text!r}: {said}", HINT) from error
    return parse_area(content, "stdin" if text == "-" else text)


def area_of_source(source: SourceInfo | None) -> Area:
    """All that a source says that it holds.

    Raises:
        AreaError: it does not say.
    """
    if source is None or source.bounds is None:
        raise AreaError("the tile source does not say what it holds", "name the area: west,south,east,north, or a file")
    return Area(bbox_geometry(*source.bounds))


def parse_area(content: str, name: str) -> Area:
    """The area in the text of a file.

    Args:
        content: a GeoJSON object, one a line, or a list of tiles.
        name: of the file, for errors.

    Raises:
        AreaError: it is neither.
    """
    try:
        values = [json.loads(content)]
    except json.JSONDecodeError:
        lines = [line.strip("\x1e \t\r") for line in content.split("\n")]
        values = [_value(line, f"{name}, line {number}") for number, line in enumerate(lines, 1) if line]
    if len(values) == 1 and isinstance(values[0], list) and values[0] and isinstance(values[0][0], list):
        values = values[0]  # a JSON array of tiles
    if not values:
        raise AreaError(f"{name} is empty", HINT)
    if all(isinstance(value, dict) for value in values):
        found = [geometry for value in values for geometry in geometries(value, name)]
        if not found:
            raise AreaError(f"{name} holds no geometry", HINT)
        return Area(shapely.GeometryCollection(found))
    return Area(tiles=tuple(_tile(value, name) for value in values))


def _value(line: str, where: str) -> Any:
    if written := ADDRESS.fullmatch(line):
        z, x, y = map(int, written.groups())
        return [x, y, z]
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise AreaError(f"{where}: neither GeoJSON nor a tile: {line[:40]!r}", HINT) from error


def _tile(value: Any, name: str) -> mercantile.Tile:
    if not (isinstance(value, list) and len(value) == 3 and all(type(number) is int for number in value)):
        raise AreaError(f"{name}: {str(value)[:40]} is no tile", "a tile is z/x/y, or [x, y, z] in JSON")
    try:
        return geo.check_tile(value[2], value[0], value[1])
    except AddressError as error:
        raise AreaError(f"{name}: {error.message}", error.hint) from error


def geometries(value: dict[str, Any], name: str = "the area") -> Iterator[shapely.Geometry]:
    """The geometries of a GeoJSON object; features without any are left out.

    Raises:
        AreaError: it is none, or not in degrees.
    """
    if not isinstance(value, dict):
        raise AreaError(f"{name} holds {json.dumps(value)[:40]} where a GeoJSON object should be", RFC)
    crs = json.dumps(value["crs"]) if value.get("crs") else ""
    if crs and not re.search(r"CRS84|EPSG:+4326", crs):
        raise AreaError(f"{name} is in {crs}, not in degrees", "GeoJSON is in longitude and latitude (RFC 7946)")
    kind = value.get("type")
    if kind == "FeatureCollection":
        features = value.get("features") or []
        for feature in features if isinstance(features, list) else [features]:
            yield from geometries(feature, name)
        return
    if kind == "Feature":
        if value.get("geometry") is not None:
            yield from geometries(value["geometry"], name)
        return
    if kind is None:
        raise AreaError(f"{name} is no GeoJSON: it has no type", HINT)
    if kind not in KINDS:
        words = f"its type is {json.dumps(kind)[:40]}, allowed: {', '.join(KINDS)}"
        raise AreaError(f"{name} holds a broken geometry: {words}", RFC)
    try:
        geometry = shapely.force_2d(shapely.from_geojson(json.dumps(value)))
    except shapely.errors.GEOSException as error:
        words = re.sub(r"^.*\[json\.exception\.[^]]*\] |'$", "", str(error))
        raise AreaError(f"{name} holds a broken geometry: {words}", RFC) from error
    if geometry.is_empty:
        return
    west, south, east, north = geometry.bounds
    if not (west >= -540 and east <= 540 and south >= -90 and north <= 90):
        raise AreaError(
            f"{name} reaches from {west:g},{south:g} to {east:g},{north:g}: those are no degrees",
            "GeoJSON is in longitude and latitude (RFC 7946)",
        )
    yield geometry
