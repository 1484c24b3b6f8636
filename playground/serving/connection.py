"""The client's connection of the current request."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable

from flask import request


def client_watch() -> Callable[[], bool]:
    """Tells whether the client of the current request has closed its connection, from whichever thread it is asked."""
    sock = request.environ.get("gunicorn.socket")
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
