"""A closed-loop load generator: keep-alive connections, one request in flight on each, raw sockets, one thread."""

from __future__ import annotations

import contextlib
import dataclasses
import selectors
import socket
import time


@dataclasses.dataclass(slots=True)
class Load:
    """What came of sending one request over and over.

    Attributes:
        took: seconds that each answer with status 200 took.
        bad: other answers, and connections that ended.
        seconds: how long it went on.
    """

    took: list[float]
    bad: int
    seconds: float

    @property
    def rate(self) -> float:
        """Answers with status 200 per second."""
        return len(self.took) / self.seconds

    def milliseconds(self, share: float) -> float:
        """A percentile of the time that an answer took."""
        return 1000 * sorted(self.took)[min(int(share * len(self.took)), len(self.took) - 1)] if self.took else 0.0


class _Connection:
    """One connection and what has come of its answer so far."""

    def __init__(self, port: int, request: bytes) -> None:
        self.port, self.request = port, request
        self.answer = bytearray()
        self.socket = self._open()
        self.sent = 0.0

    def _open(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def send(self) -> None:
        self.answer.clear()
        self.sent = time.perf_counter()
        self.socket.sendall(self.request)

    def receive(self) -> bool:
        """Read what is there; whether the answer is whole.

        Raises:
            EOFError: the server closed the connection.
        """
        data = self.socket.recv(262_144)
        if not data:
            raise EOFError
        self.answer += data
        return is_whole(self.answer)


def load(port: int, request: bytes, connections: int, seconds: float) -> Load:
    """Send one request over and over, on so many connections, for so long."""
    selector = selectors.DefaultSelector()
    opened = [_Connection(port, request) for _ in range(connections)]
    for connection in opened:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    took: list[float] = []
    bad = 0
    began = time.perf_counter()
    until = began + seconds
    for connection in opened:
        connection.send()
    while time.perf_counter() < until and selector.get_map():
        for key, _ in selector.select(0.1):
            connection = key.data
            try:
                if not connection.receive():
                    continue
                if connection.answer.startswith(b"HTTP/1.1 200"):
                    took.append(time.perf_counter() - connection.sent)
                else:
                    bad += 1
                connection.send()
            except (OSError, EOFError):
                bad += 1
                selector.unregister(connection.socket)
    spent = time.perf_counter() - began
    for connection in opened:
        with contextlib.suppress(OSError):
            connection.socket.close()
    return Load(took, bad, spent)


def is_whole(answer: bytearray) -> bool:
    """Whether a response has arrived, by its Content-Length, or by its last chunk."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = bytes(answer[:end]).lower()
    at = head.find(b"content-length:")
    if at < 0:
        return answer.endswith(b"0\r\n\r\n")
    return len(answer) >= end + 4 + int(head[at + len(b"content-length:") :].split(b"\r\n", 1)[0])
