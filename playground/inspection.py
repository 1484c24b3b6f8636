"""What a tile source holds, found out by asking it: for the person who is about to point a predictor at it."""

from __future__ import annotations

import dataclasses
import itertools

import mercantile
import numpy as np
from PIL import Image

from playground import geo, imagery
from playground.errors import ImageError, TileNotFoundError
from playground.sources import TileSource
from playground.sources.base import SourceInfo, name_of

PLACES = ((2.35, 48.85), (-73.98, 40.75), (139.77, 35.68), (-46.63, -23.55), (36.82, -1.29), (151.21, -33.87))
"""(lon, lat) of cities on six continents: asked where a source does not say what it covers."""
SPREAD = 3
"""Tiles each way around the place: what the row order is judged by."""
SHOWN = 256
"""Pixels along a side of one tile in the picture."""


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        info: what the source says about itself.
        sample: the tile that was looked at, as z/x/y; None if none was found.
        size, bands, type, format: of its picture.
        warnings: what may be wrong, in words.
    """

    info: SourceInfo
    sample: str | None
    size: tuple[int, int] | None
    bands: int | None
    type: str | None
    format: str | None
    warnings: tuple[str, ...]


def inspect(source: TileSource, zoom: int | None = None, at: tuple[float, float] | None = None) -> Inspection:
    """Look at a source.

    Args:
        source: of tiles.
        zoom: at which it will be used; its largest if not given.
        at: (lon, lat) to look at; the middle of its bounds, else some cities, if not given.

    Raises:
        TileSourceError: the source fails.
    """
    info = source.info()
    warnings = []
    lowest, highest = info.minzoom or 0, info.maxzoom if info.maxzoom is not None else geo.MAX_ZOOM
    if zoom is not None and not lowest <= zoom <= highest:
        warnings.append(f"no tiles at zoom {zoom}: the source says {lowest} to {highest}")
    level = zoom if zoom is not None else info.maxzoom if info.maxzoom is not None else 10
    tiles = [geo.tile_of_lnglat(*place, level) for place in _places(info, at)]
    found = next(((tile, data) for tile in tiles if (data := _fetch(source, tile)) is not None), None)
    if found is None:
        warnings.append(f"none of {len(tiles)} tiles at zoom {level} is there: is this the right address and zoom?")
        return Inspection(info, None, None, None, None, None, tuple(warnings))
    tile, data = found
    pixels = imagery.decode(data)
    height, width, bands = pixels.shape
    if (width, height) != (256, 256):
        warnings.append(f"tiles are {width} x {height} pixels, not 256 x 256: so is what the predictor gets")
    if pixels.min() == pixels.max():
        warnings.append(f"tile {name_of(tile)} is of one colour: is there imagery?")
    if _rows_are_upside_down(source, tile):
        warnings.append("rows seem to count from the south (TMS): write {-y} in place of {y}")
    described = (name_of(tile), (width, height), bands, str(pixels.dtype), imagery.image_format(data))
    return Inspection(info, *described, tuple(warnings))


def picture(source: TileSource, middle: str) -> Image.Image:
    """A tile and the eight around it as the source gives them, 768 x 768; grey where there is no imagery.

    Args:
        source: of tiles.
        middle: z/x/y; its darkest and brightest 2 % set the contrast where pixels have 16 bits.

    Raises:
        TileSourceError: the source fails.
    """
    zoom, *place = map(int, middle.split("/"))
    page = Image.new("RGB", (3 * SHOWN, 3 * SHOWN), (128, 128, 128))
    darkest, brightest = 0.0, 255.0
    for step_x, step_y in sorted(itertools.product((-1, 0, 1), repeat=2), key=lambda step: step != (0, 0)):
        row = place[1] + step_y
        if not 0 <= row < 2**zoom:
            continue
        data = _fetch(source, mercantile.Tile((place[0] + step_x) % 2**zoom, row, zoom))
        if data is None:
            continue
        pixels = imagery.decode(data)
        if (step_x, step_y) == (0, 0) and pixels.dtype != np.uint8:
            darkest, brightest = map(float, np.percentile(pixels, (2, 98)))
        shown = imagery.convert(pixels, SHOWN, 3).astype(np.float32)
        shown = np.clip((shown - darkest) / max(brightest - darkest, 1) * 255, 0, 255)
        page.paste(Image.fromarray(shown.astype(np.uint8)), ((step_x + 1) * SHOWN, (step_y + 1) * SHOWN))
    return page


def _places(info: SourceInfo, at: tuple[float, float] | None) -> list[tuple[float, float]]:
    if at is not None:
        return [at]
    if info.bounds is None:
        return list(PLACES)
    west, south, east, north = info.bounds
    limit = geo.MAX_LATITUDE
    south, north = max(south, -limit), min(north, limit)
    shares = (0.5, 0.25, 0.75)
    return [(west + i * (east - west), south + j * (north - south)) for i, j in itertools.product(shares, repeat=2)]


def _fetch(source: TileSource, tile: mercantile.Tile) -> bytes | None:
    try:
        return source.fetch(tile)
    except TileNotFoundError:
        return None


def _rows_are_upside_down(source: TileSource, tile: mercantile.Tile) -> bool:
    """Whether the edges of tiles one above the other fit better the other way round.

    Of each pair the last row of the upper tile is held against the first row of the lower one, and the first against
    the last: the mean difference over all pairs tells which of them are neighbours.
    """
    last = 2**tile.z - 1
    straight, flipped = [], []
    for column, row in itertools.product(range(SPREAD), repeat=2):
        if tile.y + row + 1 > last:
            continue
        pair = [mercantile.Tile((tile.x + column) % (last + 1), tile.y + row + step, tile.z) for step in (0, 1)]
        data = [_fetch(source, each) for each in pair]
        if data[0] is None or data[1] is None:
            continue
        try:
            upper, lower = (imagery.decode(each).astype(float) for each in (data[0], data[1]))
        except ImageError:
            continue
        if upper.shape != lower.shape or upper.min() == upper.max() or lower.min() == lower.max():
            continue
        straight.append(np.abs(upper[-1] - lower[0]).mean())
        flipped.append(np.abs(upper[0] - lower[-1]).mean())
    return len(straight) >= 2 and float(np.mean(flipped)) < 0.5 * float(np.mean(straight))
