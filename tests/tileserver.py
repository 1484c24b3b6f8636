"""A small real tile server on localhost, for tests; and a level of map that is known as one picture."""

from __future__ import annotations

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mercantile
import numpy as np

from playground import imagery


@dataclass(frozen=True)
class Answer:
    """What the server says to one request."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    claimed_length: int | None = None
    """A Content-Length that is not true: the connection is cut after the body."""
    wait_for: threading.Event | threading.Barrier | None = None
    """Answer when this happens, at the latest after ten seconds."""
    drip_seconds: float | None = None
    """Send the answer, its head too, one byte at a time with such a pause, until the client or the server ends."""
    raw: bytes | None = None
    """Sent in place of an HTTP answer; then the connection is cut."""
    endless: bool = False
    """The body comes again and again, without a length, until the client or the server ends."""


class TileServer:
    """Answers every path from a table, or by a function; a list is answered in turn, its last answer for ever.

    What the table does not name is 404. ``template`` is the address to give to a source, ``requests`` counts per path.
    """

    def __init__(self, answers: Mapping[str, object] | Callable[[str], object]) -> None:
        self.requests: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        """What was posted."""
        self.connections = 0
        self.closing = threading.Event()
        self._answers = answers
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self.template = self.address + "/{z}/{x}/{y}"

    def __enter__(self) -> TileServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def use_tls(self, certificate: Path, key: Path) -> None:
        """From the next connection on, with a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        with self._lock:
            count = self.requests[path]
            self.requests[path] += 1
            self.headers.append(dict(headers))
        found = self._answers(path) if callable(self._answers) else self._answers.get(path)
        if isinstance(found, list):
            found = found[min(count, len(found) - 1)]
        if found is None:
            return Answer(b"no such tile", 404, {"Content-Type": "text/plain"})
        return found if isinstance(found, Answer) else Answer(bytes(found))  # type: ignore[call-overload]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


def _handler(server: TileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            answer = server.answer(self.path, self.headers)
            if answer.wait_for is not None:
                answer.wait_for.wait(10)
            if answer.raw is not None or answer.drip_seconds is not None or answer.endless:
                self.misbehave(answer)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            cut = answer.claimed_length is not None
            self.send_header("Content-Length", str(answer.claimed_length if cut else len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()
            if cut:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        def do_POST(self) -> None:
            server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.do_GET()

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def misbehave(self, answer: Answer) -> None:
            self.close_connection = True
            if answer.raw is not None:
                self.wfile.write(answer.raw)
                self.wfile.flush()
            elif answer.endless:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                while not server.closing.is_set():
                    self.wfile.write(answer.body)
            else:
                lines = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
                head = f"HTTP/1.1 {answer.status} OK\r\nContent-Length: {len(answer.body)}\r\n{lines}\r\n"
                for byte in head.encode() + answer.body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if server.closing.wait(answer.drip_seconds):
                        return

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def level_picture(zoom: int, size: int = 16, bands: int = 3, seed: int = 7) -> np.ndarray:
    """A whole zoom level as one picture of noise: (2**zoom * size, 2**zoom * size, bands) uint8, no two tiles alike."""
    side = 2**zoom * size
    return np.random.default_rng(seed + zoom).integers(0, 256, (side, side, bands), dtype=np.uint8)


def cut_level(level: np.ndarray, zoom: int) -> Iterable[tuple[mercantile.Tile, bytes]]:
    """The tiles of a level, as PNG."""
    size = level.shape[0] // 2**zoom
    for x in range(2**zoom):
        for y in range(2**zoom):
            pixels = level[y * size : (y + 1) * size, x * size : (x + 1) * size]
            yield mercantile.Tile(x, y, zoom), imagery.encode_png(pixels)


def paths(tiles: Iterable[tuple[mercantile.Tile, bytes]]) -> dict[str, object]:
    """Tiles as the table of a TileServer."""
    return {f"/{tile.z}/{tile.x}/{tile.y}": data for tile, data in tiles}
