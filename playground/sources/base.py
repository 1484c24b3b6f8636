"""What every tile source is: an address in, one encoded tile out, or one of three errors."""

from __future__ import annotations

import abc
import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

import mercantile

from playground.errors import TileNotFoundError, TileSourceError, TileTimeoutError
from playground.fetching.policy import FetchPolicy
from playground.fetching.urls import without_secrets

if TYPE_CHECKING:
    from playground.imagery import Mask, Pixels

__all__ = ["PaddedPixels", "SourceInfo", "TileSource", "name_of", "seconds_left", "without_secrets"]


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


class PaddedPixels(NamedTuple):
    """A tile and its padding, read as one picture."""

    pixels: Pixels
    """(H + 2 * padding, H + 2 * padding, bands) of any type; the caller's own."""
    valid: Mask
    """The same rows and columns: False where there is no imagery."""


class TileSource(abc.ABC):
    """Encoded tiles by XYZ address (row 0 in the north). Made from the one string that names it; used by many threads.

    Raises:
        SourceSettingsError: by the constructor, on a string that names nothing readable.
    """

    local = False
    """Whether a tile comes without waiting for anyone, so that threads would cost more than they bring."""
    takes_policy = False
    """Whether the constructor takes a ``FetchPolicy`` too, because it fetches over HTTP: ``Source(text, policy)``."""

    policy: FetchPolicy | None = None
    """The policy that it fetches by, its own hosts included; None for one that fetches nothing."""

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

    def fetch_many(
        self, tiles: Sequence[mercantile.Tile], deadline: float | None = None
    ) -> dict[mercantile.Tile, bytes | TileNotFoundError | TileSourceError]:
        """Several tiles, each as ``fetch`` gives it, or the error that it raises. Sources that are asked for many at
        once more cheaply do so."""
        found: dict[mercantile.Tile, bytes | TileNotFoundError | TileSourceError] = {}
        for tile in tiles:
            try:
                found[tile] = self.fetch(tile, deadline)
            except (TileNotFoundError, TileSourceError) as error:
                found[tile] = error
        return found

    def start(self, tile: mercantile.Tile, deadline: float | None = None) -> Future[bytes] | None:
        """Begin to fetch a tile without waiting: its future, with ``fetch``'s errors; None if only ``fetch`` can."""
        return None

    def reads_padded(self, tile: mercantile.Tile, padding: int) -> bool:
        """Whether ``read_padded`` is the way to this tile; else its neighbours are fetched and joined."""
        return False

    def read_padded(self, tile: mercantile.Tile, padding: int, deadline: float | None = None) -> PaddedPixels:
        """A tile and its padding at once, across the antimeridian too. Only where ``reads_padded`` says so.

        Raises:
            TileNotFoundError: there is no imagery in the tile itself.
            TileSourceError: the source failed.
        """
        raise NotImplementedError

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
