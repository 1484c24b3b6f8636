"""A name for every request: taken from the caller or made, echoed, logged, and in every error."""

from __future__ import annotations

import random
import re

from flask import Flask

from playground.serving.calls import Call, call
from playground.serving.headers import Pairs, tell

HEADER = "X-Correlation-ID"
ENVIRON = "HTTP_X_CORRELATION_ID"
ACCEPTED = re.compile(r"[\x21-\x7e]{1,128}")
"""Printable, without spaces, and short: the id goes into logs and headers as it is."""


def correlation_id() -> str:
    """The current request's."""
    return correlation_id_of(call())


def correlation_id_of(known: Call) -> str:
    """A request's."""
    if not known.correlation_id:
        given = known.environ.get(ENVIRON, "")
        # A name and no secret; uuid4 asks the system for its bits, and lets go of the interpreter lock meanwhile.
        made = given if ACCEPTED.fullmatch(given) else f"{random.getrandbits(128):032x}"
        known.correlation_id = made
    return known.correlation_id


def install(app: Flask) -> None:
    """Echo the id in every response."""

    def echo(known: Call) -> Pairs:
        return ((HEADER, correlation_id_of(known)),)

    tell(app, echo)
