"""Tiles on their way through the server, made of what was fetched or posted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import mercantile
import numpy as np

from playground import geo, imagery
from playground.errors import ImageError
from playground.predictor import ServedTile
from playground.settings import RunningSettings
from playground.tiles import TileImage
from playground_interfaces import Tile

Made = TypeVar("Made")

TILE_SIZES = (256, 512)
"""Pixels along one side of the tiles that sources serve."""
MAX_PIXELS = 64 * 1024 * 1024
"""The largest image that is decoded: 8192 x 8192."""


def tile_of_image(image: TileImage, deadline: float | None, abandoned: Callable[[], bool] | None = None) -> ServedTile:
    """The partner's Tile of a fetched and padded tile."""
    tile: mercantile.Tile = image.tile
    served: ServedTile = ServedTile(
        image.url,
        deadline=deadline,
        abandoned=abandoned,
        z=tile.z,
        x=tile.x,
        y=tile.y,
        padding=image.padding,
        size=image.size,
        bounds=geo.bounds(tile),
        resolution=geo.resolution(tile, image.size),
        load_image=lambda: bytearray(encoded()),
        load_array=lambda: _timed(served, "decode", image.array),
        load_valid=image.valid,
    )

    def encoded() -> bytes:
        if image.padding == 0:
            return image.encoded()
        _timed(served, "decode", image.array)
        return _timed(served, "encode", image.encoded)

    return served


def let_go(served: Tile) -> None:
    """Free a tile that was predicted: it is one of its own tiles, and what makes its parts holds it, so that it and its
    pixels would stay for the garbage collector."""
    for each in served.tiles:
        each._loaders.clear()
    served.tiles.clear()


def tile_of_encoded(
    data: bytes, padding: int, deadline: float, abandoned: Callable[[], bool] | None = None, url: str = ""
) -> tuple[ServedTile, int]:
    """The partner's Tile of an encoded image.

    Args:
        data: the image.
        padding: the service's, in pixels. A square of a tile and its padding is a padded tile; anything else an image
            without padding.
        deadline: on the clock of ``time.monotonic``.
        abandoned: tells whether nobody waits for the answer any more.
        url: where it came from.

    Returns:
        The tile, and its image's width in pixels without padding.

    Raises:
        ImageError: not an image, a damaged one, or too large a one.
    """
    width, height = imagery.check_image(data, MAX_PIXELS)
    imagery.check_whole(data)
    if imagery.is_turned(data):  # some readers follow EXIF and some don't: all shall see the same pixels
        data = imagery.encode_png(imagery.decode(data, upright=True))
        width, height = imagery.image_size(data)
    if width != height or width - 2 * padding not in TILE_SIZES:
        padding = 0
    served: ServedTile = ServedTile(
        url,
        data if isinstance(data, bytearray) else bytearray(data),
        deadline=deadline,
        abandoned=abandoned,
        padding=padding,
        size=width - 2 * padding if width == height else None,
        load_array=lambda: _timed(served, "decode", lambda: imagery.decode(data)),
        load_valid=lambda: np.ones((height, width), bool),
    )
    return served, width - 2 * padding


def warmup_of(settings: RunningSettings) -> Callable[[], Tile] | None:
    """A grey tile of the service's size, to be predicted before the first request; None where that is switched off."""
    if settings.warmup == "none":
        return None
    size = TILE_SIZES[0]
    pixels = np.full((size + 2 * settings.padding,) * 2 + (3,), 128, np.uint8)
    tile = geo.check_tile(settings.zoom_level, 0, 0)
    return lambda: ServedTile(
        "warm-up",
        bytearray(imagery.encode_png(pixels)),
        z=tile.z,
        x=tile.x,
        y=tile.y,
        padding=settings.padding,
        size=size,
        bounds=geo.bounds(tile),
        resolution=geo.resolution(tile, size),
        load_array=lambda: pixels,
        load_valid=lambda: np.zeros(pixels.shape[:2], bool),
    )


def valid_of(mask: bytes, size: tuple[int, int]) -> Callable[[], imagery.Mask]:
    """Makes ``tile.valid`` of an encoded mask.

    Raises:
        ImageError: no image, or one of another size.
    """
    found = imagery.check_image(mask, MAX_PIXELS)
    if found != size:
        raise ImageError(f"the mask is {found[0]} x {found[1]} pixels, the image {size[0]} x {size[1]}")
    valid: imagery.Mask = imagery.decode(mask)[..., 0] > 0
    return lambda: valid


def _timed(served: ServedTile, step: str, make: Callable[[], Made]) -> Made:
    """Make a part of a tile, and note how long it took; the first time counts, later it is there."""
    began = time.monotonic()
    try:
        return make()
    finally:
        served.timing.setdefault(step, time.monotonic() - began)
