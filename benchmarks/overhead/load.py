"""A closed-loop load generator: keep-alive connections, one request in flight on each, raw sockets."""

from __future__ import annotations

import selectors
import socket
import time


def requests_per_second(port: int, request: bytes, connections: int, seconds: float) -> tuple[float, int]:
    """Send one request over and over.

    Returns:
        Answers with status 200 per second, and the number of other answers.
    """
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ, bytearray())
        sock.sendall(request)
    good = bad = 0
    began = time.monotonic()
    until = began + seconds
    while time.monotonic() < until:
        for key, _ in selector.select(0.1):
            sock, buffer = key.fileobj, key.data
            assert isinstance(sock, socket.socket)
            buffer += sock.recv(262_144)
            if not is_whole(buffer):
                continue
            if buffer.startswith(b"HTTP/1.1 200"):
                good += 1
            else:
                bad += 1
            buffer.clear()
            sock.sendall(request)
    took = time.monotonic() - began
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return good / took, bad


def is_whole(buffer: bytearray) -> bool:
    """Whether a response has arrived, by its Content-Length."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = bytes(buffer[:end]).lower()
    at = head.index(b"content-length:") + len(b"content-length:")
    return len(buffer) >= end + 4 + int(head[at:].split(b"\r\n", 1)[0])
