"""What gunicorn does around each request, for less.

It makes the environment from nothing every time, looks each setting up by a chain of calls, sends the head of an answer
by itself, and asks the socket whether something of the body is left. Here what is the same for all requests of a worker
is made once, and an answer that is there as a whole goes out as a whole: one packet, one call of the kernel. Reading
requests, where a mistake would be a hole, stays gunicorn's; so does whatever is not plain HTTP/1 over TCP.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Sequence
from typing import Any

import gunicorn
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.body import LengthReader
from gunicorn.http.parser import RequestParser

from playground.predictor.wires import send
from playground.serving import heads
from playground.serving.connections import READ

KNOWN = 27
"""The gunicorn that this has been written against; another one keeps its own way."""


AT_ONCE = 64 * 1024
"""Bytes: an answer that is no longer goes into the socket without waiting, so the interpreter lock is kept for it."""

PLAIN = frozenset(("CONTENT-TYPE", "CONTENT-LENGTH"))
"""Headers whose names stand in the environment without HTTP_ before them."""


SAFE = frozenset(
    (
        "Cache-Control",
        "Content-Encoding",
        "Content-Type",
        "ETag",
        "RateLimit",
        "RateLimit-Policy",
        "Vary",
        "X-Content-Type-Options",
        "X-Correlation-ID",
    )
)
"""Names of headers that need no look; their values do."""


class _Date:
    """The time as a Date header has it, made once a second."""

    def __init__(self) -> None:
        self._made = 0, ""

    def __call__(self, timestamp: float | None = None) -> str:
        if timestamp is not None:
            return str(_http_date(timestamp))
        now = int(time.time())
        second, text = self._made
        if second != now:
            text = str(_http_date(now))
            self._made = now, text
        return text


_http_date = util.http_date


class Response(wsgi.Response):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's, which sends an answer that is there as a whole at once."""

    headers_sent: bool

    def process_headers(self, headers: Sequence[tuple[str, str]]) -> None:
        for pair in headers:
            name, value = pair
            if name in SAFE and type(value) is str and wsgi.HEADER_VALUE_RE.fullmatch(value):
                self.headers.append((name, value.strip(" \t")))
            else:
                super().process_headers((pair,))

    def write(self, arg: bytes) -> None:
        if type(arg) is not bytes or self.response_length != len(arg) or self.headers_sent or self._omits_body:
            super().write(arg)
            return
        head = "".join([*self.default_headers(), *[f"{name}: {value}\r\n" for name, value in self.headers], "\r\n"])
        self.headers_sent = True
        self.sent = len(arg)
        data = head.encode("latin-1") + arg
        if len(data) > AT_ONCE or isinstance(self.sock, ssl.SSLSocket):
            self.sock.sendall(data)
        else:
            send(self.sock, data)


def install(worker: Any) -> None:
    """Do so in a new worker; one of another class than gthread, or of another gunicorn, stays as it is.

    Args:
        worker: gunicorn's, before it starts.
    """
    if gunicorn.version_info[0] == KNOWN and hasattr(worker, "_keepalive_after"):
        _Exchange(worker)


class _Exchange:
    """The requests of one worker. Runs in its threads."""

    def __init__(self, worker: Any) -> None:
        self._keepalive_after, self._create = worker._keepalive_after, wsgi.create
        worker._keepalive_after, wsgi.create = self.keepalive_after, self.create
        RequestParser.mesg_class = staticmethod(heads.read)
        util.http_date = _Date()
        cfg = worker.cfg
        settings = {name: each.get() for name, each in cfg.settings.items() if not hasattr(type(cfg), name)}
        vars(cfg).update(settings)  # a worker's do not change any more, and Python looks here first
        self._always: dict[str, Any] = {}

    def keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Whether a connection can be used again: at once where the body has been read to its end."""
        if keepalive:
            conn.parser.unreader.mxchunk = READ
            reader = conn.parser.mesg.body.reader
            if type(reader) is LengthReader and reader.length == 0:
                conn.parser.mesg = None  # nothing of it is left to be looked at before the next one
                return True
        return bool(self._keepalive_after(conn, keepalive))

    def create(  # noqa: PLR0917 - the signature is gunicorn's
        self, req: Any, sock: Any, client: Any, server: Any, cfg: Any, response_class: Any = None, *more: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The response and the environment of a request."""
        if (
            response_class is not None
            or more
            or req._expected_100_continue
            or req.proxy_protocol_info
            or type(client) is not tuple
            or type(server) is not tuple
            or "SCRIPT_NAME" in os.environ
        ):
            return self._create(req, sock, client, server, cfg, response_class, *more)  # type: ignore[no-any-return]
        response = Response(req, sock, cfg)
        head = getattr(req, "head", None)
        if head is not None and head.environ:
            return response, {
                **head.environ,
                "wsgi.input": req.body,
                "wsgi.early_hints": wsgi._make_early_hints_callback(req, sock, response),
                "gunicorn.socket": sock,
                "CONTENT_LENGTH": head.length_of(req),
            }
        path = req.path
        environ = {
            **(self._always or self._make_always(cfg)),
            "wsgi.input": req.body,
            "wsgi.url_scheme": req.scheme,
            "wsgi.early_hints": wsgi._make_early_hints_callback(req, sock, response),
            "gunicorn.socket": sock,
            "REQUEST_METHOD": req.method,
            "QUERY_STRING": req.query,
            "RAW_URI": req.uri,
            "PATH_INFO": util.unquote_to_wsgi_str(path) if "%" in path else path,
            "SCRIPT_NAME": "",
            "SERVER_PROTOCOL": f"HTTP/{req.version[0]}.{req.version[1]}",
            "SERVER_NAME": server[0],
            "SERVER_PORT": str(server[1]),
            "REMOTE_ADDR": client[0],
            "REMOTE_PORT": str(client[1]),
        }
        for name, value in req.headers:
            if name in PLAIN:
                environ[name.replace("-", "_")] = value
                continue
            key = f"HTTP_{name.replace('-', '_')}"
            if key in environ or name == "SCRIPT_NAME":  # gunicorn knows how these are put together
                return self._create(req, sock, client, server, cfg)  # type: ignore[no-any-return]
            environ[key] = value
        if head is not None:
            head.environ = {**environ, "wsgi.input": None, "wsgi.early_hints": None}
        return response, environ

    def _make_always(self, cfg: Any) -> dict[str, Any]:
        self._always = wsgi.base_environ(cfg)
        return self._always
