"""Pages of other origins may ask this service, where the configuration names them (CORS, the Fetch standard)."""

from __future__ import annotations

import re

from flask import Flask, Response, request

from playground.serving.calls import Call
from playground.serving.headers import Pairs, tell

METHODS = "GET, HEAD, POST, OPTIONS"
HEADERS = "Accept, Authorization, Content-Encoding, Content-Type, Idempotency-Key, X-API-Key, X-Correlation-ID"
"""What a page may send; its browser asks before it does."""
EXPOSED = "Content-Encoding, ETag, Idempotent-Replayed, Retry-After, X-Correlation-ID"
"""What a page may read of an answer, besides what any page may."""
MAX_AGE = "7200"
"""Seconds that a browser keeps the answer to its question; none keeps it longer."""


def install(app: Flask, origins: str) -> None:
    """Answer browsers' questions, and mark answers as readable for these pages.

    No cookies are asked for: who calls is told by a header that the page sets, so ``*`` is safe beside any AUTH.

    Args:
        app: the application; installed before what refuses callers, as a browser's question names none.
        origins: separated by commas or spaces, or ``*``.
    """
    allowed = frozenset(re.split(r"[\s,]+", origins.strip().lower()))

    @app.before_request
    def answer_preflight() -> Response | None:
        environ = request.environ
        if environ["REQUEST_METHOD"] != "OPTIONS" or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
            return None
        response = Response(status=204)
        if _is_allowed(environ.get("HTTP_ORIGIN", ""), allowed):
            response.headers["Access-Control-Allow-Methods"] = METHODS
            response.headers["Access-Control-Allow-Headers"] = HEADERS
            response.headers["Access-Control-Max-Age"] = MAX_AGE
        return response

    always = () if "*" in allowed else (("Vary", "Origin"),)

    def mark(known: Call) -> Pairs:
        origin = known.environ.get("HTTP_ORIGIN", "")
        if not _is_allowed(origin, allowed):
            return always
        allow = ("Access-Control-Allow-Origin", "*" if "*" in allowed else origin)
        return (*always, allow, ("Access-Control-Expose-Headers", EXPOSED))

    tell(app, mark)


def _is_allowed(origin: str, allowed: frozenset[str]) -> bool:
    return bool(origin) and ("*" in allowed or origin.lower() in allowed)
