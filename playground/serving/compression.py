"""Compressed bodies: what clients send is read within bounds, and what they accept is sent."""

from __future__ import annotations

import functools
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import zstandard
from flask import Response, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.http import parse_accept_header

SMALLEST = 2048
"""Bytes: shorter answers fit into a packet or two, compressed or not."""
GZIP_LEVEL = 3
ZSTD_LEVEL = 3
ZSTD_WINDOW = 8 * 1024 * 1024
"""Bytes: the largest window of the content coding (RFC 9659)."""
CODINGS = ("gzip", "zstd")
"""What is sent, and read; the later in the alphabet, the better."""
COMPRESSIBLE = frozenset(
    (
        "application/geo+json",
        "application/geo+json-seq",
        "application/javascript",
        "application/json",
        "application/x-ndjson",
        "application/yaml",
        "image/svg+xml",
    )
)
"""Media types besides text/*."""


class Packer(Protocol):
    """Packs a stream piece by piece."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self, mode: int = ..., /) -> bytes: ...


def unpack(data: bytes, coding: str, limit: int) -> bytes:
    """The body that a client has compressed.

    Args:
        data: as it came.
        coding: the Content-Encoding.
        limit: bytes that it may be; no more are unpacked, whatever it claims to hold.

    Raises:
        HTTPException: 415 another coding than gzip and zstd; 413 too large; 400 broken or cut short.
    """
    readers: dict[str, Callable[[bytes, int], bytes | None]] = {"gzip": _gunzip, "x-gzip": _gunzip, "zstd": _unzstd}
    name = coding.strip().lower()
    if name == "identity":
        return data
    if name not in readers:
        known = ", ".join(CODINGS)
        refused = UnsupportedMediaType(f"a Content-Encoding is one of {known} here, not {coding[:100]}")
        refused.get_headers = lambda *_: [("Accept-Encoding", known)]  # type: ignore[method-assign]
        raise refused
    try:
        unpacked = readers[name](data, limit)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise BadRequest(f"the body is not whole {name}: {error}") from error
    if unpacked is None:
        raise RequestEntityTooLarge(f"the body holds more than {limit // 2**20} MB when it is unpacked")
    return unpacked


def _gunzip(data: bytes, limit: int) -> bytes | None:
    parts: list[bytes] = []
    left = limit
    while data:
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        parts.append(member.decompress(data, left + 1))
        left -= len(parts[-1])
        if left < 0:
            return None
        if not member.eof:
            raise EOFError("it ends too early")
        data = member.unused_data
    return b"".join(parts)


def _unzstd(data: bytes, limit: int) -> bytes | None:
    # A look at how much there is, in bounded memory; only the other interface tells whether the end is there.
    reader = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    with reader.stream_reader(io.BytesIO(data), read_across_frames=True) as stream:
        left = limit + 1
        while left > 0 and (piece := stream.read(min(left, 1024 * 1024))):
            left -= len(piece)
    if left <= 0:
        return None
    parts: list[bytes] = []
    while data:
        frame = reader.decompressobj()
        parts.append(frame.decompress(data))
        if not frame.eof:
            raise EOFError("it ends too early")
        data = frame.unused_data
    return b"".join(parts)


@functools.lru_cache(maxsize=256)
def coding_for(accept: str) -> str:
    """The coding that an Accept-Encoding header likes best; empty for none."""
    qualities = {name.lower(): quality for name, quality in parse_accept_header(accept)}
    quality, best = max((qualities.get(name, qualities.get("*", 0)), name) for name in CODINGS)
    return best if quality > 0 and quality >= qualities.get("identity", 0) else ""


def is_worth_it(kind: str, length: int) -> bool:
    """Whether a whole answer of this media type and so many bytes is sent compressed to who accepts that."""
    return length >= SMALLEST and is_compressible(kind)


def is_compressible(kind: str) -> bool:
    """Whether things of this media type become smaller."""
    return kind in COMPRESSIBLE or kind.startswith("text/")


def squeeze(data: bytes, coding: str) -> bytes:
    """The bytes in one of CODINGS."""
    if coding == "gzip":
        return gzip.compress(data, GZIP_LEVEL, mtime=0)
    return zstandard.ZstdCompressor(ZSTD_LEVEL).compress(data)


def pack(response: Response, accept: str) -> None:
    """Compress a response that is worth it, if its client accepts that."""
    streamed = response.is_streamed
    headers = response.headers
    kind = response.mimetype or ""
    if "Content-Encoding" in headers:
        return
    if not (is_compressible(kind) if streamed else is_worth_it(kind, response.content_length or 0)):
        return
    response.vary.add("Accept-Encoding")
    coding = coding_for(accept)
    if not coding or response.status_code in (206, 304):
        return
    if streamed:
        response.direct_passthrough = False
        response.response = _packed(response.response, coding)  # type: ignore[arg-type]
        headers.pop("Content-Length", None)
    else:
        response.set_data(squeeze(response.get_data(), coding))
    headers["Content-Encoding"] = coding
    etag, weak = response.get_etag()
    if etag and not weak:  # other bytes for the same thing
        response.set_etag(etag, weak=True)


def _packed(pieces: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """A stream, packed so that each of its pieces can be read when it arrives."""
    packer: Packer
    if coding == "gzip":
        packer = zlib.compressobj(GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16)
        between, last = zlib.Z_SYNC_FLUSH, zlib.Z_FINISH
    else:
        packer = zstandard.ZstdCompressor(ZSTD_LEVEL).compressobj()
        between, last = zstandard.COMPRESSOBJ_FLUSH_BLOCK, zstandard.COMPRESSOBJ_FLUSH_FINISH
    try:
        for piece in pieces:
            yield packer.compress(piece) + packer.flush(between)
        yield packer.flush(last)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def read_request(limit: int) -> None:
    """Put a body that came in chunks or compressed in its place as if it had come plainly, for whoever reads it.

    Werkzeug would cut a body without a length at the limit, and say nothing.

    Raises:
        HTTPException: as ``unpack``.
    """
    environ = request.environ
    if "HTTP_TRANSFER_ENCODING" in environ:
        try:
            data = environ["wsgi.input"].read(limit + 1)
        except (OSError, ParseException) as error:
            raise BadRequest(f"the body's chunks cannot be read: {error}") from error
        if len(data) > limit:
            raise RequestEntityTooLarge(f"the body is larger than {limit // 2**20} MB")
    else:
        data = request.get_data(cache=False)
    if "HTTP_CONTENT_ENCODING" in environ:
        data = unpack(data, environ.pop("HTTP_CONTENT_ENCODING"), limit)
    environ["wsgi.input"] = io.BytesIO(data)
    environ["CONTENT_LENGTH"] = str(len(data))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("wsgi.input_terminated", None)
    for name in ("stream", "content_length"):  # Werkzeug's cached properties of the body as it came
        request.__dict__.pop(name, None)
