"""What a padded tile costs (padding 24: nine tiles), against the readers that people use today.

One run, one process, files warm, readers kept open. No one keeps anything between tiles: our caches and GDAL's are off,
since else the second tile would already be half there; the last lines show what ours save over an area.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import contextily
import mercantile
import numpy as np
import rasterio
import requests
from pmtiles.reader import MmapSource
from pmtiles.reader import Reader as PMReader
from rasterio.windows import from_bounds
from rich.console import Console
from rich.table import Table
from rio_tiler.io import Reader
from world import COUNT, FIRST, ZOOM, World, make, mean_bytes, open_picture

from playground import geo
from playground.sources import open_source
from playground.tiles import TileEngine, TileImage, walking_order

PADDING = 24
SIDE = 256 + 2 * PADDING
CACHE_BYTES = 8 * 2**20
"""GDAL's cache of blocks: enough for the tile that is read, not for those before."""
TMS = """<GDAL_WMS><Service name="TMS"><ServerUrl>{address}/${{z}}/${{x}}/${{y}}.jpg</ServerUrl></Service>
<DataWindow><UpperLeftX>-20037508.34</UpperLeftX><UpperLeftY>20037508.34</UpperLeftY>
<LowerRightX>20037508.34</LowerRightX><LowerRightY>-20037508.34</LowerRightY><TileLevel>{zoom}</TileLevel>
<TileCountX>1</TileCountX><TileCountY>1</TileCountY><YOrigin>top</YOrigin></DataWindow>
<Projection>EPSG:3857</Projection><BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY><BandsCount>3</BandsCount>
<MaxConnections>9</MaxConnections></GDAL_WMS>"""

TURN = 6
"""Tiles read by one reader before the next one's turn."""

ReadTile = Callable[[mercantile.Tile], np.ndarray]


def padded_bounds(tile: mercantile.Tile) -> tuple[float, float, float, float]:
    """(left, bottom, right, top), metres."""
    box = mercantile.xy_bounds(tile)
    ring = PADDING * 2 * geo.HALF_WORLD / 256 / 2**tile.z
    return box.left - ring, box.bottom - ring, box.right + ring, box.top + ring


def joined(get: Callable[[int, int, int], bytes]) -> ReadTile:
    """Nine tiles decoded by Pillow, joined and cropped."""

    def read(tile: mercantile.Tile) -> np.ndarray:
        whole = np.empty((768, 768, 3), np.uint8)
        for row, column in itertools.product(range(3), repeat=2):
            part = open_picture(get(tile.z, tile.x + column - 1, tile.y + row - 1))
            whole[row * 256 : (row + 1) * 256, column * 256 : (column + 1) * 256] = part
        return whole[256 - PADDING : 512 + PADDING, 256 - PADDING : 512 + PADDING]

    return read


def by_us(text: str) -> ReadTile:
    engine = TileEngine(open_source(text), PADDING, cache_bytes=1, cache_pixels=1)
    return lambda tile: engine.get(tile).array()


def by_rio_tiler(path: str) -> ReadTile:
    reader = Reader(path)
    return lambda tile: np.moveaxis(reader.tile(tile.x, tile.y, tile.z, buffer=PADDING).data, 0, -1)


def by_rasterio(path: str, **options: object) -> ReadTile:
    dataset = rasterio.open(path, **options)

    def read(tile: mercantile.Tile) -> np.ndarray:
        window = from_bounds(*padded_bounds(tile), transform=dataset.transform)
        return np.moveaxis(dataset.read((1, 2, 3), window=window, out_shape=(3, SIDE, SIDE)), 0, -1)

    return read


def by_contextily(address: str) -> ReadTile:
    def read(tile: mercantile.Tile) -> np.ndarray:
        template = address + "/{z}/{x}/{y}.jpg"
        picture, _ = contextily.bounds2img(*padded_bounds(tile), zoom=tile.z, source=template, use_cache=False)
        low, high = 256 - PADDING, 512 + PADDING
        return picture[low:high, low:high, :3]

    return read


def compare(readers: dict[str, ReadTile], tiles: list[mercantile.Tile]) -> dict[str, float]:
    """Median milliseconds a tile; what they read must be alike.

    The readers take turns, a few tiles each, in an order that is turned round each time. The first of a turn is not
    counted: it finds the processor's caches, and the server's, as another reader left them.
    """
    took: dict[str, list[float]] = {name: [] for name in readers}
    for turn, at in enumerate(range(0, len(tiles), TURN)):
        some = tiles[at : at + TURN]
        read: dict[str, list[np.ndarray]] = {}
        order = list(readers.items())
        for name, reader in order if turn % 2 else reversed(order):
            read[name] = []
            for number, tile in enumerate(some):
                began = time.perf_counter()
                read[name].append(reader(tile))
                if number and turn:
                    took[name].append((time.perf_counter() - began) * 1000)
        for tile, first, *others in zip(some, read["playground"], *read.values(), strict=True):
            for name, pixels in zip(read, others, strict=True):
                alike = pixels.shape == first.shape and np.abs(first.astype(int) - pixels).mean() < 20
                if pixels.size and not alike:
                    sys.exit(f"{name} does not read what playground reads at {tile}")
    return {name: statistics.median(times) for name, times in took.items()}


