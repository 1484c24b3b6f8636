"""One result for all who ask at once, and for those who ask a little later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, MutableMapping
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SharedCache(Generic[K, V]):
    """A bounded cache whose values are made once, however many threads miss them together (single flight).

    Values are kept, errors are not: the next one who asks tries again.

    Args:
        store: where values are kept, for instance a ``cachetools.LRUCache``; this class does the locking.
    """

    def __init__(self, store: MutableMapping[K, V]) -> None:
        self._store = store
        self._pending: dict[K, Future[V]] = {}
        self._lock = threading.Lock()
        self.hits = 0
        """Values that were there."""
        self.joins = 0
        """Values that someone else was making already."""
        self.made = 0
        """Values that had to be made."""

    def claim_all(self, keys: Iterable[K]) -> tuple[dict[K, V], list[tuple[K, Future[V], bool]]]:
        """The values that are there, and of the others what ``claim`` gives: cheaper for many."""
        found: dict[K, V] = {}
        claimed: list[tuple[K, Future[V], bool]] = []
        with self._lock:
            for key in keys:
                if (pending := self._pending.get(key)) is not None:
                    claimed.append((key, pending, False))
                    continue
                try:
                    found[key] = self._store[key]
                except KeyError:
                    future: Future[V] = Future()
                    self._pending[key] = future
                    claimed.append((key, future, True))
            made = sum(mine for _, _, mine in claimed)
            self.hits += len(found)
            self.made += made
            self.joins += len(claimed) - made
        return found, claimed

    def claim_new(self, keys: Iterable[K]) -> list[tuple[K, Future[V]]]:
        """The futures of values that are neither there nor being made; the caller must make them."""
        claimed: list[tuple[K, Future[V]]] = []
        with self._lock:
            for key in keys:
                if key not in self._pending and key not in self._store:
                    future: Future[V] = Future()
                    self._pending[key] = future
                    claimed.append((key, future))
            self.made += len(claimed)
        return claimed

    def claim(self, key: K) -> tuple[Future[V], bool]:
        """The future of a value, and whether the caller must make it, by ``settle``, because nobody else will."""
        with self._lock:
            future: Future[V]
            if key in self._pending:
                self.joins += 1
                return self._pending[key], False
            try:
                value = self._store[key]
            except KeyError:
                self.made += 1
                future = self._pending[key] = Future()
                return future, True
            self.hits += 1
        future = Future()
        future.set_result(value)
        return future, False

    def settle(self, key: K, make: Callable[[], V]) -> None:
        """Make a claimed value, keep it and give it, or the error, to everyone who waits."""
        try:
            value = make()
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            with self._lock:
                future = self._pending.pop(key)
            future.set_exception(error)
            return
        with self._lock:
            try:
                self._store[key] = value
            except ValueError:
                pass  # cachetools: larger than the whole cache
            future = self._pending.pop(key)
        future.set_result(value)

    def holds(self, key: K) -> bool:
        """Whether the value is there; it may be gone a moment later."""
        with self._lock:
            return key in self._store

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value, made by this thread or awaited from the one that makes it."""
        future, mine = self.claim(key)
        if mine:
            self.settle(key, make)
        return future.result()


def wait_for_all(futures: Iterable[Future[V]], seconds: float | None, enough: Callable[[Future[V]], bool]) -> None:
    """Wait until all futures are done, or the time is over, or one is done of which ``enough`` says to wait no longer.

    Unlike waiting for one after the other, the thread is woken once.
    """
    waiting = list(futures)
    left = len(waiting)
    lock, over = threading.Lock(), threading.Event()

    def count(future: Future[V]) -> None:
        nonlocal left
        with lock:
            left -= 1
        if left == 0 or enough(future):
            over.set()

    for future in waiting:
        future.add_done_callback(count)
    over.wait(None if seconds is None else max(0.0, seconds))
