"""The tile engine: fetch a tile and the neighbours that its padding touches, share them, join them."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, NoReturn, TypeVar

import cachetools
import mercantile

from playground import geo, imagery, mosaic
from playground.errors import ImageError, SettingsError, TileNotFoundError, TileSourceError, TileTimeoutError
from playground.fetching.tile import MAX_PIXELS
from playground.mosaic import CENTRE, FILLS, PLACES, Fill
from playground.sharing import SharedCache, wait_for_all
from playground.sources.base import PaddedPixels, TileSource, name_of
from playground.tiles import walk
from playground.tiles.assembly import Assembler
from playground.tiles.image import TileImage

V = TypeVar("V")

MAX_PADDING = 256
MISSING_SECONDS = 60.0
"""How long a tile is known to be missing; imagery may be added."""
IMAGERY_SECONDS = 3600.0
"""How long a fetched tile is used again; imagery may be replaced."""


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
        # None: known to be missing. Those weigh about as much as what is kept to remember them.
        self._encoded: SharedCache[mercantile.Tile, bytes | None] = SharedCache(
            cachetools.TLRUCache(
                cache_bytes,
                ttu=lambda _, data, now: now + (MISSING_SECONDS if data is None else IMAGERY_SECONDS),
                getsizeof=lambda data: len(data) if data is not None else 200,
            )
        )
        self._assembler = Assembler(padding, fill, cache_pixels)
        self._padded: SharedCache[mercantile.Tile, PaddedPixels] = SharedCache(
            cachetools.TLRUCache(
                cache_pixels,
                ttu=lambda _key, _value, now: now + IMAGERY_SECONDS,
                getsizeof=lambda padded: padded.valid.size,
            )
        )
        self._cache_pixels = cache_pixels
        self._found_any = False
        self._asked_before = False
        self._pool = None if source.local else ThreadPoolExecutor(connections, thread_name_prefix="tiles")

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
        centre, fetched, alone = self._fetch_all(tile, (other for other in around if other is not None), deadline)
        size = self._check_sizes(tile, fetched)
        touched = [(place, other) for place, other in zip(PLACES, around, strict=True) if self.padding]
        return TileImage(
            tile=tile,
            url=self.source.url(tile),
            padding=self.padding,
            size=size,
            missing=tuple(place for place, other in touched if other is not None and fetched[other] is None),
            outside=tuple(place for place, other in touched if other is None),
            centre=centre,
            load_array=lambda: self._assembler.join(
                tile, around, {other: data for other, data in fetched.items() if data is not None}, alone=alone
            ),
        )

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        """One encoded tile as the source gives it, without padding; shared and kept as those of ``get`` are.

        Raises:
            TileNotFoundError: there is no imagery.
            TileTimeoutError, TileSourceError: it could not be fetched.
        """
        start = partial(self._start, tile, deadline)
        data = self._wait(start, *start(), deadline)
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
        if self.source.local:
            return []
        started: Iterable[tuple[Future[Any], bool]]
        if self.source.reads_padded(tile, self.padding):
            started = [self._start_padded(tile, deadline)]
        else:
            others = dict.fromkeys(other for other in self._around(tile) if other is not None)
            started = [self._start(other, deadline) for other in others if not self._encoded.holds(other)]
        return [future for future, mine in started if mine]

    def stats(self) -> EngineStats:
        """Counts since the engine was made."""
        encoded = self._encoded
        padded = self._padded
        return EngineStats(
            encoded.made + padded.made,
            encoded.hits + padded.hits,
            encoded.joins + padded.joins,
            self._assembler.decodes + padded.made,
        )

    def outcomes(self) -> dict[str, int]:
        """How often fetching from the source ended how, by kind; empty for a source that fetches nothing."""
        return self.source.outcomes()

    def close(self) -> None:
        """Let go of the source and the threads; what is being fetched comes to its end, nothing new is begun."""
        self.source.close()
        self._assembler.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _around(self, tile: mercantile.Tile) -> tuple[mercantile.Tile | None, ...]:
        """The nine tiles that make its image, in the order of PLACES: None beyond the map, and what is not touched."""
        return mosaic.neighbourhood(tile) if self.padding else (None,) * CENTRE + (tile,) + (None,) * CENTRE

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

            self._run(lambda: self._padded.settle(tile, read), lambda: self._padded.settle(tile, _closed))
        return future, mine

    def _get_padded(self, tile: mercantile.Tile, deadline: float | None) -> TileImage:
        """A tile of a source that reads it with its padding at once. Parts without any imagery count as missing."""
        start = partial(self._start_padded, tile, deadline)
        pixels, valid = self._wait(start, *start(), deadline)
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

    def _fetch_all(
        self, centre: mercantile.Tile, around: Iterable[mercantile.Tile], deadline: float | None
    ) -> tuple[bytes, dict[mercantile.Tile, bytes | None], bool]:
        """The encoded centre; every encoded tile, None where there is no imagery; whether the tile stands alone.

        All are asked for, then awaited together: this thread wakes once, not nine times.
        """
        started = [(tile, *self._start(tile, deadline)) for tile in dict.fromkeys((centre, *around))]
        alone = self._asked_before and all(mine for _, _, mine in started)
        self._asked_before = True
        first = started[0][1]
        if not all(future.done() for _, future, _ in started):

            def settles(future: Future[bytes | None]) -> bool:
                return future.exception() is not None or (future is first and future.result() is None)

            left = None if deadline is None else deadline - time.monotonic()
            wait_for_all([future for _, future, _ in started], left, settles)
        fetched: dict[mercantile.Tile, bytes | None] = {}
        for tile, future, mine in started:
            try:
                fetched[tile] = self._wait(partial(self._start, tile, deadline), future, mine, deadline)
            except TileSourceError as error:
                about = f"tile {name_of(tile)}" if tile == centre else f"neighbour {name_of(tile)} of {name_of(centre)}"
                raise type(error)(f"{about}: {error.message}", error.hint) from error
            self._found_any = self._found_any or fetched[tile] is not None
            if fetched[centre] is None:
                known = "the source does not cover this place or zoom"
                never = "no tile was found yet: is this the right URL, and does the source cover this place and zoom?"
                raise TileNotFoundError(f"no imagery at {name_of(centre)}", known if self._found_any else never)
        image = fetched[centre]
        assert image is not None
        return image, fetched, alone

    def _start(self, tile: mercantile.Tile, deadline: float | None) -> tuple[Future[bytes | None], bool]:
        future, mine = self._encoded.claim(tile)
        if mine and (started := self.source.start(tile, deadline)) is not None:
            started.add_done_callback(lambda done: self._encoded.settle(tile, lambda: _tile_or_none(done.result)))
        elif mine:

            def fetch() -> bytes | None:
                return _tile_or_none(lambda: self.source.fetch(tile, deadline))

            self._run(lambda: self._encoded.settle(tile, fetch), lambda: self._encoded.settle(tile, _closed))
        return future, mine

    def _run(self, work: Callable[[], None], give_up: Callable[[], None]) -> None:
        if self._pool is None:
            work()
            return
        try:
            job = self._pool.submit(work)
        except RuntimeError:  # the pool is shut down
            give_up()
        else:
            job.add_done_callback(lambda done: give_up() if done.cancelled() else None)

    @staticmethod
    def _wait(start: Callable[[], tuple[Future[V], bool]], future: Future[V], mine: bool, deadline: float | None) -> V:
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            try:
                return future.result(None if left is None else max(0.0, left))
            except concurrent.futures.TimeoutError as error:
                raise TileTimeoutError("no answer in time", "try again, or allow more time") from error
            except TileTimeoutError:
                # Another request's patience ended, not ours: ask again ourselves.
                if mine or (left is not None and left <= 0):
                    raise
                future, mine = start()

    def _check_sizes(self, centre: mercantile.Tile, fetched: dict[mercantile.Tile, bytes | None]) -> int:
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


def _tile_or_none(get: Callable[[], bytes]) -> bytes | None:
    try:
        return get()
    except TileNotFoundError:
        return None


def _closed() -> NoReturn:
    raise TileSourceError("the tile engine is closed")
