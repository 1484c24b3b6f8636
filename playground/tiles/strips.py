"""Columns of decoded tiles: where neighbours are asked for in turn, each tile is decoded once and pasted once.

The map is cut into strips of one column and ``ROWS`` rows. A strip holds the pixels of its tiles one below the other,
beside them the padding in the west and east, and above and below them that of the next rows: so the padded image of
each of its tiles is some rows of the strip, and nothing is joined. Runs over areas read tiles in just that order; then
three strips are at work, the one that is read and those at its sides.

A tile that lacks a neighbour shows pixels that are made up for it alone: it gets an image of its own. Whatever is not
as the rest of its strip (another size, other bands, broken) is left to those who join nine tiles.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import mercantile
import numpy as np

from playground import imagery, mosaic
from playground.errors import ImageError
from playground.fetching.tile import MAX_PIXELS
from playground.imagery import Mask, Pixels
from playground.mosaic import PLACES, Fill
from playground.tiles.parts import Scratch, bands_of_jpeg, decode_rows

ROWS = 16
"""Of a strip. The rows above and below are read for their padding alone: of the one above all is decoded for it."""
KEPT = 4
"""Strips: the one that is read, those at its sides, and one for somebody else."""
REUSE_SECONDS = 20.0
"""How long a strip is added to. Whoever is slower finds encoded tiles in their cache, which knows how old they are."""


class StripName(NamedTuple):
    """Where a strip is: ``band`` is its row in units of ROWS."""

    zoom: int
    column: int
    band: int

    @staticmethod
    def of(tile: mercantile.Tile) -> StripName:
        """Of the strip that a tile lies in."""
        return StripName(tile.z, tile.x, tile.y // ROWS)

    def row_of(self, tile: mercantile.Tile) -> int:
        """Which row of the strip a tile is: 1 to ROWS, 0 above it, ROWS + 1 below it."""
        return int(tile.y - self.band * ROWS + 1)

    def tile_at(self, row: int) -> mercantile.Tile:
        """The tile of a row."""
        return mercantile.Tile(self.column, self.band * ROWS - 1 + row, self.zoom)

    def outside(self) -> int:
        """The rows beyond the map's top and bottom."""
        return sum(1 << row for row in range(ROWS + 2) if not 0 <= self.band * ROWS - 1 + row < 2**self.zoom)

    def around(self) -> tuple[StripName, StripName, StripName]:
        """The strip in the west, this one, the one in the east; around the world they may be the same."""
        west, east = ((self.column + step) % 2**self.zoom for step in (-1, 1))
        return self._replace(column=west), self, self._replace(column=east)


class View(NamedTuple):
    """The padded image of a tile.

    Attributes:
        pixels: (size + 2 * padding, size + 2 * padding, bands); a part of a strip, which others see too.
        valid: where there is imagery; None where that is not everywhere.
        missing, outside: see TileImage.
    """

    pixels: Pixels
    size: int
    valid: Mask | None
    missing: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


NO_IMAGERY = View(np.empty((0, 0, 0), np.uint8), 0, None)
"""In place of a tile that is missing itself."""


