"""The tile engine: fetch a tile and the neighbours that its padding touches, share them, join them."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, NoReturn, TypeVar

import cachetools
import mercantile

from playground import geo, imagery, mosaic
from playground.errors import ImageError, SettingsError, TileNotFoundError, TileSourceError, TileTimeoutError
from playground.fetching.tile import MAX_PIXELS
from playground.imagery import Mask, Pixels
from playground.mosaic import CENTRE, FILLS, PLACES, Fill
from playground.sharing import SharedCache
from playground.sources.base import PaddedPixels, TileSource, name_of

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


class TileImage:
    """One tile and its padding: pixels with their frame. Made by TileEngine; safe to use from many threads.

    Attributes:
        tile: x, y, z.
        url: the address of the tile, without secrets.
        padding: pixels added on each side.
        size: pixels along a side of the tile without its padding.
        missing: which of the neighbours that the padding touches have no imagery, of NW N NE W E SW S SE.
        outside: which of them lie beyond the map's top or bottom, where there never is any.
    """

    def __init__(
        self,
        *,
        tile: mercantile.Tile,
        url: str,
        padding: int,
        size: int,
        missing: tuple[str, ...],
        outside: tuple[str, ...],
        centre: bytes | None,
        load_array: Callable[[], Pixels],
        valid: Mask | None = None,
    ) -> None:
        self.tile = tile
        self.url = url
        self.padding = padding
        self.size = size
        self.missing = missing
        self.outside = outside
        self._load_array = load_array
        self._lock = threading.RLock()
        self._array: Pixels | None = None
        self._valid = valid
        self._encoded = centre if padding == 0 else None

    def array(self) -> Pixels:
        """The padded image, (size + 2 * padding, size + 2 * padding, bands), read-only, decoded when first asked for.

        Raises:
            TileSourceError: the tile or a neighbour cannot be decoded.
        """
        with self._lock:
            if self._array is None:
                self._array = self._load_array()
                self._array.flags.writeable = False
            return self._array

    def valid(self) -> Mask:
        """Booleans over the padded image, read-only: False where there is no imagery."""
        with self._lock:
            if self._valid is None:
                absent = self.missing + self.outside
                self._valid = mosaic.valid_pixels([place not in absent for place in PLACES], self.size, self.padding)
                self._valid.flags.writeable = False
            return self._valid

    def encoded(self) -> bytes:
        """The padded image as a file: without padding the very bytes that were fetched, else a PNG.

        Raises:
            TileSourceError: the tile or a neighbour cannot be decoded.
        """
        with self._lock:
            if self._encoded is None:
                pixels = self.array()
                if not imagery.can_encode(pixels):
                    what = f"{pixels.shape[2]} bands of {pixels.dtype}"
                    raise TileSourceError(
                        f"tile {name_of(self.tile)} has {what}, which make no picture",
                        "read tile.array, not tile.image",
                    )
                self._encoded = imagery.encode_png(pixels)
            return self._encoded


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
        # By the bytes themselves: equal tiles (open sea) are decoded once, and an image is never older than its bytes.
        self._decoded: SharedCache[bytes, Pixels] = SharedCache(
            cachetools.LRUCache(cache_pixels, getsizeof=lambda pixels: pixels.shape[0] * pixels.shape[1])
        )
        self._padded: SharedCache[mercantile.Tile, PaddedPixels] = SharedCache(
            cachetools.TLRUCache(
                cache_pixels,
                ttu=lambda _key, _value, now: now + IMAGERY_SECONDS,
                getsizeof=lambda padded: padded.valid.size,
            )
        )
        self._decoders = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="decode")
        self._found_any = False
        self._pool = None if source.local else ThreadPoolExecutor(connections, thread_name_prefix="tiles")

    def get(self, tile: mercantile.Tile, deadline: float | None = None) -> TileImage:
        """A tile with its padding: everything is fetched, nothing decoded yet.

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
        around = mosaic.neighbourhood(tile) if self.padding else (None,) * CENTRE + (tile,) + (None,) * CENTRE
        centre, fetched = self._fetch_all(tile, (other for other in around if other is not None), deadline)
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
            load_array=lambda: self._stitch(tile, around, fetched),
        )

    def stats(self) -> EngineStats:
        """Counts since the engine was made."""
        encoded = self._encoded
        padded = self._padded
        return EngineStats(
            encoded.made + padded.made,
            encoded.hits + padded.hits,
            encoded.joins + padded.joins,
            self._decoded.made + padded.made,
        )

    def outcomes(self) -> dict[str, int]:
        """How often fetching from the source ended how, by kind; empty for a source that fetches nothing."""
        return self.source.outcomes()

    def close(self) -> None:
        """Let go of the source and the threads; what is being fetched comes to its end, nothing new is begun."""
        self.source.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _get_padded(self, tile: mercantile.Tile, deadline: float | None) -> TileImage:
        """A tile of a source that reads it with its padding at once. Parts without any imagery count as missing."""

        def start() -> tuple[Future[PaddedPixels], bool]:
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
    ) -> tuple[bytes, dict[mercantile.Tile, bytes | None]]:
        """The encoded centre; every encoded tile, None where there is no imagery. All are asked for, then awaited."""
        started = [(tile, *self._start(tile, deadline)) for tile in dict.fromkeys((centre, *around))]
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
        return image, fetched

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

    def _decode_all(self, encoded: dict[mercantile.Tile, bytes]) -> dict[mercantile.Tile, Pixels]:
        """Several at once where that pays: libjpeg-turbo lets go of the interpreter while it works."""
        new = [tile for tile, data in encoded.items() if not self._decoded.holds(data)]
        if len(new) < 3:
            return {tile: self._decode(tile, data) for tile, data in encoded.items()}
        try:
            made = list(self._decoders.map(self._decode, new, [encoded[tile] for tile in new]))
        except RuntimeError as error:  # the pool is shut down
            raise TileSourceError("the tile engine is closed") from error
        decoded = dict(zip(new, made, strict=True))
        return {tile: decoded[tile] if tile in decoded else self._decode(tile, data) for tile, data in encoded.items()}

    def _decode(self, tile: mercantile.Tile, data: bytes) -> Pixels:
        def decode() -> Pixels:
            pixels = imagery.decode(data)
            pixels.flags.writeable = False  # shared from here on
            return pixels

        try:
            return self._decoded.get(data, decode)
        except ImageError as error:
            raise TileSourceError(f"tile {name_of(tile)}: {error.message}", error.hint) from error

    def _stitch(
        self,
        centre: mercantile.Tile,
        around: tuple[mercantile.Tile | None, ...],
        fetched: dict[mercantile.Tile, bytes | None],
    ) -> Pixels:
        decoded = self._decode_all({tile: data for tile, data in fetched.items() if data is not None})
        size, _, bands = decoded[centre].shape
        for tile, pixels in decoded.items():
            if pixels.dtype != decoded[centre].dtype:
                raise TileSourceError(
                    f"tile {name_of(centre)} is {decoded[centre].dtype}, its neighbour {name_of(tile)} {pixels.dtype}",
                    "8 and 16 bits cannot be joined without knowing their range",
                )
            if pixels.shape != (size, size, bands):
                decoded[tile] = imagery.convert(pixels, size, bands)
        return mosaic.stitch([decoded.get(tile) if tile else None for tile in around], self.padding, self.fill)


def _tile_or_none(get: Callable[[], bytes]) -> bytes | None:
    try:
        return get()
    except TileNotFoundError:
        return None


def _closed() -> NoReturn:
    raise TileSourceError("the tile engine is closed")
