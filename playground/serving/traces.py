"""Which trace a request belongs to, from the headers of Google's front end or of the W3C."""

from __future__ import annotations

import re
from typing import NamedTuple

from werkzeug.datastructures import Headers

CLOUD = re.compile(r"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-9]{1,2}))?", re.ASCII)
"""X-Cloud-Trace-Context: TRACE/SPAN;o=OPTIONS, the span in decimal."""
W3C = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
"""traceparent: VERSION-TRACE-SPAN-FLAGS."""


class Trace(NamedTuple):
    """A trace, 32 hexadecimal digits; the span in it, 16 of them or empty; whether it is being recorded."""

    trace_id: str
    span_id: str
    sampled: bool


def read_trace(headers: Headers) -> Trace | None:
    """The trace of a request; None where no header names one, or none that can be read."""
    return _cloud(headers.get("X-Cloud-Trace-Context", "")) or _w3c(headers.get("traceparent", ""))


def _cloud(text: str) -> Trace | None:
    found = CLOUD.fullmatch(text.strip())
    if not found or not int(found[1], 16):
        return None
    span = int(found[2] or 0)
    return Trace(found[1].lower(), f"{span:016x}" if 0 < span < 2**64 else "", bool(int(found[3] or 0) & 1))


def _w3c(text: str) -> Trace | None:
    found = W3C.fullmatch(text.strip())
    if not found or not int(found[2], 16) or not int(found[3], 16) or (found[1] == "00" and found[5]):
        return None
    return Trace(found[2], found[3], bool(int(found[4], 16) & 1))
