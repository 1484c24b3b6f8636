"""WMTS: layers of a server that describes itself (OGC 07-057r7, version 1.0.0), by KVP or REST."""

from __future__ import annotations

import dataclasses
import functools
import logging
import re
import threading
import time
from concurrent.futures import Future
from urllib.parse import urlsplit

import mercantile

from playground.errors import SourceSettingsError, TileNotFoundError, TileSourceError, TileTimeoutError
from playground.fetching.client import open_client
from playground.fetching.credentials import Credentials, basic
from playground.fetching.policy import FetchPolicy
from playground.fetching.tile import MAX_BYTES, start_tile
from playground.fetching.urls import parse_url
from playground.sources.base import SourceInfo, TileSource, name_of, without_secrets
from playground.sources.template import split_user
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
        policy: what the configuration says about fetching. The address's host is added to it; a host that the
            capabilities name is fetched from as long as it is on the open internet, and sees no credentials.
    """

    takes_policy = True

    def __init__(self, text: str, policy: FetchPolicy | None = None) -> None:
        address, _, fragment = re.sub(r"^wmts:", "", text, flags=re.IGNORECASE).partition("#")
        self._shown = without_secrets(address)
        self._choices: Choices = read_choices(fragment)
        self._lock = threading.Lock()
        self._pyramid: Pyramid | None = None
        policy = policy or FetchPolicy()
        try:
            user, address = split_user(address)
            if user:
                policy = dataclasses.replace(policy, credentials=Credentials((basic(user),)))
            policy = policy.naming(*((address,) if "{" not in address else (address.partition("{")[0],)))
        except ValueError as error:  # UrlError is one
            raise SourceSettingsError(
                f"{self._shown} {error}", "write https://host/wmts/1.0.0/WMTSCapabilities.xml"
            ) from None
        self._client = open_client(policy)
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
        return self._begin(tile, deadline).result()

    def start(self, tile: mercantile.Tile, deadline: float | None = None) -> Future[bytes] | None:
        return self._begin(tile, deadline) if self._pyramid else None

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

    def outcomes(self) -> dict[str, int]:
        return self._client.counts()

    def close(self) -> None:
        self._client.close()

    def _begin(self, tile: mercantile.Tile, deadline: float | None) -> Future[bytes]:
        try:
            pyramid = self._read(deadline)
        except SourceSettingsError as error:
            raise TileSourceError(error.message, error.hint) from error
        address = pyramid.address(tile)
        if address is None:
            outside: Future[bytes] = Future()
            words = f"{pyramid.name} has no tile {name_of(tile)}: outside its limits"
            outside.set_exception(TileNotFoundError(words))
            return outside
        shown = functools.partial(self.url, tile)
        return start_tile(self._client, tile, address, deadline, shown, explain=lambda data: _explain(data, shown()))

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
        headers = {"Accept": "application/xml,text/xml,*/*;q=0.1"}
        answer = self._client.get(self._address, deadline=deadline, headers=headers, max_bytes=MAX_BYTES)
        if answer.status in (404, 410):
            message = f"{self._shown}: there are no WMTS capabilities ({answer.status})"
            raise SourceSettingsError(message, "is the address right?")
        if answer.status != 200:
            said = _explain(answer.body, self._shown)
            raise said or TileSourceError(f"{self._shown}: the server answers {answer.status}", "is the address right?")
        try:
            capabilities = read_capabilities(answer.body)
        except ValueError as error:
            raise SourceSettingsError(
                f"{self._shown} is not WMTS capabilities that can be read: {error}", "open the address in a browser"
            ) from error
        pyramid = choose(capabilities, self._choices, self._address)
        host = parse_url(_plain(pyramid.template)).host
        policy = self._client.policy
        if not policy.may_be_private(host) and host not in policy.public_hosts:
            self._client.close()
            self._client = open_client(dataclasses.replace(policy, public_hosts=policy.public_hosts | {host}))
        return pyramid


def _plain(template: str) -> str:
    """An address without the placeholders of tiles."""
    return re.sub(r"[{}]", "", template)


def _explain(data: bytes, shown: str) -> TileNotFoundError | TileSourceError | None:
    """What a service's exception means: many come with status 200, or with 400 for a tile that is not there."""
    if not data.lstrip().startswith((b"<", b"\xef\xbb\xbf<")):
        return None
    try:
        found = exception_text(parse_xml(data))
    except ValueError:
        return None
    if found is None:
        return None
    code, text = found
    if code == "TileOutOfRange":
        return TileNotFoundError(f"{shown}: {text}")
    return TileSourceError(f"{shown}: the service says {text}", "is the layer, and what was chosen of it, right?")
