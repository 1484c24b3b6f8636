"""Going over an area: each tile once, those to come are on their way, memory is bounded, and all are accounted for."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator

import mercantile
import numpy as np
import pytest
from pyramids import SIZE, engine, expected, pyramid
from tileserver import Answer, TileServer, paths

from playground.errors import AddressError, TileNotFoundError, TileSourceError
from playground.tiles import walking_order

AREA = [mercantile.Tile(x, y, 4) for x in range(3, 13) for y in range(2, 12)]
"""10 x 10 tiles; 12 x 12 with their rim."""


@pytest.mark.parametrize("width", [1, 3, 4, 100])
def test_the_order_goes_in_bands_from_the_north(width: int) -> None:
    shuffled = random.Random(1).sample(AREA, len(AREA))
    order = walking_order([*shuffled, *shuffled[:9]], width)
    assert sorted(order) == sorted(AREA)
    bands = [list(band) for _, band in itertools.groupby(order, lambda tile: tile.x // width)]
    assert len(bands) == len({tile.x // width for tile in AREA})
    for band in bands:
        assert band == sorted(band, key=lambda tile: (tile.y, tile.x))


def test_each_tile_is_fetched_once_and_decoded_once() -> None:
    level, pictures = pyramid(4)
    with TileServer(paths(pictures.items())) as server:
        tiles = engine(server, 3)
        order = walking_order(AREA, tiles.walking_width(SIZE))
        for tile, walked in zip(order, tiles.walk(order), strict=True):
            assert walked.tile == tile
            assert walked.image is not None
            assert np.array_equal(walked.image.array(), expected(level, tile, 3))
        assert len(server.requests) == 12 * 12
        assert set(server.requests.values()) == {1}
        assert tiles.stats().decodes == tiles.stats().fetches == 12 * 12


def test_the_tiles_to_come_are_on_their_way() -> None:
    # The first answers come when so many have asked: far more than the first tile's nine.
    together, first = threading.Barrier(30), iter(range(30))
    table = paths(pyramid(4)[1].items())

    def answer(path: str) -> object:
        data = bytes(table[path])  # type: ignore[call-overload]
        return Answer(data, wait_for=together) if next(first, None) is not None else data

    with TileServer(answer) as server:
        walked = list(engine(server, 1).walk(walking_order(AREA, 100), ahead=32))
        assert not together.broken
    assert all(one.image for one in walked)


def test_no_more_is_taken_from_the_list_than_is_needed() -> None:
    taken: list[mercantile.Tile] = []

    def lazily() -> Iterator[mercantile.Tile]:
        for tile in walking_order(AREA, 100):
            taken.append(tile)
            yield tile

    with TileServer(paths(pyramid(4)[1].items())) as server:
        walk = engine(server, 1).walk(lazily(), ahead=4)
        assert not taken
        for count in range(1, 10):
            next(walk)
            assert len(taken) <= count + 2 * 4
        walk.close()  # type: ignore[attr-defined]
        asked = {tile for one in taken for tile in one_and_around(one)}
        assert len(server.requests) <= len(asked)


def one_and_around(tile: mercantile.Tile) -> Iterator[mercantile.Tile]:
    for x, y in itertools.product((-1, 0, 1), repeat=2):
        yield mercantile.Tile(tile.x + x, tile.y + y, tile.z)


@pytest.mark.parametrize(("width", "decodes"), [(5, 12 * 7 * 2), (100, None)], ids=["in bands", "in whole rows"])
def test_bands_need_no_larger_caches(width: int, decodes: int | None) -> None:
    cache_pixels = 3 * (5 + 4) * SIZE * SIZE
    with TileServer(paths(pyramid(4)[1].items())) as server:
        tiles = engine(server, 1, cache_pixels=cache_pixels)
        assert tiles.walking_width(SIZE) == 5
        area = [mercantile.Tile(x, y, 4) for x in range(5, 15) for y in range(2, 12)]  # two bands, of 5
        for walked in tiles.walk(walking_order(area, width)):
            assert walked.image is not None
            walked.image.array()
        assert set(server.requests.values()) == {1}
        # Only the columns at the bands' border, twelve rows of two, are decoded for both.
        assert tiles.stats().decodes == decodes if decodes else tiles.stats().decodes > 2 * 12 * 12


@pytest.mark.filterwarnings("ignore:Mercantile 2.0")
def test_every_tile_is_accounted_for() -> None:
    table = paths(pyramid(4)[1].items())
    del table["/4/5/5"]
    table["/4/9/9"] = Answer(status=403)
    order = walking_order([*AREA, mercantile.Tile(3, 16, 4)], 100)
    with TileServer(table) as server:
        walked = {one.tile: one for one in engine(server, 1).walk(order)}
    assert list(walked) == order
    failed = {(x, y) for x in (8, 9, 10) for y in (8, 9, 10)}
    for tile, (_, image, error) in walked.items():
        assert (image is None) != (error is None)
        if (tile.x, tile.y) == (5, 5):
            assert isinstance(error, TileNotFoundError)
        elif tile.y == 16:
            assert isinstance(error, AddressError)
        elif (tile.x, tile.y) in failed:
            assert isinstance(error, TileSourceError)
        else:
            assert image is not None, error


def test_nothing_to_walk_over() -> None:
    with TileServer({}) as server:
        assert list(engine(server, 1).walk([])) == []
        assert not server.requests


def test_one_tile_can_be_fetched_ahead() -> None:
    tile = mercantile.Tile(0, 3, 4)  # its western neighbours are at the other end of the map
    with TileServer(paths(pyramid(4)[1].items())) as server:
        tiles = engine(server, 1)
        begun = tiles.prefetch(tile)
        assert len(begun) == 9
        for future in begun:
            future.result(10)
        assert tiles.prefetch(tile) == []
        assert np.array_equal(tiles.get(tile).array(), expected(pyramid(4)[0], tile, 1))
        assert set(server.requests.values()) == {1}
