"""Polygons travel as numbers, other answers as JSON: the server reads the same of both."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import struct
from collections import OrderedDict
from typing import Any

import geojson
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground import answers
from playground.answers import Frame
from playground.packed import Coordinates, gathered
from playground.predictor import ServedTile, results
from playground.predictor.unpacking import rounded, unpacked
from playground_interfaces import PredictionResult, encoding, several, telling
from playground_interfaces.packing import Packed


class Parts:
    read = ("array",)


def received(*given: Any) -> list[Any]:
    """What the server makes of what a predictor returned, tile by tile."""
    told = several.Told()
    encode = encoding.encoder()
    for result in given:
        told.add(encoding.written(result, encode), Parts())
    head, blobs = told.reply()
    head, data = json.loads(json.dumps(head)), b"".join(map(bytes, blobs))
    heads = [head["heads"][which] for which in head["which"]]
    forms = [each["packed"] for each in heads if each["packed"]]
    polygons = iter(unpacked(forms, head["polygons"], data[sum(head["lengths"]) :]))
    found = []
    for each, length in zip(heads, head["lengths"], strict=True):
        told_of = {**each, "polygons": next(polygons)} if each["packed"] else each
        found.append(results.read_result(told_of, data[:length])["features"])
        data = data[length:]
    return found


def as_text(result: Any) -> list[Any]:
    """The same, of JSON."""
    return results.read_result(*telling.told(result))["features"]


def is_packed(result: Any) -> bool:
    return isinstance(encoding.written(result, encoding.encoder())[1], Packed)


def result_of(*geometries: Any, category: Any = "ship", **properties: Any) -> PredictionResult:
    result = PredictionResult(None)
    for geometry in geometries:
        result.add_polygon(category, geometry[0] if geometry else [], geometry[1:], 0.87654, **properties)
    return result


class Formatting(PredictionResult):
    def format(self):
        return {"type": "FeatureCollection", "features": []}


SQUARE = [(0, 0), (0, 8.005), [8.125, 8], (-0.001, 1e17)]
FLOATS = [(0.0, 0.5), (0.0, 8.005), (8.125, 8.0), (-0.001, 1e17), (2.675, 1.005)]
WHOLE = [[0, 0], [0, 9], [2**31 - 1, -(2**31)]]
RESULTS = {
    "empty": result_of(),
    "rings": result_of([SQUARE], [SQUARE, SQUARE[:3]], (tuple(SQUARE),), note="é"),
    "arrays": result_of([np.array(SQUARE)], [np.array(SQUARE, np.float32)], [np.array([[1, 2], [3, 4]])], a=np.int8(1)),
    "arrays of floats": result_of([np.array(SQUARE)], [np.array(SQUARE, np.float32)]),
    "floats": result_of([FLOATS], [FLOATS, FLOATS[:3]], [FLOATS[1:]]),
    "whole numbers": result_of([WHOLE], [WHOLE, WHOLE[:2]]),
    "larger": result_of([[[0, 2**31]]]),
    "numpy numbers": result_of([[(np.float32(0.005), np.int64(3))] * 3]),
    "others": result_of([[(True, "1.5"), (decimal.Decimal("1.005"), 2**70)]]),
    "heights": result_of([[(1, 2, 3.555)]], [[(1,), (2, 3, 4)]], [[]], []),
    "no numbers": result_of([[(math.nan, math.inf)]]),
    "too large": result_of([[(10**400, 0)]]),
    "no positions": result_of([[1, 2]]),
    "sets": result_of([[{1, 2}]]),
    "words": result_of([["ab"]]),
    "marks": result_of([SQUARE], [SQUARE], category=encoding.PLACE),
    "odd properties": result_of([SQUARE], seen={1}, when=datetime.date(2026, 1, 1)),
    "subclass": Formatting(None),
}
RESULTS["points and boxes"] = result_of([SQUARE])
RESULTS["points and boxes"].add_point("p", (1.005, 2))
RESULTS["points and boxes"].add_box("b", (1.005, 2, 3, 4))
RESULTS["points and boxes"].add_result("old", SQUARE, np.float32(0.5))


@pytest.mark.parametrize("name", RESULTS)
def test_prediction_results_are_written_as_they_format_themselves(name):
    try:
        expected = repr(as_text(RESULTS[name]))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other way raises it, too
        with pytest.raises(type(error)):
            encoding.written(RESULTS[name], encoding.encoder())
    else:
        assert name not in ("rings", "arrays") or encoding.collection_text(RESULTS[name])
        assert name not in ("floats", "whole numbers", "arrays of floats") or is_packed(RESULTS[name])
        assert repr(received(RESULTS[name])[0]) == expected


@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.integers() | st.floats(-999, 999))))
def test_rings_are_rounded_as_ever(ring):
    result = result_of([ring])
    text = encoding.collection_text(result)
    if text is not None:
        assert repr(json.loads(text)) == repr(as_text(result))
        assert repr(received(result)[0]) == repr(as_text(result))


@given(st.lists(st.floats() | st.integers(-(10**9), 10**9).map(lambda value: value / 1000)))
def test_numbers_are_rounded_as_python_does(values):
    assert repr(rounded(np.array(values, np.float64)).tolist()) == repr([round(float(value), 2) for value in values])


def test_middles_between_hundredths():
    chance = np.random.default_rng(3)
    values = np.concatenate([chance.integers(-(10**size), 10**size, 5000) / 200 for size in range(2, 16)])
    near = np.concatenate([values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)])
    assert rounded(near).tolist() == [round(value, 2) for value in near.tolist()]


class Hiding(dict):
    def items(self):
        return [("type", "Feature")]


class Told(OrderedDict):
    """A dict of a class that answers as dict does."""


NUMBERS = [0, 7, -3, 2.5, -0.0, 1e300, math.nan, math.inf, 2**31, 2**70, True, None, "3", b"\0" * 4, np.float32(2), 1j]
NUMBERS += [np.int64(4), decimal.Decimal(2), [], {}, (1, 2)]


def number(chance: np.random.Generator, kind: str) -> Any:
    if kind == "any" and chance.random() < 0.1:
        return NUMBERS[chance.integers(len(NUMBERS))]
    return int(chance.integers(-9, 999)) if kind == "whole" else float(chance.uniform(-9, 999))


def position(chance: np.random.Generator, kind: str) -> Any:
    found = [number(chance, kind) for _ in range(2)]
    if kind == "any" and chance.random() < 0.05:
        found = [[], [1], found * 2, found * 129, 5, None, "ab", (i for i in found), {"x": 1, "y": 2}][
            chance.integers(9)
        ]
    return tuple(found) if kind == "any" and chance.random() < 0.3 else found


def ring(chance: np.random.Generator, kind: str) -> Any:
    found = [position(chance, kind) for _ in range(chance.integers(0, 6))]
    if kind == "any" and chance.random() < 0.1:
        return [tuple(found), None, np.ones((4, 2)), np.arange(6).reshape(3, 2), "ring", {1: 2}][chance.integers(6)]
    return found


def feature(chance: np.random.Generator, kind: str) -> Any:
    rings = [ring(chance, kind) for _ in range(chance.integers(1, 3))]
    found: Any = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": rings}}
    found["properties"] = {"category": "ship", "confidence": 0.5}
    if kind == "any" and chance.random() < 0.2:
        choice = chance.integers(8)
        if choice < 3:
            found = [Told(found), Hiding(found), geojson.Feature(geometry=geojson.Point((1, 2)))][choice]
        elif choice == 3:
            found["id"] = 7
        elif choice == 4:
            found["geometry"]["type"] = ["MultiPolygon", "Point", "LineString", None][chance.integers(4)]
        elif choice == 5:
            found["geometry"] = None
        elif choice == 6:
            found["properties"] = [None, 5, {"a": math.nan}, {"n": None}, {"x": {1}}][chance.integers(5)]
        else:
            found["properties"] = found["properties"].keys()
    return found


def answers_of(seed: int) -> list[Any]:
    """What a predictor returned for some tiles; made anew by each call, as generators are read once."""
    chance = np.random.default_rng(seed)
    kinds = ["whole", "whole", "floats", "any"]
    shared = {"category": "tree", "score": 0.25}
    found = []
    for _ in range(chance.integers(1, 7)):
        kind = kinds[chance.integers(4)]
        features = [feature(chance, kind) for _ in range(chance.integers(0, 5))]
        if kind != "any" and chance.random() < 0.5:
            for each in features:
                each["properties"] = shared
        found.append({"type": "FeatureCollection", "features": features})
    return found


@pytest.mark.parametrize("start", range(0, 160, 40))
def test_the_server_reads_what_json_says(start):
    packed = 0
    for seed in range(start, start + 40):
        try:
            expected = [as_text(result) for result in answers_of(seed)]
        except Exception as error:  # noqa: BLE001 - whatever it is, the other way raises it, too
            with pytest.raises(type(error)):
                received(*answers_of(seed))
            continue
        found = received(*answers_of(seed))
        assert repr(found) == repr(expected)
        packed += sum(is_packed(result) for result in answers_of(seed))
        frame = Frame(None, 256, 24)
        for mine, theirs in zip(
            answers.normalize_all(found, frame), answers.normalize_all(expected, frame), strict=True
        ):
            assert (mine.texts, mine.report) == (theirs.texts, theirs.report)
    assert packed > 20


def test_several_tiles_get_what_each_gets_alone(python, start_predictor):
    predictor = start_predictor("outlines:Outlines", python)
    kinds = ["whole", "whole", "tuples", "result", "mixed", "whole", "floats", "floats", "result"]
    tiles = [ServedTile(f"{kind} {number}") for number, kind in enumerate(kinds * 3)]
    found = [answer["features"] for answer in predictor.predict_several(tiles)]
    packed = [type(features[0]["geometry"]["coordinates"]) is Coordinates for features in found[1:]]
    assert packed == [kind != "mixed" for kind in (kinds * 3)[1:]]
    assert repr(found) == repr([predictor.predict(tile)["features"] for tile in tiles])


def square(left: float) -> list[list[float]]:
    return [[left, 0], [left + 5, 0], [left + 5, 5], [left, 0]]


def test_polygons_are_gathered_from_wherever_they_are():
    one, other = (
        result_of(*([square(left)] for left in range(first, first + 3)), [square(9), square(8)]) for first in (0, 50)
    )
    tiles = received(one, result_of([FLOATS]), other, one)
    coordinates = [each["geometry"]["coordinates"] for tile in tiles for each in tile]
    for order in (range(13), [3, 4, 5, 1, 1, 2, 12, 0], [7]):
        some = [coordinates[index] for index in order]
        found = gathered(some)
        again = [Coordinates(found, index) for index in range(len(found.rings))]
        assert again == some
        assert [np.asarray(rings[0]).tolist() for rings in again] == [rings[0] for rings in some]
    assert coordinates[3] == [square(9), square(8)]
    assert coordinates[3] != [square(9)]
    assert (len(coordinates[3]), coordinates[3][1]) == (2, square(8))


def test_what_is_no_packed_answer_is_refused():
    rings, positions = struct.pack("2I", 1, 1), struct.pack("2I", 1, 2)
    numbers = b"[\2\0\0\0i\1\0\0\0i\2\0\0\0" * 3
    good = rings + positions + numbers
    assert unpacked(["i"], [2], good) == [[[[[1, 2]]], [[[1, 2], [1, 2]]]]]
    for forms, counts, data in (
        (["i"], [2], good[:-1]),
        (["i"], [2], good + b"!"),
        (["g"], [2], good),
        (["i"], [3], good),
        (["i"], [-1], good),
        (["i"], [10**9], good),
        (["i", "i"], [2], good),
        (["i", "i"], [3, -1], good),
        (["i"], [2], struct.pack("2I", 1, 2**32 - 1) + good[8:]),
        ([], [], good),
        (["i"], [2], b""),
    ):
        with pytest.raises(ValueError, match=r"count|bytes|buffer|argument"):
            unpacked(forms, counts, data)
