"""PMTiles: what the format's own library reads, we read; what is broken is told in one line."""

from __future__ import annotations

import gzip
import random
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mercantile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pmtiles.reader import MemorySource, Reader
from pmtiles.tile import Compression, Entry, TileType, deserialize_directory, zxy_to_tileid
from pmtilesfile import assemble, directory, write_pmtiles
from tileserver import Answer, TileServer, cut_level, level_picture

from playground.errors import PlaygroundError, SourceSettingsError, TileNotFoundError, TileSourceError
from playground.sources import open_source
from playground.sources.pmtiles import PMTilesSource
from playground.sources.pmtiles_format import read_directory, tile_id
from playground.tiles import TileEngine

PNG = dict(cut_level(level_picture(1, 4), 1))
ONE = PNG[mercantile.Tile(0, 0, 1)]


def source_of(path: Path, data: bytes) -> PMTilesSource:
    path = path / "a.pmtiles"
    path.write_bytes(data)
    return PMTilesSource(str(path))


@st.composite
def tiles(draw: st.DrawFn) -> mercantile.Tile:
    z = draw(st.integers(0, 30))
    return mercantile.Tile(draw(st.integers(0, 2**z - 1)), draw(st.integers(0, 2**z - 1)), z)


@given(tiles())
@settings(max_examples=300)
def test_tile_ids_are_those_of_the_library(tile: mercantile.Tile) -> None:
    assert tile_id(tile) == zxy_to_tileid(tile.z, tile.x, tile.y)


@given(st.lists(st.tuples(*[st.integers(0, 2**40)] * 2, st.integers(0, 2**20)), max_size=40), st.booleans())
@settings(max_examples=150)
def test_directories_are_those_of_the_library(numbers: list[tuple[int, int, int]], clustered: bool) -> None:
    entries, tile, offset = [], 0, 0
    for step, place, length in numbers:
        tile += step + 1
        entries.append(Entry(tile, offset if clustered else place, length, step % 5))
        offset += length
    expected = [(e.tile_id, e.offset, e.length, e.run_length) for e in deserialize_directory(directory(entries))]
    read = read_directory(directory(entries, packed=False), 2**41)
    got = zip(read.ids.tolist(), read.offsets.tolist(), read.lengths.tolist(), read.runs.tolist(), strict=True)
    assert list(got) == expected


@pytest.mark.parametrize("zoom", [0, 3, 7])
def test_every_tile_is_the_one_that_the_library_reads(tmp_path: Path, zoom: int) -> None:
    # At zoom 7 the writer makes leaf directories; pictures many times over make runs and shared offsets.
    chance = random.Random(5)
    pictures = [data + bytes([number]) for number in range(200) for data in PNG.values()]
    addresses = [mercantile.Tile(x, y, zoom) for x in range(2**zoom) for y in range(2**zoom)]
    written = {
        tile: chance.choice(pictures[: 3 ** chance.randint(0, 6)])
        for tile in addresses
        if zoom == 0 or chance.random() < 0.9
    }
    path = write_pmtiles(
        tmp_path / "a.pmtiles", written.items(), {"name": "A", "attribution": "B"}, min_zoom=zoom, max_zoom=zoom
    )
    reader = Reader(MemorySource(path.read_bytes()))
    if zoom == 7:
        assert reader.header()["leaf_directory_length"] > 0
    source = open_source(str(path))
    assert source.local
    for tile in chance.sample(addresses, min(len(addresses), 200)):
        expected = reader.get(tile.z, tile.x, tile.y)
        assert expected == written.get(tile)
        if expected is None:
            with pytest.raises(TileNotFoundError):
                source.fetch(tile)
        else:
            assert source.fetch(tile) == expected
    info = source.info()
    assert (info.name, info.attribution, info.format) == ("A", "B", "png")
    assert (info.minzoom, info.maxzoom) == (zoom, zoom)
    assert info.bounds == pytest.approx((-180, -85.0511287, 180, 85.0511287))
    source.close()
    with pytest.raises(TileSourceError):
        source.fetch(next(iter(written)))


