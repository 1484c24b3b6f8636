"""One thread that owns every connection: curl's multi interface over the system's readiness calls."""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pycurl

from playground.fetching.transfer import FAILURES, Failure, Slot, Transfer, cause

KEPT_CONNECTIONS = 64
HOST_CONNECTIONS = 64
"""At the same time, to one host; more transfers wait their turn. It is what an area has in flight."""

_POLL = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}


class Loop:
    """The thread and its connections; ``close`` ends both. Everything but ``call`` and ``close`` is for its thread."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = itertools.count()
        self._asleep = False  # whether the thread must be woken
        self._closing = False
        self.closed = False
        """Whether nothing is begun any more: what is waiting is called a last time, to say so to whoever waits."""
        self._lock = threading.Lock()
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._watched: set[int] = set()
        self._curl_wakes: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, KEPT_CONNECTIONS)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, HOST_CONNECTIONS)
        self._running: set[Slot] = set()
        self._idle: list[Slot] = []
        self._thread = threading.Thread(target=self._run, name="fetching", daemon=True)
        self._thread.start()

    def call(self, what: Callable[[], None]) -> bool:
        """Have something done by the loop's thread, soon; False if the loop is closed, and it will never be."""
        with self._lock:
            if self.closed:
                return False
            self._calls.append(what)
        if self._asleep:
            self._asleep = False  # the next call need not wake it again
            self._ring()
        return True

    def later(self, when: float, what: Callable[[], None]) -> None:
        """Have something done at a moment of ``time.monotonic()``."""
        heapq.heappush(self._timers, (when, next(self._ticket), what))

    def add(self, transfer: Transfer) -> None:
        """Begin a transfer."""
        slot = self._idle.pop() if self._idle else Slot()
        slot.prepare(transfer)
        self._running.add(slot)
        self._multi.add_handle(slot.easy)

    def close(self) -> None:
        """End the thread; transfers under way fail as ``closed``."""
        self._closing = True
        self._ring()
        if threading.current_thread() is not self._thread:
            self._thread.join(5)

    def _ring(self) -> None:
        try:
            with self._lock:  # once it is closed, its number may be another file's
                self._bell.send(b"!")
        except OSError:
            pass  # full: it wakes anyhow; closed: nobody is there

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
        finally:
            with self._lock:
                self.closed = True
            for slot in list(self._running):
                self._end(slot, Failure("closed", "the source was closed"))
            for what in (*self._calls, *(what for _, _, what in self._timers)):
                what()
            self._multi.close()
            self._selector.close()
            self._ear.close()
            with self._lock:
                self._bell.close()

    def _turn(self) -> None:
        self._asleep = True
        wakes = [when for when in (self._curl_wakes, self._timers[0][0] if self._timers else None) if when is not None]
        timeout = 0.0 if self._calls else (max(0.0, min(wakes) - time.monotonic()) if wakes else None)
        ready = self._selector.select(timeout)
        self._asleep = False
        for key, events in ready:
            if key.fileobj is self._ear:
                self._ear.recv(4096)
            else:
                reads = pycurl.CSELECT_IN if events & selectors.EVENT_READ else 0
                writes = pycurl.CSELECT_OUT if events & selectors.EVENT_WRITE else 0
                self._multi.socket_action(key.fd, reads | writes)
        now = time.monotonic()
        while self._calls:
            self._calls.popleft()()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        if self._curl_wakes is not None and self._curl_wakes <= time.monotonic():
            self._curl_wakes = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()

    def _collect(self) -> None:
        more = True
        while more and self._running:
            more, succeeded, failed = self._multi.info_read()
            for easy in succeeded:
                # curl lets a head that breaks off pass as an answer without a body.
                whole = easy.slot.headed
                self._end(easy.slot, None if whole else Failure("truncated", "the head of the answer ends early"))
            for easy, code, words in failed:
                slot: Slot = easy.slot
                self._end(slot, slot.failure or Failure(FAILURES.get(code, "broken"), cause(easy, code, words)))

    def _end(self, slot: Slot, failure: Failure | None) -> None:
        transfer = slot.transfer
        assert transfer is not None
        transfer.status = slot.easy.getinfo(pycurl.RESPONSE_CODE)
        transfer.failure = failure
        self._multi.remove_handle(slot.easy)
        self._running.discard(slot)
        slot.transfer = None
        if len(self._idle) < KEPT_CONNECTIONS:
            self._idle.append(slot)
        transfer.done(transfer)

    def _watch(self, event: int, fd: int, multi: Any, data: Any) -> None:
        if event != pycurl.POLL_REMOVE:
            change = self._selector.modify if fd in self._watched else self._selector.register
            change(fd, _POLL[event])
            self._watched.add(fd)
        elif fd in self._watched:
            self._watched.discard(fd)
            try:
                self._selector.unregister(fd)
            except (KeyError, ValueError, OSError):
                pass

    def _set_timer(self, milliseconds: int) -> None:
        self._curl_wakes = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
