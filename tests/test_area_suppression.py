"""Suppression: of objects that overlap the surest stays, the same whether all are looked at once or as they come."""

from __future__ import annotations

import itertools
from pathlib import Path

import mercantile
import numpy as np
import pytest
import shapely
from conftest import PREDICTORS
from fields import smooth, write_world

from playground import answers, area
from playground.area.cover import in_order
from playground.area.cutting import cut
from playground.area.seams import Seams
from playground.area.suppression import Crowd, Future, Held, Suppression, suppression_named, survivors
from playground.area.world import UNITS
from playground.errors import SettingsError

CHANCE = 7


def greedy(shapes: np.ndarray, confidences: np.ndarray, categories: list, measure: str, threshold: float) -> list[bool]:
    """What suppression is by definition, pair by pair."""
    stays = [True] * len(shapes)
    order = sorted(range(len(shapes)), key=lambda index: (-confidences[index], index))
    for place, one in enumerate(order):
        if not stays[one]:
            continue
        for other in order[place + 1 :]:
            if categories[one] != categories[other]:
                continue
            shared = shapes[one].intersection(shapes[other]).area
            areas = shapes[one].area, shapes[other].area
            whole = min(areas) if measure == "ios" else sum(areas) - shared
            if shared >= threshold * whole:
                stays[other] = False
    return stays


def crowd_of(kind: str, count: int = 250) -> tuple[np.ndarray, np.ndarray, list]:
    """Shapes, confidences (many alike), categories."""
    chance = np.random.default_rng(CHANCE)
    corners, sides = chance.uniform(0, 100, (count, 2)), chance.uniform(4, 30, (count, 2))
    shapes = shapely.box(*corners.T, *(corners + sides).T)
    if kind == "polygons":
        turns = chance.uniform(0, 90, count)
        shapes = np.array([shapely.affinity.rotate(*each) for each in zip(shapes, turns, strict=True)])
    return shapes, chance.integers(1, 9, count) / 10, chance.choice(["ship", "car"], count).tolist()


@pytest.mark.parametrize("kind", ["boxes", "polygons"])
@pytest.mark.parametrize("rule", [Suppression("iou", 0.3), Suppression("ios", 0.6)], ids=str)
def test_it_keeps_what_the_definition_keeps(kind: str, rule: Suppression) -> None:
    shapes, confidences, categories = crowd_of(kind)
    found = survivors(shapes, confidences, categories, rule)
    assert found.tolist() == greedy(shapes, confidences, categories, rule.measure, rule.threshold)
    assert 0 < found.sum() < len(shapes)


def test_equals_go_to_the_first_and_others_are_left_alone() -> None:
    box, point = shapely.box(0, 0, 2, 2), shapely.Point(1, 1)
    line = shapely.LineString([(0, 0), (2, 2)])
    shapes = np.array([box, box, point, point, line, line, box], dtype=object)
    categories = ["a", "a", "a", "a", "a", "a", ["a", "b"]]
    found = survivors(shapes, np.full(7, 0.5), categories, Suppression("iou", 0.5))
    assert found.tolist() == [True, False, True, True, True, True, True]
    assert survivors(shapes[:0], np.empty(0), [], Suppression("iou", 0.5)).tolist() == []


def test_a_heap_of_equal_boxes_is_one() -> None:
    heap = np.full(1500, shapely.box(0, 0, 10, 10), dtype=object)
    confidences = np.random.default_rng(CHANCE).uniform(size=1500)
    found = survivors(heap, confidences, ["x"] * 1500, Suppression("iou", 0.5))
    assert np.flatnonzero(found).tolist() == [int(confidences.argmax())]


def test_who_hangs_on_what_is_to_come_waits() -> None:
    """A takes B away, which would have taken C; and only when A is known."""
    crowd = Crowd(Suppression("iou", 0.3))
    boxes = {"c": (0, 0, 10, 10, 0.5), "b": (4, 0, 14, 10, 0.7), "far": (100, 0, 110, 10, 0.1)}
    crowd.add([Held(name.encode(), shapely.box(*box[:4]), box[4], None) for name, box in boxes.items()])
    ahead = Future(np.array([[12.0, -np.inf, 50.0, np.inf]]))
    assert [each.text for each in crowd.release(ahead)] == [b"far"]
    crowd.add([Held(b"a", shapely.box(8, 0, 18, 10), 0.9, None)])
    assert [each.text for each in crowd.release(None)] == [b"c", b"a"]
    assert crowd.suppressed == 1


