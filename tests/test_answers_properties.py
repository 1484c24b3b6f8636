"""Category, confidence and all else that a predictor says about an object."""

from __future__ import annotations

import math
from enum import Enum

import numpy as np
import pytest
from features import NAN, answer_of, feature


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


def test_many_alike_are_described_as_each_alone():
    """Columns of the same properties are written at once; one that is odd among them makes all be looked at."""
    odd = [
        {"note": NAN},
        {"note": 2**70},
        {"note": "\ud800"},
        {"100%b": "%b"},
        {"tags": ["x"]},
        {"score": 2.0},
        {1: "a"},
    ]
    for extra in ({}, {"number": 7, "width": 2.5, "note": 'na\u00efve "%b", ok'}, *odd):
        features = [feature(**{"score": 0.5}) for _ in range(3)]
        for number, each in enumerate(features):
            each["properties"] |= {"category": "ab"[number % 2], **extra}
        alone = [answer_of(each) for each in features]
        together = answer_of(*features)
        assert together.texts == [text for answer in alone for text in answer.texts]
        mixed = answer_of(*features, {**feature(), "properties": None})
        assert mixed.texts[:3] == together.texts
        for kind, count in alone[0].report["repairs"].items():
            assert together.report["repairs"][kind] == 3 * count
