"""An independent check that a FeatureCollection is what RFC 7946 asks: plain Python, and shapely for validity only."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import shapely
import shapely.geometry

DEPTHS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}


def check_text(text: bytes, *, degrees: bool = True) -> dict[str, Any]:
    """The FeatureCollection that a JSON text holds, checked.

    Args:
        text: UTF-8 JSON, without NaN or Infinity.
        degrees: coordinates are longitudes and latitudes.

    Raises:
        AssertionError: with what is wrong.
    """

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    collection = json.loads(text.decode("utf-8"), parse_constant=refuse)
    check(collection, degrees=degrees)
    return collection


def check(collection: dict[str, Any], *, degrees: bool = True) -> None:
    """Check a FeatureCollection made of dicts, lists and numbers."""
    assert set(collection) == {"type", "features"}, sorted(collection)
    assert collection["type"] == "FeatureCollection"
    assert type(collection["features"]) is list
    for feature in collection["features"]:
        assert feature["type"] == "Feature"
        assert set(feature) <= {"type", "geometry", "properties", "id"}, sorted(feature)
        assert type(feature["properties"]) is dict
        assert type(feature.get("id", "")) in (str, int, float)
        check_geometry(feature["geometry"], degrees)


def check_geometry(geometry: dict[str, Any], degrees: bool) -> None:
    kind = geometry["type"]
    if kind == "GeometryCollection":
        assert set(geometry) == {"type", "geometries"}
        assert geometry["geometries"]
        for member in geometry["geometries"]:
            assert member["type"] != "GeometryCollection", "RFC 7946 3.1.8: nested collections should be avoided"
            check_geometry(member, degrees)
        return
    assert set(geometry) == {"type", "coordinates"}
    coordinates = geometry["coordinates"]
    check_positions(coordinates, DEPTHS[kind], degrees)
    for line in {"LineString": [coordinates], "MultiLineString": coordinates}.get(kind, []):
        assert len(line) >= 2
        assert len(set(map(tuple, line))) > 1, "a line without length"
    polygons = {"Polygon": [coordinates], "MultiPolygon": coordinates}.get(kind, [])
    for polygon in polygons:
        for number, ring in enumerate(polygon):
            assert len(ring) >= 4, f"a ring of {len(ring)} positions"
            assert ring[0] == ring[-1], "an open ring"
            area = signed_area(ring)
            assert area > 0 if number == 0 else area < 0, f"ring {number} is wound the wrong way: {ring}"
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid, shapely.is_valid_reason(shape)
    assert not shape.is_empty


def check_positions(coordinates: Any, depth: int, degrees: bool) -> None:
    assert type(coordinates) is list
    if depth:
        assert coordinates, "empty coordinates"
        for inside in coordinates:
            check_positions(inside, depth - 1, degrees)
        return
    assert len(coordinates) == 2
    for number in coordinates:
        assert type(number) in (int, float)
        assert math.isfinite(number)
    if degrees:
        lng, lat = coordinates
        assert -180 <= lng <= 180, lng
        assert -90 <= lat <= 90, lat


def signed_area(ring: list[list[float]]) -> Fraction:
    """Positive for counterclockwise; exact, so that slivers are not judged by rounding."""
    points = [(Fraction(x), Fraction(y)) for x, y in ring]
    total = Fraction(0)
    for (x0, y0), (x1, y1) in pairwise(points):
        total += x0 * y1 - x1 * y0
    return total / 2
