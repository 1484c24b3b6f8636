"""Whatever a predictor gives, the answer is valid GeoJSON and nothing vanishes uncounted."""

from __future__ import annotations

import mercantile
import numpy as np
import pytest
import shapely
from features import limits_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rfc7946 import check_text

from playground.answers import Frame, Options, normalize
from playground.answers.crossings import are_simple

FRAMES = [
    Frame(),
    Frame(mercantile.Tile(0, 0, 0), 256, 256),
    Frame(mercantile.Tile(0, 0, 0), 256, 0),
    Frame(mercantile.Tile(1, 1, 1), 256, 24),
    Frame(mercantile.Tile(0, 15, 5), 512, 24),
    Frame(mercantile.Tile(2**18 - 1, 2**17, 18), 256, 24),
    Frame(mercantile.Tile(140818, 85953, 18), 256, 24),
    Frame(mercantile.Tile(0, 2**21, 22), 256, 24),
    Frame(mercantile.Tile(2**30 - 1, 2**29, 30), 256, 24),
]

near = st.integers(0, 6)  # so few that vertices and edges often meet
pixel = st.one_of(st.integers(-40, 600), st.floats(-40, 600), st.floats(0, 1))
hair = st.builds(lambda whole, part: whole + part * 1e-3, near, st.integers(-9, 9))
odd = st.sampled_from([float("nan"), float("inf"), -1e308, 1e300, 5e-324, -0.0, 10**400, "3", "x", None, True, [], {}])
CONFIGURED = [
    *[Options()] * 3,
    Options("index", "own"),
    Options("index", "clip", least_confidence=0.5),
    Options("edge", "clip", simplify=1.5),
    Options("edge", "own", simplify=0.2, least_area=3, class_names={"": "none", "0": "zero"}),
]
MIXES = (near, pixel, hair, st.one_of(near, pixel, pixel, odd))


def positions(number):
    pair = st.tuples(number, number).map(list)
    return st.one_of(pair, pair, pair, st.lists(number, max_size=4)) if number is MIXES[-1] else pair


def rings(position):
    ring = st.lists(position, min_size=3, max_size=9)
    return st.one_of(ring, ring.map(lambda points: [*points, points[0]]), st.lists(position, max_size=4))


def geometries(number):
    position = positions(number)
    paths = st.lists(rings(position), max_size=3)
    coordinates = {
        "Point": position,
        "MultiPoint": st.lists(position, max_size=4),
        "LineString": rings(position),
        "MultiLineString": paths,
        "Polygon": paths,
        "MultiPolygon": st.lists(paths, max_size=3),
    }
    alone = st.one_of(
        [st.fixed_dictionaries({"type": st.just(kind), "coordinates": made}) for kind, made in coordinates.items()]
    )
    several = st.fixed_dictionaries(
        {"type": st.just("GeometryCollection"), "geometries": st.lists(st.one_of(alone, st.none()), max_size=3)}
    )
    return st.one_of(alone, alone, alone, several, st.none())


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=5)),
    lambda inside: st.one_of(st.lists(inside, max_size=3), st.dictionaries(st.text(max_size=3), inside, max_size=3)),
    max_leaves=6,
).map(lambda value: value)  # one choice among the features, not one for each kind of value
names = st.sampled_from(["category", "categories", "tags", "confidence", "score", "note"])
properties = st.one_of(st.dictionaries(names, anything, max_size=4), anything)


def features(number):
    feature = st.fixed_dictionaries(
        {"type": st.just("Feature"), "geometry": geometries(number), "properties": properties},
        optional={"id": anything, "bbox": anything},
    )
    return st.one_of(feature, feature, feature, feature, anything)


def check_answer(given_features, frame, options=CONFIGURED[0]):
    answer = normalize(given_features, frame, options)
    check_text(answer.dumps(), **limits_of(frame))
    report = answer.report
    assert report["features_in"] == len(given_features)
    assert report["features_in"] == report["features_out"] + sum(report["dropped"].values())
    assert report["features_out"] == len(answer.texts)
    assert "unmendable" not in report["dropped"]
    for found in answer.features():
        assert 0 <= found["properties"]["confidence"] == found["properties"]["score"] <= 1
        assert type(found["properties"]["category"]) in (str, type(None))


@pytest.mark.parametrize("examples", [150, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", MIXES, ids=["near", "pixel", "hair", "odd"])
def test_every_answer_is_valid_and_accounted_for(number, examples):
    @settings(max_examples=examples)
    @given(st.lists(features(number), max_size=4), st.sampled_from(FRAMES), st.sampled_from(CONFIGURED))
    def check_any(given_features, frame, options):
        check_answer(given_features, frame, options)

    check_any()


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from(FRAMES), st.integers(3, 40), st.sampled_from([0, 1, 2, 6]))
@example(0, FRAMES[0], 3, 0)
def test_tangled_rings_come_out_valid(seed, frame, count, decimals):
    rng = np.random.default_rng(seed)
    side = frame.tile_size + 2 * frame.padding
    tangles = []
    for _ in range(5):
        centre, reach = rng.uniform(0, side, 2), rng.uniform(0.01, side)
        parts = [[np.round(rng.normal(centre, reach / 4, (count, 2)), decimals) for _ in range(2)] for _ in range(2)]
        tangles.append({"geometry": {"type": "MultiPolygon", "coordinates": parts}})
    check_answer(tangles, frame)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("vertices", [3, 4, 5, 8, 12, 13])
def test_many_rings_at_once_come_out_valid(frame, vertices):
    """Enough of one length that arithmetic, not GEOS, tells which are simple; on a coarse grid, so that many touch."""
    rng = np.random.default_rng(vertices)
    side = frame.tile_size + 2 * frame.padding
    rings = rng.uniform(-20, side, (150, 1, 2)) + rng.integers(0, 6, (150, vertices, 2)) * rng.choice([0.01, 1, 30])
    check_answer([{"geometry": {"type": "Polygon", "coordinates": [ring]}} for ring in rings.tolist()], frame)
    grid = rng.integers(0, side, (150, 1, 2)) + rng.integers(0, 6, (150, vertices, 2))
    check_answer([{"geometry": {"type": "Polygon", "coordinates": [ring]}} for ring in grid.tolist()], frame)


@settings(max_examples=300)
@given(st.lists(st.lists(st.tuples(near, near), min_size=3, max_size=9), min_size=1, max_size=60), st.booleans())
def test_a_ring_told_simple_is_valid_to_geos(rings, fine):
    rings = [np.array([*ring, ring[0]], dtype=float) * (0.1 if fine else 1) for ring in rings for _ in range(48)]
    positions = np.array([len(ring) for ring in rings])
    simple = are_simple(np.concatenate(rings), np.cumsum(positions) - positions, positions)
    assert shapely.is_valid([shapely.Polygon(ring) for ring, told in zip(rings, simple, strict=True) if told]).all()
