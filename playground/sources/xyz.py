"""XYZ templates: tiles over HTTP, one address each."""

from __future__ import annotations

import email.utils
import random
import re
import threading
import time
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import mercantile
import requests
import requests.adapters
import urllib3.exceptions

from playground import imagery
from playground.errors import ImageError, SourceSettingsError, TileNotFoundError, TileSourceError, TileTimeoutError
from playground.sources import template
from playground.sources.base import SourceInfo, TileSource, name_of, seconds_left, without_secrets
from playground.sources.template import Placeholders
from playground.version import __version__

MAX_BYTES = 16 * 2**20
"""A larger answer is no tile."""
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
"""Longest silence; together with CONNECT_SECONDS one try of many."""
FETCH_SECONDS = 60.0
"""All tries of one tile together, where the caller sets no deadline."""
CONNECTIONS = 32
"""Kept open; more than a padded tile's nine, because requests overlap."""

_DENSE = re.compile(r"#(@[1-9]x)$")
"""At a template's end: what {r} is. A fragment is never part of what a server is asked for."""

PLACEHOLDERS: Placeholders = {
    **template.PLACEHOLDERS,
    "s": lambda tile: "abc"[(tile.x + tile.y) % 3],  # the same subdomain each time, so that caches on the way work
    "r": lambda tile: "",
}


class XYZSource(TileSource):
    """A tile server, by a template such as ``https://host/{z}/{x}/{y}.jpg``.

    Args:
        text: the template. {r} is nothing, or what stands after # at the end: ``…/{y}{r}.png#@2x`` for tiles of 512.
        attempts: tries for one tile where a retry may help: 429, 5xx, timeouts, broken connections.
        backoff_seconds: the first pause; each next one is twice as long, give or take half.
    """

    def __init__(self, text: str, attempts: int = 4, backoff_seconds: float = 0.25) -> None:
        self._template = _checked(text)
        self._shown = without_secrets(self._template)
        self._attempts = attempts
        self._backoff_seconds = backoff_seconds
        self._closed = threading.Event()
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"tile-playground/{__version__}"
        self._session.headers["Accept"] = "image/*,*/*;q=0.1"
        # Threads share the session, which is safe as long as nothing in it changes: so no cookies.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        if deadline is None:
            deadline = time.monotonic() + FETCH_SECONDS
        pause = self._backoff_seconds
        for attempt in range(1, self._attempts + 1):
            try:
                return self._fetch_once(tile, deadline)
            except _RetryError as error:
                wait = max(pause * random.uniform(0.5, 1.5), error.retry_after)  # noqa: S311 - jitter, no secret
                if attempt == self._attempts or time.monotonic() + wait >= deadline:
                    raise error.cause from self._shareable(error.__cause__)
                if self._closed.wait(wait):
                    raise TileSourceError(f"{self.url(tile)}: the source was closed") from None
                pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def url(self, tile: mercantile.Tile) -> str:
        return template.fill_in(self._shown, tile, PLACEHOLDERS)

    def info(self) -> SourceInfo:
        return SourceInfo(name=urlsplit(self._shown).hostname or self._shown)

    def close(self) -> None:
        self._closed.set()
        self._session.close()

    def _fetch_once(self, tile: mercantile.Tile, deadline: float) -> bytes:
        left = seconds_left(tile, deadline)
        where = self.url(tile)
        try:
            with self._session.get(
                template.fill_in(self._template, tile, PLACEHOLDERS),
                timeout=(min(CONNECT_SECONDS, left), min(READ_SECONDS, left)),
                stream=True,
            ) as response:
                _check_status(response, tile, where)
                data = _read(response, tile, deadline, where)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            late = TileTimeoutError(f"{where}: no answer in time", "try again, or allow more time")
            raise _RetryError(late) from error
        except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
            raise _RetryError(
                TileSourceError(f"{where}: {_cause(error)}", "is the address right, and the server up?")
            ) from error
        except requests.RequestException as error:
            raise TileSourceError(f"{where}: {_cause(error)}") from self._shareable(error)
        if not data:
            raise TileNotFoundError(f"{where}: no imagery (an empty answer)")
        _check_image(data, response, where)
        return data

    def _shareable(self, error: BaseException | None) -> BaseException | None:
        """The cause to show in a traceback: none where the address, which requests writes into it, holds a key."""
        return error if self._shown == self._template else None


