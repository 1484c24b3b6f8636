"""The Authorization header, read to the letter of RFC 6750."""

from __future__ import annotations

import re

from werkzeug.datastructures import Headers

from playground.errors import UnauthenticatedError

LONGEST = 8192
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9._~+/-]+=*)")


def bearer_of(given: Headers, hint: str) -> str:
    """The one token of ``Authorization: Bearer TOKEN``.

    A server joins headers of one name with commas, and no token holds one: two of them are none.

    Args:
        given: a request's headers.
        hint: what to send instead.

    Raises:
        UnauthenticatedError: there is none, or something else.
    """
    found = given.getlist("Authorization")
    if not found:
        raise UnauthenticatedError("no credentials", hint)
    match = _BEARER.fullmatch(found[0]) if len(found) == 1 and len(found[0]) <= LONGEST else None
    if match is None:
        raise UnauthenticatedError("the Authorization header is not of the form Bearer TOKEN", hint)
    return match[1]
