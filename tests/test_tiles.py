"""The tile engine: padded images are the map's own pixels, fetched once, and what is missing is told."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from pathlib import Path

import mercantile
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyramids import SIZE, engine, expected, pyramid
from tileserver import Answer, TileServer, level_picture, paths

from playground import imagery, mosaic
from playground.errors import (
    AddressError,
    SettingsError,
    TileNotFoundError,
    TileSourceError,
    TileTimeoutError,
)
from playground.sources.mbtiles import MBTilesSource, write_mbtiles
from playground.sources.xyz import XYZSource
from playground.tiles import TileEngine

NORTH = ("NW", "N", "NE")
SOUTH = ("SW", "S", "SE")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world") / "world.mbtiles"
    write_mbtiles(path, {"name": "Noise", "format": "png"}, (item for z in range(5) for item in pyramid(z)[1].items()))
    return path


# Pixels


@st.composite
def addresses(draw: st.DrawFn) -> mercantile.Tile:
    z = draw(st.integers(0, 4))
    last = 2**z - 1
    edge = st.sampled_from([0, last])
    return mercantile.Tile(draw(edge | st.integers(0, last)), draw(edge | st.integers(0, last)), z)


@given(
    addresses(),
    st.integers(0, SIZE),
    st.sampled_from([("reflect", "symmetric"), ("edge", "edge"), ("nodata", "constant")]),
)
@settings(max_examples=150)
def test_a_padded_tile_is_a_crop_of_the_whole_level(
    world: Path, tile: mercantile.Tile, padding: int, fill: tuple[str, str]
) -> None:
    tiles = TileEngine(MBTilesSource(str(world)), padding, fill[0])  # type: ignore[arg-type]
    image = tiles.get(tile)
    assert image.size == SIZE
    assert image.missing == ()
    assert np.array_equal(image.array(), expected(pyramid(tile.z)[0], tile, padding, fill[1]))
    assert np.array_equal(imagery.decode(image.encoded()), image.array())
    rows = np.arange(-padding, SIZE + padding) + tile.y * SIZE
    inside = (rows >= 0) & (rows < 2**tile.z * SIZE)
    assert np.array_equal(image.valid(), np.repeat(inside[:, np.newaxis], SIZE + 2 * padding, axis=1))
    beyond = (NORTH if tile.y == 0 else ()) + (SOUTH if tile.y == 2**tile.z - 1 else ())
    assert image.outside == (beyond if padding else ())
    tiles.close()


def test_padding_comes_across_the_antimeridian_over_http() -> None:
    level, tiles = pyramid(3)
    with TileServer(paths(tiles.items())) as server:
        west = engine(server, 5).get(mercantile.Tile(0, 3, 3))
        assert np.array_equal(west.array(), expected(level, west.tile, 5))
        assert server.requests["/3/7/3"] == 1
        assert (west.missing, west.outside) == ((), ())
        assert west.valid().all()


def test_the_map_is_never_asked_for_rows_that_it_has_not() -> None:
    with TileServer(paths([*pyramid(0)[1].items(), *pyramid(1)[1].items()])) as server:
        tiles = engine(server, 4)
        for tile in [mercantile.Tile(0, 0, 0), *pyramid(1)[1]]:
            assert np.array_equal(tiles.get(tile).array(), expected(pyramid(tile.z)[0], tile, 4))
        assert set(server.requests) == {"/0/0/0", "/1/0/0", "/1/0/1", "/1/1/0", "/1/1/1"}
        assert set(server.requests.values()) == {1}


def test_jpeg_tiles_have_the_pixels_of_the_decoder() -> None:
    def jpeg(seed: int) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        return simplejpeg.encode_jpeg(pixels, quality=90)

    table = {f"/2/{x}/{y}": jpeg(4 * x + y) for x in range(4) for y in range(4)}
    with TileServer(table) as server:
        array = engine(server, 3).get(mercantile.Tile(1, 1, 2)).array()
    rows = [np.concatenate([simplejpeg.decode_jpeg(table[f"/2/{x}/{y}"]) for x in range(3)], axis=1) for y in range(3)]
    assert np.array_equal(array, np.concatenate(rows)[SIZE - 3 : 2 * SIZE + 3, SIZE - 3 : 2 * SIZE + 3])


# Missing neighbours


@given(st.sets(st.sampled_from([0, 1, 2, 3, 5, 6, 7, 8])), st.integers(1, SIZE), st.sampled_from(mosaic.FILLS))
@settings(max_examples=120)
def test_whatever_is_missing_is_filled_from_what_is_there(missing: set[int], padding: int, fill: mosaic.Fill) -> None:
    # Each of the nine has its own colour, none is black: so black is a hole, and a colour tells where it came from.
    images = [None if place in missing else np.full((SIZE, SIZE, 1), 10 + place, np.uint8) for place in range(9)]
    out = mosaic.stitch(images, padding, fill)
    valid = mosaic.valid_pixels([place not in missing for place in range(9)], SIZE, padding)
    assert out.shape == (SIZE + 2 * padding, SIZE + 2 * padding, 1)
    assert valid.shape == out.shape[:2]
    assert ((out[..., 0] == 0) == (~valid if fill == "nodata" else False)).all()
    cells = {place: np.unique(out[cell(place, padding)]) for place in range(9)}
    for place in range(9):
        if place not in missing:
            assert cells[place] == [10 + place]
        elif fill != "nodata":
            row, column = divmod(place, 3)
            near = {3 * row + 1, 3 + column, mosaic.CENTRE} - missing
            assert len(cells[place]) == 1
            assert cells[place][0] - 10 in near


def cell(place: int, padding: int) -> tuple[slice, slice]:
    spans = (slice(0, padding), slice(padding, padding + SIZE), slice(padding + SIZE, None))
    return spans[place // 3], spans[place % 3]


@pytest.mark.parametrize("padding", [1, 7, SIZE])
def test_a_tile_alone_is_mirrored_on_all_sides_without_a_seam(padding: int) -> None:
    centre = level_picture(0, SIZE)
    alone = [centre if place == mosaic.CENTRE else None for place in range(9)]
    pads = ((padding, padding), (padding, padding), (0, 0))
    assert np.array_equal(mosaic.stitch(alone, padding, "reflect"), np.pad(centre, pads, mode="symmetric"))
    assert np.array_equal(mosaic.stitch(alone, padding, "edge"), np.pad(centre, pads, mode="edge"))
    assert np.array_equal(mosaic.stitch(alone, padding, "nodata"), np.pad(centre, pads))


@pytest.mark.parametrize("answer", [Answer(status=404), Answer(status=204), Answer(b"")])
def test_a_missing_neighbour_is_reported_and_mirrored(answer: Answer) -> None:
    level, tiles = pyramid(3)
    tile, p = mercantile.Tile(4, 0, 3), 6
    table = paths(tiles.items()) | {"/3/5/0": answer, "/3/5/1": answer}
    with TileServer(table) as server:
        image = engine(server, p).get(tile)
    assert image.missing == ("E", "SE")
    assert image.outside == NORTH
    valid = np.zeros((SIZE + 2 * p, SIZE + 2 * p), bool)
    valid[p:, : SIZE + p] = True
    assert np.array_equal(image.valid(), valid)
    whole = expected(level, tile, p)
    assert np.array_equal(image.array()[:, : SIZE + p], whole[:, : SIZE + p])
    assert np.array_equal(image.array()[:, SIZE + p :], whole[:, SIZE : SIZE + p][:, ::-1])


def test_how_fetching_ended_is_counted() -> None:
    with TileServer({"/2/1/1": imagery.encode_png(np.zeros((16, 16, 3), np.uint8)), "/2/2/1": b"<html>"}) as server:
        tiles = engine(server, padding=4)
        with pytest.raises(TileSourceError, match="HTML"):
            tiles.get(mercantile.Tile(1, 1, 2))
        counts = tiles.outcomes()
        tiles.close()
    assert counts["html"] == 1
    assert counts["ok"] == 1


def test_at_zoom_one_one_missing_tile_is_missing_on_both_sides() -> None:
    table = paths(pyramid(1)[1].items())
    del table["/1/1/0"]
    with TileServer(table) as server:
        image = engine(server, 2).get(mercantile.Tile(0, 0, 1))
    assert image.missing == ("W", "E")
    assert image.outside == NORTH


def test_a_missing_centre_is_another_answer() -> None:
    table = paths(pyramid(2)[1].items())
    del table["/2/1/1"]
    with TileServer(table) as server:
        tiles = engine(server, 2)
        for _ in range(3):
            with pytest.raises(TileNotFoundError, match="no imagery at 2/1/1"):
                tiles.get(mercantile.Tile(1, 1, 2))
        assert server.requests["/2/1/1"] == 1


# Other sizes, bands, failures


def encoded(pixels: np.ndarray, kind: str = "png") -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    "neighbour",
    [
        np.full((SIZE, SIZE), 90, np.uint8),
        np.full((SIZE, SIZE, 4), 90, np.uint8),
        np.full((2 * SIZE, 2 * SIZE, 3), 90, np.uint8),
        np.full((SIZE // 2, SIZE // 2), 90, np.uint8),
    ],
    ids=["grey", "alpha", "twice the size", "half the size"],
)
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_neighbours_of_another_kind_are_made_like_the_centre(neighbour: np.ndarray, bands: int) -> None:
    centre = np.full((SIZE, SIZE, bands), 200, np.uint8).squeeze()
    table = {f"/2/{x}/{y}": encoded(neighbour) for x in range(4) for y in range(4)} | {"/2/1/1": encoded(centre)}
    with TileServer(table) as server:
        image = engine(server, 5).get(mercantile.Tile(1, 1, 2))
    array = image.array()
    assert image.size == SIZE
    assert array.shape == (SIZE + 10, SIZE + 10, bands)
    assert (array[5:-5, 5:-5] == 200).all()
    assert (array[:5, :, : min(bands, 3)] == 90).all()


def test_sixteen_bits_go_all_the_way() -> None:
    pixels = {
        (x, y): np.random.default_rng(x + 4 * y).integers(0, 2**16, (SIZE, SIZE), np.uint16)
        for x in range(4)
        for y in range(4)
    }
    with TileServer({f"/2/{x}/{y}": encoded(tile) for (x, y), tile in pixels.items()}) as server:
        image = engine(server, SIZE).get(mercantile.Tile(1, 1, 2))
    whole = np.block([[pixels[x, y] for x in range(3)] for y in range(3)])
    assert np.array_equal(image.array()[..., 0], whole)
    assert np.array_equal(imagery.decode(image.encoded())[..., 0], whole)


def test_eight_and_sixteen_bits_are_not_joined() -> None:
    table = paths(pyramid(2)[1].items()) | {"/2/1/1": encoded(np.zeros((SIZE, SIZE), np.uint16))}
    with TileServer(table) as server, pytest.raises(TileSourceError, match="uint16"):
        engine(server, 1).get(mercantile.Tile(1, 1, 2)).array()


@pytest.mark.parametrize(
    "answer",
    [Answer(status=500), Answer(status=403), Answer(b"<html>"), Answer(pyramid(2)[1][mercantile.Tile(0, 0, 2)][:-90])],
    ids=["500", "403", "html", "truncated"],
)
def test_a_failing_neighbour_is_never_taken_for_a_missing_one(answer: Answer) -> None:
    with TileServer(paths(pyramid(2)[1].items()) | {"/2/0/1": answer}) as server:
        with pytest.raises(TileSourceError, match="neighbour 2/0/1 of 2/1/1"):
            engine(server, 1).get(mercantile.Tile(1, 1, 2))
        assert engine(server, 0).get(mercantile.Tile(1, 1, 2)).size == SIZE


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "tile 2/1/1"),
        (encoded(np.zeros((SIZE, 2 * SIZE, 3), np.uint8)), "square"),
        (encoded(np.zeros((4096, 2048), np.uint8)), "too large"),
        (encoded(np.zeros((4, 4), np.uint8)), "padding"),
    ],
    ids=["no header", "not square", "too large", "smaller than the padding"],
)
def test_tiles_that_cannot_be_padded(tmp_path: Path, data: bytes, message: str) -> None:
    write_mbtiles(tmp_path / "a.mbtiles", {"name": "a"}, [(mercantile.Tile(1, 1, 2), data)])
    with pytest.raises(TileSourceError, match=message):
        TileEngine(MBTilesSource(str(tmp_path / "a.mbtiles")), 8).get(mercantile.Tile(1, 1, 2))


@pytest.mark.parametrize("broken", [(1, 1), (2, 1)], ids=["centre", "neighbour"])
def test_what_cannot_be_decoded_is_an_error_of_the_source(tmp_path: Path, broken: tuple[int, int]) -> None:
    tiles = pyramid(2)[1] | {mercantile.Tile(*broken, 2): pyramid(2)[1][mercantile.Tile(0, 0, 2)][:-400]}
    write_mbtiles(tmp_path / "a.mbtiles", {"name": "a"}, tiles.items())
    image = TileEngine(MBTilesSource(str(tmp_path / "a.mbtiles")), 1).get(mercantile.Tile(1, 1, 2))
    for read in (image.array, image.encoded):
        with pytest.raises(TileSourceError, match=f"tile 2/{broken[0]}/{broken[1]}"):
            read()
    assert image.valid().all()


# Time


def test_the_deadline_holds_whatever_the_server_does() -> None:
    never = threading.Event()
    with TileServer(paths(pyramid(2)[1].items()) | {"/2/2/2": Answer(wait_for=never)}) as server:
        tiles = engine(server, 1)
        start = time.monotonic()
        with pytest.raises(TileTimeoutError, match="neighbour 2/2/2 of 2/1/1"):
            tiles.get(mercantile.Tile(1, 1, 2), deadline=start + 1.0)
        assert time.monotonic() - start < 6
        never.set()
        tiles.close()


def test_a_closed_engine_says_so() -> None:
    with TileServer(paths(pyramid(2)[1].items())) as server:
        tiles = engine(server, 1)
        tiles.close()
        with pytest.raises(TileSourceError, match="closed"):
            tiles.get(mercantile.Tile(1, 1, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda source: TileEngine(source, 257), "padding 257"),
        (lambda source: TileEngine(source, -1), "padding -1"),
        (lambda source: TileEngine(source, 1, "black"), "black"),
    ],
)
def test_settings_that_cannot_work(make: Callable[[XYZSource], TileEngine], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make(XYZSource("https://tiles.example.com/{z}/{x}/{y}"))


@pytest.mark.filterwarnings("ignore:Mercantile 2.0")
@pytest.mark.parametrize("tile", [(-1, 0, 1), (2, 0, 1), (0, 2, 1), (0, 0, 31)])
def test_addresses_outside_the_pyramid(world: Path, tile: tuple[int, int, int]) -> None:
    with pytest.raises(AddressError):
        TileEngine(MBTilesSource(str(world))).get(mercantile.Tile(*tile))
