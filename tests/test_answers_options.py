"""What a configuration asks of answers: pixel numbers, fewer vertices, no crumbs, no padding, names."""

from __future__ import annotations

import re

import numpy as np
import pytest
import shapely
import shapely.geometry
from features import HARBOUR, HOLE, PIXELS, SQUARE, answer_of, feature, shape_of
from service import ROOT

from playground.answers import Frame, Options, normalize
from playground.answers.paths import REASONS
from playground.errors import SettingsError
from playground.settings import load_running, load_service
from playground.wrap.render import render_runtime

INDEX = Options(pixel_convention="index")
PADDED = Frame(None, 256, 24)


def box(left, top, right, bottom):
    return [[[left, top], [left, bottom], [right, bottom], [right, top], [left, top]]]


@pytest.mark.parametrize(
    ("coordinates", "expected"),
    [
        (box(0, 0, 255, 255), shapely.box(0, 0, 256, 256)),
        (box(10, 20, 11, 20), shapely.box(10, 20, 12, 21)),
        (box(7, 7, 7, 7), shapely.box(7, 7, 8, 8)),
        ([[[7, 7]]], shapely.box(7, 7, 8, 8)),
        ([[[7, 7], [9, 7]]], shapely.box(7, 7, 10, 8)),
        ([[[0, 0], [4, 0], [4, 4], [4, 0], [0, 0]]], shapely.box(0, 0, 5, 1).union(shapely.box(4, 0, 5, 5))),
        ([*box(0, 0, 9, 9), *box(2, 2, 6, 6)], shapely.box(0, 0, 10, 10) - shapely.box(3, 3, 6, 6)),
        ([*box(0, 0, 9, 9), *box(2, 2, 3, 3)], shapely.box(0, 0, 10, 10)),
    ],
)
def test_pixel_numbers_cover_their_pixels(coordinates, expected):
    answer = answer_of(feature(coordinates=coordinates), frame=PIXELS, options=INDEX)
    assert answer.report["repairs"]["index_to_edge"] == 1
    assert shapely.equals(shape_of(answer), expected)


def test_tiles_labelled_to_their_last_pixel_touch():
    west, east = Frame(HARBOUR.tile, 256, 0), Frame(HARBOUR.tile._replace(x=HARBOUR.tile.x + 1), 256, 0)
    left = shape_of(answer_of(feature(coordinates=box(200, 20, 255, 90)), frame=west, options=INDEX))
    right = shape_of(answer_of(feature(coordinates=box(0, 20, 30, 90)), frame=east, options=INDEX))
    assert left.bounds[2] == right.bounds[0]
    assert shapely.union(left, right).geom_type == "Polygon"


def test_a_pixel_number_as_a_point_is_the_middle_of_its_pixel():
    given = [feature("Point", [0, 255]), feature("LineString", [[0, 0], [255, 0]])]
    answer = answer_of(*given, frame=PIXELS, options=INDEX)
    point, line = (found["geometry"]["coordinates"] for found in answer.features())
    assert (point, line) == ([0.5, 255.5], [[0.5, 0.5], [255.5, 0.5]])


def test_vertices_are_left_out_within_the_tolerance():
    bumps = [[x, 0.4 * (x % 2)] for x in range(50)]
    ring = [*bumps, [50, 50], [0, 50], [0, 0]]
    line = feature("LineString", [[0, 0], [5, 0.1], [9, 0]])
    answer = answer_of(
        feature(coordinates=[ring]),
        line,
        feature(),
        feature("Point", [1, 1]),
        frame=PIXELS,
        options=Options(simplify=1),
    )
    assert answer.report["repairs"] == {"simplified": 2}
    assert shapely.get_num_coordinates(shape_of(answer)) < 8
    assert shape_of(answer).hausdorff_distance(shapely.Polygon(ring)) <= 1


def test_small_polygons_go_and_points_stay():
    ring = [*box(0, 0, 10, 10), *box(1, 1, 9, 9)]  # 36 square pixels
    given = [feature(coordinates=ring), feature(), feature("Point", [1, 1]), feature("LineString", [[0, 0], [1, 1]])]
    answer = answer_of(*given, options=Options(least_area=36.01))
    assert answer.report["dropped"] == {"below_area": 1}
    assert answer_of(*given, options=Options(least_area=36)).report["dropped"] == {}


