"""A name for every request: taken from the caller or made, echoed, logged, and in every error."""

from __future__ import annotations

import re
import uuid

from flask import Flask, Response, g, request

HEADER = "X-Correlation-ID"
ACCEPTED = re.compile(r"[\x21-\x7e]{1,128}")
"""Printable, without spaces, and short: the id goes into logs and headers as it is."""


def correlation_id() -> str:
    """The current request's."""
    if "correlation_id" not in g:
        given = request.headers.get(HEADER, "")
        g.correlation_id = given if ACCEPTED.fullmatch(given) else uuid.uuid4().hex
    made: str = g.correlation_id
    return made


def install(app: Flask) -> None:
    """Echo the id in every response."""

    @app.after_request
    def echo(response: Response) -> Response:
        response.headers[HEADER] = correlation_id()
        return response