def test_as_they_come_is_as_all_at_once() -> None:
    """The same over 256 tiles, two bands of them, of boxes that cross edges and of outlines."""
    zoom, size, padding = 5, 64, 16
    rule = Suppression("iou", 0.2)
    chance = np.random.default_rng(CHANCE)
    count = 5000
    columns, rows = 8, 32
    corners = (chance.uniform(0, 1, (count, 2)) * (columns * size - 20, rows * size - 20)).round(1)
    boxes = np.column_stack((corners, corners + chance.uniform(4, 20, (count, 2)).round(1)))
    shapes = shapely.box(*boxes.T)
    shapes[::3] = shapely.buffer(shapely.centroid(shapes[::3]), 6.0, quad_segs=4)
    tree = shapely.STRtree(shapes)
    confidences = chance.integers(1, 100, count) / 100
    plain, suppressing = Seams(zoom), Seams(zoom, suppression=rule)
    tiles = {(x, y) for x in range(columns) for y in range(rows)}
    all_of_them, left, most = [], [], 0
    for x, y in itertools.chain.from_iterable(band.tolist() for band in in_order(np.array(sorted(tiles)))):
        corner = np.array([x * size - padding, y * size - padding])
        seen = sorted(tree.query(shapely.box(*corner, *(corner + size + 2 * padding))).tolist())
        features = [
            {
                "type": "Feature",
                "geometry": shapely.geometry.mapping(shapely.affinity.translate(shapes[index], *-corner)),
                "properties": {"category": "thing", "confidence": float(confidences[index])},
            }
            for index in seen
        ]
        answer = answers.normalize(features, answers.Frame(None, size, padding))
        pieces = cut(answer.features(), mercantile.Tile(x, y, zoom), size, padding)
        for seams in (plain, suppressing):
            seams.add(mercantile.Tile(x, y, zoom), pieces, tiles)
        all_of_them += plain.take()
        left += suppressing.take()
        most = max(most, len(all_of_them) - len(left) - suppressing.counts["suppressed"])
    all_of_them += plain.take(all_of_them=True)
    left += suppressing.take(all_of_them=True)
    degrees = np.array([shapely.geometry.shape(feature["geometry"]) for feature in all_of_them])
    geometries = shapely.transform(
        degrees,
        lambda lnglat: np.column_stack((lnglat[:, 0], np.degrees(np.arcsinh(np.tan(np.radians(lnglat[:, 1])))))),
    )
    sure = np.array([feature["properties"]["confidence"] for feature in all_of_them])
    stays = survivors(geometries, sure, ["thing"] * len(sure), rule)
    wanted = {feature["id"] for feature, stay in zip(all_of_them, stays, strict=True) if stay}
    assert {feature["id"] for feature in left} == wanted
    assert len(wanted) == len(left) == len(all_of_them) - suppressing.counts["suppressed"] < len(all_of_them)
    assert most < len(all_of_them), "nothing left before the end"


