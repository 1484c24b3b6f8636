"""Decoding column by column: where neighbours are asked for in turn, each tile is decoded once and pasted once.

Runs over areas go down a column of some rows, then down the next one in the east. Three strips are at work then, the
one that is read and those at its sides, and the padded image of each tile is a part of its strip: nothing is joined.

A tile that lacks a neighbour shows pixels that are made up for it alone: it gets an image of its own. Whatever is not
as the rest of its strip (another size, other bands, broken) is left to those who join nine tiles.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import mercantile
import numpy as np

from playground import imagery, mosaic
from playground.errors import ImageError
from playground.fetching.tile import MAX_PIXELS
from playground.imagery import Mask, Pixels
from playground.mosaic import PLACES, Fill
from playground.tiles.parts import Scratch, bands_of_jpeg, decode_rows
from playground.tiles.strip import ROWS, WHOLE, WINDOW, Kind, Strip, StripName, kind_of

KEPT = 4
"""Strips: the one that is read, those at its sides, and one for somebody else."""
REUSE_SECONDS = 20.0
"""How long a strip is added to. Whoever is slower finds encoded tiles in their cache, which knows how old they are."""


class View(NamedTuple):
    """The padded image of a tile.

    Attributes:
        pixels: (size + 2 * padding, size + 2 * padding, bands); a part of a strip, which others see too.
        size: pixels along the tile's side.
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
        self._usual: Kind | None = None
        self._other: Kind | None = None
        self._everywhere = np.ones((0, 0), bool)
        self.decodes = 0
        """Tiles decoded so far, and parts of tiles."""

    def lacking(self, name: StripName, tiles: Sequence[mercantile.Tile]) -> list[mercantile.Tile]:
        """What has to be known before ``read`` gives the images of tiles of a strip."""
        found = []
        now = time.monotonic()
        parts = name.shown(tiles)
        for beside in dict.fromkeys(name.around()):
            strip = self._strips.get(beside)
            if strip is not None and now > strip.born + REUSE_SECONDS:
                del self._strips[beside]
                strip = None
            lacking = parts & ~(strip.known if strip is not None else beside.outside())
            if lacking:
                found += [beside.tile_at(row) for row, whole in enumerate(WHOLE) if lacking & whole]
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
        parts = name.shown(tiles)
        around = name.around()
        self._forget(around)
        west, strip, east = strips = [self._strip(beside) for beside in around]
        for beside, left, each in zip(around, (None, west, strip), strips, strict=True):
            lacking = parts & ~each.known
            if not lacking:
                continue
            for row, whole in enumerate(WHOLE):
                if lacking & whole and (tile := beside.tile_at(row)) in encoded:
                    self._add(each, row, lacking & whole, encoded[tile])
                    if left is not None:
                        left.join(each, parts & whole)
        west.join(strip, parts)
        strip.join(east, parts)
        # At a coverage's border pictures with alpha may come first: the next strip is for those that were more.
        self._usual = self._other if strip.odd.bit_count() > strip.there.bit_count() else strip.kind or self._usual
        return [self._view(strips, name.row_of(tile)) for tile in tiles]

    def _strip(self, name: StripName) -> Strip:
        strip = self._strips.get(name)
        if strip is None:
            strip = self._strips[name] = Strip(name, self.padding)
        else:
            self._strips.move_to_end(name)
        return strip

    def _forget(self, current: Sequence[StripName]) -> None:
        """Let go of the strips that were used longest ago, to make room for those of ``current`` that are new."""
        others = [name for name in self._strips if name not in current]
        largest = max((strip.pixels.shape[0] * strip.pixels.shape[1] for strip in self._strips.values()), default=0)
        room = KEPT if largest * KEPT <= self._cache_pixels else 3
        for name in others[: max(0, len(others) + len(set(current)) - room)]:
            del self._strips[name]

    def _add(self, strip: Strip, row: int, parts: int, data: bytes | None) -> None:
        """Put in what is lacking of a row."""
        if data is None:
            strip.missing |= WHOLE[row] & ~strip.there
            return
        found = self._decode(data, only_top=parts == 1 << 2 * row)
        if found is not None:
            kind = kind_of(*found)
            if (strip.kind or self._usual or kind) == kind:
                strip.paste(row, parts, *found)
                return
            self._other = kind
        strip.odd |= WHOLE[row] & ~strip.there

    def _decode(self, data: bytes, only_top: bool) -> tuple[Pixels, int] | None:
        """The pixels of a tile, from its top to the last that is needed, or more, and its size; valid until the next.
        None if it is broken, or does not fit in."""
        if self._last is not None and self._last[0] == data:  # open sea is the same tile again and again
            return self._last[1], self._last[1].shape[0]
        self._last = None
        try:
            width, height = imagery.check_image(data, MAX_PIXELS)
            room = 3 * (ROWS * width + 2 * self.padding) * (width + 2 * self.padding)
            if width != height or width < self.padding or room > self._cache_pixels:
                return None
            self.decodes += 1
            bands = bands_of_jpeg(data)
            rows = self.padding if only_top else width
            pixels = None if bands is None else decode_rows(data, bands, width, rows, self._scratch)
            if pixels is None:
                pixels = imagery.decode(data)
        except ImageError:
            return None
        if pixels.shape[0] == width:
            self._last = data, pixels
        return pixels, width

    def _view(self, strips: Sequence[Strip], row: int) -> View | None:
        strip = strips[1]
        shown = WINDOW[row]
        if strip.missing & WHOLE[row]:
            return NO_IMAGERY
        for each in strips:
            known = each.there | each.missing | each.outside
            if known & shown != shown or (each.there & shown and not strip.alike(each)):
                return None
        if strip.there & WHOLE[row] != WHOLE[row]:
            return None
        pixels = strip.padded(row)
        if all(each.there & shown == shown for each in strips):
            return View(pixels, strip.size, self._all_valid(pixels.shape[0]))
        nine = [(each, shown & WHOLE[at]) for at in (row - 1, row, row + 1) for each in strips]
        present = [bool(each.there & parts) for each, parts in nine]
        return View(
            self._filled(pixels, present),
            strip.size,
            None,
            missing=tuple(place for place, (each, parts) in zip(PLACES, nine, strict=True) if each.missing & parts),
            outside=tuple(place for place, (each, parts) in zip(PLACES, nine, strict=True) if each.outside & parts),
        )

    def _filled(self, pixels: Pixels, present: list[bool]) -> Pixels:
        """An image of its own, what is missing in it made up."""
        out = pixels.copy()
        if self._fill == "nodata":
            for part, there in zip(mosaic.split(out, self.padding), present, strict=True):
                if not there:
                    part[...] = 0
        mosaic.fill_missing(out, present, self.padding, self._fill)
        return out

    def _all_valid(self, side: int) -> Mask:
        if self._everywhere.shape[0] != side:
            self._everywhere = np.ones((side, side), bool)
            self._everywhere.flags.writeable = False
        return self._everywhere
