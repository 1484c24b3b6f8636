"""The front door: get bytes from where the policy says."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from playground.errors import FetchRefusedError, TileSourceError, TileTimeoutError
from playground.fetching.breaker import Breaker
from playground.fetching.loop import Loop
from playground.fetching.outcomes import Counts
from playground.fetching.policy import FetchPolicy
from playground.fetching.request import LATE, Fetched, Request, Tools
from playground.fetching.tokens import TokenKeeper
from playground.fetching.urls import Host, Url, UrlError, parse_url, without_secrets
from playground.version import __version__

T = TypeVar("T")

FETCH_SECONDS = 60.0
"""All tries of one request together, where the caller sets no deadline."""
GRACE_SECONDS = 0.25
HEADERS = {"User-Agent": f"tile-playground/{__version__}", "Accept": "image/*,*/*;q=0.1"}


def open_client(policy: FetchPolicy) -> Client:
    """A client for what the policy allows. Close it when nothing is fetched any more."""
    return Client(policy)


class Client:
    """Gets bytes; used by many threads. One thread of its own does the work, from the first request on.

    Args:
        policy: from where and how.
    """

    def __init__(self, policy: FetchPolicy) -> None:
        self.policy = policy
        self._counts = Counts()
        self._allowed: set[Host] = set()
        self._lock = threading.Lock()
        self._tools: Tools | None = None
        self._owner = 0
        self._closed = False

    def get(
        self,
        url: str,
        *,
        deadline: float | None,
        headers: Mapping[str, str] | None = None,
        byte_range: tuple[int, int] | None = None,
        max_bytes: int,
    ) -> Fetched:
        """Fetch, and wait for it.

        Args:
            url: http or https, on a host that the policy allows.
            deadline: the moment of ``time.monotonic()`` that all tries share; None for a minute from now.
            headers: to send; no secrets, which belong into the policy.
            byte_range: the first and the last byte wanted, both included. The answer is 206, or 200 with the whole
                from a server that gives no ranges.
            max_bytes: of the body.

        Raises:
            FetchRefusedError: the policy does not allow it, or what it leads to.
            TileTimeoutError: no answer in time.
            TileSourceError: the server failed at each try, or keeps failing, or sent more than ``max_bytes``.
        """
        deadline = time.monotonic() + FETCH_SECONDS if deadline is None else deadline
        future = self.start(url, deadline=deadline, headers=headers, byte_range=byte_range, max_bytes=max_bytes)
        fetched: Fetched = wait_for(future, deadline, partial(without_secrets, url))
        self.count("ok" if fetched.status < 400 else "missing" if fetched.status in (404, 410) else "failed")
        return fetched

    def start(
        self,
        url: str,
        *,
        deadline: float | None,
        headers: Mapping[str, str] | None = None,
        byte_range: tuple[int, int] | None = None,
        max_bytes: int,
        shown: Callable[[], str] | None = None,
        read: Callable[[Fetched], Any] | None = None,
    ) -> Future[Any]:
        """Begin to fetch: as ``get``, without waiting. The future's callbacks run in the loop's thread: be quick.

        Failures are counted here, what came by who judges it (``count``).

        Args:
            shown: gives the address for messages, without secrets.
            read: makes the future's result of the answer, or raises what the future then raises; in the loop's thread.
        """
        shown = shown or partial(without_secrets, url)
        deadline = time.monotonic() + FETCH_SECONDS if deadline is None else deadline
        try:
            parts = self._check(url)
        except UrlError as error:
            self.count("refused")
            hint = "add the host to ALLOWED_HOSTS if tiles are to come from there"
            return _failed(FetchRefusedError(f"{shown()}: it {error}", hint))
        tools = self._ready()
        if tools is None:
            return _failed(TileSourceError(f"{shown()}: the source was closed"))
        sent = {**HEADERS, **headers} if headers else HEADERS
        request = Request(tools, parts, shown, deadline, sent, byte_range=byte_range, max_bytes=max_bytes, read=read)
        if not tools.loop.call(request.begin):
            request.give_up()
        return request.future

    def count(self, kind: str) -> None:
        """One more request that ended so, see ``outcomes.OUTCOMES``."""
        self._counts.add(kind)

    def counts(self) -> dict[str, int]:
        """How often requests ended how, since the client was opened."""
        return self._counts.read()

    def close(self) -> None:
        """End the thread and its connections; whoever waits gets an error."""
        with self._lock:
            self._closed = True
            tools, self._tools = self._tools, None
        if tools is not None and self._owner == os.getpid():
            tools.loop.close()

    def _check(self, url: str) -> Url:
        """As the policy does; that of a host is known from its first address on."""
        parts = parse_url(url)
        if parts.host not in self._allowed:
            self.policy.check(url)
            self._allowed.add(parts.host)
        return parts

    def _ready(self) -> Tools | None:
        """What requests share, made at the first, and again in a forked process, which has no threads."""
        with self._lock:
            if self._tools is None or self._tools.loop.closed or self._owner != os.getpid():
                if self._closed:
                    return None
                self._owner = os.getpid()
                self._tools = self._make_tools()
            return self._tools

    def _make_tools(self) -> Tools:
        loop = Loop()
        breakers: dict[Host, Breaker] = {}
        new_breaker = partial(Breaker, self.policy.breaker_failures, self.policy.breaker_seconds)
        proxies: dict[str, str] = {}
        if self.policy.use_proxy and any(name.lower().endswith("_proxy") for name in os.environ):
            import urllib.request  # noqa: PLC0415 - takes long, and few need it

            proxies = urllib.request.getproxies_environment()

        def proxy_for(url: str) -> str:
            if not proxies:
                return ""
            parts = urlsplit(url)
            if urllib.request.proxy_bypass_environment(parts.netloc, proxies):  # type: ignore[attr-defined]
                return ""
            return proxies.get(parts.scheme) or proxies.get("all") or ""

        def breaker(host: Host) -> Breaker:
            found = breakers.get(host)
            if found is None:
                found = breakers[host] = new_breaker()
            return found

        credentials = self.policy.credentials
        tokens = TokenKeeper(credentials.token, loop, proxy_for) if credentials and credentials.token else None
        return Tools(self.policy, loop, tokens, breaker, self._counts, proxy_for)


def wait_for(future: Future[T], deadline: float, shown: Callable[[], str]) -> T:
    """A future's result. The loop keeps the deadline; a moment later those who wait are freed whatever it does.

    Raises:
        TileTimeoutError: they were.
    """
    try:
        return future.result(max(0.0, deadline - time.monotonic()) + GRACE_SECONDS)
    except concurrent.futures.TimeoutError:
        raise TileTimeoutError(f"{shown()}: no answer in time", LATE) from None


def _failed(error: TileSourceError) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future
