"""The page around an overview: title and figures above, legend and attribution below, a scale bar in the corner."""

from __future__ import annotations

import colorsys
import dataclasses
import math
from collections.abc import Mapping, Sequence

import mercantile
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from playground import geo
from playground.area.view import View

Colour = tuple[int, int, int]
COLOURS: tuple[Colour, ...] = (
    (64, 208, 255),
    (255, 176, 64),
    (192, 128, 255),
    (128, 232, 96),
    (255, 112, 160),
    (255, 236, 96),
    (64, 224, 192),
    (255, 128, 96),
)
"""One a category, in the order of their names; further ones are made."""
PAPER, INK, FAINT = (13, 20, 31), (240, 245, 250), (146, 163, 184)
MARGIN, HEAD, LINE = 28, 96, 30
LINES = 4
"""Of the legend."""
FOOT_PADDING = 18
FOOT_MOST = LINES * LINE + FOOT_PADDING
WIDTH_LEAST = 640
BAR = 0.2
"""Of the width: the longest scale bar."""
WIDE = 10.0
"""Degrees of latitude: a view so high has no one scale, and the bar says where it holds."""


@dataclasses.dataclass(frozen=True)
class Words:
    """What is written on a page.

    Attributes:
        figures: pairs of a value and what it counts; the first ones go where there is no room.
        holes: tiles without an answer, by fate.
    """

    title: str
    subtitle: str = ""
    figures: Sequence[tuple[str, str]] = ()
    attribution: str = ""
    holes: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Key:
    """A line of the legend."""

    name: str
    colour: Colour
    count: str
    hatched: bool = False


def colour_of(place: int) -> Colour:
    """The colour of a category by its place among all."""
    if place < len(COLOURS):
        return COLOURS[place]
    red, green, blue = colorsys.hsv_to_rgb(place * 0.618034 % 1, 0.6, 1.0)  # the golden ratio: far from each other
    return round(255 * red), round(255 * green), round(255 * blue)


def scale_bar(view: View, a_tile: float) -> tuple[float, str]:
    """Pixels and words of a scale bar for the middle of a view, tiles being ``a_tile`` pixels wide."""
    rows = np.array([view.top, (view.top + view.bottom) / 2, view.bottom], dtype=np.float64)
    first = mercantile.Tile(0, 0, view.zoom)
    _, (north, middle, south) = geo.lnglat_of_pixel(first, np.zeros(3), rows, 1, 0)
    metres = 2 * geo.HALF_WORLD / 2**view.zoom / a_tile * math.cos(math.radians(middle))
    most = min(view.columns * a_tile * BAR, 300.0) * metres
    power = 10.0 ** math.floor(math.log10(most))
    length = max(step * power for step in (1, 2, 5) if step * power <= most)
    words = f"{length / 1000:,.0f} km" if length >= 1000 else f"{length:g} m"
    if north - south > WIDE:
        words += f" at {abs(middle):.0f}° {'N' if middle >= 0 else 'S'}"
    return length / metres, words


def compose(shown: Image.Image, words: Words, legend: Sequence[Key], bar: tuple[float, str]) -> Image.Image:
    """The page around a picture."""
    width = max(shown.width, WIDTH_LEAST)
    lines = _wrapped(legend, words.attribution, width)
    foot = len(lines) * LINE + FOOT_PADDING
    drawn = Image.new("RGB", (width, HEAD + shown.height + foot), PAPER)
    left = (width - shown.width) // 2
    drawn.paste(shown, (left, HEAD))
    pen = ImageDraw.Draw(drawn, "RGBA")
    _write_head(pen, width, words)
    _write_bar(pen, (left + 20, HEAD + shown.height - 20), bar)
    for row, line in enumerate(lines):
        middle = HEAD + shown.height + FOOT_PADDING / 2 + (row + 0.5) * LINE
        x = float(MARGIN)
        for key in line:
            x = _write_key(pen, (x, middle), key)
    last = HEAD + shown.height + foot - FOOT_PADDING / 2 - LINE / 2
    pen.text((width - MARGIN, last), words.attribution, FAINT, _font(16), anchor="rm")
    return drawn


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _write_head(pen: ImageDraw.ImageDraw, width: int, words: Words) -> None:
    large, small = _font(30), _font(16)
    upper, lower = HEAD / 2 - 12, HEAD / 2 + 20
    pen.text((MARGIN, upper), words.title, INK, large, anchor="lm")
    pen.text((MARGIN, lower), words.subtitle, FAINT, small, anchor="lm")
    end = MARGIN + max(pen.textlength(words.title, large), pen.textlength(words.subtitle, small))
    x = float(width - MARGIN)
    for value, label in reversed(words.figures):
        long = max(pen.textlength(value, large), pen.textlength(label, small))
        if x - long < end + MARGIN:
            return
        pen.text((x, upper), value, COLOURS[0], large, anchor="rm")
        pen.text((x, lower), label, FAINT, small, anchor="rm")
        x -= long + 36


def _write_bar(pen: ImageDraw.ImageDraw, corner: tuple[int, int], bar: tuple[float, str]) -> None:
    x, y = corner
    long, words = bar
    font = _font(15)
    wide = max(long, pen.textlength(words, font))
    pen.rounded_rectangle((x - 10, y - 40, x + wide + 10, y + 8), 4, fill=(*PAPER, 170))
    pen.text((x, y - 24), words, INK, font, anchor="lm")
    pen.line([(x, y - 8), (x, y), (x + long, y), (x + long, y - 8)], fill=INK, width=2)


def _write_key(pen: ImageDraw.ImageDraw, place: tuple[float, float], key: Key) -> float:
    """Write one line of the legend; where the next one begins."""
    x, middle = place
    box = (x, middle - 8, x + 24, middle + 8)
    if key.hatched:
        for start in range(4, 40, 8):
            ends = [
                (x + min(start, 24), middle - 8 + max(start - 24, 0)),
                (x + max(start - 16, 0), middle - 8 + min(start, 16)),
            ]
            pen.line(ends, fill=key.colour, width=2)
        pen.rectangle(box, outline=key.colour)
    else:
        pen.rounded_rectangle(box, 3, fill=(*key.colour, 110), outline=key.colour, width=2)
    pen.text((x + 34, middle), key.name, INK, _font(16), anchor="lm")
    x += 34 + pen.textlength(key.name, _font(16)) + 8
    pen.text((x, middle), key.count, FAINT, _font(16), anchor="lm")
    return x + pen.textlength(key.count, _font(16)) + 28


def _wrapped(legend: Sequence[Key], attribution: str, width: int) -> list[list[Key]]:
    """The legend in lines, the last one leaving room for the attribution; what does not fit is counted."""
    font = _font(16)

    def long(key: Key) -> float:
        return 34 + 8 + 28 + font.getlength(key.name) + font.getlength(key.count)

    room = width - 2 * MARGIN
    lines: list[list[Key]] = [[]]
    for place, key in enumerate(legend):
        if lines[-1] and sum(map(long, lines[-1])) + long(key) > room:
            if len(lines) == LINES - 1:
                lines.append([Key(f"and {len(legend) - place:,} more", FAINT, "")])
                break
            lines.append([])
        lines[-1].append(key)
    if lines[-1] and sum(map(long, lines[-1])) + font.getlength(attribution) > room:
        lines.append([])
    return lines
