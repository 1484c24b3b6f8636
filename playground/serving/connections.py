"""Connections of a worker, with fewer turns through gunicorn's main loop, and without its waiting for the other side.

After an answer with ``Connection: close``, gunicorn shuts its half of the connection and reads until the client shuts
the other, so that no unread byte makes the kernel cut the answer short. It does so in the thread that also accepts:
until the client has answered, and for up to two seconds if it does not, nobody else is served, health checks included.
Here such a connection waits beside the others in the loop's selector.

After an answer on a connection that is kept, gunicorn hands it to the main loop, which hands it to a thread again when
the next request comes. From a client that asks again at once, as one does that works through many tiles, the thread
that answered takes the next request itself: two switches of threads less, 0.1 ms.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import selectors
import socket
import struct
import time
from typing import Any

PATIENCE = 2.0
"""Seconds for the client to shut its half: gunicorn's own."""
AT_ONCE = 0.005
"""Seconds that a thread waits for the next request of a client that asked again at once before."""
READ = 65536
"""Bytes that are read of a connection at once: a request with the image of a tile comes whole."""
MOST = 256
"""Connections that may be about to end; of more the oldest end at once, so that file descriptors do not run out."""
UNREAD = 65536
"""Bytes that are read of what a client still sends: gunicorn's own."""


def install(worker: Any) -> None:
    """Do both in a new worker; one of another class than gthread, or of another gunicorn, stays as it is.

    Args:
        worker: gunicorn's, before it starts.
    """
    if all(hasattr(worker, name) for name in ("poller", "tpool", "enqueue_req", "handle", "murder_pending")):
        _Connections(worker)


def _timeval(seconds: float) -> bytes:
    """Seconds as the kernel takes them; 0 is no limit."""
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))


class _Socket(socket.socket):
    """One that asks the kernel only for what it has not done already: gunicorn makes each request's block again."""

    @classmethod
    def of(cls, sock: socket.socket) -> _Socket:
        """The same connection, which does not block."""
        made = cls(sock.family, sock.type, sock.proto, sock.detach())
        made.setblocking(False)
        return made

    def setblocking(self, flag: bool, /) -> None:
        if not flag or self.gettimeout() is not None:
            super().setblocking(flag)


class _Connections:
    """The connections of one worker. All but ``handle`` runs in the worker's main thread."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._enqueue, self._handle, self._murder = worker.enqueue_req, worker.handle, worker.murder_pending
        self._ending: collections.OrderedDict[socket.socket, float] = collections.OrderedDict()
        worker.enqueue_req, worker.handle, worker.murder_pending = self.enqueue_req, self.handle, self.murder_pending

    def enqueue_req(self, conn: Any) -> None:
        """A connection has a request."""
        if "close" not in vars(conn):  # a new one: its end will be ours
            conn.sock = _Socket.of(conn.sock)
            conn.close = functools.partial(self._close, conn, conn.close)
            conn.asks_at_once = True
        elif conn.timeout is not None:
            conn.asks_at_once = time.monotonic() - (conn.timeout - self._worker.cfg.keepalive) < AT_ONCE
        self._enqueue(conn)

    def handle(self, conn: Any) -> Any:
        """Answer the request of a connection, and those that follow it at once. Runs in one of the threads."""
        kept = self._handle(conn)
        while kept is True and self._asks_again(conn):
            kept = self._handle(conn)
        return kept

    def _asks_again(self, conn: Any) -> bool:
        """Wait a moment for the next request: where that is likely, and no other connection needs this thread."""
        if not (conn.asks_at_once and self._worker.alive and type(conn.sock) is _Socket) or conn.is_http2:
            return False
        if self._worker.tpool._work_queue.qsize() or conn.parser.unreader.buf.getvalue():
            return False
        # One call that waits and reads: each one lets go of the interpreter, and has to get it back from the others.
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(AT_ONCE))
        try:
            conn.parser.unreader.unread(conn.sock.recv(READ))
        except BlockingIOError:
            conn.asks_at_once = False
        except OSError:  # the client is gone: gunicorn finds that out, too
            conn.asks_at_once = True
        else:
            conn.asks_at_once = True
        finally:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(0))
        return bool(conn.asks_at_once)

    def murder_pending(self) -> None:
        """Called by the main loop after each turn: give up those that took too long."""
        self._murder()
        now = time.monotonic()
        while self._ending and next(iter(self._ending.values())) < now:
            self._end(next(iter(self._ending)))

    def _close(self, conn: Any, close: Any, graceful: bool = False) -> None:
        # A worker that ends may wait, and must: with the process its connections end too. TLS has its own way to end.
        if not (graceful and self._worker.alive and type(conn.sock) is _Socket):
            close(graceful)
            return
        sock = conn.sock
        try:
            sock.setblocking(False)
            sock.shutdown(socket.SHUT_WR)
            self._worker.poller.register(sock, selectors.EVENT_READ, functools.partial(self._drain, [0]))
            self._ending[sock] = time.monotonic() + PATIENCE
            if len(self._ending) > MOST:
                self._end(next(iter(self._ending)))
        except OSError:
            sock.close()  # the client is gone already

    def _drain(self, drained: list[int], sock: socket.socket) -> None:
        """The client said something, or shut its half."""
        try:
            data = sock.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        drained[0] += len(data)
        if not data or drained[0] >= UNREAD:
            self._end(sock)

    def _end(self, sock: socket.socket) -> None:
        if self._ending.pop(sock, None) is None:  # ended within this turn of the loop, which knew that it had spoken
            return
        with contextlib.suppress(OSError, KeyError, ValueError):
            self._worker.poller.unregister(sock)
        sock.close()
