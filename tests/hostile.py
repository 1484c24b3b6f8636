"""What hostile tile servers answer."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image
from tileserver import Answer

from playground.errors import TileNotFoundError, TileSourceError, TileTimeoutError


def picture(kind: str = "png", **options: object) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def transparent(size: int = 256, kind: str = "png") -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (size, size), (255, 255, 255, 0)).save(out, kind)
    return out.getvalue()


def bomb(size: int) -> bytes:
    """A black PNG, one bit a pixel; a part of its zeros is compressed once and stands there many times."""
    zeros = size * (1 + -(-size // 8))
    packer = zlib.compressobj(9, wbits=-15)
    part = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = [b"\x78\x9c", part * (zeros >> 20), packer.compress(bytes(zeros % 2**20)), packer.flush()]
    packed.append(struct.pack(">I", zeros % 65521 << 16 | 1))
    head = struct.pack(">IIBBBBB", size, size, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", b"".join(packed)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


HOSTILE: dict[str, tuple[object, str, type[Exception]]] = {
    "whole": (Answer(picture()), "ok", type(None)),  # type: ignore[dict-item]
    "404": (Answer(status=404), "missing", TileNotFoundError),
    "410": (Answer(status=410), "missing", TileNotFoundError),
    "204": (Answer(status=204), "missing", TileNotFoundError),
    "empty": (Answer(b""), "missing", TileNotFoundError),
    "blank png": (Answer(transparent()), "blank", TileNotFoundError),
    "blank pixel": (Answer(transparent(1)), "blank", TileNotFoundError),
    "blank webp": (Answer(transparent(kind="webp")), "blank", TileNotFoundError),
    "html": (Answer(b"<!DOCTYPE html><p>Sorry"), "html", TileSourceError),
    "json": (Answer(b'{"message": "sorry"}'), "json", TileSourceError),
    "xml": (Answer(b"<?xml version='1.0'?><ServiceException/>"), "wrong_type", TileSourceError),
    "noise": (Answer(bytes(range(256))), "wrong_type", TileSourceError),
    "cut picture": (Answer(picture("jpeg")[:-50]), "truncated", TileSourceError),
    "cut transfer": (Answer(picture()[:100], claimed_length=900), "truncated", TileSourceError),
    "bomb": (Answer(bomb(30000)), "oversized", TileSourceError),
    "small bomb": (Answer(bomb(3000)), "oversized", TileSourceError),
    "cut bomb": (Answer(bomb(9000)[:-40]), "oversized", TileSourceError),
    "oversized": (Answer(picture() + bytes(16 * 2**20)), "oversized", TileSourceError),
    "endless": (Answer(bytes(2**16), endless=True), "oversized", TileSourceError),
    "claims too much": (Answer(b"", claimed_length=2**40), "oversized", TileSourceError),
    "401": (Answer(status=401), "unauthorized", TileSourceError),
    "403": (Answer(status=403), "unauthorized", TileSourceError),
    "400": (Answer(status=400), "failed", TileSourceError),
    "429": (Answer(status=429), "throttled", TileSourceError),
    "500": (Answer(status=500), "failed", TileSourceError),
    "no http": (Answer(raw=b"220 ftp.example.com FTP server ready\r\n"), "failed", TileSourceError),
    "hangs up": (Answer(raw=b""), "failed", TileSourceError),
    "half a head": (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Le"), "truncated", TileSourceError),
    "endless head": (Answer(raw=b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10**5), "failed", TileSourceError),
    "strange number": (Answer(raw=b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"), "failed", TileSourceError),
    "ring": (Answer(status=302, headers={"Location": "?again"}), "failed", TileSourceError),
    "redirect to nowhere": (Answer(status=302, headers={"Location": "http://[::1/"}), "refused", TileSourceError),
    "redirect away": (Answer(status=302, headers={"Location": "http://example.com/"}), "refused", TileSourceError),
    "slow loris": (Answer(picture(), drip_seconds=0.02), "timeout", TileTimeoutError),
    "waits": (Answer(status=503, headers={"Retry-After": "99"}), "failed", TileSourceError),
    "slow down": (Answer(status=429, headers={"Retry-After": "99"}), "throttled", TileSourceError),
}
"""Name -> what the server answers, how that is counted, and the error that it is."""
