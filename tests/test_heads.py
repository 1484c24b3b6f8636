"""Heads that come again on a connection: what is made of them is what gunicorn makes of each by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

from playground.serving import heads

HEADS = (
    b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %b\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %b\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length:%b\r\nX-Correlation-ID: a\r\n\r\n",
    b"POST /predict?a=b HTTP/1.1\r\nContent-Length: %b\r\nHost: x\r\nX-Forwarded-Proto: https\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length:  %b \r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\nExpect: 100-continue\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nX-Other: Content-Length: %b\r\nContent-Length: %b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\nContent-Length: %b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\nX-Folded: a\r\n b\r\n\r\n",
    b"POST / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: %b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %b\r\n\r\n",
    b"\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\n\r\n",
    b"GET /a%%20b HTTP/1.1\r\nHost: x\r\n\r\n",
)
LENGTHS = (b"%d", b"%d", b"%d", b"%d", b"0%d", b"+%d", b"%d,", b"", b"-1", b"\xb2", b"%d\n", b"%d\r", b"1_0")


class Pieces:
    """The bytes of a client, as they come."""

    def __init__(self, data: bytes, choose: random.Random) -> None:
        self._data, self._choose = data, choose

    def __iter__(self) -> Iterator[bytes]:
        data = self._data
        while data:
            count = self._choose.choice((1, 7, 60, 200, 5000, len(data)))
            yield data[:count]
            data = data[count:]


def read_all(data: bytes, seed: int, read: Any, sizes: random.Random) -> list[Any]:
    """What a parser makes of all that a client sends: each request, and how it ended."""
    cfg = Config()
    cfg.set("forwarded_allow_ips", "10.0.0.1")
    cfg.set("permit_obsolete_folding", seed % 2 == 0)
    parser = RequestParser(cfg, Pieces(data, random.Random(seed)), ("10.0.0.1", 1))  # type: ignore[no-untyped-call]
    parser.mesg_class = read
    seen: list[Any] = []
    try:
        for request in parser:
            told = {name: getattr(request, name) for name in ("method", "uri", "path", "query", "version", "scheme")}
            more = (request.headers, request.trailers, request.req_number, request.should_close())
            size = sizes.choice((0, 1, 5, 1000, None))
            seen.append((told, more, request._expected_100_continue, request.body.read(size)))
            seen.append(request.body.readline() if size == 5 else request.body.read(1))
    except (ParseException, OSError) as error:
        seen.append((type(error), str(error)))
    return seen


@pytest.mark.parametrize("hundred", range(3))
def test_requests_of_a_connection_are_read_as_by_gunicorn(hundred: int) -> None:
    for seed in range(100 * hundred, 100 * hundred + 100):
        data = requests_of(random.Random(seed))
        expected = read_all(data, seed, Request, random.Random(seed))
        assert read_all(data, seed, heads.read, random.Random(seed)) == expected, seed
        assert expected


def requests_of(choose: random.Random) -> bytes:
    """What a client sends on one connection: mostly requests with the same head."""
    some = choose.sample(HEADS, choose.choice((1, 1, 2, 4)))
    data = b""
    for _ in range(choose.randint(2, 12)):
        head, body = choose.choice(some), choose.randbytes(choose.choice((0, 3, 100, 3000)))
        length = choose.choice(LENGTHS) if choose.random() < 0.1 else b"%d"
        length = length.replace(b"%d", b"%d" % len(body))
        data += head % ((length,) * head.count(b"%b")) + (body if b"%b" in head else b"")
    return data[: choose.randrange(1, len(data))] if choose.random() < 0.3 else data


def test_a_head_that_comes_again_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    parse = Request.parse_headers

    def note(self: Any, *more: Any, **named: Any) -> Any:
        parsed.append(self.req_number)
        return parse(self, *more, **named)

    monkeypatch.setattr(Request, "parse_headers", note)
    data = b"".join(HEADS[0] % b"%d" % count + b"a" * count for count in range(20))
    parser = RequestParser(Config(), [data], ("10.0.0.1", 1))  # type: ignore[no-untyped-call]
    parser.mesg_class = heads.read
    assert [len(request.body.read()) for request in parser] == list(range(20))
    assert parsed == [1, 2]


def test_heads_that_always_differ_are_not_kept_for_ever() -> None:
    data = b"".join(HEADS[0].replace(b"x", b"%d" % count) % b"0" for count in range(20))
    parser = RequestParser(Config(), [data], ("10.0.0.1", 1))  # type: ignore[no-untyped-call]
    parser.mesg_class = heads.read
    kept = [vars(parser.unreader).get("head") for _ in parser]
    assert len(set(map(id, kept[1:]))) == heads.TRIES