class Server:
    def __init__(self, path: Path, delay_ms: int) -> None:
        command = [sys.executable, str(Path(__file__).with_name("server.py")), str(path), str(delay_ms)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def __enter__(self) -> str:
        return self.address

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def over_http(address: str, folder: Path) -> dict[str, ReadTile]:
    session = requests.Session()
    tms = folder / "tms.xml"
    tms.write_text(TMS.format(address=address, zoom=ZOOM))
    return {
        "playground": by_us(address + "/{z}/{x}/{y}.jpg"),
        "rio-tiler, GDAL's TMS driver": by_rio_tiler(str(tms)),
        "requests + Pillow": joined(lambda z, x, y: session.get(f"{address}/{z}/{x}/{y}.jpg", timeout=9).content),
        "contextily": by_contextily(address),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=90, help="padded tiles of each reader")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    inside = [mercantile.Tile(FIRST.x + x, FIRST.y + y, ZOOM) for x in range(1, COUNT - 1) for y in range(1, COUNT - 1)]
    tiles = [inside[(number * 379) % len(inside)] for number in range(options.tiles)]
    table = Table("from", "reader", "ms a tile", "x ours", "aim")
    with tempfile.TemporaryDirectory() as name, rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        folder = Path(name)
        world = make(folder)
        table.title = f"padded tile of {SIDE} pixels; tiles of {mean_bytes(world)} bytes; median of {len(tiles)}"

        def show(source: str, readers: dict[str, ReadTile], aims: dict[str, str], some: list[mercantile.Tile]) -> None:
            took = compare(readers, some)
            ours = took["playground"]
            for name, milliseconds in took.items():
                table.add_row(source, name, f"{milliseconds:.2f}", f"{milliseconds / ours:.2f}", aims.get(name, ""))

        for source, readers, aims in local_peers(world):
            show(source, readers, aims, tiles)
        with Server(world.mbtiles, 0) as address:
            show(
                "HTTP, 0 ms",
                over_http(address, folder),
                {"rio-tiler, GDAL's TMS driver": "4", "requests + Pillow": "5"},
                tiles,
            )
        with Server(world.mbtiles, 30) as address:
            readers = over_http(address, folder) | {"one round trip": round_trip}
            show("HTTP, 30 ms", readers, {"one round trip": "0.87", "contextily": "15"}, tiles[:18])
        Console(width=120).print(table)
        area("MBTiles", str(world.mbtiles), inside)
        for delay in (0, 30):
            with Server(world.mbtiles, delay) as address:
                area(f"HTTP, {delay} ms (aim: 1000 fetches/s)", address + "/{z}/{x}/{y}.jpg", inside)


def round_trip(_: mercantile.Tile) -> np.ndarray:
    """The delay itself, as the bound."""
    time.sleep(0.03)
    return np.zeros(0)


def local_peers(world: World) -> list[tuple[str, dict[str, ReadTile], dict[str, str]]]:
    pm_reader = PMReader(MmapSource(world.pmtiles.open("rb")))
    gdal, pillow, rio = "GDAL's driver, rasterio", "pmtiles + Pillow", "rio-tiler, buffer"
    ours = "playground"
    return [
        ("MBTiles", {ours: by_us(str(world.mbtiles)), gdal: by_rasterio(str(world.mbtiles))}, {gdal: "3"}),
        ("PMTiles", {ours: by_us(str(world.pmtiles)), pillow: joined(pm_reader.get)}, {pillow: "6"}),
        ("COG on the grid", {ours: by_us(str(world.cog)), rio: by_rio_tiler(str(world.cog))}, {rio: "4"}),
        ("UTM raster", {ours: by_us(str(world.utm)), rio: by_rio_tiler(str(world.utm))}, {rio: "1"}),
    ]


def area(source: str, text: str, inside: list[mercantile.Tile]) -> None:
    """An area one tile after the other, and column by column as runs over areas read it; caches as they are if nobody
    says otherwise."""
    for words, read in (("one by one", one_by_one), ("in columns", in_columns)):
        engine = TileEngine(open_source(text), PADDING)
        began, used = time.perf_counter(), time.process_time()
        read(engine, inside)
        took, used = time.perf_counter() - began, time.process_time() - used
        stats = engine.stats()
        engine.close()
        print(
            f"{source}, {words}: 32 x 32 tiles, {COUNT * COUNT} distinct: {stats.fetches} fetches, {stats.decodes} "
            f"decodes, {took:.2f} s, {stats.fetches / took:.0f} fetches/s, "
            f"{used / len(inside) * 1e6:.0f} us of CPU a tile"
        )
        if read is one_by_one and (stats.fetches, stats.decodes) != (COUNT * COUNT, COUNT * COUNT):
            sys.exit("a tile was fetched or decoded more than once")


def one_by_one(engine: TileEngine, inside: list[mercantile.Tile]) -> None:
    for walked in engine.walk(walking_order(inside, engine.walking_width())):
        assert walked.image is not None, walked.error
        walked.image.array()


def in_columns(engine: TileEngine, inside: list[mercantile.Tile]) -> None:
    tiles = sorted(inside, key=lambda tile: (tile.y // 16, tile.x, tile.y))
    chunks = [tiles[start : start + 16] for start in range(0, len(tiles), 16)]
    for chunk in chunks[:4]:
        engine.prefetch_all(chunk)
    for chunk, later in itertools.zip_longest(chunks, chunks[4:], fillvalue=()):
        engine.prefetch_all(later)
        for image in engine.get_all(chunk):
            assert isinstance(image, TileImage), image
            image.array()


if __name__ == "__main__":
    main()
