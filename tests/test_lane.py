"""The lane in front of Flask answers as Flask does: the same requests, sent both ways, give the same."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import logging
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flask
import orjson
import pytest
from conftest import PREDICTORS
from flask import Flask
from PIL import Image
from werkzeug.test import EnvironBuilder, run_wsgi_app

from playground.pipeline import Pipeline, format_prediction, limits_of, open_engine
from playground.predictor import InlinePredictor, Poison, Predictor, PredictorSpec, ProcessPredictor
from playground.serving import create_app
from playground.serving.metrics import Metrics
from playground.serving.recent import Recent
from playground.serving.state import Service
from playground.settings import load_running

KEY = "a-key-of-sixteen-signs"
REQUESTS = 600
"""Of each configuration."""
CONFIGURATIONS: dict[str, dict[str, str]] = {
    "open": {"AUTH": "none"},
    "guarded": {"AUTH": "api-key", "API_KEYS": f"ana:{KEY}", "RATE_LIMIT": "300/day", "PROXIES": "1"},
    "pages of others": {"AUTH": "none", "CORS_ORIGINS": "https://a.example https://b.example"},
    "pages of anybody, keys": {"AUTH": "api-key", "API_KEYS": KEY, "CORS_ORIGINS": "*", "LOG_API_CALLS": "false"},
    "several": {
        "AUTH": "none",
        "PREDICTORS": json.dumps(
            [
                {"name": name, "namespace": "tests", "PREDICTOR_PACKAGE": "moods", "PREDICTOR_CLASS": "Moods", **more}
                for name, more in (("one", {}), ("two", {"PADDING": 4}))
            ]
        ),
    },
}


class Both:
    """Two applications from the same settings: one with the lane, one without."""

    def __init__(self, environ: dict[str, str], isolated: Path | None = None) -> None:
        self.predictors: list[Predictor] = []
        self.isolated = isolated
        self.laned, self.plain = self._app(environ), self._app(environ)
        self.behind = 0  # requests that the lane has left to Flask
        lane = self.laned.wsgi_app
        self.plain.wsgi_app = self.plain.wsgi_app.flask
        behind = lane.flask

        def count(environ: Any, start_response: Any) -> Any:
            self.behind += 1
            return behind(environ, start_response)

        lane.flask = count

    def _app(self, environ: dict[str, str]) -> Flask:
        given = {"PREDICTOR_PACKAGE": "moods", "PREDICTOR_CLASS": "Moods", "ZOOM_LEVEL": "3", **environ}
        settings, metrics = load_running(None, given), Metrics()
        services = []
        for each in settings.several or [settings]:
            spec = PredictorSpec(each.predictor_package, each.predictor_class, PREDICTORS, sys.executable)
            predictor: Predictor = InlinePredictor(spec)
            if self.isolated:
                poison = Poison(self.isolated / str(len(self.predictors)))
                predictor = ProcessPredictor(spec, limits_of(settings), poison=poison)
            predictor.start()
            self.predictors.append(predictor)

            def predict(tile: Any, predictor: Predictor = predictor) -> Any:
                return format_prediction(predictor.predict(tile))

            pipeline = Pipeline(each, predict, open_engine(each), predictor.admitted)
            services.append(Service(each, pipeline, predictor, metrics))
        for each in self.predictors:
            each.wait_ready(30)
        return create_app(services)

    def send(self, **request: Any) -> tuple[Answer, Answer]:
        return tuple(_send(app, **request) for app in (self.laned, self.plain))  # type: ignore[return-value]


@dataclasses.dataclass
class Answer:
    """What came, with what no two answers share put aside."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    logged: list[tuple[Any, ...]]


