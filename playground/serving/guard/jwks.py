"""The public keys of an issuer (RFC 7517): fetched, kept, and fetched again when a token names one that is new."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

import requests
from jwt import PyJWK, PyJWTError

from playground.errors import KeysUnavailableError

logger = logging.getLogger(__name__)

ALGORITHMS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", None),
}
"""Signatures that nobody but the issuer can make: algorithm -> type and curve of its key. No HS256, and no none."""

FRESH_SECONDS = 3600.0
PAUSE_SECONDS = 30.0
FETCH_SECONDS = 5.0
WAIT_SECONDS = 1.0
"""How long a token with a new key waits for a fetch that another began."""
MAX_BYTES = 2**20
MAX_KEYS = 200
LEAST_RSA_BITS = 2048


class KeySet:
    """The keys at one URL.

    Args:
        url: named by the configuration, never by a token.
        fresh: seconds after which they are fetched again.
        pause: seconds from one fetch to the next, whatever tokens name and whatever came of it.
    """

    def __init__(self, url: str, fresh: float = FRESH_SECONDS, pause: float = PAUSE_SECONDS) -> None:
        self._url = url
        self._fresh, self._pause = fresh, pause
        self._keys: dict[str, _Published] = {}
        self._fetched = self._tried = float("-inf")
        self._fetching = threading.Lock()

    def find(self, kid: str, algorithm: str) -> PyJWK | None:
        """The key of that name, for that algorithm; None if there is none.

        Raises:
            KeysUnavailableError: no keys could be fetched yet.
        """
        if kid not in self._keys or time.monotonic() - self._fetched > self._fresh:
            self._refresh(wait=kid not in self._keys)
        keys = self._keys
        if not keys:
            error = KeysUnavailableError("the keys that prove tokens cannot be fetched now", "try again in a moment")
            error.retry_after = self._pause
            raise error
        return keys[kid].key_for(algorithm) if kid in keys else None

    def _refresh(self, wait: bool) -> None:
        """Fetch the keys, unless that was tried a moment ago; the former ones stay if it fails."""
        seconds = (WAIT_SECONDS if self._keys else FETCH_SECONDS) if wait else 0
        if not self._fetching.acquire(timeout=seconds):
            return
        try:
            if time.monotonic() - self._tried < self._pause:
                return
            try:
                self._keys = _fetch(self._url)
                self._fetched = time.monotonic()
            except (requests.RequestException, ValueError) as error:
                logger.error("the keys of %s could not be fetched: %s", self._url, error)
            self._tried = time.monotonic()
        finally:
            self._fetching.release()


class _Published:
    """One key as the issuer publishes it."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self._read: dict[str, PyJWK | None] = {}

    def key_for(self, algorithm: str) -> PyJWK | None:
        """The key, if it is meant for signatures by that algorithm; read once."""
        if algorithm not in self._read:
            self._read[algorithm] = self._read_for(algorithm)
        return self._read[algorithm]

    def _read_for(self, algorithm: str) -> PyJWK | None:
        kind, curve = ALGORITHMS[algorithm]
        told = self._told
        if told.get("alg", algorithm) != algorithm or told.get("use", "sig") != "sig":
            return None
        if told.get("kty") != kind or (curve and told.get("crv") != curve):
            return None
        try:
            key = PyJWK(dict(told), algorithm)
        except (PyJWTError, ValueError, TypeError):
            return None
        weak = kind == "RSA" and getattr(key.key, "key_size", 0) < LEAST_RSA_BITS
        return None if weak else key


def _fetch(url: str) -> dict[str, _Published]:
    """The keys by their names.

    Raises:
        requests.RequestException: not reached, or not in time.
        ValueError: something else than keys came.
    """
    ends = time.monotonic() + FETCH_SECONDS
    body = b""
    # A redirect would lead to where the configuration does not say.
    with requests.get(url, timeout=FETCH_SECONDS, stream=True, allow_redirects=False) as response:
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        for part in response.iter_content(2**14):
            body += part
            if len(body) > MAX_BYTES or time.monotonic() > ends:
                raise ValueError("too much, or too slow")
    try:
        listed = json.loads(body)["keys"]
        found = {each["kid"]: _Published(each) for each in listed[:MAX_KEYS] if isinstance(each.get("kid"), str)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("it holds no keys") from None
    if not found:
        raise ValueError("it holds no keys")
    return found
