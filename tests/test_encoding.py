"""Answers as JSON, as the predictor process writes it: fast, and the same to the byte as the standard library does."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
from collections import OrderedDict
from typing import Any, NamedTuple

import geojson
import numpy as np
import pytest

from playground_interfaces import encoding, telling


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Both(str, enum.Enum):
    A = "a"


class Named(NamedTuple):
    x: float
    y: float


class Shouting(str):
    def __str__(self) -> str:
        return self.upper()


class Hiding(dict):
    def items(self):
        return [("shown", 1)]


VALUES: list[Any] = [
    [1, -1, 2**53 + 1, 2**63, 2**64, -(2**70), 10**30, True, None],
    [1.5, -0.0, 1e16, 1e-7, 1e22, 5e-324, 1.7976931348623157e308, 0.1 + 0.2],
    [math.nan, 1.0],
    [math.inf, -math.inf],
    ["é ☃ \U0001f600", "\ud800", '"\\/\b\n\x00\x7f', "null", ""],
    [(1, 2), Named(1, 2), {"a": (1,)}, [], {}, ()],
    [np.float64(1.5), np.float32(0.1), np.float16(0.1), np.int64(7), np.uint8(200), np.bool_(True)],
    [np.float64("nan"), np.longdouble(1.25), np.str_("s"), np.bytes_(b"b"), np.datetime64("2026-01-01")],
    [np.arange(6).reshape(2, 3), np.array([0.1], np.float32), np.array([Colour.RED], object), np.array(["a"])],
    [Colour.RED, Number.ONE, Both.A, Shouting("quiet"), b"bytes", bytearray(b"b"), {1}, frozenset([2])],
    [datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1, 12), decimal.Decimal("1.50"), 1 + 2j],
    [{1: "a", None: "b", 1.5: "d"}, {True: "c"}],
    [{Shouting("k"): 1}, {Both.A: 2}],
    [OrderedDict(b=1, a=2), Hiding(hidden=1)],
    [geojson.Point((1.0, 2.0)), geojson.Feature(geometry=geojson.Point((1.0, 2.0)), properties={"a": None})],
    [object],
]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_features_are_written_as_the_standard_library_writes_them(number):
    encode = encoding.encoder()
    assert encode is not encoding.slowly
    for value in [*VALUES[number], VALUES[number]]:
        features = [
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": value}, "properties": {}},
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2.5]}, "properties": {"p": value}},
            geojson.Feature(geometry=geojson.Point((1, 2)), properties={"p": value}),
        ]
        for each in ([feature] for feature in features):
            try:
                expected = telling.encode(each)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other way raises it, too
                for write in (encode, encoding.slowly):
                    with pytest.raises(type(error)):
                        write(each)
                continue
            for write in (encode, encoding.slowly):
                assert repr(json.loads(write(each))) == repr(json.loads(expected))


def test_a_circle_is_told_as_ever():
    circle: list[Any] = []
    circle.append(circle)
    for write in (encoding.encoder(), encoding.slowly):
        with pytest.raises(ValueError, match="Circular"):
            write(circle)
