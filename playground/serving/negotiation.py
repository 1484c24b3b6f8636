"""Which media type answers a request: the Accept header, read as RFC 9110 says (section 12.5.1)."""

from __future__ import annotations

import functools

from flask import request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import NotAcceptable
from werkzeug.http import parse_accept_header, parse_options_header

JSON = "application/json"
GEOJSON = "application/geo+json"
GEOJSON_SEQ = "application/geo+json-seq"
NDJSON = "application/x-ndjson"
HTML = "text/html"


@functools.lru_cache(maxsize=256)
def media_type_for(accept: str, offers: tuple[str, ...]) -> str:
    """The offer that a client likes best.

    For each offer the most specific range that covers it counts, so ``application/json;q=0, */*`` is anything but JSON.
    Among equals goes what was asked for more precisely, then earlier, then what stands first in ``offers``.

    Args:
        accept: the header; empty for anything.
        offers: media types, the usual one first.

    Raises:
        NotAcceptable: none of them will do.
    """
    if not accept.strip():
        return offers[0]
    ranges = parse_accept_header(accept, MIMEAccept)
    order = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    best, chosen = (0.0, 0, 0), ""
    for offer in offers:
        kind = offer.partition("/")[0]
        for name, precision in ((offer, 2), (f"{kind}/*", 1), ("*/*", 0)):
            qualities = [quality for found, quality in ranges if found.partition(";")[0].strip().lower() == name]
            if qualities:
                rank = (qualities[0], precision, -order.index(name) if name in order else -len(order))
                if qualities[0] > 0 and rank > best:
                    best, chosen = rank, offer
                break
    if not chosen:
        raise NotAcceptable(f"this address answers in {', '.join(offers)}")
    return chosen


@functools.lru_cache(maxsize=256)
def mimetype_of(content_type: str) -> str:
    """The media type of a Content-Type header, as ``flask.request.mimetype`` gives it."""
    return parse_options_header(content_type)[0].lower()


def wants_html() -> bool:
    """Whether the current request comes from a browser's address bar: it likes a page better than JSON."""
    try:
        return media_type_for(request.environ.get("HTTP_ACCEPT", ""), (JSON, HTML)) == HTML
    except NotAcceptable:
        return False
