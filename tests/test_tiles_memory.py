"""Pixels in memory: of an area no more strips than are at work."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import mercantile
import numpy as np
import simplejpeg

from playground.sources.mbtiles import MBTilesSource, write_mbtiles
from playground.tiles import TileEngine, TileImage
from playground.tiles.strip import ROWS

SIZE = 128
PADDING = 3


def test_four_strips_are_in_memory(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    tiles = [mercantile.Tile(x, y, 5) for x in range(32) for y in range(17)]
    colours = chance.integers(0, 256, (len(tiles), 3), np.uint8)
    plain = [simplejpeg.encode_jpeg(np.full((SIZE, SIZE, 3), colour, np.uint8)) for colour in colours]
    write_mbtiles(tmp_path / "world.mbtiles", {"name": "world"}, zip(tiles, plain, strict=True))
    engine = TileEngine(MBTilesSource(str(tmp_path / "world.mbtiles")), PADDING)
    strip = 3 * (ROWS * SIZE + 2 * PADDING) * (SIZE + 3 * PADDING)
    tracemalloc.start()
    try:
        for column in range(2, 30):
            images = engine.get_all([mercantile.Tile(column, y, 5) for y in range(ROWS)])
            assert all(isinstance(image, TileImage) for image in images)
            del images
        assert 3 * strip < tracemalloc.get_traced_memory()[1] < 4.6 * strip
    finally:
        tracemalloc.stop()
        engine.close()
