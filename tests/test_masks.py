"""Masks become polygons that cover exactly their pixels."""

import time

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from playground_interfaces import PredictionResult, Tile
from playground_interfaces.masks import _checked_rows, _outline_of_rows, _polygons_of_outline, polygons_of_mask

MASKS = npst.arrays(bool, npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12), elements=st.booleans())
CLOSED_BY_A_CORNER = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1]], dtype=bool)
CHESSBOARD = np.indices((7, 6)).sum(axis=0) % 2 == 0


def rasterize(polygons, shape):
    """True where the pixel's centre lies in a polygon."""
    y, x = np.indices(shape) + 0.5
    mask = np.zeros(shape, dtype=bool)
    for exterior, holes in polygons:
        mask |= shapely.contains_xy(shapely.Polygon(exterior, holes), x, y)
    return mask


def regions(mask):
    """The number of 4-connected regions, by flood filling."""
    left = {tuple(place) for place in np.argwhere(mask)}
    count = 0
    while left:
        count += 1
        waiting = [left.pop()]
        while waiting:
            y, x = waiting.pop()
            for place in {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} & left:
                left.remove(place)
                waiting.append(place)
    return count


@settings(max_examples=300)
@given(MASKS)
@example(CLOSED_BY_A_CORNER)
@example(~CLOSED_BY_A_CORNER)
@example(CHESSBOARD)
@example(np.zeros((3, 3), dtype=bool))
@example(np.ones((1, 1), dtype=bool))
def test_polygons_cover_exactly_the_mask(mask):
    polygons = polygons_of_mask(mask)
    shapes = [shapely.Polygon(exterior, holes) for exterior, holes in polygons]
    assert all(shape.is_valid for shape in shapes), [shapely.is_valid_reason(shape) for shape in shapes]
    assert sum(shape.area for shape in shapes) == mask.sum()
    assert len(shapes) == regions(mask)
    np.testing.assert_array_equal(rasterize(polygons, mask.shape), mask)


@settings(max_examples=300)
@given(MASKS)
def test_rings_are_closed_and_have_no_collinear_points(mask):
    for exterior, holes in polygons_of_mask(mask):
        assert shapely.LinearRing(exterior).is_ccw is False  # y goes down: counter-clockwise on a map
        for ring in [exterior, *holes]:
            assert ring[0] == ring[-1]
            steps = np.diff(np.array([*ring, ring[1]]), axis=0)
            assert (np.count_nonzero(steps, axis=1) == 1).all()
            assert ((steps[1:] != 0) != (steps[:-1] != 0)).all()
        assert all(shapely.LinearRing(hole).is_ccw for hole in holes)


@settings(max_examples=300)
@given(MASKS)
@example(CHESSBOARD)
def test_without_numpy_the_answer_is_the_same(mask):
    assert _polygons_of_outline(*_outline_of_rows(_checked_rows(mask.tolist()))) == polygons_of_mask(mask)


def test_a_hole_that_touches_the_outside_in_a_corner_is_a_hole():
    ((exterior, holes),) = polygons_of_mask(CLOSED_BY_A_CORNER)
    assert exterior == [(0, 0), (0, 3), (3, 3), (3, 1), (2, 1), (2, 0), (0, 0)]
    assert holes == [[(1, 1), (2, 1), (2, 2), (1, 2), (1, 1)]]


@pytest.mark.parametrize("mask", [[], [[]], np.zeros((0, 4), dtype=bool)])
def test_nothing_gives_nothing(mask):
    assert polygons_of_mask(mask) == []
    assert _outline_of_rows(_checked_rows(mask))[0] == []


@pytest.mark.parametrize("mask", [[[True], [True, False]], np.ones((2, 2, 2))])
def test_what_is_no_mask_is_refused(mask):
    with pytest.raises(ValueError):  # noqa: PT011 - numpy words one of them
        polygons_of_mask(mask)


def test_rows_of_several_lengths_are_refused_without_numpy():
    with pytest.raises(ValueError, match="one length"):
        _checked_rows([[True], [True, False]])


def test_a_long_spiral_is_one_region():
    mask = np.zeros((101, 101), dtype=bool)
    y, x, dy, dx, length = 50, 50, 0, 1, 2
    while length < 100:
        for _ in range(2):
            for _ in range(length):
                mask[y, x] = True
                y, x = y + dy, x + dx
            dy, dx = dx, -dy
        length += 2
    ((exterior, holes),) = polygons_of_mask(mask)
    assert shapely.Polygon(exterior, holes).area == mask.sum()


def test_a_noisy_tile_takes_a_moment_only():
    mask = np.random.default_rng(7).random((304, 304)) < 0.5
    fastest = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        polygons = polygons_of_mask(mask)
        fastest = min(fastest, time.perf_counter() - start)
    assert sum(shapely.Polygon(*polygon).area for polygon in polygons) == mask.sum()
    assert fastest < 0.5  # measured: 0.04 s; the rest is room for a busy machine


def test_add_mask_adds_one_result_a_region():
    result = PredictionResult(Tile("t"))
    result.add_mask("ring", [[1, 1, 1], [1, 0, 1], [1, 1, 1]], 0.5)
    (feature,) = result.format()["features"]
    assert feature["geometry"]["coordinates"] == [
        [[0, 0], [0, 3], [3, 3], [3, 0], [0, 0]],
        [[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]],
    ]
    assert feature["properties"] == {"category": "ring", "score": 0.5}
