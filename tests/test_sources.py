"""Tile sources: what their strings mean, what they fetch, and what they make of hostile answers."""

from __future__ import annotations

import io
import sqlite3
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path

import mercantile
import numpy as np
import pytest
from PIL import Image
from tileserver import Answer, TileServer

from playground import imagery
from playground.errors import SourceSettingsError, TileNotFoundError, TileSourceError, TileTimeoutError
from playground.fetching.policy import FetchPolicy
from playground.fetching.tile import MAX_BYTES
from playground.sources import SOURCES, TileSource, open_source
from playground.sources.mbtiles import MBTilesSource, write_mbtiles
from playground.sources.xyz import XYZSource

TILE = mercantile.Tile(3, 1, 2)
PATH = "/2/3/1"


def picture(kind: str = "png", seed: int = 1) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def quick(server: TileServer, **options: object) -> XYZSource:
    return XYZSource(server.template, FetchPolicy(**{"backoff_seconds": 0.001, **options}))  # type: ignore[arg-type]


# The registry


@pytest.mark.parametrize("name", SOURCES)
def test_every_kind_is_found_by_its_example_and_by_no_other(name: str) -> None:
    import re

    example = SOURCES[name].example
    assert [kind for kind in SOURCES if re.match(SOURCES[kind].pattern, example, re.IGNORECASE)] == [name]
    assert SOURCES[name].help


def test_kinds_load_as_tile_sources(tmp_path: Path) -> None:
    write_mbtiles(tmp_path / "a.MBTiles", {"name": "a", "format": "png"}, [(TILE, picture())])
    for text in ("https://tiles.example.com/{z}/{x}/{y}.jpg", str(tmp_path / "a.MBTiles")):
        source = open_source(text)
        assert isinstance(source, TileSource)
        assert source.info().name
        source.close()


@pytest.mark.parametrize("text", ["", "imagery", "https://tiles.example.com/map", "ftp://a/{z}/{x}/{y}", "image.bmp"])
def test_strings_that_name_nothing_say_what_is_possible(text: str) -> None:
    with pytest.raises(SourceSettingsError) as caught:
        open_source(text)
    for kind in SOURCES.values():
        assert kind.example in caught.value.hint


def test_errors_about_sources_show_no_keys() -> None:
    with pytest.raises(SourceSettingsError) as caught:
        open_source("https://me:hunter2@tiles.example.com/map?api_key=hunter2")
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_kinds_cost_nothing_until_they_are_opened() -> None:
    code = "import sys, playground.sources; print({'requests', 'pycurl', 'sqlite3', 'PIL'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# XYZ: templates


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("https://a.example/{z}/{x}/{y}.jpg", "https://a.example/2/3/1.jpg"),
        ("https://a.example/{z}/{x}/{-y}.jpg", "https://a.example/2/3/2.jpg"),
        ("https://a.example/{q}?v=1", "https://a.example/13?v=1"),
        ("https://{s}.example/{z}/{x}/{y}{r}.png", "https://b.example/2/3/1.png"),
        ("https://a.example/t?x={x}&y={y}&z={z}", "https://a.example/t?x=3&y=1&z=2"),
    ],
)
def test_templates(template: str, url: str) -> None:
    assert open_source(template).url(TILE) == url


def test_the_quadkey_of_the_whole_world_is_empty() -> None:
    assert open_source("https://a.example/t{q}.png").url(mercantile.Tile(0, 0, 0)) == "https://a.example/t.png"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("https://a.example/{z}/{x}/{y}/{date}", "{date}"),
        ("https://a.example/{z}/{x}", "does not name a tile"),
        ("https:///{z}/{x}/{y}", "no host"),
        ("https://[::1/{z}/{x}/{y}", "no host"),
    ],
)
def test_templates_that_cannot_work(template: str, message: str) -> None:
    with pytest.raises(SourceSettingsError, match=message) as caught:
        open_source(template)
    assert "{x}" in caught.value.hint


@pytest.mark.parametrize(
    "secret",
    [
        "https://me:hunter2@a.example/{z}/{x}/{y}",
        "https://a.example/{z}/{x}/{y}?access_token=hunter2",
        "https://a.example/{z}/{x}/{y}?style=day&apikey=hunter2",
        "https://a.example/{z}/{x}/{y}?X-Amz-Signature=hunter2&v=2",
        "https://a.example/{z}/{x}/{y}?k=hunter2hunter2hunter2hunter2",
    ],
)
def test_addresses_are_shown_without_secrets(secret: str) -> None:
    shown = open_source(secret).url(TILE)
    assert "hunter2" not in shown
    assert "/2/3/1" in shown


# XYZ: answers


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif"])
def test_bytes_come_as_they_are(kind: str) -> None:
    data = picture(kind)
    with TileServer({PATH: data}) as server:
        assert quick(server).fetch(TILE) == data
        assert server.headers[0]["User-Agent"].startswith("tile-playground/")


