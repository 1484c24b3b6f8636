"""What every kind of source in the registry promises. A new kind is tested by having a line in WORLDS."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mercantile
import numpy as np
import pytest
from pmtilesfile import write_pmtiles
from rasters import mercator_transform, write_raster
from tileserver import TileServer, cut_level, level_picture, paths
from wmtsserver import WMTS, document, layer, limits, link, matrix, matrix_set

from playground import imagery
from playground.errors import SourceSettingsError, TileNotFoundError, TileSourceError
from playground.sources import SOURCES, TileSource, kind_of, open_source
from playground.sources.mbtiles import write_mbtiles
from playground.tiles import TileEngine, TileImage

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PendingDeprecationWarning")

ZOOM = 3
SIZE = 256
LEVEL = level_picture(ZOOM, SIZE)
PICTURES = dict(cut_level(LEVEL, ZOOM))
WEST = {tile: data for tile, data in PICTURES.items() if tile.x < 4}
"""The western half is there, the eastern is not."""
SECRET = "hunter2"

World = Callable[[Path], contextlib.AbstractContextManager[str]]
"""Makes a world of WEST below a folder and gives the string that names it."""


@contextlib.contextmanager
def xyz(_folder: Path) -> Iterator[str]:
    with TileServer(paths(WEST.items())) as server:
        yield server.address.replace("//", f"//me:{SECRET}@") + "/{z}/{x}/{y}"


@contextlib.contextmanager
def mbtiles(folder: Path) -> Iterator[str]:
    write_mbtiles(folder / "world.mbtiles", {"name": "world", "bounds": (-180, -85.06, 0, 85.06)}, WEST.items())
    yield str(folder / "world.mbtiles")


@contextlib.contextmanager
def directory(folder: Path) -> Iterator[str]:
    for tile, data in WEST.items():
        path = folder / "tiles" / f"{tile.z}/{tile.x}/{tile.y}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    yield str(folder / "tiles/{z}/{x}/{y}.png")


@contextlib.contextmanager
def wmts(_folder: Path) -> Iterator[str]:
    service = WMTS(WEST, prefix="EPSG:900913:")
    with TileServer(service) as server:
        place = server.address.replace("//", f"//me:{SECRET}@")
        only = link("grid", limits(f"EPSG:900913:{ZOOM}", (0, 3), (0, 7)))
        matrices = "".join(matrix(f"EPSG:900913:{zoom}", zoom) for zoom in range(12))
        service.document = document(layer("imagery", only) + matrix_set("grid", matrices), f"{server.address}/kvp?")
        yield f"wmts:{place}/wmts?key={SECRET}#layer=imagery"


@contextlib.contextmanager
def pmtiles(folder: Path) -> Iterator[str]:
    bounds = {"min_lon_e7": -1800000000, "min_lat_e7": -850600000, "max_lon_e7": 0, "max_lat_e7": 850600000}
    yield str(write_pmtiles(folder / "world.pmtiles", WEST.items(), **bounds))


@contextlib.contextmanager
def raster(folder: Path) -> Iterator[str]:
    pixels = LEVEL[:, : 4 * SIZE].transpose(2, 0, 1)
    transform = mercator_transform(mercantile.Tile(0, 0, ZOOM))
    yield str(write_raster(folder / "world.tif", pixels, "EPSG:3857", transform))


WORLDS: dict[str, World] = {
    "wmts": wmts,
    "xyz": xyz,
    "mbtiles": mbtiles,
    "directory": directory,
    "pmtiles": pmtiles,
    "raster": raster,
}
SAYS_BOUNDS = set(WORLDS) - {"xyz"}
"""A template of addresses says nothing about what is there."""
SAYS_FORMAT = SAYS_BOUNDS - {"raster"}
"""A raster is read at any zoom, and its tiles have no format of their own."""


@pytest.fixture(scope="module", params=sorted(SOURCES))
def kind(request: pytest.FixtureRequest) -> str:
    assert request.param in WORLDS, f"{request.param} has no world to be tested in: add one to WORLDS"
    return str(request.param)


@pytest.fixture(scope="module")
def source(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TileSource]:
    with WORLDS[kind](tmp_path_factory.mktemp(kind)) as text:
        assert kind_of(text) == kind
        opened = open_source(text)
        yield opened
        opened.close()


def test_all_kinds_give_the_same_pixels(source: TileSource) -> None:
    for tile in WEST:
        part = LEVEL[tile.y * SIZE : (tile.y + 1) * SIZE, tile.x * SIZE : (tile.x + 1) * SIZE]
        assert np.array_equal(imagery.decode(source.fetch(tile))[..., :3], part)


@pytest.mark.parametrize("tile", [mercantile.Tile(4, 0, 3), mercantile.Tile(7, 7, 3), mercantile.Tile(1025, 3, 11)])
def test_beyond_its_bounds_there_is_no_imagery(source: TileSource, tile: mercantile.Tile) -> None:
    with pytest.raises(TileNotFoundError):
        source.fetch(tile)


def test_many_are_each_as_it_is_alone(source: TileSource) -> None:
    beyond = [mercantile.Tile(4, 0, 3), mercantile.Tile(4, 1, 3), mercantile.Tile(1025, 3, 11)]
    found = source.fetch_many([*WEST, *beyond])
    assert {tile: found[tile] for tile in WEST} == {tile: source.fetch(tile) for tile in WEST}
    assert all(isinstance(found[tile], TileNotFoundError) for tile in beyond)
    assert source.fetch_many([]) == {}


def test_images_of_many_are_as_those_of_each(source: TileSource) -> None:
    alone, together = TileEngine(source, 24), TileEngine(source, 24)
    tiles = [mercantile.Tile(x, y, ZOOM) for x in range(5) for y in range(4)]
    alone.get(tiles[0])  # from here on it knows that there is imagery
    for tile, image in zip(tiles, together.get_all(tiles), strict=True):
        if tile in WEST:
            other = alone.get(tile)
            assert isinstance(image, TileImage)
            assert np.array_equal(image.array(), other.array())
            assert np.array_equal(image.valid(), other.valid())
            assert (image.url, image.missing, image.outside) == (other.url, other.missing, other.outside)
        else:
            assert isinstance(image, TileNotFoundError)


def test_many_threads_may_share_a_source(source: TileSource) -> None:
    tiles = list(WEST) * 4
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(source.fetch, tiles))
    alone = {tile: source.fetch(tile) for tile in WEST}
    assert got == [alone[tile] for tile in tiles]


def test_a_source_says_what_it_is(kind: str, source: TileSource) -> None:
    info = source.info()
    assert info.name
    if kind in SAYS_FORMAT:
        assert (info.minzoom, info.maxzoom, info.format) == (ZOOM, ZOOM, "png")
    if kind in SAYS_BOUNDS:
        assert info.bounds == pytest.approx((-180, -85.06, 0, 85.06), abs=0.02)


def test_addresses_and_names_show_no_secrets(source: TileSource) -> None:
    shown = source.url(mercantile.Tile(1, 2, 3)) + repr(source.info())
    assert "3" in shown
    assert SECRET not in shown


def test_a_broken_file_is_told_in_one_line(kind: str, tmp_path: Path) -> None:
    suffix = re.search(r"\.\w+$", SOURCES[kind].example)
    if "://" in SOURCES[kind].example:
        text = SOURCES[kind].example.replace("//", "//[")
    else:
        path = tmp_path / f"broken{suffix[0] if suffix else ''}"
        path.write_bytes(b"this is not what the name says\n" * 100)
        text = f"{path}/{{z}}/{{x}}/{{y}}.png" if kind == "directory" else str(path)
    with pytest.raises(SourceSettingsError) as caught:
        open_source(text)
    assert caught.value.message
    assert "\n" not in caught.value.message


def test_a_file_that_is_not_there_is_told(kind: str, tmp_path: Path) -> None:
    example = SOURCES[kind].example
    if "://" not in example:
        with pytest.raises(SourceSettingsError, match=r"no (file|folder)"):
            open_source(str(tmp_path / example))


def test_a_closed_source_fails_in_our_words_or_still_works(kind: str, tmp_path: Path) -> None:
    tile = next(iter(WEST))
    with WORLDS[kind](tmp_path) as text:
        source = open_source(text)
        source.close()
        source.close()
        with contextlib.suppress(TileSourceError):
            assert source.fetch(tile) == WEST[tile]