class Strip:
    """One strip. Sets of its rows are bits of a number; what is written once is never written again.

    Attributes:
        there: rows whose pixels are in ``pixels``: of row 0 and row ROWS + 1 those that the padding shows.
        missing: rows without imagery.
        odd: rows whose tiles are not as the others, or cannot be decoded.
        outside: rows beyond the map.
        size: pixels along a tile's side; 0 until the first is there.
    """

    def __init__(self, name: StripName, padding: int) -> None:
        self.born = time.monotonic()
        self.there = self.missing = self.odd = 0
        self.outside = name.outside()
        self.size = 0
        self.pixels: Pixels = np.empty((0, 0, 0), np.uint8)
        self._padding = padding
        self._sides = [0, 0]

    @property
    def known(self) -> int:
        """Rows of which nothing need be fetched."""
        return self.there | self.missing | self.odd | self.outside

    def paste(self, row: int, pixels: Pixels, size: int) -> bool:
        """Put in a tile, of which the last row of the strip needs the first rows only; False if it is of another kind
        than those that are there."""
        padding = self._padding
        if not self.size:
            self.size = size
            self.pixels = np.empty((ROWS * size + 2 * padding, size + 2 * padding, pixels.shape[2]), pixels.dtype)
        if size != self.size or pixels.shape[2] != self.pixels.shape[2] or pixels.dtype != self.pixels.dtype:
            return False
        into = self._span(row, row)
        shown = pixels[size - padding :] if row == 0 else pixels[: into.stop - into.start]
        self.pixels[into, padding : padding + size] = shown
        self.there |= 1 << row
        return True

    def alike(self, other: Strip) -> bool:
        """Whether the tiles of both can stand side by side."""
        return self.pixels.shape == other.pixels.shape and self.pixels.dtype == other.pixels.dtype

    def take_side(self, side: int, other: Strip, rows: int) -> None:
        """Copy the padding of some rows, as far as it is there, from the strip at a side: 0 west, 1 east."""
        padding, size = self._padding, self.size
        into, of = (padding + size, padding) if side else (0, size)
        for low, high in _stretches(rows & other.there & ~self._sides[side]):
            span = self._span(low, high)
            self.pixels[span, into : into + padding] = other.pixels[span, of : of + padding]
            self._sides[side] |= (2 << high) - (1 << low)

    def padded(self, row: int) -> Pixels:
        """The padded image of a tile, where all that it shows is there."""
        return self.pixels[(row - 1) * self.size : row * self.size + 2 * self._padding]

    def _span(self, low: int, high: int) -> slice:
        """Where the pixels of the rows from ``low`` to ``high`` are."""
        top = self._padding + (low - 1) * self.size if low else 0
        return slice(top, self._padding + high * self.size if high <= ROWS else self.pixels.shape[0])


