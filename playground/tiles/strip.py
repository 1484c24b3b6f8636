"""One strip of decoded tiles: a column of them, with their padding."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import mercantile
import numpy as np

from playground.imagery import Pixels

ROWS = 16
"""Of tiles. Those above and below are there for their padding alone."""
WHOLE = tuple(3 << 2 * row for row in range(ROWS + 2))
"""The parts of each row of a strip, see ``Strip``."""
WINDOW = tuple(31 << 2 * row >> 2 for row in range(ROWS + 2))
"""The parts that the padded image of each row's tile shows."""
WEST, EAST = 0, 1


Kind = tuple[int, int, "np.dtype[np.generic]"]
"""Pixels along a tile's side, bands, and their type: what tiles of a strip have in common."""


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
        place = (self.column, self.band * ROWS - 1 + row, self.zoom)
        return mercantile.Tile._make(place)  # a third of the time, and known to exist

    def outside(self) -> int:
        """The parts beyond the map's top and bottom."""
        top, bottom = self.band * ROWS - 1, 2**self.zoom
        if top >= 0 and top + ROWS + 1 < bottom:
            return 0
        return sum(parts for row, parts in enumerate(WHOLE) if not 0 <= top + row < bottom)

    def around(self) -> tuple[StripName, StripName, StripName]:
        """The strip in the west, this one, the one in the east; around the world they may be the same."""
        west, east = ((self.column + step) % 2**self.zoom for step in (-1, 1))
        return self._replace(column=west), self, self._replace(column=east)

    def shown(self, tiles: Iterable[mercantile.Tile]) -> int:
        """The parts that the padded images of tiles show."""
        parts = 0
        for tile in tiles:
            parts |= WINDOW[self.row_of(tile)]
        return parts


class Strip:
    """Pixels of tiles one below the other: beside them the padding in the west and east, above and below them that of
    the next rows. So a tile's padded image is some rows of ``pixels``.

    A tile has two parts, as many rows as padding and what is below those, because of the tile below the last that is
    asked for no more is decoded. A set of parts is a number: row r has the bits 2r and 2r + 1. Each part is written
    once; whoever looks at pixels that are there may go on doing so.

    Attributes:
        there: parts whose pixels are in ``pixels``.
        missing: those without imagery.
        odd: of tiles that are not as the others, or cannot be decoded.
        outside: beyond the map.
        size: pixels along a tile's side; 0 until the first is there.
        kind: of all tiles; None until the first is there.
    """

    def __init__(self, name: StripName, padding: int) -> None:
        self.born = time.monotonic()
        self.there = self.missing = self.odd = 0
        self.outside = name.outside()
        self.size = 0
        self.kind: Kind | None = None
        self.pixels: Pixels = np.empty((0, 0, 0), np.uint8)
        self._edge = self.pixels  # the last columns of the tiles, which the strip in the east shows too
        self._sides = [0, 0]  # parts whose padding is there
        self._padding = padding
        self._starts: tuple[int, ...] = ()

    @property
    def known(self) -> int:
        """Parts of which nothing need be fetched."""
        return self.there | self.missing | self.odd | self.outside

    def paste(self, row: int, parts: int, pixels: Pixels, size: int) -> None:
        """Put in parts of a row that are not there yet.

        Args:
            row: which.
            parts: of it.
            pixels: (size or fewer, size, bands) of the tile, from its top on; of the strip's kind.
            size: pixels along the tile's side.
        """
        padding = self._padding
        if not self.size:
            self.size, self.kind = size, kind_of(pixels, size)
            high, bands = ROWS * size + 2 * padding, pixels.shape[2]
            self.pixels = np.empty((high, size + 2 * padding, bands), pixels.dtype)
            self._edge = np.empty((high, padding, bands), pixels.dtype)
            self._starts = starts_of(size, padding)
        upper = parts & 1 << 2 * row
        span = self._span(2 * row + (not upper), 2 * row + (parts != upper))
        top = size - padding if row == 0 else 0 if upper else padding
        shown = pixels[top : top + span.stop - span.start]
        self.pixels[span, padding : padding + size] = shown
        self._edge[span] = shown[:, size - padding :]
        self.there |= parts

    def alike(self, other: Strip) -> bool:
        """Whether the tiles of both can stand side by side."""
        return self.kind == other.kind

    def join(self, east: Strip, parts: int) -> None:
        """Copy the padding of parts from this strip and the one in the east to each other, as far as it is there.

        The sooner after pasting, the less it costs: then all of it is in the processor's caches.
        """
        if not self.alike(east):
            return
        padding, size = self._padding, self.size
        for low, high in stretches(parts & self.there & ~east._sides[WEST]):
            span = self._span(low, high)
            east.pixels[span, :padding] = self._edge[span]
            east._sides[WEST] |= (2 << high) - (1 << low)
        for low, high in stretches(parts & east.there & ~self._sides[EAST]):
            span = self._span(low, high)
            self.pixels[span, padding + size :] = east.pixels[span, padding : 2 * padding]
            self._sides[EAST] |= (2 << high) - (1 << low)

    def padded(self, row: int) -> Pixels:
        """The padded image of a tile, where all that it shows is there."""
        return self.pixels[(row - 1) * self.size : row * self.size + 2 * self._padding]

    def _span(self, low: int, high: int) -> slice:
        """The pixels of the parts from ``low`` to ``high``."""
        starts = self._starts
        return slice(starts[low], starts[high + 1])


def kind_of(pixels: Pixels, size: int) -> Kind:
    """The kind of a tile, of which ``pixels`` are the first rows or all."""
    return size, pixels.shape[2], pixels.dtype


@functools.lru_cache(16)
def starts_of(size: int, padding: int) -> tuple[int, ...]:
    """Where each part of a strip begins, in pixels from its top, and where the last one ends."""
    rows = [padding + row * size for row in range(ROWS + 1)]
    return (0, 0, *(start for row in rows for start in (row, row + padding)), rows[-1] + padding)


def stretches(parts: int) -> Iterator[tuple[int, int]]:
    """The first and the last of parts that follow one another."""
    while parts:
        low = (parts & -parts).bit_length() - 1
        rest = parts >> low
        high = low + (rest ^ (rest + 1)).bit_length() - 2
        yield low, high
        parts &= ~((2 << high) - (1 << low))
