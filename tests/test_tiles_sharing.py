"""Sharing tiles: whoever asks, and however many at once, each tile is fetched once and decoded once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import mercantile
import numpy as np
import pytest
from pyramids import SIZE, engine, expected, pyramid
from tileserver import Answer, TileServer, paths

from playground.errors import TileSourceError, TileTimeoutError


def test_without_padding_the_bytes_are_handed_over() -> None:
    data = pyramid(2)[1][mercantile.Tile(1, 1, 2)]
    with TileServer(paths(pyramid(2)[1].items())) as server:
        tiles = engine(server)
        image = tiles.get(mercantile.Tile(1, 1, 2))
        assert image.encoded() == data
        assert image.encoded() is tiles.get(mercantile.Tile(1, 1, 2)).encoded()
        assert image.url == f"{server.address}/2/1/1"
        assert (image.size, image.padding, image.missing, image.outside) == (SIZE, 0, (), ())
        assert image.valid().shape == (SIZE, SIZE)
        assert tiles.stats() == (1, 1, 0, 0)
        assert dict(server.requests) == {"/2/1/1": 1}


def test_many_at_once_are_one_fetch_and_one_decode() -> None:
    go, threads = threading.Event(), 12
    data = pyramid(2)[1][mercantile.Tile(1, 1, 2)]
    with TileServer({"/2/1/1": Answer(data, wait_for=go)}) as server:
        tiles = engine(server, connections=4)
        ready = threading.Barrier(threads + 1)

        def read() -> np.ndarray:
            ready.wait()
            return tiles.get(mercantile.Tile(1, 1, 2)).array()

        with ThreadPoolExecutor(threads) as pool:
            jobs = [pool.submit(read) for _ in range(threads)]
            ready.wait()
            go.set()
            arrays = [job.result(30) for job in jobs]
        assert dict(server.requests) == {"/2/1/1": 1}
        stats = tiles.stats()
    assert all(array is arrays[0] for array in arrays)
    assert not arrays[0].flags.writeable
    assert (stats.fetches, stats.cached + stats.shared, stats.decodes) == (1, threads - 1, 1)


def test_an_area_costs_its_tiles_and_their_rim_once() -> None:
    level, pictures = pyramid(4)
    area = [mercantile.Tile(x, y, 4) for x in range(3, 9) for y in range(5, 11)]
    with TileServer(paths(pictures.items())) as server:
        tiles = engine(server, 3)
        with ThreadPoolExecutor(6) as pool:
            for tile, array in zip(area, pool.map(lambda tile: tiles.get(tile).array(), area), strict=True):
                assert np.array_equal(array, expected(level, tile, 3))
        assert len(server.requests) == 8 * 8
        assert set(server.requests.values()) == {1}
        stats = tiles.stats()
    assert stats.fetches == stats.decodes == 8 * 8
    assert stats.fetches + stats.cached + stats.shared == 9 * len(area)


def test_neighbours_are_fetched_all_at_once() -> None:
    # Nobody is answered before all nine have asked.
    together = threading.Barrier(9)
    table = {path: Answer(bytes(data), wait_for=together) for path, data in paths(pyramid(2)[1].items()).items()}  # type: ignore[call-overload]
    with TileServer(table) as server:
        assert engine(server, 1).get(mercantile.Tile(1, 1, 2)).missing == ()
        assert not together.broken


def test_caches_are_bounded() -> None:
    data = list(pyramid(3)[1].items())
    with TileServer(paths(data)) as server:
        tiles = engine(server, cache_bytes=4 * len(data[0][1]) + 10, cache_pixels=4 * SIZE * SIZE)
        for _ in range(2):
            for tile, _ in data:
                tiles.get(tile).array()
        assert tiles.stats().decodes == tiles.stats().fetches == 2 * 64
        nothing = engine(server, 1, cache_bytes=1, cache_pixels=1)
        assert nothing.get(data[9][0]).array().shape == (SIZE + 2, SIZE + 2, 3)


def test_errors_are_not_remembered() -> None:
    data = pyramid(2)[1][mercantile.Tile(1, 1, 2)]
    with TileServer({"/2/1/1": [Answer(status=403), data]}) as server:
        tiles = engine(server)
        with pytest.raises(TileSourceError, match="tile 2/1/1"):
            tiles.get(mercantile.Tile(1, 1, 2))
        assert tiles.get(mercantile.Tile(1, 1, 2)).encoded() == data


def test_the_impatience_of_one_is_not_the_failure_of_another() -> None:
    data = pyramid(2)[1][mercantile.Tile(1, 1, 2)]
    never, asked = threading.Event(), threading.Event()

    def answer(path: str) -> object:
        first = not asked.is_set()
        asked.set()
        return Answer(data, wait_for=never) if first else data

    with TileServer(answer) as server:
        tiles = engine(server)
        with ThreadPoolExecutor(2) as pool:
            hasty = pool.submit(tiles.get, mercantile.Tile(1, 1, 2), time.monotonic() + 1.0)
            assert asked.wait(30)
            patient = pool.submit(tiles.get, mercantile.Tile(1, 1, 2), time.monotonic() + 60)
            with pytest.raises(TileTimeoutError):
                hasty.result(30)
            assert patient.result(30).encoded() == data
        never.set()
