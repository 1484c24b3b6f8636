"""What a predictor gives, and the answer that a client gets."""

from __future__ import annotations

import json
import math
from enum import Enum

import mercantile
import numpy as np
import pytest
import shapely
import shapely.geometry
from rfc7946 import check, check_text, signed_area

from playground import geo
from playground.answers import Frame, normalize

PIXELS = Frame()
HARBOUR = Frame(mercantile.Tile(140818, 85953, 18), 256, 24)
WORLD = Frame(mercantile.Tile(0, 0, 0), 256, 64)
SQUARE = [[10, 10], [10, 60], [60, 60], [60, 10], [10, 10]]
HOLE = [[20, 20], [20, 30], [30, 30], [30, 20], [20, 20]]
NAN = float("nan")


def feature(kind="Polygon", coordinates=None, **properties):
    geometry = {"type": kind, "coordinates": [SQUARE] if coordinates is None else coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": {"category": "ship", **properties}}


def answer_of(*features, frame=HARBOUR):
    """The answer, checked as text and as plain features."""
    answer = normalize(list(features), frame)
    collection = check_text(answer.dumps(), degrees=frame.tile is not None)
    assert collection["features"] == answer.features()
    check({"type": "FeatureCollection", "features": answer.features()}, degrees=frame.tile is not None)
    report = answer.report
    assert report["features_in"] == len(features) == report["features_out"] + sum(report["dropped"].values())
    assert report["features_out"] == len(collection["features"])
    assert all(report["repairs"].values())
    assert all(report["dropped"].values())
    assert all(count <= report["features_out"] for count in report["repairs"].values())
    return answer


def shape_of(answer):
    return shapely.geometry.shape(answer.features()[0]["geometry"])


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


class Label(str, Enum):
    SHIP = "ship"


@pytest.mark.parametrize(
    ("given", "category", "categories", "repair"),
    [
        ({"category": "ship"}, "ship", ["ship"], None),
        ({"category": "ship,boat"}, "ship,boat", ["ship,boat"], None),
        ({"category": ["ship", "boat"]}, "ship", ["ship", "boat"], None),
        ({"category": ["ship"], "tags": ["moving"]}, "ship", ["ship", "moving"], None),
        ({"category": "boat", "categories": ["ship", "boat"]}, "boat", ["boat", "ship"], None),
        ({"categories": ["ship", "boat"]}, "ship", ["ship", "boat"], None),
        ({"tags": ["ship"]}, "ship", ["ship"], None),
        ({"tags": "ship"}, "ship", ["ship"], None),
        ({"category": np.array(["ship", "boat"])}, "ship", ["ship", "boat"], None),
        ({"category": Label.SHIP}, "ship", ["ship"], None),
        ({"category": 3}, "3", ["3"], "category_to_text"),
        ({"category": np.int64(3)}, "3", ["3"], "category_to_text"),
        ({"category": None}, None, [], "category_missing"),
        ({"category": ""}, None, [], "category_missing"),
        ({"category": []}, None, [], "category_missing"),
        ({}, None, [], "category_missing"),
        (None, None, [], "category_missing"),
    ],
)
def test_every_spelling_of_category(given, category, categories, repair):
    answer = answer_of({**feature(), "properties": given})
    properties = answer.features()[0]["properties"]
    assert (properties["category"], properties["categories"]) == (category, categories)
    assert answer.report["repairs"] == ({repair: 1} if repair else {})


@pytest.mark.parametrize(
    ("given", "confidence", "repair"),
    [
        ({}, 1.0, None),
        ({"confidence": 0.25}, 0.25, None),
        ({"score": 0.25}, 0.25, None),
        ({"confidence": 0.25, "score": 0.25}, 0.25, None),
        ({"confidence": 0.25, "score": 0.75}, 0.25, "score_replaced"),
        ({"confidence": None, "score": 0.75}, 0.75, None),
        ({"confidence": np.float32(0.25)}, 0.25, None),
        ({"confidence": [0.25]}, 0.25, None),
        ({"confidence": 1}, 1.0, None),
        ({"confidence": "0.25"}, 0.25, "confidence_parsed"),
        ({"confidence": 87}, 1.0, "confidence_clipped"),
        ({"score": -0.5}, 0.0, "confidence_clipped"),
        ({"confidence": "high"}, 0.0, "confidence_unreadable"),
        ({"confidence": {}}, 0.0, "confidence_unreadable"),
    ],
)
def test_every_spelling_of_confidence(given, confidence, repair):
    answer = answer_of(feature(**given))
    properties = answer.features()[0]["properties"]
    assert properties["confidence"] == properties["score"] == confidence
    assert type(properties["confidence"]) is float
    assert answer.report["repairs"] == ({repair: 1} if repair else {})


@pytest.mark.parametrize("value", [NAN, math.inf, np.float32("nan"), "nan"])
def test_a_confidence_that_is_no_number_never_wins(value):
    answer = answer_of(feature(confidence=value))
    assert answer.features()[0]["properties"]["confidence"] == 0.0
    assert answer.report["repairs"]["confidence_not_finite"] == 1


@pytest.mark.parametrize(
    ("value", "kept", "repair"),
    [
        ({"deep": [1, {"er": (2.5, None, True)}]}, {"deep": [1, {"er": [2.5, None, True]}]}, None),
        ("naïve 船", "naïve 船", None),
        (NAN, None, "value_not_finite"),
        ([1.0, -math.inf], [1.0, None], "value_not_finite"),
        (np.float64("nan"), None, "value_not_finite"),
        (np.arange(3), [0, 1, 2], None),
        (np.bool_(True), True, None),
        ({1: "a"}, {"1": "a"}, None),
        (2**70, str(2**70), "value_to_text"),
        (1 + 2j, "(1+2j)", "value_to_text"),
        ("\ud800", "?", "text_not_unicode"),
    ],
)
def test_properties_are_kept_as_far_as_json_can_hold_them(value, kept, repair):
    answer = answer_of(feature(note=value))
    assert answer.features()[0]["properties"]["note"] == kept
    assert answer.report["repairs"] == ({repair: 1} if repair else {})


def test_endless_properties_end():
    endless: list[object] = []
    endless.append(endless)
    assert answer_of(feature(note=endless)).report["repairs"] == {"value_too_deep": 1}


def test_the_id_stays_and_members_in_pixels_go():
    answer = answer_of({**feature(), "id": 7, "bbox": [10, 10, 60, 60], "crs": None})
    assert answer.features()[0]["id"] == 7
    assert answer.report["repairs"] == {"members_dropped": 1}


def test_the_input_is_left_alone():
    given = feature(coordinates=np.array([SQUARE], dtype=float), tags=["ship"])
    before = json.dumps({**given, "geometry": given["geometry"]["coordinates"].tolist()})
    answer_of(given, frame=WORLD)
    assert json.dumps({**given, "geometry": given["geometry"]["coordinates"].tolist()}) == before
