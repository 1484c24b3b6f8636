"""What every tile source is: an address in, one encoded tile out, or one of three errors."""

from __future__ import annotations

import abc
import dataclasses
import time
from concurrent.futures import Future

import mercantile

from playground.errors import TileTimeoutError
from playground.fetching.urls import without_secrets

__all__ = ["SourceInfo", "TileSource", "name_of", "seconds_left", "without_secrets"]


@dataclasses.dataclass(frozen=True)
class SourceInfo:
    """What a source says about itself; None where it says nothing."""

    name: str
    minzoom: int | None = None
    maxzoom: int | None = None
    bounds: tuple[float, float, float, float] | None = None
    """(west, south, east, north), degrees."""
    format: str | None = None
    """One of ``imagery.Format``."""
    attribution: str | None = None


class TileSource(abc.ABC):
    """Encoded tiles by XYZ address (row 0 in the north). Made from the one string that names it; used by many threads.

    Raises:
        SourceSettingsError: by the constructor, on a string that names nothing readable.
    """

    local = False
    """Whether a tile comes without waiting for anyone, so that threads would cost more than they bring."""
    takes_policy = False
    """Whether the constructor takes a ``FetchPolicy`` too, because it fetches over HTTP: ``Source(text, policy)``."""

    @abc.abstractmethod
    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        """One encoded tile.

        Args:
            tile: x, y, z, inside the pyramid.
            deadline: the moment of ``time.monotonic()`` after which nobody waits any more; None for the source's own.

        Raises:
            TileNotFoundError: there is no imagery here, and asking again will not change that.
            TileTimeoutError: no answer in time.
            TileSourceError: the source failed, or what came is no image.
        """

    def start(self, tile: mercantile.Tile, deadline: float | None = None) -> Future[bytes] | None:
        """Begin to fetch a tile without waiting: its future, with ``fetch``'s errors; None if only ``fetch`` can."""
        return None

    @abc.abstractmethod
    def url(self, tile: mercantile.Tile) -> str:
        """The address of a tile as it may be shown to anyone: without secrets."""

    @abc.abstractmethod
    def info(self) -> SourceInfo:
        """What the source says about itself."""

    def outcomes(self) -> dict[str, int]:
        """How often fetching ended how, by kind (``ok``, ``missing``, ``timeout`` and so on), since it was opened."""
        return {}

    def close(self) -> None:  # noqa: B027 - many sources hold nothing open
        """Let go of files and connections."""


def name_of(tile: mercantile.Tile) -> str:
    """z/x/y, as people write it."""
    return f"{tile.z}/{tile.x}/{tile.y}"


def seconds_left(tile: mercantile.Tile, deadline: float) -> float:
    """Seconds until the deadline, more than zero.

    Raises:
        TileTimeoutError: it has passed.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TileTimeoutError(f"tile {name_of(tile)} did not come in time", "try again, or allow more time")
    return left
