"""One get: its tries, redirects, pauses and deadline. Lives in the loop's thread."""

from __future__ import annotations

import email.utils
import logging
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple
from urllib.parse import urljoin

from playground.errors import FetchRefusedError, TileSourceError, TileTimeoutError
from playground.fetching.breaker import Breaker
from playground.fetching.loop import Loop
from playground.fetching.outcomes import Counts
from playground.fetching.policy import FetchPolicy
from playground.fetching.tokens import TokenKeeper
from playground.fetching.transfer import Failure, Transfer, read_head
from playground.fetching.urls import Host, Url, UrlError
from playground.settings.secret import Secret

logger = logging.getLogger(__name__)

MAX_REDIRECTS = 5
LONGEST_PAUSE = 10.0
PATIENCE_SECONDS = 5.0
"""A try cut off earlier by its own deadline says nothing about the server."""
LATE = "try again, or allow more time"


class Fetched(NamedTuple):
    """An answer: anything but what is tried again (408, 425, 429, 5xx) and redirects."""

    status: int
    head: list[bytes]
    """Lines as they came."""
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Names in lower case."""
        return read_head(self.head)


class Tools(NamedTuple):
    """What the requests of one client share."""

    policy: FetchPolicy
    loop: Loop
    tokens: TokenKeeper | None
    breaker: Callable[[Host], Breaker]
    counts: Counts
    proxy_for: Callable[[str], str]


class Request:
    """One get; ``future`` gets its result.

    Args:
        tools: shared with the client's other requests.
        url: checked already.
        shown: gives the address as it may be shown.
        deadline: the moment of ``time.monotonic()`` that all tries share.
        headers: to send; to other hosts, after a redirect, only Accept goes along.
        byte_range: first and last byte.
        max_bytes: of the body.
        read: makes the result of the answer, or raises.
    """

    def __init__(
        self,
        tools: Tools,
        url: Url,
        shown: Callable[[], str],
        deadline: float,
        headers: Mapping[str, str],
        *,
        byte_range: tuple[int, int] | None,
        max_bytes: int,
        read: Callable[[Fetched], Any] | None = None,
    ) -> None:
        self._tools = tools
        self._url = self._first = url
        self._shown = shown
        self._deadline = deadline
        self._headers = headers
        self._range = f"{byte_range[0]}-{byte_range[1]}" if byte_range else None
        self._max_bytes = max_bytes
        self._read = read
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()
        self._tries = self._redirects = 0
        self._token: Secret | None = None
        self._token_renewed = False
        self._began = 0.0

    def begin(self) -> None:
        """The first try, or the next."""
        self._safely(self._begin)

    def _safely(self, step: Callable[[], None]) -> None:
        """Take a step. What goes wrong in it is this request's trouble, and not that of all others in this thread."""
        try:
            step()
        except Exception as error:
            logger.exception("fetching %s", self._shown())
            self._tools.breaker(self._url.host).gave_up()
            problem = TileSourceError(f"{self._shown()}: {type(error).__name__} in the client", "see the service's log")
            self._fail(problem, "failed")

    def _begin(self) -> None:
        if self._tools.loop.closed:
            self.give_up()
            return
        tokens = self._tools.tokens
        if tokens is None or self._url.host not in self._tools.policy.source_hosts:
            self._send(None, None)
            return
        waiting = True

        def send(token: Secret | None, error: TileSourceError | None) -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                self._safely(lambda: self._send(token, error))

        tokens.use(send)
        if waiting:
            self._tools.loop.later(self._deadline, lambda: send(None, self._late()))

    def give_up(self) -> None:
        """The loop is closed."""
        self._fail(TileSourceError(f"{self._shown()}: the source was closed"), "failed")

    def _send(self, token: Secret | None, error: TileSourceError | None) -> None:
        if error is not None:
            self._fail(error, "timeout" if isinstance(error, TileTimeoutError) else "unauthorized")
            return
        self._began = now = time.monotonic()
        if now >= self._deadline:
            self._fail(self._late(), "timeout")
            return
        host = self._url.host
        breaker = self._tools.breaker(host)
        if refusal := breaker.refusal(now):
            hint = f"it is asked again in {breaker.seconds_left(now):.0f} seconds; until then all answers are like this"
            self._fail(TileSourceError(f"{self._shown()}: the tile server {host} {refusal}", hint), "failing")
            return
        self._token = token
        policy = self._tools.policy
        transfer = Transfer(
            self._url.text,
            self._lines(token),
            seconds=self._deadline - now,
            max_bytes=self._max_bytes,
            done=lambda done: self._safely(lambda: self._ended(done)),
            refuse=lambda address: policy.check_address(host, address),
            proxy=self._tools.proxy_for(self._url.text),
            byte_range=self._range,
            resolve=policy.resolve,
        )
        self._tools.loop.add(transfer)

    def _lines(self, token: Secret | None) -> list[str]:
        same_host = self._url.host == self._first.host
        lines = [f"{name}: {value}" for name, value in self._headers.items() if same_host or name == "Accept"]
        credentials = self._tools.policy.credentials
        if self._url.host in self._tools.policy.source_hosts:
            if credentials:
                lines += [f"{name}: {value.reveal()}" for name, value in credentials.headers]
            if token is not None:
                lines.append(f"Authorization: Bearer {token.reveal()}")
        return lines

    def _ended(self, transfer: Transfer) -> None:
        now = time.monotonic()
        breaker = self._tools.breaker(self._url.host)
        if transfer.failure is not None:
            self._broken(transfer.failure, breaker, now)
            return
        status = transfer.status
        if status >= 500:
            self._blame(breaker, f"it answered {status}", now)
        else:
            breaker.succeeded()
        if status in (301, 302, 303, 307, 308) and (location := read_head(transfer.head).get("location")) is not None:
            self._redirect(location)
        elif status == 401 and self._token is not None and not self._token_renewed:
            assert self._tools.tokens is not None
            self._token_renewed = True
            self._tools.tokens.drop(self._token)
            self.begin()
        elif status in (408, 425, 429) or status >= 500:
            asked = _retry_after(read_head(transfer.head).get("retry-after", ""))
            hint = f"it asks to wait {asked:.0f} seconds" if asked else "it may work later"
            error = TileSourceError(f"{self._shown()}: the tile server answers {status}", hint)
            self._again(error, "throttled" if status == 429 else "failed", now, asked)
        else:
            self._succeed(Fetched(status, transfer.head, transfer.body))

    def _succeed(self, fetched: Fetched) -> None:
        try:
            result = self._read(fetched) if self._read else fetched
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def _broken(self, failure: Failure, breaker: Breaker, now: float) -> None:
        kind, words = failure
        if kind == "timeout":
            if now - self._began >= PATIENCE_SECONDS:
                self._blame(breaker, "no answer in time", now)
            else:
                breaker.gave_up()
            self._again(self._late(), "timeout", now)
        elif kind == "oversized":
            breaker.succeeded()
            error = TileSourceError(
                f"{self._shown()}: the answer is larger than {self._max_bytes} bytes", "that is more than was asked for"
            )
            self._fail(error, "oversized")
        elif kind == "refused":
            breaker.gave_up()
            self._refused(f"{self._url.host} {words}")
        elif kind == "closed":
            breaker.gave_up()
            self.give_up()
        else:
            self._blame(breaker, words, now)
            cut = kind == "truncated"
            words = "the answer is truncated: the connection ended early" if cut else words
            error = TileSourceError(f"{self._shown()}: {words}", "is the address right, and the server up?")
            self._again(error, "truncated" if cut else "failed", now)

    def _blame(self, breaker: Breaker, words: str, now: float) -> None:
        if breaker.failed(words, now):
            self._tools.counts.add("circuit_opened")

    def _redirect(self, location: str) -> None:
        self._redirects += 1
        if self._redirects > MAX_REDIRECTS:
            error = TileSourceError(f"{self._shown()}: more than {MAX_REDIRECTS} redirects", "is the address right?")
            self._fail(error, "failed")
            return
        try:
            self._url = self._tools.policy.check(urljoin(self._url.text, location))
        except (UrlError, ValueError) as error:
            self._refused(f"it redirects to an address that {error}")
            return
        self.begin()

    def _again(self, error: TileSourceError, outcome: str, now: float, asked: float = 0.0) -> None:
        """Try once more after a pause, unless the tries or the time are used up: then fail with ``error``."""
        self._tries += 1
        longest = min(self._tools.policy.backoff_seconds * 2 ** (self._tries - 1), LONGEST_PAUSE)
        pause = max(random.uniform(0, longest), asked)  # noqa: S311 - jitter, no secret
        if self._tries >= self._tools.policy.attempts or now + pause >= self._deadline:
            self._fail(error, outcome)
            return
        self._tools.counts.add("retried")
        self._url = self._first
        self._redirects = 0
        self._tools.loop.later(now + pause, self.begin)

    def _refused(self, words: str) -> None:
        hint = "add the host to ALLOWED_HOSTS if tiles are to come from there"
        self._fail(FetchRefusedError(f"{self._shown()}: {words}", hint), "refused")

    def _late(self) -> TileTimeoutError:
        return TileTimeoutError(f"{self._shown()}: no answer in time", LATE)

    def _fail(self, error: TileSourceError, outcome: str) -> None:
        if self.future.done():
            return  # by the loop's last words
        self._tools.counts.add(outcome)
        self.future.set_exception(error)


def _retry_after(text: str) -> float:
    """Seconds of a Retry-After header, which is a number or a date; 0 for anything else."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0