class Strips:
    """The strips at work. Used by one thread at a time.

    Args:
        padding: pixels on each side, more than 0.
        fill: what stands in for imagery that is missing, see ``mosaic.stitch``.
        cache_pixels: decoded pixels kept. Where three strips are more, nothing is read here.
    """

    def __init__(self, padding: int, fill: Fill, cache_pixels: int) -> None:
        self.padding = padding
        self._fill: Fill = fill
        self._cache_pixels = cache_pixels
        self._strips: OrderedDict[StripName, Strip] = OrderedDict()
        self._scratch = Scratch()
        self._last: tuple[bytes, Pixels] | None = None
        self._whole = np.ones((0, 0), bool)
        self.decodes = 0
        """Tiles decoded so far, and parts of tiles."""

    def lacking(self, name: StripName, tiles: Sequence[mercantile.Tile]) -> list[mercantile.Tile]:
        """What has to be known before ``read`` gives the images of tiles of a strip."""
        found = []
        now = time.monotonic()
        rows = _and_around(name, tiles)
        for beside in dict.fromkeys(name.around()):
            strip = self._strips.get(beside)
            if strip is not None and now > strip.born + REUSE_SECONDS:
                del self._strips[beside]
                strip = None
            known = strip.known if strip is not None else beside.outside()
            found += [beside.tile_at(row) for row in _members(rows & ~known)]
        return found

    def read(
        self, name: StripName, tiles: Sequence[mercantile.Tile], encoded: Mapping[mercantile.Tile, bytes | None]
    ) -> list[View | None]:
        """Padded images of tiles of a strip.

        Args:
            name: of the strip.
            tiles: that are asked for.
            encoded: those that were lacking, None where there is no imagery; others may be among them.

        Returns:
            for each its image, or NO_IMAGERY; None where not all that it shows is known, or some of it is of another
            kind, or broken.
        """
        rows = _and_around(name, tiles)
        around = name.around()
        strips = [self._strip(beside) for beside in around]
        for beside, strip in dict(zip(around, strips, strict=True)).items():
            for row in _members(rows & ~strip.known):
                tile = beside.tile_at(row)
                if tile in encoded:
                    self._add(strip, row, encoded[tile])
        west, strip, east = strips
        for side, other in enumerate((west, east)):
            if strip.alike(other):
                strip.take_side(side, other, rows)
        views = [self._view(strips, name.row_of(tile)) for tile in tiles]
        self._forget(around)
        return views

    def _strip(self, name: StripName) -> Strip:
        strip = self._strips.get(name)
        if strip is None:
            strip = self._strips[name] = Strip(name, self.padding)
        else:
            self._strips.move_to_end(name)
        return strip

    def _forget(self, current: Sequence[StripName]) -> None:
        """Let go of the strips that were used longest ago."""
        pixels = sum(strip.pixels.shape[0] * strip.pixels.shape[1] for strip in self._strips.values())
        for name in list(self._strips):
            if name in current or (len(self._strips) <= KEPT and pixels <= self._cache_pixels):
                return
            old = self._strips.pop(name)
            pixels -= old.pixels.shape[0] * old.pixels.shape[1]

    def _add(self, strip: Strip, row: int, data: bytes | None) -> None:
        if data is None:
            strip.missing |= 1 << row
            return
        size = self._size(data)
        pixels = self._decode(data, size, self.padding if row > ROWS else size) if size else None
        if pixels is None or not strip.paste(row, pixels, size):
            strip.odd |= 1 << row

    def _size(self, data: bytes) -> int:
        """Pixels along the side of a tile that can be in a strip, else 0."""
        try:
            width, height = imagery.check_image(data, MAX_PIXELS)
        except ImageError:
            return 0
        fits = 3 * (ROWS * width + 2 * self.padding) * (width + 2 * self.padding) <= self._cache_pixels
        return width if width == height >= self.padding and fits else 0

    def _decode(self, data: bytes, size: int, rows: int) -> Pixels | None:
        """The first rows of a tile, or more; None if it is broken. Valid until the next."""
        if self._last is not None and self._last[0] == data:  # open sea is the same tile again and again
            return self._last[1]
        self._last = None
        self.decodes += 1
        bands = bands_of_jpeg(data)
        pixels = None if bands is None else decode_rows(data, bands, size, rows, self._scratch)
        if pixels is None:
            try:
                pixels = imagery.decode(data)
            except ImageError:
                return None
        if pixels.shape[0] == size:
            self._last = data, pixels
        return pixels

    def _view(self, strips: Sequence[Strip], row: int) -> View | None:
        strip = strips[1]
        window = 7 << (row - 1)
        if strip.missing >> row & 1:
            return NO_IMAGERY
        if not strip.there >> row & 1:
            return None
        for each in strips:
            known = each.there | each.missing | each.outside
            if known & window != window or (each.there & window and not strip.alike(each)):
                return None
        pixels = strip.padded(row)
        if all(each.there & window == window for each in strips):
            return View(pixels, strip.size, self._everywhere(pixels.shape[0]))
        places = [(place, each, at) for place, (at, each) in zip(PLACES, _nine(strips, row), strict=True)]
        present = [bool(each.there >> at & 1) for _, each, at in places]
        return View(
            self._filled(pixels, present),
            strip.size,
            None,
            missing=tuple(place for place, each, at in places if each.missing >> at & 1),
            outside=tuple(place for place, each, at in places if each.outside >> at & 1),
        )

    def _filled(self, pixels: Pixels, present: list[bool]) -> Pixels:
        """An image of its own, what is missing in it made up."""
        out = pixels.copy()
        for part, there in zip(mosaic.split(out, self.padding), present, strict=True):
            if not there and self._fill == "nodata":
                part[...] = 0
        mosaic.fill_missing(out, present, self.padding, self._fill)
        return out

    def _everywhere(self, side: int) -> Mask:
        if self._whole.shape[0] != side:
            self._whole = np.ones((side, side), bool)
            self._whole.flags.writeable = False
        return self._whole


def _nine(strips: Sequence[Strip], row: int) -> Iterator[tuple[int, Strip]]:
    """Row and strip of each of mosaic.PLACES."""
    for at in (row - 1, row, row + 1):
        for strip in strips:
            yield at, strip


def _and_around(name: StripName, tiles: Sequence[mercantile.Tile]) -> int:
    """The rows of tiles, and those above and below them."""
    rows = 0
    for tile in tiles:
        rows |= 7 << (name.row_of(tile) - 1)
    return rows


def _members(rows: int) -> Iterator[int]:
    """The rows of a set, from the north."""
    return (row for row in range(rows.bit_length()) if rows >> row & 1)


def _stretches(rows: int) -> Iterator[tuple[int, int]]:
    """The first and the last of rows that follow one another."""
    while rows:
        low = (rows & -rows).bit_length() - 1
        high = low + ((rows >> low) ^ ((rows >> low) + 1)).bit_length() - 2
        yield low, high
        rows &= ~((2 << high) - (1 << low))
