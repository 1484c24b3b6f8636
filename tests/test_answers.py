"""What a predictor gives, and the geometry that a client gets."""

from __future__ import annotations

import json
import math

import mercantile
import numpy as np
import pytest
import shapely
from features import HARBOUR, HOLE, NAN, PIXELS, SQUARE, WORLD, answer_of, feature, shape_of
from rfc7946 import signed_area

from playground import geo
from playground.answers import Frame


def test_nothing_found_is_an_answer():
    answer = answer_of()
    assert answer.dumps() == b'{"type":"FeatureCollection","features":[]}'
    assert answer.report == {"features_in": 0, "features_out": 0, "repairs": {}, "dropped": {}}


def test_pixels_become_degrees_and_back():
    answer = answer_of(feature())
    ring = np.array(answer.features()[0]["geometry"]["coordinates"][0])
    px, py = geo.pixel_of_lnglat(HARBOUR.tile, ring[:, 0], ring[:, 1], 256, 24)
    assert {(round(x), round(y)) for x, y in zip(px, py, strict=True)} == {(10, 10), (10, 60), (60, 60), (60, 10)}
    assert answer.report["repairs"] == {}


def test_posted_images_stay_in_pixels_with_two_decimals():
    answer = answer_of(feature("Point", [1.23456, 7]), frame=PIXELS)
    assert answer.features()[0]["geometry"]["coordinates"] == [1.23, 7.0]


@pytest.mark.parametrize("frame", [HARBOUR, PIXELS])
@pytest.mark.parametrize("exterior", [SQUARE, SQUARE[::-1]])
@pytest.mark.parametrize("hole", [HOLE, HOLE[::-1]])
def test_exteriors_turn_left_and_holes_right(frame, exterior, hole):
    rings = answer_of(feature(coordinates=[exterior, hole]), frame=frame).features()[0]["geometry"]["coordinates"]
    assert [signed_area(ring) > 0 for ring in rings] == [True, False]


@pytest.mark.parametrize(("zoom", "decimals"), [(5, 7), (20, 7), (21, 8), (24, 9)])
def test_the_zoom_gives_the_decimals(zoom, decimals):
    tile = mercantile.tile(13.4, 52.5, zoom)
    answer = answer_of(feature("Point", [1 / 3, 2 / 3]), frame=Frame(tile, 256, 0))
    lng, lat = answer.features()[0]["geometry"]["coordinates"]
    assert (lng, lat) == (round(lng, decimals), round(lat, decimals))
    assert (lng, lat) != (round(lng, decimals - 1), round(lat, decimals - 1))


@pytest.mark.parametrize(
    ("given", "dropped"),
    [
        (None, "not_a_feature"),
        ("ship", "not_a_feature"),
        (["Feature"], "not_a_feature"),
        ({"type": "Polygon", "coordinates": [SQUARE]}, "not_a_feature"),
        ({}, "no_geometry"),
        ({"type": "Feature", "geometry": None, "properties": {}}, "no_geometry"),
        ({"type": "Feature", "geometry": "POINT (1 2)"}, "unreadable"),
        ({"type": "Feature", "geometry": {"type": ["Point"], "coordinates": [1, 2]}}, "unreadable"),
        (feature("Circle", [1, 2]), "unreadable"),
        (feature("Point", "ab"), "unreadable"),
        (feature("Point", {"x": 1, "y": 2}), "unreadable"),
        (feature("Point", [1]), "unreadable"),
        (feature("MultiPoint", 3), "unreadable"),
        (feature(coordinates=SQUARE), "unreadable"),
        (feature("GeometryCollection"), "unreadable"),
        (feature(coordinates=[]), "empty"),
        (feature(coordinates=[[]]), "empty"),
        (feature("MultiPolygon", [[], [[]]]), "empty"),
        (feature("MultiPoint", []), "empty"),
        (feature("Point", [NAN, 1]), "not_finite"),
        (feature("Point", [None, 1]), "not_finite"),
        (feature("Point", [10**400, 1]), "not_finite"),
        (feature(coordinates=[[*SQUARE[:2], [math.inf, 3], *SQUARE[2:]]]), "not_finite"),
        (feature("Point", [1e6, 1]), "outside"),
        (feature(coordinates=[SQUARE[:2]]), "degenerate"),
        (feature(coordinates=[[[1, 1], [2, 2], [1, 1]]]), "degenerate"),
        (feature(coordinates=[[[1, 1], [2, 2], [3, 3], [1, 1]]]), "degenerate"),
        (feature(coordinates=[[[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.1, 0.1]]]), "degenerate"),
        (feature(coordinates=[[[1, 1]] * 5]), "degenerate"),
        (feature("LineString", [[1, 1]]), "degenerate"),
        (feature("LineString", [[1, 1], [1, 1 + 1e-9]]), "degenerate"),
    ],
)
@pytest.mark.parametrize("frame", [HARBOUR, PIXELS])
def test_what_means_nothing_is_dropped_and_counted(given, dropped, frame):
    if dropped == "outside" and frame is PIXELS:
        given = feature("Point", [1e300, 1])
    assert answer_of(feature(), given, feature(), frame=frame).report["dropped"] == {dropped: 1}


