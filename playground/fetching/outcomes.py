"""How fetching ended, counted by kind."""

from __future__ import annotations

import threading
from collections import Counter

OUTCOMES: dict[str, str] = {
    "ok": "what was asked for came",
    "missing": "404, 410, 204 or an empty answer: there is no imagery",
    "blank": "a wholly transparent picture: there is no imagery",
    "html": "an HTML page where a picture should be",
    "json": "a JSON document where a picture should be",
    "wrong_type": "something else where a picture should be",
    "truncated": "the answer, or the picture in it, ends early",
    "oversized": "more bytes or pixels than a tile may have",
    "unauthorized": "401 or 403: credentials are missing or wrong",
    "throttled": "429, for longer than we may wait",
    "timeout": "no answer in time",
    "refused": "leads to where the configuration does not allow to fetch from",
    "failing": "not asked, because the server keeps failing",
    "failed": "anything else: 4xx, 5xx, connections that break, redirects in a ring",
}
"""Each request ends in one of these."""


class Counts:
    """Counts by outcome; any thread may add."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, kind: str) -> None:
        """One more."""
        with self._lock:
            self._counts[kind] += 1

    def read(self) -> dict[str, int]:
        """The counts so far: every outcome, and ``retried`` and ``circuit_opened``, which are no outcomes."""
        with self._lock:
            return {kind: self._counts[kind] for kind in (*OUTCOMES, "retried", "circuit_opened")}
