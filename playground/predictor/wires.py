"""The server's end of the connection to the predictor's process, which keeps the interpreter lock where it can.

Python gives the lock away around each system call on a socket. Under load another thread of the server takes it then,
and this one waits until that one blocks: two switches of threads for a call that takes a few microseconds. Called
through ``ctypes.PyDLL``, the same functions keep it; they are told not to wait.
"""

from __future__ import annotations

import ctypes
import socket
import sys
from typing import Any

import orjson

from playground_interfaces.wire import BUFFER, Wire


def _functions() -> tuple[Any, Any]:
    """``send`` and ``recv`` of the C library; None each where they may be others than we know."""
    if sys.platform != "linux":
        return None, None
    library = ctypes.PyDLL(None)
    library.send.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    library.recv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.send.restype = library.recv.restype = ctypes.c_ssize_t
    return library.send, library.recv


SEND, RECEIVE = _functions()


def send(sock: socket.socket, data: bytes) -> None:
    """Send all of some bytes, and keep the interpreter lock if there is room for them in the socket."""
    sent = 0 if SEND is None else SEND(sock.fileno(), data, len(data), socket.MSG_DONTWAIT)
    if sent < len(data):  # no room, or an error, which this one tells
        sock.sendall(data[max(0, sent) :])


class ServerWire(Wire):
    """A wire with orjson, where neither sending little nor looking for what has come gives the lock away.

    Attributes:
        is_quick: whether the other side answers so soon that the lock can be kept while it is sent something: on the
            same processor, it may run before the call returns.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, orjson.dumps, orjson.loads)  # type: ignore[no-untyped-call]
        self.is_quick = False
        # So large that what is sent ahead, or a large tile, goes in at once.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))

    def write(self, parts: list[Any], size: int) -> None:
        if size > BUFFER or not self.is_quick:
            super().write(parts, size)  # type: ignore[no-untyped-call]
            return
        send(self.socket, b"".join(parts))

    def gather(self) -> None:
        """Read what has come, without waiting for more."""
        if RECEIVE is None:
            return
        if self._start == self._end:
            self._start = self._end = 0
        room = BUFFER - self._end
        if room:
            self._end += max(0, RECEIVE(self.socket.fileno(), self._address + self._end, room, socket.MSG_DONTWAIT))
