"""A service over HTTP that answers as told: some tiles fail once, some always, some have no imagery."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import mercantile


class FlakyService:
    """Every tile that does not fail shows one small square in its middle.

    Args:
        zoom: of all tiles.
        transient: fail with 500 or 503 the first time.
        permanent: always 422.
        absent: always 404.
        busy: 503 with Retry-After the first time.
    """

    def __init__(self, zoom: int, transient: set, permanent: set, absent: set, busy: set = frozenset()) -> None:
        self.zoom = zoom
        self.once = set(transient)
        self.permanent = set(permanent)
        self.absent = absent
        self.busy = set(busy)
        self.asked = 0
        self.together = threading.Barrier(8)
        """The requests from the 300th on are answered when eight of them are there."""
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FlakyService:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, tile: mercantile.Tile) -> tuple[int, dict]:
        with self.lock:
            self.asked += 1
            fails = tile in self.once
            busy = tile in self.busy
            self.busy.discard(tile)
            self.once.difference_update(() if busy else (tile,))
            held = 300 <= self.asked < 308
        if held:
            self.together.wait(10)
        if busy:
            return 503, {"message": "busy"}
        if fails:
            return 500, {"message": "crashed"}
        if tile in self.permanent:
            return 422, {"message": "clouds"}
        if tile in self.absent:
            return 404, {"message": "no imagery"}
        box = mercantile.bounds(tile)
        x, y, step = (box.west + box.east) / 2, (box.south + box.north) / 2, (box.east - box.west) / 50
        ring = [[x, y], [x + step, y], [x + step, y + step], [x, y + step], [x, y]]
        feature = {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"category": "dot", "confidence": 0.5},
        }
        return 200, {
            "prediction": {"type": "FeatureCollection", "features": [feature]},
            "tile": {"size": 256, "padding": 16},
            "report": {},
        }


def _handler(service: FlakyService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            self.say(200, {"zoom_level": service.zoom, "predictor": "dots:Dots", "padding": 16})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.say(*service.answer(mercantile.Tile(asked["x"], asked["y"], asked["z"])))

        def say(self, status: int, body: dict) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if status == 503:
                self.send_header("Retry-After", "0.1")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
