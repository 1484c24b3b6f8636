"""Many tiles at once: each image, or error, is the one that is got alone, and each tile is decoded once."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mercantile
import numpy as np
import pytest
import simplejpeg
from pyramids import SIZE, engine, expected, pyramid
from tileserver import Answer, TileServer, paths

from playground import imagery, mosaic
from playground.errors import PlaygroundError, TileNotFoundError, TileSourceError, TileTimeoutError
from playground.sources.mbtiles import MBTilesSource, write_mbtiles
from playground.tiles import TileEngine, TileImage


def in_cover_order(tiles: Iterable[mercantile.Tile]) -> list[mercantile.Tile]:
    """Bands of 16 rows, in a band column by column."""
    return sorted(tiles, key=lambda tile: (tile.y // 16, tile.x, tile.y))


def block(x: int, y: int, columns: int, rows: int, zoom: int) -> list[mercantile.Tile]:
    return in_cover_order(mercantile.Tile(x + i, y + j, zoom) for i in range(columns) for j in range(rows))


def jpeg(chance: np.random.Generator, size: int = SIZE, bands: int = 3) -> bytes:
    pixels = chance.integers(0, 256, (size, size, bands), np.uint8)
    return simplejpeg.encode_jpeg(pixels, 90, "GRAY" if bands == 1 else "RGB")


def png(chance: np.random.Generator, size: int = SIZE, bands: int = 3) -> bytes:
    return imagery.encode_png(chance.integers(0, 256, (size, size, bands), np.uint8))


def odd_one(chance: np.random.Generator) -> bytes:
    """A tile that is not as the others, in one of many ways."""
    kinds = (
        lambda: jpeg(chance, 2 * SIZE),
        lambda: jpeg(chance, SIZE // 2),
        lambda: jpeg(chance, SIZE, 1),
        lambda: png(chance, SIZE, 4),
        lambda: png(chance),
        lambda: imagery.encode_png(chance.integers(0, 2**16, (SIZE, SIZE, 1), np.uint16)),
        lambda: jpeg(chance)[:-40],
        lambda: b"<html>",
        lambda: imagery.encode_png(np.zeros((SIZE, 2 * SIZE, 3), np.uint8)),
    )
    return kinds[chance.integers(len(kinds))]()


def world(folder: Path, zoom: int, seed: int, *, holes: float = 0, odd: float = 0, make=jpeg) -> Path:  # type: ignore[no-untyped-def]
    """A whole zoom, or the middle of it, with holes."""
    chance = np.random.default_rng(seed)
    span = range(2**zoom) if zoom < 5 else range(8, 24)
    tiles = {}
    for x in span if zoom < 5 else (*range(6), *range(2**zoom - 6, 2**zoom)):
        for y in span:
            if chance.random() >= holes:
                tiles[mercantile.Tile(x, y, zoom)] = odd_one(chance) if chance.random() < odd else make(chance)
    path = folder / f"{zoom}-{seed}.mbtiles"
    write_mbtiles(path, {"name": "a", "format": "jpg"}, {mercantile.Tile(0, 0, 9): jpeg(chance), **tiles}.items())
    return path


def told(get: object) -> object:
    """What a call gives, or the error that it raises, so that both can be compared."""
    try:
        found = get()  # type: ignore[operator]
    except PlaygroundError as error:
        found = error
    if isinstance(found, PlaygroundError):
        return type(found), found.message, found.hint
    return found


def same(made: TileImage | PlaygroundError, alone: object) -> None:
    """Whether an image is to its last pixel the one that is got alone."""
    if isinstance(made, PlaygroundError):
        assert told(lambda: made) == alone
        return
    assert isinstance(alone, TileImage), (made.tile, alone)
    for name in ("tile", "url", "padding", "size", "missing", "outside"):
        assert getattr(made, name) == getattr(alone, name), (made.tile, name)
    mine, other = told(made.array), told(alone.array)
    if not isinstance(other, np.ndarray):
        assert isinstance(mine, tuple)
        assert (mine[0], mine[2]) == (other[0], other[2])  # which of several broken ones is found first is chance
        return
    assert isinstance(mine, np.ndarray), (made.tile, mine)
    assert mine.dtype == other.dtype
    assert np.array_equal(mine, other), made.tile
    assert not mine.flags.writeable
    assert np.array_equal(made.valid(), alone.valid())
    assert not made.valid().flags.writeable
    assert made.encoded() == alone.encoded()


@pytest.mark.filterwarnings("ignore:Mercantile 2.0")
@pytest.mark.parametrize("seed", range(24))
def test_all_at_once_are_as_each_alone(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    zoom = chance.choice([0, 1, 2, 3, 4, 4, 5, 5])
    padding = chance.choice([0, 1, 3, SIZE // 2, SIZE // 2 + 1, SIZE - 1, SIZE])
    fill = chance.choice(mosaic.FILLS)
    source = world(tmp_path, zoom, seed, holes=chance.choice([0, 0, 0.1, 0.5]), odd=chance.choice([0, 0, 0.02, 0.2]))
    alone = TileEngine(MBTilesSource(str(source)), padding, fill)
    alone.get(mercantile.Tile(0, 0, 9))  # from here on both know that there is imagery
    pixels = chance.choice([1, 9000, 2**20, 2**24])
    together = TileEngine(MBTilesSource(str(source)), padding, fill, cache_pixels=pixels)
    together.get(mercantile.Tile(0, 0, 9))
    last = 2**zoom - 1
    every = [mercantile.Tile(x, y, zoom) for x in range(2**zoom) for y in range(2**zoom)]
    asked = in_cover_order(every) if zoom < 5 else in_cover_order(tile for tile in every if 5 < tile.y < 26)
    match chance.randrange(3):
        case 0:
            asked = chance.choices(every, k=60)
        case 1:
            asked = chance.sample(asked, len(asked))[:150]
            asked += [mercantile.Tile(0, 0, 99), mercantile.Tile(last + 1, 0, zoom)]
    count = chance.choice([1, 5, 16, 32, 64])
    for start in range(0, min(len(asked), 320), count):
        some = asked[start : start + count]
        made = together.get_all(some)
        for tile, image in zip(some, made, strict=True):
            same(image, told(lambda tile=tile: alone.get(tile)))  # type: ignore[misc]
    for each in (alone, together):
        each.close()


@pytest.mark.parametrize("make", [png, lambda chance: jpeg(chance, SIZE, 1), lambda chance: png(chance, SIZE, 4)])
@pytest.mark.parametrize("count", [1, 7, 16, 32, 64])
def test_each_tile_is_decoded_once(tmp_path: Path, count: int, make) -> None:  # type: ignore[no-untyped-def]
    source = world(tmp_path, 5, 1, make=make)
    tiles, alone = (TileEngine(MBTilesSource(str(source)), 3) for _ in range(2))
    # On both sides of the antimeridian, two strips high.
    area = [tile for y in (9, 16) for x, columns in ((30, 2), (0, 4)) for tile in block(x, y, columns, 7, 5)]
    images = [image for at in range(0, len(area), count) for image in tiles.get_all(area[at : at + count])]
    for tile, image in zip(area, images, strict=True):
        same(image, alone.get(tile))
    stats = tiles.stats()
    # Six columns and two beside them; seven rows of two strips, and those above and below. Where a call ends within a
    # column, three tiles are decoded in part, too.
    once = 8 * (1 + 7 + 1) * 2
    assert once <= stats.decodes <= once + 3 * (len(area) // count)
    assert count != 7 or stats.decodes == once
    assert alone.stats().decodes == 8 * 16


def test_of_the_row_below_no_more_is_decoded_than_is_seen(tmp_path: Path) -> None:
    tiles = TileEngine(MBTilesSource(str(world(tmp_path, 5, 1))), 3)
    first = tiles.get_all(block(1, 9, 2, 3, 5))
    kept = [image.array().copy() for image in first if isinstance(image, TileImage)]
    assert tiles.stats().decodes == 4 * 5
    tiles.get_all(block(1, 12, 2, 2, 5))  # the first of them was there in part
    assert tiles.stats().decodes == 4 * (5 + 3)
    for image, before in zip(first, kept, strict=True):
        assert isinstance(image, TileImage)
        assert np.array_equal(image.array(), before)


def test_images_of_a_column_share_their_pixels(tmp_path: Path) -> None:
    tiles = TileEngine(MBTilesSource(str(world(tmp_path, 5, 1))), 3)
    upper, lower = (image.array() for image in tiles.get_all(block(2, 10, 1, 2, 5)))  # type: ignore[union-attr]
    assert upper.flags.c_contiguous
    assert np.shares_memory(upper, lower)
    assert upper.base is lower.base


def test_a_few_of_another_kind_do_not_set_the_others_apart(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    pictures = {tile: png(chance, SIZE, 4) if tile.y < 2 else jpeg(chance) for tile in block(0, 0, 16, 16, 4)}
    write_mbtiles(tmp_path / "mixed.mbtiles", {"name": "mixed"}, pictures.items())
    tiles, alone = (TileEngine(MBTilesSource(str(tmp_path / "mixed.mbtiles")), 4) for _ in range(2))
    for x in range(2, 12):
        column = block(x, 1, 1, 14, 4)
        images = tiles.get_all(column)
        for tile, image in zip(column, images, strict=True):
            same(image, alone.get(tile))
        lower = [image.array().base for image in images[2:] if isinstance(image, TileImage)]
        assert x < 5 or all(base is lower[0] for base in lower)


def test_a_call_is_one_round_trip() -> None:
    level, pictures = pyramid(4)
    asked = block(3, 3, 5, 8, 4)
    with TileServer(paths(pictures.items())) as server:
        tiles = engine(server, 4)
        for some in (asked[:16], asked[16:]):
            for tile, image in zip(some, tiles.get_all(some), strict=True):
                assert isinstance(image, TileImage)
                assert np.array_equal(image.array(), expected(level, tile, 4))
        assert set(server.requests.values()) == {1}
        assert len(server.requests) == 7 * 10
        assert tiles.stats().fetches == 70
        assert tiles.stats().decodes == 70
        tiles.close()


def test_what_was_fetched_ahead_is_not_fetched_again() -> None:
    with TileServer(paths(pyramid(4)[1].items())) as server:
        tiles = engine(server, 4)
        area = block(3, 3, 2, 2, 4)
        begun = tiles.prefetch_all(area)
        assert len(begun) == 16
        assert tiles.prefetch_all(area) == []
        for future in begun:
            future.result(10)
        assert all(isinstance(image, TileImage) for image in tiles.get_all(area))
        assert set(server.requests.values()) == {1}
        assert tiles.stats() == (16, 16, 0, 16)
        tiles.close()


def test_errors_in_the_middle_are_told_of_those_they_concern() -> None:
    table: dict[str, object] = {**paths(pyramid(4)[1].items())}
    del table["/4/5/5"]
    table["/4/8/6"] = Answer(status=403)
    table["/4/5/9"] = Answer(b"<html>")
    area = block(3, 3, 8, 9, 4)
    with TileServer(table) as server:
        alone, together = engine(server, 2), engine(server, 2)
        made = [image for at in range(0, len(area), 32) for image in together.get_all(area[at : at + 32])]
        asked = server.requests["/4/8/6"]
        for tile, image in zip(area, made, strict=True):
            same(image, told(lambda tile=tile: alone.get(tile)))  # type: ignore[misc]
        alone.close()
        together.close()
    failed = [tile for tile, image in zip(area, made, strict=True) if isinstance(image, TileSourceError)]
    assert {(tile.x, tile.y) for tile in failed} == {
        (x, y)
        for column, row in ((8, 6), (5, 9))
        for x in range(column - 1, column + 2)
        for y in range(row - 1, row + 2)
    }
    assert isinstance(made[area.index(mercantile.Tile(5, 5, 4))], TileNotFoundError)
    assert asked <= 3  # in each call that sees it, not for each of the nine


def test_the_deadline_holds() -> None:
    with TileServer({**paths(pyramid(4)[1].items()), "/4/5/5": Answer(drip_seconds=1.0)}) as server:
        tiles = engine(server, 2)
        start = time.monotonic()
        late, there = tiles.get_all([mercantile.Tile(5, 4, 4), mercantile.Tile(9, 4, 4)], start + 1.0)
        assert time.monotonic() - start < 10
        assert isinstance(late, TileTimeoutError)
        assert "neighbour 4/5/5 of 4/5/4" in late.message
        assert isinstance(there, TileImage)
        tiles.close()


def test_many_threads_at_once() -> None:
    level, pictures = pyramid(4)
    area = block(2, 2, 12, 12, 4)
    with TileServer(paths(pictures.items())) as server, ThreadPoolExecutor(6) as pool:
        tiles = engine(server, 5)
        jobs = [(area[at : at + 12], pool.submit(tiles.get_all, area[at : at + 12])) for at in range(0, 144, 12)]
        for some, job in jobs:
            for tile, image in zip(some, job.result(20), strict=True):
                assert isinstance(image, TileImage)
                assert np.array_equal(image.array(), expected(level, tile, 5))
        assert set(server.requests.values()) == {1}
        tiles.close()


def test_equal_tiles_in_a_row_are_decoded_once(tmp_path: Path) -> None:
    sea = jpeg(np.random.default_rng(1))
    tiles = ((tile, sea) for tile in block(0, 0, 16, 16, 4))
    write_mbtiles(tmp_path / "sea.mbtiles", {"name": "sea", "format": "jpg"}, tiles)
    made = TileEngine(MBTilesSource(str(tmp_path / "sea.mbtiles")), 2)
    one, other = made.get_all([mercantile.Tile(5, 5, 4), mercantile.Tile(9, 9, 4)])
    assert isinstance(one, TileImage)
    assert isinstance(other, TileImage)
    assert np.array_equal(one.array(), other.array())
    assert made.stats().decodes == 1


def test_memory_is_flat(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    few = [jpeg(chance) for _ in range(5)]
    area = block(0, 0, 64, 64, 6)
    write_mbtiles(
        tmp_path / "a.mbtiles", {"name": "a"}, ((tile, few[(tile.x + tile.y) % 5]) for tile in block(0, 0, 64, 64, 6))
    )
    tiles = TileEngine(MBTilesSource(str(tmp_path / "a.mbtiles")), 4)
    used = []
    tracemalloc.start()
    try:
        for at in range(0, 2500, 50):
            assert all(isinstance(image, TileImage) for image in tiles.get_all(area[at : at + 50]))
            used.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        tiles.close()
    assert max(used[10:]) < max(used[:10]) * 1.1 + 20_000


def test_nothing_is_asked_for() -> None:
    with TileServer({}) as server:
        assert engine(server, 1).get_all([]) == []
        assert engine(server, 0).get_all([]) == []
        assert not server.requests


def test_without_padding_the_bytes_are_handed_over() -> None:
    pictures: Mapping[mercantile.Tile, bytes] = pyramid(2)[1]
    with TileServer(paths(pictures.items())) as server:
        tiles = engine(server)
        for tile, image in zip(pictures, tiles.get_all(list(pictures)), strict=True):
            assert isinstance(image, TileImage)
            assert image.encoded() == pictures[tile]
        assert tiles.stats().decodes == 0
        tiles.close()
