"""The client's connection of a request."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable, Mapping
from typing import Any


def client_watch(environ: Mapping[str, Any]) -> Callable[[], bool]:
    """Tells whether the client of a request has closed its connection, from whichever thread it is asked."""
    sock = environ.get("gunicorn.socket")
    return _never if sock is None else functools.partial(_is_closed, sock)


def _never() -> bool:
    return False


def _is_closed(sock: socket.socket) -> bool:
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