def test_packed_tiles_and_unpacked_directories(tmp_path: Path) -> None:
    data = gzip.compress(ONE)
    source = source_of(
        tmp_path,
        assemble(
            [Entry(0, 0, len(data), 1)],
            data,
            internal_compression=Compression.NONE,
            tile_compression=Compression.GZIP,
        ),
    )
    assert source.fetch(mercantile.Tile(0, 0, 0)) == ONE
    assert source.info().name == "a"


# What is broken

WHOLE = assemble([Entry(0, 0, len(ONE), 1)], ONE)


def leaf_in_circles() -> bytes:
    leaf = directory([Entry(0, 0, 28, 0)])
    return assemble([Entry(0, 0, len(leaf), 0)], ONE, directory([Entry(0, 0, len(leaf), 0)]))


BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "does not start like one"),
    "another format": (b"SQLite format 3\0" * 20, "does not start like one"),
    "an old version": (b"PMTiles\2" + WHOLE[8:], "version 2"),
    "a cut header": (WHOLE[:100], "ends within its header"),
    "a cut file": (WHOLE[:-1], "and has"),
    "a huge root": (assemble([], ONE, root_length=2**60), "root directory cannot be"),
    "a huge section": (assemble([], ONE, tile_data_length=2**63), "and has"),
    "a root beyond the file": (assemble([], ONE, root_offset=2**62), "and has"),
    "impossible zooms": (assemble([], ONE, min_zoom=9, max_zoom=3), "zooms cannot be"),
    "no gzip": (assemble(b"no gzip at all", ONE), "gzip"),
    "cut gzip": (assemble(gzip.compress(b"x" * 999)[:-9], ONE), "ends too early"),
    "a bomb": (assemble(gzip.compress(bytes(5 * 2**20)), ONE), "unpacks to more"),
    "many entries promised": (assemble(gzip.compress(b"\xff\xff\xff\xff\x0f"), ONE), "says 4294967295 entries"),
    "half a number": (assemble(gzip.compress(b"\x01\xff"), ONE), "within a number"),
    "a number without end": (assemble(gzip.compress(b"\xff" * 30 + b"\0"), ONE), "more than 63 bits"),
    "entries beyond the tiles": (assemble([Entry(0, 10**6, 10, 1)], ONE), "beyond the file"),
    "entries in no order": (assemble(gzip.compress(bytes([2, 5, 0, 1, 1, 1, 1, 1, 1])), ONE), "not in order"),
    "no place for the first": (assemble(gzip.compress(bytes([1, 0, 1, 1, 0])), ONE), "not in order"),
    "metadata of rubbish": (assemble([], ONE, metadata_length=3, metadata_offset=127), "gzip"),
    "vector tiles": (assemble([], ONE, tile_type=TileType.MVT), "holds no pictures but mvt"),
    "avif": (assemble([], ONE, tile_type=TileType.AVIF), "holds no pictures but avif"),
    "brotli": (assemble([], ONE, internal_compression=Compression.BROTLI), "directories packed by brotli"),
    "zstd": (assemble([], ONE, tile_compression=Compression.ZSTD), "tiles packed by zstd"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_when_it_is_opened(tmp_path: Path, name: str) -> None:
    data, words = BROKEN[name]
    with pytest.raises(SourceSettingsError, match=re.escape(words)) as caught:
        source_of(tmp_path, data)
    assert "a.pmtiles" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (leaf_in_circles(), "broken"),
        (assemble([Entry(0, 0, 4, 0)], ONE, b"rubbish"), "broken: gzip"),
        (assemble([Entry(0, 0, 7, 1)], b"rubbish"), "not an image but 7 bytes"),
        (assemble([Entry(0, 0, 7, 1)], b"rubbish", tile_compression=Compression.GZIP), "gzip"),
    ],
)
def test_a_broken_part_costs_its_own_tiles(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(TileSourceError, match=words):
        source_of(tmp_path, data).fetch(mercantile.Tile(0, 0, 0))


def test_flipped_bytes_never_give_a_traceback(tmp_path: Path) -> None:
    path = write_pmtiles(tmp_path / "b.pmtiles", PNG.items(), {"name": "A"}, min_zoom=1, max_zoom=1)
    whole = path.read_bytes()
    chance = random.Random(3)
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(250)] = chance.randrange(256)
        try:
            source = source_of(tmp_path, bytes(data))
            for tile in PNG:
                source.fetch(tile)
        except PlaygroundError:
            refused += 1
    assert 0 < refused < 400


