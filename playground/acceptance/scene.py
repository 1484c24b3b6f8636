"""Pictures that samples are cut from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mercantile
import numpy as np
from PIL import Image

from playground import geo, imagery
from playground.acceptance.model import Sample
from playground.errors import ImageError, TileNotFoundError
from playground.imagery import Pixels
from playground.inspection import PLACES
from playground.sources import TileSource

TILE_SIZE = 256
SHIFT = (32, 64)
"""Rows and columns by which a shifted sample is moved: multiples of 32, the stride of many networks."""
SEED = 20
CELL = 36
"""Pixels along a side of the square that each thing of the synthetic scene has to itself."""
COLOURS = ((245, 245, 240), (8, 10, 12), (15, 40, 120), (235, 235, 250))


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture, and the tile that its first sample is.

    Attributes:
        name: for people.
        pixels: (H, W, bands), at least ``side_of(padding)`` each way.
        origin: the tile at the top left; None where the picture lies nowhere.
        is_real: whether it was photographed.
    """

    name: str
    pixels: Pixels
    origin: mercantile.Tile | None = None
    is_real: bool = False

    def sample(self, name: str, row: int, column: int, padding: int) -> Sample:
        """The padded tile whose core begins at a row and column, counted from the first tile's."""
        side = TILE_SIZE + 2 * padding
        pixels = np.ascontiguousarray(self.pixels[row : row + side, column : column + side])
        address = None
        if self.origin is not None:
            x, y = self.origin.x + column // TILE_SIZE, self.origin.y + row // TILE_SIZE
            last = 2**self.origin.z - 1
            address = (self.origin.z, x % (last + 1), min(y, last))
        return Sample(f"{self.name}, {name}", pixels, padding, address=address)


def side_of(padding: int) -> int:
    """Pixels along a side of a scene: two tiles, their padding, and room to shift."""
    return 2 * TILE_SIZE + 2 * padding


def synthetic_scene(padding: int, zoom: int) -> Scene:
    """Soft ground, darker in the west, with bright, dark and blue things of many sizes on it: the same each time."""
    rng = np.random.default_rng(SEED)
    side = side_of(padding)
    coarse = rng.integers(60, 110, (side // 32, side // 32, 3)) + np.linspace(-40, 50, side // 32)[:, np.newaxis]
    pixels = np.array(Image.fromarray(coarse.astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC))
    rows, columns = np.mgrid[:CELL, :CELL] - CELL // 2
    for top in range(0, side - CELL + 1, CELL):
        for left in range(0, side - CELL + 1, CELL):
            colour, round_, height, width, down, right = rng.integers((0, 0, 3, 3, -2, -2), (4, 2, 14, 14, 3, 3))
            inside = (abs(rows - down) <= height) & (abs(columns - right) <= width)
            if round_:
                inside = (rows - down) ** 2 + (columns - right) ** 2 <= height**2
            pixels[top : top + CELL, left : left + CELL][inside] = COLOURS[colour]
    middle = 2**zoom // 2
    origin = mercantile.Tile(min(middle, 2**zoom - 1), min(middle, 2**zoom - 1), zoom)
    return Scene("synthetic scene", pixels, origin)


def scene_of_image(name: str, data: bytes, padding: int) -> Scene:
    """A scene from an image of the caller's.

    Raises:
        ImageError: not an image, or one too small.
    """
    pixels = imagery.decode(data)
    side = side_of(padding)
    if min(pixels.shape[:2]) < side:
        words = f"{name} has {pixels.shape[1]} x {pixels.shape[0]} pixels"
        raise ImageError(words, f"a scene has at least {side} x {side}: two tiles and their padding each way")
    return Scene(name, pixels[:side, :side], None, is_real=True)


def scene_of_source(source: TileSource, zoom: int, padding: int, at: tuple[float, float] | None = None) -> Scene | None:
    """A scene joined from tiles; None where no place that was tried has them all.

    Args:
        source: of tiles.
        zoom: of the tiles.
        padding: of the samples.
        at: (lon, lat) of the scene; the middle of what the source covers, else some cities.

    Raises:
        TileSourceError: the source fails.
    """
    bounds = source.info().bounds
    places = list(PLACES)
    if at is not None:
        places = [at]
    elif bounds is not None:
        west, south, east, north = bounds
        limit = geo.MAX_LATITUDE
        places = [((west + east) / 2, (max(south, -limit) + min(north, limit)) / 2)]
    for place in places:
        if (found := _joined(source, geo.tile_of_lnglat(*place, zoom), padding)) is not None:
            return found
    return None


def _joined(source: TileSource, middle: mercantile.Tile, padding: int) -> Scene | None:
    around = math.ceil(padding / TILE_SIZE)
    count, edge = 2 + 2 * around, 2**middle.z
    rows = []
    for row in range(middle.y - around, middle.y - around + count):
        tiles = []
        for column in range(middle.x - around, middle.x - around + count):
            if not 0 <= row < edge:
                return None
            try:
                data = source.fetch(mercantile.Tile(column % edge, row, middle.z))
            except TileNotFoundError:
                return None
            tiles.append(imagery.convert(imagery.decode(data), TILE_SIZE, 3))
        rows.append(np.concatenate(tiles, axis=1))
    skipped = around * TILE_SIZE - padding
    side = side_of(padding)
    pixels = np.concatenate(rows)[skipped : skipped + side, skipped : skipped + side]
    return Scene(source.info().name, pixels, middle, is_real=True)