def test_unsure_objects_go():
    given = [feature(score=0.3), feature(), feature(confidence="0.31"), feature(score=None, confidence=None)]
    answer = answer_of(*given, options=Options(least_confidence=0.31))
    assert answer.report["dropped"] == {"below_confidence": 1}
    assert answer.report["features_out"] == 3


@pytest.mark.parametrize("frame", [PADDED, HARBOUR])
def test_what_lies_in_the_padding_is_clipped(frame):
    given = [
        feature(coordinates=box(14, 100, 34, 110)),
        feature(coordinates=box(2, 100, 24, 110)),
        feature("LineString", [[0, 50], [30, 50], [0, 60]]),
        feature("MultiPoint", [[3, 3], [30, 30]]),
        feature("Point", [3, 3]),
        feature(),
        feature(coordinates=box(100, 100, 120, 120)),
    ]
    answer = answer_of(*given, frame=frame, options=Options(padding_results="clip"))
    assert answer.report["repairs"] == {"clipped": 4}
    assert answer.report["dropped"] == {"in_padding": 2}
    if frame is PADDED:
        shapes = [shapely.geometry.shape(found["geometry"]) for found in answer.features()]
        assert [shape.bounds[0] for shape in shapes] == [24, 24, 30, 24, 100]
        assert shapes[0].area == 100
    assert answer_of(*given, frame=frame).report["repairs"] == {}


def test_an_object_is_the_answer_of_one_tile_alone():
    west = Frame(HARBOUR.tile, 256, 24)
    east = Frame(HARBOUR.tile._replace(x=HARBOUR.tile.x + 1), 256, 24)
    rng = np.random.default_rng(5)
    own = Options(padding_results="own")
    corners = np.round(rng.uniform(230, 300, (200, 2)))
    rings = [box(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, rng.integers(1, 30, (200, 2)), strict=True)]
    moved = [[[[x - 256, y] for x, y in ring[0]]] for ring in rings]
    answers = [
        answer_of(*[feature(coordinates=ring, number=n) for n, ring in enumerate(found)], frame=frame, options=own)
        for found, frame in ((rings, west), (moved, east))
    ]
    numbers = [{found["properties"]["number"] for found in answer.features()} for answer in answers]
    assert not numbers[0] & numbers[1]
    inside = {n for n, ring in enumerate(rings) if ring[0][0][1] < 279 and ring[0][1][1] < 279}
    assert inside <= numbers[0] | numbers[1]
    assert all(answer.report["dropped"]["in_padding"] for answer in answers)


def test_without_padding_nothing_lies_in_it():
    edge = feature("Point", [256, 256])
    for results in ("clip", "own"):
        answer = answer_of(edge, frame=Frame(HARBOUR.tile, 256, 0), options=Options(padding_results=results))
        assert answer.report["features_out"] == 1


@pytest.mark.parametrize("category", [3, 3.0, "3", np.int64(3), np.float32(3), ["3"]])
def test_classes_get_their_names(category):
    given = [feature(category=category), feature(category="other")]
    answer = answer_of(*given, options=Options(class_names={"3": "ship"}))
    found = [(each["properties"]["category"], each["properties"]["categories"]) for each in answer.features()]
    assert found == [("ship", ["ship"]), ("other", ["other"])]
    assert answer.report["repairs"] == {"class_named": 1}


def test_many_plain_classes_get_their_names():
    given = [feature(category=str(number % 3), score=0.5) for number in range(9)]
    answer = answer_of(*given, options=Options(class_names={"1": "naïve", "2": "boat"}))
    assert [found["properties"]["category"] for found in answer.features()][:4] == ["0", "naïve", "boat", "0"]
    assert answer.report["repairs"] == {"class_named": 6}


