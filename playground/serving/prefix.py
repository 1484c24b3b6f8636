"""The path that a proxy in front has taken off the addresses of this service."""

from __future__ import annotations

from flask import request

from playground.serving.state import service
from playground.settings.kinds import is_url_path

HEADER = "X-Forwarded-Prefix"


def url_prefix() -> str:
    """What the request's X-Forwarded-Prefix says, else the setting; empty for none, without a slash at its end.

    The header is anybody's claim: it is shown to who sent it, and never kept.
    """
    claimed = request.headers.get(HEADER, "").rstrip("/")
    return claimed if is_url_path(claimed) else service().settings.url_prefix
