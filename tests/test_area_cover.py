"""The cover of an area is exact: compared with a look at every tile of the map."""

from __future__ import annotations

import time

import mercantile
import numpy as np
import pytest
import shapely
import shapely.affinity
from hypothesis import example, given, settings
from hypothesis import strategies as st

from playground import geo
from playground.area.cover import BAND_ROWS, SNAP, bbox_geometry, cover, cover_bands, in_order
from playground.errors import AreaError


def names(tiles: object) -> set[tuple[int, int]]:
    found = [(tile.x, tile.y) for tile in tiles]  # type: ignore[attr-defined]
    assert len(found) == len(set(found))
    return set(found)


def densified(geometry: shapely.Geometry) -> shapely.Geometry:
    """Ring by ring: of a whole polygon that touches itself afterwards, GEOS may leave nothing."""
    parts = [shapely.segmentize(shapely.get_rings(part), 0.05) for part in shapely.get_parts(geometry)]
    return shapely.MultiPolygon([shapely.Polygon(shell, holes) for shell, *holes in parts])


def looked_up(geometry: shapely.Geometry, zoom: int) -> set[tuple[int, int]]:
    """Every tile of the zoom whose inside a polygon's inside meets."""
    count = 2**zoom
    tiles = [(x, y) for x in range(count) for y in range(count)]

    def on_map(lnglat: np.ndarray) -> np.ndarray:
        px, py = geo.pixel_of_lnglat(mercantile.Tile(0, 0, zoom), lnglat[:, 0], lnglat[:, 1], 1, 0)
        return np.column_stack((px, py))

    drawn = shapely.make_valid(shapely.transform(densified(geometry), on_map))
    boxes = np.array([shapely.box(x + SNAP, y + SNAP, x + 1 - SNAP, y + 1 - SNAP) for x, y in tiles])
    found = np.zeros(len(tiles), bool)
    for turn in (-1, 0, 1):
        found |= shapely.intersects(shapely.affinity.translate(drawn, turn * count), boxes)
    return {tile for tile, inside in zip(tiles, found, strict=True) if inside}


@example(0, 570)  # touches itself once its edges are split
@example(2, 340)  # so, where the antimeridian cuts it
@example(4, 2889)
@example(4, 1258)  # so, once its corners are on the map
@settings(max_examples=60)
@given(st.integers(0, 5), st.integers(0, 2**32))
def test_polygons_with_holes_anywhere(zoom: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 12)))
    radius = rng.uniform(0.2, 1.0, len(angles)) * rng.choice([1.0, 10.0, 60.0])
    centre = rng.uniform((-190, -60), (190, 60))
    ring = centre + np.column_stack((np.cos(angles), np.sin(angles) / 3)) * radius[:, None]
    outer = shapely.make_valid(shapely.Polygon(ring))
    shape = shapely.difference(outer, shapely.affinity.scale(outer, 0.6, 0.6))
    assert names(cover(shape, zoom)) == looked_up(shape, zoom)


@pytest.mark.parametrize(
    "tile",
    [
        mercantile.Tile(0, 0, 0),
        mercantile.Tile(5, 3, 3),
        mercantile.Tile(138000, 90001, 18),
        mercantile.Tile(2**22 - 1, 2**21, 22),
    ],
)
def test_the_bbox_of_a_tile_is_that_tile(tile: mercantile.Tile) -> None:
    assert list(cover(shapely.box(*mercantile.bounds(tile)), tile.z)) == [tile]
    assert set(cover(shapely.box(*mercantile.bounds(tile)), tile.z + 1)) == set(mercantile.children(tile))


def test_points_and_lines_are_half_open() -> None:
    corner = shapely.Point(0, 0)
    assert list(cover(corner, 1)) == [mercantile.Tile(1, 1, 1)]
    assert list(cover(shapely.Point(180, 0), 1)) == [mercantile.Tile(1, 1, 1)]
    assert list(cover(shapely.Point(-180, 0), 1)) == [mercantile.Tile(0, 1, 1)]
    assert list(cover(shapely.Point(0, -85.0512), 1)) == []
    along_an_edge = shapely.LineString([(-90, 0), (-10, 0)])
    assert names(cover(along_an_edge, 2)) == {(1, 2)}
    both = shapely.GeometryCollection([shapely.Point(-170, 80), shapely.box(10, 10, 20, 20)])
    assert names(cover(both, 2)) == {(0, 0), (2, 1)}


def test_across_the_antimeridian() -> None:
    assert names(cover(bbox_geometry(170, -10, -170, 10), 3)) == {(7, 3), (7, 4), (0, 3), (0, 4)}
    cut = shapely.MultiPolygon([shapely.box(170, -10, 180, 10), shapely.box(-180, -10, -170, 10)])
    assert names(cover(cut, 3)) == {(7, 3), (7, 4), (0, 3), (0, 4)}
    assert len(names(cover(bbox_geometry(-180, -90, 180, 90), 4))) == 256
    assert len(names(cover(bbox_geometry(0, -90, 360, 90), 4))) == 256


def test_poles_are_clipped_and_nothing_is_nothing() -> None:
    assert names(cover(shapely.box(0, 80, 10, 90), 2)) == {(2, 0)}
    assert list(cover(shapely.Polygon(), 5)) == []
    assert list(cover(shapely.box(0, 86, 10, 90), 5)) == []
    for box in ((0, 5, 1, 5), (3, 0, 3, 1), (0, 0, 1, 91), (float("nan"), 0, 1, 1)):
        with pytest.raises(AreaError):
            bbox_geometry(*box)


def test_the_order_goes_in_bands_and_is_the_same_for_a_list() -> None:
    tiles = list(cover(bbox_geometry(-5, 40, 5, 50), 10))
    order = sorted(tiles, key=lambda tile: (tile.y // BAND_ROWS, tile.x, tile.y))
    assert tiles == order
    shuffled = np.random.default_rng(0).permutation([(tile.x, tile.y) for tile in tiles])
    again = [tuple(address) for band in in_order(np.concatenate((shuffled, shuffled[:9]))) for address in band.tolist()]
    assert again == [(tile.x, tile.y) for tile in tiles]


def test_a_country_takes_a_moment() -> None:
    angles = np.linspace(0, 2 * np.pi, 5000)
    wave = 4 + 0.3 * np.sin(40 * angles)
    country = shapely.Polygon(np.column_stack((np.cos(angles) * wave, 47 + np.sin(angles) * wave)))
    began = time.process_time()
    count = sum(map(len, cover_bands(country, 14)))
    assert 100_000 < count < 200_000
    assert time.process_time() - began < 5
