"""All map maths: pixels of a padded tile, web mercator metres (EPSG:3857), degrees.

Source of the formulas: EPSG Guidance Note 7-2, "Popular Visualisation Pseudo Mercator" (method 1024).
"""

from __future__ import annotations

import functools
import math

import mercantile
import numpy as np
import numpy.typing as npt

from playground.errors import AddressError

EARTH_RADIUS = 6378137.0
"""Metres: the sphere of EPSG:3857."""
HALF_WORLD = math.pi * EARTH_RADIUS
"""Metres from the middle of the mercator square to its edge."""
MAX_LATITUDE = math.degrees(math.atan(math.sinh(math.pi)))
"""Degrees: the upper edge of the mercator square, 85.0511…"""
MAX_ZOOM = 30

FloatArray = npt.NDArray[np.float64]
Tile = mercantile.Tile


def check_tile(z: int, x: int, y: int) -> mercantile.Tile:
    """The tile (x, y, z) of an address.

    Raises:
        AddressError: outside the pyramid.
    """
    if not 0 <= z <= MAX_ZOOM:
        raise AddressError(f"zoom {z} does not exist", f"zooms go from 0 to {MAX_ZOOM}")
    last = 2**z - 1
    if not (0 <= x <= last and 0 <= y <= last):
        raise AddressError(f"tile {z}/{x}/{y} does not exist", f"at zoom {z}, x and y go from 0 to {last}")
    return mercantile.Tile(x, y, z)


def tile_of_lnglat(lng: float, lat: float, zoom: int) -> mercantile.Tile:
    """The tile that holds a place, the last column and row holding the map's own edge.

    Args:
        lng, lat: degrees, -180 to 180 and -85.0511 to 85.0511.
        zoom: 0 to MAX_ZOOM.

    Raises:
        AddressError: outside the map.
    """
    if not -180.0 <= lng <= 180.0:
        raise AddressError(f"longitude {lng:g} is outside -180 to 180", "give lon and lat in degrees, in that order")
    if not -MAX_LATITUDE <= lat <= MAX_LATITUDE:
        raise AddressError(
            f"latitude {lat:g} is outside -{MAX_LATITUDE:.4f} to {MAX_LATITUDE:.4f}",
            "web mercator maps end there; give lon and lat in degrees, in that order",
        )
    x, y = xy_of_lnglat(np.array([lng]), np.array([lat]))
    count = 2**zoom
    column = math.floor((x[0] + HALF_WORLD) / (2 * HALF_WORLD) * count)
    row = math.floor((HALF_WORLD - y[0]) / (2 * HALF_WORLD) * count)
    return mercantile.Tile(min(max(column, 0), count - 1), min(max(row, 0), count - 1), zoom)


def xy_of_lnglat(lng: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Metres east and north of degrees."""
    return EARTH_RADIUS * np.radians(lng), EARTH_RADIUS * np.arctanh(np.sin(np.radians(lat)))


def lnglat_of_xy(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Degrees of metres east and north."""
    return np.degrees(x / EARTH_RADIUS), np.degrees(np.arctan(np.sinh(y / EARTH_RADIUS)))


def lnglat_of_pixel(
    tile: mercantile.Tile, px: FloatArray, py: FloatArray, tile_size: int, padding: int
) -> tuple[FloatArray, FloatArray]:
    """Degrees of pixels of a padded tile, exact at every vertex.

    Args:
        tile: x, y, z.
        px, py: pixels from the top-left corner of the padded image, x to the right, y down, on pixel edges.
        tile_size: pixels along one side of the tile without its padding.
        padding: pixels added on each side.

    Returns:
        Longitudes, continuous, so beyond +-180 where the padding crosses the antimeridian; latitudes.
    """
    # Parts of the whole map, not metres: whole and half tiles stay exact, so its edge is -180 and 180 to the last bit.
    u = (tile.x + (px - padding) / tile_size) / 2**tile.z
    v = (tile.y + (py - padding) / tile_size) / 2**tile.z
    return u * 360.0 - 180.0, np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * v))))


def pixel_of_lnglat(
    tile: mercantile.Tile, lng: FloatArray, lat: FloatArray, tile_size: int, padding: int
) -> tuple[FloatArray, FloatArray]:
    """Pixels of the padded tile, of degrees: the inverse of ``lnglat_of_pixel``."""
    x, y = xy_of_lnglat(lng, lat)
    metres = 2 * HALF_WORLD / 2**tile.z
    px = ((x + HALF_WORLD) / metres - tile.x) * tile_size + padding
    py = ((HALF_WORLD - y) / metres - tile.y) * tile_size + padding
    return px, py


def bounds(tile: mercantile.Tile) -> tuple[float, float, float, float]:
    """(west, south, east, north) of a tile, degrees."""
    (west, east), (south, north) = _longitudes(tile.z, tile.x), _latitudes(tile.z, tile.y)
    return (west, south, east, north)


@functools.lru_cache(1024)
def _longitudes(z: int, x: int) -> tuple[float, float]:
    """(west, east) of a column of tiles."""
    box = mercantile.bounds(mercantile.Tile(x, 0, z))
    return box.west, box.east


@functools.lru_cache(1024)
def _latitudes(z: int, y: int) -> tuple[float, float]:
    """(south, north) of a row of tiles."""
    box = mercantile.bounds(mercantile.Tile(0, y, z))
    return box.south, box.north


def resolution(tile: mercantile.Tile, tile_size: int) -> float:
    """Metres on the ground per pixel at the tile's centre."""
    return _resolution_of_row(tile.z, tile.y, tile_size)


@functools.lru_cache(1024)
def _resolution_of_row(z: int, y: int, tile_size: int) -> float:
    middle = np.array([tile_size / 2])
    _, lat = lnglat_of_pixel(mercantile.Tile(0, y, z), middle, middle, tile_size, 0)
    return float(2 * HALF_WORLD / 2**z / tile_size * np.cos(np.radians(lat[0])))


def coordinate_decimals(zoom: int) -> int:
    """Decimals of degrees that keep rounding under 0.04 pixels at the equator: 7 to zoom 20, 8 to 23, 9 to 26, …"""
    return 7 + max(0, math.ceil((zoom - 20) / 3))
