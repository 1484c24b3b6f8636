"""Memory of strips: used again when nobody looks at it, and not before."""

from __future__ import annotations

import random
from pathlib import Path

import mercantile
import numpy as np
import pytest
import simplejpeg
from pyramids import SIZE

from playground.imagery import Pixels
from playground.sources.mbtiles import MBTilesSource, write_mbtiles
from playground.tiles import TileEngine, TileImage
from playground.tiles.memory import Memory

COLUMNS = 32


@pytest.fixture
def source(tmp_path: Path) -> MBTilesSource:
    chance = np.random.default_rng(1)
    tiles = [mercantile.Tile(x, y, 5) for x in range(COLUMNS) for y in range(6)]
    pictures = {tile: simplejpeg.encode_jpeg(chance.integers(0, 256, (SIZE, SIZE, 3), np.uint8)) for tile in tiles}
    write_mbtiles(tmp_path / "world.mbtiles", {"name": "world"}, pictures.items())
    return MBTilesSource(str(tmp_path / "world.mbtiles"))


def arrays(tiles: TileEngine, column: int) -> list[Pixels]:
    images = tiles.get_all([mercantile.Tile(column, y, 5) for y in range(1, 5)])
    return [image.array() for image in images if isinstance(image, TileImage)]


def test_images_that_are_kept_stay_as_they_are(source: MBTilesSource) -> None:
    tiles = TileEngine(source, 3)
    chance = random.Random(1)
    kept: list[tuple[Pixels, Pixels]] = []
    for column in range(COLUMNS):
        some = chance.sample(arrays(tiles, column), 2)
        kept += [(array, array.copy()) for array in some]
        chance.shuffle(kept)
        del kept[chance.randrange(12) :]
        for array, before in kept:
            assert np.array_equal(array, before)


def test_what_nobody_looks_at_is_used_again(source: MBTilesSource) -> None:
    tiles = TileEngine(source, 3)
    places = set()
    for column in range(COLUMNS):
        found = arrays(tiles, column)
        assert len(found) == 4
        places.add(found[0].__array_interface__["data"][0])
        del found
    assert len(places) <= 4


def test_memory_that_is_looked_at_is_not_given_again() -> None:
    memory = Memory(2)
    first = memory.take((4, 3), np.dtype(np.uint8))
    part = first[1:2].T
    del first
    assert not np.shares_memory(memory.take((4, 3), np.dtype(np.uint8)), part)
    at, base = part.__array_interface__["data"][0], part.base
    assert base is not None
    del part, base
    assert memory.take((4, 3), np.dtype(np.uint8)).__array_interface__["data"][0] == at - 3


def test_no_more_is_kept_than_that() -> None:
    memory = Memory(2)
    held = [memory.take((size, 1), np.dtype(np.uint16)) for size in range(1, 6)]
    assert [array.shape for array in held] == [(size, 1) for size in range(1, 6)]
    del held
    assert memory.take((5, 1), np.dtype(np.uint8)).dtype == np.uint8
    assert len(memory._arrays) == 2
