"""The imagery of the area benchmark: JPEG tiles of a photo-like ground with bright things on it."""

from __future__ import annotations

from pathlib import Path

import cv2
import mercantile
import numpy as np
import simplejpeg

from playground.sources.mbtiles import write_mbtiles

ZOOM = 14
SIDE = 32
"""Tiles along a side of the area; the imagery goes on for one more all around, which the padding shows."""
COUNT = SIDE + 2
FIRST = mercantile.Tile(8512, 5728, ZOOM)
SIZE = 256
PER_TILE = 8
QUALITY = 92


def picture() -> np.ndarray:
    """(H, W, 3): noise of several sizes, so that a tile has the bytes of a photo, about 24 KB, and eight bright
    ellipses a tile, from 5 to 50 pixels long."""
    side = COUNT * SIZE
    chance = np.random.default_rng(1)
    ground = np.full((side, side, 3), 90.0, np.float32)
    for cells, weight in ((side // 256, 20.0), (side // 32, 12.0), (side // 4, 8.0), (side // 2, 12.0)):
        noise = chance.standard_normal((cells, cells, 3)).astype(np.float32)
        ground += weight * cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    pixels = np.clip(ground, 0, 150).astype(np.uint8)
    many = PER_TILE * COUNT * COUNT
    middles = chance.integers(0, side, (many, 2)).tolist()
    axes = np.column_stack((chance.integers(4, 25, many), chance.integers(3, 10, many))).tolist()
    for middle, radii, turn in zip(middles, axes, chance.integers(0, 180, many).tolist(), strict=True):
        cv2.ellipse(pixels, middle, radii, turn, 0, 360, (235, 232, 228), -1)
    return pixels


def inside() -> list[mercantile.Tile]:
    """The tiles of the area, row by row."""
    return [mercantile.Tile(FIRST.x + x, FIRST.y + y, ZOOM) for y in range(1, SIDE + 1) for x in range(1, SIDE + 1)]


def bbox() -> tuple[float, float, float, float]:
    """west, south, east, north of the area, degrees."""
    first, last = mercantile.bounds(inside()[0]), mercantile.bounds(inside()[-1])
    return first.west, last.south, last.east, first.north


def make(path: Path) -> None:
    """The imagery as an MBTiles file."""
    pixels = picture()

    def tiles():
        for x in range(COUNT):
            for y in range(COUNT):
                part = np.ascontiguousarray(pixels[y * SIZE : (y + 1) * SIZE, x * SIZE : (x + 1) * SIZE])
                data = simplejpeg.encode_jpeg(part, QUALITY, colorsubsampling="420")
                yield mercantile.Tile(FIRST.x + x, FIRST.y + y, ZOOM), data

    west, _, _, north = mercantile.bounds(FIRST)
    _, south, east, _ = mercantile.bounds(FIRST.x + COUNT - 1, FIRST.y + COUNT - 1, ZOOM)
    about = {"name": "area", "format": "jpg", "minzoom": ZOOM, "maxzoom": ZOOM, "bounds": (west, south, east, north)}
    write_mbtiles(path, about, tiles())
