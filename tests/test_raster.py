"""Rasters: the pixels and the mask that rio-tiler reads, at the edges of the raster and of the map, too."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mercantile
import numpy as np
import pytest
from affine import Affine
from PIL import Image
from rasterio.transform import from_origin
from rasters import mercator_transform, picture, write_cog, write_raster
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader

from playground import imagery
from playground.errors import SourceSettingsError, TileNotFoundError, TileSourceError
from playground.sources import open_source
from playground.sources.raster import RasterSource
from playground.tiles import TileEngine, TileImage

ZOOM = 10
FIRST = mercantile.Tile(528, 352, ZOOM)
UTM = from_origin(300_000, 5_200_000, 60, 60)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PendingDeprecationWarning")


def utm(path: Path, pixels: np.ndarray, **options: object) -> Path:
    return write_raster(path, pixels, "EPSG:32632", UTM, **options)


def hole(height: int, width: int) -> np.ndarray:
    rows, columns = np.ogrid[:height, :width]
    return (rows - height // 2) ** 2 + (columns - width // 3) ** 2 > 150**2


def with_alpha(path: Path) -> Path:
    pixels = picture(700, 900, 4)
    pixels[3] = np.where(hole(700, 900), 255, 0)
    return utm(path, pixels, photometric="RGB", alpha="unassociated")


def with_nodata(path: Path) -> Path:
    return utm(path, np.where(hole(700, 900), picture(700, 900), 0).astype(np.uint8), nodata=0)


def with_colours(path: Path) -> Path:
    import rasterio

    utm(path, picture(700, 900, 1) % 8, photometric="palette")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {number: (number * 30, 255 - number * 9, number, 255) for number in range(8)})
    return path


RASTERS = {
    "cog": lambda path: write_cog(path, FIRST, picture(2048, 2048)),
    "cog of odd size": lambda path: write_cog(path, FIRST, picture(1500, 1700)),
    "cog off the grid": lambda path: write_raster(
        path,
        picture(900, 900),
        "EPSG:3857",
        mercator_transform(FIRST, 256) @ Affine.translation(0.3, 7),  # type: ignore[operator]
        tiled=True,
        blockxsize=256,
        blockysize=256,
    ),
    "grey cog": lambda path: write_cog(path, FIRST, picture(1024, 1024, 1)),
    "deflate cog": lambda path: write_cog(path, FIRST, picture(1024, 1024), compress="DEFLATE"),
    "utm": lambda path: utm(path, picture(700, 900)),
    "16 bits, four bands": lambda path: utm(path, picture(700, 900, 4, "uint16")),
    "floats": lambda path: utm(path, picture(700, 900, 1, "float32")),
    "signed": lambda path: utm(path, picture(700, 900, 2, "int16")),
    "alpha": with_alpha,
    "nodata": with_nodata,
    "mask": lambda path: utm(path, picture(700, 900), mask=hole(700, 900)),
    "palette": with_colours,
    "degrees": lambda path: write_raster(path, picture(300, 400), "EPSG:4326", from_origin(7, 47, 0.002, 0.002)),
}


@pytest.fixture(scope="module", params=RASTERS)
def raster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name = "colour.tif" if request.param in ("cog", "cog of odd size") else "image.tif"
    path: Path = RASTERS[request.param](tmp_path_factory.mktemp("raster") / name)
    return path


def read_by_rio_tiler(reader: Reader, tile: mercantile.Tile, padding: int) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        image = reader.tile(tile.x, tile.y, tile.z, tilesize=256, buffer=padding or None)
    except TileOutsideBounds:
        return None
    if reader.colormap:
        image = image.apply_colormap(reader.colormap)
    kind = image.mask.dtype
    least = np.finfo(kind).min if kind.kind == "f" else np.iinfo(kind).min
    return np.moveaxis(image.data, 0, -1), image.mask != least


def around(source: RasterSource, zoom: int) -> list[mercantile.Tile]:
    """Tiles within and at the edges of a raster, and one ring more."""
    corner, end = (mercantile.tile(*source.info().bounds[at : at + 2], zoom) for at in (0, 2))  # type: ignore[index]
    columns = {corner.x - 1, corner.x, (corner.x + end.x) // 2, end.x, end.x + 1}
    rows = {end.y - 1, end.y, (corner.y + end.y) // 2, corner.y, corner.y + 1}
    return [mercantile.Tile(x, y, zoom) for x, y in itertools.product(sorted(columns), sorted(rows))]


def assert_alike(got: np.ndarray, expected: np.ndarray, exactly: bool) -> None:
    """The same numbers; but JPEG libraries differ in the colours between the pixels of subsampled chroma."""
    if exactly:
        assert np.array_equal(got, expected)
    else:
        assert np.abs(got.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("padding", [0, 24])
def test_pixels_and_mask_are_those_of_rio_tiler(raster: Path, padding: int) -> None:
    source = RasterSource(str(raster))
    tiles = TileEngine(source, padding, "nodata")
    seen = {"found": 0, "missing": 0}
    with Reader(str(raster)) as reader:
        for tile in [*around(source, ZOOM)[::2], *around(source, ZOOM - 1)[::3], *around(source, ZOOM + 1)[::8]]:
            expected = read_by_rio_tiler(reader, tile, padding)
            core = slice(padding, padding + 256)
            if expected is None or not expected[1][core, core].any():
                seen["missing"] += 1
                with pytest.raises(TileNotFoundError):
                    tiles.get(tile)
                continue
            seen["found"] += 1
            image = tiles.get(tile)
            if source.reads_padded(tile, padding):
                assert np.array_equal(image.valid(), expected[1]), tile
            else:  # rio-tiler's mask of an overview ends a pixel early or late at the raster's own edge
                assert (image.valid() != expected[1]).sum() <= 2 * len(expected[1]), tile
            both = image.valid() & expected[1]
            assert image.array().dtype == expected[0].dtype
            assert_alike(image.array()[both], expected[0][both], exactly="colour" not in raster.name)
            assert image.size == 256
    assert min(seen.values()) > 2
    tiles.close()


def test_blocks_on_the_grid_are_handed_over_as_they_are(tmp_path: Path) -> None:
    source = open_source(str(RASTERS["cog"](tmp_path / "image.tif")))
    inside = [mercantile.Tile(FIRST.x + x, FIRST.y + y, ZOOM) for x in range(8) for y in range(8)]
    levels = [*inside, *{mercantile.parent(tile) for tile in inside}]
    assert not any(source.reads_padded(tile, 24) for tile in levels)
    assert all(source.fetch(tile).startswith(b"\xff\xd8\xff") for tile in levels)
    tiles = TileEngine(source, 24)
    for tile in inside:
        tiles.get(tile).array()
    assert tiles.stats().decodes == 64  # each block once
    assert tiles.get(FIRST).missing == ("NW", "N", "NE", "W", "SW")
    tiles.close()
    with pytest.raises(TileSourceError):
        source.fetch(FIRST)


def test_blocks_are_joined_to_the_pixels_of_their_decoder(tmp_path: Path) -> None:
    source = open_source(str(RASTERS["cog"](tmp_path / "image.tif")))
    rows = [[source.fetch(mercantile.Tile(FIRST.x + x, FIRST.y + y, ZOOM)) for x in range(3)] for y in range(3)]
    whole = np.concatenate([np.concatenate([np.asarray(Image.open(io.BytesIO(d))) for d in row], 1) for row in rows])
    array = TileEngine(source, 24).get(mercantile.Tile(FIRST.x + 1, FIRST.y + 1, ZOOM)).array()
    assert np.array_equal(array, whole[232:536, 232:536])


@pytest.mark.parametrize("name", ["cog off the grid", "deflate cog", "utm", "alpha"])
def test_all_else_is_left_to_rio_tiler(tmp_path: Path, name: str) -> None:
    source = RasterSource(str(RASTERS[name](tmp_path / "image.tif")))
    assert all(source.reads_padded(tile, 0) for tile in around(source, ZOOM))
    source.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[np.ndarray, RasterSource]]:
    pixels = picture(1024, 1024)
    path = write_raster(tmp_path / "world.tif", pixels, "EPSG:3857", mercator_transform(mercantile.Tile(0, 0, 2)))
    source = RasterSource(str(path))
    yield np.moveaxis(pixels, 0, -1), source
    source.close()


@pytest.mark.parametrize("padding", [1, 24, 256])
def test_padding_comes_across_the_antimeridian_and_ends_at_the_poles(
    world: tuple[np.ndarray, RasterSource], padding: int
) -> None:
    pixels, source = world
    tiles = TileEngine(source, padding, "reflect")
    whole = np.pad(pixels, ((0, 0), (padding, padding), (0, 0)), mode="wrap")
    whole = np.pad(whole, ((padding, padding), (0, 0), (0, 0)), mode="symmetric")
    side = 256 + 2 * padding
    for x, y in itertools.product(range(4), range(4)):
        image = tiles.get(mercantile.Tile(x, y, 2))
        assert np.array_equal(image.array(), whole[y * 256 : y * 256 + side, x * 256 : x * 256 + side]), (x, y)
        assert image.missing == ()
        rows = np.arange(-padding, 256 + padding) + y * 256
        assert np.array_equal(image.valid()[:, 0], (rows >= 0) & (rows < 1024))
        assert image.outside == {0: ("NW", "N", "NE"), 3: ("SW", "S", "SE")}.get(y, ())


def test_a_whole_world_in_one_tile_is_its_own_neighbour(world: tuple[np.ndarray, RasterSource]) -> None:
    image = TileEngine(world[1], 8).get(mercantile.Tile(0, 0, 0))
    array = image.array()
    assert np.array_equal(array[8:-8, :8], array[8:-8, -16:-8])
    assert np.array_equal(array[8:-8, -8:], array[8:-8, 8:16])
    assert image.missing == ()


def test_what_makes_a_picture_is_one_and_else_the_message_says_what_to_read(tmp_path: Path) -> None:
    def get(name: str, padding: int) -> tuple[RasterSource, TileImage]:
        source = RasterSource(str(RASTERS[name](tmp_path / f"{name}-{padding}.tif")))
        return source, TileEngine(source, padding).get(around(source, ZOOM)[12])

    for padding in (0, 24):
        image = get("utm", padding)[1]
        assert np.array_equal(imagery.decode(image.encoded()), image.array())
    source, image = get("16 bits, four bands", 8)
    with pytest.raises(TileSourceError, match="4 bands of uint16") as caught:
        image.encoded()
    assert "tile.array" in caught.value.hint
    with pytest.raises(TileSourceError, match="4 bands of uint16"):
        source.fetch(image.tile)


def test_many_threads_read_what_one_reads(tmp_path: Path) -> None:
    source = RasterSource(str(RASTERS["mask"](tmp_path / "image.tif")))
    tiles = [tile for tile in around(source, ZOOM) if mercantile.bounds(tile).west > source.info().bounds[0]][:12] * 4  # type: ignore[index]

    def read(tile: mercantile.Tile) -> bytes:
        try:
            return source.fetch(tile)
        except TileNotFoundError:
            return b""

    alone = [read(tile) for tile in tiles]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, tiles)) == alone
    assert any(alone)
    source.close()
    with pytest.raises(TileSourceError, match="closed"):
        source.fetch(tiles[0])


def test_what_a_raster_says_about_itself(tmp_path: Path) -> None:
    info = open_source(str(RASTERS["cog"](tmp_path / "coast.tif"))).info()
    assert (info.name, info.maxzoom) == ("coast", ZOOM)
    box = mercantile.bounds(FIRST)
    assert info.bounds[0] == pytest.approx(box.west)  # type: ignore[index]
    assert info.bounds[3] == pytest.approx(box.north)  # type: ignore[index]


# What is broken


def test_files_that_are_no_rasters(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0 and nothing else")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_raster(tmp_path / "b.tif", picture(64, 64), None, None)  # type: ignore[arg-type]
    for name, words in {"a.tif": "cannot be opened", "b.tif": "not where on Earth", "c.tif": "no file"}.items():
        with pytest.raises(SourceSettingsError, match=words):
            open_source(str(tmp_path / name))


@pytest.mark.parametrize("name", ["cog", "utm"])
def test_a_file_that_is_cut_short_while_it_is_read(tmp_path: Path, name: str) -> None:
    path = RASTERS[name](tmp_path / "image.tif")
    source = RasterSource(str(path))
    some = around(source, ZOOM)[12]
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 8)
    tiles = TileEngine(source, 24)
    with pytest.raises(TileSourceError):
        tiles.get(some).array()


def test_an_unreachable_raster_is_told_without_its_key() -> None:
    with pytest.raises(SourceSettingsError) as caught:
        open_source("http://me:hunter2@127.0.0.1:9/image.tif?token=hunter2")
    assert "hunter2" not in caught.value.message + caught.value.hint + str(caught.value.__cause__.__class__)


def test_without_the_extra_the_message_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['rasterio'] = None\n"
        "from playground.sources import open_source\n"
        "from playground.errors import SourceSettingsError\n"
        "try: open_source('image.tif')\n"
        "except SourceSettingsError as error: print(error.message, '|', error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "not installed" in done.stdout
    assert "pip install 'tile-playground[raster]'" in done.stdout
