"""What arithmetic finds in a tile's core is what GEOS finds there."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from playground.area.clipping import clipped, clipped_once
from playground.area.parts import are_boxes, same_dimension
from playground.area.rings import Rings
from playground.area.world import UNITS, Shapes


def crossing(grid: int, spread: int, seed: int) -> Shapes:
    """Polygons on a grid around the core's edges, wound as answers are."""
    chance = np.random.default_rng(seed)
    found = []
    while len(found) < 1500:
        corners = int(chance.integers(3, 14))
        angles = np.sort(chance.uniform(0, 2 * np.pi, corners))
        reach = chance.uniform(0.2, 1, corners) * spread
        middle = np.array([chance.choice([0, UNITS]) + chance.normal(0, spread / 3), chance.uniform(0, UNITS)])
        ring = middle[:: chance.choice([1, -1])] + np.stack([reach * np.cos(angles), reach * np.sin(angles)], axis=1)
        shape = shapely.Polygon(np.round(ring / grid) * grid)
        if shape.is_valid and shape.area:
            found.append(shapely.orient_polygons(shape))
    shapes = np.array(found, dtype=object)
    west, north, east, south = shapely.bounds(shapes).T
    reaching = (west < UNITS) & (east > 0) & (north < UNITS) & (south > 0)
    return shapes[reaching & ~((west > 0) & (north > 0) & (east < UNITS) & (south < UNITS))]


def rings_of(shapes: Shapes) -> Rings:
    return Rings(shapely.get_coordinates(shapes), shapely.get_num_coordinates(shapes).astype(np.int64))


def cut_once(shapes: Shapes) -> tuple[Shapes, np.ndarray]:
    """What ``clipped_once`` makes of polygons, and of which."""
    cut, done = clipped_once(rings_of(shapes), shapely.bounds(shapes))
    found = np.empty(len(shapes), dtype=object)
    found[done] = cut.shapes()
    return found, done


@pytest.mark.parametrize(("grid", "spread"), [(1, 4000), (200, 4000), (200, 1200), (800, 12000), (2, 40000)])
def test_polygons_are_clipped_as_geos_clips_them(grid: int, spread: int) -> None:
    shapes = crossing(grid, spread, 3)
    core = shapely.box(0, 0, UNITS, UNITS)
    areal = np.ones(len(shapes), dtype=bool)
    wanted = same_dimension(np.asarray(shapely.transform(shapely.intersection(shapes, core), np.round)), areal)
    found, done = cut_once(shapes)
    assert done.sum() > (0.5 if spread < 10_000 else 0.1) * len(shapes)
    # What GEOS rounds so that it crosses itself is left to it.
    assert shapely.is_valid(found[done]).all()
    assert shapely.equals_exact(shapely.normalize(found[done]), shapely.normalize(wanted[done]), 0.0).all()
    whole = clipped(shapes, areal)
    assert shapely.is_valid(whole).all()
    same = shapely.equals_exact(shapely.normalize(whole), shapely.normalize(wanted), 0.0)
    assert (same | ~shapely.is_valid(wanted)).all()


def test_what_runs_along_an_edge_is_clipped_as_geos_clips_it() -> None:
    """Both kinds: with the object on this side of the stretch, and beyond it."""
    far = UNITS - 1000
    rings = [
        [(0, 1000), (0, 500), (900, 500), (900, 1000)],
        [(-500, 2000), (-500, 1000), (0, 1000), (0, 500), (900, 500), (900, 2000)],
        [(-500, 500), (900, 500), (900, 1000), (0, 1000), (0, 2000), (-500, 2000)],
        [(far, 500), (UNITS, 500), (UNITS, 700), (UNITS, 1000), (far, 1000)],
        [(5000, 0), (6000, 300), (5500, 800)],
        [(5000, far), (5600, UNITS), (6000, UNITS), (6000, UNITS + 900), (4000, UNITS + 900), (4000, UNITS)],
    ]
    for turn in range(6):
        shapes = np.array([shapely.Polygon(ring[turn % len(ring) :] + ring[: turn % len(ring)]) for ring in rings])
        shapes = shapely.orient_polygons(shapes)
        overlay = np.asarray(shapely.intersection(shapes, shapely.box(0, 0, UNITS, UNITS)))
        wanted = same_dimension(overlay, np.ones(len(shapes), dtype=bool))
        found, done = cut_once(shapes)
        assert done.all()
        assert shapely.equals_exact(shapely.normalize(found), shapely.normalize(wanted), 0.0).all()


def test_rings_tell_what_geos_tells_of_them() -> None:
    chance = np.random.default_rng(5)
    corners = chance.integers(-UNITS, UNITS, (100, 2))
    boxes = shapely.box(*corners.T, *(corners + chance.integers(1, UNITS, (100, 2))).T)
    shapes = np.concatenate((crossing(200, 4000, 5), boxes))
    rings = rings_of(shapes)
    assert rings.texts() == shapely.to_wkb(shapes).tolist()
    assert rings.take(np.arange(len(shapes)) % 2 == 0).texts() == shapely.to_wkb(shapes[::2]).tolist()
    told = rings.are_boxes(shapely.bounds(shapes))
    assert (told == are_boxes(shapes)).all()
    assert 100 <= told.sum() < len(shapes)
