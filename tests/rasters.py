"""Rasters for tests and benchmarks, written by rasterio."""

from __future__ import annotations

from pathlib import Path

import mercantile
import numpy as np
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin

from playground import geo


def picture(height: int, width: int, bands: int = 3, kind: str = "uint8", seed: int = 3) -> np.ndarray:
    """(bands, height, width): smooth enough for JPEG, and no two places alike."""
    most = np.iinfo(kind).max if np.dtype(kind).kind in "iu" else 1.0
    coarse = np.random.default_rng(seed).random((bands, height // 16 + 2, width // 16 + 2))
    fine = np.kron(coarse, np.ones((1, 16, 16)))[:, :height, :width]
    slope = np.linspace(0.2, 1, width)
    return (1 + fine * slope * (most - 1)).astype(kind)


def write_raster(path: Path, pixels: np.ndarray, crs: str, transform: object, **options: object) -> Path:
    """A GeoTIFF; ``mask`` (H, W) booleans become an internal mask."""
    mask = options.pop("mask", None)
    bands, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": pixels.dtype}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile, crs=crs, transform=transform, **options) as dataset,
    ):
        dataset.write(pixels)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def mercator_transform(tile: mercantile.Tile, size: int = 256) -> object:
    """The transform of a raster whose first pixel is the north-western one of a tile, at the tile's resolution."""
    pixel = 2 * geo.HALF_WORLD / size / 2**tile.z
    return from_origin(tile.x * size * pixel - geo.HALF_WORLD, geo.HALF_WORLD - tile.y * size * pixel, pixel, pixel)


def write_cog(path: Path, first: mercantile.Tile, pixels: np.ndarray, **options: object) -> Path:
    """A Cloud Optimized GeoTIFF in web mercator, from the north-western corner of a tile on."""
    plain = path.with_name(f"{path.stem}-plain.tif")
    write_raster(plain, pixels, "EPSG:3857", mercator_transform(first))
    settings = {"driver": "COG", "compress": "JPEG", "quality": 85, "blocksize": 256, "overviews": "AUTO", **options}
    rasterio.shutil.copy(plain, path, **settings)
    plain.unlink()
    return path
