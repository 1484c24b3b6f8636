"""A name for every request: taken from the caller or made, echoed, logged, and in every error."""

from __future__ import annotations

import random
import re

from flask import Flask, Response, g, request

HEADER = "X-Correlation-ID"
ENVIRON = "HTTP_X_CORRELATION_ID"
ACCEPTED = re.compile(r"[\x21-\x7e]{1,128}")
"""Printable, without spaces, and short: the id goes into logs and headers as it is."""


def correlation_id() -> str:
    """The current request's."""
    kept = vars(g._get_current_object())  # one look-up instead of one for each attribute
    if "correlation_id" not in kept:
        given = request.environ.get(ENVIRON, "")
        # A name and no secret; uuid4 asks the system for its bits, and lets go of the interpreter lock meanwhile.
        made = given if ACCEPTED.fullmatch(given) else f"{random.getrandbits(128):032x}"
        kept["correlation_id"] = made
    found: str = kept["correlation_id"]
    return found


def install(app: Flask) -> None:
    """Echo the id in every response."""

    @app.after_request
    def echo(response: Response) -> Response:
        response.headers[HEADER] = correlation_id()
        return response