@pytest.mark.parametrize("results", ["keep", "clip", "own"])
@pytest.mark.parametrize("convention", ["edge", "index"])
def test_options_work_together_on_anything(convention, results):
    options = Options(convention, results, 0.5, 2.0, 0.2, {"ship": "boat"})
    tangle = [[0, 0], [100, 100], [100, 0], [0, 100], [0, 0]]
    collection = {
        "type": "GeometryCollection",
        "geometries": [feature()["geometry"], feature("Point", [3, 3])["geometry"]],
    }
    given = [
        feature(coordinates=[tangle]),
        feature(coordinates=[SQUARE, HOLE]),
        feature("MultiPolygon", [[SQUARE], [HOLE]]),
        {**feature(), "geometry": collection},
        feature("Point", [30, 30]),
        feature("MultiLineString", [[[0, 0], [50, 50]], [[1, 1], [2, 9]]]),
        {**feature(), "geometry": None},
        feature(score=0.1),
        feature(coordinates=[[[1, 1], [1, 1], [1, 1], [1, 1]]]),
        None,
    ]
    for frame in (PIXELS, PADDED, HARBOUR):
        answer_of(*given, frame=frame, options=options)


def test_a_large_answer_counts_as_small_ones_do():
    given = [feature(number=number) for number in range(5000)]
    given[4500] = feature(coordinates=[SQUARE[:-1]])
    given[4999] = None
    answer = normalize(given, HARBOUR)
    assert answer.report == {
        "features_in": 5000,
        "features_out": 4999,
        "repairs": {"ring_closed": 1},
        "dropped": {"not_a_feature": 1},
    }
    assert [found["properties"].get("number") for found in answer.features()][4490:4502] == [
        *range(4490, 4500),
        None,
        4501,
    ]


FILE = """\
ZOOM_LEVEL: 16
PREDICTOR_CLASS: A
PREDICTOR_PACKAGE: a
PIXEL_CONVENTION: index
PADDING_RESULTS: own
SIMPLIFY_TOLERANCE: 0.5
MIN_AREA: 12
MIN_CONFIDENCE: 0.25
CLASS_NAMES: {0: ship, 1: "lock, naïve", boat: vessel}
"""


def test_the_service_does_what_the_partner_wrote(tmp_path):
    written = tmp_path / "service.yaml"
    written.write_text(FILE)
    generated = tmp_path / "app.yaml"
    generated.write_bytes(render_runtime(load_service(written))["app.yaml"])
    assert Options.of(load_running(generated, {})) == Options(
        "index", "own", 0.5, 12.0, 0.25, {"0": "ship", "1": "lock, naïve", "boat": "vessel"}
    )


def test_nothing_is_asked_where_nothing_is_written(tmp_path):
    written = tmp_path / "app.yaml"
    written.write_text("".join(FILE.splitlines(keepends=True)[:3]))
    assert Options.of(load_running(written, {})) == Options()


@pytest.mark.parametrize(
    "line",
    [
        "PIXEL_CONVENTION: centre",
        "PADDING_RESULTS: drop",
        "SIMPLIFY_TOLERANCE: -1",
        "MIN_AREA: large",
        "MIN_CONFIDENCE: 1.01",
        "CLASS_NAMES: ship",
        "CLASS_NAMES: {}",
        "CLASS_NAMES: [ship, boat]",
        "CLASS_NAMES: {0: [ship]}",
        "CLASS_NAMES: {0: ''}",
    ],
)
def test_what_no_answer_can_do_is_one_clear_error(tmp_path, line):
    written = tmp_path / "service.yaml"
    written.write_text(f"ZOOM_LEVEL: 16\nPREDICTOR_CLASS: A\nPREDICTOR_PACKAGE: a\n{line}\n")
    with pytest.raises(SettingsError) as caught:
        load_service(written)
    (problem,) = caught.value.problems
    assert f"service.yaml:4: {line.partition(':')[0]}: found" in problem


def test_clients_can_look_up_every_kind_of_the_report():
    sources = [path.read_text() for path in (ROOT / "playground" / "answers").glob("*.py")]
    kinds = {kind for text in sources for kind in re.findall(r"(?:repair|lose|add)\(\"([a-z_]+)\"", text)}
    kinds |= {kind for kind in REASONS if kind}
    page = (ROOT / "docs" / "client.md").read_text()
    assert len(kinds) > 25
    assert not {kind for kind in kinds if f"`{kind}`" not in page}
