"""Map maths against PROJ."""

from __future__ import annotations

import mercantile
import numpy as np
import pyproj
import pytest

from playground import geo
from playground.errors import AddressError

ZOOMS = (0, 5, 12, 18, 22)
TO_METRES = pyproj.Transformer.from_crs(4326, 3857, always_xy=True)


def tiles_of(zoom: int) -> list[mercantile.Tile]:
    last = 2**zoom - 1
    rng = np.random.default_rng(zoom)
    return [
        mercantile.Tile(int(x), int(y), zoom) for x, y in [(0, 0), (last, last), *rng.integers(0, last + 1, (8, 2))]
    ]


def pixels(tile_size: int, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners and edges of the padded image and of the tile, and random pixels of both."""
    side = tile_size + 2 * padding
    marks = np.array([0, padding / 2, padding, side / 2, tile_size + padding, side - padding / 2, side])
    px, py = (axis.ravel() for axis in np.meshgrid(marks, marks))
    scattered = np.random.default_rng(7).uniform(0, side, (2, 200))
    return np.concatenate([px, scattered[0]]), np.concatenate([py, scattered[1]])


def pixels_by_proj(tile, lng, lat, tile_size, padding):
    x, y = TO_METRES.transform(lng, lat)
    half = np.pi * 6378137.0
    per_pixel = 2 * half / 2**tile.z / tile_size
    return (x + half) / per_pixel - tile.x * tile_size + padding, (half - y) / per_pixel - tile.y * tile_size + padding


@pytest.mark.parametrize("zoom", ZOOMS)
@pytest.mark.parametrize(("tile_size", "padding"), [(256, 0), (256, 24), (512, 256)])
def test_pixels_project_as_proj_does(zoom, tile_size, padding):
    for tile in tiles_of(zoom):
        px, py = pixels(tile_size, padding)
        lng, lat = geo.lnglat_of_pixel(tile, px, py, tile_size, padding)
        again = pixels_by_proj(tile, lng, lat, tile_size, padding)
        # PROJ wraps longitudes beyond the antimeridian; ours stay continuous.
        around = tile_size * 2**zoom
        error_x = (again[0] - px + around / 2) % around - around / 2
        assert np.abs(error_x).max() < 0.01
        assert np.abs(again[1] - py).max() < 0.01


@pytest.mark.parametrize("zoom", ZOOMS)
def test_longitudes_stay_continuous_across_the_antimeridian(zoom):
    px = np.array([-24.0, 0.0, 24.0]) + 24
    west, _ = geo.lnglat_of_pixel(mercantile.Tile(0, 0, zoom), px, px, 256, 24)
    assert west[0] < west[1] == -180.0 < west[2]
    east, _ = geo.lnglat_of_pixel(mercantile.Tile(2**zoom - 1, 0, zoom), px + 256, px, 256, 24)
    assert east[0] < east[1] == 180.0 < east[2]


@pytest.mark.parametrize("zoom", range(23))
def test_rounding_moves_nothing_visibly(zoom):
    tile = tiles_of(zoom)[-1]
    px, py = pixels(256, 24)
    lng, lat = geo.lnglat_of_pixel(tile, px, py, 256, 24)
    decimals = geo.coordinate_decimals(zoom)
    back_x, back_y = geo.pixel_of_lnglat(tile, np.round(lng, decimals), np.round(lat, decimals), 256, 24)
    assert np.abs(back_x - px).max() < 0.04
    # At 85 degrees a degree of latitude spans 11.6 times the pixels.
    assert np.abs(back_y - py).max() < 0.04 * 11.7


def test_decimals_grow_with_the_zoom():
    assert [geo.coordinate_decimals(zoom) for zoom in (0, 20, 21, 22, 23, 24)] == [7, 7, 8, 8, 8, 9]


@pytest.mark.parametrize("zoom", ZOOMS)
def test_pixels_come_back(zoom):
    for tile in tiles_of(zoom):
        px, py = pixels(256, 24)
        lng, lat = geo.lnglat_of_pixel(tile, px, py, 256, 24)
        back_x, back_y = geo.pixel_of_lnglat(tile, lng, lat, 256, 24)
        np.testing.assert_allclose(back_x, px, atol=1e-4)
        np.testing.assert_allclose(back_y, py, atol=1e-4)


@pytest.mark.parametrize("zoom", ZOOMS)
def test_a_place_lies_in_the_tile_it_is_given(zoom):
    for tile in tiles_of(zoom):
        west, south, east, north = geo.bounds(tile)
        assert geo.tile_of_lnglat((west + east) / 2, (south + north) / 2, zoom) == tile


@pytest.mark.parametrize("zoom", ZOOMS)
@pytest.mark.parametrize("lng", [-180.0, 180.0])
@pytest.mark.parametrize("lat", [-geo.MAX_LATITUDE, geo.MAX_LATITUDE])
def test_the_corners_of_the_map_lie_in_its_corner_tiles(zoom, lng, lat):
    last = 2**zoom - 1
    expected = mercantile.Tile(last if lng > 0 else 0, last if lat < 0 else 0, zoom)
    assert geo.tile_of_lnglat(lng, lat, zoom) == expected


@pytest.mark.parametrize(("lng", "lat"), [(180.1, 0), (-181, 0), (0, 85.06), (0, -90), (float("nan"), 0)])
def test_places_off_the_map_are_refused(lng, lat):
    with pytest.raises(AddressError):
        geo.tile_of_lnglat(lng, lat, 5)


@pytest.mark.parametrize("address", [(-1, 0, 0), (31, 0, 0), (0, 1, 0), (5, 32, 0), (5, 0, -1)])
def test_addresses_outside_the_pyramid_are_refused(address):
    with pytest.raises(AddressError):
        geo.check_tile(*address)


def test_resolution_shrinks_towards_the_poles():
    equator = geo.resolution(mercantile.Tile(2**17, 2**17, 18), 256)
    assert equator == pytest.approx(0.5971642834, rel=1e-4)
    assert geo.resolution(mercantile.tile(0, 60, 18), 256) == pytest.approx(equator / 2, rel=1e-3)
