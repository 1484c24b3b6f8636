"""An independent check that a FeatureCollection is what RFC 7946 asks: plain Python, and shapely for validity only."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import shapely
import shapely.geometry

DEPTHS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


@dataclass(frozen=True)
class Limits:
    """What RFC 7946 leaves to those who write.

    Args:
        degrees: coordinates are longitudes and latitudes.
        decimals: that coordinates may have.
        widest: degrees or pixels that a ring or line may span from west to east: one that was not cut at the
            antimeridian goes once around the globe.
    """

    degrees: bool = True
    decimals: int | None = None
    widest: float = math.inf


def check_text(
    text: bytes, *, degrees: bool = True, decimals: int | None = None, widest: float = math.inf
) -> dict[str, Any]:
    """The FeatureCollection that a JSON text holds, checked.

    Args:
        text: UTF-8 JSON, without NaN or Infinity.
        degrees, decimals, widest: see ``Limits``.

    Raises:
        AssertionError: with what is wrong.
    """

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), f"a name twice: {names}"
        return dict(pairs)

    assert not text.startswith(b"\xef\xbb\xbf"), "RFC 8259 8.1: no byte order mark"
    collection = json.loads(text.decode("utf-8"), parse_constant=refuse, object_pairs_hook=once)
    check(collection, Limits(degrees, decimals, widest))
    return collection


def check(collection: dict[str, Any], limits: Limits = Limits()) -> None:
    """Check a FeatureCollection made of dicts, lists and numbers."""
    assert set(collection) == {"type", "features"}, sorted(collection)
    assert collection["type"] == "FeatureCollection"
    assert type(collection["features"]) is list
    for feature in collection["features"]:
        assert feature["type"] == "Feature"
        assert set(feature) <= {"type", "geometry", "properties", "id"}, sorted(feature)
        assert type(feature["properties"]) is dict
        assert type(feature.get("id", "")) in (str, int, float)
        check_geometry(feature["geometry"], limits)


def check_geometry(geometry: dict[str, Any], limits: Limits) -> None:
    kind = geometry["type"]
    if kind == "GeometryCollection":
        assert set(geometry) == {"type", "geometries"}
        assert geometry["geometries"]
        for member in geometry["geometries"]:
            assert member["type"] != "GeometryCollection", "RFC 7946 3.1.8: nested collections should be avoided"
            check_geometry(member, limits)
        return
    assert set(geometry) == {"type", "coordinates"}
    coordinates = geometry["coordinates"]
    check_positions(coordinates, DEPTHS[kind], limits)
    for line in {"LineString": [coordinates], "MultiLineString": coordinates}.get(kind, []):
        check_width(line, limits)
        assert len(line) >= 2
        assert len(set(map(tuple, line))) > 1, "a line without length"
    polygons = {"Polygon": [coordinates], "MultiPolygon": coordinates}.get(kind, [])
    for polygon in polygons:
        for number, ring in enumerate(polygon):
            assert len(ring) >= 4, f"a ring of {len(ring)} positions"
            assert ring[0] == ring[-1], "an open ring"
            check_width(ring, limits)
            area = signed_area(ring)
            assert area > 0 if number == 0 else area < 0, f"ring {number} is wound the wrong way: {ring}"
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid, shapely.is_valid_reason(shape)
    assert not shape.is_empty


def check_positions(coordinates: Any, depth: int, limits: Limits) -> None:
    assert type(coordinates) is list
    if depth:
        assert coordinates, "empty coordinates"
        for inside in coordinates:
            check_positions(inside, depth - 1, limits)
        return
    assert len(coordinates) == 2
    for number in coordinates:
        assert type(number) in (int, float)
        assert math.isfinite(number)
        assert math.copysign(1.0, number) > 0 or number != 0, "a negative zero"
        assert limits.decimals is None or round(number, limits.decimals) == number, number
    if limits.degrees:
        lng, lat = coordinates
        assert -180 <= lng <= 180, lng
        assert -90 <= lat <= 90, lat


def check_width(path: list[list[float]], limits: Limits) -> None:
    """RFC 7946 3.1.9: what crosses the antimeridian is cut in two."""
    columns = [x for x, _ in path]
    assert max(columns) - min(columns) <= limits.widest, path


def signed_area(ring: list[list[float]]) -> Fraction:
    """Positive for counterclockwise; exact, so that slivers are not judged by rounding."""
    points = [(Fraction(x), Fraction(y)) for x, y in ring]
    total = Fraction(0)
    for (x0, y0), (x1, y1) in pairwise(points):
        total += x0 * y1 - x1 * y0
    return total / 2