class Lines(logging.Handler):
    """Keeps what the service logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[Any, ...]] = []

    def emit(self, record: logging.LogRecord) -> None:
        fields = json.loads(orjson.dumps(getattr(record, "fields", {})))
        fields.pop("timing", None)
        fields.get("httpRequest", {}).pop("latency", None)
        fields.get("httpRequest", {}).pop("responseSize", None)  # some digits of the timing
        text = re.sub(r"\d+\.\d+ s|[0-9a-f]{32}|0x[0-9a-f]+", "*", record.getMessage())
        self.lines.append((record.levelname, record.name, text, fields, bool(record.exc_info)))


def _send(app: Flask, **request: Any) -> Answer:
    environ = EnvironBuilder(**request).get_environ()
    environ["wsgi.input_terminated"] = True
    environ.update(REMOTE_ADDR="10.1.2.3", SERVER_PROTOCOL="HTTP/1.1")
    lines = Lines()
    logger = logging.getLogger("playground")
    logger.addHandler(lines)
    before, logger.level = logger.level, logging.INFO
    try:
        pieces, status, headers = run_wsgi_app(app, environ)
        body = b"".join(pieces)
    finally:
        logger.removeHandler(lines)
        logger.level = before
    return Answer(status, sorted(map(_settled, headers)), _plain(body, headers), lines.lines)


def _settled(header: tuple[str, str]) -> tuple[str, str]:
    name, value = header
    if name in ("X-Correlation-ID", "RateLimit"):
        value = re.sub(r"[0-9a-f]{32}|t=\d+", "*", value)
    return name, "*" if name in ("Content-Length", "Retry-After") else value  # of both, one may be a second later


def _plain(body: bytes, headers: Any) -> bytes:
    coding = headers.get("Content-Encoding")
    assert not body or len(body) == int(headers.get("Content-Length", len(body)))
    if coding == "gzip":
        import gzip

        body = gzip.decompress(body)
    elif coding == "zstd":
        import zstandard

        body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return re.sub(
        rb'("(?:queue|predict|decode|encode|fetch|format|total)":|try again in )[0-9.e-]+|[0-9a-f]{32}|"20\d\d-[^"]+"',
        b"\\1*",
        body,
    )


def png(red: int = 0, green: int = 0, blue: int = 0, size: int = 32) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (red, green, blue)).save(buffer, "PNG")
    return buffer.getvalue()


def requests(seed: int, paths: Sequence[str]) -> list[dict[str, Any]]:
    """Good ones and bad ones."""
    chance = random.Random(seed)
    fair = [png(), png(1), png(3, size=256), png(60), png(2, 0, 3)]
    images = [*fair * 3, png(0, 1), png(0, 2), png(0, 3), b"", b"GIF89a", png()[:60]]

    def text() -> str:
        return base64.b64encode(chance.choice(images)).decode()

    def json_body(path: str) -> bytes:
        if chance.random() < 0.7:
            good = {"resolution": 1, "tiles": [text()]} if "process" in path else {"image": text()}
            return json.dumps(good).encode()
        forms: list[Any] = [
            {"image": text()},
            {"image": f"data:image/png;base64,{text()}"},
            {"image": "***"},
            {"z": 3, "x": chance.randrange(9), "y": 4},
            {"lon": chance.uniform(-190, 190), "lat": 10},
            {"lon": 1},
            {"z": 4, "x": 1, "y": 1},
            {"bbox": [0, 0, 60, 30]},
            {"url": "http://169.254.169.254/"},
            {"resolution": 1, "tiles": [text()] * chance.choice((1, 1, 2, 3)), "metadata": {"a": 1}},
            [{"resolution": 1, "tiles": [text()]}] * 2,
            {},
            [],
            7,
            {"image": text(), "z": 1},
            {"unknown": 1},
        ]
        return json.dumps(chance.choice(forms)).encode()

    def some(name: str, *values: str) -> dict[str, str]:
        return {name: chance.choice(values)} if chance.random() < 0.3 else {}

    found = []
    for _ in range(REQUESTS):
        raw = chance.random() < 0.15
        good_type = "image/png" if raw else "application/json"
        path = chance.choice(paths)
        headers = {
            "Content-Type": chance.choice([good_type] * 12 + ["", "application/json; charset=utf-8", "text/html", ";"]),
            **some(
                "Accept",
                "*/*",
                "*/*",
                "application/geo+json",
                "application/geo+json",
                "application/x-ndjson",
                "text/html",
            ),
            **some("Accept-Encoding", "gzip", "zstd, gzip;q=0.5", "br", "identity;q=0"),
            **some("Origin", "https://a.example", "https://c.example", "null"),
            **some("X-Correlation-ID", "mine-1", "not one", "x" * 200),
            **some("X-API-Key", KEY, KEY, KEY, "wrong"),
            **some("Authorization", f"Bearer {KEY}", "Basic eA=="),
            **some("X-Forwarded-For", "9.9.9.9, 8.8.8.8", "nonsense"),
            **some("X-Cloud-Trace-Context", f"{'a1' * 16}/7;o=1"),
            **some("User-Agent", "curl/8", "x" * 700),
            **(some("Idempotency-Key", "k1", "k2", '"') if chance.random() < 0.2 else {}),
            **(some("Content-Encoding", "gzip", "identity", "br") if chance.random() < 0.2 else {}),
        }
        if chance.random() < 0.6:
            headers["X-API-Key"] = KEY
        found.append(
            {
                "method": chance.choice(("POST",) * 12 + ("GET", "PUT", "OPTIONS", "HEAD")),
                "path": path,
                "query_string": chance.choice(("", "", "a=1")),
                "input_stream": None,
                "data": chance.choice(images) if raw else chance.choice((*[json_body(path)] * 12, b"{", b"")),
                "headers": {name: value for name, value in headers.items() if value},
            }
        )
    return [{name: value for name, value in each.items() if value is not None} for each in found]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_both_ways_answer_alike(name: str, imagery_file: Path) -> None:
    both = Both({"TILES": str(imagery_file), "MAX_TILES_PER_REQUEST": "4", **CONFIGURATIONS[name]})
    statuses = set()
    paths = ["/predict"] * 4 + ["/predict/", "/", "/api/v1/process", "/api/v1/process", "/nothing"]
    if name == "several":
        paths += ["/tests/one/v1/predict", "/tests/two/v1/predict/", "/tests/two/v1/api/v1/process"]
    for request in requests(list(CONFIGURATIONS).index(name), paths):
        ours, theirs = both.send(**request)
        assert ours == theirs, request
        statuses.add(ours.status[:3])
    assert {"200", "400", "422"} <= statuses
    assert both.behind < 0.9 * REQUESTS
    kept = [_kept(app) for app in (both.laned, both.plain)]
    assert kept[0] == kept[1]
    counts = [_counts(app) for app in (both.laned, both.plain)]
    assert counts[0] == counts[1]
    assert counts[0]["playground_in_progress"] == "0.0"


def _kept(app: Flask) -> list[dict[str, Any]]:
    """The last requests, as the developer page shows them."""
    kept: Recent = app.extensions["playground.recent"]
    aside = ("time", "milliseconds", "timing")
    found = [{key: value for key, value in each.items() if key not in aside} for each in kept.requests()]
    return [each | {"correlationId": re.sub(r"[0-9a-f]{32}", "*", each["correlationId"])} for each in found]


def _counts(app: Flask) -> dict[str, str]:
    """The metrics that do not measure time."""
    text = app.extensions["playground"][0].metrics.render("")[0].decode()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: value for name, value in lines if not re.search(r"_bucket|_sum|_created|_tiles_total|fetches", name)}


@pytest.mark.slow
def test_what_ends_a_predictor_ends_alike(tmp_path: Path) -> None:
    both = Both({"AUTH": "none", "TIMEOUT": "20", "PREDICT_TIMEOUT": "1"}, isolated=tmp_path)
    seen = []
    try:
        for image in (png(1), png(1, 0, 1), png(1, 0, 1), png(1, 0, 1), png(1, 0, 2), png(2)):
            for predictor in both.predictors:
                predictor.wait_ready(20)
            request = {"path": "/predict", "method": "POST", "data": image, "headers": {"Content-Type": "image/png"}}
            ours, theirs = both.send(**request)
            ours.logged, theirs.logged = ours.logged[-1:], theirs.logged[-1:]
            assert ours.status == theirs.status
            seen.append(ours.status[:3])
    finally:
        for predictor in both.predictors:
            predictor.close()
    assert seen == ["200", "500", "500", "422", "504", "200"]
    assert _counts(both.laned)["playground_in_progress"] == "0.0"


def _asks(both: Both) -> int:
    """How many of two good requests went Flask's way."""
    before = both.behind
    for _ in range(2):
        ours, theirs = both.send(method="POST", path="/predict", data=png(1), headers={"Content-Type": "image/png"})
        assert ours == theirs
    return both.behind - before


def test_hooks_of_others_are_run() -> None:
    both = Both({"AUTH": "none"})
    for app in (both.laned, both.plain):

        @app.after_request
        def mark(response: flask.Response) -> flask.Response:
            response.headers["X-Team"] = "north"
            return response

    assert _asks(both) == 2
    ours, _ = both.send(method="POST", path="/predict", data=png(1), headers={"Content-Type": "image/png"})
    assert ("X-Team", "north") in ours.headers


def test_signals_and_views_of_others_are_theirs() -> None:
    both = Both({"AUTH": "none"})
    assert _asks(both) == 1  # the first is Flask's
    assert _asks(both) == 0
    heard = []

    def hear(sender: Flask, **_: Any) -> None:
        heard.append(sender)

    with flask.request_finished.connected_to(hear):
        assert _asks(both) == 2
    assert heard == [both.laned, both.plain] * 2
    assert _asks(both) == 0
    for app in (both.laned, both.plain):
        app.view_functions["predictions.predict"] = lambda: "another"
    assert _asks(both) == 2
