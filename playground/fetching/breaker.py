"""A circuit breaker: a host that keeps failing is left alone for a while, and then asked again by one request."""

from __future__ import annotations

import datetime
import time

LONGEST_SECONDS = 60.0


class Breaker:
    """One host's. Used by one thread.

    Args:
        limit: failed tries in a row after which the host counts as down.
        seconds: how long it is then left alone; twice as long after each failed probe, at most a minute.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._first_seconds = self._seconds = seconds
        self._failures = 0
        self._since = 0.0
        self._last = ""
        self._open_until: float | None = None
        self._probing = False

    def refusal(self, now: float) -> str | None:
        """Why the host is not to be asked now; None if it may be, and then the outcome must be told.

        Args:
            now: ``time.monotonic()``.
        """
        if self._open_until is None:
            return None
        if now >= self._open_until and not self._probing:
            self._probing = True
            return None
        since = datetime.datetime.fromtimestamp(self._since, datetime.timezone.utc)
        return f"has been failing since {since:%H:%M:%S} UTC ({self._failures} tries in a row; the last: {self._last})"

    def seconds_left(self, now: float) -> float:
        """Until one request may try again."""
        return max(0.0, (self._open_until or now) - now)

    def succeeded(self) -> None:
        """The host answered."""
        self._failures = 0
        self._open_until = None
        self._probing = False
        self._seconds = self._first_seconds

    def failed(self, words: str, now: float) -> bool:
        """The host did not answer, or said that it cannot. True if that makes it count as down."""
        if self._failures == 0:
            self._since = time.time()
        self._failures += 1
        self._last = words
        if self._open_until is not None and not self._probing:
            return False  # was on its way before
        if self._failures < self._limit:
            return False
        if self._probing:
            self._seconds = min(2 * self._seconds, LONGEST_SECONDS)
        self._probing = False
        self._open_until = now + self._seconds
        return True

    def gave_up(self) -> None:
        """Nothing was learned: whoever asked did not wait long enough."""
        self._probing = False
