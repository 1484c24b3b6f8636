"""The tile engine: fetch a tile and the neighbours that its padding touches, share them, join them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

import cachetools
import mercantile

from playground import geo, imagery, mosaic
from playground.errors import ImageError, PlaygroundError, SettingsError, TileNotFoundError, TileSourceError
from playground.fetching.tile import MAX_PIXELS
from playground.mosaic import CENTRE, FILLS, PLACES, Fill
from playground.sharing import SharedCache
from playground.sources.base import PaddedPixels, TileSource, name_of
from playground.tiles import walk
from playground.tiles.assembly import Assembler
from playground.tiles.columns import Columns, attempt, checked
from playground.tiles.encoded import IMAGERY_SECONDS, EncodedTiles, closed, told, wait
from playground.tiles.image import TileImage
from playground.tiles.strips import Strips

MAX_PADDING = 256


class EngineStats(NamedTuple):
    """Counts since the engine was made."""

    fetches: int
    """Tiles asked from the source."""
    cached: int
    """Tiles that were in the cache."""
    shared: int
    """Tiles that another request was fetching at that moment."""
    decodes: int
    """Tiles decoded, and parts of tiles."""


class TileEngine:
    """Padded tiles from one source. Requests for the same tile at the same time are one fetch and one decode.

    Args:
        source: where tiles come from; closed with the engine.
        padding: pixels from the neighbours on each side, 0 to 256, at most the tile's size.
        fill: what stands in for imagery that is missing, see ``mosaic.stitch``.
        cache_bytes: encoded tiles kept.
        cache_pixels: decoded pixels kept; 3 bytes each for RGB.
        connections: tiles fetched at the same time, over all requests.
    """

    def __init__(
        self,
        source: TileSource,
        padding: int = 0,
        fill: Fill = "reflect",
        *,
        cache_bytes: int = 64 * 2**20,
        cache_pixels: int = 16 * 2**20,
        connections: int = 16,
    ) -> None:
        if not 0 <= padding <= MAX_PADDING:
            raise SettingsError(f"padding {padding} is not possible", f"it goes from 0 to {MAX_PADDING} pixels")
        if fill not in FILLS:
            raise SettingsError(f"fill {fill!r} is not known", f"known are {', '.join(FILLS)}")
        self.source = source
        self.padding = padding
        self.fill: Fill = fill
        self._encoded = EncodedTiles(source, cache_bytes, connections)
        self._assembler = Assembler(padding, fill, cache_pixels)
        self._padded: SharedCache[mercantile.Tile, PaddedPixels] = SharedCache(
            cachetools.TLRUCache(
                cache_pixels,
                ttu=lambda _key, _value, now: now + IMAGERY_SECONDS,
                getsizeof=lambda padded: padded.valid.size,
            )
        )
        self._cache_pixels = cache_pixels
        # Without padding there is nothing to join, and nothing is decoded before somebody reads pixels.
        self._columns = (
            Columns(source, self._encoded, Strips(padding, fill, cache_pixels), self.get) if padding else None
        )

    def get(self, tile: mercantile.Tile, deadline: float | None = None) -> TileImage:
        """A tile with its padding: everything is fetched, nothing decoded yet.

        A tile far from those asked for lately is taken to stand alone: of its neighbours only the parts that are seen
        are decoded, and not kept. Where one of the nine is known already, or being fetched, an area is being read: each
        is decoded whole, once. The first tile is taken for the first of an area.

        Args:
            tile: x, y, z.
            deadline: the moment of ``time.monotonic()`` after which nobody waits any more.

        Raises:
            AddressError: outside the pyramid.
            TileNotFoundError: there is no imagery of the tile itself; a missing neighbour is no error.
            TileTimeoutError, TileSourceError: the tile or a neighbour could not be fetched, or is no image.
        """
        geo.check_tile(tile.z, tile.x, tile.y)
        if self.source.reads_padded(tile, self.padding):
            return self._get_padded(tile, deadline)
        around = self._around(tile)
        inside = (other for other in around if other is not None)
        _, fetched, alone = self._encoded.fetch_around(tile, inside, deadline)
        return self._image(tile, around, fetched, alone=alone)

    def get_all(
        self, tiles: Sequence[mercantile.Tile], deadline: float | None = None
    ) -> list[TileImage | PlaygroundError]:
        """Many tiles, each as ``get`` gives it, or the error that it raises: for areas, at a fraction of the cost.

        All that they show is fetched at once, and decoded here and now. Tiles that follow one another down columns, and
        columns that follow one another from west to east, in one call or several, cost little more than decoding each
        distinct tile once: their images are views into the same strip of pixels. That is kept in memory as long as one
        of them is.

        Args:
            tiles: x, y, z; in any order.
            deadline: the moment of ``time.monotonic()`` after which nobody waits any more.
        """
        found: dict[mercantile.Tile, TileImage | PlaygroundError] = {}
        joined = []
        for tile in dict.fromkeys(tiles):
            if error := checked(tile):
                found[tile] = error
            elif self.source.reads_padded(tile, self.padding):
                if not self.source.local:
                    self._start_padded(tile, deadline)
            else:
                joined.append(tile)
        if self._columns is not None:
            found.update(self._columns.get_all(joined, deadline))
        else:
            fetched = self._encoded.fetch_many(joined, deadline)
            found.update((tile, self._unpadded(tile, data)) for tile, data in fetched.items())
        return [found[tile] if tile in found else attempt(lambda: self.get(tile, deadline)) for tile in tiles]  # noqa: B023

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        """One encoded tile as the source gives it, without padding; shared and kept as those of ``get`` are.

        Raises:
            TileNotFoundError: there is no imagery.
            TileTimeoutError, TileSourceError: it could not be fetched.
        """
        data = self._encoded.fetch(tile, deadline)
        if data is None:
            raise TileNotFoundError(f"no imagery at {name_of(tile)}", "the source does not cover this place or zoom")
        return data

    def walk(
        self, tiles: Iterable[mercantile.Tile], *, seconds: float = 60.0, ahead: int = 64
    ) -> Iterator[walk.Walked]:
        """The tiles of an area, one after the other, while those to come are being fetched.

        In the order that ``walking_order`` gives them, each tile of the area and of its rim is fetched and decoded
        once, whatever the area's size; the engine's caches bound the memory.

        Args:
            tiles: in the order to be followed; taken from an iterator only ``2 * ahead`` before their turn.
            seconds: for each fetch, and for waiting for a tile at its turn.
            ahead: tiles being fetched at the same time; no more is begun while there are so many. With a round trip of
                30 ms, 64 under way are 2,000 tiles a second. A host is asked for 64 at once, at most.

        Yields:
            each tile with its image, or with the error that ``get`` raised for it.
        """
        return walk.walk(tiles, self.prefetch, self.get, seconds, ahead)

    def walking_width(self, size: int = 256) -> int:
        """Columns of a band that ``walking_order`` may give: so many that the caches hold what is needed again.

        Args:
            size: pixels along a side of the source's tiles.
        """
        return walk.band_width(self._cache_pixels, size)

    def prefetch(self, tile: mercantile.Tile, deadline: float | None = None) -> list[Future[Any]]:
        """Begin to fetch what a tile's image is made of, for ``get`` soon after: ``walk`` does it for whole areas.

        Nothing is begun for a local source, which gives a tile sooner than a thread wakes.

        Returns:
            what was begun, and was not under way before. Failures are told by ``get``, which then tries again.
        """
        return self.prefetch_all([tile], deadline)

    def prefetch_all(self, tiles: Iterable[mercantile.Tile], deadline: float | None = None) -> list[Future[Any]]:
        """As ``prefetch``, of many tiles: what several of them show is looked for once."""
        if self.source.local:
            return []
        begun: list[Future[Any]] = []
        joined = []
        for tile in tiles:
            if self.source.reads_padded(tile, self.padding):
                future, mine = self._start_padded(tile, deadline)
                begun += [future] if mine else []
            else:
                joined.append(tile)
        around = mosaic.neighbourhoods(joined) if self.padding else dict.fromkeys(joined)
        return begun + self._encoded.start_new(around, deadline)

    def stats(self) -> EngineStats:
        """Counts since the engine was made."""
        encoded = self._encoded
        padded = self._padded
        return EngineStats(
            encoded.fetches + padded.made,
            encoded.cached + padded.hits,
            encoded.shared + padded.joins,
            self._assembler.decodes + padded.made + (self._columns.decodes if self._columns else 0),
        )

    def outcomes(self) -> dict[str, int]:
        """How often fetching from the source ended how, by kind; empty for a source that fetches nothing."""
        return self.source.outcomes()

    def close(self) -> None:
        """Let go of the source and the threads; what is being fetched comes to its end, nothing new is begun."""
        self.source.close()
        self._assembler.close()
        self._encoded.close()

    def _around(self, tile: mercantile.Tile) -> tuple[mercantile.Tile | None, ...]:
        """The nine tiles that make its image, in the order of PLACES: None beyond the map, and what is not touched."""
        return mosaic.neighbourhood(tile) if self.padding else (None,) * CENTRE + (tile,) + (None,) * CENTRE

    def _unpadded(self, tile: mercantile.Tile, data: bytes | TileSourceError | None) -> TileImage | PlaygroundError:
        if isinstance(data, TileSourceError):
            return told(tile, tile, data)
        if data is None:
            return self._encoded.no_imagery(tile)
        return attempt(lambda: self._image(tile, self._around(tile), {tile: data}, alone=False))

    def _image(
        self,
        tile: mercantile.Tile,
        around: Sequence[mercantile.Tile | None],
        fetched: Mapping[mercantile.Tile, bytes | None],
        *,
        alone: bool,
    ) -> TileImage:
        size = self._check_sizes(tile, fetched)
        touched = [(place, other) for place, other in zip(PLACES, around, strict=True) if self.padding]
        return TileImage(
            tile=tile,
            url=self.source.url(tile),
            padding=self.padding,
            size=size,
            missing=tuple(place for place, other in touched if other is not None and fetched[other] is None),
            outside=tuple(place for place, other in touched if other is None),
            centre=fetched[tile],
            load_array=lambda: self._assembler.join(
                tile, around, {other: data for other, data in fetched.items() if data is not None}, alone=alone
            ),
        )

    def _start_padded(self, tile: mercantile.Tile, deadline: float | None) -> tuple[Future[PaddedPixels], bool]:
        future, mine = self._padded.claim(tile)
        if mine:

            def read() -> PaddedPixels:
                padded = self.source.read_padded(tile, self.padding, deadline)
                if self.padding:
                    present = [bool(part.any()) for part in mosaic.split(padded.valid, self.padding)]
                    mosaic.fill_missing(padded.pixels, present, self.padding, self.fill)
                for array in padded:
                    array.flags.writeable = False
                return padded

            self._encoded.run(lambda: self._padded.settle(tile, read), lambda: self._padded.settle(tile, closed))
        return future, mine

    def _get_padded(self, tile: mercantile.Tile, deadline: float | None) -> TileImage:
        """A tile of a source that reads it with its padding at once. Parts without any imagery count as missing."""
        start = partial(self._start_padded, tile, deadline)
        pixels, valid = wait(start, *start(), deadline)
        absent = []
        if self.padding:
            parts = zip(PLACES, mosaic.neighbourhood(tile), mosaic.split(valid, self.padding), strict=True)
            absent = [(place, other) for place, other, part in parts if not part.any()]
        return TileImage(
            tile=tile,
            url=self.source.url(tile),
            padding=self.padding,
            size=pixels.shape[0] - 2 * self.padding,
            missing=tuple(place for place, other in absent if other is not None),
            outside=tuple(place for place, other in absent if other is None),
            centre=None,
            load_array=lambda: pixels,
            valid=valid,
        )

    def _check_sizes(self, centre: mercantile.Tile, fetched: Mapping[mercantile.Tile, bytes | None]) -> int:
        """Pixels along a side of the centre, from its header, after a look at every header."""
        sizes = {}
        for tile, data in fetched.items():
            if data is None:
                continue
            try:
                width, height = imagery.check_image(data, MAX_PIXELS)
            except ImageError as error:
                raise TileSourceError(f"tile {name_of(tile)}: {error.message}", error.hint) from error
            if width != height:
                raise TileSourceError(f"tile {name_of(tile)} is {width} x {height} pixels, not square")
            sizes[tile] = width
        if sizes[centre] < self.padding:
            raise TileSourceError(
                f"tile {name_of(centre)} is {sizes[centre]} pixels wide, less than the padding of {self.padding}",
                "a neighbour gives at most its own width",
            )
        return sizes[centre]
