"""Answers at the two edges of the map."""

from __future__ import annotations

import math

import mercantile
import numpy as np
import pytest
import shapely
import shapely.geometry
from features import WORLD, answer_of, feature, shape_of

from playground import geo
from playground.answers import Frame

EDGES = [(zoom, side) for zoom in (0, 1, 5, 18) for side in ("west", "east")]


@pytest.mark.parametrize(("zoom", "side"), EDGES)
def test_polygons_across_the_antimeridian_are_cut(zoom, side):
    frame = Frame(mercantile.Tile(0 if side == "west" else 2**zoom - 1, 2**zoom // 2, zoom), 256, 24)
    edge = 24 if side == "west" else 280
    ring = [[edge - 10, 50], [edge - 10, 70], [edge + 15, 70], [edge + 15, 50], [edge - 10, 50]]
    answer = answer_of(feature(coordinates=[ring]), frame=frame)
    assert answer.report["repairs"] == {"antimeridian": 1}
    found = shape_of(answer)
    west, _, east, _ = found.bounds
    assert (found.geom_type, west, east) == ("MultiPolygon", -180, 180)
    degrees_per_pixel = 360 / 2**zoom / 256
    widths = sorted(part.bounds[2] - part.bounds[0] for part in found.geoms)
    assert widths == pytest.approx([10 * degrees_per_pixel, 15 * degrees_per_pixel], abs=2e-7)


@pytest.mark.parametrize(("zoom", "side"), EDGES)
def test_lines_across_the_antimeridian_are_cut_where_they_cross(zoom, side):
    frame = Frame(mercantile.Tile(0 if side == "west" else 2**zoom - 1, 2**zoom // 2, zoom), 256, 24)
    edge = 24 if side == "west" else 280
    answer = answer_of(feature("LineString", [[edge + 10, 100], [edge - 10, 110], [edge - 12, 110]]), frame=frame)
    first, second = answer.features()[0]["geometry"]["coordinates"]
    assert (first[-1][0], second[0][0]) == (-180, 180)
    _, lat = geo.lnglat_of_pixel(frame.tile, np.array([edge]), np.array([105.0]), 256, 24)
    assert first[-1][1] == second[0][1] == pytest.approx(lat[0], abs=1e-7)


@pytest.mark.parametrize(("zoom", "side"), EDGES)
def test_what_lies_beyond_the_antimeridian_comes_back(zoom, side):
    frame = Frame(mercantile.Tile(0 if side == "west" else 2**zoom - 1, 0, zoom), 256, 24)
    px = 4 if side == "west" else 300
    given = [
        feature("MultiPoint", [[px, 100], [150, 100]]),
        feature("LineString", [[px, 100], [px, 90]]),
        feature(coordinates=[[[px, 100], [px, 110], [px + 4, 110]]]),
    ]
    answer = answer_of(*given, frame=frame)
    assert answer.report["repairs"] == {"antimeridian": 3, "ring_closed": 1}
    expected = (180 if side == "west" else -180) + math.copysign(20 * 360 / 2**zoom / 256, -1 if side == "west" else 1)
    for found in answer.features():
        lng = shapely.get_coordinates(shapely.geometry.shape(found["geometry"]))[:, 0]
        assert np.abs(lng - expected).min() < 1e-7
    assert [found["geometry"]["type"] for found in answer.features()] == ["MultiPoint", "LineString", "Polygon"]


def test_touching_the_antimeridian_is_not_crossing_it():
    ring = [[64, 100], [64, 120], [320, 120], [320, 100], [64, 100]]
    answer = answer_of(feature(coordinates=[ring]), feature("Point", [320, 100]), frame=WORLD)
    assert answer.report["repairs"] == {}
    assert shape_of(answer).bounds[::2] == (-180, 180)
    assert answer.features()[1]["geometry"]["coordinates"][0] == 180


def test_a_polygon_wider_than_the_world_covers_each_place_once():
    ring = [[10, 100], [10, 120], [380, 120], [380, 100], [10, 100]]
    answer = answer_of(feature(coordinates=[ring]), frame=WORLD)
    assert shape_of(answer).area == pytest.approx(shapely.box(*shape_of(answer).bounds).area)
    assert shape_of(answer).bounds[::2] == (-180, 180)
    line = answer_of(feature("LineString", [[10, 100], [380, 100]]), frame=WORLD)
    assert len(line.features()[0]["geometry"]["coordinates"]) == 3