def left_of(
    first_column: int, rule: Suppression | None, zoom: int = 5, size: int = 64, padding: int = 16
) -> list[float]:
    """How sure the objects are that stay of those strewn over 4 x 20 tiles, from a column of the map on."""
    chance = np.random.default_rng(CHANCE)
    count, columns, rows = 1200, 4, 20
    corners = chance.uniform(0, 1, (count, 2)) * (columns * size - 20, rows * size - 20)
    shapes = shapely.box(*np.column_stack((corners, corners + chance.uniform(4, 20, (count, 2)))).round(1).T)
    shapes[::3] = shapely.buffer(shapely.centroid(shapes[::3]), 6.0, quad_segs=4)
    confidences = chance.permutation(count) / count
    tree = shapely.STRtree(shapes)
    places = {((first_column + column) % 2**zoom, row): column for column in range(columns) for row in range(rows)}
    seams = Seams(zoom, suppression=rule)
    found = []
    for x, y in itertools.chain.from_iterable(band.tolist() for band in in_order(np.array(sorted(places)))):
        corner = np.array([places[x, y] * size - padding, y * size - padding])
        features = [
            {
                "geometry": shapely.geometry.mapping(shapely.affinity.translate(shapes[index], *-corner)),
                "properties": {"category": "thing", "confidence": float(confidences[index])},
            }
            for index in sorted(tree.query(shapely.box(*corner, *(corner + size + 2 * padding))).tolist())
        ]
        answer = answers.normalize(features, answers.Frame(None, size, padding))
        tile = mercantile.Tile(x, y, zoom)
        seams.add(tile, cut(answer.features(), tile, size, padding), set(places))
        found += seams.take()
    found += seams.take(all_of_them=True)
    return sorted(feature["properties"]["confidence_max"] for feature in found)


@pytest.mark.parametrize("rule", [Suppression("iou", 0.2), Suppression("ios", 0.5)], ids=str)
@pytest.mark.slow
def test_across_the_antimeridian_it_is_as_elsewhere(rule: Suppression, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.area.suppression.GROWN", 50)  # so that they leave as soon as they may
    elsewhere = left_of(9, rule)
    assert len(elsewhere) < len(left_of(9, None))
    assert left_of(30, rule) == left_of(31, rule) == elsewhere


def test_who_may_meet_others_across_the_antimeridian_waits() -> None:
    crowd = Crowd(Suppression("iou", 0.3), columns=4)
    end, side = 4.0 * UNITS, 1000.0
    crowd.add([Held(b"first", shapely.box(-300, 0, 700, side), 0.5, None)])
    crowd.add([Held(b"inland", shapely.box(2 * UNITS, 0, 2 * UNITS + side, side), 0.5, None)])
    to_come = Future(np.array([[3.0 * UNITS, -np.inf, np.inf, np.inf]]))
    assert [held.text for held in crowd.release(to_come)] == [b"inland"]
    crowd.add([Held(b"last", shapely.box(end - 400, 0, end + 600, side), 0.6, None)])
    assert [held.text for held in crowd.release(None)] == [b"last"]


def mercator(lnglat: np.ndarray) -> np.ndarray:
    """In degrees at the equator."""
    return np.column_stack((lnglat[:, 0], np.degrees(np.arcsinh(np.tan(np.radians(lnglat[:, 1]))))))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("none", "None"),
        ("iou:0.5", "iou:0.5"),
        ("IoS:0.7", "ios:0.7"),
        ("iou", "iou:0.5"),
        ("nms", "iou:0.5"),
        ("GREEDYNMM", "ios:0.5"),
        ("greedy_nmm", "ios:0.5"),
    ],
)
def test_names(text: str, meant: str) -> None:
    assert str(suppression_named(text)) == meant


@pytest.mark.parametrize("text", ["", "giou:0.5", "iou:0", "iou:1.5", "iou:much", "iou:nan"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is not known"):
        suppression_named(text)


def test_a_run_suppresses(tmp_path: Path) -> None:
    corner, size, side = mercantile.Tile(100, 100, 8), 64, 2
    write_world(tmp_path / "w.mbtiles", smooth(3, side * size, 6.0, 0.8), size, corner)
    west, _, _, north = mercantile.bounds(corner)
    _, south, east, _ = mercantile.bounds(corner.x + side - 1, corner.y + side - 1, corner.z)
    options = {"tiles": str(tmp_path / "w.mbtiles"), "zoom": 8, "padding": 8, "workers": 1, "project": PREDICTORS}
    run = area.run((west, south, east, north), predictor="blobs:Twice", suppress="ios:0.9", **options)
    found = list(run)
    assert run.report.whole
    assert run.report.details["suppressed"] > 0
    assert all(feature["properties"]["confidence_max"] == 0.9 for feature in found)