@pytest.mark.parametrize(
    ("given", "repair", "area"),
    [
        (feature(coordinates=[SQUARE[:-1]]), "ring_closed", 2500),
        (feature(coordinates=[[[*position, 9.5] for position in SQUARE]]), "z_dropped", 2500),
        (feature(coordinates=[[[10, 10, 1], *SQUARE[1:-1], [10, 10, 1]]]), "z_dropped", 2500),
        (feature(coordinates=[[["10", "10"], *SQUARE[1:-1], ["10", "10"]]]), "numbers_parsed", 2500),
        (feature(coordinates=[SQUARE, HOLE[:2]]), "parts_dropped", 2500),
        (feature(coordinates=[SQUARE, [[NAN, 1], *HOLE]]), "parts_dropped", 2500),
        (feature("MultiPolygon", [[SQUARE], [[]], [[[0, NAN]] * 4]]), "parts_dropped", 2500),
        (feature(coordinates=[[[0, 0], [100, 100], [100, 0], [0, 100], [0, 0]]]), "made_valid", 5000),
        (feature(coordinates=[SQUARE, [[50, 20], [50, 30], [70, 30], [70, 20], [50, 20]]]), "made_valid", 2400),
        (feature("MultiPolygon", [[SQUARE], [HOLE]]), "made_valid", 2500),
        (feature(coordinates=[[*SQUARE[:3], [90, 60], *SQUARE[2:]]]), "made_valid", 2500),
    ],
)
def test_repairs_keep_the_area_and_are_counted(given, repair, area):
    answer = answer_of(given, frame=PIXELS)
    assert answer.report["repairs"] == {repair: 1}
    assert shape_of(answer).area == area
    assert answer_of(given).report["repairs"] == {repair: 1}


def test_one_odd_feature_among_many_is_the_only_one_touched():
    odd = feature(coordinates=[[["10", 10], *SQUARE[1:-1], ["10", 10]]])
    answer = answer_of(*[feature()] * 400, odd, *[feature("Point", [1, 2, 3])] * 2, *[feature()] * 400)
    assert answer.report["repairs"] == {"numbers_parsed": 1, "z_dropped": 2}
    assert len({json.dumps(found["geometry"]) for found in answer.features()}) == 2


@pytest.mark.parametrize(
    ("kind", "coordinates"),
    [
        ("Point", [1.0, 2.0]),
        ("MultiPoint", [[1.0, 2.0], [3.0, 4.0]]),
        ("LineString", [[1.0, 2.0], [3.0, 4.0]]),
        ("MultiLineString", [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 5.0], [6.0, 6.0], [7.0, 5.0]]]),
        ("MultiPolygon", [[[[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 0.0]]]]),
    ],
)
def test_every_kind_is_kept_as_it_is(kind, coordinates):
    assert answer_of(feature(kind, coordinates), frame=PIXELS).features()[0]["geometry"] == {
        "type": kind,
        "coordinates": coordinates,
    }


def test_collections_keep_what_is_good_in_order():
    members = [feature("LineString", [[1, 1], [2, 2]]), feature(), feature("Point", [NAN, 0]), feature("Point", [3, 3])]
    inner = {"type": "GeometryCollection", "geometries": [member["geometry"] for member in members]}
    given = {"geometry": {"type": "GeometryCollection", "geometries": [inner, None]}}
    answer = answer_of(given)
    found = answer.features()[0]["geometry"]
    assert [member["type"] for member in found["geometries"]] == ["LineString", "Polygon", "Point"]
    assert answer.report["repairs"]["parts_dropped"] == 1


def test_numpy_stands_for_lists():
    plain, arrays = feature(score=0.5), feature(coordinates=np.array([SQUARE], dtype=np.float32), score=np.float32(0.5))
    mixed = feature(coordinates=[[(np.int64(x), np.float64(y)) for x, y in SQUARE]], score=np.array([0.5]))
    features = answer_of(plain, arrays, mixed, feature("Point", np.array([1, 2]))).features()
    assert features[0] == features[1] == features[2]
    assert features[3]["geometry"]["type"] == "Point"


def test_polygons_that_rounding_breaks_are_fitted_to_the_grid():
    # The spike's tip lies a hair inside the long edge, and beyond it once rounded to whole hundredths.
    ring = [[0, 0], [100, 33.33], [50, 60], [49.9949, 16.66333], [49.99, 60], [0, 0]]
    assert shapely.Polygon(ring).is_valid
    assert not shapely.Polygon(np.round(ring, 2)).is_valid
    answer = answer_of(feature(coordinates=[ring]), frame=PIXELS)
    assert answer.report["repairs"] == {"fitted_to_grid": 1}
    assert shape_of(answer).area == pytest.approx(shapely.Polygon(ring).area, abs=1)


def test_the_input_is_left_alone():
    given = feature(coordinates=np.array([SQUARE], dtype=float), tags=["ship"])
    before = json.dumps({**given, "geometry": given["geometry"]["coordinates"].tolist()})
    answer_of(given, frame=WORLD)
    assert json.dumps({**given, "geometry": given["geometry"]["coordinates"].tolist()}) == before