class _RetryError(Exception):
    """A failure that may pass: the error to raise when it does not, and the seconds that the server asks to wait."""

    def __init__(self, cause: TileSourceError, retry_after: float = 0.0) -> None:
        super().__init__(cause.message)
        self.cause = cause
        self.retry_after = retry_after


def _check_status(response: requests.Response, tile: mercantile.Tile, where: str) -> None:
    status = response.status_code
    if status in (204, 404, 410):
        raise TileNotFoundError(f"{where}: no imagery at {name_of(tile)} ({status})")
    if status in (401, 403):
        raise TileSourceError(f"{where}: the tile server refuses us ({status})", "it wants credentials, or other ones")
    if status in (408, 425, 429) or status >= 500:
        wait = _retry_after(response.headers.get("Retry-After", ""))
        hint = f"it asks to wait {wait:.0f} seconds" if wait else "it may work later"
        raise _RetryError(TileSourceError(f"{where}: the tile server answers {status}", hint), wait)
    if status != 200:
        raise TileSourceError(f"{where}: the tile server answers {status}", "is the address right?")


def _read(response: requests.Response, tile: mercantile.Tile, deadline: float, where: str) -> bytes:
    """The body, as it comes: a server that sends a byte now and then is stopped by the deadline, too."""
    body = bytearray()
    while chunk := response.raw.read1(2**16, decode_content=True):
        body += chunk
        if len(body) > MAX_BYTES:
            raise TileSourceError(f"{where}: the answer is larger than {MAX_BYTES} bytes", "that is no tile")
        seconds_left(tile, deadline)
    return bytes(body)


def _check_image(data: bytes, response: requests.Response, where: str) -> None:
    """Many servers say 200 to everything; what came decides."""
    if imagery.image_format(data) is None:
        kind = response.headers.get("Content-Type", "of no type")
        raise TileSourceError(
            f"{where}: not an image but {imagery.describe(data)} (Content-Type {kind})", "open the address in a browser"
        )
    try:
        imagery.check_whole(data)
    except ImageError as error:
        raise TileSourceError(f"{where}: {error.message}") from error


def _retry_after(text: str) -> float:
    """Seconds of a Retry-After header, which is a number or a date; 0 for anything else."""
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _cause(error: BaseException) -> str:
    """The innermost reason, without the address (which may hold a key) that requests and urllib3 wrap around it."""
    seen = error
    while isinstance(inner := getattr(seen, "reason", None) or seen.__cause__ or seen.__context__, BaseException):
        seen = inner
    return getattr(seen, "strerror", None) or type(seen).__name__


def _checked(text: str) -> str:
    """The template, with {r} filled in.

    Raises:
        SourceSettingsError: it names no tile, or no host.
    """
    dense = _DENSE.search(text)
    if dense and "{r}" not in text:
        raise SourceSettingsError(
            f"{without_secrets(text)} has no {{r}} that could be {dense[1]}",
            "write {r} where it belongs: …/{y}{r}.png#@2x",
        )
    text = text[: dense.start()].replace("{r}", dense[1]) if dense else text
    template.check_template(text, PLACEHOLDERS)
    try:
        host = urlsplit(text).hostname
    except ValueError:
        host = None
    if not host:
        raise SourceSettingsError(
            f"{without_secrets(text)} has no host that can be read", "write https://host/{z}/{x}/{y}.jpg"
        )
    return text
