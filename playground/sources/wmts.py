"""WMTS: layers of a server that describes itself (OGC 07-057r7, version 1.0.0), by KVP or REST."""

from __future__ import annotations

import logging
import re
import threading
import time
from urllib.parse import urlsplit

import mercantile

from playground.errors import SourceSettingsError, TileNotFoundError, TileSourceError, TileTimeoutError
from playground.sources.base import SourceInfo, TileSource, name_of, without_secrets
from playground.sources.http import HTTPFetcher
from playground.sources.wmts_capabilities import exception_text, parse_xml, read_capabilities
from playground.sources.wmts_layer import Choices, Pyramid, capabilities_address, choose, read_choices, ready_pyramid

logger = logging.getLogger(__name__)

START_SECONDS = 20.0
"""How long opening waits for the capabilities; a server that is down is asked again with the first tile."""


class WMTSSource(TileSource):
    """One layer of a WMTS.

    Args:
        text: ``wmts:`` (which may be left out where the address tells), then the address of the capabilities or a
            template with {TileMatrix}, {TileRow} and {TileCol}; then, after ``#``, what to choose:
            ``layer=…&style=…&matrixset=…&format=…`` and dimensions by their names, such as ``TIME=2020-01-01``.
        attempts, backoff_seconds: see HTTPFetcher.
    """

    def __init__(self, text: str, attempts: int = 4, backoff_seconds: float = 0.25) -> None:
        address, _, fragment = re.sub(r"^wmts:", "", text, flags=re.IGNORECASE).partition("#")
        self._shown = without_secrets(address)
        self._choices: Choices = read_choices(fragment)
        self._fetcher = HTTPFetcher(attempts, backoff_seconds)
        self._lock = threading.Lock()
        self._pyramid: Pyramid | None = None
        try:
            host = urlsplit(address).hostname
        except ValueError:
            host = None
        if not host:
            raise SourceSettingsError(
                f"{self._shown} has no host that can be read", "write https://host/wmts/1.0.0/WMTSCapabilities.xml"
            )
        if "{" in address:
            self._pyramid = ready_pyramid(address, self._choices)
            return
        self._address = capabilities_address(address)
        try:
            self._read(time.monotonic() + START_SECONDS)
        except TileSourceError as error:
            logger.warning("the capabilities are not there yet: %s", error.message)
        except SourceSettingsError:
            self.close()
            raise

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        try:
            pyramid = self._read(deadline)
        except SourceSettingsError as error:
            raise TileSourceError(error.message, error.hint) from error
        address = pyramid.address(tile)
        shown = self.url(tile)
        if address is None:
            raise TileNotFoundError(f"{pyramid.name} has no tile {name_of(tile)}: outside its limits")
        return self._fetcher.get(address, shown, deadline, explain=lambda data: _explain(data, shown))

    def url(self, tile: mercantile.Tile) -> str:
        shown = self._pyramid.address(tile, shown=True) if self._pyramid else None
        return shown or f"{self._shown}#{name_of(tile)}"

    def info(self) -> SourceInfo:
        pyramid = self._pyramid
        if pyramid is None:
            return SourceInfo(urlsplit(self._shown).hostname or self._shown)
        zooms = pyramid.zooms()
        known = bool(pyramid.bounds)
        return SourceInfo(
            pyramid.name,
            minzoom=min(zooms) if known else None,
            maxzoom=max(zooms) if known else None,
            bounds=pyramid.bounds,
            format=pyramid.format,
            attribution=pyramid.attribution or None,
        )

    def close(self) -> None:
        self._fetcher.close()

    def _read(self, deadline: float | None) -> Pyramid:
        """The layer's tiles, after a look at the capabilities if nobody has been there yet."""
        if self._pyramid is not None:
            return self._pyramid
        patience = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
        if not self._lock.acquire(timeout=patience):
            raise TileTimeoutError(f"{self._shown}: no answer in time", "try again, or allow more time")
        try:
            if self._pyramid is None:
                self._pyramid = self._read_capabilities(deadline)
            return self._pyramid
        finally:
            self._lock.release()

    def _read_capabilities(self, deadline: float | None) -> Pyramid:
        try:
            data = self._fetcher.get(
                self._address, self._shown, deadline, image=False, explain=lambda data: _explain(data, self._shown)
            )
        except TileNotFoundError as error:
            raise SourceSettingsError(
                f"{self._shown}: there are no WMTS capabilities", "is the address right?"
            ) from error
        try:
            capabilities = read_capabilities(data)
        except ValueError as error:
            raise SourceSettingsError(
                f"{self._shown} is not WMTS capabilities that can be read: {error}", "open the address in a browser"
            ) from error
        return choose(capabilities, self._choices, self._address)


def _explain(data: bytes, shown: str) -> None:
    """Raise what a service's exception says: many come with status 200, or with 400 for a tile that is not there."""
    if not data.lstrip().startswith((b"<", b"\xef\xbb\xbf<")):
        return
    try:
        found = exception_text(parse_xml(data))
    except ValueError:
        return
    if found is None:
        return
    code, text = found
    if code == "TileOutOfRange":
        raise TileNotFoundError(f"{shown}: {text}")
    raise TileSourceError(f"{shown}: the service says {text}", "is the layer, and what was chosen of it, right?")
