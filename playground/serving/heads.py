"""Requests of one connection mostly have the same head, but for the length of what follows it.

Gunicorn reads and checks every line again, for a tenth of what a small request costs. Here a head that has the same
bytes as an earlier one of its connection, where only the digits of its Content-Length may differ, is taken to be what
gunicorn made of that one. Every other head is gunicorn's to read.
"""

from __future__ import annotations

import re
from typing import Any

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.message import Request

LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,15})(?=\r\n)", re.IGNORECASE)
LONGEST = 4096
"""Bytes of a head that is kept."""
FIELD = 64
"""Bytes that a line with such a length never has."""
TRIES = 8
"""Heads that are kept of a connection, one after the other; who changes his that often does so every time."""


class Head:
    """A head as it came, and what gunicorn made of it.

    Attributes:
        environ: the WSGI environment of its request, without what each has of its own; empty until there is one.
    """

    __slots__ = ("_before", "_behind", "_made", "_place", "environ")

    def __init__(self, data: bytes, end: int, request: Request) -> None:
        """As ``of``."""
        found = LENGTH.search(data, 0, end)
        assert found is not None
        self._before, self._behind = data[: found.start(1)], data[found.end(1) : end]
        self._made = {name: value for name, value in vars(request).items() if name != "body"}
        self._place = [name for name, _ in request.headers].index("CONTENT-LENGTH")
        self.environ: dict[str, Any] = {}

    @classmethod
    def of(cls, data: bytes, request: Request) -> Head | None:
        """The head of a request that gunicorn has read.

        Args:
            data: the bytes that were there before; the head, and some of what follows it.
            request: what came of them.

        Returns:
            None where another one with the same bytes could be another request.
        """
        end = data.find(b"\r\n\r\n") + 4
        if (
            not 4 <= end <= LONGEST
            or request.unreader.buf.tell() != len(data) - end
            or type(request.body.reader) is not LengthReader
            or request.must_close
            or request.proxy_protocol_info
            or request._expected_100_continue
            or request.limit_request_field_size < FIELD
        ):
            return None
        told = [value for name, value in request.headers if name == "CONTENT-LENGTH"]
        found = [digits.decode() for digits in LENGTH.findall(data, 0, end)]
        return cls(data, end, request) if len(told) == 1 and told == found else None

    def again(self, data: bytes, unreader: Any, number: int) -> Request | None:
        """The request that some bytes begin with; None if its head is another one.

        Args:
            data: what has come of the connection; what is not the request's is given back.
            unreader, number: gunicorn's, of the connection and of the request.
        """
        if not data.startswith(self._before):
            return None
        start = len(self._before)
        end = data.find(b"\r", start, start + 16)
        digits = data[start:end]
        if not digits.isdigit() or not data.startswith(self._behind, end):
            return None
        text, length = digits.decode(), int(digits)
        request = Request.__new__(Request)
        known = vars(request)
        known.update(self._made)
        headers = known["headers"] = self._made["headers"].copy()
        headers[self._place] = ("CONTENT-LENGTH", text)
        known["trailers"] = []
        known["req_number"] = number
        known["head"] = self
        end += len(self._behind)
        there = data[end : end + length]
        request.body = body = Body(LengthReader(unreader, length - len(there)))
        body.buf.write(there)
        if len(data) > end + length:
            unreader.unread(data[end + length :])
        return request

    def length_of(self, request: Request) -> str:
        """The Content-Length of a request with this head."""
        text: str = request.headers[self._place][1]
        return text


def read(cfg: Any, unreader: Any, peer: Any, number: int) -> Request:
    """The next request of a connection, in place of gunicorn's own class; it raises what that raises."""
    if number == 1:
        return _Request(cfg, unreader, peer, number)
    known = vars(unreader)
    head: Head | None = known.get("head")
    data = unreader.read()
    request = head.again(data, unreader, number) if head is not None else None
    if request is None:
        unreader.unread(data)
        request = _Request(cfg, unreader, peer, number)
        tried = known["tried"] = known.get("tried", 0) + 1
        if tried <= TRIES:
            known["head"] = request.head = Head.of(data, request)
    return request


class _Request(Request):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's, which asks once for each connection whether its other end is a proxy that is trusted."""

    head: Head | None = None

    def _peer_trusted_for_forwarded(self) -> Any:
        connection = self.unreader
        if not hasattr(connection, "trusted"):
            connection.trusted = super()._peer_trusted_for_forwarded()
        return connection.trusted
