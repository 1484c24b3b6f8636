"""What every tile source is: an address in, one encoded tile out, or one of three errors."""

from __future__ import annotations

import abc
import dataclasses
import re
import time

import mercantile

from playground.errors import TileTimeoutError

# Query parameters that carry a key, by name, or by a long value that looks like one.
_SECRET_NAME = re.compile(r"key|token|secret|sig|auth|pass|pwd|cred|user|account|session|sas", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"[\w.~%+/=-]{24,}")


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

    @abc.abstractmethod
    def url(self, tile: mercantile.Tile) -> str:
        """The address of a tile as it may be shown to anyone: without secrets."""

    @abc.abstractmethod
    def info(self) -> SourceInfo:
        """What the source says about itself."""

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


def without_secrets(address: str) -> str:
    """An address or template as it may be shown: no user and password, keys in the query replaced by stars."""
    place, mark, query = address.partition("?")
    place = re.sub(r"^(\w+://)[^/]*@", r"\1", place)
    parts = (part.partition("=") for part in query.split("&"))
    shown = (f"{name}{equals}{'***' if _looks_secret(name, value) else value}" for name, equals, value in parts)
    return place + mark + "&".join(shown)


def _looks_secret(name: str, value: str) -> bool:
    if not value or "{" in value:
        return False
    return bool(_SECRET_NAME.search(name) or _SECRET_VALUE.fullmatch(value))
