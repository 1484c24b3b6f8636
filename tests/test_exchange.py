"""What the service does around a request in gunicorn's place: the same environment, and the same bytes on the wire."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable, Iterable
from typing import Any

import gunicorn
import pytest
from gunicorn import util
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn, ThreadWorker

from playground.serving import exchange

BODY = b'{"image": "' + b"a" * 100_000 + b'"}'
REQUESTS = {
    "plain": b"GET /a/b?c=d%20e HTTP/1.1\r\nHost: x:80\r\nUser-Agent: curl/8\r\n\r\n",
    "escaped": b"GET /a%2Fb/%C3%A4/%00?%41 HTTP/1.1\r\nHost: x\r\n\r\n",
    "body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    + BODY,
    "small body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345",
    "no body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "chunks": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "repeated": b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\nVia: a\r\nX-Forwarded-For: 2.2.2.2\r\n\r\n",
    "behind a proxy": b"GET /api/x HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\nSCRIPT_NAME: /api\r\n\r\n",
    "asks first": b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "old": b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
    "last": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "head": b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "smuggled": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unread body": b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nsome-body",
}
ANSWERS: dict[str, tuple[str, list[tuple[str, str]], list[bytes]]] = {
    "whole": ("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5"), ("X-Own", " a ")], [b"hello"]),
    "empty": ("200 OK", [("Content-Length", "0")], [b""]),
    "nothing": ("204 NO CONTENT", [("Content-Length", "0")], []),
    "not modified": ("304 NOT MODIFIED", [("ETag", '"a"'), ("Content-Length", "5")], [b"hello"]),
    "pieces": ("200 OK", [("Content-Type", "text/plain")], [b"he", b"", b"llo"]),
    "pieces of a length": ("200 OK", [("Content-Length", "5")], [b"he", b"llo"]),
    "too long": ("200 OK", [("Content-Length", "3")], [b"hello"]),
    "too short": ("200 OK", [("Content-Length", "9")], [b"hello"]),
    "hop by hop": ("200 OK", [("Connection", "close"), ("Keep-Alive", "1"), ("Content-Length", "2")], [b"ok"]),
    "split": ("200 OK", [("X-Correlation-ID", "a\r\nSet-Cookie: b"), ("Content-Length", "2")], [b"ok"]),
    "no text": ("200 OK", [("Vary", 5), ("Content-Length", "2")], [b"ok"]),  # type: ignore[list-item]
}


@pytest.fixture
def exchanged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[dict[str, Any], bytes, bool]]:
    """Send a request to a worker of gunicorn's: the environment, what came back, whether the connection is kept."""
    for module, name in ((wsgi, "create"), (util, "http_date"), (RequestParser, "mesg_class")):
        monkeypatch.setattr(module, name, getattr(module, name))

    def send(request: bytes, answer: str, ours: bool) -> tuple[dict[str, Any], bytes, bool]:
        seen: dict[str, Any] = {}
        status, headers, pieces = ANSWERS[answer]

        def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            seen.update(environ)
            if environ["PATH_INFO"] != "/unread":
                length = environ.get("CONTENT_LENGTH")
                given = [environ["wsgi.input"].read(int(length))] if length else []
                seen["wsgi.input"] = b"".join([*given, environ["wsgi.input"].read()])
            start_response(status, list(headers))
            return list(pieces)

        cfg = Config()
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            worker = ThreadWorker(1, os.getpid(), [listener], app, 60, cfg, Logger(cfg))
            worker.wsgi, worker.alive = app, True
            if ours:
                exchange.install(worker)
            client.connect(listener.getsockname())
            client.sendall(request)
            sock, address = listener.accept()
            conn = TConn(cfg, sock, address, listener.getsockname())
            kept = worker.handle(conn)
            sock.close()
            told = b"".join(iter(lambda: client.recv(65536), b""))
        for name in ("wsgi.errors", "wsgi.early_hints", "gunicorn.socket", "REMOTE_PORT", "SERVER_PORT"):
            assert (name in seen) == bool(seen)
            seen.pop(name, None)
        if seen and not isinstance(seen["wsgi.input"], bytes):
            seen["wsgi.input"] = None
        return seen, re.sub(rb"Date: [^\r]+", b"Date: *", told), bool(kept)

    return send


@pytest.fixture(autouse=True)
def _quiet() -> Iterable[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_it_is_gunicorn_that_this_was_written_against() -> None:
    assert gunicorn.version_info[0] == exchange.KNOWN


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_arrive_as_from_gunicorn(exchanged: Callable[..., Any], name: str) -> None:
    theirs = exchanged(REQUESTS[name], "whole", ours=False)
    assert exchanged(REQUESTS[name], "whole", ours=True) == theirs


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_leave_as_from_gunicorn(exchanged: Callable[..., Any], name: str) -> None:
    for request in ("plain", "old", "head", "last"):
        theirs = exchanged(REQUESTS[request], name, ours=False)
        assert exchanged(REQUESTS[request], name, ours=True) == theirs
