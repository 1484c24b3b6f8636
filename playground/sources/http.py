"""Bytes over HTTP: patient with what may pass, clear about what will not."""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy

import requests
import requests.adapters
import urllib3.exceptions

from playground import imagery
from playground.errors import ImageError, TileNotFoundError, TileSourceError, TileTimeoutError
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


Explain = Callable[[bytes], None]
"""Looks at an answer that is no image, and raises what it means if it can tell."""


class HTTPFetcher:
    """Gets tiles and documents over HTTP; used by many threads.

    Args:
        attempts: tries of one get where a retry may help: 429, 5xx, timeouts, broken connections.
        backoff_seconds: the first pause; each next one is twice as long, give or take half.
    """

    def __init__(self, attempts: int = 4, backoff_seconds: float = 0.25) -> None:
        self._attempts = attempts
        self._backoff_seconds = backoff_seconds
        self._closed = threading.Event()
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"tile-playground/{__version__}"
        # Threads share the session, which is safe as long as nothing in it changes: so no cookies.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def get(
        self,
        address: str,
        shown: str,
        deadline: float | None = None,
        *,
        image: bool = True,
        explain: Explain = lambda data: None,
    ) -> bytes:
        """The body of an answer.

        Args:
            address: where to.
            shown: the same without secrets, for messages.
            deadline: the moment of ``time.monotonic()`` after which nobody waits any more.
            image: whether anything but a whole image is a failure.
            explain: see Explain.

        Raises:
            TileNotFoundError, TileTimeoutError, TileSourceError: as ``TileSource.fetch`` says.
        """
        if deadline is None:
            deadline = time.monotonic() + FETCH_SECONDS
        pause = self._backoff_seconds
        for attempt in range(1, self._attempts + 1):
            try:
                return self._get_once(address, shown, deadline, image, explain)
            except _RetryError as error:
                wait = max(pause * random.uniform(0.5, 1.5), error.retry_after)  # noqa: S311 - jitter, no secret
                if attempt == self._attempts or time.monotonic() + wait >= deadline:
                    raise error.cause from _shareable(error.__cause__, address, shown)
                if self._closed.wait(wait):
                    raise TileSourceError(f"{shown}: the source was closed") from None
                pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Let go of the connections, and of those who pause between tries."""
        self._closed.set()
        self._session.close()

    def _get_once(self, address: str, shown: str, deadline: float, image: bool, explain: Explain) -> bytes:
        left = _seconds_left(shown, deadline)
        accept = "image/*,*/*;q=0.1" if image else "application/xml,text/xml,*/*;q=0.1"
        timeout = (min(CONNECT_SECONDS, left), min(READ_SECONDS, left))
        try:
            with self._session.get(address, timeout=timeout, stream=True, headers={"Accept": accept}) as response:
                _check_status(response, shown)
                data = _read(response, deadline, shown)
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            late = TileTimeoutError(f"{shown}: no answer in time", "try again, or allow more time")
            raise _RetryError(late) from error
        except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
            raise _RetryError(
                TileSourceError(f"{shown}: {_cause(error)}", "is the address right, and the server up?")
            ) from error
        except requests.RequestException as error:
            raise TileSourceError(f"{shown}: {_cause(error)}") from _shareable(error, address, shown)
        if response.status_code != 200:
            explain(data)
            raise TileSourceError(f"{shown}: the tile server answers {response.status_code}", "is the address right?")
        if not data:
            raise TileNotFoundError(f"{shown}: no imagery (an empty answer)")
        if image:
            _check_image(data, response, shown, explain)
        return data


def _shareable(error: BaseException | None, address: str, shown: str) -> BaseException | None:
    """The cause to show in a traceback: none where the address, which requests writes into it, holds a key."""
    return error if shown == address else None


def _seconds_left(shown: str, deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TileTimeoutError(f"{shown} did not come in time", "try again, or allow more time")
    return left


class _RetryError(Exception):
    """A failure that may pass: the error to raise when it does not, and the seconds that the server asks to wait."""

    def __init__(self, cause: TileSourceError, retry_after: float = 0.0) -> None:
        super().__init__(cause.message)
        self.cause = cause
        self.retry_after = retry_after


def _check_status(response: requests.Response, where: str) -> None:
    status = response.status_code
    if status in (204, 404, 410):
        raise TileNotFoundError(f"{where}: no imagery ({status})")
    if status in (401, 403):
        raise TileSourceError(f"{where}: the tile server refuses us ({status})", "it wants credentials, or other ones")
    if status in (408, 425, 429) or status >= 500:
        wait = _retry_after(response.headers.get("Retry-After", ""))
        hint = f"it asks to wait {wait:.0f} seconds" if wait else "it may work later"
        raise _RetryError(TileSourceError(f"{where}: the tile server answers {status}", hint), wait)


def _read(response: requests.Response, deadline: float, where: str) -> bytes:
    """The body, as it comes: a server that sends a byte now and then is stopped by the deadline, too."""
    body = bytearray()
    while chunk := response.raw.read1(2**16, decode_content=True):
        body += chunk
        if len(body) > MAX_BYTES:
            raise TileSourceError(f"{where}: the answer is larger than {MAX_BYTES} bytes", "that is no tile")
        _seconds_left(where, deadline)
    return bytes(body)


def _check_image(data: bytes, response: requests.Response, where: str, explain: Explain) -> None:
    """Many servers say 200 to everything; what came decides."""
    if imagery.image_format(data) is None:
        explain(data)
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
