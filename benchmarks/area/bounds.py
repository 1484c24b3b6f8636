"""What ours is held against: the least that must be done, and what everybody writes first. Two processes each."""

from __future__ import annotations

import io
import multiprocessing
import sqlite3
import time
from collections.abc import Callable, Iterator

import contours
import mercantile
import numpy as np
import simplejpeg
import world
from PIL import Image

PADDING = 24
SIZE = world.SIZE
Band = tuple[str, int, int]
"""The MBTiles file, the first row of the area, and the one after the last."""


def rate(work: Callable[[Band], tuple[int, float]], path: str) -> tuple[float, int]:
    """(tiles a second, objects) of two processes that have half the area each, without their start."""
    half = world.SIDE // 2
    with multiprocessing.get_context("fork").Pool(2) as pool:
        done = pool.map(work, [(path, 1, 1 + half), (path, 1 + half, 1 + world.SIDE)])
    return world.SIDE**2 / max(seconds for _, seconds in done), sum(objects for objects, _ in done)


def bound(band: Band) -> tuple[int, float]:
    """Decode each distinct tile once and predict, nothing else: three rows of tiles are kept decoded."""
    path, first, last = band
    began = time.perf_counter()
    strip = np.empty((3, SIZE, world.COUNT * SIZE, 3), np.uint8)
    padded = np.empty((SIZE + 2 * PADDING, SIZE + 2 * PADDING, 3), np.uint8)
    database = sqlite3.connect(path)

    def decode(row: int) -> None:
        for column, data in tiles_of_row(database, row):
            strip[row % 3, :, column * SIZE : (column + 1) * SIZE] = simplejpeg.decode_jpeg(data)

    objects = 0
    decode(first - 1)
    decode(first)
    for row in range(first, last):
        decode(row + 1)
        for column in range(1, 1 + world.SIDE):
            across = slice(column * SIZE - PADDING, (column + 1) * SIZE + PADDING)
            padded[:PADDING] = strip[(row - 1) % 3, SIZE - PADDING :, across]
            padded[PADDING:-PADDING] = strip[row % 3, :, across]
            padded[-PADDING:] = strip[(row + 1) % 3, :PADDING, across]
            objects += len(contours.outlines(padded))
    return objects, time.perf_counter() - began


def naive(band: Band) -> tuple[int, float]:
    """Nine tiles read, decoded and pasted for each tile, by Pillow, then cropped."""
    path, first, last = band
    began = time.perf_counter()
    database = sqlite3.connect(path)
    objects = 0
    for row in range(first, last):
        for column in range(1, 1 + world.SIDE):
            mosaic = Image.new("RGB", (3 * SIZE, 3 * SIZE))
            for down in range(3):
                for across in range(3):
                    tile = mercantile.Tile(column + across - 1, row + down - 1, world.ZOOM)
                    picture = Image.open(io.BytesIO(one_tile(database, tile)))
                    mosaic.paste(picture.convert("RGB"), (across * SIZE, down * SIZE))
            edge = (SIZE - PADDING, 2 * SIZE + PADDING)
            objects += len(contours.outlines(np.asarray(mosaic.crop((edge[0], edge[0], edge[1], edge[1])))))
    return objects, time.perf_counter() - began


def tiles_of_row(database: sqlite3.Connection, row: int) -> Iterator[tuple[int, bytes]]:
    found = database.execute(
        "SELECT tile_column, tile_data FROM tiles WHERE zoom_level = ? AND tile_row = ?", (world.ZOOM, stored(row))
    )
    for column, data in found:
        yield column - world.FIRST.x, data


def one_tile(database: sqlite3.Connection, tile: mercantile.Tile) -> bytes:
    where = (world.ZOOM, world.FIRST.x + tile.x, stored(tile.y))
    query = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
    data: bytes = database.execute(query, where).fetchone()[0]
    return data


def stored(row: int) -> int:
    """MBTiles counts rows from the south."""
    return 2**world.ZOOM - 1 - (world.FIRST.y + row)
