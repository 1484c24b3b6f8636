"""The same imagery in every form that is compared: a level of JPEG tiles, 34 x 34 of them, and rasters of it."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path
from typing import NamedTuple

import mercantile
import numpy as np
import rasterio
import rasterio.shutil
import simplejpeg
from PIL import Image
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from rasterio.transform import from_origin
from rasterio.warp import Resampling, calculate_default_transform, reproject

from playground import geo
from playground.sources.mbtiles import write_mbtiles

ZOOM = 14
COUNT = 34
FIRST = mercantile.Tile(8512, 5728, ZOOM)


class World(NamedTuple):
    mbtiles: Path
    pmtiles: Path
    cog: Path
    utm: Path


def picture() -> np.ndarray:
    """(H, W, 3): noise of several sizes, so that a tile has about the bytes of a photo from above."""
    side = COUNT * 256
    chance = np.random.default_rng(1)
    out = np.zeros((side, side, 3), np.float32)
    for cells, weight in ((side // 256, 60), (side // 32, 30), (side // 5, 24)):
        for band in range(3):
            noise = Image.fromarray((chance.random((cells, cells)) * 255).astype(np.uint8))
            wide = np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC), np.float32)
            out[..., band] += (wide - 128) * (weight / 64)
    return np.clip(out + 120, 1, 255).astype(np.uint8)


def make(folder: Path) -> World:
    world = World(*(folder / name for name in ("w.mbtiles", "w.pmtiles", "cog.tif", "utm.tif")))
    pixels = picture()
    tiles = {}
    for x in range(COUNT):
        for y in range(COUNT):
            part = np.ascontiguousarray(pixels[y * 256 : (y + 1) * 256, x * 256 : (x + 1) * 256])
            tiles[mercantile.Tile(FIRST.x + x, FIRST.y + y, ZOOM)] = simplejpeg.encode_jpeg(
                part, 80, colorsubsampling="420"
            )
    west, _, _, north = mercantile.bounds(FIRST)
    _, south, east, _ = mercantile.bounds(mercantile.Tile(FIRST.x + COUNT - 1, FIRST.y + COUNT - 1, ZOOM))
    about = {"name": "w", "format": "jpg", "minzoom": ZOOM, "maxzoom": ZOOM, "bounds": (west, south, east, north)}
    write_mbtiles(world.mbtiles, about, tiles.items())
    with world.pmtiles.open("wb") as file:
        writer = Writer(file)
        for number, data in sorted((zxy_to_tileid(tile.z, tile.x, tile.y), data) for tile, data in tiles.items()):
            writer.write_tile(number, data)
        degrees = {"min_lon_e7": west, "min_lat_e7": south, "max_lon_e7": east, "max_lat_e7": north}
        kinds = {"tile_type": TileType.JPEG, "tile_compression": Compression.NONE}
        writer.finalize({**kinds, **{name: int(value * 1e7) for name, value in degrees.items()}}, {})
    write_rasters(world, pixels, folder / "plain.tif")
    return world


def write_rasters(world: World, pixels: np.ndarray, plain: Path) -> None:
    pixel = 2 * geo.HALF_WORLD / 256 / 2**ZOOM
    corner = from_origin(FIRST.x * 256 * pixel - geo.HALF_WORLD, geo.HALF_WORLD - FIRST.y * 256 * pixel, pixel, pixel)
    side = COUNT * 256
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "photometric": "RGB"}
    with rasterio.open(plain, "w", width=side, height=side, crs="EPSG:3857", transform=corner, **profile) as out:
        out.write(np.moveaxis(pixels, -1, 0))
    how = {"driver": "COG", "compress": "JPEG", "quality": 80}
    rasterio.shutil.copy(plain, world.cog, blocksize=256, **how)
    with rasterio.open(plain) as source:
        grid, width, height = calculate_default_transform(source.crs, "EPSG:32632", side, side, *source.bounds)
        warped = np.zeros((3, height, width), np.uint8)
        reproject(
            rasterio.band(source, [1, 2, 3]),
            warped,
            dst_transform=grid,
            dst_crs="EPSG:32632",
            resampling=Resampling.nearest,
        )
    plain.unlink()
    with rasterio.open(plain, "w", width=width, height=height, crs="EPSG:32632", transform=grid, **profile) as out:
        out.write(warped)
    rasterio.shutil.copy(plain, world.utm, blocksize=512, **how)
    plain.unlink()


def mean_bytes(world: World) -> int:
    return int(sqlite3.connect(world.mbtiles).execute("SELECT avg(length(tile_data)) FROM tiles").fetchone()[0])


def open_picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))
