"""The imagery below an overview: a bounded number of tiles, from the lowest zoom that is fine enough."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import mercantile
import numpy as np
from PIL import Image

from playground import imagery
from playground.area.view import View
from playground.errors import PlaygroundError
from playground.imagery import Pixels
from playground.sources import TileSource

MOST = 300
"""Tiles fetched for one picture: 17 x 17 of 256 pixels are 2,048 pixels square, and a little."""
THREADS = 8
SECONDS = 30.0
"""For all of them."""
SIDE = 256
Colour = tuple[int, int, int]


def backdrop(source: TileSource, view: View, size: tuple[int, int], paper: Colour) -> Image.Image:
    """What a source shows of a view; paper where it shows nothing, or fails.

    Where even the lowest zoom that it has would take more than MOST tiles, some of them lend their mean colour to those
    around them.

    Args:
        source: of tiles.
        view: which part of the map.
        size: (width, height) of the picture.
        paper: colour of what is not there.
    """
    deadline = time.monotonic() + SECONDS
    info = source.info()
    zoom = view.zoom
    while zoom > max(0, info.minzoom or 0) and _is_finer(view, zoom, size):
        zoom -= 1
    zoom = min(zoom, view.zoom if info.maxzoom is None else info.maxzoom)
    found = _mosaic(source, view, zoom, paper, deadline)
    if found is None and zoom < view.zoom:  # no such level: the one that was predicted is there
        zoom = view.zoom
        found = _mosaic(source, view, zoom, paper, deadline)
    if found is None:
        return Image.new("RGB", size, paper)
    mosaic, (left, top), a_tile = found
    factor = 2.0 ** (zoom - view.zoom)
    box = (
        (view.left * factor - left) * a_tile,
        (view.top * factor - top) * a_tile,
        (view.right * factor - left) * a_tile,
        (view.bottom * factor - top) * a_tile,
    )
    box = (*box[:2], min(box[2], mosaic.width), min(box[3], mosaic.height))
    return mosaic.resize(size, Image.Resampling.LANCZOS if a_tile >= 1 else Image.Resampling.BILINEAR, box=box)


def _is_finer(view: View, zoom: int, size: tuple[int, int]) -> bool:
    """Whether a level has more pixels than the picture by half, or too many tiles."""
    (left, top, right, bottom) = _span(view, zoom)
    pixels_wide = view.columns * 2.0 ** (zoom - view.zoom) * SIDE
    return pixels_wide > 1.5 * size[0] or (right - left) * (bottom - top) > MOST


def _span(view: View, zoom: int) -> tuple[int, int, int, int]:
    """The tiles of another zoom that hold a view: columns left to right - 1, rows top to bottom - 1."""
    down = view.zoom - zoom
    return view.left >> down, view.top >> down, -(-view.right >> down), -(-view.bottom >> down)


def _mosaic(
    source: TileSource, view: View, zoom: int, paper: Colour, deadline: float
) -> tuple[Image.Image, tuple[int, int], float] | None:
    """Tiles of one level side by side, the column and row of the first, and pixels a tile; None if there are none."""
    left, top, right, bottom = _span(view, zoom)
    step = 1
    while -(-(right - left) // step) * -(-(bottom - top) // step) > MOST:
        step += 1
    side = SIDE if step == 1 else 1
    columns, rows = range(left + step // 2, right + step // 2, step), range(top + step // 2, bottom + step // 2, step)
    mosaic = Image.new("RGB", (len(columns) * side, len(rows) * side), paper)
    wanted = [
        (mercantile.Tile(min(x, right - 1) % 2**zoom, min(y, bottom - 1), zoom), (column * side, row * side))
        for row, y in enumerate(rows)
        for column, x in enumerate(columns)
    ]
    any_there = False
    contrast: tuple[float, float] | None = None
    with ThreadPoolExecutor(THREADS) as pool:
        tiles = pool.map(lambda tile: _read(source, tile, deadline), [tile for tile, _ in wanted])
        for (_, place), read in zip(wanted, tiles, strict=True):
            if read is None:
                continue
            pixels, valid = read
            if contrast is None:
                contrast = _contrast(pixels)
            shown = _shown(pixels, valid, side, contrast, paper)
            mosaic.paste(Image.fromarray(shown), place)
            any_there = True
    return (mosaic, (left, top), side / step) if any_there else None


def _read(source: TileSource, tile: mercantile.Tile, deadline: float) -> tuple[Pixels, imagery.Mask | None] | None:
    """A tile's pixels and which of them are valid, None for all; None if it cannot be had."""
    try:
        if source.reads_padded(tile, 0):
            return source.read_padded(tile, 0, deadline)
        pixels = imagery.decode(source.fetch(tile, deadline))
    except PlaygroundError:
        return None
    return pixels, pixels[..., -1] > 0 if pixels.shape[2] in (2, 4) else None


def _contrast(pixels: Pixels) -> tuple[float, float]:
    """What becomes black and white: 0 and 255, or where pixels are no bytes the darkest and brightest 2 %."""
    if pixels.dtype == np.uint8:
        return 0.0, 255.0
    darkest, brightest = np.nanpercentile(pixels[..., :3], (2, 98))
    return float(darkest), float(brightest)


def _shown(
    pixels: Pixels, valid: imagery.Mask | None, side: int, contrast: tuple[float, float], paper: Colour
) -> Pixels:
    """(side, side, 3) bytes of a tile."""
    colour = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    if colour.dtype != np.uint8:
        darkest, brightest = contrast
        scaled = (colour.astype(np.float32) - darkest) / max(brightest - darkest, 1e-9) * 255
        colour = np.clip(np.nan_to_num(scaled), 0, 255).astype(np.uint8)
    if valid is not None and not valid.all():
        colour = np.where(valid[..., np.newaxis], colour, np.array(paper, np.uint8))
    image = Image.fromarray(np.ascontiguousarray(colour))
    return np.asarray(image if image.size == (side, side) else image.resize((side, side), Image.Resampling.BOX))
