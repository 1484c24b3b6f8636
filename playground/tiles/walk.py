"""Going over an area: in an order that needs little memory, with the next tiles on their way."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, NamedTuple

import mercantile

from playground.errors import PlaygroundError
from playground.tiles.image import TileImage

Prefetch = Callable[[mercantile.Tile, float], "list[Future[Any]]"]
Get = Callable[[mercantile.Tile, float], TileImage]


class Walked(NamedTuple):
    """One tile of an area: its image, or why there is none."""

    tile: mercantile.Tile
    image: TileImage | None
    error: PlaygroundError | None


def walking_order(tiles: Iterable[mercantile.Tile], width: int) -> list[mercantile.Tile]:
    """Row by row from the north, in bands of so many columns.

    A tile is needed for the last time two rows after the first time, so that what is kept meanwhile is three rows of a
    band. Only the tiles at both sides of a band are fetched again for the next one.

    Args:
        tiles: of any zooms; each counts once.
        width: columns of a band, see ``TileEngine.walking_width``.
    """
    return sorted(set(tiles), key=lambda tile: (tile.z, tile.x // width, tile.y, tile.x))


def band_width(cache_pixels: int, size: int) -> int:
    """Columns of which three rows, with the neighbours at both sides, are in a cache of so many pixels."""
    return max(1, cache_pixels // (size * size) // 3 - 4)


def walk(
    tiles: Iterable[mercantile.Tile], prefetch: Prefetch, get: Get, seconds: float, ahead: int
) -> Iterator[Walked]:
    """See ``TileEngine.walk``.

    Args:
        tiles: in the order to be followed.
        prefetch: begins to fetch what a tile is made of, until a deadline; gives the futures of what was not begun yet.
        get: a tile, by a deadline.
        seconds: for each fetch, and for waiting for a tile at its turn.
        ahead: fetches under way, from which on no more are begun.
    """
    to_come = iter(tiles)
    begun: deque[mercantile.Tile] = deque()
    under_way: list[Future[Any]] = []
    more = True
    while True:
        under_way = [future for future in under_way if not future.done()]
        while more and len(under_way) < ahead and len(begun) < 2 * ahead:
            tile = next(to_come, None)
            if tile is None:
                more = False
                break
            begun.append(tile)
            under_way += prefetch(tile, time.monotonic() + seconds)
        if not begun:
            if more:
                continue
            return
        tile = begun.popleft()
        try:
            walked = Walked(tile, get(tile, time.monotonic() + seconds), None)
        except PlaygroundError as error:
            walked = Walked(tile, None, error)
        yield walked
