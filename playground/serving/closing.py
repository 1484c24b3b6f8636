"""Ends of connections, without gunicorn's main loop waiting for the other side.

After an answer with ``Connection: close``, gunicorn shuts its half of the connection and reads until the client shuts
the other, so that no unread byte makes the kernel cut the answer short. It does so in the thread that also accepts:
until the client has answered, and for up to two seconds if it does not, nobody else is served, health checks included.
Here such a connection waits beside the others in the loop's selector.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import selectors
import socket
import time
from typing import Any

PATIENCE = 2.0
"""Seconds for the client to shut its half: gunicorn's own."""
UNREAD = 65536
"""Bytes that are read of what a client still sends: gunicorn's own."""


def install(worker: Any) -> None:
    """Let a worker's main loop wait for nobody. Called in the new worker; other classes than gthread stay as they are.

    Args:
        worker: gunicorn's, before it starts.
    """
    if all(hasattr(worker, name) for name in ("poller", "enqueue_req", "murder_pending")):
        _Closing(worker)


class _Closing:
    """The connections of one worker that are about to end. All of it runs in the worker's main thread."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._enqueue, self._murder = worker.enqueue_req, worker.murder_pending
        self._ending: collections.OrderedDict[socket.socket, float] = collections.OrderedDict()
        worker.enqueue_req, worker.murder_pending = self.enqueue_req, self.murder_pending

    def enqueue_req(self, conn: Any) -> None:
        """A connection has a request; its end will be ours."""
        if "close" not in vars(conn):
            conn.close = functools.partial(self._close, conn, conn.close)
        self._enqueue(conn)

    def murder_pending(self) -> None:
        """Called by the main loop after each turn: give up those that took too long."""
        self._murder()
        now = time.monotonic()
        while self._ending and next(iter(self._ending.values())) < now:
            self._end(next(iter(self._ending)))

    def _close(self, conn: Any, close: Any, graceful: bool = False) -> None:
        # A worker that ends may wait, and must: with the process its connections end too. TLS has its own way to end.
        if not (graceful and self._worker.alive and type(conn.sock) is socket.socket):
            close(graceful)
            return
        sock = conn.sock
        try:
            sock.setblocking(False)
            sock.shutdown(socket.SHUT_WR)
            self._worker.poller.register(sock, selectors.EVENT_READ, functools.partial(self._drain, [0]))
            self._ending[sock] = time.monotonic() + PATIENCE
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
        del self._ending[sock]
        with contextlib.suppress(OSError, KeyError, ValueError):
            self._worker.poller.unregister(sock)
        sock.close()
