"""The picture of the demo: imagery, what was found on it, and the figures."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mercantile
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from playground.demo.area import Area, Mask
from playground.demo.coastlines import mask_of_features

Colour = tuple[int, int, int]
Floats = npt.NDArray[np.float32]

COLOURS: tuple[Colour, ...] = ((64, 208, 255), (255, 176, 64), (192, 128, 255), (128, 232, 96))
"""One a category, in the order of their names."""
FILL = 0.30
OUTLINE = 0.85
GRID = 0.10
PAPER, INK, FAINT = (13, 20, 31), (240, 245, 250), (146, 163, 184)
MARGIN, HEAD, FOOT = 28, 96, 48
"""Pixels."""


@dataclasses.dataclass(frozen=True)
class Words:
    """What is written on a picture: ``figures`` are pairs of a value and what it counts."""

    title: str
    subtitle: str
    figures: Sequence[tuple[str, str]]
    attribution: str


def draw(
    path: Path,
    *,
    area: Area,
    fetch: Callable[[mercantile.Tile], bytes],
    features: Sequence[Mapping[str, Any]],
    words: Words,
    tile_pixels: int = 192,
) -> None:
    """Write a PNG of an area's imagery with the features on top, a strip of figures above and a legend below.

    Args:
        area: what is shown.
        fetch: a tile's encoded image.
        features: GeoJSON features in degrees; their ``category`` chooses the colour.
        tile_pixels: pixels along one side of a tile in the picture.
    """
    categories = sorted({str(feature["properties"]["category"]) for feature in features})
    canvas = np.asarray(_stitched(area, fetch, tile_pixels), dtype=np.float32)
    canvas[::tile_pixels] += GRID * (255 - canvas[::tile_pixels])
    canvas[:, ::tile_pixels] += GRID * (255 - canvas[:, ::tile_pixels])
    # Twice as fine, then halved: smooth edges. One mask a category: the seams between tiles do not show.
    fine = dataclasses.replace(area, tile_size=2 * tile_pixels)
    for category, colour in zip(categories, _colours(len(categories)), strict=True):
        mask = mask_of_features([f for f in features if str(f["properties"]["category"]) == category], fine)
        fill, outline = _halved(mask), np.minimum(1.35 * _halved(_outline(mask)), 1.0)
        opacity = np.maximum(FILL * fill, OUTLINE * outline)[:, :, None]
        canvas += opacity * (np.array(colour, dtype=np.float32) - canvas)
    picture = Image.fromarray((canvas + 0.5).astype(np.uint8))

    page = Image.new("RGB", (picture.width, picture.height + HEAD + FOOT), PAPER)
    page.paste(picture, (0, HEAD))
    pen = ImageDraw.Draw(page)
    _write_head(pen, page.width, words)
    _write_foot(pen, page, categories, words.attribution)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path, optimize=True)


def _stitched(area: Area, fetch: Callable[[mercantile.Tile], bytes], tile_pixels: int) -> Image.Image:
    columns, rows = area.right - area.left, area.bottom - area.top
    stitched = Image.new("RGB", (columns * area.tile_size, rows * area.tile_size), PAPER)
    for place, tile in enumerate(area.tiles()):
        with Image.open(io.BytesIO(fetch(tile))) as image:
            row, column = divmod(place, columns)
            stitched.paste(image.convert("RGB"), (column * area.tile_size, row * area.tile_size))
    return stitched.resize((columns * tile_pixels, rows * tile_pixels), Image.Resampling.LANCZOS)


def _colours(count: int) -> list[Colour]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]


def _halved(mask: Mask) -> Floats:
    """How much of each 2 x 2 pixels is True, 0 to 1."""
    parts = [mask[y::2, x::2].astype(np.float32) for y in (0, 1) for x in (0, 1)]
    return np.asarray(sum(parts) / 4, dtype=np.float32)


def _outline(mask: Mask) -> Mask:
    """The pixels of a mask that touch its edge; the edge of the picture is none."""
    padded = np.pad(mask, 1, mode="edge")
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inside)


def _write_head(pen: ImageDraw.ImageDraw, width: int, words: Words) -> None:
    pen.text((MARGIN, HEAD / 2 - 12), words.title, INK, ImageFont.load_default(30), anchor="lm")
    pen.text((MARGIN, HEAD / 2 + 20), words.subtitle, FAINT, ImageFont.load_default(16), anchor="lm")
    x = float(width - MARGIN)
    for value, label in reversed(words.figures):
        large, small = ImageFont.load_default(30), ImageFont.load_default(15)
        pen.text((x, HEAD / 2 - 12), value, COLOURS[0], large, anchor="rm")
        pen.text((x, HEAD / 2 + 20), label, FAINT, small, anchor="rm")
        x -= max(pen.textlength(value, large), pen.textlength(label, small)) + 36


def _write_foot(pen: ImageDraw.ImageDraw, page: Image.Image, categories: Sequence[str], attribution: str) -> None:
    font = ImageFont.load_default(16)
    middle = page.height - FOOT / 2
    x = float(MARGIN)
    for category, colour in zip(categories, _colours(len(categories)), strict=True):
        fill = tuple(round(paper + 2 * FILL * (value - paper)) for value, paper in zip(colour, PAPER, strict=True))
        pen.rounded_rectangle((x, middle - 8, x + 24, middle + 8), 3, fill=fill, outline=colour, width=2)
        pen.text((x + 34, middle), category, INK, font, anchor="lm")
        x += 34 + pen.textlength(category, font) + 28
    pen.text((page.width - MARGIN, middle), attribution, FAINT, font, anchor="rm")