@pytest.mark.parametrize("answer", [Answer(status=404), Answer(status=410), Answer(status=204), Answer(b"")])
def test_no_imagery(answer: Answer) -> None:
    with TileServer({PATH: answer}) as server, pytest.raises(TileNotFoundError):
        quick(server).fetch(TILE)
    assert server.requests[PATH] == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(b"<!DOCTYPE html><p>Sorry", headers={"Content-Type": "text/html"}), "an HTML page.*text/html"),
        (Answer(b'{"message": "no such layer"}', headers={"Content-Type": "application/json"}), "a JSON document"),
        (Answer(b"<?xml version='1.0'?><ServiceException/>"), "an XML document"),
        (Answer(b"\x1f\x8b\x08\x00" + bytes(50)), "vector"),
        (Answer(picture("jpeg")[:-50]), "truncated"),
        (Answer(picture("png")[:-60]), "image"),
        (Answer(picture("webp")[:-20]), "image"),
        (Answer(status=401), "401"),
        (Answer(status=403), "403"),
        (Answer(status=400), "400"),
        (Answer(status=302, headers={"Location": PATH}), "more than 5 redirects"),
        (Answer(picture() + bytes(MAX_BYTES)), "larger than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_answers_are_failures_at_once(answer: Answer, message: str) -> None:
    with TileServer({PATH: answer}) as server:
        with pytest.raises(TileSourceError, match=message) as caught:
            quick(server).fetch(TILE)
        assert not isinstance(caught.value, TileTimeoutError)
        assert server.requests[PATH] == (1 if answer.status != 302 else 6)


def test_credentials_are_asked_for_in_words() -> None:
    with TileServer({PATH: Answer(status=403)}) as server, pytest.raises(TileSourceError) as caught:
        quick(server).fetch(TILE)
    assert "credentials" in caught.value.hint


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    data = picture()
    with TileServer({PATH: [Answer(status=status), Answer(status=status), data]}) as server:
        assert quick(server).fetch(TILE) == data
    assert server.requests[PATH] == 3


def test_a_transfer_cut_short_is_tried_again() -> None:
    data = picture()
    with TileServer({PATH: [Answer(data[:100], claimed_length=len(data)), data]}) as server:
        assert quick(server).fetch(TILE) == data
    assert server.requests[PATH] == 2


def test_a_server_that_stays_down_is_a_failure_that_names_the_tile() -> None:
    message = "/2/3/1: the tile server answers 500"
    with TileServer({PATH: Answer(status=500)}) as server, pytest.raises(TileSourceError, match=message):
        quick(server, attempts=3).fetch(TILE)
    assert server.requests[PATH] == 3


def test_nobody_listens() -> None:
    with TileServer({}) as server:
        template = server.template
    with pytest.raises(TileSourceError, match=r"2/3/1: .*[Rr]efused"):
        XYZSource(template, FetchPolicy(attempts=2, backoff_seconds=0.001)).fetch(TILE)


def test_retry_after_is_honoured() -> None:
    data = picture()
    with TileServer({PATH: [Answer(status=429, headers={"Retry-After": "1"}), data]}) as server:
        start = time.monotonic()
        assert quick(server).fetch(TILE) == data
    assert time.monotonic() - start >= 1.0


@pytest.mark.parametrize("when", ["3600", formatdate(time.time() + 3600, usegmt=True)], ids=["seconds", "date"])
def test_a_retry_after_beyond_the_deadline_is_told_at_once(when: str) -> None:
    with TileServer({PATH: Answer(status=503, headers={"Retry-After": when})}) as server:
        start = time.monotonic()
        with pytest.raises(TileSourceError) as caught:
            quick(server).fetch(TILE, deadline=start + 30)
        assert time.monotonic() - start < 5
        assert "seconds" in caught.value.hint
    assert server.requests[PATH] == 1


def test_slow_servers_run_into_the_deadline() -> None:
    never = threading.Event()
    with TileServer({PATH: Answer(picture(), wait_for=never)}) as server:
        start = time.monotonic()
        with pytest.raises(TileTimeoutError, match="2/3/1"):
            quick(server).fetch(TILE, deadline=start + 0.2)
        assert 0.15 < time.monotonic() - start < 5
        never.set()


def test_no_request_after_the_deadline() -> None:
    with TileServer({PATH: picture()}) as server, pytest.raises(TileTimeoutError):
        quick(server).fetch(TILE, deadline=time.monotonic() - 1)
    assert not server.requests


def test_closing_ends_the_pause_between_tries() -> None:
    with TileServer({PATH: Answer(status=503, headers={"Retry-After": "20"})}) as server:
        source = quick(server)
        failures: list[TileSourceError] = []

        def fetch() -> None:
            try:
                source.fetch(TILE)
            except TileSourceError as error:
                failures.append(error)

        thread = threading.Thread(target=fetch)
        thread.start()
        source.close()
        thread.join(10)
    assert len(failures) == 1


def test_one_source_serves_many_threads() -> None:
    tiles = [mercantile.Tile(x, y, 3) for x in range(8) for y in range(8)]
    data = {f"/3/{tile.x}/{tile.y}": picture(seed=8 * tile.x + tile.y) for tile in tiles}
    with TileServer(data) as server:
        source = quick(server)
        got: dict[mercantile.Tile, bytes] = {}
        threads = [
            threading.Thread(target=lambda part: got.update((t, source.fetch(t)) for t in part), args=(tiles[i::8],))
            for i in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == {tile: data[f"/3/{tile.x}/{tile.y}"] for tile in tiles}


# MBTiles


def test_rows_of_a_file_made_by_hand_count_from_the_south(tmp_path: Path) -> None:
    path = tmp_path / "hand made?#%.mbtiles"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE metadata (name text, value text)")
        connection.execute("CREATE TABLE tiles (zoom_level int, tile_column int, tile_row int, tile_data blob)")
        # The spec's own words: "row" 0 is the southernmost.
        connection.execute("INSERT INTO tiles VALUES (2, 3, 0, ?)", (picture(seed=1),))
        connection.execute("INSERT INTO tiles VALUES (2, 3, 3, ?)", (picture(seed=2),))
        connection.execute("INSERT INTO metadata VALUES ('bounds', '-180,-85,180,85'), ('name', 'By hand')")
    connection.close()
    source = open_source(str(path))
    assert source.fetch(mercantile.Tile(3, 3, 2)) == picture(seed=1)
    assert source.fetch(mercantile.Tile(3, 0, 2)) == picture(seed=2)
    with pytest.raises(TileNotFoundError, match="2/3/1"):
        source.fetch(TILE)
    info = source.info()
    assert (info.name, info.minzoom, info.maxzoom, info.format) == ("By hand", 2, 2, "png")
    assert info.bounds == (-180, -85, 180, 85)
    assert source.url(TILE) == "mbtiles://hand made?#%.mbtiles/2/3/1"
    source.close()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    tiles = [(tile, picture(seed=i)) for i, tile in enumerate(mercantile.tiles(-180, -85, 180, 85, [0, 1, 2, 3]))]
    path = tmp_path / "world.mbtiles"
    write_mbtiles(path, {"name": "World", "format": "png", "bounds": (-180.0, -85.0, 180.0, 85.0)}, iter(tiles))
    assert list(tmp_path.iterdir()) == [path]
    source = open_source(str(path))
    assert all(source.fetch(tile) == data for tile, data in tiles)
    assert (source.info().minzoom, source.info().maxzoom) == (0, 3)
    assert source.info().bounds == (-180.0, -85.0, 180.0, 85.0)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "world.mbtiles"
    write_mbtiles(path, {"name": "old"}, [(TILE, picture())])
    before = path.read_bytes()

    def breaks() -> object:
        yield TILE, picture(seed=2)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_mbtiles(path, {"name": "new"}, breaks())  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_mbtiles_file_is_read_by_many_threads_and_never_written(tmp_path: Path) -> None:
    path = tmp_path / "world.mbtiles"
    tiles = [(mercantile.Tile(x, y, 3), picture(seed=8 * x + y)) for x in range(8) for y in range(8)]
    write_mbtiles(path, {"name": "World"}, tiles)
    path.chmod(0o444)
    before = path.read_bytes()
    source = MBTilesSource(str(path))
    wrong: list[mercantile.Tile] = []
    threads = [
        threading.Thread(target=lambda: wrong.extend(tile for tile, data in tiles if source.fetch(tile) != data))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_are_no_mbtiles(tmp_path: Path) -> None:
    with pytest.raises(SourceSettingsError, match="no file"):
        open_source(str(tmp_path / "none.mbtiles"))
    (tmp_path / "text.mbtiles").write_bytes(b"this is no database, but long enough to be looked at" * 100)
    with pytest.raises(SourceSettingsError, match="not an MBTiles"):
        open_source(str(tmp_path / "text.mbtiles"))
    with sqlite3.connect(tmp_path / "other.mbtiles") as connection:
        connection.execute("CREATE TABLE something (a int)")
    connection.close()
    with pytest.raises(SourceSettingsError, match="no such table: tiles"):
        open_source(str(tmp_path / "other.mbtiles"))
    write_mbtiles(tmp_path / "vector.mbtiles", {"format": "pbf"}, [(TILE, b"\x1f\x8b\x08\x00\x00")])
    with pytest.raises(SourceSettingsError, match="vector"):
        open_source(str(tmp_path / "vector.mbtiles"))


def test_a_file_that_breaks_while_it_is_used_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "world.mbtiles"
    write_mbtiles(path, {"name": "World"}, [(TILE, picture())])
    source = MBTilesSource(str(path))
    source.close()
    with pytest.raises(TileSourceError, match=r"world.mbtiles, tile 2/3/1"):
        source.fetch(TILE)


def test_an_empty_file_of_tiles_has_no_imagery(tmp_path: Path) -> None:
    write_mbtiles(tmp_path / "empty.mbtiles", {"name": "Empty"}, [])
    source = open_source(str(tmp_path / "empty.mbtiles"))
    assert source.info().minzoom is None
    with pytest.raises(TileNotFoundError):
        source.fetch(TILE)


def test_pictures_of_this_file_are_what_they_claim() -> None:
    assert imagery.decode(picture()).shape == (16, 16, 3)
