"""Bearer tokens that expire: got from their endpoint, renewed at half their life, one renewal at a time."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from urllib.parse import quote

from playground.errors import TileSourceError
from playground.fetching.credentials import TokenEndpoint
from playground.fetching.loop import Loop, Transfer
from playground.fetching.policy import FetchPolicy
from playground.fetching.urls import parse_url
from playground.settings.secret import Secret

DEFAULT_LIFE = 3600.0
RENEWAL_SECONDS = 15.0
MAX_BYTES = 2**16
PAUSE_SECONDS = 1.0
"""After a failed renewal, before the next."""

Waiter = Callable[[Secret | None, TileSourceError | None], None]


class TokenKeeper:
    """The token of one endpoint. Used by the loop's thread only.

    Args:
        endpoint: gives tokens; its host may be private, because the operator named it.
        proxy_for: the proxy for a URL, or "".
    """

    def __init__(self, endpoint: TokenEndpoint, loop: Loop, proxy_for: Callable[[str], str]) -> None:
        self._endpoint = endpoint
        self._loop = loop
        self._proxy_for = proxy_for
        self._url = parse_url(endpoint.url)
        self._policy = FetchPolicy(source_hosts=frozenset({self._url.host}))
        self._token: Secret | None = None
        self._half_life = self._expires = 0.0
        self._waiting: list[Waiter] = []
        self._renewing = False
        self._not_before = 0.0
        self._error: TileSourceError | None = None

    def use(self, waiter: Waiter) -> None:
        """Call back with a token, or with the error that kept us from getting one: at once if there is a token."""
        now = time.monotonic()
        if self._token is not None and now < self._expires:
            if now >= self._half_life:
                self._renew(now)
            waiter(self._token, None)
        elif self._error is not None and now < self._not_before:
            waiter(None, self._error)
        else:
            self._waiting.append(waiter)
            self._renew(now)

    def drop(self, token: Secret) -> None:
        """Forget a token that was refused."""
        if self._token == token:
            self._token = None

    def _renew(self, now: float) -> None:
        if self._renewing or now < self._not_before:
            return
        self._renewing = True
        # RFC 6749, 2.3.1: both parts form-encoded, then Basic.
        pair = f"{quote(self._endpoint.client_id, '')}:{quote(self._endpoint.client_secret.reveal(), '')}"
        headers = [
            "Authorization: Basic " + base64.b64encode(pair.encode()).decode(),
            "Content-Type: application/x-www-form-urlencoded",
            "Accept: application/json",
            "Expect:",
        ]
        host = self._url.host
        transfer = Transfer(
            self._url.text,
            headers,
            seconds=RENEWAL_SECONDS,
            max_bytes=MAX_BYTES,
            done=self._ended,
            refuse=lambda address: self._policy.check_address(host, address),
            proxy=self._proxy_for(self._url.text),
            post=b"grant_type=client_credentials",
        )
        self._loop.add(transfer)

    def _ended(self, transfer: Transfer) -> None:
        now = time.monotonic()
        self._renewing = False
        try:
            self._token, life = _read(transfer)
        except ValueError as error:
            self._not_before = now + PAUSE_SECONDS
            hint = "are TILES_TOKEN_URL, TILES_CLIENT_ID and TILES_CLIENT_SECRET right?"
            self._error = TileSourceError(f"the token server {self._url.host} {error}", hint)
        else:
            self._error = None
            self._half_life, self._expires = now + life / 2, now + life
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter(self._token if self._error is None else None, self._error)


def _read(transfer: Transfer) -> tuple[Secret, float]:
    """The token and the seconds it lives."""
    if transfer.failure is not None:
        raise ValueError(f"could not be asked: {transfer.failure.words}")
    if transfer.status != 200:
        raise ValueError(f"answers {transfer.status}")
    try:
        found = json.loads(transfer.body)
        token, life = found["access_token"], float(found.get("expires_in") or DEFAULT_LIFE)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError("answers something that is no token") from None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise ValueError("answers something that is no token")
    return Secret(token), life
