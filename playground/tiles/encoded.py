"""Encoded tiles of a source: each fetched once, however many ask for it, and kept for a while."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NoReturn, TypeVar

import cachetools
import mercantile

from playground.errors import TileNotFoundError, TileSourceError, TileTimeoutError
from playground.sharing import SharedCache, wait_for_all
from playground.sources.base import TileSource, name_of

V = TypeVar("V")

MISSING_SECONDS = 60.0
"""How long a tile is known to be missing; imagery may be added."""
IMAGERY_SECONDS = 3600.0
"""How long a fetched tile is used again; imagery may be replaced."""

Fetched = dict[mercantile.Tile, "bytes | TileSourceError | None"]
"""Encoded tiles, None where there is no imagery, or why one could not be fetched."""


class EncodedTiles:
    """Used by many threads.

    Args:
        source: where tiles come from.
        cache_bytes: kept.
        connections: tiles fetched at the same time from a source that has nothing better than threads.
    """

    def __init__(self, source: TileSource, cache_bytes: int, connections: int) -> None:
        self._source = source
        # None: known to be missing. Those weigh about as much as what is kept to remember them.
        self._tiles: SharedCache[mercantile.Tile, bytes | None] = SharedCache(
            cachetools.TLRUCache(
                cache_bytes,
                ttu=lambda _, data, now: now + (MISSING_SECONDS if data is None else IMAGERY_SECONDS),
                getsizeof=lambda data: len(data) if data is not None else 200,
            )
        )
        self._found_any = False
        self._asked_before = False
        self._read = 0
        self._pool = None if source.local else ThreadPoolExecutor(connections, thread_name_prefix="tiles")

    @property
    def fetches(self) -> int:
        """Tiles asked from the source."""
        return self._tiles.made + self._read

    @property
    def cached(self) -> int:
        """Tiles that were there already."""
        return self._tiles.hits

    @property
    def shared(self) -> int:
        """Tiles that another request was fetching at that moment."""
        return self._tiles.joins

    def close(self) -> None:
        """End the threads; what is being fetched comes to its end."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def fetch(self, tile: mercantile.Tile, deadline: float | None) -> bytes | None:
        """One tile; None if there is no imagery.

        Raises:
            TileTimeoutError, TileSourceError: it could not be fetched.
        """
        return wait(partial(self.start, tile, deadline), *self.start(tile, deadline), deadline)

    def fetch_around(
        self, centre: mercantile.Tile, around: Iterable[mercantile.Tile], deadline: float | None
    ) -> tuple[bytes, dict[mercantile.Tile, bytes | None], bool]:
        """The encoded centre; every encoded tile, None where there is no imagery; whether the tile stands alone.

        All are asked for, then awaited together: this thread wakes once, not nine times.

        Raises:
            TileNotFoundError: there is no imagery of the centre.
            TileTimeoutError, TileSourceError: one could not be fetched.
        """
        started = [(tile, *self.start(tile, deadline)) for tile in dict.fromkeys((centre, *around))]
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
                fetched[tile] = wait(partial(self.start, tile, deadline), future, mine, deadline)
            except TileSourceError as error:
                raise told(tile, centre, error) from error
            self._found_any = self._found_any or fetched[tile] is not None
            if fetched[centre] is None:
                raise self.no_imagery(centre)
        image = fetched[centre]
        assert image is not None
        return image, fetched, alone

    def fetch_many(self, tiles: Iterable[mercantile.Tile], deadline: float | None) -> Fetched:
        """Each of many tiles, all asked for at once.

        What a local source gives is not kept: it is as near the next time, and whoever asks for many keeps the pixels.
        """
        if self._source.local:
            return self._read_many(list(tiles), deadline)
        found, started = self._tiles.claim_all(tiles)
        for tile, _, mine in started:
            if mine:
                self._start(tile, deadline)
        fetched: Fetched = dict(found)
        if not all(future.done() for _, future, _ in started):
            left = None if deadline is None else deadline - time.monotonic()
            wait_for_all([future for _, future, _ in started], left, lambda _: False)
        for tile, future, mine in started:
            try:
                fetched[tile] = wait(partial(self.start, tile, deadline), future, mine, deadline)
            except TileSourceError as error:
                fetched[tile] = error
        self._look(fetched)
        return fetched

    def no_imagery(self, tile: mercantile.Tile) -> TileNotFoundError:
        """What is said of a tile that is missing itself."""
        known = "the source does not cover this place or zoom"
        never = "no tile was found yet: is this the right URL, and does the source cover this place and zoom?"
        return TileNotFoundError(f"no imagery at {name_of(tile)}", known if self._found_any else never)

    def start(self, tile: mercantile.Tile, deadline: float | None) -> tuple[Future[bytes | None], bool]:
        """Begin to fetch: the tile's future, and whether nobody was fetching it before."""
        future, mine = self._tiles.claim(tile)
        if mine:
            self._start(tile, deadline)
        return future, mine

    def start_new(self, tiles: Iterable[mercantile.Tile], deadline: float | None) -> list[Future[bytes | None]]:
        """Begin to fetch those that are not there and that nobody is fetching."""
        claimed = self._tiles.claim_new(tiles)
        for tile, _ in claimed:
            self._start(tile, deadline)
        return [future for _, future in claimed]

    def run(self, work: Callable[[], None], give_up: Callable[[], None]) -> None:
        """Do something in a thread of the pool, if there is one, or else ``give_up``."""
        if self._pool is None:
            work()
            return
        try:
            job = self._pool.submit(work)
        except RuntimeError:  # the pool is shut down
            give_up()
        else:
            job.add_done_callback(lambda done: give_up() if done.cancelled() else None)

    def _start(self, tile: mercantile.Tile, deadline: float | None) -> None:
        """Fetch a tile that was claimed."""
        if (started := self._source.start(tile, deadline)) is not None:
            started.add_done_callback(lambda done: self._tiles.settle(tile, lambda: _tile_or_none(done.result)))
            return

        def fetch() -> bytes | None:
            return _tile_or_none(lambda: self._source.fetch(tile, deadline))

        self.run(lambda: self._tiles.settle(tile, fetch), lambda: self._tiles.settle(tile, closed))

    def _read_many(self, tiles: list[mercantile.Tile], deadline: float | None) -> Fetched:
        fetched: Fetched = {}
        for tile, data in self._source.fetch_many(tiles, deadline).items():
            fetched[tile] = None if isinstance(data, TileNotFoundError) else data
        self._read += len(tiles)
        self._look(fetched)
        return fetched

    def _look(self, fetched: Fetched) -> None:
        if not self._found_any:
            self._found_any = any(isinstance(data, bytes) for data in fetched.values())


def told(tile: mercantile.Tile, centre: mercantile.Tile, error: TileSourceError) -> TileSourceError:
    """The error of a tile as the one who asked for ``centre`` is told of it."""
    about = f"tile {name_of(tile)}" if tile == centre else f"neighbour {name_of(tile)} of {name_of(centre)}"
    new = type(error)(f"{about}: {error.message}", error.hint)
    new.__cause__ = error
    return new


def wait(start: Callable[[], tuple[Future[V], bool]], future: Future[V], mine: bool, deadline: float | None) -> V:
    """The value of a future that ``start`` gave, and whether its fetch is the caller's own."""
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


def closed() -> NoReturn:
    """For those who still wait for something that will not be begun."""
    raise TileSourceError("the tile engine is closed")


def _tile_or_none(get: Callable[[], bytes]) -> bytes | None:
    try:
        return get()
    except TileNotFoundError:
        return None
