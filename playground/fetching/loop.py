"""One thread that owns every connection: curl's multi interface over the system's readiness calls."""

from __future__ import annotations

import heapq
import itertools
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import certifi
import pycurl

CONNECT_SECONDS = 5.0
SILENT_SECONDS = 15
"""A try that gets less than SILENT_BYTES a second for so long is given up; another may do better."""
SILENT_BYTES = 64
KEPT_CONNECTIONS = 64
HOST_CONNECTIONS = 32
"""At the same time, to one host; more transfers wait their turn."""

_POLL = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
_FAILURES = {pycurl.E_OPERATION_TIMEDOUT: "timeout", pycurl.E_PARTIAL_FILE: "truncated", 63: "oversized"}


class Failure(NamedTuple):
    """Why nothing came: ``timeout``, ``truncated``, ``oversized``, ``refused``, ``closed``, else ``broken``."""

    kind: str
    words: str


class Transfer:
    """One request on the wire, and then its answer. Redirects are not followed.

    Args:
        url: the address, checked.
        headers: lines to send.
        seconds: for all of it.
        max_bytes: of the body, decoded; one more is ``oversized``.
        done: called with the transfer, by the loop's thread.
        refuse: what is wrong with an IP address that is about to be connected to; None if nothing is.
        proxy: the proxy's URL, or "" for none; what it connects to cannot be seen from here.
        byte_range: as in the Range header, ``0-99``.
        post: a body to send.
        resolve: see ``FetchPolicy``.
    """

    def __init__(
        self,
        url: str,
        headers: list[str],
        *,
        seconds: float,
        max_bytes: int,
        done: Callable[[Transfer], None],
        refuse: Callable[[str], str | None],
        proxy: str = "",
        byte_range: str | None = None,
        post: bytes | None = None,
        resolve: tuple[str, ...] = (),
    ) -> None:
        self.url = url
        self.headers = headers
        self.seconds = seconds
        self.max_bytes = max_bytes
        self.done = done
        self.refuse = refuse
        self.proxy = proxy
        self.byte_range = byte_range
        self.post = post
        self.resolve = resolve
        self.status = 0
        self.answer: dict[str, str] = {}
        """The answer's headers, names in lower case."""
        self.chunks: list[bytes] = []
        self.received = 0
        self.failure: Failure | None = None

    @property
    def body(self) -> bytes:
        """What came."""
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)


class Loop:
    """The thread and its connections; ``close`` ends both. Everything but ``call`` and ``close`` is for its thread."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = itertools.count()
        self._asleep = False  # whether the thread must be woken
        self._closing = False
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._curl_wakes: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, KEPT_CONNECTIONS)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, HOST_CONNECTIONS)
        self._running: set[_Slot] = set()
        self._idle: list[_Slot] = []
        self._thread = threading.Thread(target=self._run, name="fetching", daemon=True)
        self._thread.start()

    def call(self, what: Callable[[], None]) -> None:
        """Have something done by the loop's thread, soon. Once the loop is closed, nothing is done any more."""
        self._calls.append(what)
        if self._asleep:
            self._asleep = False  # the next call need not wake it again
            self._ring()

    def later(self, when: float, what: Callable[[], None]) -> None:
        """Have something done at a moment of ``time.monotonic()``."""
        heapq.heappush(self._timers, (when, next(self._ticket), what))

    def add(self, transfer: Transfer) -> None:
        """Begin a transfer."""
        slot = self._idle.pop() if self._idle else _Slot()
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
            self._bell.send(b"!")
        except OSError:
            pass  # full: it wakes anyhow; closed: nobody is there

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
        finally:
            for slot in list(self._running):
                self._end(slot, Failure("closed", "the source was closed"))
            self._multi.close()
            self._selector.close()
            self._ear.close()
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
                self._end(easy.slot, None)
            for easy, code, words in failed:
                slot: _Slot = easy.slot
                self._end(slot, slot.failure or Failure(_FAILURES.get(code, "broken"), _cause(easy, words)))

    def _end(self, slot: _Slot, failure: Failure | None) -> None:
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
        if event == pycurl.POLL_REMOVE:
            try:
                self._selector.unregister(fd)
            except (KeyError, ValueError, OSError):
                pass
            return
        try:
            self._selector.modify(fd, _POLL[event])
        except KeyError:
            self._selector.register(fd, _POLL[event])

    def _set_timer(self, milliseconds: int) -> None:
        self._curl_wakes = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