# Over HTTP


class Ranges:
    """Answers range requests from bytes, which may change."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[str] = []

    def answer(self, headers: object) -> Answer:
        wanted = headers.get("Range")  # type: ignore[attr-defined]
        self.asked.append(wanted)
        first, last = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
        part = self.data[first : last + 1]
        tag = f'"{hash(self.data)}"'
        head = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(self.data)}", "ETag": tag}
        return Answer(part, 206, head)


class RangeServer(TileServer):
    """Serves one file by ranges."""

    def __init__(self, data: bytes) -> None:
        super().__init__({})
        self.ranges = Ranges(data)
        self._ranges_lock = threading.Lock()

    def answer(self, path: str, headers: object) -> Answer:  # type: ignore[override]
        with self._ranges_lock:
            return self.ranges.answer(headers)


def test_a_file_behind_http_is_read_in_parts(tmp_path: Path) -> None:
    addresses = [mercantile.Tile(x, y, 7) for x in range(128) for y in range(128)]
    chance = random.Random(5)
    pictures = [PNG[tile] + bytes([number]) for number in range(200) for tile in PNG]
    path = write_pmtiles(
        tmp_path / "a.pmtiles", ((tile, chance.choice(pictures)) for tile in addresses), min_zoom=7, max_zoom=7
    )
    local = open_source(str(path))
    with RangeServer(path.read_bytes()) as server:
        source = open_source(server.address.replace("//", "//me:hunter2@") + "/maps/a.pmtiles?token=hunter2")
        assert not source.local
        assert source.info().maxzoom == 7
        some = chance.sample(addresses, 30)
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(source.fetch, some))
        assert got == [local.fetch(tile) for tile in some]
        leaves = len(server.ranges.asked) - 1 - len(some)
        assert 1 <= leaves <= 10  # each leaf directory once
        assert source.outcomes()["ok"] == len(server.ranges.asked)
        assert "hunter2" not in source.url(some[0])
        engine = TileEngine(source, 2)
        assert engine.get(mercantile.Tile(5, 5, 7)).array().shape == (8, 8, 3)
        engine.close()


def test_another_file_in_its_place_is_noticed(tmp_path: Path) -> None:
    first, second = list(PNG.values())[:2]
    old, new = (assemble([Entry(0, 0, len(data), 1)], data) for data in (first, second))
    with RangeServer(old) as server:
        source = open_source(f"{server.address}/a.pmtiles")
        tile = mercantile.Tile(0, 0, 0)
        assert source.fetch(tile) == first
        server.ranges.data = new
        assert source.fetch(tile) == second
        source.close()


def test_a_server_without_ranges_is_told(tmp_path: Path) -> None:
    with TileServer(lambda _: Answer(WHOLE, 200)) as server:
        source = open_source(f"{server.address}/a.pmtiles")  # it may be a server that is being repaired
        with pytest.raises(TileSourceError, match="not with a part of the file") as caught:
            source.fetch(mercantile.Tile(0, 0, 0))
        assert "range requests" in caught.value.hint
        source.close()


def test_a_page_behind_http_is_no_pmtiles() -> None:
    with RangeServer(b"<html>not found</html>") as server, pytest.raises(SourceSettingsError, match="does not start"):
        open_source(f"{server.address}/a.pmtiles")
