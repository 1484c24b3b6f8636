"""Blocks of a GeoTIFF that are tiles already: JPEG, 256 pixels, in web mercator, on the tile grid.

Those are read as they are, so they are decoded once for all who need them, and by the decoder of all other tiles. Where
GDAL is built with libjpeg-turbo, it gives the same pixels; some builds have another library, which draws the colours
between the pixels of subsampled chroma its own way. GDAL says where blocks lie; what is not such a block is left to it.
"""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import mercantile
import rasterio
from rasterio.enums import Compression, Interleaving, MaskFlags, PhotometricInterp

from playground import geo
from playground.errors import TileSourceError
from playground.sources.base import name_of
from playground.sources.parts import LocalFile

SIZE = 256
TOLERANCE = 0.01
"""Pixels of full resolution by which the raster may miss the grid, over its whole width."""
MAX_BLOCK_BYTES = 16 * 2**20


class _Level(NamedTuple):
    """One resolution: all blocks are whole."""

    overview: int | None
    """GDAL's number; None for full resolution."""
    x: int
    y: int
    """The tile of the first block."""
    columns: int
    rows: int
    tables: bytes
    """The JPEG tables that all blocks share, without their end mark; empty where each has its own."""


class Blocks:
    """Encoded tiles of such a file; made by ``open_blocks``; used by many threads."""

    def __init__(self, path: str, dataset: rasterio.DatasetReader, levels: dict[int, _Level]) -> None:
        self._file = LocalFile(path)
        self._dataset = dataset
        self._levels = levels
        self._lock = threading.Lock()  # GDAL's datasets are for one thread at a time

    def holds(self, tile: mercantile.Tile) -> bool:
        """Whether ``read`` gives this tile."""
        return self._place(tile) is not None

    def is_outside(self, tile: mercantile.Tile) -> bool:
        """Whether the raster does not touch this tile; False where that is not known at its zoom."""
        level = self._levels.get(tile.z)
        return level is not None and not _inside(level, tile)

    def read(self, tile: mercantile.Tile) -> bytes:
        """A tile as a JPEG file.

        Raises:
            TileSourceError: not readable, or not what the file's directory promised.
        """
        place = self._place(tile)
        data = self._file.read(*place) if place and place[1] <= MAX_BLOCK_BYTES else b""
        if place is None or len(data) < place[1] or not data.startswith(b"\xff\xd8"):
            raise TileSourceError(f"tile {name_of(tile)}: its block in the file is broken", "is the file whole?")
        tables = self._levels[tile.z].tables
        return tables + data[2:] if tables else data

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._dataset.close()
        self._file.close()

    def _place(self, tile: mercantile.Tile) -> tuple[int, int] | None:
        """(offset, length) in the file; None where there is no such block, or an empty one."""
        level = self._levels.get(tile.z)
        if level is None or not _inside(level, tile):
            return None
        block = f"{tile.x - level.x}_{tile.y - level.y}"
        with self._lock:
            if self._dataset.closed:
                raise TileSourceError("the source was closed")
            offset = self._dataset.get_tag_item(f"BLOCK_OFFSET_{block}", "TIFF", 1, level.overview)
            length = self._dataset.get_tag_item(f"BLOCK_SIZE_{block}", "TIFF", 1, level.overview)
        return (int(offset), int(length)) if offset and length and int(length) else None


def open_blocks(path: str) -> Blocks | None:
    """The blocks of a local GeoTIFF that are tiles; None if it has none."""
    dataset = rasterio.open(path)
    levels = _levels(path, dataset)
    if not levels:
        dataset.close()
        return None
    return Blocks(path, dataset, levels)


def _inside(level: _Level, tile: mercantile.Tile) -> bool:
    return bool(0 <= tile.x - level.x < level.columns and 0 <= tile.y - level.y < level.rows)


def _levels(path: str, dataset: rasterio.DatasetReader) -> dict[int, _Level]:
    """The levels of such blocks, by zoom."""
    step = dataset.transform
    plain = dataset.driver == "GTiff" and dataset.crs == "EPSG:3857" and step.b == step.d == 0 and step.a == -step.e > 0
    if not plain or dataset.gcps[0] or not _is_opaque(dataset) or not _is_jpeg(dataset):
        return {}
    zoom = round(math.log2(2 * geo.HALF_WORLD / SIZE / step.a))
    if not 0 <= zoom <= geo.MAX_ZOOM:
        return {}
    pixel = 2 * geo.HALF_WORLD / SIZE / 2**zoom
    left, top = (step.c + geo.HALF_WORLD) / pixel, (geo.HALF_WORLD - step.f) / pixel
    drift = abs(step.a / pixel - 1) * max(dataset.width, dataset.height)
    if max(drift, abs(left - round(left)), abs(top - round(top))) > TOLERANCE:
        return {}
    levels = {}
    for overview, factor in ((None, 1), *enumerate(dataset.overviews(1))):
        side = SIZE * factor
        parts = (round(left), round(top), dataset.width, dataset.height)
        if factor & (factor - 1) or any(part % side for part in parts):
            continue
        x, y, columns, rows = (part // side for part in parts)
        if overview is not None and not _is_such_overview(path, overview, columns, rows):
            continue
        tables = dataset.get_tag_item("JPEGTABLES", "TIFF", 1, overview)
        shared = bytes.fromhex(tables).removesuffix(b"\xff\xd9") if tables else b""
        levels[zoom - factor.bit_length() + 1] = _Level(overview, x, y, columns, rows, shared)
    return levels


def _is_such_overview(path: str, overview: int, columns: int, rows: int) -> bool:
    with rasterio.open(path, OVERVIEW_LEVEL=overview) as level:
        return _is_jpeg(level) and (level.width, level.height) == (columns * SIZE, rows * SIZE)


def _is_opaque(dataset: rasterio.DatasetReader) -> bool:
    return dataset.nodata is None and all(flags == [MaskFlags.all_valid] for flags in dataset.mask_flag_enums)


def _is_jpeg(dataset: rasterio.DatasetReader) -> bool:
    grey = dataset.count == 1 and dataset.photometric in (PhotometricInterp.black, None)
    colour = (
        dataset.count == 3
        and dataset.photometric == PhotometricInterp.ycbcr
        and dataset.interleaving == Interleaving.pixel
    )
    return bool(
        (grey or colour)
        and dataset.compression == Compression.jpeg
        and set(dataset.dtypes) == {"uint8"}
        and set(dataset.block_shapes) == {(SIZE, SIZE)}
    )