class _Slot:
    """A curl handle that is used again and again, and the transfer that it is busy with."""

    def __init__(self) -> None:
        self.transfer: Transfer | None = None
        self.failure: Failure | None = None
        self.easy: Any = pycurl.Curl()
        self.easy.slot = self
        for option, value in (
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.NOSIGNAL, 1),
            (pycurl.TCP_NODELAY, 1),
            (pycurl.TCP_KEEPALIVE, 1),
            (pycurl.DNS_CACHE_TIMEOUT, 60),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
            (pycurl.PIPEWAIT, 1),
            (pycurl.PATH_AS_IS, 1),
            (pycurl.BUFFERSIZE, 2**17),
            (pycurl.LOW_SPEED_LIMIT, SILENT_BYTES),
            (pycurl.LOW_SPEED_TIME, SILENT_SECONDS),
            (pycurl.CAINFO, _ca_file()),
            (pycurl.HEADERFUNCTION, self._on_header),
            (pycurl.WRITEFUNCTION, self._on_body),
            (pycurl.OPENSOCKETFUNCTION, self._on_open),
        ):
            self.easy.setopt(option, value)

    def prepare(self, transfer: Transfer) -> None:
        self.transfer, self.failure = transfer, None
        set_option = self.easy.setopt
        milliseconds = max(1, int(transfer.seconds * 1000))
        set_option(pycurl.URL, transfer.url)
        set_option(pycurl.HTTPHEADER, transfer.headers)
        set_option(pycurl.TIMEOUT_MS, milliseconds)
        set_option(pycurl.CONNECTTIMEOUT_MS, min(milliseconds, int(CONNECT_SECONDS * 1000)))
        set_option(pycurl.PROXY, transfer.proxy)
        if transfer.byte_range is None:
            self.easy.unsetopt(pycurl.RANGE)
            set_option(pycurl.ACCEPT_ENCODING, "gzip, deflate")
        else:
            set_option(pycurl.RANGE, transfer.byte_range)
            self.easy.unsetopt(pycurl.ACCEPT_ENCODING)  # ranges count the bytes that travel
        if transfer.post is None:
            set_option(pycurl.HTTPGET, 1)
        else:
            set_option(pycurl.POST, 1)
            set_option(pycurl.POSTFIELDS, transfer.post)
        if transfer.resolve:
            set_option(pycurl.RESOLVE, list(transfer.resolve))

    def _on_header(self, line: bytes) -> None:
        transfer = self.transfer
        assert transfer is not None
        if line[:5] == b"HTTP/":
            transfer.answer.clear()  # what came before was a 1xx, or a proxy's
        else:
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                transfer.answer[name.lower()] = value.strip()

    def _on_body(self, chunk: bytes) -> int | None:
        transfer = self.transfer
        assert transfer is not None
        transfer.received += len(chunk)
        if transfer.received > transfer.max_bytes:
            self.failure = Failure("oversized", f"the answer is larger than {transfer.max_bytes} bytes")
            return 0
        transfer.chunks.append(chunk)
        return None

    def _on_open(self, purpose: int, address: Any) -> Any:
        """The decisive check: this address is the one that is connected to, whatever any name resolved to before."""
        family, kind, protocol, where = address
        transfer = self.transfer
        assert transfer is not None
        ip = where[0].decode() if isinstance(where[0], bytes) else where[0]
        if family not in (socket.AF_INET, socket.AF_INET6):
            words: str | None = "no internet address"
        else:
            words = None if transfer.proxy else transfer.refuse(ip)
        if words:
            self.failure = Failure("refused", f"leads to {ip}, {words}")
            return pycurl.SOCKET_BAD
        return socket.socket(family, kind, protocol)


def _cause(easy: Any, words: str) -> str:
    number = easy.getinfo(pycurl.OS_ERRNO)
    return os.strerror(number) if number else words


def _ca_file() -> str:
    named = (os.environ.get(name) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    return next((path for path in named if path and os.path.isfile(path)), None) or certifi.where()
