"""Two outlines on two sides of a line are joined as GEOS joins them, to the last vertex."""

from __future__ import annotations

import mercantile
import numpy as np
import pytest
import shapely

from playground.area.clipping import clipped
from playground.area.outlines import Forms
from playground.area.splice import spliced, united
from playground.area.world import UNITS

FARTHEST = 2**16
"""Columns and rows: the numbers are as large as those of a zoom 16."""


def outline(chance: np.random.Generator, middle: np.ndarray, grid: float, radius: float) -> shapely.Geometry:
    """A star of some corners, on a grid: a fine one for slanting edges, a coarse one for straight stretches."""
    turns = np.sort(chance.uniform(0, 2 * np.pi, chance.integers(3, 12)))
    corners = np.column_stack((np.cos(turns), np.sin(turns))) * chance.uniform(0.2, 1, (len(turns), 1)) * radius
    return shapely.make_valid(shapely.Polygon(np.round((middle + corners) / grid) * grid))


def halves(chance: np.random.Generator) -> list[shapely.Geometry]:
    """What two neighbouring tiles have of an object; now and then they see it a little otherwise, as it is blurred."""
    grid, radius = chance.choice([1, 200, 2000, 6400]), chance.choice([3000, 20000, 60000])
    shape = outline(chance, chance.uniform(-radius / 2, radius / 2, 2), grid, radius)
    if chance.random() < 0.3:
        shape = shapely.union(shape, outline(chance, chance.uniform(-radius / 2, radius / 2, 2), grid, radius))
    if chance.random() < 0.3:
        shape = shapely.box(*np.round(shapely.bounds(shape) / grid) * grid)
    other = (
        shapely.affinity.translate(shape, *np.round(chance.uniform(-300, 300, 2))) if chance.random() < 0.2 else shape
    )
    shapes = [shape, other][:: chance.choice([1, -1])]
    turn = np.array([[0, 1], [1, 0]]) if chance.random() < 0.5 else np.eye(2)
    # clipped() keeps to the tile from (0, 0) on: the one half lies there, the other one is moved there and back.
    found = []
    for shape, step in zip(shapes, chance.permutation([0, 1]), strict=True):
        corner = np.array([step, 0]) * UNITS - np.array([UNITS, UNITS / 2])
        moved = shapely.transform(shape, lambda xy, corner=corner: xy @ turn - corner)
        (half,) = clipped(np.array([moved], dtype=object), np.array([True]))
        place = corner + np.array([FARTHEST * UNITS, 0])
        found.append(shapely.transform(half, lambda xy, place=place: xy + place))
    return found


def parts_of(pairs: np.ndarray) -> Forms:
    """What is joined of pairs of geometries: those of one tile, one behind the other."""
    return Forms.of_wkb(shapely.to_wkb(pairs.ravel()).tolist(), [mercantile.Tile(0, 0, 0)] * pairs.size)


def every(forms: Forms) -> np.ndarray:
    return forms.shapes(np.ones(len(forms), bool))


@pytest.mark.parametrize("seed", range(3))
def test_unions_are_those_of_geos(seed: int) -> None:
    chance = np.random.default_rng(seed)
    drawn = [halves(chance) for _ in range(600)]
    kept = [
        pair for pair in drawn if all(half.geom_type == "Polygon" and half.area and not half.interiors for half in pair)
    ]
    pairs = np.empty((len(kept), 2), dtype=object)
    for place, pair in enumerate(kept):
        pairs[place] = pair
    parts = parts_of(pairs)
    _, taken, _ = spliced(parts.outlines)
    assert taken.sum() / len(drawn) > 0.4
    found = every(united(parts, np.full(len(pairs), 2)))
    wanted = shapely.simplify(shapely.union_all(pairs, axis=1), 0.0, preserve_topology=True)
    assert shapely.equals_exact(found[taken], wanted[taken], 0).all()
    assert shapely.equals(found, wanted).all()


def test_what_is_not_so_simple_is_left_to_geos() -> None:
    east, west = shapely.box(0, 0, 10, 10), shapely.box(-10, 0, 0, 10)
    odd = [
        (east, shapely.box(-10, 0, 1, 10)),  # they overlap
        (east, shapely.box(-20, 0, -10, 10)),  # they are apart
        (east, shapely.box(-10, 10, 0, 20)),  # they touch in a corner
        (east, west.difference(shapely.box(-5, 4, 0, 6))),  # in two stretches
        (east, west.difference(shapely.box(-6, 4, -4, 6))),  # one has a hole
        (east, shapely.MultiPolygon([west, shapely.box(-30, 0, -20, 10)])),
    ]
    pairs = np.empty((len(odd), 2), dtype=object)
    for place, pair in enumerate(odd):
        pairs[place] = pair
    found = united(parts_of(pairs), np.full(len(pairs), 2))
    assert not len(found.places)
    assert shapely.equals(every(found), shapely.union_all(pairs, axis=1)).all()
    nothing = united(parts_of(np.empty((0, 2), dtype=object)), np.empty(0, np.int64))
    assert not len(nothing)
