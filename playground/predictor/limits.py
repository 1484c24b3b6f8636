"""How much one predictor takes on, and what it does not take twice."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import threading
import time
from collections.abc import Iterator

import cachetools

from playground.errors import PredictorBusyError, PredictorTimeoutError, RequestAbandonedError, TilePoisonedError
from playground_interfaces import Tile


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one predictor process may take.

    Attributes:
        predict_seconds: for one prediction; then the process is killed.
        load_seconds: from its start to the end of its warm-up.
        backlog: requests that may wait for it; one more is refused at once.
        max_requests: predictions after which it is replaced, between two requests; 0 for never.
        memory_mb: resident memory after which it is replaced between two requests, and at twice of which it is killed
            in the middle of one; 0 for no limit.
    """

    predict_seconds: float = 60.0
    load_seconds: float = 600.0
    backlog: int = 6
    max_requests: int = 0
    memory_mb: int = 0


class Queue:
    """The places of the requests under way, and whose turn it is: first come, first served.

    A plain lock gives the turn to whoever wakes first; under load some requests then wait many times as long as others.

    Args:
        backlog: requests that may wait while one is predicted.
    """

    def __init__(self, backlog: int) -> None:
        self._places = threading.BoundedSemaphore(backlog + 1)
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: collections.deque[threading.Lock] = collections.deque()
        self._seconds = 0.0
        self._here = threading.local()

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """A place for the request of this thread; within it, another one changes nothing.

        Raises:
            PredictorBusyError: all places are taken; it says when one should be free.
        """
        if getattr(self._here, "admitted", False):
            yield
            return
        if not self._places.acquire(blocking=False):
            error = PredictorBusyError("enough requests wait for the predictor already", "try again in a moment")
            error.retry_after = max(1.0, self._seconds * (len(self._waiting) + 1))
            raise error
        self._here.admitted = True
        try:
            yield
        finally:
            self._here.admitted = False
            self._places.release()

    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return len(self._waiting)

    def seconds(self) -> float:
        """How long one turn has taken lately."""
        return self._seconds

    @contextlib.contextmanager
    def turn(self, tile: Tile, deadline: float) -> Iterator[None]:
        """Hold the predictor.

        Raises:
            PredictorTimeoutError: it was not this request's turn until the deadline.
            RequestAbandonedError: it is, but nobody waits for the answer any more.
        """
        if not self._take(deadline):
            raise PredictorTimeoutError("the predictor was busy until the deadline", "try again later")
        try:
            abandoned = getattr(tile, "abandoned", None)
            if abandoned is not None and abandoned():
                raise RequestAbandonedError("the client is gone; nothing was predicted")
            began = time.monotonic()
            yield
            self._seconds += 0.2 * (time.monotonic() - began - self._seconds)
        finally:
            self._give()

    def _take(self, deadline: float) -> bool:
        """Wait for the turn; False if it did not come before the deadline."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return True
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        return True  # it was given at the very last moment

    def _give(self) -> None:
        """Give the turn to whoever waits longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


class Poison:
    """Tiles that ended the predictor: after the second time they are not tried again.

    Args:
        tries: how often a tile may end it.
    """

    def __init__(self, tries: int = 2) -> None:
        self.tries = tries
        self._ended: cachetools.LRUCache[object, int] = cachetools.LRUCache(1024)

    def check(self, tile: Tile) -> None:
        """Refuse a tile that ended the predictor too often.

        Raises:
            TilePoisonedError: it did.
        """
        if self._ended and self._ended.get(_name(tile), 0) >= self.tries:
            raise TilePoisonedError(
                f"this tile crashed or hung the predictor {self.tries} times; it is not tried again",
                "do not send it again; whoever runs the predictor finds the cause in the service's log",
            )

    def add(self, tile: Tile) -> None:
        """Remember that the predictor ended on this tile."""
        name = _name(tile)
        self._ended[name] = self._ended.get(name, 0) + 1


def _name(tile: Tile) -> object:
    if tile.z is not None:
        return (tile.z, tile.x, tile.y)
    seen = hashlib.blake2b(digest_size=16)
    for each in tile.tiles:
        seen.update(bytes(each.image or b""))
    return tile.url, seen.digest()
